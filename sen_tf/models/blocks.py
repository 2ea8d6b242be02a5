"""Pieces of networks: lists of layers, and makers and dtypes of them."""

import functools
from collections.abc import Callable, Sequence

import keras

from sen_tf.groups import GroupLike
from sen_tf.layers import FieldBatchNormalization, FieldLayerNormalization, GroupDense
from sen_tf.tensors import DTypePolicy

EPSILON = 1e-5

conv2d = functools.partial(keras.layers.Conv2D, data_format="channels_last")
"""A maker of Keras' convolutions, whatever its default layout is."""


def norm_relu(dtype: DTypePolicy) -> list[keras.layers.Layer]:
    """Batch normalization a field, then ReLU: a list of layers."""
    return [
        FieldBatchNormalization(momentum=0.9, epsilon=EPSILON, dtype=dtype),
        keras.layers.ReLU(dtype=dtype),
    ]


def state_dtype(dtype: DTypePolicy) -> str:
    """The dtype of states: the policy's variable dtype, float32 under mixed precision.

    A state differs from the next by little and may lie far from zero: bfloat16, with its 8 bits,
    would round the difference away.
    """
    return keras.dtype_policies.get(dtype or keras.config.dtype_policy()).variable_dtype


def mlp(
    dense: Callable[..., keras.layers.Layer],
    hidden: Sequence[int],
    outputs: int,
    dtype: DTypePolicy = None,
    changes_states: bool = False,
) -> list[keras.layers.Layer]:
    """`dense(width) ReLU, dense(width) LayerNorm ReLU, ..., dense(outputs)`: a list of layers.

    Args:
        dense: Makes a linear layer, called as `dense(units, dtype=..., kernel_initializer=...)`.
        hidden: Widths of the hidden layers; the first has no normalization.
        outputs: Width of the last, linear layer, which makes states and computes in their dtype.
        dtype: Dtype policy of the others.
        changes_states: Whether the layers go from states to changes of states: then the first
            computes in their dtype too, and the last starts at zero, at "nothing moves".
    """
    start = "zeros" if changes_states else "glorot_uniform"
    layers = []
    for index, width in enumerate(hidden):
        wide = changes_states and index == 0
        layers.append(dense(width, dtype=state_dtype(dtype) if wide else dtype))
        if index:
            layers.append(FieldLayerNormalization(epsilon=EPSILON, dtype=dtype))
        layers.append(keras.layers.ReLU(dtype=dtype))
    return [*layers, dense(outputs, dtype=state_dtype(dtype), kernel_initializer=start)]


def group_dense(group: GroupLike) -> Callable[..., GroupDense]:
    """A maker of `GroupDense` layers of one group, for `mlp`."""
    return functools.partial(GroupDense, group)
