"""Products with a kernel on the group, in the basis in which they are block-diagonal."""

import numpy as np
from keras import ops

from sen_tf.groups import finite, representations
from sen_tf.tensors import Tensor

BLOCK_DIAGONAL_FROM = 64
"""Channels and filters from which the block-diagonal form is used. On one CPU core, forward and
backward, it took this share of the expanded form's time at 64 channels, in float32 and bfloat16:
dense layers on C4 0.74 and 0.77, on D4 0.45 and 0.63; 3x3 convolutions on C4 0.87 and 1.05, on D4
0.52 and 0.45. At 32 channels dense layers took 0.67 to 1.4 of it, convolutions on D4 0.78 to 1.12,
and those on C4 twice the time. On GPUs nothing was measured."""


def is_worthwhile(group: finite.FiniteGroup, channels: int, filters: int) -> bool:
    """True if the blocks of the group are known and the kernel is wide enough to gain by them."""
    wide = min(channels, filters) >= BLOCK_DIAGONAL_FROM
    return wide and group.order > 1 and _has_known_blocks(group)


def block_diagonal_product(group: finite.FiniteGroup, x: Tensor, kernel: Tensor) -> Tensor:
    """`y(g) = sum_h x(h) K(g^-1 h)` by way of the irreducible representations of the group.

    For C4 the blocks are of 1, 1 and 2 copies: 6 products of channels x filters instead of 16; for
    D4 they are 12 instead of 64.

    Args:
        group: A `FiniteGroup` of the C_n and D_n.
        x: Tensor of shape `(|G|, rows, channels)`.
        kernel: Tensor of shape `(|G|, channels, filters)`, of the dtype of x.

    Returns:
        Tensor of shape `(|G|, rows, filters)`.

    Reference: `groups.representations.fourier_blocks`.
    """
    order, channels, filters = kernel.shape
    bases = representations.fourier_blocks(group)
    fourier = np.concatenate([basis.reshape(-1, order) for basis in bases])
    fourier = ops.convert_to_tensor(fourier, dtype=x.dtype)
    x = ops.reshape(ops.matmul(fourier, ops.reshape(x, (order, -1))), (order, -1, channels))
    rows = [copies * dimension for copies, dimension, _ in map(np.shape, bases)]
    # The gradient of a split is one concatenation; those of slices are sums of padded arrays.
    parts = ops.split(x, np.cumsum(rows)[:-1].tolist(), axis=0)
    kernel_blocks = representations.kernel_blocks(group)
    for index, (basis, kernel_block) in enumerate(zip(bases, kernel_blocks, strict=True)):
        copies, dimension = basis.shape[:2]
        block = ops.convert_to_tensor(kernel_block, dtype=x.dtype)
        # (copies in, channels, copies out, filters): M[a, b] maps copy b to copy a.
        matrix = ops.transpose(ops.tensordot(block, kernel, axes=1), (1, 2, 0, 3))
        matrix = ops.reshape(matrix, (copies * channels, copies * filters))
        part = _swap(ops.reshape(parts[index], (copies, -1, channels)))
        part = ops.matmul(ops.reshape(part, (-1, copies * channels)), matrix)
        part = _swap(ops.reshape(part, (-1, copies, filters)))
        parts[index] = ops.reshape(part, (copies * dimension, -1))
    y = ops.matmul(ops.transpose(fourier), ops.concatenate(parts, axis=0))
    return ops.reshape(y, (order, -1, filters))


def _has_known_blocks(group):
    try:
        finite.family(group)
    except ValueError:
        return False
    return True


def _swap(x):
    return ops.transpose(x, (1, 0, 2))
