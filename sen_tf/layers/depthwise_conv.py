"""Depthwise convolution of functions on the group: each channel and element by itself."""

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from sen_tf.groups import GroupLike
from sen_tf.layers import arguments, output_fields
from sen_tf.layers.dilated_conv import of_any_batch
from sen_tf.layers.expanded_kernel import GroupKernel
from sen_tf.layers.plain import reshape, with_weights
from sen_tf.layers.turned_kernel import WithTurnedKernel
from sen_tf.tensors import Shape, Tensor


@keras.saving.register_keras_serializable("sen_tf")
class DepthwiseGroupConv2D(WithTurnedKernel, GroupKernel):
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
    is_dilated = False

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
        self.set_windows(kernel_size, strides, padding, data_format)
        self.set_turned_kernel(basis, frequencies)
        self.depth_multiplier = arguments.integer("depth_multiplier", depth_multiplier)

    def build(self, input_shape: Shape) -> None:
        self.check_group_axis(input_shape, rank=5)
        self.check_grid(self.group, input_shape)
        channels = input_shape[-1]
        shape = (*self.turned.positions, channels, self.depth_multiplier)

        def initializer(shape, dtype=None):
            # A filter sees one channel.
            wide = (*self.turned.positions, 1, channels * self.depth_multiplier)
            return ops.reshape(self.kernel_initializer(wide, dtype=dtype), shape)

        self.add_kernel_and_bias(shape, channels * self.depth_multiplier, initializer)

    def expand(self, kernel: Tensor) -> Tensor:
        """The kernel of the ordinary depthwise convolution: (k, k, |G| channels, multiplier)."""
        size, channels = self.kernel_size, kernel.shape[-2]
        table = np.moveaxis(self.turned.places, 0, -1)
        kernel = ops.take(self.turned.rows(kernel, self.compute_dtype), table, axis=0)
        shape = (size, size, self.group.order * channels, self.depth_multiplier)
        return ops.reshape(kernel, shape)

    def call(self, inputs: Tensor) -> Tensor:
        inputs = self.on_grid(self.group, self.settle_on_group(inputs, ranks=(5,)))
        shape, fields = ops.shape(inputs), math.prod(inputs.shape[3:])
        x = ops.reshape(inputs, (*shape[:3], fields))
        x = of_any_batch(self._convolve, self.turned.prepared(x, self.strides))
        x = ops.reshape(self.add_bias(x), self.compute_output_shape(shape))
        return self.activation(x)

    def _convolve(self, images):
        return ops.depthwise_conv(
            images,
            self.expanded_kernel(),
            strides=self.strides,
            padding=self.padding,
            data_format="channels_last",
        )

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
        x = self.turned.prepared(reshape(inputs, *grid, order * channels), self.strides)
        x = with_weights(conv, self.plain_weights(), x)
        return self.plain_activation(reshape(x, *self.compute_output_shape(inputs.shape)[1:]))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        channels = input_shape[-1] * self.depth_multiplier
        return (input_shape[0], *self.output_sizes(input_shape), self.group.order, channels)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "depth_multiplier": self.depth_multiplier}
