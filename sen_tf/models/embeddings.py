"""Embeddings: from images to features with a known symmetry.

Each function returns a `keras.Model` from images `(batch, rows, columns, channels)`, scaled to
[0, 1], to features. Of objects these are maps in [0, 1], one per object, `(batch, rows, columns,
objects)`; where objects have a heading, maps of one place and heading per object, `(batch, rows,
columns, |group|, objects)`, which sum to `MASS`. Of a body that turns they are vectors, `(batch, 3,
2 + K)`. Those of embeddings that see no objects are maps of any numbers. The group `"C1"` makes a
network plain.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from sen_tf import groups
from sen_tf.groups import fields
from sen_tf.layers import (
    GroupConv2D,
    LiftingConv2D,
    ProjectionConv2D,
    SpatialPooling2D,
)
from sen_tf.models.blocks import conv2d, mlp, norm_relu, state_dtype
from sen_tf.tensors import DTypePolicy

DILATIONS = (2, 4, 8, 16, 32)
MASS = 5.0
"""Sum of an object's map over places and headings."""


def conv_embedding(
    group: groups.GroupLike,
    image_shape: Sequence[int],
    objects: int,
    filters: Sequence[int] = (32, 32, 32),
    dtype: DTypePolicy = None,
    name: str = "embedding",
) -> keras.Model:
    """3x3 convolutions that learn to tell objects apart at full resolution.

    They go from trivial to regular features and back to one trivial map per object.

    Args:
        group: Group that acts on the pixels, such as `"C4"`; `"C1"` for plain convolutions.
        image_shape: `(rows, columns, channels)`.
        objects: Number of objects, the output's channels.
        filters: Regular fields of the hidden convolutions.
        dtype: Dtype policy of the layers.
        name: Name of the model.

    Reference: Park et al. (2022), appendix, 3D Blocks. The published kernels of C4 are band-limited
    (24 of 36 dimensions); these are full.
    """
    layers = [keras.Input(image_shape, dtype=state_dtype(dtype))]
    for index, width in enumerate(filters):
        conv = GroupConv2D if index else LiftingConv2D
        layers += [
            conv(group, width, 3, padding="same", dtype=dtype),
            *norm_relu(dtype),
        ]
    layers.append(
        ProjectionConv2D(group, objects, 3, padding="same", activation="sigmoid", dtype=dtype)
    )
    return keras.Sequential(layers, name=name)


