"""The field of a tensor whose axes are split, joined, or put in another order.

A tensor is a list of axes, an axis a list of parts in row-major order: "row", "column", "slice",
"rho" (the representation) and "free" (what the group leaves alone), each with its size.
"""

import math

from sen_tf.groups import Field
from sen_tf.tensors import Shape

Part = tuple[str, int]
Axes = list[list[Part]]
PLACES = ["row", "column", "slice"]


def reshaped(field: Field, shape: Shape, new_shape: Shape) -> Field | None:
    """The field after a reshape; None if it is none, or sizes are not known."""
    if None in (*shape[1:], *new_shape[1:]) or not field.fits(shape):
        return None
    parts = [part for axis in _axes(field, shape) for part in axis]
    return _field(field, _split(parts, list(new_shape[1:])))


def transposed(field: Field, shape: Shape, order: list[int]) -> Field | None:
    """The field after a transposition: axis i of the output is axis `order[i]` of the input.

    Where the shape stays as it was, what follows takes the output for the same field; it is one if
    the transposition was meant to exchange nothing.
    """
    if None in shape[1:] or not field.fits(shape) or order[0] != 0:
        return None
    if [shape[axis] for axis in order] == list(shape):
        return field
    axes = _axes(field, shape)
    return _field(field, [axes[axis - 1] for axis in order[1:]])


def reduced(field: Field, shape: Shape, over: set[int], keepdims: bool) -> Field | None:
    """The field after a maximum, mean or sum over some axes."""
    if not field.fits(shape) or 0 in over:
        return None
    axes: Axes = []
    for number, parts in enumerate(_axes(field, shape), 1):
        if number not in over:
            axes.append(parts)
        elif keepdims:
            axes.append([])
    return _field(field, axes)


def _axes(field: Field, shape: Shape) -> Axes:
    axes: Axes = [[("free", size)] for size in shape[1:]]
    grid = PLACES[: field.space_dimensions]
    if field.tokens:
        axes[0] = list(zip(grid, field.tokens, strict=True))
    else:
        axes[: len(grid)] = [[part] for part in zip(grid, shape[1 : 1 + len(grid)], strict=True)]
    if not field.is_trivial:
        d = field.dimension
        blocks = [("free", shape[-1] // d)] if field.axis == -1 else []
        axes[field.axis] = [("rho", d), *blocks]
    return axes


def _split(parts: list[Part], sizes: list[int]) -> Axes | None:
    """The parts spread over axes of these sizes; None if one that is not free would be cut."""
    parts = [part for part in parts if part[1] != 1]
    axes: Axes = []
    for size in sizes:
        axis: list[Part] = []
        while math.prod(part[1] for part in axis) < size:
            if not parts:
                return None
            kind, extent = parts.pop(0)
            missing = size // math.prod(part[1] for part in axis)
            if extent > missing:
                if kind != "free" or extent % missing:
                    return None
                parts.insert(0, (kind, extent // missing))
                extent = missing
            axis.append((kind, extent))
        axes.append(axis)
    return None if parts else axes


def _field(field: Field, axes: Axes | None) -> Field | None:
    """`field` with the parts where they are now; None if no field has them there."""
    if axes is None or not axes:
        return None
    kinds = [[kind for kind, _ in axis] for axis in axes]
    places = _places(field, axes, kinds)
    if places is None:
        return None
    field = field.replace(**places)
    rest = kinds[field.space_axes :]
    flat = [kind for axis in rest for kind in axis]
    if set(PLACES) & set(flat):
        return None
    if "rho" not in flat:
        return field.replace(representation="trivial", axis=-2)
    if len(rest) > 1 and rest[-2] == ["rho"] and "rho" not in rest[-1]:
        return field.replace(axis=-2)
    if rest[-1][:1] == ["rho"]:
        return field.replace(axis=-1)
    return None


def _places(field, axes, kinds):
    """The pixels or voxels that the first axes hold, as a `Field` says it; None for a part."""
    grid, name = PLACES[: field.space_dimensions], "voxels" if field.voxels else "pixels"
    if grid and kinds[: len(grid)] == [[place] for place in grid]:
        return {name: True}
    if grid and kinds[0] == grid:
        return {name: tuple(size for _, size in axes[0])}
    left = set(PLACES) & {kind for axis in kinds for kind in axis}
    return None if left else {"pixels": False, "voxels": False}
