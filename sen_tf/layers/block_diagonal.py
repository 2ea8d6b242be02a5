"""Products with a kernel on the group, in the basis in which they are block-diagonal."""

import numpy as np
from keras import ops

from sen_tf.groups import convolution_blocks, finite
from sen_tf.tensors import Tensor

BLOCK_DIAGONAL_FROM = 64
"""Channels and filters from which the block-diagonal form is used. On one core of a Xeon, forward
and backward, it took this share of the expanded form's time at 64 channels, in float32 and
bfloat16: dense layers on C4 0.64 and 0.50, on D4 0.48 and 0.32; 3x3 convolutions on C4 1.26 and
0.65, on D4 0.70 and 0.36. At 32 channels these were 0.88 and 0.66, 0.64 and 0.42; 1.74 and 0.93,
1.27 and 0.54. On an AMD EPYC, with six products for C4, dense layers of 32 channels took 0.67 to
1.4, and convolutions on C4 0.87 and 1.05 at 64 and twice the time at 32. On GPUs nothing was
measured."""


def is_worthwhile(group: finite.FiniteGroup, channels: int, filters: int) -> bool:
    """True if the blocks of the group are known and the kernel is wide enough to gain by them."""
    wide = min(channels, filters) >= BLOCK_DIAGONAL_FROM
    return wide and group.order > 1 and _has_known_blocks(group)


def block_diagonal_product(group: finite.FiniteGroup, x: Tensor, kernel: Tensor) -> Tensor:
    """`y(g) = sum_h x(h) K(g^-1 h)` by way of the irreducible representations of the group.

    For C4 these are 5 products of channels x filters instead of 16, for D4 12 instead of 64. Blocks
    of one size are one batch of products.

    Args:
        group: A `FiniteGroup` of the C_n and D_n.
        x: Tensor of shape `(|G|, rows, channels)`.
        kernel: Tensor of shape `(|G|, channels, filters)`, of the dtype of x.

    Returns:
        Tensor of shape `(|G|, rows, filters)`.

    Reference: `groups.convolution_blocks.get`.
    """
    blocks = convolution_blocks.get(group)
    x = _combine(blocks.inputs, x)
    # The gradient of a split is one concatenation; those of slices are sums of padded arrays.
    ends = np.cumsum([of_size[..., 0].size for of_size in blocks.kernels])[:-1].tolist()
    parts = ops.split(x, ends, axis=0) if ends else [x]
    pairs = zip(blocks.kernels, parts, strict=True)
    parts = [_multiply(of_size, part, kernel) for of_size, part in pairs]
    return _combine(blocks.outputs, ops.concatenate(parts, axis=0))


def _multiply(of_size, x, kernel):
    """The products of one size m: from (n m m, rows, channels) to (n m m, rows, filters)."""
    n, m, _, order = of_size.shape
    channels, filters = kernel.shape[1:]
    matrices = _combine(of_size.reshape(-1, order), kernel)
    matrices = ops.reshape(matrices, (n, m, m, channels, filters))
    matrices = ops.transpose(matrices, (0, 2, 3, 1, 4))  # M[a, b] maps copy b to copy a.
    matrices = ops.reshape(matrices, (n, m * channels, m * filters))
    x = _swap(ops.reshape(x, (n, m, -1, channels)))
    x = ops.matmul(ops.reshape(x, (n, -1, m * channels)), matrices)
    x = _swap(ops.reshape(x, (n, -1, m, filters)))
    return ops.reshape(x, (n * m * m, -1, filters))


def _combine(factors, x):
    """Weighted sums over the first axis of x, one for each row of factors."""
    factors = ops.convert_to_tensor(factors, dtype=x.dtype)
    sums = ops.matmul(factors, ops.reshape(x, (x.shape[0], -1)))
    return ops.reshape(sums, (factors.shape[0], *ops.shape(x)[1:]))


def _swap(x):
    """Exchanges the two axes in the middle; where one of them is 1, no number has to move."""
    return x if 1 in x.shape[1:3] else ops.transpose(x, (0, 2, 1, 3))


def _has_known_blocks(group):
    try:
        finite.family(group)
    except ValueError:
        return False
    return True
