"""The plain form of a model: the same numbers by Keras' own layers, for where sen_tf is not."""

import keras

from sen_tf.layers.plain import plain
from sen_tf.models.world_model import ContrastiveWorldModel


def to_plain(model: keras.Model) -> keras.Model:
    """A model that computes the same, made of Keras' own layers and operations alone.

    Saved, it loads where only Keras is installed (a `ContrastiveWorldModel` is a class of ours: of
    one, the parts do). It shares no weights with the model that it was made from, and it is for
    inference: what it would learn commutes with nothing.

    Args:
        model: A functional or sequential `keras.Model`, built, in which models may be nested; or a
            `ContrastiveWorldModel`, of which the three parts become plain.

    Raises:
        ValueError: For a model of another class, whose code cannot be written out; a layer that has
            weights and is neither Keras' own nor has a method `plain`, or is in a wrapper other
            than `TimeDistributed`; and features of unknown size.

    Example:
        >>> to_plain(classifier).save("plain.keras")
    """
    if isinstance(model, ContrastiveWorldModel):
        return ContrastiveWorldModel(
            plain(model.embedding),
            plain(model.encoder),
            plain(model.transition),
            seed=model.seed,
            dtype=model.dtype_policy,
        )
    if not isinstance(model, keras.Model) or not getattr(model, "inputs", None):
        raise ValueError(
            "Expected `model` to be a functional or sequential Keras model that is built, whose "
            f"layers are known; received a {type(model).__name__}."
        )
    return plain(model)
