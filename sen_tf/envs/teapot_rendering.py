"""Images of the teapot: batches of rotations to grey uint8 images, in NumPy alone.

A camera looks at the turned teapot from afar. Its axes, and those of rotations, are x to the right,
y downwards, z into depth. The light comes from (1, -1, -1): from the right, from above and from the
camera's side. A vertex with the normal n, which is reversed where the surface is seen from inside,
has the grey level AMBIENT + DIRECT * max(0, cosine of n and the light). Levels are interpolated
across each triangle (Gouraud, *Continuous Shading of Curved Surfaces*, 1971), and of all triangles
that cover the centre of a pixel the nearest one shows (z-buffer). The background is black.

The triangles of a few poses are drawn at once, by scan lines: all triangles are cut into their rows
of pixels, all rows into their pixels, and of the pixels on one place the nearest is kept.

Source of the image: Park et al., Learning Symmetric Embeddings for Equivariant World Models (ICML
2022), section 5.
"""

from typing import NamedTuple

import numpy as np

from sen_tf.envs.teapot_mesh import teapot_mesh
from sen_tf.groups import rotations

IMAGE_SIZE = 64  # pixels a side
IMAGE_SHAPE = (IMAGE_SIZE, IMAGE_SIZE, 1)
CENTRE = (IMAGE_SIZE - 1) / 2  # column and row of the origin; centres of pixels are integers
DISTANCE = 20.0  # of the camera, in radii of the teapot: nearly orthographic
# In pixels; the ball around the teapot, of radius 1, just fits between the outer pixels' centres.
FOCAL_LENGTH = CENTRE * (DISTANCE**2 - 1) ** 0.5
LIGHT = np.array([1, -1, -1]) / 3**0.5
AMBIENT, DIRECT = 70, 130  # of 255
SEGMENTS = 6  # a patch is 6 x 6 pieces: the body's outline is within 0.2 pixels of a circle
CHUNK = 4  # poses worked on at a time: their triangles stay in a core's cache
NEARNESS_LEVELS = 2**22  # of the z-buffer
ROUNDING = 1e-9  # pixels by which every row of a triangle is longer, lest seams show
SMALLEST = 1e-4  # square pixels, twice the area of the smallest triangles drawn; others are on edge


def as_rotations(name: str, values: np.ndarray, axes: int | None = None) -> np.ndarray:
    """Returns the float64 rotations that `values` are up to rounding.

    Gram-Schmidt on their columns removes the rounding, so that it does not add up over many steps.

    Args:
        name: what an error calls them.
        values: array of shape (..., 3, 3).
        axes: how many axes stand before the last two, 0 or 1; None for any.

    Raises:
        ValueError: `values` has another shape, or a matrix is no rotation to within 1e-5.
    """
    values = np.asarray(values)
    if (
        values.dtype.kind not in "iuf"
        or values.shape[-2:] != (3, 3)
        or axes not in (None, values.ndim - 2)
    ):
        shape = {None: "(..., 3, 3)", 0: "(3, 3)", 1: "(n, 3, 3)"}[axes]
        raise ValueError(
            f"Expected `{name}` to be numbers of shape {shape}; "
            f"received {values.dtype} of shape {values.shape}"
        )
    values = values.astype(np.float64)
    off = abs(values @ np.swapaxes(values, -1, -2) - np.eye(3)).max(axis=(-2, -1))
    third = np.cross(values[..., 0], values[..., 1])
    determinant = np.sum(third * values[..., 2], axis=-1)
    wrong = np.count_nonzero(~((off <= 1e-5) & (determinant > 0)))
    if wrong:
        raise ValueError(
            f"Expected `{name}` to be rotations, orthogonal with determinant 1; "
            f"received {wrong} of {off.size} that are not"
        )
    return rotations.gram_schmidt(values[..., 0], values[..., 1])


