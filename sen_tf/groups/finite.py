"""Finite groups as values: a name, a multiplication table, and nothing else.

Elements are integers 0 .. order - 1, the identity is 0.

    C_n  index k      is r^k
    D_n  index k      is r^k,    index n + k is r^k f  (reflect first, then rotate)
    Oh   index k      is the symmetry `octahedral.matrices("Oh")[k]` of a cube; O, T and the other
                      subgroups are numbered likewise, see `octahedral.py`
    I    index k      is the rotation `icosahedral.matrices()[k]` of an icosahedron

r is the counter-clockwise turn by 2 pi / n and f the left-right mirror; `actions.py` says what they
do to arrays.
"""

import dataclasses
import difflib
import functools
import operator
import re
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from sen_tf.groups import icosahedral, octahedral

EXAMPLES = (
    "C1",
    "C2",
    "C3",
    "C4",
    "C6",
    "C8",
    "D1",
    "D2",
    "D3",
    "D4",
    "D6",
    "D8",
    "T",
    "O",
    "Oh",
    "I",
)
PLANAR = r"[CD][1-9][0-9]*"
NAMES = rf"{PLANAR}|{octahedral.NAMES}|I"


@dataclasses.dataclass(frozen=True, eq=False, repr=False, init=False)
class FiniteGroup:
    """A finite group, given by its multiplication table.

    Two groups are equal when their names and tables are. The arrays are read-only, so that a group
    can be shared and hashed.

    Args:
        name: what the group prints as, such as "C4".
        product: integers of shape (order, order): `product[g, h]` is the index of gh, and 0 that of
            the identity.

    Attributes:
        inverse: integers of shape (order,); `inverse[g]` is the index of g^-1.
        order: the number of elements.
        elements: `range(order)`.

    Raises:
        ValueError: if `name` is no non-empty string, or `product` is not the table of a group.

    Example:
        >>> klein = FiniteGroup("V", [[0, 1, 2, 3], [1, 0, 3, 2], [2, 3, 0, 1], [3, 2, 1, 0]])
        >>> klein.order, klein.inverse.tolist()
        (4, [0, 1, 2, 3])
    """

    name: str
    product: np.ndarray
    inverse: np.ndarray = dataclasses.field(init=False)

    def __init__(self, name: str, product: npt.ArrayLike) -> None:
        if not isinstance(name, str) or not name:
            raise ValueError(f"Expected `name` to be a non-empty string; received name={name!r}")
        table = _integers(product)
        _check_table(table)
        inverse = np.argmin(table, axis=1)
        for array in (table, inverse):
            array.flags.writeable = False
        for key, value in (("name", name), ("product", table), ("inverse", inverse)):
            object.__setattr__(self, key, value)

    @property
    def order(self) -> int:
        return len(self.product)

    @property
    def elements(self) -> range:
        return range(self.order)

    @property
    def config(self) -> str | dict[str, Any]:
        """The value from which `get` makes the group: a name, or name and table."""
        if self == _named(self.name):
            return self.name
        return {"name": self.name, "product": self.product.tolist()}

    def element(self, g: int) -> int:
        """Returns `g` as a Python integer; ValueError unless it is the index of an element."""
        index = _index(g)
        if index is None or not 0 <= index < self.order:
            raise ValueError(
                f"Expected `g` to be an element of {self.name}, an integer from 0 to "
                f"{self.order - 1}; received g={g!r}"
            )
        return index

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, FiniteGroup):
            return NotImplemented
        return self.name == other.name and np.array_equal(self.product, other.product)

    def __hash__(self) -> int:
        return hash((self.name, self.product.tobytes()))

    def __repr__(self) -> str:
        return self.name

    def __reduce__(self) -> tuple[Any, ...]:
        return FiniteGroup, (self.name, self.product)


GroupLike: TypeAlias = FiniteGroup | str | dict[str, Any]
"""Anything `get` makes a group of: a group, its name such as `"C4"`, or a `FiniteGroup.config`."""


def cyclic(n: int) -> FiniteGroup:
    """Returns C_n, the n rotations of a regular n-gon, for an integer n >= 1.

    ValueError for any other n.
    """
    return get(f"C{_at_least_one(n)}")


def dihedral(n: int) -> FiniteGroup:
    """Returns D_n, the n rotations and n reflections of a regular n-gon, for an integer n >= 1.

    ValueError for any other n.
    """
    return get(f"D{_at_least_one(n)}")


