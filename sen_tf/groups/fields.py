"""Fields: how the numbers of a tensor change when a group acts."""

import dataclasses
from typing import Any

import numpy as np

from sen_tf.groups import actions, circle, finite, irreps, representations

TRIVIAL = "trivial"


@dataclasses.dataclass(frozen=True, repr=False, init=False)
class Field:
    """The action of a group on a tensor `(batch, ..., channels)`, as a value.

    Args:
        group: a `FiniteGroup`, or its name.
        representation: how the group acts on one axis, a `Representation` or the string that makes
            it, such as "regular"; "trivial", of one dimension, stands for a tensor without that
            axis.
        pixels: True if axes 1 and 2 are the rows and columns of an image, which g moves; the pair
            (rows, columns) if axis 1 holds all pixels, row by row; False if there are none.
        voxels: the same of axes 1 to 3, the rows, columns and slices of a volume.
        axis: where the representation acts: -2, on the axis before the channels, of its dimension
            d; or -1, on channels of which each number of d is a block (d blocks, one after the
            other).

    Raises:
        ValueError: for another axis, a representation of another group, both pixels and voxels, or
            another number of sizes.

    Example:
        >>> Field("C4", "regular", pixels=True), Field("O", voxels=True), Field("D4")
        (regular C4 on pixels, volume, invariant)
    """

    group: finite.FiniteGroup
    representation: representations.Representation
    pixels: bool | tuple[int, int] = False
    axis: int = -2
    voxels: bool | tuple[int, int, int] = False

    def __init__(
        self,
        group: finite.GroupLike,
        representation: representations.RepresentationLike = TRIVIAL,
        pixels: bool | tuple[int, int] = False,
        axis: int = -2,
        voxels: bool | tuple[int, int, int] = False,
    ) -> None:
        if axis not in (-2, -1):
            raise ValueError(f"Expected `axis` to be -2 or -1; received axis={axis!r}")
        if pixels and voxels:
            raise ValueError(
                "Expected `pixels` or `voxels`; received both, "
                f"pixels={pixels!r} and voxels={voxels!r}"
            )
        for name, sizes, count in (("pixels", pixels, 2), ("voxels", voxels, 3)):
            if isinstance(sizes, list | tuple) and len(sizes) != count:
                raise ValueError(f"Expected `{name}` to hold {count} sizes; received {sizes!r}")
        group = finite.get(group)
        values = {
            "group": group,
            "representation": representations.get(representation, group),
            "pixels": tuple(pixels) if isinstance(pixels, list | tuple) else bool(pixels),
            "axis": axis,
            "voxels": tuple(voxels) if isinstance(voxels, list | tuple) else bool(voxels),
        }
        for key, value in values.items():
            object.__setattr__(self, key, value)

    @property
    def is_trivial(self) -> bool:
        """True if the group acts on no axis but those of pixels or voxels."""
        return self.representation.name == TRIVIAL

    @property
    def space_dimensions(self) -> int:
        """The dimensions of the space whose places g moves: 3 of voxels, 2 of pixels, or 0."""
        return 3 if self.voxels else 2 if self.pixels else 0

    @property
    def space_axes(self) -> int:
        """The number of axes after the batch that hold pixels or voxels: 3, 2, 1 or 0."""
        return 1 if self.tokens else self.space_dimensions

    @property
    def tokens(self) -> tuple[int, ...] | None:
        """The sizes of the image or volume whose places axis 1 holds, one after the other."""
        places = self.pixels or self.voxels
        return places if isinstance(places, tuple) else None

    @property
    def dimension(self) -> int:
        return self.representation.dimension

    def replace(self, **changes: Any) -> "Field":
        """Returns the field with other arguments than its own."""
        return dataclasses.replace(self, **changes)

    def fits(self, shape: tuple[int | None, ...]) -> bool:
        """True if a tensor of this shape has the axes on which the group acts."""
        axes = self.space_axes
        if self.is_trivial:
            return len(shape) > axes
        if len(shape) <= axes - self.axis:
            return False
        size = shape[self.axis]
        return size is not None and (
            size == self.dimension if self.axis == -2 else size % self.dimension == 0
        )

    def act(self, x: np.ndarray, g: int) -> np.ndarray:
        """Acts with element `g` of the group on an array of this field.

        Args:
            x: array of shape (batch, ..., channels).
            g: index of an element.

        Returns:
            An array of the dtype of x; a view where nothing but pixels or voxels moves.

        Raises:
            ValueError: if the array lacks the axes on which the group acts, `g` is no element, or
                the group does not act on pixels or voxels where there are some.
        """
        x = np.asarray(x)
        if not self.fits(x.shape):
            raise ValueError(f"Expected `x` to be a field {self!r}; received x of shape {x.shape}")
        self.group.element(g)
        x = self._move_places(x, g)
        if self.is_trivial:
            return x
        if self.axis == -2:
            return self._on_axis(x, g)
        blocks = x.reshape(*x.shape[:-1], self.dimension, -1)
        return self._on_axis(blocks, g).reshape(x.shape)

    def _move_places(self, x, g):
        if not self.space_dimensions:
            return x
        grid = x.reshape(len(x), *self.tokens, *x.shape[2:]) if self.tokens else x
        if self.voxels:
            moved = actions.rotate_voxels(grid, self.group, g, axes=(1, 2, 3))
        else:
            moved = actions.rotate_grid(grid, self.group, g, axes=(1, 2))
        return moved.reshape(x.shape) if self.tokens else moved

    def _on_axis(self, x, g):
        """rho(g) on axis -2."""
        if self.representation.name == "regular":
            return actions.act_on_regular(x, self.group, g)
        matrix = self.representation.matrices[g]
        rows, columns = np.nonzero(matrix)
        if len(rows) == len(matrix) and (matrix[rows, columns] == 1).all():
            return np.take(x, columns, axis=-2)  # a permutation: numbers stay as they are
        precise = np.result_type(x.dtype, np.float32)
        return (matrix.astype(precise) @ x.astype(precise)).astype(x.dtype)

    def __repr__(self) -> str:
        if self.is_trivial:
            return ("invariant", "tokens", "image", "volume")[self.space_axes]
        where = ("", " on tokens", " on pixels", " on voxels")[self.space_axes]
        return f"{self.representation} {self.group}{' in channels' * (self.axis == -1)}{where}"


