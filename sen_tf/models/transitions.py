"""Transitions: from a latent state and an action to the change of the state.

They start at "nothing moves": the layer that makes the change and the one that reads the messages
are zero at first. With random ones, training spends about three times as many steps on the plateau
at skill zero, unlearning the random moves and the messages that drown the action (measured in
docs/notes/plateau.md). The published code starts at random. The group `"C1"` makes a network
plain.
"""

from typing import Any

import keras
import numpy as np

from sen_tf import groups
from sen_tf.groups import representations
from sen_tf.layers import ObjectGraph, OneHotActions, ToRegular
from sen_tf.models.blocks import group_dense, mlp, state_dtype
from sen_tf.tensors import DTypePolicy

MOVES_CLOCKWISE = "permutation(3,0,1,2)"
"""The action of a quarter turn counter-clockwise on the moves up, right, down, left."""


def object_transition(
    group: groups.GroupLike,
    objects: int,
    hidden: int = 256,
    latent: int = 2,
    moves: groups.RepresentationLike | None = None,
    dtype: DTypePolicy = None,
    name: str = "transition",
) -> keras.Model:
    """An object graph that commutes with the group, which acts on the states and on the moves.

    Args:
        group: Group that acts, such as `"C4"`; `"C1"` for plain dense networks.
        objects: Number of objects.
        hidden: Width of the edge and the node network, in regular fields.
        latent: Regular fields of an object's state.
        moves: How the group acts on the one-hot moves of an object, such as `MOVES_CLOCKWISE`; by
            default on four moves, not at all.
        dtype: Dtype policy of the layers.
        name: Name of the model.

    Returns:
        Model from `[state (batch, objects, |group|, latent), action (batch,)]` to the change of
        the state.

    Reference: Kipf et al. (2020), section 2.2, for C1; Park et al. (2022), appendix, 2D Shapes and
    3D Blocks.
    """
    group = groups.get(group)
    moves = representations.get(moves or "4 trivial", group)
    # A group that takes one move to each by one element makes all of it; see `ToRegular`.
    permutes = moves.name.startswith("permutation") and group.order > 1
    free = permutes and np.array_equal(moves.matrices[:, :, 0].sum(axis=0), np.ones(group.order))
    state = keras.Input((objects, group.order, latent), dtype=state_dtype(dtype), name="state")
    action = keras.Input((), dtype="int32", name="action")
    condition = OneHotActions(objects, moves.dimension, dtype=dtype)(action)
    condition = ToRegular(group, moves, components=[0] if free else None, dtype=dtype)(condition)
    dense, widths = group_dense(group), (hidden, hidden)
    node = mlp(dense, widths, latent, dtype, changes_states=True)
    if objects == 1:  # nobody to hear from
        change = keras.layers.Concatenate(dtype=state_dtype(dtype))([state, condition])
        change = keras.Sequential(node, name="node")(change)
        return keras.Model([state, action], change, name=name)
    *edge, _ = mlp(dense, widths, hidden, dtype, changes_states=True)
    graph = ObjectGraph(
        edge_network=keras.Sequential(edge, name="edge"),
        readout=dense(hidden, dtype=dtype, kernel_initializer="zeros"),
        node_network=keras.Sequential(node, name="node"),
        dtype=state_dtype(dtype),
        name="graph",
    )
    return keras.Model([state, action], graph(state, condition), name=name)


def vector_transition(
    group: groups.GroupLike,
    representation: groups.RepresentationLike,
    hidden: int = 181,
    latent: int = 4,
    discrete: bool = False,
    dtype: DTypePolicy = None,
    name: str = "transition",
) -> keras.Model:
    """Dense layers that commute with the group, from a state and an action that is a vector.

    Args:
        group: Group that acts, such as `"D4"`; `"C1"` for plain dense layers.
        representation: How the group acts on actions, such as `"2 sign"` for two torques, which
            reflections negate; for C1 `"2 trivial"`.
        hidden: Width of the two hidden layers, in regular fields.
        latent: Regular fields of a state.
        discrete: Whether actions are numbers, which become vectors as one of them is 1.
        dtype: Dtype policy of the layers.
        name: Name of the model.

    Returns:
        Model from `[state (batch, |group|, latent), action (batch, dimension)]`, or of discrete
        ones `action (batch,)`, to the change of the state.

    Reference: Park et al. (2022), appendix, Reacher. The published one gives each torque as the
    pair (a, -a), which a reflection exchanges, and has no LayerNorm.
    """
    group = groups.get(group)
    representation = representations.get(representation, group)
    precise: dict[str, Any] = {"dtype": state_dtype(dtype)}
    state = keras.Input((group.order, latent), name="state", **precise)
    size = representation.dimension
    if discrete:
        action = keras.Input((), dtype="int32", name="action")
        vector = keras.layers.Reshape((size,), **precise)(OneHotActions(1, size, **precise)(action))
    else:
        vector = action = keras.Input((size,), dtype="float32", name="action")
    condition = ToRegular(group, representation, **precise)(vector)
    change = keras.layers.Concatenate(**precise)([state, condition])
    for layer in mlp(group_dense(group), (hidden, hidden), latent, dtype, changes_states=True):
        change = layer(change)
    return keras.Model([state, action], change, name=name)
