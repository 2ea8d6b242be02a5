"""The end of a network on a group: numbers that no element changes, and a dense layer of them."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from sen_tf import groups
from sen_tf.layers import arguments, output_fields
from sen_tf.layers.inner_dense import Dense
from sen_tf.layers.inputs import settle
from sen_tf.layers.plain import constant, plain_call, shape_of
from sen_tf.layers.pooling import maximum, norm
from sen_tf.tensors import Shape, Tensor

HEADS = ("max", "mean", "norm", "bispectrum")


@keras.saving.register_keras_serializable("sen_tf")
class InvariantHead(keras.layers.Layer):
    """Invariants of a function on the group, and a dense layer of them.

    Of each channel x, `"max"`, `"mean"` and `"norm"` keep one number, which forgets the order of
    the elements. `"bispectrum"` keeps as much as can be kept: with the Fourier transform
    `F[k] = sum_h x(h) exp(-2 pi i k h / n) / sqrt(n)` over C_n, the numbers

        F[0] F[0] F*[0],   F[0] F[1] F*[1],   F[1] F[k] F*[k + 1]  for 0 < k < n / 2,

    the last ones' real and imaginary parts: n numbers if n is even, n + 1 if it is odd (C1: one).
    They are equal for two functions without zeros in their transforms if and only if one is a shift
    of the other, where `"norm"` cannot tell a function from its mirror image. Each is divided by
    the squared norm of x, so that they grow as x does and half precision can hold them.

    Args:
        group: A `FiniteGroup` or its name; for `"bispectrum"` one of C1, C2, ...
        units: Number of outputs.
        mode: `"max"`, `"mean"`, `"norm"` (the 2-norm over the group axis, of gradient 0 at 0) or
            `"bispectrum"`.
        activation: Activation of the outputs.
        use_bias, kernel_initializer: As in `keras.layers.Dense`.

    Input shape: `(batch, ..., |group|, channels)`.

    Output shape: `(batch, ..., units)`.

    Raises:
        ValueError: For `"bispectrum"` of a group that is not cyclic, and if the axis before the
            channels is not the group's.

    Example:
        >>> InvariantHead("C8", 10, mode="bispectrum")(keras.ops.ones((2, 8, 16))).shape
        TensorShape([2, 10])

    Reference: Kakarala (2012), *The bispectrum as a source of phase-sensitive invariants*; Mataigne
    et al. (2024), *The selective G-bispectrum and its inversion*.
    """

    output_field = output_fields.to_trivial

    def __init__(
        self,
        group: groups.GroupLike,
        units: int,
        mode: str = "max",
        activation: str | Callable[[Tensor], Tensor] | None = None,
        use_bias: bool = True,
        kernel_initializer: str | keras.Initializer = "glorot_uniform",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.group = groups.get(group)
        self.units = arguments.integer("units", units)
        self.mode = arguments.choice("mode", mode, HEADS)
        if self.mode == "bispectrum" and self.group != groups.cyclic(self.group.order):
            raise ValueError(
                "Expected `group` to be cyclic (C1, C2, ...) with mode='bispectrum'; received "
                f"group={self.group!r}."
            )
        self.activation = keras.activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.dense = Dense(
            self.units,
            self.activation,
            self.use_bias,
            self.kernel_initializer,
            dtype=self.dtype_policy,
            name="dense",
        )

    def build(self, input_shape: Shape) -> None:
        if len(input_shape) < 3 or input_shape[-2] != self.group.order or not input_shape[-1]:
            raise ValueError(
                f"InvariantHead `{self.name}` expected an input of shape (batch, ..., "
                f"{self.group.order}, channels) with the group axis of {self.group} before a known "
                f"number of channels; received {tuple(input_shape)}."
            )
        self._channels = input_shape[-1]
        self.dense.build((*input_shape[:-2], self._count * self._channels))

    @property
    def _count(self):
        """Invariants of a channel."""
        n = self.group.order
        return min(n, 2) + 2 * ((n - 1) // 2) if self.mode == "bispectrum" else 1

    def call(self, inputs: Tensor) -> Tensor:
        sizes = {-2: self.group.order, -1: self._channels}
        return self.dense(self._invariants(settle(self, inputs, sizes)))

    def plain(self, inputs: Tensor) -> Tensor:
        """The invariants and a `Dense` layer; see `layers.plain`."""
        return plain_call(self.dense, self._invariants(inputs))

    def _invariants(self, x):
        """Those of all channels, (batch, ..., count * channels)."""
        if self.mode == "max":
            return maximum(x, axis=-2)
        if self.mode == "mean":
            return ops.mean(x, axis=-2)
        if self.mode == "norm":
            return norm(x, axis=-2)
        wide = ops.cast(x, keras.backend.result_type(x.dtype, "float32"))
        squares = ops.sum(ops.square(wide), axis=-2)
        numbers = [ops.cast(number, x.dtype) for number in _bispectrum(wide, squares)]
        return ops.reshape(
            ops.concatenate(numbers, axis=-1),
            (*shape_of(x)[:-2], self._count * self._channels),
        )

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape[:-2], self.units)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "group": self.group.config,
            "units": self.units,
            "mode": self.mode,
            "activation": keras.activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }


def _bispectrum(x, squares):
    """The numbers of `InvariantHead`, each (batch, ..., channels).

    Those for other k hold nothing more: x, (batch, ..., n, channels), is real, so that
    `F[n - k] = F*[k]`, and the number for n - 1 - k is the one for k.
    """
    n = x.shape[-2]
    last = (n - 1) // 2
    turns = 2 * np.pi / n * np.outer(np.arange(last + 2), np.arange(n))
    real = ops.matmul(constant(np.cos(turns) / np.sqrt(n), x), x)
    imaginary = ops.matmul(constant(-np.sin(turns) / np.sqrt(n), x), x)

    def product(a, b):
        return a[0] * b[0] - a[1] * b[1], a[0] * b[1] + a[1] * b[0]

    f = list(zip(ops.unstack(real, axis=-2), ops.unstack(imaginary, axis=-2), strict=True))
    scale = 1 / (squares + 1e-12)  # 0 gives 0, of gradient 0
    numbers = [f[0][0] ** 3 * scale]
    if n > 1:
        numbers.append(f[0][0] * (f[1][0] ** 2 + f[1][1] ** 2) * scale)
    for k in range(1, last + 1):
        a, b = product(f[1], f[k])
        c, d = f[k + 1]
        numbers += [(a * c + b * d) * scale, (b * c - a * d) * scale]
    return numbers
