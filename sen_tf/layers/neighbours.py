"""Lists of neighbours: which points of a cloud send a message to which.

A list holds an edge as the pair (target, source) of the indices of two points, `(batch, edges, 2)`.
Clouds of one batch have different numbers of edges: rows of -1 fill up the shorter lists.
"""

import itertools
from typing import NamedTuple

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from sen_tf.layers import arguments
from sen_tf.layers.inputs import assert_all, fit, in_int32, numbers_in
from sen_tf.layers.plain import constant
from sen_tf.tensors import Shape, Tensor

CELLS = 2**20
"""The most cells along an axis that points are sorted into, so that 64 bits number them all."""


def neighbour_list(positions: npt.ArrayLike, radius: float) -> np.ndarray:
    """All pairs of points of a cloud within a radius, each point and itself among them.

    It is NumPy, for the preparation of data. Points are sorted into cubes whose side is the radius,
    and looked for in the 27 cubes about each: at a fixed density, time and memory grow linearly
    with the number of points.

    Args:
        positions: `(batch, points, 3)`.
        radius: Distance, in the unit of the positions, up to which points are neighbours.

    Returns:
        Array of int32 of shape (batch, edges, 2): pairs (target, source) in rising order, followed
        by rows of -1 where another cloud has more edges.

    Raises:
        ValueError: For positions of another shape, positions that are not finite, or a radius that
            is not positive.

    Example:
        >>> neighbour_list([[[0, 0, 0], [1, 0, 0], [9, 0, 0]]], radius=2.0).tolist()
        [[[0, 0], [0, 1], [1, 0], [1, 1], [2, 2]]]
    """
    radius = arguments.positive("radius", radius)
    positions = np.asarray(positions)
    if positions.ndim != 3 or positions.shape[-1] != 3 or not np.isfinite(positions).all():
        raise ValueError(
            "Expected `positions` to be finite, of shape (batch, points, 3); received shape "
            f"{positions.shape}."
        )
    lists = [_edges_of(cloud.astype(np.float64), radius) for cloud in positions]
    found = np.full((len(lists), max(map(len, lists), default=0), 2), -1, np.int32)
    for row, edges in zip(found, lists, strict=True):
        row[: len(edges)] = edges
    return found


