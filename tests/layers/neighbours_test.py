import keras
import numpy as np
import pytest
import tensorflow as tf

from sen_tf import to_plain
from sen_tf.groups import rotations
from sen_tf.layers import TensorFieldConv, neighbour_list, neighbours
from sen_tf.testing import randomize_weights


def cloud(degree=1, batch=2, points=30, channels=4, side=5.0):
    rng = np.random.default_rng(0)
    features = rng.standard_normal((batch, points, (degree + 1) ** 2, channels))
    positions = rng.uniform(0, side, (batch, points, 3))
    return features.astype("float32"), positions.astype("float32")


def conv_for(features, positions, degree=2, **kwargs):
    conv = TensorFieldConv(3, degree, radius=1.0, name="mine", **kwargs)
    conv.build(features.shape, positions.shape)
    randomize_weights(conv)
    return conv


def assert_near(actual, expected, rtol=1e-5):
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert np.abs(actual - expected).max() <= rtol * np.abs(expected).max()


def edges_within(cloud, radius):
    distances = np.linalg.norm(cloud[:, None] - cloud[None].astype(float), axis=-1)
    return np.argwhere(distances <= radius).tolist()


@pytest.mark.parametrize("radius", [1e-3, 0.4, 1.0, 2.7, 100.0])
@pytest.mark.parametrize("scale", [(1, 1, 1), (1, 0, 3), (0, 0, 0)], ids=str)
def test_the_list_is_that_of_all_distances(radius, scale):
    _, positions = cloud(batch=3, points=40)
    positions = positions * scale - 2
    for row, points in zip(neighbour_list(positions, radius), positions, strict=True):
        expected = edges_within(points, radius)
        assert row[: len(expected)].tolist() == expected
        assert (row[len(expected) :] == -1).all()


def test_far_points_fit_into_the_cells():
    positions = np.array([[[0, 0, 0], [1e-3, 0, 0], [1e12, 1e12, 1e12]]])
    found = neighbour_list(positions, 1e-2)[0].tolist()
    assert found == [[0, 0], [0, 1], [1, 0], [1, 1], [2, 2]]


@pytest.mark.parametrize("shape", [(0, 4, 3), (2, 0, 3)], ids=str)
def test_no_points_have_no_neighbours(shape):
    assert neighbour_list(np.zeros(shape), 1.0).shape == (shape[0], 0, 2)


@pytest.mark.parametrize("positions", [np.zeros((4, 3)), np.full((1, 4, 3), np.nan)])
def test_positions_that_are_none_are_refused(positions):
    with pytest.raises(ValueError, match="`positions` to be finite, of shape"):
        neighbour_list(positions, 1.0)


@pytest.mark.parametrize("degrees", [(0, 0), (0, 2), (2, 2), (2, 0)], ids=str)
@pytest.mark.parametrize("gaussians", [4, 8, 16])
def test_edges_within_reach_give_the_sum_over_all_pairs(degrees, gaussians):
    features, positions = cloud(degrees[0])
    conv = conv_for(features, positions, degrees[1], gaussians=gaussians)
    edges = neighbour_list(positions, conv.reach)
    assert_near(conv(features, positions, edges), conv(features, positions))


def test_within_the_radius_alone_messages_are_lost():
    """R has not faded there; a list that is cut off at the radius computes something else."""
    features, positions = cloud()
    conv = conv_for(features, positions)
    out, cut = (
        np.array(conv(features, positions, neighbour_list(positions, distance)))
        for distance in (conv.reach, conv.radius)
    )
    assert np.abs(out - cut).max() > 0.1 * np.abs(out).max()


def test_gradients_are_those_of_all_pairs():
    features, positions = (tf.Variable(x) for x in cloud())
    conv = conv_for(features, positions)
    edges = neighbour_list(positions.numpy(), conv.reach)
    sources = [features, positions, *conv.trainable_variables]
    found = []
    for listed in ((), (edges,)):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.square(conv(features, positions, *listed)))
        found.append(tape.gradient(loss, sources))
    for expected, gradient in zip(*found, strict=True):
        assert_near(tf.convert_to_tensor(gradient), tf.convert_to_tensor(expected))