class TeapotRenderer:
    """Draws the teapot under batches of rotations."""

    def __init__(self) -> None:
        mesh = teapot_mesh(SEGMENTS)
        self._vertices = mesh.vertices.T.copy()
        self._normals = mesh.normals.T.copy()
        self._triangles = mesh.triangles.T.copy()

    def __call__(self, states: np.ndarray) -> np.ndarray:
        """Returns uint8 images (n, 64, 64, 1) of the teapot turned by rotations (n, 3, 3).

        Raises:
            ValueError: for another shape, or what is no rotation; see `as_rotations`.
        """
        states = as_rotations("states", states, axes=1)
        images = np.empty((len(states), *IMAGE_SHAPE), np.uint8)
        for start in range(0, len(states), CHUNK):
            images[start : start + CHUNK] = self._draw(states[start : start + CHUNK])
        return images

    def _draw(self, states):
        """Images (B, 64, 64, 1) of B states."""
        image, column, row, nearness, cosine = self._triangles_on_pixels(states)
        rows = _rows(column, row)
        which, step = _enumerate(rows.pixels)
        area = _cross(column, row)  # twice; positive where the surface is seen from inside
        level = AMBIENT + DIRECT * np.maximum(np.where(area > 0, -cosine, cosine), 0)
        area[abs(area) < SMALLEST] = np.inf
        nearness, level = (
            _interpolate(values, column, row, area, rows, which, step).astype(np.int64)
            for values in (nearness, level + 0.5)
        )
        first = (image[rows.triangle] * IMAGE_SIZE + rows.row) * IMAGE_SIZE + rows.left
        buffer = np.zeros((len(states), *IMAGE_SHAPE), np.int64)
        np.maximum.at(
            buffer.reshape(-1), first.astype(np.int64)[which] + step, (nearness << 8) + level
        )
        return buffer & 255

    def _triangles_on_pixels(self, states):
        """The K triangles whose bounding boxes hold centres of pixels.

        Returns:
            The number of each one's image, (K,), and of its corners, (3, K) each: column, row,
            nearness and cosine of normal and light.
        """
        points = self._project(states)
        box = points[:2, :, self._triangles]
        there = (np.ceil(box.min(axis=2)) <= np.floor(box.max(axis=2))).all(axis=0)
        image, triangle = np.nonzero(there)
        corners = self._triangles[:, triangle] + image * points.shape[2]
        return image, *np.take(points.reshape(4, -1), corners, axis=1)

    def _project(self, states):
        """Column, row, nearness and cosine of all V vertices, (4, B, V)."""
        points = np.empty((4, len(states), self._vertices.shape[1]))
        x, y, z = np.moveaxis(states @ self._vertices, 1, 0)
        inverse = 1 / (DISTANCE + z)  # linear across the image of a triangle, as z is not
        points[0] = CENTRE + FOCAL_LENGTH * x * inverse
        points[1] = CENTRE + FOCAL_LENGTH * y * inverse
        points[2] = NEARNESS_LEVELS / 2 * ((DISTANCE**2 - 1) * inverse - (DISTANCE - 1))
        points[3] = ((LIGHT @ states)[:, None] @ self._normals)[:, 0]
        return points


class _Rows(NamedTuple):
    """The rows of pixels of all triangles, arrays (R,): whose, where, first column, how many."""

    triangle: np.ndarray
    row: np.ndarray
    left: np.ndarray
    pixels: np.ndarray


def _rows(column, row):
    """Cuts triangles with corners (3, K) into rows of the pixels whose centres they cover."""
    top, middle, bottom = _sorted_by_row(np.stack([column, row], axis=1))
    first = np.ceil(top[1])
    triangle, step = _enumerate((np.floor(bottom[1]) - first).astype(np.int64) + 1)
    at = first[triangle] + step
    below = at - middle[1][triangle]
    short = (
        np.where(below < 0, _slope(top, middle)[triangle], _slope(middle, bottom)[triangle]) * below
        + middle[0][triangle]
    )
    long = _slope(top, bottom)[triangle] * (at - top[1][triangle]) + top[0][triangle]
    left = np.ceil(np.minimum(short, long) - ROUNDING)
    right = np.floor(np.maximum(short, long) + ROUNDING)
    return _Rows(triangle, at, left, (right - left).astype(np.int64) + 1)


def _sorted_by_row(corners):
    """Three arrays (2, K) from corners (3, 2, K) of (column, row): upper, middle, lower ones."""
    a, b, c = corners
    a, b = _upper_and_lower(a, b)
    b, c = _upper_and_lower(b, c)
    a, b = _upper_and_lower(a, b)
    return a, b, c


def _upper_and_lower(a, b):
    sorted_already = a[1] <= b[1]
    return np.where(sorted_already, a, b), np.where(sorted_already, b, a)


def _slope(upper, lower):
    """Columns a row, (K,), from one point (2, K) to another; finite where both are on one row."""
    column, row = lower - upper
    return column / np.maximum(row, 1e-9)


def _interpolate(values, column, row, area, rows, which, step):
    """Values at pixels, linear between those at the corners of triangles, all (3, K).

    Args:
        area: (K,), see `_cross`.
        rows: the rows of all triangles.
        which, step: row of each pixel, and its place in the row.
    """
    by_column, by_row = _cross(values, row) / area, _cross(column, values) / area
    triangle = rows.triangle
    at_left = (
        values[0][triangle]
        + by_column[triangle] * (rows.left - column[0][triangle])
        + by_row[triangle] * (rows.row - row[0][triangle])
    )
    return at_left[which] + by_column[triangle[which]] * step


def _cross(x, y):
    """Cross products (K,) of the first two sides of triangles with corners `x`, `y`, (3, K)."""
    return (x[1] - x[0]) * (y[2] - y[0]) - (x[2] - x[0]) * (y[1] - y[0])


def _enumerate(counts):
    """For `counts` (N,) members of N groups each member's group, and its number in the group."""
    group = np.repeat(np.arange(len(counts)), counts)
    return group, np.arange(len(group)) - (np.cumsum(counts) - counts)[group]