def cell_embedding(
    group: groups.GroupLike,
    image_shape: Sequence[int],
    objects: int,
    cell: int = 10,
    filters: int = 16,
    declared: groups.GroupLike | None = None,
    dtype: DTypePolicy = None,
    name: str = "embedding",
) -> keras.Model:
    """One convolution per board cell, then one 1x1 convolution: one pixel per cell.

    Args:
        group, image_shape, objects, dtype, name: As in `conv_embedding`.
        cell: Side of a board cell in pixels: kernel size and stride.
        filters: Regular fields between the two convolutions.
        declared: Group whose regular features the output is declared to be, of which `group` is a
            subgroup; None for one trivial map per object, without a group axis. Then an object has
            one map over pixels and elements, a softmax whose sum is `MASS`: it is seen in one
            place, and elsewhere the map is near 0.

    Raises:
        ValueError: If `group` is no subgroup of `declared`.

    Reference: Park et al. (2022), appendix, 2D Shapes.
    """
    layers = [
        keras.Input(image_shape, dtype=state_dtype(dtype)),
        LiftingConv2D(group, filters, cell, strides=cell, dtype=dtype),
        *norm_relu(dtype),
    ]
    if declared is None:
        last = ProjectionConv2D(group, objects, 1, activation="sigmoid", dtype=dtype)
        return keras.Sequential([*layers, last], name=name)
    order, places = groups.get(declared).order, _places(group, declared)
    board = (image_shape[0] // cell, image_shape[1] // cell)
    layers += [
        GroupConv2D(group, order // groups.get(group).order * objects, 1, dtype=dtype),
        keras.layers.Reshape((*board, order, objects), dtype=dtype),
    ]
    seen = [
        keras.layers.Softmax(axis=(1, 2, 3), dtype=state_dtype(dtype)),
        keras.layers.Rescaling(MASS, dtype=state_dtype(dtype)),
    ]
    if np.array_equal(places, range(order)):
        return keras.Sequential([*layers, *seen], name=name)
    inputs = keras.Input(image_shape, dtype=state_dtype(dtype))
    maps = keras.ops.take(keras.Sequential(layers)(inputs), places, axis=3)
    return keras.Model(inputs, keras.Sequential(seen)(maps), name=name)


def _places(group, whole):
    """The places of a whole group's elements among m functions on a subgroup, side by side.

    Element `g` of function `i`, at place `m g + i`, is `g` times a representative of a coset.
    """
    group, whole = groups.get(group), groups.get(whole)
    elements = fields.subgroup(group, whole)
    if elements is None:
        raise ValueError(f"Expected `group` to be a subgroup of {whole}; received group={group}.")
    places, cosets = np.full(whole.order, -1), whole.order // group.order
    for coset in range(cosets):
        representative = int(np.argmin(places))  # the first that has no place yet
        places[whole.product[elements, representative]] = cosets * np.arange(group.order) + coset
    return places


def pooled_embedding(
    group: groups.GroupLike,
    image_shape: Sequence[int],
    filters: Sequence[int] = (32, 32),
    channels: int = 16,
    smallest: int = 10,
    dtype: DTypePolicy = None,
    name: str = "embedding",
) -> keras.Model:
    """3x3 convolutions, each before a pooling that halves the image, down to a small one.

    Args:
        group, dtype, name: As in `conv_embedding`.
        image_shape: `(rows, columns, channels)`, of any size that the group moves onto itself.
        filters: Regular fields of the first convolutions; further ones have as many as the last.
        channels: Maps that come out, trivial ones.
        smallest: Pixels of the longer side from which on images are not halved any more.

    Returns:
        Model to features `(batch, rows, columns, channels)` of at most `smallest` pixels a side.
    """
    layers, size = [keras.Input(image_shape, dtype=state_dtype(dtype))], tuple(image_shape[:2])
    while True:
        conv = GroupConv2D if len(layers) > 1 else LiftingConv2D
        width, *others = filters
        filters = others or [width]
        layers += [conv(group, width, 3, padding="same", dtype=dtype), *norm_relu(dtype)]
        if max(size) <= smallest:
            break
        layers += _halving(group, size, width, dtype)
        size = _half(size)
    layers.append(ProjectionConv2D(group, channels, 3, padding="same", dtype=dtype))
    return keras.Sequential(layers, name=name)


def _halving(group, size, width, dtype):
    """Layers that commute with the group and halve features of so many fields, of any size."""
    # Windows of 2 pixels sit symmetrically on an even side, those of 3 on an odd one.
    window = tuple(2 + side % 2 for side in size)
    same: dict[str, Any] = {"strides": 2, "padding": "same", "dtype": dtype}
    if window[0] == window[1]:
        return [SpatialPooling2D(group, window, **same)]
    # Windows of that layer are square, so that quarter turns keep them; those of a rectangle need
    # not be. Keras' own layer wants the group among the channels.
    order = groups.get(group).order
    return [
        keras.layers.Reshape((*size, order * width), dtype=dtype),
        keras.layers.MaxPooling2D(window, data_format="channels_last", **same),
        keras.layers.Reshape((*_half(size), order, width), dtype=dtype),
    ]


def _half(size):
    return tuple((side + 1) // 2 for side in size)


def dilated_embedding(
    group: groups.GroupLike,
    image_shape: Sequence[int],
    channels: int = 8,
    filters: int = 32,
    regular: bool = False,
    dtype: DTypePolicy = None,
    name: str = "embedding",
) -> keras.Model:
    """3x3 convolutions whose dilations let each feature see the whole image.

    Args:
        group, image_shape, dtype, name: As in `conv_embedding`.
        channels: Maps, or regular fields, that come out, a quarter of the image's rows and columns.
        filters: Regular fields of the six hidden convolutions.
        regular: Whether regular features come out, else trivial ones.

    Raises:
        ValueError: For an image whose rows or columns cannot be halved twice without losing the
            symmetry, such as 128; 129 can.

    Reference: Park et al. (2022), appendix, Reacher. The published kernels of D4 are band-limited
    (6 of 9 dimensions of each 3x3 kernel); these are full.
    """
    same: dict[str, Any] = {"padding": "same", "dtype": dtype}
    layers = [
        keras.Input(image_shape, dtype=state_dtype(dtype)),
        LiftingConv2D(group, filters, 3, strides=2, **same),
        *norm_relu(dtype),
    ]
    for rate in DILATIONS:
        layers.append(GroupConv2D(group, filters, 3, dilation_rate=rate, **same))
        layers += norm_relu(dtype)
    last = GroupConv2D if regular else ProjectionConv2D
    return keras.Sequential([*layers, last(group, channels, 3, strides=2, **same)], name=name)


def strided_embedding(
    group: groups.GroupLike,
    image_shape: Sequence[int],
    channels: int = 16,
    filters: int = 16,
    regular: bool = False,
    dtype: DTypePolicy = None,
    name: str = "embedding",
) -> keras.Model:
    """3x3 convolutions that halve the image twice at once, then dilated ones.

    Some 9 times cheaper than `dilated_embedding` of images of twice as many rows and columns.

    Args:
        group, image_shape, regular, dtype, name: As in `dilated_embedding`.
        channels: Maps, or regular fields, that come out, a quarter of the image's rows and columns.
        filters: Regular fields of the first convolution; the four further ones have twice as many.

    Raises:
        ValueError: For an image whose rows or columns cannot be halved twice without losing the
            symmetry, such as 64; 65 can.
    """
    same: dict[str, Any] = {"padding": "same", "dtype": dtype}
    layers = [
        keras.Input(image_shape, dtype=state_dtype(dtype)),
        LiftingConv2D(group, filters, 3, strides=2, **same),
        *norm_relu(dtype),
        GroupConv2D(group, 2 * filters, 3, strides=2, **same),
        *norm_relu(dtype),
    ]
    for rate in (1, 2, 4):
        layers.append(GroupConv2D(group, 2 * filters, 3, dilation_rate=rate, **same))
        layers += norm_relu(dtype)
    last = GroupConv2D if regular else ProjectionConv2D
    return keras.Sequential([*layers, last(group, channels, 3, **same)], name=name)


def vector_embedding(
    image_shape: Sequence[int],
    vectors: int = 16,
    filters: Sequence[int] = (32, 32, 32, 32),
    hidden: Sequence[int] = (256, 256),
    dtype: DTypePolicy = None,
    name: str = "embedding",
) -> keras.Model:
    """3x3 convolutions of stride 2, then dense layers to vectors that are to turn with a body.

    Two, of which its rotation can be made, come first; they are sums of the others. The published
    network has the two alone, which can be the same two: nothing bends between others and sums.

    Args:
        image_shape, dtype, name: As in `conv_embedding`.
        vectors: Number K of the others.
        filters: Channels of the convolutions, each of which halves the image.
        hidden: Widths of the dense layers before the last.

    Returns:
        Model to vectors `(batch, 3, 2 + K)`, in the variable dtype of the policy.

    Reference: Park et al. (2022), appendix, 3D Teapot.
    """
    precise: dict[str, Any] = {"dtype": state_dtype(dtype)}
    layers: list[keras.layers.Layer] = []
    for width in filters:
        layers.append(conv2d(width, 3, strides=2, padding="same", dtype=dtype))
        layers += norm_relu(dtype)
    layers.append(keras.layers.Flatten(data_format="channels_last", dtype=dtype))
    layers += mlp(keras.layers.Dense, hidden, 3 * vectors, dtype)
    x = image = keras.Input(image_shape, **precise)
    for layer in layers:
        x = layer(x)
    others = keras.layers.Reshape((3, vectors), **precise)(x)
    sums = keras.layers.Dense(2, use_bias=False, **precise)(others)
    features = keras.layers.Concatenate(**precise)([sums, others])
    return keras.Model(image, features, name=name)
