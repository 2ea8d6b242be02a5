import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from sen_tf.groups import actions
from sen_tf.layers import FieldBatchNormalization, GroupDense, ObjectGraph, OneHotActions
from sen_tf.testing import randomize_weights


def noise(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype("float32")


def plain_graph(readout=None):
    return ObjectGraph(
        edge_network=keras.Sequential([keras.layers.Dense(6, "tanh"), keras.layers.Dense(4)]),
        node_network=keras.Sequential([keras.layers.Dense(5, "tanh"), keras.layers.Dense(2)]),
        readout=readout,
    )


def c4_graph(readout=None):
    return ObjectGraph(GroupDense("C4", 6, activation="tanh"), GroupDense("C4", 2), readout)


def apply(network, *parts):
    """A network, layer by layer: a `Sequential` would insist on the rank it was built with."""
    x = np.concatenate(parts, axis=-1)
    for layer in getattr(network, "layers", [network]):
        x = layer(x)
    return np.array(x)


def double_loop(graph, nodes, condition):
    """The definition, object by object and pair by pair."""
    outputs = []
    for i in range(nodes.shape[1]):
        messages = sum(
            apply(graph.edge_network, nodes[:, i], nodes[:, j])
            for j in range(nodes.shape[1])
            if j != i
        )
        if graph.readout is not None:
            messages = apply(graph.readout, messages)
        parts = [nodes[:, i], *([] if condition is None else [condition[:, i]]), messages]
        outputs.append(apply(graph.node_network, *parts))
    return np.stack(outputs, axis=1)


@pytest.mark.parametrize("objects", [2, 3, 5])
@pytest.mark.parametrize("conditioned", [True, False])
@pytest.mark.parametrize("read", [True, False])
@pytest.mark.parametrize("kind", ["plain", "C4"])
def test_equals_a_double_loop_over_pairs(objects, conditioned, read, kind):
    group = () if kind == "plain" else (4,)
    readout = GroupDense("C4", 3) if group else keras.layers.Dense(3)
    graph = (c4_graph if group else plain_graph)(readout if read else None)
    nodes = noise(3, objects, *group, 2)
    condition = 2 * noise(3, objects, *group, 3) if conditioned else None
    graph(nodes, condition)
    randomize_weights(graph)
    expected = double_loop(graph, nodes, condition)
    np.testing.assert_allclose(graph(nodes, condition), expected, rtol=1e-4, atol=1e-5)


def test_permuting_the_objects_permutes_the_output():
    graph = c4_graph()
    nodes, condition = noise(2, 4, 4, 2), noise(2, 4, 4, 3)
    out = np.array(graph(nodes, condition))
    for order in itertools.permutations(range(4)):
        permuted = graph(nodes[:, order], condition[:, order])
        np.testing.assert_allclose(permuted, out[:, order], atol=1e-5)


def test_training_reaches_every_network():
    def norm():
        return FieldBatchNormalization(momentum=0.0)

    graph = ObjectGraph(norm(), norm(), readout=norm())
    for training in (False, True):
        graph(noise(2, 3, 4) + 1, training=training)
        for network in (graph.edge_network, graph.readout, graph.node_network):
            assert np.any(network.moving_mean) == training


def test_one_object_is_refused():
    with pytest.raises(ValueError, match=r"ObjectGraph `graph` .*two objects.*\(2, 1, 4\)"):
        c4 = keras.layers.Dense(2)
        ObjectGraph(c4, keras.layers.Dense(2), name="graph").build((2, 1, 4))


@pytest.mark.parametrize(
    "first, words", [(False, ("without", "with")), (True, ("with", "without"))]
)
def test_a_condition_comes_always_or_never(first, words):
    nodes, condition = noise(2, 3, 4), noise(2, 3, 1)
    graph = ObjectGraph(keras.layers.Dense(2), keras.layers.Dense(2), name="graph")
    inputs = {True: (nodes, condition), False: (nodes,)}
    expected = graph(*inputs[first])
    with pytest.raises(
        ValueError, match="`graph` was built {} .*; received .* {} one".format(*words)
    ):
        graph(*inputs[not first])
    np.testing.assert_array_equal(graph(*inputs[first]), expected)


def test_weights_are_those_of_the_networks():
    graph = c4_graph(readout=GroupDense("C4", 3, use_bias=False))
    graph.build((None, 5, 4, 2), (None, 5, 4, 1))
    shapes = [tuple(w.shape) for w in graph.trainable_variables]
    expected = [(4, 4, 6), (6,), (4, 6, 3), (4, 6, 2), (2,)]
    assert sorted(shapes) == sorted(expected)


def test_actions_become_moves_at_objects():
    one_hot = np.array(OneHotActions(5)(np.arange(20)))
    assert one_hot.shape == (20, 5, 4)
    for action in range(20):
        assert np.argwhere(one_hot[action]).tolist() == [[action // 4, action % 4]]
    floats = np.arange(20, dtype=np.float32)  # as other codes store actions
    np.testing.assert_array_equal(OneHotActions(5)(floats), one_hot)
    np.testing.assert_array_equal(OneHotActions(5, dtype="mixed_bfloat16")(floats), one_hot)


def test_many_actions_stay_exact_under_mixed_precision():
    layer = OneHotActions(100, moves=6, dtype="mixed_bfloat16")
    numbers = np.arange(600, dtype=np.int32)
    np.testing.assert_array_equal(np.array(layer(numbers)).reshape(600, -1).argmax(1), numbers)


def test_floats_beyond_256_stay_exact_under_mixed_precision():
    numbers = np.arange(600)
    for policy in ("mixed_bfloat16", "mixed_float16"):
        one_hot = OneHotActions(100, moves=6, dtype=policy)(numbers.astype("float32"))
        np.testing.assert_array_equal(np.array(one_hot).reshape(600, -1).argmax(1), numbers)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int64", "float32", "float16"])
def test_graphs_know_bounds_that_a_dtype_does_not_hold(dtype):
    numbers = np.array([0, 3, 100 if dtype == "int8" else 200])
    one_hot = tf.function(OneHotActions(100, moves=4))(tf.constant(numbers.astype(dtype)))
    np.testing.assert_array_equal(np.array(one_hot).reshape(3, -1).argmax(1), numbers)
    assert np.sum(one_hot) == 3


@pytest.mark.parametrize(
    "number",
    [np.float32(1.5), np.float32("nan"), np.float32(3e9), np.int64(2**32 + 1)]
    + [np.int8(-1), np.uint8(8), np.int32(8), np.float32(-1)],
    ids=repr,
)
def test_what_is_no_action_is_refused(number):
    layer, numbers = OneHotActions(2), np.stack([number, number])
    numbers[1] = 0
    with pytest.raises(ValueError, match="integers from 0 to 7, those of 2 objects.*received"):
        layer(numbers)
    with pytest.raises(tf.errors.InvalidArgumentError, match="integers from 0 to 7"):
        tf.function(layer)(tf.constant(numbers))
    compiled = np.array(tf.function(layer, jit_compile=True)(tf.constant(numbers)))
    np.testing.assert_array_equal(compiled.sum(axis=(1, 2)), [0, 1])


@pytest.mark.parametrize(
    "arguments, name", [((0,), "objects"), ((2.5,), "objects"), ((5, 0), "moves")]
)
def test_bad_numbers_are_named(arguments, name):
    with pytest.raises(ValueError, match=f"`{name}` to be an integer of at least 1"):
        OneHotActions(*arguments)


def test_actions_of_another_rank_are_refused():
    with pytest.raises(ValueError, match=r"OneHotActions `moves` expected .*\(batch,\).*\(3, 1\)"):
        OneHotActions(5, name="moves")(np.zeros((3, 1), np.int32))


def test_the_group_moves_with_the_objects_networks():
    """A C4 graph commutes with C4 acting on states and conditions alike."""
    graph = c4_graph(readout=GroupDense("C4", 3))
    nodes, condition = noise(2, 5, 4, 2), noise(2, 5, 4, 1)
    out = np.array(graph(nodes, condition))
    for g in range(4):
        turned = [actions.act_on_regular(x, "C4", g) for x in (nodes, condition)]
        np.testing.assert_allclose(graph(*turned), actions.act_on_regular(out, "C4", g), atol=1e-5)