def _edges_of(cloud, radius):
    """The edges of one cloud (points, 3), in rising order."""
    if not len(cloud):
        return np.empty((0, 2), np.int64)
    low = cloud.min(axis=0)
    side = max(radius, (cloud.max(axis=0) - low).max() / CELLS)
    cells = ((cloud - low) // side).astype(np.int64) + 1  # with an empty cell on each side
    strides = np.append(np.cumprod((cells.max(axis=0) + 2)[:0:-1])[::-1], 1)
    numbers = cells @ strides
    order = np.argsort(numbers)
    found = []
    for x, y in itertools.product((-1, 0, 1), repeat=2):  # three cells in a row have one run
        middle = numbers + x * strides[0] + y * strides[1]
        starts = np.searchsorted(numbers, middle - 1, "left", order)
        counts = np.searchsorted(numbers, middle + 1, "right", order) - starts
        targets = np.repeat(np.arange(len(cloud)), counts)
        within = np.arange(len(targets)) - np.repeat(np.cumsum(counts) - counts, counts)
        sources = order[np.repeat(starts, counts) + within]
        near = np.sum((cloud[targets] - cloud[sources]) ** 2, axis=-1) <= radius**2
        found.append(np.stack([targets[near], sources[near]], axis=-1))
    edges = np.concatenate(found)
    return edges[np.lexsort(edges.T[::-1])]


def check_list(layer: keras.layers.Layer, shape: Shape, features_shape: Shape) -> None:
    """Raises a ValueError unless a shape is that of a list of neighbours for these features."""
    clouds = {features_shape[0], *shape[:1]} - {None}
    if len(shape) != 3 or shape[-1] not in (2, None) or len(clouds) > 1:
        raise ValueError(
            f"{_name(layer)} expected neighbours of shape (batch, edges, 2) for features of shape "
            f"{tuple(features_shape)}; received {tuple(shape)}."
        )


class Edges(NamedTuple):
    """The edges of all clouds of a batch in a row, as indices of the points of all of them."""

    targets: Tensor
    sources: Tensor
    exist: Tensor
    """Booleans `(batch * edges,)`: False for what only fills up a list."""

    def at_sources(self, x: Tensor) -> Tensor:
        """From `(batch, points, ...)` to `(batch * edges, ...)`.

        Its gradient is a sum over the edges of a point, in float32 at least: of 1,500 edges, summed
        in bfloat16, three fifths were missing. It is summed where points are put in a row, so that
        the cast comes before.
        """
        wide = _in_a_row(ops.cast(x, keras.backend.result_type(x.dtype, "float32")))
        return ops.cast(ops.take(wide, self.sources, axis=0), x.dtype)

    def offsets(self, positions: Tensor) -> Tensor:
        """From positions `(batch, points, 3)` to those of sources less those of targets."""
        return self.at_sources(positions) - ops.take(_in_a_row(positions), self.targets, axis=0)

    def total(self, messages: Tensor, like: Tensor) -> Tensor:
        """The sum of the messages to each point, in float32 at least.

        Args:
            messages: `(batch * edges, components, channels)`.
            like: `(batch, points, components, channels)`, of any numbers of the last two.

        Returns:
            `(batch, points, components, channels)`, of the dtype of the messages.
        """
        dtype = keras.backend.result_type(messages.dtype, "float32")
        zeros = ops.zeros_like(_in_a_row(like)[:, :1, :1], dtype=dtype)
        zeros = ops.tile(zeros, (1, *messages.shape[1:]))
        indices = ops.expand_dims(self.targets, -1)
        sums = ops.scatter_update(zeros, indices, ops.cast(messages, dtype), reduction="add")
        shape = (-1, ops.shape(like)[1], *messages.shape[1:])
        return ops.cast(ops.reshape(sums, shape), messages.dtype)


def edges_of(layer: keras.layers.Layer, neighbours: Tensor, features: Tensor) -> Edges:
    """The edges of a list of neighbours of points with features `(batch, points, ...)`.

    Raises:
        ValueError: For another shape, numbers that are no integers, and indices out of range.
            TensorFlow's graphs raise an InvalidArgumentError for these when they run; what XLA
            or `jax.jit` compiled leaves such edges out.
    """
    neighbours = ops.convert_to_tensor(neighbours)
    dtype = keras.backend.standardize_dtype(neighbours.dtype)
    if not keras.backend.is_int_dtype(dtype):
        raise ValueError(f"{_name(layer)} expected neighbours to be integers; received {dtype}.")
    neighbours = fit(neighbours, _name(layer), ranks=(3,))
    check_list(layer, neighbours.shape, features.shape)
    neighbours = fit(neighbours, _name(layer), {-1: 2})
    points = ops.shape(features)[1]
    neighbours = _in_range(layer, neighbours, features, points)
    exist = ops.all((neighbours >= 0) & (neighbours < points), axis=-1)
    # An edge that is none leads from the first point of its cloud to itself, with weight 0.
    ones = ops.ones_like(neighbours[:, :1, :1])
    clouds = (ops.cumsum(ones, axis=0) - 1) * constant(points, like=neighbours)
    # `clouds` first: Keras' sum on TensorFlow takes (n, 1, 1) behind it for a bias of n channels.
    indices = clouds + ops.where(ops.expand_dims(exist, -1), neighbours, 0)
    targets, sources = (ops.reshape(indices[..., k], (-1,)) for k in (0, 1))
    return Edges(targets, sources, ops.reshape(exist, (-1,)))


def _in_range(layer, neighbours, features, points):
    """`neighbours` in int32, refused where an index is neither that of a point nor -1."""
    message = f"{_name(layer)} expected neighbours that are indices of points, or -1 for no edge"
    numbers = numbers_in(neighbours)
    neighbours = in_int32(neighbours, otherwise=-2)
    if isinstance(neighbours, keras.KerasTensor):  # of a plain form, which has no checks
        return neighbours
    if numbers is None:
        fits = (neighbours >= -1) & (neighbours < points)
        as_many = ops.equal(ops.shape(neighbours)[0], ops.shape(features)[0])
        return assert_all(neighbours, fits & as_many, f"{message}, in a list for each cloud.")
    if np.any((numbers < -1) | (numbers >= points)):
        raise ValueError(
            f"{message}; received indices from {numbers.min()} to {numbers.max()} of {points} "
            "points."
        )
    return neighbours


def _name(layer):
    return f"{type(layer).__name__} `{layer.name}`"


def _in_a_row(x):
    return ops.reshape(x, (-1, *x.shape[2:]))
