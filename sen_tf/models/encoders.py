"""Encoders: from symmetric features to the latent state.

Where features show objects, one network encodes each of them; else it encodes the whole picture.
"""

import functools
import math

import keras

from sen_tf.layers import (
    GroupConv2D,
    GroupFlatten,
    LiftingConv2D,
    QuadrantLifting,
    SpatialPooling2D,
)
from sen_tf.models.blocks import conv2d, group_dense, mlp, norm_relu, state_dtype

SIDE = 33
"""Pixels that the image encoders halve four times, always about a centre pixel: 17, 9, 5, 3."""


def c4_object_encoder(features_shape, hidden=(256, 256), latent=2, dtype=None, name="encoder"):
    """Pixels as a function on C4, then dense layers that commute with it.

    Args:
        features_shape: `(side, side, objects)`, or `(side, side, 4, objects)` for features that are
            a function on C4 at each pixel.
        hidden: Widths of the hidden layers, in fields.
        latent: Regular fields of the latent state of an object.
        dtype: Dtype policy of the layers.
        name: Name of the model.

    Returns:
        Model to latent states `(batch, objects, 4, latent)`.

    Reference: Park et al. (2022), appendix, 2D Shapes and 3D Blocks.
    """
    regular = len(features_shape) == 4
    lifting = GroupFlatten("C4", dtype=dtype) if regular else QuadrantLifting(dtype=dtype)
    layers = [keras.Input(features_shape, dtype=state_dtype(dtype)), lifting]
    return keras.Sequential(layers + mlp(group_dense("C4"), hidden, latent, dtype), name=name)


def object_encoder(features_shape, hidden=(512, 512), latent=2, dtype=None, name="encoder"):
    """Plain dense layers on all features of each object.

    Args:
        features_shape, hidden, latent, dtype, name: As in `c4_object_encoder`.

    Returns:
        Model to latent states `(batch, objects, latent)`.

    Reference: Kipf et al. (2020); Park et al. (2022), non-equivariant model.
    """
    objects, last = features_shape[-1], len(features_shape)
    layers = [
        keras.Input(features_shape, dtype=state_dtype(dtype)),
        keras.layers.Permute((last, *range(1, last)), dtype=dtype),
        keras.layers.Reshape((objects, math.prod(features_shape[:-1])), dtype=dtype),
    ]
    return keras.Sequential(layers + mlp(keras.layers.Dense, hidden, latent, dtype), name=name)


def d4_image_encoder(features_shape, hidden=181, latent=4, dtype=None, name="encoder"):
    """Convolutions that commute with D4 down to one pixel, then dense layers at it.

    Args:
        features_shape: `(33, 33, channels)`, or `(33, 33, 8, channels)` for features that are a
            function on D4 at each pixel.
        hidden: Width of the five hidden layers, in fields.
        latent: Regular fields of the latent state.
        dtype: Dtype policy of the layers.
        name: Name of the model.

    Returns:
        Model to latent states `(batch, 8, latent)`.

    Raises:
        ValueError: For features of other than 33x33 pixels.

    Reference: Park et al. (2022), appendix, Reacher. The published one strides over 32, 16, 8, 4
    and 2 pixels, which no element of D4 but the identity commutes with.
    """
    first = GroupConv2D if len(features_shape) == 4 else LiftingConv2D
    first, conv, pool = (
        functools.partial(layer, "D4") for layer in (first, GroupConv2D, SpatialPooling2D)
    )
    dense = group_dense("D4")
    layers = _to_one_pixel(first, conv, pool, features_shape, hidden, dtype)
    layers.append(keras.layers.Reshape((8, hidden), dtype=dtype))
    return keras.Sequential(layers + _at_one_pixel(dense, hidden, latent, dtype), name=name)


def image_encoder(features_shape, hidden=512, latent=4, dtype=None, name="encoder"):
    """Plain convolutions and dense layers, of the sizes of `d4_image_encoder`.

    Args:
        features_shape: `(33, 33, channels)`.
        hidden, latent, dtype, name: As in `d4_image_encoder`.

    Returns:
        Model to latent states `(batch, latent)`.

    Raises:
        ValueError: For features of other than 33x33 pixels.

    Reference: Park et al. (2022), appendix, Reacher, non-equivariant model.
    """
    pool = functools.partial(keras.layers.MaxPooling2D, data_format="channels_last")
    layers = _to_one_pixel(conv2d, conv2d, pool, features_shape, hidden, dtype)
    layers.append(keras.layers.Reshape((hidden,), dtype=dtype))
    dense = _at_one_pixel(keras.layers.Dense, hidden, latent, dtype)
    return keras.Sequential(layers + dense, name=name)


def _to_one_pixel(first, conv, pool, features_shape, hidden, dtype):
    """Two halvings by a convolution and a pooling each, then one 3x3 window: a list of layers."""
    if tuple(features_shape[:2]) != (SIDE, SIDE):
        raise ValueError(
            f"`features_shape` must be of {SIDE} x {SIDE} pixels, which end on one; an embedding "
            f"that halves twice makes them of images of {4 * SIDE - 3} x {4 * SIDE - 3}; got "
            f"{tuple(features_shape)}."
        )
    layers = [keras.Input(features_shape, dtype=state_dtype(dtype))]
    for halving in (first, conv):
        norm, relu = norm_relu(dtype)
        layers += [halving(hidden, 3, strides=2, padding="same", dtype=dtype), norm]
        # The largest number is the same before and after ReLU, and there are fewer to go through.
        layers += [pool(3, strides=2, padding="same", dtype=dtype), relu]
    return [*layers, conv(hidden, 3, dtype=dtype), *norm_relu(dtype)]


def _at_one_pixel(dense, hidden, latent, dtype):
    """What 1x1 convolutions are on one pixel: two hidden dense layers and the linear last one."""
    layers = []
    for _ in range(2):
        layers += [dense(hidden, dtype=dtype), *norm_relu(dtype)]
    return [*layers, dense(latent, dtype=state_dtype(dtype))]


def identity_encoder(features_shape, dtype=None, name="encoder"):
    """Features that are the latent states already.

    Args:
        features_shape: Shape of the features of one sample, such as `(3, 3)` for rotations.
        dtype: Dtype policy; features and states have its variable dtype.
        name: Name of the model.

    Reference: Park et al. (2022), section 5, 3D Teapot.
    """
    states = state_dtype(dtype)
    layers = [keras.Input(features_shape, dtype=states), keras.layers.Identity(dtype=states)]
    return keras.Sequential(layers, name=name)
