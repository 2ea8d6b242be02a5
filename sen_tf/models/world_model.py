"""The contrastive world model: embedding, encoder, transition, and how they are trained."""

import math
import os
import warnings
from collections.abc import Sequence
from typing import Any, Self

import keras
from keras import ops

from sen_tf.distribution import replicas
from sen_tf.models.train_step import TrainedModel
from sen_tf.models.transition_batches import (
    actions_of,
    check_keys,
    check_parts,
    check_transitions,
    first_frames,
    frames_of,
    images_of,
    states_of,
)
from sen_tf.tensors import Shape, Tensor


class Skill(keras.metrics.Metric):
    """`1 - E|z + T(z,a) - z'|^2 / E|z - z'|^2`: 0 predicts that nothing moves, 1 is perfect.

    Where nothing does move, since the states have collapsed to a point, there is no skill: 0.
    """

    def __init__(self, name: str = "skill", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        self.error = self.add_weight(name="error", initializer="zeros", dtype=self.dtype)
        self.movement = self.add_weight(name="movement", initializer="zeros", dtype=self.dtype)

    def update_state(self, state: Tensor, predicted: Tensor, next_state: Tensor) -> None:
        self.error.assign_add(ops.sum(ops.square(predicted - next_state)))
        self.movement.assign_add(ops.sum(ops.square(state - next_state)))

    def result(self) -> Tensor:
        error, movement = map(ops.convert_to_tensor, (self.error, self.movement))
        moves = movement > 1e-6
        return ops.where(moves, 1.0 - error / ops.where(moves, movement, 1.0), 0.0)


@keras.saving.register_keras_serializable("sen_tf")
class ContrastiveWorldModel(TrainedModel):
    """A latent world model trained with a contrastive hinge loss.

    `encode` maps images to latent states, `step` predicts the next state, `rollout` repeats it.
    Calling the model on a batch of transitions gives all three states of each.

    Args:
        embedding: Model from images, scaled to [0, 1], to symmetric features.
        encoder: Model from features to latent states `(batch, ...)`.
        transition: Model from `[state, action]` to the change of the state.
        seed: Seed of the generator that draws negatives.

    Call arguments:
        inputs: Dict of `obs` and `next_obs`, images `(batch, rows, columns, channels)`, integers in
            0..255 or floats in [0, 1], and `action` `(batch, ...)`. Or, of runs of transitions in a
            row, whose shared frames are encoded once: `obs` `(batch, steps + 1, rows, columns,
            channels)` and `action` `(batch, steps, ...)` alone.

    Returns:
        Dict of `state`, `predicted` and `next_state`, each `(batch, ...)` in float32, of runs
        `(batch * steps, ...)` and beside them `run`, `(batch, steps + 1, ...)`; in training also
        the states of the further images that the loss asks for.

    Raises:
        ValueError: For parts that do not fit each other; when called, for images of other sizes
            than the embedding's input.

    Example:
        >>> model = ContrastiveWorldModel(embedding, encoder, transition)
        >>> model.compile(keras.optimizers.Adam(1e-3), loss=ContrastiveLoss())
        >>> model.fit(transitions)
        >>> state = model.encode(images)
        >>> states = model.rollout(state, actions)

    Reference: Park et al. (2022), section 4; Kipf et al. (2020).
    """

    def __init__(
        self,
        embedding: keras.Model,
        encoder: keras.Model,
        transition: keras.Model,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(autocast=False, **kwargs)  # the parts know their dtypes
        check_parts(embedding, encoder, transition)
        self.embedding = embedding
        self.encoder = encoder
        self.transition = transition
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self._means = {
            name: keras.metrics.Mean(name=name, dtype="float32")
            for name in ("loss", "positive", "negative", "z_norm", "z_spread")
        }
        self._skill = Skill(dtype="float32")
        # Parts that have their weights leave nothing to build.
        self.built = all(part.built for part in (embedding, encoder, transition))

    def embed(self, obs: Tensor, training: bool = False) -> Tensor:
        """Symmetric features of images; see the class for what images may be."""
        obs = images_of(obs, self.image_shape)
        images = ops.cast(obs, self.embedding.compute_dtype)
        if not keras.backend.is_float_dtype(keras.backend.standardize_dtype(obs.dtype)):
            images = images / 255
        return self.embedding(images, training=training)

    @property
    def image_shape(self) -> Shape:
        """The shape of a batch of images, as the embedding states it; None where any will do."""
        return getattr(self.embedding, "input_shape", (None,) * 4)

    def check(self, x: dict[str, Tensor]) -> None:
        """Raises a ValueError for transitions that the model cannot take, and says what it takes.

        Args:
            x: Dict as in the call; arrays or tensors that hold numbers.
        """
        check_transitions(x, self)

    def encode(self, obs: Tensor, training: bool = False) -> Tensor:
        """Latent states `(batch, ...)` of images `(batch, rows, columns, channels)`."""
        return _precise(self.encoder(self.embed(obs, training=training), training=training))

    def step(self, state: Tensor, action: Tensor, training: bool = False) -> Tensor:
        """The predicted next states of `state` `(batch, ...)` under `action` `(batch, ...)`."""
        inputs = [ops.convert_to_tensor(state), ops.convert_to_tensor(action)]
        return _precise(inputs[0]) + _precise(self.transition(inputs, training=training))

    def rollout(self, state: Tensor, actions: Tensor) -> Tensor:
        """Predicted states `(batch, steps, ...)` under `actions` `(batch, steps, ...)`.

        Raises:
            ValueError: For actions without the axis of steps, or of no steps.
        """
        if len(shape := ops.shape(actions)) < 2 or shape[1] == 0:
            raise ValueError(
                f"Expected `actions` of shape (batch, steps, ...), of one step or more; received "
                f"shape {tuple(shape)}."
            )
        states = []
        for action in ops.unstack(actions, axis=1):
            state = self.step(state, action)
            states.append(state)
        return ops.stack(states, axis=1)

    def call(self, inputs: dict[str, Tensor], training: bool = False) -> dict[str, Tensor]:
        check_keys(inputs)
        images = {"all": frames_of(inputs, self.image_shape)}
        if training and self.loss is not None:
            images |= self.loss.images(first_frames(inputs, self.image_shape))
        # All images in one pass: fewer calls, and batch statistics over their union.
        features = self.embed(ops.concatenate(list(images.values()), axis=0), training=training)
        encoded = _precise(self.encoder(features, training=training))
        states, start = {}, 0
        for name, each in images.items():
            states[name] = encoded[start : start + ops.shape(each)[0]]
            start += ops.shape(each)[0]
        states |= states_of(inputs, states.pop("all"))
        if training and self.loss is not None and self.loss.features:
            both = states_of(inputs, features[: ops.shape(images["all"])[0]])
            states |= {"features": both["state"], "next_features": both["next_state"]}
        predicted = self.step(states["state"], actions_of(inputs), training=training)
        return {**states, "predicted": predicted}

    def compute_loss(
        self,
        x: Any = None,
        y: None = None,
        y_pred: Any = None,
        sample_weight: None = None,
        training: bool = True,
    ) -> Tensor:
        """The mean loss of `y_pred`, what `call` returned; also updates the metrics.

        The metric `loss` is the contrastive loss alone; regularization losses join the result. On
        each of several replicas it is that of its own rows, so that the sum is the mean.

        Raises:
            ValueError: If there are targets or sample weights, or the model is not compiled.
        """
        if y is not None or sample_weight is not None:
            raise ValueError(
                f"{type(self).__name__} learns from transitions alone: targets and sample weights "
                f"cannot be given."
            )
        if self.loss is None:
            raise ValueError("Expected a compiled model, for its loss; call `compile` first.")
        regularization = sum(self.losses)  # now: terms of the loss may call layers again
        losses, positive, negative = self.loss(
            {**x, "action": actions_of(x)},
            y_pred,
            step=self.steps_trained,
            predict=lambda state, action: self.step(state, action, training=True),
            seed=self.seed_generator,
            training=training,
        )
        self._update_metrics(y_pred, positive, negative)
        rows = ops.cast(ops.shape(losses)[0], losses.dtype)
        share = rows / replicas.total(rows)
        return ops.sum(losses) / replicas.total(rows) + share * regularization

    def _update_metrics(self, y_pred, positive, negative):
        state = y_pred["state"]
        flat = ops.reshape(state, (ops.shape(state)[0], math.prod(state.shape[1:])))
        values = {
            "loss": positive + negative,
            "positive": positive,
            "negative": negative,
            "z_norm": ops.norm(flat, axis=-1),
        }
        for name, value in values.items():
            self._means[name].update_state(value)
        rows = ops.cast(ops.shape(state)[0], state.dtype)
        count = replicas.total(rows)
        deviations = flat - replicas.total(ops.sum(flat, axis=0)) / count
        variance = replicas.total(ops.sum(ops.square(deviations), axis=0)) / count
        spread = ops.sqrt(ops.mean(variance))
        self._means["z_spread"].update_state(spread, sample_weight=rows)
        self._skill.update_state(state, y_pred["predicted"], y_pred["next_state"])

    @property
    def metrics(self) -> list[keras.Metric]:
        return [*self._means.values(), self._skill]

    def export(
        self,
        filepath: str | os.PathLike[str],
        format: str = "tf_saved_model",
        input_signature: Sequence[Any] | None = None,
        **arguments: Any,
    ) -> None:
        """As in Keras: a file or folder that computes what calling the model does.

        Endpoints for `encode`, `step` and others are made by `sen_tf.export`.

        Args:
            input_signature: As in Keras; where it is left out, images are integers in 0..255.
        """
        if input_signature is None:
            action = self.transition.inputs[1]
            images = keras.InputSpec("uint8", (None, *self.image_shape[1:]))
            action = keras.InputSpec(action.dtype, (None, *action.shape[1:]))
            input_signature = [{"obs": images, "action": action, "next_obs": images}]
        super().export(filepath, format, input_signature=input_signature, **arguments)

    def quantize(self, mode: str, **arguments: Any) -> None:
        """As in Keras; one warning says which layers with weights stay as they are."""
        with warnings.catch_warnings(action="ignore"):  # Keras warns of those without weights too
            super().quantize(mode, **arguments)
        names = [
            layer.path or layer.name
            for layer in self._flatten_layers()
            if layer.weights
            and len(list(layer._flatten_layers())) == 1
            and getattr(layer, "quantization_mode", None) is None
        ]
        if names:
            warnings.warn(f"`quantize({mode!r})` leaves in float: {', '.join(names)}", stacklevel=2)

    def get_config(self) -> dict[str, Any]:
        parts = {
            "embedding": self.embedding,
            "encoder": self.encoder,
            "transition": self.transition,
        }
        return {
            **super().get_config(),
            **{k: keras.saving.serialize_keras_object(v) for k, v in parts.items()},
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        parts = ("embedding", "encoder", "transition")
        loaded = {k: keras.saving.deserialize_keras_object(config[k]) for k in parts}
        return cls(**{**config, **loaded})


def _precise(states):
    """States in float32 at least: in half precision a small move would be rounded away."""
    dtype = keras.backend.standardize_dtype(states.dtype)
    return ops.cast(states, keras.backend.result_type(dtype, "float32"))
