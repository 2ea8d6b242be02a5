"""Depthwise convolution of functions on the group: each channel and element by itself."""

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from sen_tf.groups import GroupLike
from sen_tf.layers import arguments, output_fields
from sen_tf.layers.expanded_kernel import GroupKernel
from sen_tf.layers.plain import reshape, with_weights
from sen_tf.layers.symmetric_grid import check_symmetric_grid, output_length, symmetric_grid
from sen_tf.layers.turned_kernel import TurnedKernel
from sen_tf.tensors import Shape, Tensor


@keras.saving.register_keras_serializable("sen_tf")
class DepthwiseGroupConv2D(GroupKernel):
    """Convolution of each channel at each element by itself: `y(g) = x(g) * L_g K`.

    It costs as much as `keras.layers.DepthwiseConv2D` of as many channels. It mixes neither
    channels nor elements of the group; a `GroupDense` after it mixes both.

    Args:
        group: A `FiniteGroup` C_n or D_n, or its name, such as `"C4"` or `"D8"`.
        kernel_size: Side of the square kernel in pixels, odd or even, or the pair of both sides.
        strides: Step of the window in pixels, or the pair of both steps.
        padding: `"valid"` or `"same"`.
        depth_multiplier: Output channels per input channel.
        data_format: `"channels_last"`, whatever Keras' own default is.
        basis, frequencies: As in `LiftingConv2D`.
        **kwargs: `activation`, `use_bias`, `kernel_initializer` and the others of
            `keras.layers.Conv2D`.

    Input shape: `(batch, rows, columns, |group|, channels)`.

    Output shape: `(batch, new_rows, new_columns, |group|, channels * depth_multiplier)`.

    Raises:
        ValueError: For a size at which the layer would not commute with the group.

    Example:
        >>> layer = DepthwiseGroupConv2D("C4", kernel_size=7, padding="same")
        >>> layer(keras.ops.ones((2, 9, 9, 4, 16))).shape
        TensorShape([2, 9, 9, 4, 16])

    Reference: Chollet (2017); Lengyel and van Gemert (2021), section 3.
    """

    output_field = output_fields.keeps_field

    def __init__(
        self,
        group: GroupLike,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: str = "valid",
        depth_multiplier: int = 1,
        data_format: str = "channels_last",
        basis: str = "auto",
        frequencies: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(group, **kwargs)
        self.kernel_size = arguments.side("kernel_size", kernel_size)
        self.strides = arguments.side("strides", strides)
        self.padding = arguments.padding(padding)
        self.depth_multiplier = arguments.integer("depth_multiplier", depth_multiplier)
        self.data_format = arguments.data_format(data_format)
        self._turned = TurnedKernel(self.group, self.kernel_size, basis, frequencies)
        self.basis, self.frequencies = self._turned.basis, self._turned.frequencies

    @property
    def _grid(self):
        return self.kernel_size, self.strides, self.padding

    def build(self, input_shape: Shape) -> None:
        self.check_group_axis(input_shape, rank=5)
        check_symmetric_grid(self, self.group, input_shape, *self._grid)
        channels = input_shape[-1]
        shape = (*self._turned.positions, channels, self.depth_multiplier)

        def initializer(shape, dtype=None):
            # A filter sees one channel.
            wide = (*self._turned.positions, 1, channels * self.depth_multiplier)
            return ops.reshape(self.kernel_initializer(wide, dtype=dtype), shape)

        self.add_kernel_and_bias(shape, channels * self.depth_multiplier, initializer)

    def expand(self, kernel: Tensor) -> Tensor:
        """The kernel of the ordinary depthwise convolution: (k, k, |G| channels, multiplier)."""
        size, channels = self.kernel_size, kernel.shape[-2]
        table = np.moveaxis(self._turned.places, 0, -1)
        kernel = ops.take(self._turned.rows(kernel, self.compute_dtype), table, axis=0)
        shape = (size, size, self.group.order * channels, self.depth_multiplier)
        return ops.reshape(kernel, shape)

    def call(self, inputs: Tensor) -> Tensor:
        inputs = self.settle_on_group(inputs, ranks=(5,))
        inputs = symmetric_grid(self, inputs, self.group, *self._grid)
        shape, fields = ops.shape(inputs), math.prod(inputs.shape[3:])
        x = ops.reshape(inputs, (*shape[:3], fields))
        x = ops.depthwise_conv(
            self._turned.prepared(x, self.strides),
            self.expanded_kernel(),
            strides=self.strides,
            padding=self.padding,
            data_format="channels_last",
        )
        x = self.add_bias(x)
        outputs = inputs.shape[-1] * self.depth_multiplier
        return self.activation(ops.reshape(x, (*ops.shape(x)[:3], self.group.order, outputs)))

    def plain(self, inputs: Tensor) -> Tensor:
        """A `DepthwiseConv2D` with the group among the channels; see `layers.plain`."""
        *grid, order, channels = inputs.shape[1:]
        conv = keras.layers.DepthwiseConv2D(
            self.kernel_size,
            self.strides,
            self.padding,
            self.depth_multiplier,
            data_format=self.data_format,
            **self.plain_arguments(),
        )
        x = self._turned.prepared(reshape(inputs, *grid, order * channels), self.strides)
        x = with_weights(conv, self.plain_weights(), x)
        return reshape(x, *self.compute_output_shape(inputs.shape)[1:])

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        sizes = [output_length(size, *self._grid) for size in input_shape[1:3]]
        channels = input_shape[-1] * self.depth_multiplier
        return (input_shape[0], *sizes, self.group.order, channels)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "depth_multiplier": self.depth_multiplier,
            "data_format": self.data_format,
            "basis": self.basis,
            "frequencies": self.frequencies,
        }
