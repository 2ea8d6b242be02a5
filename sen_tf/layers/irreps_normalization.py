"""Normalization where features turn: of the length of each part, and the mean of scalars."""

from typing import Any

import keras
import numpy as np
from keras import ops

from sen_tf.distribution import replicas
from sen_tf.groups import circle
from sen_tf.layers import arguments, output_fields
from sen_tf.layers.inputs import precise, settle
from sen_tf.layers.irreps_parts import group_name, parts
from sen_tf.layers.normalization import move_average
from sen_tf.layers.plain import constant
from sen_tf.tensors import Shape, Tensor


class _IrrepsNormalization(keras.layers.Layer):
    """A scale per part and channel, and an offset of the scalars.

    A rotation moves the mean of every other part, which therefore stays.
    """

    output_field = output_fields.keeps_field

    def __init__(self, group: circle.Circle | str, epsilon: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.group = group_name(group)
        self.epsilon = arguments.positive("epsilon", epsilon)

    def build(self, input_shape: Shape) -> None:
        sizes = [part.stop - part.start for part in parts(self, self.group, input_shape)]
        self._part_of = np.repeat(np.arange(len(sizes)), sizes)
        # Means over the components of a part are products with this.
        self._means = (self._part_of == np.arange(len(sizes))[:, None]) / np.array(sizes)[:, None]
        self._channels = input_shape[-1]
        shape = (len(sizes), self._channels)
        self.gamma = self.add_weight(name="gamma", shape=shape, initializer="ones", autocast=False)
        self.beta = self.add_weight(
            name="beta", shape=shape[1:], initializer="zeros", autocast=False
        )

    def _settled(self, inputs):
        """The input, of the shape it was built for, and its numbers in float32 at least."""
        inputs = settle(self, inputs, {-2: len(self._part_of), -1: self._channels})
        return inputs, precise(self, inputs)

    def _power(self, squares):
        """The mean over the components of each part, from (..., components, channels)."""
        return ops.matmul(constant(self._means, squares), squares)

    def _centred(self, x, mean):
        """`x` without the mean of its scalars."""
        return self._offset(x, -mean)

    def _scaled(self, x, power, gamma, beta):
        """Parts of mean square 1 times gamma, and scalars plus beta."""
        scale = ops.take(ops.rsqrt(power + self.epsilon) * gamma, self._part_of, axis=-2)
        return self._offset(x * scale, beta)

    def _offset(self, x, beta):
        """`x` with an offset of its scalars."""
        scalars, others = ops.split(x, [1], axis=-2)
        return ops.concatenate([scalars + beta, others], axis=-2)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "group": self.group, "epsilon": self.epsilon}


@keras.saving.register_keras_serializable("sen_tf")
class IrrepsBatchNormalization(_IrrepsNormalization):
    """Batch normalization of the scalars, and of the mean square length of each other part.

    Under a strategy of several replicas the statistics are those of the global batch.

    Args:
        group: `"SO3"`, `"O3"`, `"SO2"` or `"O2"`.
        momentum: Share of the old moving statistics kept in a training step, in [0, 1).
        epsilon: Added to mean squares.

    Input shape: `(batch, ..., components, channels)`: (L + 1)^2 components for SO3, 2 (L + 1)^2
        for O3, 1 + 2 L for SO2, 2 + 2 L for O2.

    Output shape: The input's.

    Raises:
        ValueError: If the axis before the channels holds no sum of the group.

    Reference: Weiler and Cesa (2019), section 2.7; Ioffe and Szegedy (2015).
    """

    def __init__(
        self,
        group: circle.Circle | str,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        **kwargs: Any,
    ) -> None:
        super().__init__(group, epsilon, **kwargs)
        self.momentum = arguments.share("momentum", momentum)

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        for name, shape, initializer in (
            ("moving_mean", (self._channels,), "zeros"),
            ("moving_power", self.gamma.shape, "ones"),
        ):
            weight = self.add_weight(
                name=name, shape=shape, initializer=initializer, trainable=False, autocast=False
            )
            setattr(self, name, weight)

    def call(self, inputs: Tensor, training: bool | None = False) -> Tensor:
        inputs, x = self._settled(inputs)
        gamma, beta = precise(self, self.gamma), precise(self, self.beta)
        if training and self.trainable:
            # Each replica counts by its rows, which may be none.
            rows = ops.cast(ops.size(x) // (len(self._part_of) * self._channels), x.dtype)
            rows, axes = replicas.total(rows), tuple(range(len(x.shape) - 2))
            count = ops.maximum(rows, 1)
            mean = replicas.total(ops.sum(x[..., 0, :], axis=axes)) / count
            x = self._centred(x, mean)
            power = self._power(replicas.total(ops.sum(ops.square(x), axis=axes)) / count)
            move_average(self.moving_mean, mean, self.momentum, rows)
            move_average(self.moving_power, power, self.momentum, rows)
        else:
            mean, power = (precise(self, w) for w in (self.moving_mean, self.moving_power))
            x = self._centred(x, mean)
        return ops.cast(self._scaled(x, power, gamma, beta), inputs.dtype)

    def plain(self, inputs: Tensor) -> Tensor:
        """The operations of inference, with the statistics as constants; see `layers.plain`."""
        weights = self.gamma, self.beta, self.moving_mean, self.moving_power
        gamma, beta, mean, power = map(ops.convert_to_numpy, weights)
        # In NumPy: what Keras computed of arrays alone would be an input of the graph.
        scale = (gamma / np.sqrt(power + self.epsilon))[self._part_of]
        x = precise(self, inputs)
        x = self._centred(x, constant(mean, x)) * constant(scale, x)
        return ops.cast(self._offset(x, constant(beta, x)), inputs.dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "momentum": self.momentum}


@keras.saving.register_keras_serializable("sen_tf")
class IrrepsLayerNormalization(_IrrepsNormalization):
    """Layer normalization over the channels: of the scalars, and of the lengths of each part.

    Args:
        group: `"SO3"`, `"O3"`, `"SO2"` or `"O2"`.
        epsilon: Added to mean squares.

    Input shape: `(batch, ..., components, channels)`, as in `IrrepsBatchNormalization`.

    Output shape: The input's.

    Raises:
        ValueError: If the axis before the channels holds no sum of the group.

    Reference: Ba et al. (2016); Liao and Smidt (2023), section 4.2.
    """

    def __init__(self, group: circle.Circle | str, epsilon: float = 1e-3, **kwargs: Any) -> None:
        super().__init__(group, epsilon, **kwargs)

    def call(self, inputs: Tensor) -> Tensor:
        inputs, x = self._settled(inputs)
        gamma, beta = precise(self, self.gamma), precise(self, self.beta)
        return ops.cast(self._normalized(x, gamma, beta), inputs.dtype)

    def plain(self, inputs: Tensor) -> Tensor:
        """The same operations, with the weights as constants; see `layers.plain`."""
        x = precise(self, inputs)
        weights = (constant(ops.convert_to_numpy(w), x) for w in (self.gamma, self.beta))
        return ops.cast(self._normalized(x, *weights), inputs.dtype)

    def _normalized(self, x, gamma, beta):
        x = self._centred(x, ops.mean(x[..., :1, :], axis=-1, keepdims=True))
        squares = ops.mean(ops.square(x), axis=-1, keepdims=True)
        return self._scaled(x, self._power(squares), gamma, beta)
