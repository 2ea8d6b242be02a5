"""The moves under which a network is measured: elements of a finite group, and small shifts."""

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np

from sen_tf.groups import Field, FiniteGroup
from sen_tf.layers.symmetric_grid import VOXELS
from sen_tf.symmetry.graph import Graph, Step

CROPS = ("Cropping2D", "ZeroPadding2D", "Cropping3D", "ZeroPadding3D", "CenterCrop")
SHIFT = 0.1
"""Pixels of the input by which a translation moves it."""


@dataclasses.dataclass(frozen=True)
class Move:
    """Something that acts on every tensor whose field is known.

    Attributes:
        name: how the report names it, such as "1" for an element.
        act: `act(key, array)` moves the tensor of this number.
        size: what errors are divided by: 1, or the length of a small move.
    """

    name: str
    act: Callable[[int, np.ndarray], np.ndarray]
    size: float = 1.0


def elements(group: FiniteGroup, known: Mapping[int, Field]) -> list[Move]:
    """A move for each element of a group but the identity."""

    def act(key, x, g):
        field = known[key]
        mixes = not np.isin(field.representation.matrices, (0, 1)).all()
        return np.ascontiguousarray(field.act(_as_floats(x) if mixes else x, g))

    def move(g):
        return Move(str(g), lambda key, x: act(key, x, g))

    return [move(g) for g in group.elements[1:]]


def translations(graph: Graph, known: Mapping[int, Field]) -> list[Move]:
    """Shifts along the rows, the columns, and the slices of volumes, by `SHIFT` of the input's.

    A map that has one pixel for s of the input is shifted by 1/s as many of its own. Divided by
    `SHIFT`, what a layer lacks from commuting with it is its Lie derivative (Gruver et al., *The
    Lie derivative for measuring learned equivariance*, 2022).
    """
    pixel = _pixel_sizes(graph, known)

    def move(name, axis):
        return Move(name, lambda key, x: shift(x, known[key], axis, SHIFT / pixel[key]), SHIFT)

    dimensions = max((field.space_dimensions for field in known.values()), default=0)
    return [move(name, axis) for axis, name in enumerate(VOXELS[: max(dimensions, 2)], start=1)]


def shift(x: np.ndarray, field: Field, axis: int, pixels: float) -> np.ndarray:
    """Shifts an array along its rows (axis 1), columns (2) or slices (3), periodically.

    There is no blur.

    Its Fourier coefficients turn, in float64. Of an even number of pixels the highest frequency
    has no phase: it becomes the cosine that its samples are.

    Returns:
        An array of the dtype of x, of integers float32, for they fall between; x itself if its
        places have no such axis.
    """
    if axis > field.space_dimensions:
        return x
    x = _as_floats(x)
    image = x.reshape(len(x), *field.tokens, *x.shape[2:]) if field.tokens else x
    size = image.shape[axis]
    frequencies = np.fft.fftfreq(size)
    phases = np.exp(-2j * np.pi * frequencies * pixels)
    if size % 2 == 0:
        phases[size // 2] = np.cos(np.pi * pixels)
    phases = np.expand_dims(phases, tuple(range(1, image.ndim - axis)))
    shifted = np.fft.ifft(np.fft.fft(image.astype(np.float64), axis=axis) * phases, axis=axis)
    return shifted.real.astype(x.dtype).reshape(x.shape)


def _as_floats(x):
    """Integers in float32, where what is made of them falls between; floats as they are."""
    return x.astype("float32") if x.dtype.kind in "biu" else x


def _pixel_sizes(graph, known):
    """The pixels of the input, along a side, that a pixel of each tensor stands for."""
    sizes = dict.fromkeys(graph.inputs, 1.0)
    for step in graph.steps:
        before = max((sizes[key] for key in step.inputs if known.get(key)), default=1.0)
        sizes.update(dict.fromkeys(step.outputs, before * _stride(step)))
    return sizes


def _stride(step: Step) -> float:
    """The step of a layer in pixels; one that makes images larger has one below 1."""
    shapes = [shapes[0] for shapes in (step.input_shapes, step.output_shapes) if shapes]
    rows = [shape[1] for shape in shapes if len(shape) > 3]
    if len(rows) < 2 or None in rows or rows[0] == rows[1]:
        return 1.0
    layer = step.layer
    strides = getattr(layer, "strides", None) or getattr(layer, "pool_size", None)
    strides = strides or getattr(layer, "size", None)
    if strides is None:
        return 1.0 if type(layer).__name__ in CROPS else rows[0] / rows[1]
    length = float(strides[0] if isinstance(strides, list | tuple) else strides)
    return length if rows[1] < rows[0] else 1 / length
