"""Encoders: from symmetric features to the latent state.

Where features show objects, one network encodes each of them; else it encodes the whole image. The
group `"C1"` makes a network plain.
"""

from collections.abc import Sequence

import keras

from sen_tf import groups
from sen_tf.layers import (
    GramSchmidt,
    GridLifting,
    GroupConv2D,
    GroupFlatten,
    LiftingConv2D,
    SpatialPooling2D,
)
from sen_tf.models.blocks import group_dense, mlp, norm_relu, state_dtype
from sen_tf.tensors import DTypePolicy

SIDE = 33
"""Pixels that the image encoder halves four times, always about a centre pixel: 17, 9, 5, 3."""
LAST = 3
"""Pixels of the side from which one convolution leaves one pixel."""


def object_encoder(
    group: groups.GroupLike,
    features_shape: Sequence[int],
    hidden: Sequence[int] = (256, 256),
    latent: int = 2,
    dtype: DTypePolicy = None,
    name: str = "encoder",
) -> keras.Model:
    """Pixels as a function on the group, then dense layers that commute with it.

    Features that are a function on the group already are encoded element by element, each slice as
    that element sees it, with the same weights. Layers that mixed the slices of an object would
    make of them its position as it sees itself, from which no other object can tell where it is.

    Args:
        group: Group that acts on the features, such as `"C4"`; `"C1"` for plain dense layers on all
            features of each object.
        features_shape: `(rows, columns, objects)`, or `(rows, columns, elements, objects)` for
            features that are a function on a group at each pixel. A group of other than these
            elements, such as C1, does not act on them.
        hidden: Widths of the hidden layers, in regular fields.
        latent: Regular fields of the latent state of an object.
        dtype: Dtype policy of the layers.
        name: Name of the model.

    Returns:
        Model to latent states `(batch, objects, |group|, latent)`.

    Reference: Kipf et al. (2020) for C1; Park et al. (2022), appendix, 2D Shapes and 3D Blocks.
    """
    layers = [keras.Input(features_shape, dtype=state_dtype(dtype))]
    rows, columns, *elements, objects = features_shape
    dense = group_dense(group)
    if elements == [groups.get(group).order]:
        layers.append(GroupFlatten(group, dtype=dtype))
        dense = keras.layers.Dense
    else:
        if elements:
            pixels = (rows, columns * elements[0], objects)
            layers.append(keras.layers.Reshape(pixels, dtype=dtype))
        layers.append(GridLifting(group, dtype=dtype))
    return keras.Sequential(layers + mlp(dense, hidden, latent, dtype), name=name)


def features_encoder(
    group: groups.GroupLike,
    features_shape: Sequence[int],
    hidden: Sequence[int] = (256, 256),
    latent: int = 4,
    dtype: DTypePolicy = None,
    name: str = "encoder",
) -> keras.Model:
    """All pixels and channels together as a function on the group, then dense layers.

    Args:
        group, hidden, dtype, name: As in `object_encoder`.
        features_shape: `(rows, columns, channels)`, small: dense layers see all of it.
        latent: Regular fields of the latent state.

    Returns:
        Model to latent states `(batch, |group|, latent)`.
    """
    group = groups.get(group)
    lifted = GridLifting(group, dtype=dtype)
    _, channels, order, orbits = lifted.compute_output_shape((None, *features_shape))
    layers = [
        keras.Input(features_shape, dtype=state_dtype(dtype)),
        lifted,
        keras.layers.Permute((2, 1, 3), dtype=dtype),
        keras.layers.Reshape((order, channels * orbits), dtype=dtype),
    ]
    return keras.Sequential(layers + mlp(group_dense(group), hidden, latent, dtype), name=name)