def test_messages_go_from_the_source_to_the_target():
    features, positions = cloud(batch=1, points=3, side=1.0)
    conv = conv_for(features, positions, use_bias=False)
    out = np.array(conv(features, positions, np.array([[[2, 0], [-1, -1], [1, -1]]])))[0]
    assert not out[:2].any() and out[2].any()
    alone = conv(features[:, [2, 0]], positions[:, [2, 0]], np.array([[[0, 1]]]))
    assert_near(out[2], np.array(alone)[0, 0])


def test_an_edge_counts_as_often_as_it_is_listed():
    features, positions = cloud(batch=1, points=3, side=1.0)
    conv = conv_for(features, positions, use_bias=False)
    once, twice = (conv(features, positions, np.array([[[1, 0]] * n])) for n in (1, 2))
    assert_near(twice, 2 * np.array(once))


def test_no_edges_leave_the_bias():
    features, positions = cloud()
    conv = conv_for(features, positions)
    out = np.array(conv(features, positions, np.zeros((2, 0, 2), "int32")))
    assert (out[:, :, 0] == np.array(conv.bias)).all() and not out[:, :, 1:].any()


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_rows_that_fill_up_change_nothing_and_have_no_gradient(policy):
    features, positions = (tf.Variable(x) for x in cloud(batch=1))
    conv = conv_for(features, positions, dtype=policy)
    edges = neighbour_list(positions.numpy(), 1.0)
    filled = np.concatenate([edges, np.full((1, 7, 2), -1)], axis=1)
    with tf.GradientTape() as tape:
        out = conv(features, positions, filled)
        loss = tf.reduce_sum(tf.square(tf.cast(out, tf.float32)))
    np.testing.assert_array_equal(out, conv(features, positions, edges))
    for gradient in tape.gradient(loss, [features, positions]):
        assert np.isfinite(tf.convert_to_tensor(gradient)).all()


def test_permuting_the_points_permutes_the_output():
    features, positions = cloud(batch=1)
    conv = conv_for(features, positions)
    edges = neighbour_list(positions, 1.5)
    order = np.random.default_rng(1).permutation(30)
    places = np.argsort(order)
    out = np.array(conv(features, positions, edges))
    found = conv(features[:, order], positions[:, order], places[edges])
    assert_near(found, out[:, order])


def test_any_number_of_edges():
    features, positions = cloud()
    conv = conv_for(features, positions)
    inputs = [
        keras.Input((None, 4, 4)),
        keras.Input((None, 3)),
        keras.Input((None, 2), dtype="int32"),
    ]
    model = keras.Model(inputs, conv(*inputs))
    assert model.output.shape == (None, None, 9, 3)
    for radius in (0.5, 1.0, 2.0):
        edges = neighbour_list(positions, radius)
        out = model.predict_on_batch([features, positions, edges])
        assert_near(out, conv(features, positions, edges))


def test_a_saved_model_takes_lists_again(tmp_path):
    features, positions = cloud()
    edges = neighbour_list(positions, 1.0)
    inputs = [
        keras.Input((30, 4, 4)),
        keras.Input((30, 3)),
        keras.Input((None, 2), dtype="int32"),
    ]
    model = keras.Model(inputs, TensorFieldConv(3, 1, radius=1.0)(*inputs))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    data = [features, positions, edges]
    np.testing.assert_array_equal(loaded(data), model(data))


