"""Encoders: from symmetric features to the latent state, the same network for every object."""

import functools
import math

import keras

from sen_tf.layers import FieldLayerNormalization, GroupDense, GroupFlatten, QuadrantLifting

EPSILON = 1e-5


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
