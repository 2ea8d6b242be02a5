import numpy as np
import pytest
import tensorflow as tf

from sen_tf.groups import rotations
from sen_tf.layers import GramSchmidt

ROTATIONS = rotations.haar(np.random.default_rng(1), 10)
TO_RIGHT, UP = np.eye(3)[:2]
DEGENERATE = {
    "both zero": (0 * UP, 0 * UP),
    "first zero": (0 * UP, TO_RIGHT),
    "second zero": (UP, 0 * UP),
    "equal": (UP, UP),
    "parallel": (np.array([1, 2, 3]), np.array([0.3, 0.6, 0.9])),
    "opposite": (np.array([1, 2, 3]), np.array([-4, -8, -12])),
    "nearly parallel": (UP, UP + 1e-7 * TO_RIGHT),
    "tiny": (1e-25 * UP, 1e-30 * TO_RIGHT),
    "small": (1e-6 * UP, 1e-7 * TO_RIGHT),
}


def noise(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype("float32")


def test_columns_are_those_of_the_groups_room():
    pairs = noise(50, 4, 2, 3)
    expected = rotations.gram_schmidt(pairs[..., 0, :], pairs[..., 1, :])
    np.testing.assert_allclose(GramSchmidt()(pairs), expected, atol=1e-5)


@pytest.mark.parametrize("lengths", [(1, 1), (0.05, 20), (1e3, 1e-2), (1e9, 1e9)])
def test_outputs_are_rotations_whatever_the_lengths(lengths):
    pairs = noise(200, 2, 3) * np.array(lengths, np.float32)[:, None]
    out = np.array(GramSchmidt()(pairs), np.float64)
    products = np.swapaxes(out, -1, -2) @ out
    np.testing.assert_allclose(products, np.broadcast_to(np.eye(3), products.shape), atol=1e-5)
    np.testing.assert_allclose(np.linalg.det(out), 1, atol=1e-5)


def test_outputs_are_rotations_near_parallel():
    """Three thousandths of a radian apart, where one rejection in float32 is off by 1e-5."""
    frames = rotations.haar(np.random.default_rng(2), 200)
    pairs = np.stack([frames[..., 0], frames[..., 0] + 3e-3 * frames[..., 1]], axis=1)
    out = np.array(GramSchmidt()(pairs.astype("float32")), np.float64)
    products = np.swapaxes(out, -1, -2) @ out
    np.testing.assert_allclose(products, np.broadcast_to(np.eye(3), products.shape), atol=1e-6)


def test_every_rotation_commutes():
    pairs = noise(50, 2, 3)
    out = np.array(GramSchmidt()(pairs))
    for g in ROTATIONS:
        turned = GramSchmidt()((pairs @ g.T).astype("float32"))
        np.testing.assert_allclose(turned, g @ out, atol=1e-5)


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("case", DEGENERATE)
def test_values_and_gradients_are_finite_where_there_is_no_direction(case, policy):
    pairs = tf.Variable(np.stack(DEGENERATE[case])[None].astype("float32"))
    weights = noise(1, 3, 3)
    with tf.GradientTape() as tape:
        out = tf.cast(GramSchmidt(dtype=policy)(pairs), tf.float32)
        loss = tf.reduce_sum(weights * out)
    assert np.abs(out).max() < 1 + 1e-2
    gradient = tape.gradient(loss, pairs)
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("case", ["both zero", "first zero", "tiny"])
def test_no_direction_is_no_column(case):
    """No rotation would commute with SO(3), zero does."""
    pairs = np.stack(DEGENERATE[case])[None].astype("float32")
    out = np.array(GramSchmidt()(pairs))[0]
    np.testing.assert_allclose(out[:, [0, 2]], np.zeros((3, 2)), atol=1e-12)


def test_the_gradient_is_that_of_differences():
    pairs = noise(1, 2, 3).astype("float64")
    weights = noise(1, 3, 3).astype("float64")
    direction = np.random.default_rng(2).standard_normal(pairs.shape)

    def loss(x):
        return tf.reduce_sum(weights * GramSchmidt(dtype="float64")(x))

    x = tf.Variable(pairs)
    with tf.GradientTape() as tape:
        value = loss(x)
    slope = np.sum(tape.gradient(value, x) * direction)
    ahead, behind = (float(loss(pairs + s * direction)) for s in (1e-6, -1e-6))
    np.testing.assert_allclose(slope, (ahead - behind) / 2e-6, rtol=1e-6)


@pytest.mark.parametrize("shape", [(2, 3), (5, 3, 2), (5, 6), (5, 2, None)])
def test_what_is_no_pair_of_vectors_is_refused(shape):
    with pytest.raises(ValueError, match=r"GramSchmidt `mine` expected .*\(batch, \.\.\., 2, 3\)"):
        GramSchmidt(name="mine").build(shape)


def test_long_vectors_and_none_are_finite_in_half_precision():
    pairs = np.array([[[300, 0, 0], [400, 500, 0]], [[0, 0, 0], [0, 0, 0]]], "float16")
    out = GramSchmidt(dtype="float16")(pairs)
    assert out.dtype == "float16"
    np.testing.assert_allclose(np.array(out), [np.eye(3), np.zeros((3, 3))], atol=1e-3)
