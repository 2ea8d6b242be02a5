import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from sen_tf.groups import irreps, rotations
from sen_tf.layers import (
    FromIrreps,
    GatedActivation,
    IrrepsDense,
    TensorFieldConv,
    ToIrreps,
    tensor_product,
)
from sen_tf.testing import randomize_weights

ROTATIONS = rotations.haar(np.random.default_rng(1), 5)
DEGREES = [(0, 0), (0, 1), (1, 1), (2, 2), (3, 3), (3, 1), (0, 3)]


def noise(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def cloud(degree, batch=3, points=5, channels=4):
    return noise(batch, points, (degree + 1) ** 2, channels), noise(batch, points, 3, seed=1)


def turned(features, r):
    degree = int(features.shape[-2] ** 0.5) - 1
    return (irreps.representation(degree, r) @ np.asarray(features)).astype(features.dtype.name)


def built(degree_in, degree_out, **kwargs):
    conv = TensorFieldConv(3, degree_out, radius=2.0, **kwargs)
    conv.build((None, None, (degree_in + 1) ** 2, 4), (None, None, 3))
    randomize_weights(conv)
    return conv


def assert_near(actual, expected, rtol=1e-5):
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert np.abs(actual - expected).max() <= rtol * np.abs(expected).max()


@pytest.mark.parametrize("degrees", DEGREES, ids=str)
def test_every_rotation_and_translation_commutes(degrees):
    conv = built(*degrees)
    features, positions = cloud(degrees[0])
    out = conv(features, positions)
    for r in ROTATIONS:
        moved = (positions @ r.T + [1, -2, 0.5]).astype("float32")
        assert_near(conv(turned(features, r), moved), turned(out, r))


def test_permuting_the_points_permutes_the_output():
    conv = built(1, 2)
    features, positions = cloud(1)
    order = [3, 0, 4, 2, 1]
    out = np.array(conv(features, positions))
    assert_near(conv(features[:, order], positions[:, order]), out[:, order])


def test_a_mirror_does_not_commute():
    """Cross products are among the couplings, so that left and right hands differ."""
    conv = built(1, 1)
    features, positions = cloud(1)
    mirror = np.diag([1, 1, 1, -1]).astype("float32")
    out = np.array(conv(features, positions))
    mirrored = np.array(conv(mirror @ features, positions @ mirror[1:, 1:]))
    assert np.abs(mirrored - mirror @ out).max() > 0.05 * np.abs(out).max()


def by_the_definition(conv, features, positions):
    """Loops over pairs and couplings, in float64 on the harmonics of `groups.irreps`."""
    centres = np.linspace(0, conv.radius, conv.gaussians)
    hidden, radial = (
        np.array(w, np.float64) for w in (conv.radial_hidden.kernel, conv.radial_output.kernel)
    )
    points, channels = features.shape[1], features.shape[3]
    degree = int(features.shape[2] ** 0.5) - 1
    out = np.zeros((*features.shape[:2], (conv.degree + 1) ** 2, conv.filters))
    for batch, i in np.ndindex(*features.shape[:2]):
        messages = [[] for _ in range(conv.degree + 1)]
        for path, (li, lf, lo) in enumerate(tensor_product._paths(degree, conv.degree)):
            message = 0
            for j in range(points):
                r = positions[batch, j].astype(np.float64) - positions[batch, i]
                length = np.sqrt(r @ r + (tensor_product.SOFTENING * conv.radius) ** 2)
                x = np.exp(-(((length - centres) / centres[1]) ** 2) / 2) @ hidden
                weight = ((x / (1 + np.exp(-x))) @ radial).reshape(-1, channels)[path]
                message = message + np.sqrt(2 * lf + 1) * np.einsum(
                    "c,ac,b,abo->oc",
                    weight,
                    features[batch, j, irreps.block(li)],
                    irreps.spherical_harmonics(lf, r / length),
                    irreps.clebsch_gordan(li, lf, lo),
                )
            messages[lo].append(message)
        for lo, parts in enumerate(messages):
            mixed = np.concatenate(parts, -1) @ np.array(conv.kernels[lo], np.float64)
            out[batch, i, irreps.block(lo)] = mixed
    out[:, :, 0] += conv.bias
    return out


@pytest.mark.parametrize("degrees", [(0, 1), (1, 0), (2, 3)], ids=str)
def test_equals_loops_over_pairs_and_couplings(degrees):
    conv = built(*degrees)
    features, positions = cloud(degrees[0], batch=2, points=3)
    assert_near(conv(features, positions), by_the_definition(conv, features, positions))


def test_every_coupling_is_there():
    """From l to n by every degree between |l - n| and l + n that the harmonics have."""
    assert tensor_product._paths(0, 2) == [(0, 0, 0), (0, 1, 1), (0, 2, 2)]
    assert tensor_product._paths(1, 1) == [(0, 0, 0), (0, 1, 1), (1, 1, 0), (1, 0, 1), (1, 1, 1)]
    assert len(tensor_product._paths(3, 3)) == 34


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_gradients_are_finite_where_points_coincide(policy):
    conv = built(2, 2, dtype=policy)
    features, positions = (tf.Variable(x) for x in cloud(2))
    positions[0].assign(tf.zeros_like(positions[0]))  # all of them
    positions[1, 2].assign(positions[1, 0])
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.square(tf.cast(conv(features, positions), tf.float32)))
    gradients = tape.gradient(loss, [features, positions, *conv.trainable_variables])
    for gradient in gradients:
        assert np.isfinite(gradient).all() and np.any(gradient)


