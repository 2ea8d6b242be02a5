"""Dense networks between vectors that representations of a group act on."""

import math
from collections.abc import Sequence
from typing import TypeAlias

import keras

from sen_tf import groups
from sen_tf.groups import representations
from sen_tf.layers import FromRegular, ToRegular, arguments
from sen_tf.models.blocks import group_dense, mlp, state_dtype
from sen_tf.tensors import DTypePolicy

Part: TypeAlias = groups.RepresentationLike | int
"""A vector, by how the group acts on it, or functions on the group, by their number."""


def vector_network(
    group: groups.GroupLike,
    inputs: Sequence[Part],
    output: Part,
    hidden: Sequence[int] = (64, 64),
    dtype: DTypePolicy = None,
    name: str | None = None,
) -> keras.Model:
    """Dense layers that commute with a group; those of C1 are Keras' own in all but name.

    Args:
        group: Group that acts, such as `"D4"`; `"C1"` for a plain network.
        inputs: What it takes: representations, such as `"2 standard"`, `"trivial"` for what the
            group leaves alone; or numbers of regular fields, of which a latent state consists.
        output: What it makes, in the same words.
        hidden: Widths of the hidden layers of a plain network. Of a group of n elements they have
            `width / sqrt(n)` regular fields, so that the weights are about as many.
        dtype: Dtype policy of the layers; what they make has its variable dtype, float32 in mixed
            precision.
        name: Name of the model.

    Returns:
        Model from a list of inputs, each `(batch, dimension)` or `(batch, |group|, fields)`, to one
        output of either shape; from a single tensor if there is one input.

    Example:
        >>> policy = vector_network("C4", ["standard"], "standard")
        >>> policy(keras.ops.ones((5, 2))).shape
        TensorShape([5, 2])
    """
    group = groups.get(group)
    given = [_input(group, part) for part in inputs]
    lifted = [
        x if isinstance(part, int) else ToRegular(group, part, dtype=dtype)(x)
        for part, x in zip(inputs, given, strict=True)
    ]
    x = keras.layers.Concatenate(dtype=dtype)(lifted) if len(lifted) > 1 else lifted[0]
    widths = [fields(width, group) for width in hidden]
    representation = None if isinstance(output, int) else representations.get(output, group)
    channels = output if isinstance(output, int) else representations.get(output, group).dimension
    for layer in mlp(group_dense(group), widths, channels, dtype):
        x = layer(x)
    if representation is not None:
        x = FromRegular(group, representation, dtype=state_dtype(dtype))(x)
        # Sums over the group: their mean is as large as what a plain network makes.
        x = keras.layers.Rescaling(1 / group.order, dtype=state_dtype(dtype))(x)
    return keras.Model(given if len(given) > 1 else given[0], x, name=name)


def fields(width: int, group: groups.GroupLike) -> int:
    """Regular fields of a layer with as many weights as a plain one of that width, at least 1.

    Raises:
        ValueError: For a width that is no integer of at least 1.
    """
    width = arguments.integer("width", width)
    return max(1, round(width / math.sqrt(groups.get(group).order)))


def _input(group, part):
    if isinstance(part, int):
        return keras.Input((group.order, part))
    return keras.Input((representations.get(part, group).dimension,))
