"""Kernels of convolutions on voxels that commute with a group: all there are, by their bases."""

import functools
import itertools

import numpy as np

from sen_tf.groups import actions, harmonics, irreps
from sen_tf.groups.representations import Representation


def permutation(representation: Representation) -> np.ndarray:
    """Returns where a representation that exchanges basis vectors sends each: e_i to e_[g, i].

    Returns:
        Integers of shape (|G|, dimension).

    Raises:
        ValueError: if a matrix has other than one 1 per row and column.
    """
    images = representation.matrices.argmax(axis=1)
    if not np.array_equal(representation.matrices, np.eye(len(images[0]))[images].swapaxes(1, 2)):
        raise ValueError(
            "Expected `representation` to exchange basis vectors, as 'trivial', 'regular', "
            "'quotient(...)', 'permutation(...)', 'faces' and 'corners' do; "
            f"received representation={representation!r}"
        )
    return images


@functools.lru_cache(maxsize=64)
def voxel_orbits(size: int, inputs: Representation, outputs: Representation) -> np.ndarray:
    """Returns which entries of a kernel on voxels are equal if its convolution is equivariant.

    A kernel K from functions that `inputs` permutes to functions that `outputs` permutes commutes
    with the group if and only if K(g p)[g i, g o] = K(p)[i, o] for all g: entries of one orbit are
    equal, those of different orbits are free. Orbits are numbered by their first entry in the order
    (o, row, column, slice, i). From regular to regular entry (p, i) of output 0 thus makes orbit
    |G| p + i: its number is K(p, s) of `y(g) = sum_h x(h) * L_g K(g^-1 h)`.

    Args:
        size: rows, columns and slices of the kernel.
        inputs, outputs: representations, by permutations, of one group that acts on voxels.

    Returns:
        Read-only integers of shape (size, size, size, inputs.dimension, outputs.dimension): the
        orbit of each entry.

    Raises:
        ValueError: if a representation does not permute, or the group does not act on voxels.
    """
    group = inputs.group
    moved = actions.voxel_indices(group, size).reshape(group.order, -1)[group.inverse]
    i_moved, o_moved = permutation(inputs), permutation(outputs)
    shape = (outputs.dimension, size**3, inputs.dimension)
    first = np.arange(np.prod(shape)).reshape(shape)
    for g in group.elements:
        places = np.ravel_multi_index(np.ix_(o_moved[g], moved[g], i_moved[g]), shape)
        np.minimum(first, places, out=first)
    orbits = np.unique(first, return_inverse=True)[1].reshape(shape)
    orbits = orbits.transpose(1, 2, 0).reshape(size, size, size, inputs.dimension, -1)
    orbits.flags.writeable = False
    return orbits


SMALLEST_NORM = 1e-2
"""Basis elements whose samples have a smaller norm are dropped: scaling would magnify noise."""


@functools.lru_cache(maxsize=64)
def irreps_basis(
    size: int, degree_in: int, degree_out: int, parities: int = 1
) -> tuple[np.ndarray, ...]:
    """Returns kernels on voxels between sums of irreducible representations of SO(3) or O(3).

    An element of the basis for degrees l of the input, lo of the output is

        R(|x|) (f of degree l * Y_J(x / |x|), coupled to lo),    |l - lo| <= J <= l + lo,

    with the harmonics and couplings of `irreps`. R is the profile of one of the rings of
    `harmonics`, here shells, which bounds J as it bounds frequencies there. So the samples turn as
    the functions do: exactly for the 24 rotations of a cube. Under O(3), for its reflections too,
    the parity of the output is that of the input times (-1)^J.

    Args:
        size: rows, columns and slices of the kernel.
        degree_in, degree_out: highest degrees L and L'.
        parities: 1 for SO(3), 2 for O(3), where even degrees come before odd ones.

    Returns:
        A read-only array for each part of the output, of shape (elements, size, size, size,
        parities (L + 1)^2, 2 lo + 1) and float64, ordered by the input's parity, then l, then J,
        then radius. Each element is scaled so that white noise of variance 1 makes outputs of
        variance 1.

    Reference: Weiler et al., *3D steerable CNNs* (2018).
    """
    blocks = []
    for odd, lo in itertools.product(range(parities), range(degree_out + 1)):
        shape = (size, size, size, parities, (degree_in + 1) ** 2, 2 * lo + 1)
        elements = []
        for parity, li in itertools.product(range(parities), range(degree_in + 1)):
            for degree, ring in _ring_harmonics(size, abs(li - lo), li + lo):
                if (parity + degree + odd) % parities:
                    continue
                block = np.einsum("xyzm,imo->xyzio", ring, irreps.clebsch_gordan(li, degree, lo))
                element = np.zeros(shape)
                element[..., parity, irreps.block(li), :] = block
                elements.append(element * np.sqrt(2 * lo + 1) / np.linalg.norm(block))
        blocks.append(np.reshape(elements, (-1, *shape[:3], parities * shape[4], shape[5])))
        blocks[-1].flags.writeable = False
    return tuple(blocks)


def _ring_harmonics(size, lowest, highest):
    """Pairs of a degree J and samples of R(|x|) Y_J(x / |x|), (size, size, size, 2 J + 1)."""
    row, column, place = np.indices((size, size, size)) - (size - 1) / 2
    points = np.stack([column, -row, place], axis=-1)  # (x, y, z)
    distance = np.linalg.norm(points, axis=-1)
    directions = points / np.maximum(distance, 1e-9)[..., None]
    rings = harmonics.rings(size)
    for degree, ring in itertools.product(range(lowest, highest + 1), rings):
        if degree > ring.frequency:
            continue
        profile = harmonics.profile(ring, distance)
        samples = profile[..., None] * irreps.spherical_harmonics(degree, directions)
        if np.linalg.norm(samples) >= SMALLEST_NORM:
            yield degree, samples