def test_the_gradient_at_coinciding_points_is_that_of_differences():
    conv = built(1, 1, dtype="float64")
    features, positions = (x.astype("float64") for x in cloud(1, batch=1))
    positions[0, 1] = positions[0, 0]
    direction = np.random.default_rng(2).standard_normal(positions.shape)

    def loss(x):
        return tf.reduce_sum(conv(features, x)[..., 0])

    x = tf.Variable(positions)
    with tf.GradientTape() as tape:
        value = loss(x)
    slope = np.sum(tape.gradient(value, x) * direction)
    step = 1e-5
    ahead, behind = (float(loss(positions + s * direction)) for s in (step, -step))
    np.testing.assert_allclose(slope, (ahead - behind) / (2 * step), rtol=1e-5)


def test_points_far_beyond_the_radius_are_not_seen():
    conv = built(1, 1)
    features, positions = cloud(1)
    alone = conv(features[:, :2], positions[:, :2])
    positions[:, 2:] += 50
    assert_near(np.array(conv(features, positions))[:, :2], alone)


def test_any_number_of_points():
    conv = built(1, 1)
    inputs = [keras.Input((None, 4, 4)), keras.Input((None, 3))]
    outputs = conv(*inputs)
    assert outputs.shape == (None, None, 4, 3)
    assert conv.compute_output_shape((None, None, 4, 4), (None, None, 3)) == (None, None, 4, 3)
    model = keras.Model(inputs, outputs)
    for points in (1, 2, 7):
        data = cloud(1, points=points)
        assert_near(model.predict_on_batch(data), conv(*data))


def test_positions_stay_precise_under_mixed_precision():
    """A cloud far from the origin, where bfloat16 numbers lie 0.5 apart."""
    conv = built(1, 1, dtype="mixed_bfloat16")
    features, positions = cloud(1)
    near, far = (np.array(conv(features, positions + shift), "float32") for shift in (0, 100))
    assert_near(far, near, rtol=2e-2)


@pytest.mark.parametrize(
    "shapes",
    [
        ((2, 5, 4), (2, 5, 3)),
        ((2, 5, 4, 3), (2, 5, 2)),
        ((2, 5, 4, 3), (2, 4, 3)),
        ((2, 5, 4, 3), (5, 3)),
    ],
    ids=str,
)
def test_clouds_of_another_shape_are_refused(shapes):
    with pytest.raises(ValueError, match=r"TensorFieldConv `mine` expected .*\(batch, points, 3\)"):
        TensorFieldConv(2, 1, radius=1.0, name="mine").build(*shapes)


