"""An activation between pixels too, so that what it adds to the spectrum is no alias."""

import math
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from sen_tf.layers import output_fields
from sen_tf.layers.blurring import extended
from sen_tf.layers.inputs import settle
from sen_tf.layers.plain import reshape, shape_of
from sen_tf.tensors import Shape, Tensor


@keras.saving.register_keras_serializable("sen_tf")
class AntialiasedActivation(keras.layers.Layer):
    """An activation of an image twice as fine, blurred and brought back to its pixels.

    An activation makes higher frequencies than its input has, which pixels take for lower ones: off
    the grid that is most of what a network of harmonics is wrong by. Here rows and columns are
    interpolated between by cubic convolution, the activation acts on all, and a binomial blur,
    [1 4 6 4 1] / 16, goes before every second pixel is left out. Beyond the border pixels repeat.
    It takes about four times as long as the activation, and as much memory.

    Args:
        activation: Activation of single numbers, for trivial features and functions on a finite
            group. Components of SO(2), O(2) and SO(3) want `CircleActivation` and its like.

    Input shape: `(batch, rows, columns, |group|, channels)`, or `(batch, rows, columns, channels)`.

    Output shape: The input's.

    Raises:
        ValueError: For an input of another rank.

    Example:
        >>> AntialiasedActivation("relu")(keras.ops.ones((2, 9, 9, 8, 4))).shape
        TensorShape([2, 9, 9, 8, 4])

    Reference: Karras et al. (2021), section 3.2; Keys (1981) for the interpolation.
    """

    output_field = output_fields.keeps_field

    def __init__(
        self, activation: str | Callable[[Tensor], Tensor] | None = "relu", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.activation = keras.activations.get(activation)

    def build(self, input_shape: Shape) -> None:
        if len(input_shape) not in (4, 5):
            raise ValueError(
                f"AntialiasedActivation `{self.name}` expected an input of rank 4 or 5; received "
                f"shape {tuple(input_shape)}."
            )

    def call(self, inputs: Tensor) -> Tensor:
        x = settle(self, inputs, ranks=(4, 5))
        shape = ops.shape(x)
        x = self._activated(ops.reshape(x, (*shape[:3], math.prod(shape[3:]))))
        return ops.reshape(x, shape)

    def plain(self, inputs: Tensor) -> Tensor:
        """The same with the group among the channels; see `layers.plain`."""
        rows, columns, *fields = inputs.shape[1:]
        x = self._activated(reshape(inputs, rows, columns, math.prod(fields)))
        return reshape(x, *inputs.shape[1:])

    def _activated(self, images):
        x = self.activation(_finer(_finer(images, 1), 2))
        x = extended(extended(x, 1, 2), 2, 2)
        # Four means of two neighbours are [1 4 6 4 1] / 16, and faster than a convolution.
        for _ in range(3):
            x = ops.average_pool(x, 2, 1, "valid", data_format="channels_last")
        return ops.average_pool(x, 2, 2, "valid", data_format="channels_last")

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "activation": keras.activations.serialize(self.activation),
        }


def _finer(x, axis):
    """`x` with the means between its rows (or columns): 2 n - 1 of n.

    With m the mean of two neighbours, [-1 9 9 -1] / 16 is 11 / 8 m - 3 / 8 of the mean of m and the
    two beside it.
    """
    if x.shape[axis] == 1:
        return x
    at, window = (slice(None),) * axis, [1, 1]
    wide = extended(x, axis, 1)
    window[axis - 1] = 2
    means = ops.average_pool(wide, tuple(window), 1, "valid", data_format="channels_last")
    window[axis - 1] = 3
    around = ops.average_pool(means, tuple(window), 1, "valid", data_format="channels_last")
    between = 1.375 * means[*at, 1:-1] - 0.375 * around
    pairs = ops.stack([x[*at, :-1], between], axis + 1)
    shape = shape_of(x)
    pairs = ops.reshape(pairs, (*shape[:axis], 2 * (shape[axis] - 1), *shape[axis + 1 :]))
    return ops.concatenate([pairs, x[*at, -1:]], axis)
