"""Fewer pixels without aliasing, and more pixels: exact for quarter turns and mirrors."""

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from sen_tf.layers import arguments
from sen_tf.layers.inputs import require
from sen_tf.layers.pixelwise import Pixelwise, PlaneGroup
from sen_tf.tensors import Shape, Tensor

INTERPOLATIONS = ("bilinear", "nearest")


@keras.saving.register_keras_serializable("sen_tf")
class AntialiasedPooling2D(Pixelwise):
    """Maximum or mean over windows at every pixel, blurred before pixels are left out.

    Ordinary pooling keeps one window in `pool_size` and leaves out what the others hold, so that an
    image moved by one pixel gives other numbers. Here the windows of `pool_size` pixels move by one
    pixel, a binomial blur follows, and of that every `pool_size`-th pixel is kept.

    The blur has `2 pool_size - 1` taps in a direction, or the next number with which the sampling
    grid sits symmetrically on the image: 3 for an even number of pixels ([1 2 1] / 4) and 4 for an
    odd one ([1 3 3 1] / 8), when `pool_size` is 2. A window of two has moved the grid by half a
    pixel, and it is the number of taps that moves it back or not. With a filter of one length half
    of all sizes would break the symmetry; this way none does.

    Args:
        group: As in `SpatialPooling2D`.
        pool_size: Side of the window in pixels, which is also the distance between the pixels that
            are kept; or the pair of both sides.
        mode: `"max"` or `"mean"`.
        padding: `"valid"`, by which the taps lie on the image, or `"same"`, which gives
            ceil(pixels / pool_size) pixels. Then taps beyond the border are left out and the others
            weighted up, so that the border is no darker.

    Input shape: `(batch, rows, columns, |group|, channels)`, or `(batch, rows, columns, channels)`.

    Output shape: As the input's, with fewer rows and columns: of 8 or 9 pixels `pool_size=2` leaves
    3 with `"valid"`, and 4 or 5 with `"same"`.

    Raises:
        ValueError: For a group that does not act on pixels, the axis of another group, and fewer
            pixels than `3 pool_size - 2` with `"valid"` or `pool_size` with `"same"`.

    Reference: Zhang, *Making convolutional networks shift-invariant again* (2019).
    """

    def __init__(
        self,
        group: PlaneGroup,
        pool_size: int | Sequence[int] = 2,
        mode: str = "max",
        padding: str = "valid",
        **kwargs: Any,
    ) -> None:
        super().__init__(group, **kwargs)
        self.pool_size = arguments.side("pool_size", pool_size)
        self.mode = self.pooling_mode(mode)
        self.padding = arguments.padding(padding)

    @property
    def _least(self):
        return self.pool_size if self.padding == "same" else 3 * self.pool_size - 2

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        self._check_sizes(input_shape)

    def _check_sizes(self, shape):
        for size, what in zip(shape[1:3], ("rows", "columns"), strict=True):
            if size is not None and size < self._least:
                raise ValueError(f"{self._expected(what)}; received {size}.")

    def _expected(self, what):
        return (
            f"AntialiasedPooling2D `{self.name}` expected at least {self._least} {what}, for "
            f"windows of {self.pool_size} pixels and padding '{self.padding}'"
        )

    def resample(self, images: Tensor) -> Tensor:
        self._check_sizes(images.shape)
        sizes = ops.shape(images)[1:3]
        for known, size, what in zip(images.shape[1:3], sizes, ("rows", "columns"), strict=True):
            if known is None:
                images = require(images, size >= self._least, f"{self._expected(what)}.")
        if self.pool_size == 1:
            return images
        x = (_maximum if self.mode == "max" else _mean)(images, self.pool_size)
        extra, zeros = zip(*map(self._filter, sizes), strict=True)
        if self.padding == "valid":
            return self._blur(x, extra)
        zeros = ((0, 0), *((number, number) for number in zeros), (0, 0))
        share = self._blur(ops.pad(ops.ones_like(x[:1, :, :, :1]), zeros), extra)
        return self._blur(ops.pad(x, zeros), extra) / share

    def _filter(self, size):
        """Taps beyond `2 pool_size - 1`, and zeros on both sides, for a number or a tensor of one.

        Windows and taps span `3 pool_size - 2 + extra` pixels, which with `"valid"` must leave a
        multiple of `pool_size`, and with `"same"` an even number of zeros.
        """
        if self.padding == "valid":
            return (size + 2) % self.pool_size, 0
        lacking = -size % self.pool_size
        extra = lacking % 2
        return extra, (lacking + extra) // 2 + self.pool_size - 1

    def _blur(self, x, extra):
        """The binomial filter with so many taps more in each direction, at every kept pixel.

        A filter of n taps is n - 1 means of two neighbours. Of 16 images of 64 x 64 pixels and 64
        channels, forward and backward on one CPU core, `ops.max_pool` and means took 19 ms in
        float32 and 11 in bfloat16, with a convolution of each channel in place of the means 17 and
        38, with sums of slices 311 and 221.
        """
        for _ in range(2 * self.pool_size - 3):
            x = _mean(x, 2)
        most = self.pool_size if self.padding == "valid" else 2
        for window, number in zip(((2, 1), (1, 2)), extra, strict=True):
            for k in range(1, most):
                x = _mean_if(number >= k, x, window)
        return _mean(x, 2, self.pool_size)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (input_shape[0], *map(self._length, input_shape[1:3]), *input_shape[3:])

    def _length(self, size):
        if size is None:
            return None
        if self.padding == "same":
            return -(-size // self.pool_size)
        return (size - self._least) // self.pool_size + 1

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "pool_size": self.pool_size,
            "mode": self.mode,
            "padding": self.padding,
        }


