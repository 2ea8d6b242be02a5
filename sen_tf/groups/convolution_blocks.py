"""Convolution on C_n or D_n as products of matrices, fewer than there are pairs of elements."""

import dataclasses
import functools
import itertools

import numpy as np

from sen_tf.groups import finite, representations


@dataclasses.dataclass(frozen=True, eq=False)
class ConvolutionBlocks:
    """The matrix products that convolution on a group is made of; see `get`.

    Attributes:
        inputs: the numbers that they take of a function on the group, float64 of shape
            (numbers, |G|).
        kernels: how they make matrices of a kernel on the group, a float64 array of shape
            (n, m, m, |G|) for the n products of each size m.
        outputs: the functions on the group that they add up, float64 of shape (|G|, numbers).
    """

    inputs: np.ndarray
    kernels: list[np.ndarray]
    outputs: np.ndarray


@functools.lru_cache(maxsize=64)
def get(group: finite.FiniteGroup) -> ConvolutionBlocks:
    """Returns the matrix products that y[g] = sum_h k[g^-1 h] x[h] on C_n or D_n is made of.

    The numbers of a product of size m are an m x m matrix x_hat. It makes y_hat[a, i] = sum_b
    M[a, b] x_hat[b, i] of them, with M[a, b] = sum_j kernel[a, b, j] k[j], and `outputs` takes
    these back to functions on the group.

    An irreducible representation rho of real kind is one product. Its inputs and outputs are the
    matrix entries rho(g)[i, b], scaled: an orthonormal basis (Peter-Weyl; Serre, *Linear
    Representations of Finite Groups*). A rotation of C_n multiplies as complex numbers do, and is
    three products of numbers in place of four: (c + is)(p + iq) is made of c (p + q), (c + s) q and
    (s - c) p (Knuth, *The Art of Computer Programming*, section 4.6.4).

    Args:
        group: C_n or D_n; ValueError for others.

    Returns:
        Products of size 1, for C_n and the signs of D_n, and of size 2, for the rotations of D_n.
    """
    parts = [part for irrep in representations.irreps(group) for part in _parts(irrep)]
    parts.sort(key=lambda part: len(part[1]))
    inputs, kernels, outputs = zip(*parts, strict=True)
    alike = itertools.groupby(kernels, key=len)
    return ConvolutionBlocks(
        np.concatenate(inputs),
        [np.stack(list(of_a_size)) for _, of_a_size in alike],
        np.concatenate(outputs).T,
    )


def _parts(irrep):
    """The inputs, kernel and outputs of each product that an irreducible representation is."""
    order, size = irrep.group.order, irrep.dimension
    kernel = irrep.matrices.transpose(1, 2, 0)
    basis = np.sqrt(size / order) * kernel.transpose(1, 0, 2)  # [b, i, g] is rho(g)[i, b], scaled
    if irrep.kind == "real":
        basis = basis.reshape(-1, order)
        return [(basis, kernel, basis)]
    (p, q), (c, s) = basis[:, 0], kernel[:, 0]  # The matrix of a kernel is [[c, -s], [s, c]].
    rows = [(p + q, c, p + q), (q, c + s, -p), (p, s - c, q)]
    return [(into[None], of_kernel[None, None], out[None]) for into, of_kernel, out in rows]
