"""Actions of C_n and D_n on arrays: the conventions of the whole project, written once.

    pixels   arrays indexed by (row, column): r is `np.rot90(x, 1)`, counter-clockwise as the image
             is seen, f is `np.flip` over the columns, left-right.
    vectors  (x, y), x to the right and y upwards: r is [[cos, -sin], [sin, cos]], f is diag(-1, 1).
    regular  functions on the group, on an axis indexed by its elements: (g f)[h] = f[g^-1 h].

All are left actions: acting with h and then with g is acting with gh.
"""

import math
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from sen_tf.groups import finite, octahedral

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


def vector_matrix(group: finite.GroupLike, g: int) -> np.ndarray:
    """Returns the matrix by which an element acts on vectors: (x, y), of O (x, y, z).

    It is orthogonal, float64, and exact for multiples of a quarter turn. ValueError for groups
    other than C_n, D_n and O, or if `g` is no element.
    """
    group = finite.get(group)
    if group == finite.get("O"):
        return octahedral.matrices()[group.element(g)]
    _, n = finite.family(group)
    k, j = finite.normal_form(group, g)
    cos, sin = math.cos(2 * math.pi * k / n), math.sin(2 * math.pi * k / n)
    if 4 * k % n == 0:
        cos, sin = float(round(cos)), float(round(sin))
    return np.array([[cos, -sin], [sin, cos]]) @ np.diag([(-1.0) ** j, 1.0])