def subgroup(group: finite.GroupLike, whole: finite.GroupLike) -> list[int] | None:
    """Returns the elements of a larger group that the elements of a smaller one are.

    C_n lies in C_m and in D_m, D_n in D_m, where n divides m: their elements do the same to pixels
    and to vectors. In T, O, Oh and the groups of `octahedral` lie those whose elements do the same
    to voxels: C4 and D4 in Oh.

    Returns:
        For each element of `group` the index of one of `whole`; None if it is no such subgroup.
    """
    group, whole = finite.get(group), finite.get(whole)
    if group == whole:
        return list(group.elements)
    try:
        (letter, n), (other, m) = finite.family(group), finite.family(whole)
    except ValueError:
        return _subgroup_in_space(group, whole)
    if m % n or (letter, other) == ("D", "C"):
        return None
    forms = (finite.normal_form(group, g) for g in group.elements)
    return [k * (m // n) + m * j for k, j in forms]


def _subgroup_in_space(group, whole):
    try:
        parts, matrices = actions.space_matrices(group), actions.space_matrices(whole)
    except ValueError:
        return None
    same = (parts[:, None] == matrices).all(axis=(-2, -1))
    return same.argmax(axis=1).tolist() if same.any(axis=1).all() else None


def restricted(field: Field, group: finite.GroupLike) -> Field | None:
    """Returns the field under a subgroup, or None if the group does not act on it.

    On a tensor without a representation every group acts, as far as it acts on pixels or voxels.
    """
    group = finite.get(group)
    if field.group == group:
        return field
    if field.is_trivial:
        return field.replace(group=group, representation=TRIVIAL)
    elements = subgroup(group, field.group)
    if elements is None:
        return None
    rho = field.representation
    name = f"{rho.name} of {field.group}"
    matrices = rho.matrices[elements]
    return field.replace(
        group=group, representation=representations.Representation(group, name, matrices)
    )


def of_irreps(
    group: finite.GroupLike, degree: int, whole: str = "SO3"
) -> representations.Representation | None:
    """Returns how a group acts on parts of degree 0 to L, in the basis of `irreps`.

    `whole` is "SO3", or "O3" for even parts and odd ones. C_n turns about z. None for groups that
    do not act on vectors, and for those with reflections under SO(3), which has none.
    """
    group = finite.get(group)
    matrices = _in_space(group, whole)
    if matrices is None:
        return None
    act = irreps.parity_representation if whole == "O3" else irreps.representation
    return representations.Representation(group, f"irreps({degree})", act(degree, matrices))


def of_vectors(
    group: finite.GroupLike, whole: str = "SO3"
) -> representations.Representation | None:
    """Returns how a group acts on vectors (x, y, z); None as `of_irreps`."""
    group = finite.get(group)
    matrices = _in_space(group, whole)
    if matrices is None:
        return None
    return representations.Representation(group, "vectors", matrices)


def of_frequencies(
    group: finite.GroupLike, whole: circle.Circle, highest: int
) -> representations.Representation | None:
    """Returns how C_n or D_n acts on the parts of SO(2) or O(2) up to a frequency.

    None where it is no subgroup: SO(2) has no reflections.
    """
    group = finite.get(group)
    try:
        letter, n = finite.family(group)
    except ValueError:
        return None
    if letter == "D" and not whole.mirrors:
        return None
    forms = (finite.normal_form(group, g) for g in group.elements)
    matrices = [whole.matrix(highest, 2 * np.pi * k / n, bool(j)) for k, j in forms]
    return representations.Representation(
        group, f"frequencies({highest}) of {whole}", np.stack(matrices)
    )


def _in_space(group, whole):
    """The elements of SO3 or O3 that those of a group are, (|G|, 3, 3), or None."""
    try:
        vectors = np.stack([actions.vector_matrix(group, g) for g in group.elements])
    except ValueError:
        return None
    matrices = np.tile(np.eye(3), (group.order, 1, 1))
    matrices[:, : vectors.shape[1], : vectors.shape[1]] = vectors
    return matrices if whole == "O3" or (np.linalg.det(matrices) > 0).all() else None


def by_shape(group: finite.GroupLike, shape: tuple[int | None, ...]) -> Field | None:
    """Returns the field that an input of this shape has by the conventions of the project.

    `(batch, rows, columns, channels)` is an image, `(batch, rows, columns, |G|, channels)` regular
    on pixels, `(batch, |G|, channels)` regular, `(batch, ...)` of rank 1 or 2 invariant. Other
    shapes of rank 5 are volumes `(batch, rows, columns, slices, channels)`, of rank 6 regular on
    voxels, where the group acts on space. None for the rest.
    """
    group = finite.get(group)
    match tuple(shape):
        case (_,) | (_, _):
            return Field(group)
        case (_, size, _) if size == group.order:
            return Field(group, "regular")
        case (_, _, _, _):
            return Field(group, pixels=True)
        case (_, _, _, size, _) if size == group.order and _is_planar(group):
            return Field(group, "regular", pixels=True)
        case (_, _, _, _, _) if _acts_on_voxels(group):
            return Field(group, voxels=True)
        case (_, _, _, _, size, _) if size == group.order and _acts_on_voxels(group):
            return Field(group, "regular", voxels=True)
        case _:
            return None


def _is_planar(group):
    """True for C_n and D_n."""
    try:
        return bool(finite.family(group))
    except ValueError:
        return False


def _acts_on_voxels(group):
    try:
        return len(actions.space_matrices(group)) == group.order
    except ValueError:
        return False
