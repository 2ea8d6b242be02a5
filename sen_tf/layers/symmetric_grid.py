"""Sampling windows on grids of pixels or voxels: symmetric ones, which turning keeps."""

from typing import Any, TypeAlias

import keras
from keras import ops

from sen_tf.groups import FiniteGroup, actions, finite
from sen_tf.layers.inputs import require
from sen_tf.tensors import Shape, Tensor

PIXELS, VOXELS = ("rows", "columns"), ("rows", "columns", "slices")
"""The axes of a grid, which follow that of the batch."""

Axes: TypeAlias = tuple[str, ...]


def check_symmetric_grid(
    layer: keras.layers.Layer,
    group: FiniteGroup,
    input_shape: Shape,
    window: int,
    stride: int,
    padding: str,
    axes: Axes = PIXELS,
) -> None:
    """Raises a ValueError where sampling windows do not sit symmetrically on the image.

    A window of `window` pixels moved by `stride` is placed symmetrically about the centre of `size`
    pixels when nothing is left over (`valid`), or when the zeros added are the same on both sides
    (`same`). Otherwise turning the image turns it against the sampling grid.

    A size that is not known passes, but for a stride of one, with which all sizes are alike;
    `symmetric_grid` checks it later. `axes` are `PIXELS` or `VOXELS`.
    """
    name = f"{type(layer).__name__} `{layer.name}`"
    for axis, what in enumerate(axes, start=1):
        size = input_shape[axis]
        if size is None and stride == 1:
            size = window
        if size is None:
            continue
        least = _least(window, padding)
        if size < least:
            raise ValueError(
                f"{name} expected at least {least} {what}, its window; received {size}."
            )
        if reverses(group, axis, axes) and not is_symmetric(size, window, stride, padding):
            raise ValueError(
                f"{name} does not commute with {group} on {size} {what}: a window of {window} "
                f"{_unit(axes)} with stride {stride} and padding '{padding}' is not placed "
                f"symmetrically. {_fix(size, window, stride, padding, _unit(axes))}"
            )


def symmetric_grid(
    layer: keras.layers.Layer,
    x: Tensor,
    group: FiniteGroup,
    window: int,
    stride: int,
    padding: str,
    axes: Axes = PIXELS,
) -> Tensor:
    """`x`, an input of `call`, which passes `check_symmetric_grid`.

    TensorFlow's graphs check a size that is not known while they are traced when they run.
    """
    check_symmetric_grid(layer, group, x.shape, window, stride, padding, axes)
    sizes = ops.shape(x)
    for axis, what in enumerate(axes, start=1):
        if x.shape[axis] is None and not isinstance(x, keras.KerasTensor):
            fits = sizes[axis] >= _least(window, padding)
            if reverses(group, axis, axes):
                fits &= is_symmetric(sizes[axis], window, stride, padding)
            message = (
                f"{type(layer).__name__} `{layer.name}` does not commute with {group} on this "
                f"number of {what}: a window of {window} {_unit(axes)} with stride {stride} and "
                f"padding '{padding}' is not placed symmetrically."
            )
            x = require(x, fits, message)
    return x


def _least(window, padding):
    """The fewest pixels that a window can be placed on."""
    return window if padding == "valid" else 1


def _unit(axes):
    return "pixels" if axes == PIXELS else "voxels"


def reverses(group: FiniteGroup, axis: int, axes: Axes = PIXELS) -> bool:
    """True if an element moves what is off the centre of an axis, counted from 1.

    Windows must then be centred along it. Turns move all, also those by angles at which no pixel
    meets another: half a pixel off centre, a linear layer for C3 was wrong by 23 % on a smooth
    image turned by 120 degrees, and centred by less than 0.1 %.
    """
    if axes == VOXELS:
        return actions.reversed_axes(group)[axis - 1]
    letter, n = finite.family(group)
    return n > 1 or (letter == "D" and axis == 2)


def exchanged(group: FiniteGroup, axes: Axes = PIXELS) -> list[tuple[int, int]]:
    """The pairs of axes, counted from 1, that some element exchanges: quarter turns do."""
    if axes == VOXELS:
        return [(a + 1, b + 1) for a, b in actions.exchanged_axes(group)]
    return [(1, 2)] if finite.family(group)[1] % 4 == 0 else []


def is_symmetric(size: Any, window: int, stride: int, padding: str) -> Any:
    """True if windows sit symmetrically on `size` pixels, a number or a tensor of one."""
    if padding == "valid":
        return (size - window) % stride == 0
    zeros = (-(-size // stride) - 1) * stride + window - size
    return (zeros >= 0) & (zeros % 2 == 0)


def fitting_sizes(size: int, window: int, stride: int, padding: str) -> str:
    """The nearest sizes at which windows sit symmetrically, as in "7 or 9"."""
    smallest = window if padding == "valid" else 1
    sizes = range(smallest, size + window + 2 * stride)
    fitting = [other for other in sizes if is_symmetric(other, window, stride, padding)]
    nearest = [other for other in fitting if other < size][-1:]
    nearest += [other for other in fitting if other > size][:1]
    return " or ".join(map(str, nearest))


def _fix(size, window, stride, padding, unit):
    if padding == "same" and stride == 1:
        unpadded = ", or padding='valid'" if size >= window else ""
        return f"Use a window of an odd number of {unit}{unpadded}."
    return f"Use {fitting_sizes(size, window, stride, padding)} {unit}."


def output_length(size: int | None, window: int, stride: int, padding: str) -> int | None:
    """Rows, columns or slices of the output, from those of the input; None for None."""
    if size is None:
        return None
    return -(-size // stride) if padding == "same" else (size - window) // stride + 1