def image_encoder(
    group: groups.GroupLike,
    features_shape: Sequence[int],
    hidden: int = 181,
    latent: int = 4,
    dtype: DTypePolicy = None,
    name: str = "encoder",
) -> keras.Model:
    """Convolutions that commute with the group down to one pixel, then dense layers at it.

    Args:
        group: Group that acts on the features, such as `"D4"`; `"C1"` for plain layers.
        features_shape: `(33, 33, channels)`, or `(33, 33, |group|, channels)` for features that are
            a function on the group at each pixel.
        hidden: Width of the five hidden layers, in regular fields.
        latent: Regular fields of the latent state.
        dtype: Dtype policy of the layers.
        name: Name of the model.

    Returns:
        Model to latent states `(batch, |group|, latent)`.

    Raises:
        ValueError: For features of other than 33x33 pixels.

    Reference: Park et al. (2022), appendix, Reacher. The published one strides over 32, 16, 8, 4
    and 2 pixels, which no element of D4 but the identity commutes with.
    """
    if tuple(features_shape[:2]) != (SIDE, SIDE):
        raise ValueError(
            f"Expected `features_shape` to be of {SIDE} x {SIDE} pixels, which end on one; an "
            f"embedding that halves twice makes them of images of {4 * SIDE - 3} x {4 * SIDE - 3}; "
            f"received {tuple(features_shape)}."
        )
    layers = [keras.Input(features_shape, dtype=state_dtype(dtype))]
    for halving in (_first_conv(features_shape), GroupConv2D):
        norm, relu = norm_relu(dtype)
        layers += [halving(group, hidden, 3, strides=2, padding="same", dtype=dtype), norm]
        # The largest number is the same before and after ReLU, and there are fewer to go through.
        layers += [SpatialPooling2D(group, 3, strides=2, padding="same", dtype=dtype), relu]
    return keras.Sequential(layers + _at_last_pixels(group, hidden, latent, dtype), name=name)


def strided_encoder(
    group: groups.GroupLike,
    features_shape: Sequence[int],
    hidden: int = 16,
    latent: int = 4,
    dtype: DTypePolicy = None,
    name: str = "encoder",
) -> keras.Model:
    """As `image_encoder`, halved by convolutions alone.

    Args:
        group, hidden, latent, dtype, name: As there.
        features_shape: `(n, n, channels)`, or `(n, n, |group|, channels)`, where n is 2^k + 1 and
            at least 3, such as 17.

    Returns:
        Model to latent states `(batch, |group|, latent)`.

    Raises:
        ValueError: For features of another size.
    """
    rows, columns = features_shape[:2]
    if rows != columns or rows < LAST or (rows - 1) & (rows - 2):
        raise ValueError(
            "Expected `features_shape` to be of 2^k + 1 rows and as many columns, such as 17, so "
            f"that they can be halved down to {LAST}; received {tuple(features_shape)}."
        )
    layers = [keras.Input(features_shape, dtype=state_dtype(dtype))]
    conv, side = _first_conv(features_shape), rows
    while side > LAST:
        layers.append(conv(group, hidden, 3, strides=2, padding="same", dtype=dtype))
        layers += norm_relu(dtype)
        conv, side = GroupConv2D, (side + 1) // 2
    return keras.Sequential(layers + _at_last_pixels(group, hidden, latent, dtype), name=name)


def _first_conv(features_shape):
    return GroupConv2D if len(features_shape) == 4 else LiftingConv2D


def _at_last_pixels(group, hidden, latent, dtype):
    """The layers from 3x3 pixels on: to one pixel, then dense layers at it."""
    layers = [GroupConv2D(group, hidden, LAST, dtype=dtype), *norm_relu(dtype)]
    layers.append(keras.layers.Reshape((groups.get(group).order, hidden), dtype=dtype))
    # What 1x1 convolutions are on one pixel: two hidden dense layers and the linear last one.
    dense = group_dense(group)
    for _ in range(2):
        layers += [dense(hidden, dtype=dtype), *norm_relu(dtype)]
    return [*layers, dense(latent, dtype=state_dtype(dtype))]


def rotation_encoder(
    features_shape: Sequence[int],
    dtype: DTypePolicy = None,
    name: str = "encoder",
) -> keras.Model:
    """The rotation that the first two vectors make; it commutes with SO(3).

    Args:
        features_shape: `(3, vectors)`.
        dtype: Dtype policy; vectors and rotations have its variable dtype.
        name: Name of the model.

    Returns:
        Model to rotations `(batch, 3, 3)`.

    Reference: Park et al. (2022), section 5, 3D Teapot, where S makes the rotation.
    """
    states = state_dtype(dtype)
    vectors = keras.Input(features_shape, dtype=states)
    pair = keras.layers.Permute((2, 1), dtype=states)(vectors)[:, :2]
    return keras.Model(vectors, GramSchmidt(dtype=states)(pair), name=name)
