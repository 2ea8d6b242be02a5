"""Encoders: from symmetric features to the latent state.

Where features show objects, one network encodes each of them; else it encodes the whole picture.
"""

import functools
import math

import keras

from sen_tf.layers import (
    FieldLayerNormalization,
    GroupConv2D,
    GroupDense,
    GroupFlatten,
    LiftingConv2D,
    QuadrantLifting,
    SpatialPooling2D,
)
from sen_tf.models.embeddings import norm_relu

EPSILON = 1e-5

SIDE = 33
"""Pixels that the image encoders halve four times, always about a centre pixel: 17, 9, 5, 3."""


def state_dtype(dtype):
    """The dtype of states: the policy's variable dtype, float32 under mixed precision.

    A state differs from the next by little and may lie far from zero: bfloat16, with its 8 bits,
    would round the difference away.
    """
    return keras.dtype_policies.get(dtype or keras.config.dtype_policy()).variable_dtype


def mlp(dense, hidden, outputs, dtype=None, changes_states=False):
    """`dense(width) ReLU, dense(width) LayerNorm ReLU, ..., dense(outputs)`: a list of layers.

    Args:
        dense: Makes a linear layer, called as `dense(units, dtype=..., kernel_initializer=...)`.
        hidden: Widths of the hidden layers; the first has no normalization.
        outputs: Width of the last, linear layer, which makes states and computes in their dtype.
        dtype: Dtype policy of the others.
        changes_states: Whether the layers go from states to changes of states: then the first
            computes in their dtype too, and the last starts at zero, at "nothing moves".
    """
    start = "zeros" if changes_states else "glorot_uniform"
    layers = []
    for index, width in enumerate(hidden):
        wide = changes_states and index == 0
        layers.append(dense(width, dtype=state_dtype(dtype) if wide else dtype))
        if index:
            layers.append(FieldLayerNormalization(epsilon=EPSILON, dtype=dtype))
        layers.append(keras.layers.ReLU(dtype=dtype))
    return [*layers, dense(outputs, dtype=state_dtype(dtype), kernel_initializer=start)]


def group_dense(group):
    """A maker of `GroupDense` layers of one group, for `mlp`."""
    return functools.partial(GroupDense, group)


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
    layers = [keras.Input(features_shape), lifting]
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
        keras.Input(features_shape),
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
    conv, pool = keras.layers.Conv2D, keras.layers.MaxPooling2D
    layers = _to_one_pixel(conv, conv, pool, features_shape, hidden, dtype)
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
    layers = [keras.Input(features_shape)]
    for halving in (first, conv):
        layers.append(halving(hidden, 3, strides=2, padding="same", dtype=dtype))
        layers += norm_relu(dtype)
        layers.append(pool(3, strides=2, padding="same", dtype=dtype))
    return [*layers, conv(hidden, 3, dtype=dtype), *norm_relu(dtype)]


def _at_one_pixel(dense, hidden, latent, dtype):
    """What 1x1 convolutions are on one pixel: two hidden dense layers and the linear last one."""
    layers = []
    for _ in range(2):
        layers += [dense(hidden, dtype=dtype), *norm_relu(dtype)]
    return [*layers, dense(latent, dtype=state_dtype(dtype))]