def test_features_without_a_sum_of_degrees_are_refused():
    with pytest.raises(ValueError, match=r"TensorFieldConv `mine` expected .*parts 0 to L of SO3"):
        TensorFieldConv(2, 1, radius=1.0, name="mine").build((2, 5, 3, 2), (2, 5, 3))


@pytest.mark.parametrize(
    "name, value, least",
    [("filters", 0, 1), ("degree", -1, 0), ("gaussians", 1, 2), ("radial_width", 2.5, 1)],
)
def test_bad_numbers_are_named(name, value, least):
    arguments = {"filters": 2, "degree": 1, "radius": 1.0} | {name: value}
    with pytest.raises(ValueError, match=f"`{name}` to be an integer of at least {least}"):
        TensorFieldConv(**arguments)


def test_the_radius_is_positive():
    with pytest.raises(ValueError, match="`radius` to be positive; received radius=0"):
        TensorFieldConv(2, 1, radius=0)


class Cloud(keras.layers.Layer):
    """The origin and the columns of a rotation, with a mark for each point and the action."""

    def call(self, state, action):
        columns = ops.transpose(state, (0, 2, 1))
        positions = ops.pad(columns, [[0, 0], [1, 0], [0, 0]])
        marks = ops.broadcast_to(ops.eye(4), (ops.shape(state)[0], 4, 4))
        actions = ops.tile(ops.expand_dims(ops.expand_dims(action, 1), -1), (1, 4, 1, 1, 1))
        return positions, marks, actions


def small_network():
    """From a rotation z and an action a, another, to a matrix that g moves as it moves z.

    g turns z to g z and a to g a g^-1; the columns of z are points and their marks are fixed.
    """
    state, action = keras.Input((3, 3)), keras.Input((3, 3))
    positions, marks, actions = Cloud()(state, action)
    x = ops.concatenate([ToIrreps(0, 2)(marks), ToIrreps(2, 2)(actions)], axis=-1)
    x = IrrepsDense(8)(x)
    x = GatedActivation()(TensorFieldConv(8, 2, radius=2.0)(x, positions))
    x = TensorFieldConv(8, 1, radius=2.0)(x, positions)
    x = IrrepsDense(1, use_bias=False)(GatedActivation()(x))
    vectors = FromIrreps(1)(x)[:, 1:, :, 0]
    return keras.Model([state, action], ops.transpose(vectors, (0, 2, 1)))


def assert_network_commutes(network, states, actions):
    out = np.array(network([states, actions]))
    assert np.abs(out).max() > 1e-3
    for g in ROTATIONS:
        moved = [(g @ states).astype("float32"), (g @ actions @ g.T).astype("float32")]
        assert_near(network(moved), g @ out)


def test_a_small_network_commutes_before_and_after_training(tmp_path):
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    states, actions = (rotations.haar(rng, 32).astype("float32") for _ in range(2))
    network = small_network()
    assert_network_commutes(network, states, actions)
    network.compile(keras.optimizers.Adam(0.01), "mse", jit_compile=False)
    change = actions @ states - states
    losses = [network.train_on_batch([states, actions], change) for _ in range(20)]
    assert losses[-1] < 0.5 * losses[0]
    assert_network_commutes(network, states, actions)
    network.save(tmp_path / "network.keras")
    loaded = keras.models.load_model(tmp_path / "network.keras", custom_objects={"Cloud": Cloud})
    np.testing.assert_array_equal(loaded([states, actions]), network([states, actions]))


def test_half_precision_throughout_knows_a_small_radius():
    """Of 0.01, by a hundredth of which lengths are softened: the square is none of float16."""
    features, positions = cloud(1)
    convs = [TensorFieldConv(3, 1, radius=0.01, dtype=dtype) for dtype in ("float32", "float16")]
    for conv in convs:
        conv.build(features.shape, positions.shape)
    convs[1].set_weights(convs[0].get_weights())
    expected, found = (conv(features, positions / 100) for conv in convs)
    assert_near(ops.cast(found, "float32"), expected, 1e-2)
