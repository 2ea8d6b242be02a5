"""Transitions of states that are rotations, under actions that are rotations.

Each function returns a `keras.Model` from `[state (batch, 3, 3), action (batch, 3, 3)]` to the
change of the state (batch, 3, 3). SO(3) turns a state to g z and an action to g a g^-1. All compute
in the dtype of states; those with weights start at "nothing moves", as `transitions` says.
"""

from typing import Any

import keras
from keras import ops

from sen_tf.layers import FromIrreps, GatedActivation, IrrepsDense, TensorFieldConv, ToIrreps
from sen_tf.models.blocks import mlp, state_dtype
from sen_tf.tensors import DTypePolicy


def product_transition(dtype: DTypePolicy = None, name: str = "transition") -> keras.Model:
    """The product of rotations: the next state is a z, the change a z - z. It has no weights.

    Args:
        dtype: Dtype policy; states and actions have its variable dtype.
        name: Name of the model.

    Reference: Park et al. (2022), section 5, 3D Teapot.
    """
    state, action = _inputs(dtype)
    return keras.Model([state, action], ops.matmul(action, state) - state, name=name)


def tensor_field_transition(
    filters: int = 32, dtype: DTypePolicy = None, name: str = "transition"
) -> keras.Model:
    """Tensor-field convolutions of four points, the origin and the columns of z.

    The action is a feature of every point: as a matrix it has parts of degree 0, 1 and 2. The
    vectors found at the columns are their changes. It commutes with SO(3).

    Args:
        filters: Channels of the hidden features, each with parts of degree 0, 1 and 2.
        dtype, name: As in `product_transition`.

    Reference: Thomas et al., *Tensor field networks* (2018); Park et al. (2022), section 5.
    """
    precise: dict[str, Any] = {"dtype": state_dtype(dtype)}
    state, action = _inputs(dtype)
    columns = keras.layers.Permute((2, 1), **precise)(state)
    positions = keras.layers.ZeroPadding1D((1, 0), data_format="channels_last", **precise)(columns)
    x = keras.layers.Reshape((1, 3, 3, 1), **precise)(action)
    x = IrrepsDense(filters, **precise)(ToIrreps(2, degree=2, **precise)(x))
    x = ops.repeat(x, 4, axis=1)
    for degree in (2, 1):
        x = TensorFieldConv(filters, degree, radius=2.0, **precise)(x, positions)
        x = GatedActivation(**precise)(x)
    x = IrrepsDense(1, use_bias=False, kernel_initializer="zeros", **precise)(x)
    vectors = ops.squeeze(FromIrreps(1, **precise)(x), axis=-1)
    changes = keras.layers.Permute((2, 1), **precise)(vectors[:, 1:])
    return keras.Model([state, action], changes, name=name)


def dense_transition(
    hidden: int = 256, dtype: DTypePolicy = None, name: str = "transition"
) -> keras.Model:
    """Plain dense layers on all numbers of z and a, which commute with nothing.

    Args:
        hidden: Width of the two hidden layers.
        dtype, name: As in `product_transition`; the hidden layers have the policy itself.

    Reference: Park et al. (2022), section 5, non-equivariant model.
    """
    precise = {"dtype": state_dtype(dtype)}
    state, action = _inputs(dtype)
    x = keras.layers.Concatenate(axis=1, **precise)([state, action])
    x = keras.layers.Flatten(data_format="channels_last", **precise)(x)
    for layer in mlp(keras.layers.Dense, (hidden, hidden), 9, dtype, changes_states=True):
        x = layer(x)
    changes = keras.layers.Reshape((3, 3), **precise)(x)
    return keras.Model([state, action], changes, name=name)


def _inputs(dtype):
    return [keras.Input((3, 3), dtype=state_dtype(dtype), name=n) for n in ("state", "action")]
