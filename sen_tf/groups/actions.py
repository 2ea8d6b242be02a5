"""Actions of groups on arrays: the conventions of the whole project, written once.

    pixels   arrays indexed by (row, column): r is `np.rot90(x, 1)`, counter-clockwise as the image
             is seen, f is `np.flip` over the columns, left-right.
    vectors  (x, y), x to the right and y upwards: r is [[cos, -sin], [sin, cos]], f is diag(-1, 1).
    voxels   arrays indexed by (row, column, slice): x grows with the column, y falls with the row,
             z grows with the slice, so that each slice is an image and the last one is nearest to
             who looks at it. A symmetry of the cube moves voxels as it moves vectors (x, y, z).
             C_n and D_n act about the z axis, on each slice as on an image.
    regular  functions on the group, on an axis indexed by its elements: (g f)[h] = f[g^-1 h].

All are left actions: acting with h and then with g is acting with gh.
"""

import itertools
import math
import re
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from sen_tf.groups import finite, icosahedral, octahedral

Action: TypeAlias = Callable[[np.ndarray, finite.FiniteGroup, int], np.ndarray]
"""A function `act(x, group, g)` that applies element `g` to an array, as those of this module."""


def rotate_grid(
    x: np.ndarray, group: finite.GroupLike, g: int, axes: tuple[int, int] = (-2, -1)
) -> np.ndarray:
    """Acts with `g` on the pixels of `x`: exact, no interpolation.

    Args:
        x: array of any shape.
        group: a C_n or D_n, or its name.
        g: index of an element that maps pixels to pixels: all of C1, C2, C4, D1, D2 and D4, and
            the `grid_elements` of the others.
        axes: the row axis and the column axis of `x`.

    Returns:
        A view of `x`; quarter turns exchange the sizes of the two axes.

    Raises:
        ValueError: if `g` is no element, or turns by no multiple of a quarter.
    """
    _, n = finite.family(group)
    turns, flips = finite.normal_form(group, g)
    if 4 * turns % n:
        raise ValueError(
            "Expected `g` to turn by a multiple of 90 degrees, as all of C1, C2, C4, D1, D2 and "
            f"D4 do; received g={g} of {group}, which turns by {360 * turns / n:.6g}"
        )
    if flips:
        x = np.flip(x, axes[1])
    return np.rot90(x, 4 * turns // n, axes)


def grid_elements(group: finite.GroupLike) -> list[int]:
    """Returns the elements of a C_n or D_n that map pixels to pixels; `rotate_grid` takes them."""
    _, n = finite.family(group)
    elements = finite.get(group).elements
    return [g for g in elements if 4 * finite.normal_form(group, g)[0] % n == 0]


def kernel_indices(group: finite.GroupLike, size: int) -> np.ndarray:
    """Returns where the pixels of a transformed square kernel come from.

    Args:
        group: C1, C2, C4, D1, D2 or D4, or the `FiniteGroup`.
        size: width and height of the kernel, in pixels.

    Returns:
        Integers of shape (|G|, size, size), flat indices of pixels:
        `kernel.reshape(-1)[indices[g]] == rotate_grid(kernel, group, g)`.

    Raises:
        ValueError: for a group that does not map pixels to pixels.
    """
    if len(grid_elements(group)) < finite.get(group).order:
        raise ValueError(
            f"Expected `group` to be one of C1, C2, C4, D1, D2, D4; received group={group}"
        )
    pixels = np.arange(size * size).reshape(size, size)
    return np.stack([rotate_grid(pixels, group, g) for g in finite.get(group).elements])


def space_matrices(group: finite.GroupLike) -> np.ndarray:
    """Returns the matrices by which a group acts on vectors (x, y, z) and, with them, on voxels.

    Args:
        group: C1, C2, C4, D1, D2 or D4, about the z axis, or T, O, Oh or another group of
            `octahedral`.

    Returns:
        Float64 of shape (|G|, 3, 3), each with one 1 or -1 per row and column.

    Raises:
        ValueError: for other groups.
    """
    group = finite.get(group)
    if _is_octahedral(group):
        return octahedral.matrices(group.name)
    if group.config not in ("C1", "C2", "C4", "D1", "D2", "D4"):
        raise ValueError(
            "Expected `group` to be one of C1, C2, C4, D1, D2, D4, T, O and Oh, or a subgroup of "
            f"Oh that `octahedral.generated` names; received group={group}"
        )
    matrices = np.tile(np.eye(3), (group.order, 1, 1))
    matrices[:, :2, :2] = [vector_matrix(group, g) for g in group.elements]
    return matrices


def rotate_voxels(
    x: np.ndarray,
    group: finite.GroupLike,
    g: int,
    axes: tuple[int, int, int] = (-3, -2, -1),
) -> np.ndarray:
    """Acts with `g` on the voxels of `x`: exact, no interpolation.

    Args:
        x: array of any shape.
        group: as for `space_matrices`.
        g: index of an element.
        axes: the axes of `x` of rows (y falls), columns (x grows) and slices (z grows).

    Returns:
        A view of `x`; turns exchange the sizes of the three axes.

    Raises:
        ValueError: as `space_matrices`, or if `g` is no element.
    """
    group = finite.get(group)
    matrix = _grid_matrices(group)[group.element(g)]
    x = np.moveaxis(x, axes, (-3, -2, -1))
    sources = np.abs(matrix).argmax(axis=1)  # new axis a runs along what was axis sources[a]
    x = x.transpose(*range(x.ndim - 3), *(x.ndim - 3 + sources))
    x = np.flip(x, tuple(a - 3 for a in range(3) if matrix[a, sources[a]] < 0))
    return np.moveaxis(x, (-3, -2, -1), axes)


def voxel_indices(group: finite.GroupLike, size: int) -> np.ndarray:
    """Returns where the voxels of a transformed cubic kernel come from.

    Args:
        group: as for `space_matrices`.
        size: rows, columns and slices of the kernel.

    Returns:
        Integers of shape (|G|, size, size, size), flat indices of voxels:
        `kernel.reshape(-1)[indices[g]] == rotate_voxels(kernel, group, g)`.
    """
    voxels = np.arange(size**3).reshape(size, size, size)
    return np.stack([rotate_voxels(voxels, group, g) for g in finite.get(group).elements])


def reversed_axes(group: finite.GroupLike) -> tuple[bool, bool, bool]:
    """Returns which of rows, columns and slices some element runs through backwards.

    A grid that is to be mapped to itself must be symmetric along these. `group` is as for
    `space_matrices`.
    """
    rows, columns, slices = (_grid_matrices(group) < 0).any(axis=(0, 2)).tolist()
    return rows, columns, slices


def exchanged_axes(group: finite.GroupLike) -> list[tuple[int, int]]:
    """Returns the pairs of rows (0), columns (1) and slices (2) that some element exchanges.

    A grid that is to be mapped to itself must have equal sizes along these. `group` is as for
    `space_matrices`.
    """
    moved = (_grid_matrices(group) != 0).any(axis=0)
    return [(a, b) for a, b in itertools.combinations(range(3), 2) if moved[a, b]]


def act_on_regular(f: npt.ArrayLike, group: finite.GroupLike, g: int, axis: int = -2) -> np.ndarray:
    """Acts with `g` on a function on the group: (g f)[h] = f[g^-1 h].

    Args:
        f: array whose `axis` is indexed by the elements of `group`.
        group: any `FiniteGroup`, or a name.
        g: index of an element.
        axis: the group axis; -2 in this project's features, (..., group, channel).

    Raises:
        ValueError: if that axis is not as long as the group, or `g` is no element.
    """
    group = finite.get(group)
    f = np.asarray(f)
    if f.shape[axis] != group.order:
        raise ValueError(
            f"Expected `f` to have size {group.order} on axis {axis}, the group axis of {group}; "
            f"received f of shape {f.shape}"
        )
    return np.take(f, group.product[group.inverse[group.element(g)]], axis)


def act_on_regular_image(x: np.ndarray, group: finite.GroupLike, g: int) -> np.ndarray:
    """Acts with `g` on a regular feature map: on its pixels and on its group axis.

    Args:
        x: array of shape (batch, row, column, group, channel).
        group, g: as for `rotate_grid`.

    Raises:
        ValueError: as `rotate_grid` and `act_on_regular`.
    """
    return act_on_regular(rotate_grid(x, group, g, axes=(1, 2)), group, g, axis=3)


def act_on_regular_volume(x: np.ndarray, group: finite.GroupLike, g: int) -> np.ndarray:
    """Acts with `g` on a regular feature map of volumes: on its voxels and on its group axis.

    Args:
        x: array of shape (batch, row, column, slice, group, channel).
        group: as for `space_matrices`.
        g: index of an element.

    Raises:
        ValueError: as `rotate_voxels` and `act_on_regular`.
    """
    return act_on_regular(rotate_voxels(x, group, g, axes=(1, 2, 3)), group, g, axis=4)


def vector_matrix(group: finite.GroupLike, g: int) -> np.ndarray:
    """Returns the matrix by which an element acts on vectors.

    They are (x, y) for C_n and D_n, and (x, y, z) for I and the groups of `octahedral`. It is
    orthogonal, float64, and exact for multiples of a quarter turn. ValueError for other groups, or
    if `g` is no element.
    """
    group = finite.get(group)
    if _is_octahedral(group):
        return octahedral.matrices(group.name)[group.element(g)]
    if group.config == "I":
        return icosahedral.matrices()[group.element(g)]
    _, n = finite.family(group)
    k, j = finite.normal_form(group, g)
    cos, sin = math.cos(2 * math.pi * k / n), math.sin(2 * math.pi * k / n)
    if 4 * k % n == 0:
        cos, sin = float(round(cos)), float(round(sin))
    return np.array([[cos, -sin], [sin, cos]]) @ np.diag([(-1.0) ** j, 1.0])


def cube_permutations(group: finite.GroupLike, part: str) -> np.ndarray:
    """Returns where the faces or corners of a cube go: element g moves part i to `[g, i]`.

    Faces are ordered x, -x, y, -y, z, -z; corners by their signs: x first, those with x > 0 before
    those with x < 0, then y, then z.

    Args:
        group: as for `space_matrices`.
        part: "faces" or "corners".

    Returns:
        Integers of shape (|G|, 6) or (|G|, 8).
    """
    signs = (1.0, -1.0)
    points = {
        "faces": np.array([sign * axis for axis in np.eye(3) for sign in signs]),
        "corners": np.array(list(itertools.product(signs, repeat=3))),
    }[part]
    moved = points @ space_matrices(group).swapaxes(1, 2)
    return (moved[:, :, None] == points).all(axis=-1).argmax(axis=-1)


_GRID = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
"""From (x, y, z) to (row, column, slice), both counted from the centre."""


def _grid_matrices(group):
    """The matrices (|G|, 3, 3) by which a group acts on (row, column, slice)."""
    return _GRID @ space_matrices(group) @ _GRID.T


def _is_octahedral(group):
    return isinstance(group.config, str) and re.fullmatch(octahedral.NAMES, group.name) is not None