def _maximum(x, size):
    """The maximum over windows that move by one pixel; NaN where there is one."""
    largest = ops.max_pool(x, size, 1, "valid", data_format="channels_last")
    if keras.backend.backend() != "tensorflow" or isinstance(x, keras.KerasTensor):
        return largest
    # TensorFlow's kernel for CPUs leaves NaN out. Looking for it doubles the layer's time, which
    # stays below that of a 3 x 3 convolution of the same images.
    missing = ops.cast(ops.isnan(x), x.dtype)
    missing = ops.max_pool(missing, size, 1, "valid", data_format="channels_last")
    return ops.where(missing > 0, ops.cast(math.nan, x.dtype), largest)


def _mean(x, window, stride=1):
    return ops.average_pool(x, window, stride, "valid", data_format="channels_last")


def _mean_if(condition, x, window):
    """The mean over windows if a condition holds, else `x`."""
    if isinstance(condition, bool):
        return _mean(x, window) if condition else x
    return ops.cond(condition, lambda: _mean(x, window), lambda: x)


@keras.saving.register_keras_serializable("sen_tf")
class SpatialUpSampling2D(Pixelwise):
    """Images with `size` times as many rows and columns, at half-pixel centres.

    A new pixel lies where it covers its share of an old one, so that turning the image turns the
    new one exactly, for every size.

    Args:
        group: As in `SpatialPooling2D`.
        size: Factor, or the pair of both factors, which must be equal.
        interpolation: `"bilinear"`, by which the outermost pixels go on beyond the border, or
            `"nearest"`, which repeats pixels.

    Input shape: `(batch, rows, columns, |group|, channels)`, or `(batch, rows, columns, channels)`.

    Output shape: As the input's, with `size` times the rows and columns.

    Raises:
        ValueError: For a group that does not act on pixels, and for the axis of another group.
    """

    def __init__(
        self,
        group: PlaneGroup,
        size: int | Sequence[int] = 2,
        interpolation: str = "bilinear",
        **kwargs: Any,
    ) -> None:
        super().__init__(group, **kwargs)
        self.size = arguments.side("size", size)
        self.interpolation = arguments.choice("interpolation", interpolation, INTERPOLATIONS)

    def resample(self, images: Tensor) -> Tensor:
        """Pixels repeated, and for `"bilinear"` their means over windows of `size` pixels.

        `keras.ops.image.resize` takes no sizes that a graph does not know, gives other numbers
        when TensorFlow 2.21 compiles it for a factor of 3, and on JAX carries NaN along whole rows
        and columns. Forward and backward of 16 images of 32 x 32 pixels and 64 channels on one CPU
        core it took 8 ms in float32 and 30 in bfloat16, and this 30 in both.
        """
        if self.interpolation == "nearest":
            return ops.repeat(ops.repeat(images, self.size, axis=1), self.size, axis=2)
        x = self._wider(images, images[:, :1], images[:, -1:], axis=1)
        x = self._wider(x, x[:, :, :1], x[:, :, -1:], axis=2)
        x = _mean(x, self.size)
        return x if self.size % 2 else _mean(x, 2)

    def _wider(self, x, first, last, axis):
        """Pixels repeated, the outermost ones by half as many more."""
        beyond = self.size // 2
        parts = [(first, beyond), (x, self.size), (last, beyond)]
        return ops.concatenate([ops.repeat(part, n, axis=axis) for part, n in parts if n], axis)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        grid = (None if size is None else size * self.size for size in input_shape[1:3])
        return (input_shape[0], *grid, *input_shape[3:])

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "size": self.size,
            "interpolation": self.interpolation,
        }
