"""Group convolutions on pixel grids (Cohen and Welling, 2016).

All three layers run one ordinary convolution with an expanded kernel. With L_g the action of g on
the pixel grid and `*` the cross-correlation that deep learning calls convolution:

- lifting: `y(g) = x * L_g K`
- group to group: `y(g) = sum_h x(h) * L_g K(g^-1 h)`
- projection: `y = sum_h x(h) * L_h K`

The second, where it is wide, is computed as dense layers on the group are. With h q the pixel to
which h moves pixel q of the window, and x(h)[q] the input at q seen from each pixel of the output,

    y(g) = sum_h sum_q x(h)[h q] K(s)[s q],   s = g^-1 h,

a product with a kernel on the group whose channels are those of all q. Taking the patches costs
less than the multiplications it saves; both give the same numbers up to rounding.

They commute exactly with C1, C2, C4, D1, D2 and D4 when the sampled grid maps to itself; a size for
which it does not is refused. For these K may be any array of pixels. For other C_n and D_n it is a
sum of circular harmonics (`groups.harmonics`), which can be turned by any angle before they are
sampled: quarter turns and mirrors stay exact, other angles are so up to the sampling of the image.
"""

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from sen_tf.groups import GroupLike, actions
from sen_tf.layers import output_fields
from sen_tf.layers.block_diagonal import block_diagonal_product
from sen_tf.layers.dilated_conv import conv2d
from sen_tf.layers.expanded_kernel import ExpandedKernel
from sen_tf.layers.inputs import settle
from sen_tf.layers.plain import reshape, with_weights
from sen_tf.layers.turned_kernel import WithTurnedKernel
from sen_tf.tensors import Shape, Tensor


