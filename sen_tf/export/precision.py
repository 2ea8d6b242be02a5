"""The precision in which a model computes, changed after it was made."""

import keras

from sen_tf.layers.plain import set_weights


def in_float32(model: keras.Model) -> keras.Model:
    """A copy of a model whose every layer computes in float32.

    Weights are kept in float32 under mixed precision too, so that nothing is lost.

    Args:
        model: A built `keras.Model` that can be saved.
    """
    saved = _with_policy(keras.saving.serialize_keras_object(model), "float32")
    copy = keras.saving.deserialize_keras_object(saved)
    set_weights(copy, model.get_weights())
    return copy


def _with_policy(saved, name):
    """A serialized object with every dtype policy in it replaced."""
    if isinstance(saved, dict):
        if saved.get("class_name") == "DTypePolicy":
            return {**saved, "config": {"name": name}}
        return {key: _with_policy(value, name) for key, value in saved.items()}
    if isinstance(saved, list):
        return [_with_policy(value, name) for value in saved]
    return saved
