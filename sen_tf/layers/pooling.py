"""Pooling over the group, and spatial pooling that keeps equivariance."""

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

from sen_tf.layers import arguments, output_fields
from sen_tf.layers.inputs import require, settle
from sen_tf.layers.pixelwise import MODES, Pixelwise, PlaneGroup, Voxelwise
from sen_tf.layers.plain import plain_call, shape_of
from sen_tf.layers.symmetric_grid import (
    PIXELS,
    VOXELS,
    Axes,
    check_symmetric_grid,
    symmetric_grid,
)
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
        ValueError: If there are fewer than three axes. An image has as many as a field on the
            group: its columns would be pooled.

    Reference: Cohen and Welling (2016), section 6.3.
    """

    output_field = output_fields.to_trivial

    def __init__(self, mode: str = "max", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.mode = arguments.choice("mode", mode, GROUP_MODES)

    def build(self, input_shape: Shape) -> None:
        self._check(input_shape)

    def _check(self, input_shape):
        """Raises a ValueError unless there is a group axis."""
        if len(input_shape) < 3 or input_shape[-2] == 0:
            raise ValueError(
                f"GroupPooling `{self.name}` expected an input of shape (batch, ..., |group|, "
                f"channels); received {tuple(input_shape)}."
            )

    def call(self, inputs: Tensor) -> Tensor:
        inputs = settle(self, inputs)
        self._check(inputs.shape)  # later inputs may have other shapes
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


class _GlobalPooling(keras.layers.Layer):
    """A layer that joins all pixels or voxels; see `GlobalPooling2D`."""

    output_field = output_fields.without_places
    axes: Axes = PIXELS

    def __init__(self, mode: str = "mean", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.mode = arguments.choice("mode", mode, MODES)

    @property
    def _grid_axes(self):
        return tuple(range(1, 1 + len(self.axes)))

    @property
    def _ranks(self):
        return len(self.axes) + 2, len(self.axes) + 3

    def build(self, input_shape: Shape) -> None:
        if len(input_shape) not in self._ranks or self._is_empty(input_shape):
            raise ValueError(f"{self._expected}; received {tuple(input_shape)}.")

    def _is_empty(self, shape):
        return any(shape[axis] == 0 for axis in self._grid_axes)

    @property
    def _expected(self):
        grid, unit = ", ".join(("batch", *self.axes)), "pixels" if len(self.axes) == 2 else "voxels"
        axis = "|group|" if len(self.axes) == 2 else "parts"
        return (
            f"{type(self).__name__} `{self.name}` expected an input of shape ({grid}, "
            f"channels) or ({grid}, {axis}, channels), with {unit}"
        )

    def call(self, inputs: Tensor) -> Tensor:
        x = settle(self, inputs, ranks=self._ranks)
        if self._is_empty(x.shape):
            raise ValueError(f"{self._expected}; received {tuple(x.shape)}.")
        sizes = [ops.shape(x)[axis] for axis in self._grid_axes]
        if None in x.shape[1 : 1 + len(sizes)] and not isinstance(x, keras.KerasTensor):
            x = require(x, math.prod(sizes) > 0, f"{self._expected}.")
        if self.mode == "mean":
            return ops.mean(x, axis=self._grid_axes)
        return maximum(x, axis=self._grid_axes)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (input_shape[0], *input_shape[1 + len(self.axes) :])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "mode": self.mode}


@keras.saving.register_keras_serializable("sen_tf")
class GlobalPooling2D(_GlobalPooling):
    """Maximum or mean over all pixels: from an image to one vector, or one function on the group.

    It commutes with every group that acts on pixels, whatever the number of rows and columns. On
    frequencies, whose parts a turn mixes, the mean does, and the maximum does not.

    Args:
        mode: `"mean"` or `"max"`.

    Input shape: `(batch, rows, columns, |group|, channels)`, or `(batch, rows, columns, channels)`.

    Output shape: `(batch, |group|, channels)`, or `(batch, channels)`.

    Raises:
        ValueError: For an input of another rank, or one without pixels.

    Reference: Lin et al., *Network in network* (2014), section 3.2.
    """


@keras.saving.register_keras_serializable("sen_tf")
class GlobalPooling3D(_GlobalPooling):
    """Maximum or mean over all voxels: from a volume to one vector, or one function on parts.

    It commutes with every group that acts on voxels, whatever the size of the volume. `"mean"`
    serves irreducible components too, whose maximum has no meaning.

    Args:
        mode: `"mean"` or `"max"`.

    Input shape: `(batch, rows, columns, slices, parts, channels)`, or `(batch, rows, columns,
        slices, channels)`.

    Output shape: `(batch, parts, channels)`, or `(batch, channels)`.

    Raises:
        ValueError: For an input of another rank, or one without voxels.

    Reference: Lin et al., *Network in network* (2014), section 3.2.
    """

    axes = VOXELS


class _SpatialPooling(Pixelwise):
    """A layer that joins the pixels or voxels of windows; see `SpatialPooling2D`."""

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
        dimensions = len(self.axes)
        self.pool_size = arguments.side("pool_size", pool_size, dimensions)
        self.strides = None if strides is None else arguments.side("strides", strides, dimensions)
        self.padding = arguments.padding(padding)
        self.mode = self.pooling_mode(mode)
        self.data_format = arguments.data_format(data_format)
        name = "MaxPooling" if self.mode == "max" else "AveragePooling"
        self._pool = getattr(keras.layers, f"{name}{dimensions}D")(
            self.pool_size,
            self.strides,
            self.padding,
            data_format=self.data_format,
            dtype=self._pool_dtype,
        )

    @property
    def _pool_dtype(self):
        return self.dtype_policy

    @property
    def _grid(self) -> tuple[int, int, str]:
        return self.pool_size, self.strides or self.pool_size, self.padding

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        check_symmetric_grid(self, self.on_pixels, input_shape, *self._grid, axes=self.axes)

    def resample(self, images: Tensor) -> Tensor:
        x = symmetric_grid(self, images, self.on_pixels, *self._grid, axes=self.axes)
        return ops.cast(self.pooled(x, operator.call), images.dtype)

    def plain_resample(self, images: Tensor) -> Tensor:
        return ops.cast(self.pooled(images, plain_call), images.dtype)

    def pooled(self, images: Tensor, apply: Callable[..., Tensor]) -> Tensor:
        """The windows of images or volumes, joined by a layer of Keras that `apply` applies."""
        return apply(self._pool, images)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        grid = 1 + len(self.axes)
        pooled = self._pool.compute_output_shape((*input_shape[:grid], 1))
        return (*pooled[:grid], *input_shape[grid:])

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "pool_size": self.pool_size,
            "strides": self.strides,
            "padding": self.padding,
            "mode": self.mode,
            "data_format": self.data_format,
        }


@keras.saving.register_keras_serializable("sen_tf")
class SpatialPooling2D(_SpatialPooling):
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


@keras.saving.register_keras_serializable("sen_tf")
class SpatialPooling3D(Voxelwise, _SpatialPooling):
    """Maximum or mean over cubes of voxels, refused where it would break equivariance.

    Windows need to sit symmetrically along those axes alone that the group reverses: C4 and D4,
    which turn about the z axis and mirror columns, leave slices free.

    Args:
        group: A group that acts on voxels, or its name; see `LiftingConv3D`. With `mode="mean"`
            `"O"` serves the features of `IrrepsConv3D` too, whose maximum has no meaning.
        pool_size: Side of the window in voxels, or all three.
        strides: Step of the window in voxels, or all three; `None` means `pool_size`.
        padding: `"valid"` or `"same"`.
        mode: `"max"` or `"mean"`.
        data_format: `"channels_last"`, whatever Keras' own default is.

    Input shape: `(batch, rows, columns, slices, parts, channels)`, functions on any parts that the
        group permutes, or `(batch, rows, columns, slices, channels)`.

    Output shape: As the input's, with fewer rows, columns and slices.

    Raises:
        ValueError: For a group that does not act on voxels, an input of another rank, and a size at
            which the windows do not sit symmetrically on the volume.

    Example:
        >>> on_faces = keras.ops.ones((1, 6, 6, 6, 6, 4))
        >>> SpatialPooling3D("O")(on_faces).shape
        TensorShape([1, 3, 3, 3, 6, 4])

    Reference: Winkels and Cohen, *3D G-CNNs for pulmonary nodule detection* (2018).
    """

    @property
    def _pool_dtype(self):
        # TensorFlow and PyTorch cannot pool volumes of half precision on a CPU.
        return keras.backend.result_type(self.compute_dtype, "float32")

    def pooled(self, images: Tensor, apply: Callable[..., Tensor]) -> Tensor:
        # Nor can TensorFlow pool those of double precision there.
        if keras.backend.backend() == "tensorflow" and self._pool_dtype == "float64":
            return self._pooled_as_images(images)
        return super().pooled(images, apply)

    def _pooled_as_images(self, volumes):
        """Windows of rows and columns joined, and then slices: with the border, it is the same.

        What padding leaves of a window is a box too, whose mean is that of the means of its slices.
        """
        pool = ops.max_pool if self.mode == "max" else ops.average_pool
        size, stride, padding = self._grid
        _, rows, columns, slices, channels = shape_of(volumes)
        x = ops.reshape(volumes, (-1, rows, columns, slices * channels))
        x = pool(x, size, stride, padding, data_format="channels_last")
        _, rows, columns, _ = shape_of(x)
        x = ops.reshape(x, (-1, rows * columns, slices, channels))
        x = pool(x, (1, size), (1, stride), padding, data_format="channels_last")
        return ops.reshape(x, (-1, rows, columns, shape_of(x)[2], channels))
