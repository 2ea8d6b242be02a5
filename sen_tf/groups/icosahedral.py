"""The 60 rotations of an icosahedron.

Its corners are (0, +-1, +-p), p the golden ratio, and the cyclic exchanges of these. Rotations act
on vectors (x, y, z). Element 12 k + i is k turns by 72 degrees about the corner (0, 1, p), and
after that element i of T, the rotations of a tetrahedron: elements 0 to 11 are T. Others map no
grid of voxels to itself.
"""

import functools
import math

import numpy as np

from sen_tf.groups import octahedral, rotations


@functools.cache
def matrices() -> np.ndarray:
    """Returns the rotations, float64 of shape (60, 3, 3), read-only, the identity first."""
    corner = np.array([0.0, 1.0, (1 + math.sqrt(5)) / 2])
    turns = rotations.exp(np.arange(5)[:, None] * 2 * np.pi / 5 * corner / np.linalg.norm(corner))
    turns[0] = np.eye(3)
    found = np.einsum("iab,kbc->kiac", octahedral.matrices("T"), turns).reshape(60, 3, 3)
    found.flags.writeable = False
    return found


def product() -> np.ndarray:
    """Returns the multiplication table of `matrices`, integers of shape (60, 60)."""
    # The trace of f^T (g h) is 3 where f = g h, and else at most 1.62, of a turn by 72 degrees.
    products = np.einsum("gij,hjk->ghik", matrices(), matrices())
    return np.einsum("ghik,fik->ghf", products, matrices()).argmax(axis=-1)
