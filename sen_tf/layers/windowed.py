"""Windows that are moved over a grid of pixels or voxels, as all convolutions have them."""

from typing import Any

import keras

from sen_tf.groups import FiniteGroup
from sen_tf.layers import arguments
from sen_tf.layers.symmetric_grid import (
    PIXELS,
    Axes,
    check_symmetric_grid,
    output_length,
    symmetric_grid,
)
from sen_tf.tensors import Shape, Tensor


class Windowed(keras.layers.Layer):
    """A layer with the arguments of a convolution, which stand in its config."""

    axes: Axes = PIXELS
    is_dilated = True
    """True if the layer takes a `dilation_rate`."""

    def set_windows(
        self, kernel_size: Any, strides: Any, padding: Any, data_format: Any, dilation_rate: Any = 1
    ) -> None:
        """Keeps the arguments as numbers and texts; a ValueError names the one that is wrong."""
        dimensions = len(self.axes)
        self.kernel_size = arguments.side("kernel_size", kernel_size, dimensions)
        self.strides = arguments.side("strides", strides, dimensions)
        self.padding = arguments.padding(padding)
        self.dilation_rate = arguments.side("dilation_rate", dilation_rate, dimensions)
        self.data_format = arguments.data_format(data_format)
        if self.strides > 1 and self.dilation_rate > 1:
            raise ValueError("`strides` > 1 and `dilation_rate` > 1 cannot be combined.")

    @property
    def window(self) -> int:
        """Pixels that the dilated kernel spans."""
        return (self.kernel_size - 1) * self.dilation_rate + 1

    @property
    def _grid(self) -> tuple[int, int, str]:
        return self.window, self.strides, self.padding

    def check_grid(self, group: FiniteGroup, input_shape: Shape) -> None:
        """Raises a ValueError where windows do not sit symmetrically; for `build`."""
        check_symmetric_grid(self, group, input_shape, *self._grid, axes=self.axes)

    def on_grid(self, group: FiniteGroup, inputs: Tensor) -> Tensor:
        """The inputs, on which windows sit symmetrically; for `call`."""
        return symmetric_grid(self, inputs, group, *self._grid, axes=self.axes)

    def output_size(self, size: Any) -> Any:
        """Rows, columns or slices of the output, from those of the input; None from None."""
        return output_length(size, *self._grid)

    def output_sizes(self, input_shape: Shape) -> list[int | None]:
        """All of them, from the shape of the input."""
        return [self.output_size(size) for size in input_shape[1 : 1 + len(self.axes)]]

    def get_config(self) -> dict[str, Any]:
        names = ["kernel_size", "strides", "padding", "data_format"]
        names += ["dilation_rate"] * self.is_dilated
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
