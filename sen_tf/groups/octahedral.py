"""The 24 rotations of a cube: the matrices with one 1 or -1 per row and column, determinant 1."""

import functools
import itertools

import numpy as np


@functools.cache
def matrices() -> np.ndarray:
    """Returns the rotations, float64 of shape (24, 3, 3), exact and read-only, the identity first.

    They act on vectors (x, y, z), and are ordered by which axes they exchange, then by signs.
    """
    permutations = (np.eye(3)[list(order)] for order in itertools.permutations(range(3)))
    signs = [np.diag(signs) for signs in itertools.product((1.0, -1.0), repeat=3)]
    signed = [sign @ permutation for permutation in permutations for sign in signs]
    found = np.array([matrix for matrix in signed if np.linalg.det(matrix) > 0]) + 0.0  # no -0
    found.flags.writeable = False
    return found


def product() -> np.ndarray:
    """Returns the multiplication table of `matrices`, integers of shape (24, 24)."""
    rotations = matrices()
    products = np.einsum("gij,hjk->ghik", rotations, rotations)
    same = (products[:, :, None] == rotations).all(axis=(-2, -1))
    return same.argmax(axis=-1)
