"""Transitions: from a latent state and an action to the change of the state.

They start at "nothing moves": the layer that makes the change and the one that reads the messages
are zero at first. With random ones, training spends about three times as many steps on the plateau
at skill zero, unlearning the random moves and the messages that drown the action (measured in
docs/results.md). The published code starts at random.
"""

import keras

from sen_tf.layers import ObjectGraph, OneHotActions, ToRegular
from sen_tf.models.blocks import group_dense, mlp, state_dtype

MOVES_CLOCKWISE = "permutation(3,0,1,2)"
"""How a quarter turn counter-clockwise acts on the moves up, right, down, left."""

RELATIVE_MOVES = "4 trivial"
"""How it acts on moves relative to an object's own heading: not at all."""


def object_transition(objects, hidden=512, latent=2, dtype=None, name="transition"):
    """An object graph with plain dense networks.

    Args:
        objects: Number of objects.
        hidden: Width of the edge and the node network.
        latent: Width of an object's state.
        dtype: Dtype policy of the layers.
        name: Name of the model.

    Returns:
        Model from `[state (batch, objects, latent), action (batch,)]` to the change of the state.

    Reference: Kipf et al. (2020), section 2.2.
    """
    actions = [OneHotActions(objects, dtype=dtype)]
    return _graph(keras.layers.Dense, (objects, latent), actions, hidden, dtype, name)


def c4_object_transition(
    objects, hidden=256, latent=2, moves=MOVES_CLOCKWISE, dtype=None, name="transition"
):
    """An object graph that commutes with C4, acting on the states and on the moves.

    Args:
        objects, dtype, name: As in `object_transition`.
        hidden: Width of the edge and the node network, in fields.
        latent: Regular fields of an object's state.
        moves: How C4 acts on the one-hot moves of an object: `MOVES_CLOCKWISE` or
            `RELATIVE_MOVES`.

    Returns:
        Model from `[state (batch, objects, 4, latent), action (batch,)]` to the change.

    Reference: Park et al. (2022), appendix, 2D Shapes and 3D Blocks.
    """
    components = [0] if moves == MOVES_CLOCKWISE else None
    actions = [
        OneHotActions(objects, dtype=dtype),
        ToRegular("C4", moves, components=components, dtype=dtype),
    ]
    return _graph(group_dense("C4"), (objects, 4, latent), actions, hidden, dtype, name)


def _graph(dense, state_shape, action_layers, hidden, dtype, name):
    state = keras.Input(state_shape, dtype=state_dtype(dtype), name="state")
    action = keras.Input((), dtype="int32", name="action")
    condition = action
    for layer in action_layers:
        condition = layer(condition)
    widths = (hidden, hidden)
    *edge, _ = mlp(dense, widths, hidden, dtype, changes_states=True)
    node = mlp(dense, widths, state_shape[-1], dtype, changes_states=True)
    graph = ObjectGraph(
        edge_network=keras.Sequential(edge, name="edge"),
        readout=dense(hidden, dtype=dtype, kernel_initializer="zeros"),
        node_network=keras.Sequential(node, name="node"),
        dtype=state_dtype(dtype),
        name="graph",
    )
    return keras.Model([state, action], graph(state, condition), name=name)


def torque_transition(torques, hidden=512, latent=4, dtype=None, name="transition"):
    """Plain dense layers from a state and the torques at its joints.

    Args:
        torques: Number of joints.
        hidden: Width of the two hidden layers.
        latent: Width of a state.
        dtype: Dtype policy of the layers.
        name: Name of the model.

    Returns:
        Model from `[state (batch, latent), action (batch, torques)]` to the change of the state.

    Reference: Park et al. (2022), appendix, Reacher, non-equivariant model.
    """
    return _dense(keras.layers.Dense, (latent,), torques, [], hidden, dtype, name)


def d4_torque_transition(torques, hidden=181, latent=4, dtype=None, name="transition"):
    """Dense layers that commute with D4, whose reflections negate torques.

    Args:
        torques, dtype, name: As in `torque_transition`.
        hidden: Width of the two hidden layers, in fields.
        latent: Regular fields of a state.

    Returns:
        Model from `[state (batch, 8, latent), action (batch, torques)]` to the change.

    Reference: Park et al. (2022), appendix, Reacher. The published one gives each torque as the
    pair (a, -a), which a reflection exchanges, and has no LayerNorm.
    """
    door = ToRegular("D4", f"{torques} sign", dtype=state_dtype(dtype))
    return _dense(group_dense("D4"), (8, latent), torques, [door], hidden, dtype, name)


def _dense(dense, state_shape, torques, action_layers, hidden, dtype, name):
    state = keras.Input(state_shape, dtype=state_dtype(dtype), name="state")
    action = keras.Input((torques,), dtype="float32", name="action")
    condition = action
    for layer in action_layers:
        condition = layer(condition)
    change = keras.layers.Concatenate(dtype=state_dtype(dtype))([state, condition])
    for layer in mlp(dense, (hidden, hidden), state_shape[-1], dtype, changes_states=True):
        change = layer(change)
    return keras.Model([state, action], change, name=name)
