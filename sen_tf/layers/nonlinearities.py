"""Nonlinearities that commute where features turn: under SO(2), O(2), SO(3) and O(3).

An activation of single numbers commutes on functions on a finite group, whose axis is only
permuted. Components that a rotation mixes need one of these.
"""

import operator
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from sen_tf.groups import circle
from sen_tf.layers import arguments, output_fields
from sen_tf.layers.inner_dense import Dense
from sen_tf.layers.inputs import precise, settle
from sen_tf.layers.irreps_parts import group_name, parts, split_parts
from sen_tf.layers.plain import constant, plain_call
from sen_tf.tensors import Shape, Tensor

Activation = str | Callable[[Tensor], Tensor] | None

SOFTENING = 1e-6
"""Added to the square of a norm, whose gradient then exists at 0."""


class _IrrepsActivation(keras.layers.Layer):
    """A layer that keeps the shape of a direct sum; see the module."""

    output_field = output_fields.keeps_field

    def __init__(
        self,
        activation: Activation = "relu",
        group: circle.Circle | str = "SO3",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.group = group_name(group)
        self.activation = keras.activations.get(activation)

    def build(self, input_shape: Shape) -> None:
        self._parts = parts(self, self.group, input_shape)
        self._built_for = {-2: self._parts[-1].stop, -1: input_shape[-1]}

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "group": self.group,
            "activation": keras.activations.serialize(self.activation),
        }


@keras.saving.register_keras_serializable("sen_tf")
class GatedActivation(_IrrepsActivation):
    """Activated scalars, which also scale all other parts.

    A part that is not trivial is multiplied by a gate in (0, 1), one for each channel and part: a
    sigmoid of a dense layer of the scalars. Numbers that a reflection reverses are no scalars.

    Args:
        activation: Activation of the scalars.
        group: `"SO3"`, `"O3"`, `"SO2"` or `"O2"`.

    Input shape: `(batch, ..., components, channels)`: (L + 1)^2 components for SO3, 2 (L + 1)^2
        for O3, 1 + 2 L for SO2, 2 + 2 L for O2.

    Output shape: The input's.

    Raises:
        ValueError: If the axis before the channels holds no sum of the group.

    Reference: Weiler et al., *3D steerable CNNs* (2018).
    """

    def __init__(self, activation: Activation = "silu", *args: Any, **kwargs: Any) -> None:
        super().__init__(activation, *args, **kwargs)

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        self.gates = [
            Dense(input_shape[-1], "sigmoid", dtype=self.dtype_policy, name=f"gate_{number}")
            for number in range(1, len(self._parts))
        ]
        for gate in self.gates:
            gate.build((*input_shape[:-2], 1, input_shape[-1]))

    def call(self, inputs: Tensor) -> Tensor:
        return self._gated(settle(self, inputs, self._built_for), operator.call)

    def plain(self, inputs: Tensor) -> Tensor:
        """The same with its gates anew; see `layers.plain`."""
        return self._gated(inputs, plain_call)

    def _gated(self, inputs, apply):
        scalars, *others = split_parts(inputs, self._parts)
        outputs = [self.activation(scalars)]
        for x, gate in zip(others, self.gates, strict=True):
            outputs.append(x * apply(gate, scalars))
        return ops.concatenate(outputs, axis=-2)


