"""The training step of a world model beyond Keras' own, backend by backend.

Everywhere a step is that of Keras' trainer, which calls the model, then its `compute_loss`.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import ops

from sen_tf.distribution import replicas
from sen_tf.losses import ContrastiveLoss
from sen_tf.models.transition_batches import looked_at
from sen_tf.tensors import Tensor

NO_TARGETS = "The model learns from transitions alone"


class _Trained(keras.Model):
    """Keras' own training (PyTorch), whose loss is the model's own and which needs no targets."""

    def compile(
        self,
        optimizer: str | keras.Optimizer = "rmsprop",
        loss: ContrastiveLoss | None = None,
        loss_weights: None = None,
        metrics: None = None,
        weighted_metrics: None = None,
        **arguments: Any,
    ) -> None:
        """As in Keras, without the arguments that are about targets.

        Args:
            loss: A `losses.ContrastiveLoss`; by default one of one other sample per sample.
        """
        _refuse(
            f"{type(self).__name__} has metrics of its own",
            loss_weights=loss_weights,
            metrics=metrics,
            weighted_metrics=weighted_metrics,
        )
        if not isinstance(loss, ContrastiveLoss | None):
            raise ValueError(
                "Expected `loss` to be a ContrastiveLoss, which needs no targets; received "
                f"loss={loss!r}."
            )
        loss = loss or ContrastiveLoss()
        loss.images(keras.KerasTensor((2, *self.image_shape[1:])))  # or an error says what it lacks
        super().compile(optimizer, **arguments)
        self.loss = loss

    def get_compile_config(self) -> dict[str, Any]:
        """As in Keras, with the loss; nothing of a model that is not compiled."""
        config = super().get_compile_config()
        return config and {**config, "loss": keras.saving.serialize_keras_object(self.loss)}

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compiles a loaded model as it was when it was saved."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.built:
            self.optimizer.build(self.trainable_variables)

    def fit(
        self,
        x: Any = None,
        y: None = None,
        batch_size: int | None = None,
        epochs: int = 1,
        **arguments: Any,
    ) -> keras.callbacks.History:
        """As in Keras, without targets and weights of samples; the first batch is looked at."""
        unused = {name: arguments.pop(name, None) for name in ("class_weight", "sample_weight")}
        _refuse(NO_TARGETS, y=y, **unused)
        x = looked_at(x, batch_size, self.check)
        if (validation := arguments.get("validation_data")) is not None:
            validation, *targets = keras.utils.unpack_x_y_sample_weight(validation)
            _refuse(
                NO_TARGETS, **{"validation_data[1]": targets[0], "validation_data[2]": targets[1]}
            )
            size = arguments.get("validation_batch_size") or batch_size
            arguments["validation_data"] = looked_at(validation, size, self.check)
        return super().fit(x, batch_size=batch_size, epochs=epochs, **arguments)

    def evaluate(
        self, x: Any = None, y: None = None, batch_size: int | None = None, **arguments: Any
    ) -> Any:
        """As in Keras, without targets and weights of samples; the first batch is looked at."""
        _refuse(NO_TARGETS, y=y, sample_weight=arguments.pop("sample_weight", None))
        if not arguments.get("_use_cached_eval_dataset"):  # `fit` has looked at it
            x = looked_at(x, batch_size, self.check)
        return super().evaluate(x, batch_size=batch_size, **arguments)

    def predict(
        self, x: Any, batch_size: int | None = None, **arguments: Any
    ) -> dict[str, np.ndarray]:
        """As in Keras; the first batch is looked at."""
        return super().predict(looked_at(x, batch_size, self.check), batch_size, **arguments)

    @property
    def steps_trained(self) -> Tensor:
        """The number of steps of gradient descent so far, as `compute_loss` needs it."""
        return self.optimizer.iterations


class _TrainedByJax(_Trained):
    """Keras' own training, whose steps are pure functions of all state."""

    _step = None

    @property
    def steps_trained(self) -> Tensor:
        return self.optimizer.iterations if self._step is None else self._step

    def compute_loss_and_updates(
        self, *arguments: Any, optimizer_variables: Sequence[Tensor] | None = None, **keywords: Any
    ) -> Any:
        # Keras gives `compute_loss` the state of all but the optimizer, whose own number of steps
        # would be compiled in as the constant that it was.
        if optimizer_variables is not None:
            state = zip(self.optimizer.variables, optimizer_variables, strict=True)
            with keras.StatelessScope(list(state)):
                self._step = ops.convert_to_tensor(self.optimizer.iterations)
        try:
            return super().compute_loss_and_updates(
                *arguments, optimizer_variables=optimizer_variables, **keywords
            )
        finally:
            self._step = None


class _TrainedByTensorFlow(_Trained):
    """Training on one replica, or on several that speak to each other."""

    def train_step(self, data: Any) -> dict[str, Tensor]:
        """One step of gradient descent on a batch of transitions."""
        import tensorflow as tf

        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        with tf.GradientTape() as tape:
            y_pred = self(x, training=True)
            # That of a replica's own rows: the gradients of the replicas are added up.
            loss = self.compute_loss(x, y, y_pred, sample_weight, training=True)
            scaled = self.optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled, self.trainable_variables)
        if isinstance(self.optimizer, keras.optimizers.LossScaleOptimizer):
            gradients = _spoil_everywhere(gradients)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
        return self._results()

    def test_step(self, data: Any) -> dict[str, Tensor]:
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        self.compute_loss(x, y, self(x, training=False), sample_weight, training=False)
        return self._results()

    def _results(self):
        """The metrics; on several machines with an axis, along which Keras joins them."""
        results = self.get_metrics_result()
        if replicas.on_several_machines():
            return {name: ops.reshape(value, (1,)) for name, value in results.items()}
        return results

    def _maybe_symbolic_build(self, *args, **kwargs):
        """Builds the optimizer, of parts that are built; others, and it, are in the first step.

        Keras would call the model for it, and cannot read distributed batches.

        Raises:
            ValueError: For parts that are not built under a strategy of several replicas.
        """
        whole = all(part.built for part in (self.embedding, self.encoder, self.transition))
        if not whole and self.distribute_strategy.num_replicas_in_sync > 1:
            raise ValueError(
                f"{type(self).__name__} needs built parts on several replicas; call it on a batch "
                "of transitions before `fit`."
            )
        if self.optimizer is not None and whole and not self.optimizer.built:
            with self.distribute_strategy.scope():
                self.optimizer.build(self.trainable_variables)


def _refuse(reason, **arguments):
    """Raises a ValueError for arguments that are given and would not be heeded."""
    given = [f"`{name}`" for name, value in arguments.items() if value is not None]
    if given:
        raise ValueError(f"{reason}: {', '.join(given)} cannot be given.")


def _spoil_everywhere(gradients):
    """Makes the gradients of every replica infinite where those of one have overflowed.

    Keras' loss scaling skips a step by the look of the first replica's gradients alone; an overflow
    on another one would reach the weights.
    """
    if replicas.count() == 1:
        return gradients
    finite = [ops.all(ops.isfinite(gradient)) for gradient in gradients]
    overflows = replicas.total(ops.cast(ops.logical_not(ops.all(finite)), "float32"))
    infinite = ops.where(overflows > 0, float("inf"), 0.0)
    return [gradient + ops.cast(infinite, gradient.dtype) for gradient in gradients]


if TYPE_CHECKING:  # which class it is, only a running Keras knows
    TrainedModel = _Trained
else:
    TrainedModel = {"tensorflow": _TrainedByTensorFlow, "jax": _TrainedByJax}.get(
        keras.backend.backend(), _Trained
    )
