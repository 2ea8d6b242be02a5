"""Transposed group convolution: the adjoint of `GroupConv2D`, which spreads pixels out."""

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from sen_tf.groups import GroupLike
from sen_tf.layers import arguments, output_fields
from sen_tf.layers.expanded_kernel import ExpandedKernel
from sen_tf.layers.plain import reshape, with_weights
from sen_tf.layers.turned_kernel import WithTurnedKernel
from sen_tf.tensors import Shape, Tensor


@keras.saving.register_keras_serializable("sen_tf")
class GroupConvTranspose2D(WithTurnedKernel, ExpandedKernel):
    """Transposed convolution between functions on the group, to images of more pixels.

    Each pixel p of x(h) adds `L_g K(g^-1 h)`, times its value, to a window of y(g) that begins at
    pixel `strides * p`. What is cut off to reach the size of the output is cut off from both sides
    alike, so that there is no size of the input that breaks the symmetry.

    Args:
        group: A `FiniteGroup` C_n or D_n, or its name, such as `"C4"` or `"D8"`.
        filters: Number of output channels.
        kernel_size: Side of the square kernel in pixels, or the pair of both sides; at least the
            strides, so that windows leave no gap.
        strides: Step from window to window in pixels, or the pair of both steps.
        padding: `"valid"`, all that windows cover: `(size - 1) * strides + kernel_size` pixels; or
            `"same"`, `size * strides` pixels, which wants a kernel size that is odd where the
            strides are odd and even where they are even.
        output_padding: With `"same"`, as in `keras.layers.Conv2DTranspose`: the size becomes
            `(size - 1) * strides + kernel_size % 2 + output_padding`, as 0 with a kernel of 3 and
            strides of 2 makes 2 n - 1 pixels of n. None for `size * strides`.
        data_format: `"channels_last"`, whatever Keras' own default is.
        basis, frequencies: As in `LiftingConv2D`.
        **kwargs: `activation`, `use_bias`, `kernel_initializer` and the others of
            `keras.layers.Conv2D`.

    Input shape: `(batch, rows, columns, |group|, channels)`.

    Output shape: `(batch, new_rows, new_columns, |group|, filters)`.

    Raises:
        ValueError: For sizes that cannot be reached by cutting off both sides alike.

    Example:
        >>> layer = GroupConvTranspose2D("C4", 8, kernel_size=4, strides=2, padding="same")
        >>> layer(keras.ops.ones((2, 9, 9, 4, 16))).shape
        TensorShape([2, 18, 18, 4, 8])

    Reference: Dumoulin and Visin (2016), section 4; Cohen and Welling (2016), equation 11.
    """

    output_field = output_fields.to_images_on_group
    is_dilated = False

    def __init__(
        self,
        group: GroupLike,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: str = "valid",
        output_padding: int | None = None,
        data_format: str = "channels_last",
        basis: str = "auto",
        frequencies: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(group, filters, **kwargs)
        self.set_windows(kernel_size, strides, padding, data_format)
        self.set_turned_kernel(basis, frequencies)
        self.output_padding = output_padding
        if output_padding is not None:
            self.output_padding = arguments.integer("output_padding", output_padding, least=0)
        self._cut = self._cut_off()

    def _cut_off(self):
        """Pixels beyond the output at both sides together."""
        if self.kernel_size < self.strides:
            raise ValueError(
                "Expected `kernel_size` to be at least the strides, so that windows leave no gap; "
                f"received kernel_size={self.kernel_size}, strides={self.strides}."
            )
        if self.padding == "valid":
            if self.output_padding is not None:
                raise ValueError(
                    "Expected `output_padding` to be None with padding='valid', which leaves all "
                    f"that windows cover; received output_padding={self.output_padding}."
                )
            return 0
        cut = self.kernel_size - self.strides
        if self.output_padding is not None:
            cut = 2 * (self.kernel_size // 2) - self.output_padding
        if cut < 0:
            raise ValueError(
                f"Expected `output_padding` to be at most {2 * (self.kernel_size // 2)}, all that "
                f"windows cover; received output_padding={self.output_padding}."
            )
        if cut % 2 and self.group.order > 1:
            raise ValueError(
                f"{type(self).__name__} `{self.name}` does not commute with {self.group}: of all "
                f"that its windows cover {cut} pixels would have to be cut off, which cannot be "
                f"done at both sides alike. {self._fix()}"
            )
        return cut

    def _fix(self):
        if self.output_padding is None:
            return f"Use kernel_size={self.kernel_size + 1}, output_padding=0 or padding='valid'."
        return f"Use output_padding={2 * (self.output_padding // 2)} or padding='valid'."

    def build(self, input_shape: Shape) -> None:
        self.check_group_axis(input_shape, rank=5)
        self.add_kernel((*self.turned.positions, self.group.order), input_shape[-1])

    def expand(self, kernel: Tensor) -> Tensor:
        """The kernel of the ordinary layer: (k, k, |G| filters, |G| channels)."""
        size, order = self.kernel_size, self.group.order
        table = self.turned.regular_table(self.group)
        kernel = ops.take(self.turned.rows(kernel, self.compute_dtype), table, axis=0)
        kernel = ops.transpose(kernel, (0, 1, 3, 5, 2, 4))  # (k, k, g, filters, h, channels)
        return ops.reshape(kernel, (size, size, order * self.filters, -1))

    def call(self, inputs: Tensor) -> Tensor:
        inputs = self.settle_on_group(inputs, ranks=(5,))
        shape = ops.shape(inputs)
        x = ops.conv_transpose(
            ops.reshape(inputs, (*shape[:3], math.prod(inputs.shape[3:]))),
            self.expanded_kernel(),
            strides=self.strides,
            padding="valid",
            data_format="channels_last",
        )
        x = self.add_bias(self._trimmed(x))
        x = ops.reshape(x, (*ops.shape(x)[:3], self.group.order, self.filters))
        return self.activation(x)

    def _trimmed(self, x):
        """Images without the pixels that are cut off."""
        begin = self._cut // 2
        inside = slice(begin, (begin - self._cut) or None)
        return x[:, inside, inside]

    def plain(self, inputs: Tensor) -> Tensor:
        """A `Conv2DTranspose` with the group among the channels; see `layers.plain`."""
        *grid, order, channels = inputs.shape[1:]
        conv = keras.layers.Conv2DTranspose(
            order * self.filters,
            self.kernel_size,
            self.strides,
            "valid",
            data_format=self.data_format,
            **self.plain_arguments(),
        )
        x = with_weights(conv, self.plain_weights(), reshape(inputs, *grid, order * channels))
        x = reshape(self._trimmed(x), *self.compute_output_shape(inputs.shape)[1:])
        return self.plain_activation(x)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        beyond = self.kernel_size - self.strides - self._cut
        sizes = [size and size * self.strides + beyond for size in input_shape[1:3]]
        return (input_shape[0], *sizes, self.group.order, self.filters)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "output_padding": self.output_padding}