@keras.saving.register_keras_serializable("sen_tf")
class NormActivation(_IrrepsActivation):
    """Parts scaled by an activation of their length: `v act(|v| + b) / |v|`.

    The scalars become `act(x + b)`. There is a number b for each part and channel, 0 at first. With
    an activation that is positive at 0 lengths near it jump; ReLU and its like are meant.

    Args:
        activation: Activation of lengths and scalars.
        group: `"SO3"`, `"O3"`, `"SO2"` or `"O2"`.

    Input shape: `(batch, ..., components, channels)`, as in `GatedActivation`.

    Output shape: The input's.

    Raises:
        ValueError: If the axis before the channels holds no sum of the group.

    Reference: Worrall et al., *Harmonic networks* (2017), section 4.1.
    """

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        shape = (len(self._parts), input_shape[-1])
        self.bias = self.add_weight(name="bias", shape=shape, initializer="zeros", autocast=False)

    def call(self, inputs: Tensor) -> Tensor:
        inputs = settle(self, inputs, self._built_for)
        return self._scaled(inputs, precise(self, self.bias))

    def plain(self, inputs: Tensor) -> Tensor:
        """The same operations, with the bias as a constant; see `layers.plain`."""
        return self._scaled(inputs, ops.convert_to_numpy(self.bias))

    def _scaled(self, inputs, bias):
        scalars, *others = split_parts(precise(self, inputs), self._parts)
        outputs = [self.activation(scalars + bias[0])]
        for number, x in enumerate(others, start=1):
            length = ops.sqrt(ops.sum(ops.square(x), axis=-2, keepdims=True) + SOFTENING)
            outputs.append(x * (self.activation(length + bias[number]) / length))
        return ops.cast(ops.concatenate(outputs, axis=-2), inputs.dtype)


@keras.saving.register_keras_serializable("sen_tf")
class CircleActivation(_IrrepsActivation):
    """An activation of functions on the circle, sampled at equal angles.

    The trivial part and the frequencies 1 to L are the Fourier coefficients of a function on the
    circle. Its values at `samples` angles are activated, and their coefficients up to L are the
    output. It commutes exactly with turns by multiples of the angle between samples, and with
    others the better the more samples there are. For O(2) the sign, which is no part of such a
    function, is multiplied by a sigmoid of the trivial part.

    Args:
        group: `"SO2"` or `"O2"`.
        activation: Activation of the values.
        samples: Number of angles, a multiple of 4 so that quarter turns are exact; None for
            4 L + 4.

    Input shape: `(batch, ..., components, channels)`: 1 + 2 L components for SO2, 2 + 2 L for O2.

    Output shape: The input's.

    Raises:
        ValueError: If the axis before the channels holds no sum of the group, or there are fewer
            samples than coefficients.

    Example:
        >>> layer = CircleActivation("O2")
        >>> layer(keras.ops.ones((2, 61, 61, 8, 16))).shape
        TensorShape([2, 61, 61, 8, 16])

    Reference: de Haan et al., *Gauge equivariant mesh CNNs* (2021), section 5; Cesa et al. (2022).
    """

    def __init__(
        self,
        group: circle.Circle | str,
        activation: Activation = "relu",
        samples: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(activation, circle.get(group), **kwargs)
        self.samples = samples
        if samples is not None:
            self.samples = arguments.integer("samples", samples, least=4)
            if self.samples % 4:
                raise ValueError(
                    "Expected `samples` to be a multiple of 4, so that quarter turns are exact; "
                    f"received samples={samples}."
                )

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        highest = sum(part.stop - part.start == 2 for part in self._parts)
        samples = 4 * highest + 4 if self.samples is None else self.samples
        if samples < 1 + 2 * highest:
            raise ValueError(
                f"CircleActivation `{self.name}` expected at least {1 + 2 * highest} `samples` for "
                f"frequencies up to {highest}; received samples={samples}."
            )
        angles = 2 * np.pi * np.arange(samples) / samples
        waves = [np.ones(samples)]
        for k in range(1, highest + 1):
            waves += [2**0.5 * np.cos(k * angles), 2**0.5 * np.sin(k * angles)]
        # Rows are orthogonal, and values have the variance that coefficients have in sum.
        self._values = np.stack(waves, axis=1).round(12) + 0.0

    def call(self, inputs: Tensor) -> Tensor:
        inputs = settle(self, inputs, self._built_for)
        to_values = constant(self._values, inputs)
        back = constant(self._values.T / len(self._values), inputs)
        if self.group == "SO2":
            return ops.matmul(back, self.activation(ops.matmul(to_values, inputs)))
        trivial, sign, waves = ops.split(inputs, [1, 2], axis=-2)
        x = ops.concatenate([trivial, waves], axis=-2)
        x = ops.matmul(back, self.activation(ops.matmul(to_values, x)))
        sign = sign * ops.sigmoid(trivial)
        trivial, waves = ops.split(x, [1], axis=-2)
        return ops.concatenate([trivial, sign, waves], axis=-2)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "samples": self.samples}
