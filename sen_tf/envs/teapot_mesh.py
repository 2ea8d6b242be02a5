"""The Newell teapot as a mesh of triangles.

`newell_teapot.txt`, beside this file, holds the control points of 32 bicubic Bezier patches. A
point of a patch is the sum of B_i(u) B_j(v) P_ij, with the Bernstein polynomials B_i of degree 3,
and the surface's normal there is the cross product of its two derivatives.
"""

import pathlib
from typing import NamedTuple

import numpy as np

DATA = pathlib.Path(__file__).with_name("newell_teapot.txt")
# From the file's axes, z upwards, to those of a state: x to the right, y downwards, z into depth.
UPRIGHT = np.array([(1, 0, 0), (0, 0, -1), (0, 1, 0)])
INSIDE = 1e-4  # normals are taken so far from a patch's border, where every patch has a normal


class Mesh(NamedTuple):
    """A surface of V vertices and T triangles.

    vertices: (V, 3), no farther than 1 from the origin.
    normals: (V, 3), the surface's outward unit normals.
    triangles: integers (T, 3), the vertices of each, in the order that makes the right-handed
        normal point outwards.
    """

    vertices: np.ndarray
    normals: np.ndarray
    triangles: np.ndarray


def read_patches() -> np.ndarray:
    """Returns the published patches, float64 (32, 4, 4, 3), in the file's order, units and axes."""
    lines = DATA.read_text(encoding="ascii").splitlines()
    rows = [line.split() for line in lines if line and line[0] != "#"]
    patches = np.array([row for row in rows if len(row) == 16], np.int64)
    points = np.array([row for row in rows if len(row) == 3], np.float64)
    return points[patches - 1].reshape(-1, 4, 4, 3)


def teapot_mesh(segments: int) -> Mesh:
    """Returns the teapot as a `Mesh`: upright, spout to the right, seen from its side.

    The axes are those of a camera: x to the right, y downwards, z into depth. The middle of the
    bounding box is the origin, the farthest vertex at distance 1. Patches do not share vertices, so
    that normals may differ on two sides of an edge; where patches meet, their vertices are equal
    up to rounding.

    Args:
        segments: pieces, at least 1, into which each side of a patch is cut; a piece of a patch is
            two triangles, except at the poles of lid and bottom, where one of them is a line and
            left out.
    """
    patches = read_patches() @ UPRIGHT.T
    sides = np.linspace(0, 1, segments + 1)
    vertices = _surface(patches, sides, 0, 0).reshape(-1, 3)
    inside = np.clip(sides, INSIDE, 1 - INSIDE)
    normals = np.cross(_surface(patches, inside, 0, 1), _surface(patches, inside, 1, 0))
    normals = normals.reshape(-1, 3) / np.linalg.norm(normals, axis=-1).reshape(-1, 1)
    vertices -= (vertices.min(axis=0) + vertices.max(axis=0)) / 2
    vertices /= np.linalg.norm(vertices, axis=1).max()
    triangles = _triangles(len(patches), segments)
    a, b, c = np.moveaxis(vertices[triangles], 1, 0)
    doubled_area = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    return Mesh(vertices, normals, triangles[doubled_area > 1e-12])


def _surface(patches, sides, du, dv):
    """Derivatives (N, S, S, 3) of patches (N, 4, 4, 3) on a grid, of orders `du` and `dv`."""
    along_u, along_v = (_bernstein(sides, order) for order in (du, dv))
    return np.einsum("ui,vj,nijx->nuvx", along_u, along_v, patches)


def _bernstein(t, order):
    """Values (S, 4) of the four Bernstein polynomials, or of their derivatives, `order` 1."""
    s = 1 - t
    if order == 0:
        return np.stack([s**3, 3 * s**2 * t, 3 * s * t**2, t**3], axis=-1)
    return 3 * np.stack([-(s**2), s**2 - 2 * s * t, 2 * s * t - t**2, t**2], axis=-1)


def _triangles(patches, segments):
    """Vertices (T, 3) of the triangles of all patches, whose vertices are numbered in a row."""
    number = np.arange(patches * (segments + 1) ** 2).reshape(patches, segments + 1, -1)
    a, b = number[:, :-1, :-1], number[:, :-1, 1:]
    c, d = number[:, 1:, :-1], number[:, 1:, 1:]
    return np.stack([a, b, c, d, c, b], axis=-1).reshape(-1, 3)
