"""Kernels of equivariant convolutions on voxels: which of their numbers must be equal."""

import functools

import numpy as np

from sen_tf.groups import actions
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