def get(group: GroupLike) -> FiniteGroup:
    """Returns the group of a name such as "C4", "D3" or "O"; a `FiniteGroup` is returned as it is.

    A dict of `name` and `product` makes a group of your own, as `FiniteGroup.config` gives it.

    On volumes C1, C2, C4, D1, D2 and D4 act about the z axis: slice by slice, as on images. Other
    symmetries of a cube have names that `octahedral.generated` makes.

    Raises:
        ValueError: for any other name or type.

    Example:
        >>> from sen_tf.groups.octahedral import generated, turn
        >>> get(generated(turn("x")))  # C4 about the x axis
        Oh(0,1,4,5)
        >>> get(generated(turn("z"), turn("x", 2))).order  # the rotations of a square prism
        8
    """
    if isinstance(group, FiniteGroup):
        return group
    if isinstance(group, dict) and set(group) == {"name", "product"}:
        return FiniteGroup(**group)
    if not isinstance(group, str) or not re.fullmatch(NAMES, group):
        nearest = difflib.get_close_matches(str(group).upper(), EXAMPLES, n=1)
        nearest = [f"C{group}"] if isinstance(group, int) else nearest
        hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
        if group in ("SO2", "O2", "SO3", "O3"):
            hint = f" Layers of their own take {group}, such as CircleConv2D and IrrepsConv3D."
        raise ValueError(
            "Expected `group` to be a FiniteGroup, or C or D and a number n >= 1, as in 'C4' and "
            f"'D3', or 'T', 'O', 'Oh' or 'I'; received group={group!r}.{hint}"
        )
    return _by_name(octahedral.canonical(group) if re.fullmatch(octahedral.NAMES, group) else group)


def family(group: GroupLike) -> tuple[str, int]:
    """Returns ("C", n) or ("D", n), what kind of group this is; ValueError if neither."""
    group = get(group)
    if not re.fullmatch(PLANAR, group.name) or group != _by_name(group.name):
        raise ValueError(
            "Expected `group` to be cyclic or dihedral (C1, C2, ... or D1, D2, ...); "
            f"received group={group!r} of order {group.order}"
        )
    return group.name[0], int(group.name[1:])


def normal_form(group: GroupLike, g: int) -> tuple[int, int]:
    """Returns the (k, j) with 0 <= k < n and j in (0, 1) for which `g` of C_n or D_n is r^k f^j."""
    group = get(group)
    _, n = family(group)
    j, k = divmod(group.element(g), n)
    return k, j


def _named(name):
    """The group of a name, or None; a group of your own may have any name, "Oh(7)" too."""
    try:
        return get(name)
    except ValueError:
        return None


@functools.cache
def _by_name(name):
    if re.fullmatch(octahedral.NAMES, name):
        return FiniteGroup(name, octahedral.product(name))
    if name == "I":
        return FiniteGroup(name, icosahedral.product())
    n = int(name[1:])
    j, k = np.divmod(np.arange(n if name[0] == "C" else 2 * n), n)
    # f r = r^-1 f, hence (r^k f^j) (r^k' f^j') = r^(k + (-1)^j k') f^(j + j').
    turns = (k[:, None] + (-1) ** j[:, None] * k) % n
    return FiniteGroup(name, turns + n * (j[:, None] ^ j))


def _index(value):
    try:
        return operator.index(value)
    except TypeError:
        return None


def _at_least_one(n):
    index = _index(n)
    if index is None or index < 1:
        raise ValueError(f"Expected `n` to be an integer >= 1; received n={n!r}")
    return index


def _integers(product):
    table = np.array(product)
    if table.ndim != 2 or table.shape[0] != table.shape[1] or not table.size:
        raise ValueError(
            f"Expected `product` to be a square table; received product of shape {table.shape}"
        )
    if not np.issubdtype(table.dtype, np.integer):
        raise ValueError(
            f"Expected `product` to hold integers; received product of dtype {table.dtype}"
        )
    return table.astype(np.int64)


def _check_table(product):
    """Raises ValueError unless a square table of integers is that of a group with identity 0."""
    indices = np.arange(len(product))
    if product.min() < 0 or product.max() >= len(product):
        raise ValueError(
            f"Expected `product` to hold indices from 0 to {len(product) - 1}; "
            f"received values from {product.min()} to {product.max()}"
        )
    if not (np.array_equal(product[0], indices) and np.array_equal(product[:, 0], indices)):
        raise ValueError(
            "Expected `product` to have the identity at index 0; "
            f"received first row {product[0].tolist()} and first column {product[:, 0].tolist()}"
        )
    if not (
        (np.sort(product, 0) == indices[:, None]).all() and (np.sort(product, 1) == indices).all()
    ):
        raise ValueError(
            "Expected each row and column of `product` to hold every element once; "
            f"received product={product.tolist()}"
        )
    for g in indices:
        if not np.array_equal(product[product[g]], product[g][product]):
            raise ValueError(
                "Expected `product` to be associative; "
                f"received a table where (g h) k != g (h k) for g={g}"
            )
