"""Pooling over the group, and spatial pooling that keeps equivariance."""

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from sen_tf.layers import arguments, output_fields
from sen_tf.layers.inputs import require, settle
from sen_tf.layers.pixelwise import MODES, Pixelwise, PlaneGroup
from sen_tf.layers.plain import plain_call
from sen_tf.layers.symmetric_grid import check_symmetric_grid, symmetric_grid
from sen_tf.tensors import Shape, Tensor

GROUP_MODES = (*MODES, "norm")


def norm(x: Tensor, axis: int) -> Tensor:
    """The 2-norm over an axis, of the dtype of `x`, of gradient 0 at 0."""
    wide = ops.cast(x, keras.backend.result_type(x.dtype, "float32"))
    squares = ops.sum(ops.square(wide), axis=axis)
    # The gradient of the root is infinite at 0, and times 0 not a number.
    zero = ops.cast(ops.equal(squares, 0), squares.dtype)
    return ops.cast(ops.sqrt(squares + zero) - zero, x.dtype)


def maximum(x: Tensor, axis: int | Sequence[int]) -> Tensor:
    """`keras.ops.max` over axes that are not empty, also of an empty batch."""
    if 0 in x.shape:
        return ops.mean(x, axis=axis)  # of the same shape; Keras' maximum on PyTorch has none
    return ops.max(x, axis=axis, initial=-math.inf)  # without, TensorFlow refuses an empty batch


@keras.saving.register_keras_serializable("sen_tf")
class GroupPooling(keras.layers.Layer):
    """Maximum, mean or length over the group axis: from a function on the group to invariants.

    Args:
        mode: `"max"` or `"mean"`; or `"norm"`, the 2-norm, which is invariant too where the axis
            holds irreducible components of SO(2), O(2) or SO(3).

    Input shape: `(batch, ..., |group|, channels)`.

    Output shape: `(batch, ..., channels)`.

    Raises:
        ValueError: If there is no group axis before the channels.

    Reference: Cohen and Welling (2016), section 6.3.
    """

    output_field = output_fields.to_trivial

    def __init__(self, mode: str = "max", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.mode = arguments.choice("mode", mode, GROUP_MODES)

    def build(self, input_shape: Shape) -> None:
        if len(input_shape) < 3 or input_shape[-2] == 0:
            raise ValueError(
                f"GroupPooling `{self.name}` expected an input of shape (batch, ..., |group|, "
                f"channels); received {tuple(input_shape)}."
            )

    def call(self, inputs: Tensor) -> Tensor:
        inputs = settle(self, inputs)
        if inputs.shape[-2] is None and not isinstance(inputs, keras.KerasTensor):
            some = ops.shape(inputs)[-2] > 0
            inputs = require(inputs, some, f"GroupPooling `{self.name}` expected a group axis.")
        if self.mode == "norm":
            return norm(inputs, axis=-2)
        if self.mode == "mean":
            return ops.mean(inputs, axis=-2)
        return maximum(inputs, axis=-2)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape[:-2], input_shape[-1])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "mode": self.mode}


@keras.saving.register_keras_serializable("sen_tf")
class GlobalPooling2D(keras.layers.Layer):
    """Maximum or mean over all pixels: from an image to one vector, or one function on the group.

    It commutes with every group that acts on pixels, whatever the number of rows and columns.

    Args:
        mode: `"mean"` or `"max"`.

    Input shape: `(batch, rows, columns, |group|, channels)`, or `(batch, rows, columns, channels)`.

    Output shape: `(batch, |group|, channels)`, or `(batch, channels)`.

    Raises:
        ValueError: For an input of another rank, or one without pixels.

    Reference: Lin et al., *Network in network* (2014), section 3.2.
    """

    output_field = output_fields.without_pixels

    def __init__(self, mode: str = "mean", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.mode = arguments.choice("mode", mode, MODES)

    def build(self, input_shape: Shape) -> None:
        if len(input_shape) not in (4, 5) or 0 in input_shape[1:3]:
            raise ValueError(f"{self._expected}; received {tuple(input_shape)}.")

    @property
    def _expected(self):
        return (
            f"GlobalPooling2D `{self.name}` expected an input of shape (batch, rows, columns, "
            "channels) or (batch, rows, columns, |group|, channels), with pixels"
        )

    def call(self, inputs: Tensor) -> Tensor:
        x = settle(self, inputs, ranks=(4, 5))
        if 0 in x.shape[1:3]:
            raise ValueError(f"{self._expected}; received {tuple(x.shape)}.")
        if None in x.shape[1:3] and not isinstance(x, keras.KerasTensor):
            rows, columns = ops.shape(x)[1:3]
            x = require(x, rows * columns > 0, f"{self._expected}.")
        if self.mode == "mean":
            return ops.mean(x, axis=(1, 2))
        return maximum(x, axis=(1, 2))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (input_shape[0], *input_shape[3:])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "mode": self.mode}


@keras.saving.register_keras_serializable("sen_tf")
class SpatialPooling2D(Pixelwise):
    """Maximum or mean over square windows of pixels, refused where it would break equivariance.

    Args:
        group: A `FiniteGroup` C_n or D_n, `"SO2"` or `"O2"`, or the name. Elements that map pixels
            to pixels commute exactly; others as far as the sampling of the image allows.
        pool_size: Side of the window in pixels, or the pair of both sides.
        strides: Step of the window in pixels, or the pair of both; `None` means `pool_size`.
        padding: `"valid"` or `"same"`.
        mode: `"max"` or `"mean"`; SO2 and O2 take the mean alone.
        data_format: `"channels_last"`, whatever Keras' own default is.

    Input shape: `(batch, rows, columns, |group|, channels)`, or `(batch, rows, columns, channels)`.

    Output shape: As the input's, with fewer rows and columns.

    Raises:
        ValueError: For a group that does not act on the plane, the axis of another group, and a
            size at which the windows do not sit symmetrically on the image.
    """

    def __init__(
        self,
        group: PlaneGroup,
        pool_size: int | Sequence[int] = 2,
        strides: int | Sequence[int] | None = None,
        padding: str = "valid",
        mode: str = "max",
        data_format: str = "channels_last",
        **kwargs: Any,
    ) -> None:
        super().__init__(group, **kwargs)
        self.pool_size = arguments.side("pool_size", pool_size)
        self.strides = None if strides is None else arguments.side("strides", strides)
        self.padding = arguments.padding(padding)
        self.mode = self.pooling_mode(mode)
        self.data_format = arguments.data_format(data_format)
        pooling = keras.layers.MaxPooling2D if self.mode == "max" else keras.layers.AveragePooling2D
        self._pool = pooling(
            self.pool_size,
            self.strides,
            self.padding,
            data_format=self.data_format,
            dtype=self.dtype_policy,
        )

    @property
    def _grid(self):
        return self.pool_size, self.strides or self.pool_size, self.padding

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        check_symmetric_grid(self, self.on_pixels, input_shape, *self._grid)

    def resample(self, images: Tensor) -> Tensor:
        return self._pool(symmetric_grid(self, images, self.on_pixels, *self._grid))

    def plain_resample(self, images: Tensor) -> Tensor:
        return plain_call(self._pool, images)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        pooled = self._pool.compute_output_shape((*input_shape[:3], 1))
        return (*pooled[:3], *input_shape[3:])

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "pool_size": self.pool_size,
            "strides": self.strides,
            "padding": self.padding,
            "mode": self.mode,
            "data_format": self.data_format,
        }