@pytest.mark.parametrize("index", [-2, 30, 2**32])
def test_an_index_out_of_range_is_refused(index):
    features, positions = cloud()
    conv = conv_for(features, positions)
    edges = np.array([[[0, 1]], [[2, index]]])
    with pytest.raises(ValueError, match="`mine` expected neighbours .* 30 points"):
        conv(features, positions, edges)
    traced = tf.function(conv)
    with pytest.raises(tf.errors.InvalidArgumentError, match="`mine` expected neighbours"):
        traced(features, positions, tf.constant(edges))


def test_compiled_by_xla_such_an_edge_is_left_out():
    features, positions = cloud()
    conv = conv_for(features, positions)
    compiled = tf.function(conv, jit_compile=True)
    edges = np.array([[[0, 1], [3, 30], [3, 2**32]], [[2, 4], [5, -7], [1, 2**40]]])
    assert_near(
        compiled(features, positions, tf.constant(edges)), conv(features, positions, edges[:, :1])
    )


def test_a_list_for_each_cloud():
    features, positions = cloud()
    conv = conv_for(features, positions)
    edges = np.zeros((1, 4, 2), "int32")
    with pytest.raises(ValueError, match="`mine` expected neighbours of shape .batch, edges, 2"):
        conv(features, positions, edges)
    free = [
        tf.TensorSpec([None] * rank, x)
        for rank, x in ((4, "float32"), (3, "float32"), (3, "int32"))
    ]
    traced = tf.function(conv, input_signature=free)
    with pytest.raises(tf.errors.InvalidArgumentError, match="in a list for each cloud"):
        traced(features, positions, edges)


@pytest.mark.parametrize("shape", [(2, 5, 3), (2, 5), (2, 5, 2, 1)], ids=str)
def test_lists_of_another_shape_are_refused(shape):
    features, positions = cloud()
    for conv in (conv_for(features, positions), TensorFieldConv(3, 1, radius=1.0, name="mine")):
        with pytest.raises(ValueError, match="`mine` expected"):
            conv(features, positions, np.zeros(shape, "int32"))


def test_numbers_that_are_no_integers_are_refused():
    features, positions = cloud()
    with pytest.raises(ValueError, match="`mine` expected neighbours to be integers; .* float32"):
        conv_for(features, positions)(features, positions, np.zeros((2, 3, 2), "float32"))


def test_a_turned_cloud_has_the_same_list():
    _, positions = cloud(points=50)
    turn = rotations.haar(np.random.default_rng(1), 1)[0]
    np.testing.assert_array_equal(
        neighbour_list(positions @ turn.T, 1.0), neighbour_list(positions, 1.0)
    )
    assert neighbours.CELLS**3 < 2**63


@pytest.mark.parametrize("batch", [2, 5])
def test_the_plain_form_takes_lists_too(batch):
    # Of two clouds Keras' sum took the offsets for a bias of the two indices of an edge.
    features, positions = cloud(batch=batch, points=6)
    edges = np.random.default_rng(0).integers(0, 6, (batch, 9, 2))
    edges[0, 3] = -1
    inputs = [keras.Input(x.shape[1:], dtype=str(x.dtype)) for x in (features, positions, edges)]
    model = keras.Model(inputs, TensorFieldConv(3, 1, radius=2.0)(*inputs))
    written, given = to_plain(model), [features, positions, edges]
    assert_near(written(given), model(given))
    assert_near(written.predict(given, verbose=0), model(given))


def test_gradients_of_a_point_of_many_edges_are_whole_sums_in_bfloat16():
    features, positions = cloud(degree=0, batch=1, points=1500, side=0.5)
    neighbours = np.stack([np.arange(1500), np.zeros(1500, int)], axis=-1)[None]
    found = []
    for dtype in ("float32", "mixed_bfloat16"):
        layer = conv_for(features, positions, degree=0, dtype=dtype)
        layer.set_weights([np.ones_like(weight) for weight in layer.get_weights()])
        x = tf.constant(features)
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.cast(layer(x, positions, neighbours), "float32")
        found.append(np.asarray(tape.gradient(y, x))[0, 0])
    assert_near(found[1], found[0], rtol=0.02)
