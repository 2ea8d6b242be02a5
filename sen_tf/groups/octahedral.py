"""The symmetries of a cube: the 48 matrices with one 1 or -1 per row and column.

They are numbered, and act on vectors (x, y, z). Numbers 0 to 23 are the rotations, ordered by which
axes they exchange, then by signs; 24 + k is rotation k and the inversion v -> -v. The identity is
number 0. Groups of them have names, which `groups.get` takes:

    O            the 24 rotations
    Oh           all 48
    T            the 12 rotations that exchange axes cyclically: those of a tetrahedron
    Oh(0,3)      any other subgroup, by its numbers in ascending order; `generated` makes the name

Element i of a group is the i-th of its numbers.
"""

import functools
import itertools
import re

import numpy as np
import numpy.typing as npt

NAMES = r"T|Oh?|Oh\(\d+(?:,\d+)*\)"
"""A pattern of the names; not every list of numbers is a subgroup."""

AXES = "xyz"


def matrices(name: str = "O") -> np.ndarray:
    """Returns the elements of a group, float64 of shape (order, 3, 3), exact and read-only.

    Raises:
        ValueError: if `name` is not one of a group, as the module lists them.
    """
    return _matrices(canonical(name))


def canonical(name: str) -> str:
    """Returns the one name of a group: "Oh(0,1,...,23)" is "O".

    Raises:
        ValueError: if `name` is not one of a group.
    """
    if not re.fullmatch(NAMES, name):
        raise ValueError(
            f"Expected `name` to be 'T', 'O', 'Oh' or a list like 'Oh(0,3)'; received name={name!r}"
        )
    if not name.endswith(")"):
        return name
    numbers = [int(number) for number in name[3:-1].split(",")]
    if sorted(set(numbers)) != numbers or not _is_closed(numbers):
        raise ValueError(
            "Expected `name` to list the numbers of a subgroup of Oh in ascending order, such as "
            f"`octahedral.generated` makes; received name={name!r}"
        )
    return _name(numbers)


def product(name: str = "O") -> np.ndarray:
    """Returns the multiplication table of `matrices(name)`, integers of shape (order, order)."""
    numbers = _numbers(canonical(name))
    return np.searchsorted(numbers, _full_product()[np.ix_(numbers, numbers)])


def generated(*generators: npt.ArrayLike) -> str:
    """Returns the name of the group that matrices generate: what they make by multiplication.

    Args:
        *generators: symmetries of a cube, arrays of shape (3, 3) such as `turn` and `mirror` give.

    Raises:
        ValueError: if a generator is no symmetry of the cube.

    Example:
        >>> generated(turn("x"))  # C4 about the x axis
        'Oh(0,1,4,5)'
        >>> generated(turn("z"), turn("x"))
        'O'
    """
    found = {0}
    new = [_number(generator) for generator in generators]
    while new:
        found.update(new)
        pairs = itertools.product(found, repeat=2)
        new = sorted({int(_full_product()[pair]) for pair in pairs} - found)
    return _name(sorted(found))


def turn(axis: str, quarters: int = 1) -> np.ndarray:
    """Returns the rotation by `quarters` quarter turns about an axis, "x", "y" or "z".

    It is counter-clockwise as seen from the tip of the axis: about z, x goes to y.
    """
    first = _axis(axis) + 1
    matrix = np.eye(3)
    plane = [first % 3, (first + 1) % 3]
    matrix[np.ix_(plane, plane)] = np.linalg.matrix_power(
        np.array([[0.0, -1.0], [1.0, 0.0]]), quarters % 4
    )
    return matrix + 0.0  # no -0


def mirror(axis: str) -> np.ndarray:
    """Returns the reflection that reverses an axis, "x", "y" or "z"."""
    return np.diag(np.where(np.arange(3) == _axis(axis), -1.0, 1.0))


def _axis(axis):
    if axis not in tuple(AXES):
        raise ValueError(f"Expected `axis` to be 'x', 'y' or 'z'; received axis={axis!r}")
    return AXES.index(axis)


def _number(generator):
    matrix = np.asarray(generator)
    same = (_all() == matrix).all((1, 2)) if matrix.shape == (3, 3) else np.array(False)
    if not same.any():
        raise ValueError(
            "Expected `generators` to be matrices (3, 3) with one 1 or -1 per row and column; "
            f"received {matrix.tolist()}"
        )
    return int(same.argmax())


def _name(numbers):
    for name in ("T", "O", "Oh"):
        if tuple(numbers) == _numbers(name):
            return name
    return f"Oh({','.join(map(str, numbers))})"


def _is_closed(numbers):
    within = numbers[0] == 0 and numbers[-1] < 48
    return within and np.isin(_full_product()[np.ix_(numbers, numbers)], numbers).all()


@functools.cache
def _numbers(name):
    if name.endswith(")"):
        return tuple(int(number) for number in name[3:-1].split(","))
    if name == "T":
        return tuple(k for k in range(24) if np.linalg.det(abs(_all()[k])) > 0)
    return tuple(range({"O": 24, "Oh": 48}[name]))


@functools.cache
def _matrices(name):
    found = _all()[list(_numbers(name))]
    found.flags.writeable = False
    return found


@functools.cache
def _all():
    permutations = (np.eye(3)[list(order)] for order in itertools.permutations(range(3)))
    signs = [np.diag(signs) for signs in itertools.product((1.0, -1.0), repeat=3)]
    signed = [sign @ permutation for permutation in permutations for sign in signs]
    rotations = np.array([matrix for matrix in signed if np.linalg.det(matrix) > 0])
    return np.concatenate([rotations, -rotations]) + 0.0  # no -0


@functools.cache
def _full_product():
    products = np.einsum("gij,hjk->ghik", _all(), _all())
    same = (products[:, :, None] == _all()).all(axis=(-2, -1))
    return same.argmax(axis=-1)