class _GridConv2D(WithTurnedKernel, ExpandedKernel):
    """A convolution whose kernel is expanded by turns and mirrors; see the module."""

    regular_input = True
    output_field = output_fields.to_images_on_group

    def __init__(
        self,
        group: GroupLike,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: str = "valid",
        dilation_rate: int | Sequence[int] = 1,
        data_format: str = "channels_last",
        basis: str = "auto",
        frequencies: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(group, filters, **kwargs)
        self.set_windows(kernel_size, strides, padding, data_format, dilation_rate)
        self.set_turned_kernel(basis, frequencies)
        self._table = self._index_table()

    def _index_table(self):
        """The row of `TurnedKernel` of entry (row, column, h, g) of the expanded kernel."""
        pixels = np.moveaxis(self.turned.places, 0, -1)
        if not self.regular_input:
            return pixels[:, :, None, :]
        if not self.regular_output:
            return pixels[:, :, :, None]
        return self.turned.regular_table(self.group)

    def build(self, input_shape: Shape) -> None:
        if self.regular_input:
            self.check_group_axis(input_shape, rank=5)
        elif len(input_shape) != 4 or not input_shape[-1]:
            raise ValueError(
                f"{type(self).__name__} `{self.name}` expected images of shape (batch, rows, "
                f"columns, channels); received {tuple(input_shape)}."
            )
        self.check_grid(self.group, input_shape)
        order = self.group.order
        positions = self.turned.positions
        if self.regular_input and self.regular_output:
            self.add_kernel((*positions, order), input_shape[-1])
        elif self.regular_input:
            self.add_kernel(positions, input_shape[-1], fan_in=order)
        else:
            self.add_kernel(positions, input_shape[-1], fan_out=order)

    def expand(self, kernel: Tensor) -> Tensor:
        """The kernel of the ordinary convolution: (k, k, |G| channels, |G| filters)."""
        size, _, inputs, outputs = self._table.shape
        channels = kernel.shape[-2]
        kernel = ops.take(self.turned.rows(kernel, self.compute_dtype), self._table, axis=0)
        kernel = ops.transpose(kernel, (0, 1, 2, 4, 3, 5))
        return ops.reshape(kernel, (size, size, inputs * channels, outputs * self.filters))

    def call(self, inputs: Tensor) -> Tensor:
        if self.regular_input:
            inputs = self.settle_on_group(inputs, ranks=(5,))
        else:
            inputs = settle(self, inputs, {-1: self.kernel.shape[-2]}, ranks=(4,))
        return self.activation(self._convolve(self.on_grid(self.group, inputs)))

    def _convolve(self, inputs):
        """The convolution and the bias."""
        shape = ops.shape(inputs)
        if self.regular_input:
            # Convolutions want a number of channels that is known.
            inputs = ops.reshape(inputs, (*shape[:3], math.prod(inputs.shape[3:])))
        inputs = self.turned.prepared(inputs, self.strides)
        x = conv2d(inputs, self.expanded_kernel(), self.strides, self.padding, self.dilation_rate)
        return ops.reshape(self.add_bias(x), self.compute_output_shape(shape))

    def plain(self, inputs: Tensor) -> Tensor:
        """A `Conv2D` with the group among the channels; see `layers.plain`."""
        *grid, order, channels = inputs.shape[1:] if self.regular_input else (*inputs.shape[1:], 1)
        conv = keras.layers.Conv2D(
            self._table.shape[-1] * self.filters,
            self.kernel_size,
            self.strides,
            self.padding,
            data_format=self.data_format,
            dilation_rate=self.dilation_rate,
            **self.plain_arguments(),
        )
        x = reshape(inputs, *grid, order * channels) if self.regular_input else inputs
        x = with_weights(conv, self.plain_weights(), self.turned.prepared(x, self.strides))
        return self.plain_activation(reshape(x, *self.compute_output_shape(inputs.shape)[1:]))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        group = (self.group.order,) if self.regular_output else ()
        return (input_shape[0], *self.output_sizes(input_shape), *group, self.filters)


@keras.saving.register_keras_serializable("sen_tf")
class LiftingConv2D(_GridConv2D):
    """Convolution from an image to a function on the group: `y(g) = x * L_g K`.

    Turning the input by h turns every `y(g)` in the plane and sends it to `y(hg)`.

    Args:
        group: A `FiniteGroup` C_n or D_n, or its name, such as `"C4"` or `"D8"`.
        filters: Number of output channels.
        kernel_size: Side of the square kernel in pixels, odd or even, or the pair of both sides.
        strides: Step of the window in pixels, or the pair of both steps.
        padding: `"valid"` or `"same"`.
        dilation_rate: Distance between the kernel's samples in pixels.
        data_format: `"channels_last"`, whatever Keras' own default is.
        basis: `"pixels"`, kernels of free pixels, for C1, C2, C4, D1, D2 and D4; `"harmonics"`,
            sums of circular harmonics, for all; or `"auto"`, pixels where the group has them. With
            harmonics the image is blurred before a stride leaves pixels out.
        frequencies: A cap on the angular frequencies of harmonics, which the size of the kernel
            bounds already; None for no other.
        **kwargs: `activation`, `use_bias`, `kernel_initializer` and the others of
            `keras.layers.Conv2D`.

    Input shape: `(batch, rows, columns, channels)`.

    Output shape: `(batch, new_rows, new_columns, |group|, filters)`.

    Raises:
        ValueError: For a size at which the windows do not sit symmetrically on the image, so that
            the layer would not commute with the group. The message names a size that does.

    Example:
        >>> layer = LiftingConv2D("C4", filters=16, kernel_size=3, padding="same")
        >>> layer(keras.ops.ones((2, 50, 50, 3))).shape
        TensorShape([2, 50, 50, 4, 16])

    Reference: Cohen and Welling (2016), section 6.
    """

    regular_input = False


@keras.saving.register_keras_serializable("sen_tf")
class GroupConv2D(_GridConv2D):
    """Convolution between functions on the group: `y(g) = sum_h x(h) * L_g K(g^-1 h)`.

    Args:
        group: A `FiniteGroup` C_n or D_n, or its name, such as `"C4"` or `"D8"`.
        filters: Number of output channels.
        kernel_size: Side of the square kernel in pixels, odd or even, or the pair of both sides.
        strides: Step of the window in pixels, or the pair of both steps.
        padding: `"valid"` or `"same"`.
        dilation_rate: Distance between the kernel's samples in pixels.
        data_format: `"channels_last"`, whatever Keras' own default is.
        basis, frequencies: As in `LiftingConv2D`.
        **kwargs: `activation`, `use_bias`, `kernel_initializer` and the others of
            `keras.layers.Conv2D`.

    Input shape: `(batch, rows, columns, |group|, channels)`.

    Output shape: `(batch, new_rows, new_columns, |group|, filters)`.

    Raises:
        ValueError: For a size at which the layer would not commute with the group.

    Reference: Cohen and Welling (2016), equation 11.
    """

    def has_blocks(self, channels: int) -> bool:
        return self.turned.of_pixels and super().has_blocks(channels)

    def _convolve(self, inputs):
        *_, rows, columns, _, channels = inputs.shape
        if None in (rows, columns) or not self.has_blocks(channels):
            return super()._convolve(inputs)
        x = block_diagonal_product(self.group, self._patches(inputs), self._patch_kernel())
        size = (self.output_size(rows), self.output_size(columns))
        shape = (self.group.order, ops.shape(inputs)[0], *size, self.filters)
        return self.add_bias(ops.transpose(ops.reshape(x, shape), (1, 2, 3, 0, 4)))

    def _moved(self):
        """The places h q of the pixels q of the window, (|G|, pixels), numbered row by row."""
        pixels = actions.kernel_indices(self.group, self.kernel_size)
        return pixels[self.group.inverse].reshape(self.group.order, -1)

    def _patches(self, inputs):
        """`x(h)[h q]` at every pixel of the output: (|G|, batch * pixels, window * channels)."""
        x = ops.pad(inputs, [(0, 0), *map(self._zeros, inputs.shape[1:3]), (0, 0), (0, 0)])
        _, rows, columns, order, channels = x.shape
        # One gather, and one scatter for its gradient; slices took five to ten times as long.
        places = self._places(rows, columns)
        x = ops.take(ops.reshape(x, (-1, rows * columns * order, channels)), places, axis=1)
        x = ops.transpose(ops.reshape(x, (-1, order, places[0].size * channels)), (1, 0, 2))
        pixels = ops.shape(inputs)[0] * places.shape[1]
        return ops.reshape(x, (order, pixels, self.kernel_size**2 * channels))

    def _places(self, rows, columns):
        """The place of x(h)[h q] among (row, column, h): (|G|, pixels of the output, window)."""
        starts = [np.arange(0, size - self.window + 1, self.strides) for size in (rows, columns)]
        starts = (starts[0][:, None] * columns + starts[1]).reshape(-1, 1)
        row, column = np.divmod(self._moved()[:, None], self.kernel_size)
        pixels = starts + self.dilation_rate * (row * columns + column)
        return pixels * self.group.order + np.arange(self.group.order)[:, None, None]

    def _zeros(self, size):
        """Rows (or columns) of zeros before and after the image."""
        missing = (self.output_size(size) - 1) * self.strides + self.window - size
        zeros = max(0, missing) if self.padding == "same" else 0
        return zeros // 2, zeros - zeros // 2

    def _patch_kernel(self):
        """`K(s)[s q]`, (|G|, window * channels, filters)."""
        order, channels = self.group.order, self.kernel.shape[-2]
        table = self._moved() * order + np.arange(order)[:, None]
        kernel = ops.cast(self.kernel, self.compute_dtype)
        kernel = ops.take(ops.reshape(kernel, (-1, channels, self.filters)), table, axis=0)
        return ops.reshape(kernel, (order, -1, self.filters))


@keras.saving.register_keras_serializable("sen_tf")
class ProjectionConv2D(_GridConv2D):
    """Convolution from a function on the group to an image: `y = sum_h x(h) * L_h K`.

    The output channels are trivial features: turning the input turns them in the plane and does
    nothing else.

    Args:
        group: A `FiniteGroup` C_n or D_n, or its name, such as `"C4"` or `"D8"`.
        filters: Number of output channels.
        kernel_size: Side of the square kernel in pixels, odd or even, or the pair of both sides.
        strides: Step of the window in pixels, or the pair of both steps.
        padding: `"valid"` or `"same"`.
        dilation_rate: Distance between the kernel's samples in pixels.
        data_format: `"channels_last"`, whatever Keras' own default is.
        basis, frequencies: As in `LiftingConv2D`.
        **kwargs: `activation`, `use_bias`, `kernel_initializer` and the others of
            `keras.layers.Conv2D`.

    Input shape: `(batch, rows, columns, |group|, channels)`.

    Output shape: `(batch, new_rows, new_columns, filters)`.

    Raises:
        ValueError: For a size at which the layer would not commute with the group.
    """

    regular_output = False
    output_field = output_fields.to_images
