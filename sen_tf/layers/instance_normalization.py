"""Normalization of each sample by itself, over pixels and the group axis.

Nothing is remembered: training and inference do the same, for batches of any size.
"""

from typing import Any

import keras
from keras import ops

from sen_tf.layers import arguments
from sen_tf.layers.inputs import precise, settle
from sen_tf.layers.normalization import FieldNormalization
from sen_tf.layers.plain import with_weights
from sen_tf.tensors import Shape, Tensor


class _SampleNormalization(FieldNormalization):
    """Mean 0 and variance 1 of each block of channels of each sample."""

    least_rank = 2

    @property
    def blocks(self) -> int:
        """The number of blocks that the channels are cut into."""
        raise NotImplementedError

    def build(self, input_shape: Shape) -> None:
        self._check_rank(input_shape)
        super().build(input_shape)

    def _check_rank(self, shape):
        if len(shape) < self.least_rank:
            raise ValueError(
                f"{type(self).__name__} `{self.name}` expected an input of shape (batch, ..., "
                f"channels) and rank {self.least_rank} at least; received {tuple(shape)}."
            )

    def call(self, inputs: Tensor) -> Tensor:
        inputs = settle(self, inputs, {-1: self._channels})
        self._check_rank(inputs.shape)
        gamma, beta = self._scale_and_offset()
        shape = ops.shape(inputs)
        x = precise(self, inputs)
        x = ops.reshape(x, (*shape[:-1], self.blocks, self._channels // self.blocks))
        axes = (*range(1, len(shape) - 1), -1)
        x = x - ops.mean(x, axis=axes, keepdims=True)
        x = x * ops.rsqrt(ops.mean(ops.square(x), axis=axes, keepdims=True) + self.epsilon)
        return ops.cast(ops.reshape(x, shape) * gamma + beta, self.compute_dtype)

    def plain(self, inputs: Tensor) -> Tensor:
        """A `GroupNormalization` over the last axis; see `layers.plain`."""
        layer = keras.layers.GroupNormalization(self.blocks, **self.plain_arguments())
        return with_weights(layer, self.get_weights(), inputs)


@keras.saving.register_keras_serializable("sen_tf")
class FieldInstanceNormalization(_SampleNormalization):
    """Instance normalization: over the pixels and the group axis of one channel of one sample.

    Args:
        epsilon: Added to the variance.
        **kwargs: `center`, `scale`, `beta_initializer` and the others of
            `keras.layers.GroupNormalization`.

    Input shape: `(batch, ..., channels)`, with at least one axis between, of the group or of space.

    Output shape: The input's.

    Raises:
        ValueError: For an input without an axis between the batch and the channels.

    Reference: Ulyanov et al. (2016).
    """

    least_rank = 3  # single numbers have no variance

    def __init__(self, epsilon: float = 1e-3, **kwargs: Any) -> None:
        super().__init__(epsilon, **kwargs)

    @property
    def blocks(self) -> int:
        return self._channels


@keras.saving.register_keras_serializable("sen_tf")
class FieldGroupNormalization(_SampleNormalization):
    """Group normalization: over pixels, the group axis and the channels of a block, of one sample.

    The `groups` of the name are blocks of channels that follow each other, and have nothing to do
    with the group that acts. Scale and offset are one number per channel, shared over the group
    axis.

    Args:
        groups: Number of blocks; it divides the number of channels. With one block per channel it
            is `FieldInstanceNormalization`.
        epsilon: Added to the variance.
        **kwargs: `center`, `scale`, `beta_initializer` and the others of
            `keras.layers.GroupNormalization`.

    Input shape: `(batch, ..., channels)`, with or without a group axis before the channels.

    Output shape: The input's.

    Raises:
        ValueError: For a number of channels that is no multiple of `groups`.

    Reference: Wu and He (2018).
    """

    def __init__(self, groups: int, epsilon: float = 1e-3, **kwargs: Any) -> None:
        super().__init__(epsilon, **kwargs)
        self.groups = arguments.integer("groups", groups)

    @property
    def blocks(self) -> int:
        return self.groups

    def build(self, input_shape: Shape) -> None:
        if input_shape and input_shape[-1] and input_shape[-1] % self.groups:
            raise ValueError(
                f"FieldGroupNormalization `{self.name}` expected a multiple of {self.groups} "
                f"channels, its `groups`; received {tuple(input_shape)}."
            )
        super().build(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "groups": self.groups}
