"""Message passing between objects, each connected with every other."""

import functools
from typing import Any, Self

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from sen_tf.layers import arguments, output_fields
from sen_tf.layers.inputs import assert_all, fit, in_int32, numbers_in, settle
from sen_tf.layers.plain import plain_call
from sen_tf.tensors import Shape, Tensor


@keras.saving.register_keras_serializable("sen_tf")
class ObjectGraph(keras.layers.Layer):
    """One round of messages on the complete graph of objects.

    `out_i = node([z_i, condition_i, readout(sum over j != i of edge([z_i, z_j]))])`, the same
    networks for every object, so that permuting the objects permutes the output. It commutes with
    every group that the networks commute with. Pairs are the cyclic shifts of the object axis: no
    edge lists, no gathers.

    Args:
        edge_network: Layer applied to the pairs (receiver, sender).
        node_network: Layer applied to the nodes.
        readout: Layer applied to the sum of the messages. A last linear layer of an edge network
            does the same work here on `objects` rows instead of `objects * (objects - 1)`.

    Call arguments:
        nodes: `(batch, objects, ..., channels)`, at least two objects.
        condition: `(batch, objects, ..., condition channels)`, joined to the nodes: actions.

    Output shape: `(batch, objects, ..., outputs)` as the node network gives.

    Raises:
        ValueError: For a network that is no Keras layer, fewer than two objects, or a condition
            that does not fit the nodes.

    Reference: Kipf, van der Pol and Welling (2020), section 2.2; Park et al. (2022).
    """

    output_field = output_fields.keeps_field

    def __init__(
        self,
        edge_network: keras.layers.Layer,
        node_network: keras.layers.Layer,
        readout: keras.layers.Layer | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        networks = {"edge_network": edge_network, "node_network": node_network, "readout": readout}
        for name, network in networks.items():
            optional = name == "readout" and network is None
            if not (optional or isinstance(network, keras.layers.Layer)):
                raise ValueError(
                    f"Expected `{name}` to be a Keras layer; received {name}={network!r}."
                )
        self.edge_network = edge_network
        self.node_network = node_network
        self.readout = readout

    def build(self, nodes_shape: Shape, condition_shape: Shape | None = None) -> None:
        objects = nodes_shape[1] if len(nodes_shape) > 2 else None
        if objects is None or objects < 2 or not nodes_shape[-1]:
            raise ValueError(
                f"ObjectGraph `{self.name}` expected at least two objects in an input of shape "
                f"(batch, objects, ..., channels); received {tuple(nodes_shape)}."
            )
        self._built_for = {1: objects, -1: nodes_shape[-1]}
        self._condition_built_for = None
        if condition_shape is not None:
            self._check_condition(nodes_shape, condition_shape)
            self._condition_built_for = {1: objects, -1: condition_shape[-1]}
        pairs, messages, joined = self._shapes(nodes_shape, condition_shape)
        parts = [(self.edge_network, pairs), (self.readout, messages), (self.node_network, joined)]
        for network, shape in parts:
            if network is not None and not network.built:
                network.build(shape)

    def _check_condition(self, nodes_shape, condition_shape):
        if not _alike(nodes_shape[:-1], condition_shape[:-1]):
            raise ValueError(
                f"ObjectGraph `{self.name}` expected a condition of the shape of the nodes, "
                f"{tuple(nodes_shape)}, but for the channels; received {tuple(condition_shape)}."
            )

    def _shapes(self, nodes_shape, condition_shape):
        """The shapes that the edge network, the readout and the node network are applied to."""
        pairs = (*nodes_shape[:2], nodes_shape[1] - 1, *nodes_shape[2:-1], 2 * nodes_shape[-1])
        edges = self.edge_network.compute_output_shape(pairs)
        messages = (*edges[:2], *edges[3:])
        read = messages if self.readout is None else self.readout.compute_output_shape(messages)
        channels = nodes_shape[-1] + read[-1]
        channels += condition_shape[-1] if condition_shape is not None else 0
        return pairs, messages, (*nodes_shape[:-1], channels)

    def call(
        self, nodes: Tensor, condition: Tensor | None = None, training: bool | None = None
    ) -> Tensor:
        nodes = settle(self, nodes, self._built_for)
        if (condition is None) != (self._condition_built_for is None):
            built, called = ("without", "with") if condition is not None else ("with", "without")
            raise ValueError(
                f"ObjectGraph `{self.name}` was built {built} a condition; received an input "
                f"{called} one."
            )
        if condition is not None:
            condition = settle(self, condition, self._condition_built_for)
            self._check_condition(nodes.shape, condition.shape)
        edge_network, node_network = (
            functools.partial(network, training=training)
            for network in (self.edge_network, self.node_network)
        )
        return _pass_messages(nodes, condition, edge_network, node_network, self.readout)

    def plain(self, nodes: Tensor, condition: Tensor | None = None) -> Tensor:
        """The same messages between plain networks; see `layers.plain`."""
        networks = [
            network and functools.partial(plain_call, network)
            for network in (self.edge_network, self.node_network, self.readout)
        ]
        return _pass_messages(nodes, condition, *networks)

    def compute_output_shape(
        self, nodes_shape: Shape, condition_shape: Shape | None = None
    ) -> Shape:
        return self.node_network.compute_output_shape(
            self._shapes(nodes_shape, condition_shape)[-1]
        )

    def get_config(self) -> dict[str, Any]:
        networks = {
            "edge_network": self.edge_network,
            "node_network": self.node_network,
            "readout": self.readout,
        }
        saved = {k: keras.saving.serialize_keras_object(v) for k, v in networks.items()}
        return {**super().get_config(), **saved}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        networks = ("edge_network", "node_network", "readout")
        loaded = {k: keras.saving.deserialize_keras_object(config[k]) for k in networks}
        return cls(**{**config, **loaded})


def _alike(a, b):
    """True if two shapes are the same where both are known."""
    return len(a) == len(b) and all(x == y or None in (x, y) for x, y in zip(a, b, strict=True))


@keras.saving.register_keras_serializable("sen_tf")
class OneHotActions(keras.layers.Layer):
    """From an action number `moves * object + move` to a one-hot move at that object.

    Args:
        objects: Number of objects.
        moves: Number of moves of an object.

    Input shape: `(batch,)`, integers in [0, objects * moves).

    Output shape: `(batch, objects, moves)`.

    Raises:
        ValueError: For numbers that are not positive integers, an input of another rank, and
            actions out of range. TensorFlow's graphs raise an InvalidArgumentError for these when
            they run; what XLA compiled gives them zeros.
    """

    def __init__(self, objects: int, moves: int = 4, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)  # bfloat16 has no 257
        self.objects = arguments.integer("objects", objects)
        self.moves = arguments.integer("moves", moves)

    def build(self, input_shape: Shape) -> None:
        if len(input_shape) != 1:
            raise ValueError(
                f"OneHotActions `{self.name}` expected an input of shape (batch,); received "
                f"{tuple(input_shape)}."
            )

    def check_numbers(self, actions: npt.ArrayLike) -> None:
        """Raises a ValueError unless all of an array are numbers of actions."""
        actions = np.asarray(actions)
        wrong = actions[~((actions >= 0) & (actions < self._count) & (actions % 1 == 0))]
        if wrong.size:
            raise ValueError(
                f"Expected actions to be integers from 0 to {self._count - 1}, those of "
                f"{self.objects} objects with {self.moves} moves each; received {wrong[0]}."
            )

    @property
    def _count(self):
        return self.objects * self.moves

    def call(self, inputs: Tensor) -> Tensor:
        inputs = fit(inputs, f"OneHotActions `{self.name}`", ranks=(1,))
        actions = numbers_in(inputs)
        if actions is not None:
            self.check_numbers(actions)
        # In int32, for uint8 knows no bound of 400.
        whole = in_int32(inputs, otherwise=-1)
        message = f"Expected actions to be integers from 0 to {self._count - 1}."
        whole = assert_all(whole, (whole >= 0) & (whole < self._count), message)
        one_hot = ops.one_hot(whole, self._count, dtype=self.compute_dtype)
        return ops.reshape(one_hot, (-1, self.objects, self.moves))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape, self.objects, self.moves)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "objects": self.objects, "moves": self.moves}


def _pass_messages(nodes, condition, edge_network, node_network, readout):
    """The output of `ObjectGraph`, of functions of one tensor each; `readout` may be None."""
    objects = nodes.shape[1]
    shifts = range(1, objects)
    # Of slices, not `ops.roll`, which LiteRT lacks.
    shifted = [ops.concatenate([nodes[:, k:], nodes[:, :k]], axis=1) for k in shifts]
    senders = ops.stack(shifted, axis=2)
    receivers = ops.stack([nodes for _ in shifts], axis=2)
    messages = ops.sum(edge_network(ops.concatenate([receivers, senders], axis=-1)), axis=2)
    if readout is not None:
        messages = readout(messages)
    inputs = [nodes] if condition is None else [nodes, ops.cast(condition, nodes.dtype)]
    inputs.append(ops.cast(messages, nodes.dtype))
    return node_network(ops.concatenate(inputs, axis=-1))
