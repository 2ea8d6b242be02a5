"""Convolutions that commute with SO(2) or O(2), every angle, as far as pixels allow."""

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from sen_tf.groups import circle, finite
from sen_tf.layers import arguments, output_fields
from sen_tf.layers.bias import add_bias
from sen_tf.layers.blurring import blurred
from sen_tf.layers.dilated_conv import conv2d
from sen_tf.layers.expanded_kernel import KernelAndBias
from sen_tf.layers.inputs import settle
from sen_tf.layers.plain import reshape, with_weights
from sen_tf.layers.windowed import Windowed
from sen_tf.tensors import Shape, Tensor


@keras.saving.register_keras_serializable("sen_tf")
class CircleConv2D(Windowed, KernelAndBias):
    """Convolution whose output channels turn as functions on the circle, up to a frequency.

    An output channel holds, at each pixel, one part of each frequency from 0 to L on the axis
    before the channels: the trivial number, for O(2) that which mirrors negate, and pairs of
    cosine and sine. Turning the image by any angle turns the pixels, and the pair of frequency k
    by k times the angle. Quarter turns (and mirrors) are exact, other angles are so up to the
    sampling of the image. From images alone the component that mirrors negate is 0: it needs pairs,
    as the next layer has them. An activation of single numbers would break the symmetry;
    `CircleActivation`, `GatedActivation` and `NormActivation` do not.

    Args:
        group: `"SO2"` or `"O2"`.
        filters: Number of output channels.
        kernel_size: Side of the square kernel in pixels, odd or even, or the pair of both sides.
        frequencies: L, the highest frequency of the output. From frequency k a kernel reaches
            those up to k + q, of q = 1 for a side of 2 pixels, 2 for 3 or 4, and beyond that the
            side less 3: higher ones are 0, such as the third of images at a side of 5.
        strides: Step of the window in pixels, or the pair of both steps. Above 1 the image is
            blurred before pixels are left out.
        padding: `"valid"` or `"same"`.
        dilation_rate: Distance between the kernel's samples in pixels.
        data_format: `"channels_last"`, whatever Keras' own default is.
        **kwargs: `use_bias` (on the trivial part), `kernel_initializer` and the others of
            `keras.layers.Conv2D`, but for `activation`.

    Input shape: Images `(batch, rows, columns, channels)`, or the output of such a layer
        `(batch, rows, columns, 1 + 2 K, channels)`, 2 + 2 K for O(2), of any highest frequency K.

    Output shape: `(batch, new_rows, new_columns, 1 + 2 L, filters)`, 2 + 2 L for O(2).

    Raises:
        ValueError: For an axis that holds no frequencies from 0 to K, a size at which the layer
            would not commute with quarter turns, and kernels of more than 64 MiB.

    Example:
        >>> layer = CircleConv2D("O2", 16, kernel_size=5, frequencies=2)
        >>> layer(keras.ops.ones((2, 65, 65, 3))).shape
        TensorShape([2, 61, 61, 6, 16])

    Reference: Weiler and Cesa (2019), sections 2.3 and 2.6.
    """

    output_field = output_fields.to_frequencies

    def __init__(
        self,
        group: circle.Circle | str,
        filters: int,
        kernel_size: int | Sequence[int],
        frequencies: int,
        strides: int | Sequence[int] = 1,
        padding: str = "valid",
        dilation_rate: int | Sequence[int] = 1,
        data_format: str = "channels_last",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.group = circle.get(group)
        self.filters = arguments.integer("filters", filters)
        self.frequencies = arguments.integer("frequencies", frequencies, least=0)
        self.set_windows(kernel_size, strides, padding, data_format, dilation_rate)

    @property
    def components(self) -> int:
        """Length of the axis before the channels of the output."""
        return len(self.group.frequencies(self.frequencies))

    @property
    def _on_pixels(self):
        return finite.get(self.group.on_pixels)

    def build(self, input_shape: Shape) -> None:
        self._components_in = input_shape[-2] if len(input_shape) == 5 else None
        highest = self._highest_in(input_shape)
        self.check_grid(self._on_pixels, input_shape)
        self._table = circle.kernel_table(self.group, self.kernel_size, highest, self.frequencies)
        shape = (len(self._table), input_shape[-1], self.filters)
        self.add_kernel_and_bias(shape, self.filters)

    def _highest_in(self, shape):
        """The highest frequency of the input; None for images, and a ValueError for neither."""
        trivial = self._components_in is None
        highest = None if trivial else self.group.highest(self._components_in or 0)
        if len(shape) not in (4, 5) or not shape[-1] or (highest is None and not trivial):
            axis = "2 + 2 K" if self.group.mirrors else "1 + 2 K"
            raise ValueError(
                f"CircleConv2D `{self.name}` expected images (batch, rows, columns, channels), or "
                f"features (batch, rows, columns, {axis}, channels) with the frequencies of "
                f"{self.group} from 0 to K before the channels; received {tuple(shape)}."
            )
        return highest

    def expand(self, kernel: Tensor) -> Tensor:
        """The kernel of the ordinary convolution: (k, k, components * channels, ...)."""
        basis, pixels, components_in, components_out = self._table.shape
        table = self._table.reshape(basis, -1).T
        precise = keras.backend.result_type(kernel.dtype, "float32")
        channels = kernel.shape[1]
        # Sums of few functions in bfloat16 would differ between angles by more than their inputs.
        kernel = ops.reshape(ops.cast(kernel, precise), (basis, -1))
        kernel = ops.cast(ops.matmul(ops.cast(table, precise), kernel), self.compute_dtype)
        kernel = ops.reshape(
            kernel, (pixels, components_in, components_out, channels, self.filters)
        )
        kernel = ops.transpose(kernel, (0, 1, 3, 2, 4))
        matrix = (components_in * channels, components_out * self.filters)
        return ops.reshape(kernel, (self.kernel_size, self.kernel_size, *matrix))

    def _padded(self, bias):
        """The bias of the trivial part, and zeros for the others, which come after it."""
        # Not by `pad`: TensorFlow 2.21 takes that for the padding of the image, and aborts.
        zeros = ops.zeros((self.components - 1) * self.filters, bias.dtype)
        return ops.concatenate([bias, zeros])

    def call(self, inputs: Tensor) -> Tensor:
        sizes = {-1: self.kernel.shape[1]}
        sizes |= {} if self._components_in is None else {-2: self._components_in}
        inputs = settle(self, inputs, sizes, ranks=(4 if self._components_in is None else 5,))
        inputs = self.on_grid(self._on_pixels, inputs)
        # Convolutions want a number of channels that is known.
        shape = ops.shape(inputs)
        x = ops.reshape(inputs, (*shape[:3], math.prod(inputs.shape[3:])))
        x = blurred(x, self.strides)
        x = conv2d(x, self.expanded_kernel(), self.strides, self.padding, self.dilation_rate)
        x = x if self.bias is None else add_bias(x, self._padded(self.bias))
        return ops.reshape(x, self.compute_output_shape(shape))

    def plain(self, inputs: Tensor) -> Tensor:
        """A `Conv2D` with the components among the channels; see `layers.plain`."""
        rows, columns, *fields = inputs.shape[1:]
        conv = keras.layers.Conv2D(
            self.components * self.filters,
            self.kernel_size,
            self.strides,
            self.padding,
            data_format=self.data_format,
            dilation_rate=self.dilation_rate,
            use_bias=self.use_bias,
            dtype=self.dtype_policy,
        )
        weights = [self.expanded_kernel()] + (
            [] if self.bias is None else [self._padded(self.bias)]
        )
        weights = [ops.convert_to_numpy(weight) for weight in weights]
        x = blurred(reshape(inputs, rows, columns, math.prod(fields)), self.strides)
        x = with_weights(conv, weights, x)
        return reshape(x, *self.compute_output_shape(inputs.shape)[1:])

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (input_shape[0], *self.output_sizes(input_shape), self.components, self.filters)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "group": self.group.config,
            "filters": self.filters,
            "frequencies": self.frequencies,
        }
