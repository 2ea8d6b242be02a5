import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sen_tf.groups import rotations

SEEDS = st.integers(0, 2**32 - 1)
ANGLES = [0, 1e-300, 1e-12, 1e-8, 1e-4, 1, 2, 3, np.pi - 1e-4, np.pi - 1e-8, np.pi - 1e-12, np.pi]


def _directions(rng, n):
    v = rng.normal(size=(n, 3))
    return v / np.linalg.norm(v, axis=-1, keepdims=True)


def _assert_rotations(r):
    np.testing.assert_allclose(
        r @ np.swapaxes(r, -1, -2), np.broadcast_to(np.eye(3), r.shape), atol=1e-12
    )
    np.testing.assert_allclose(np.linalg.det(r), 1, atol=1e-12)


@settings(deadline=None)
@given(SEEDS)
def test_hat_is_the_cross_product_and_vee_its_inverse(seed):
    v, w = np.random.default_rng(seed).normal(size=(2, 4, 2, 3))
    np.testing.assert_allclose(
        (rotations.hat(v) @ w[..., None])[..., 0], np.cross(v, w), atol=1e-12
    )
    np.testing.assert_array_equal(rotations.vee(rotations.hat(v)), v)
    np.testing.assert_allclose(rotations.vee(rotations.hat(v) + np.eye(3)), v, atol=1e-12)


def test_exp_of_known_turns():
    quarter = rotations.exp([0, 0, np.pi / 2])
    np.testing.assert_allclose(quarter, [[0, -1, 0], [1, 0, 0], [0, 0, 1]], atol=1e-15)
    np.testing.assert_array_equal(rotations.exp(np.zeros((2, 3))), [np.eye(3)] * 2)
    np.testing.assert_allclose(rotations.exp([np.pi, 0, 0]), np.diag([1, -1, -1]), atol=1e-15)


@pytest.mark.parametrize("angle", ANGLES)
def test_log_inverts_exp_at_every_angle(angle):
    v = angle * np.concatenate([np.eye(3), -np.eye(3), _directions(np.random.default_rng(0), 50)])
    r = rotations.exp(v)
    _assert_rotations(r)
    back = rotations.log(r)
    assert np.linalg.norm(back, axis=-1).max() <= np.pi + 1e-12
    if angle == np.pi:
        back *= np.sign(np.sum(back * v, -1, keepdims=True))
    np.testing.assert_allclose(back, v, rtol=1e-12, atol=1e-14)


@settings(deadline=None)
@given(SEEDS)
def test_exp_inverts_log(seed):
    r = rotations.haar(np.random.default_rng(seed), 20)
    np.testing.assert_allclose(rotations.exp(rotations.log(r)), r, atol=1e-12)


def test_half_turns_have_a_log():
    for diagonal in ([1, -1, -1], [-1, 1, -1], [-1, -1, 1]):
        v = rotations.log(np.diag(diagonal))
        np.testing.assert_allclose(np.abs(v), np.pi * (np.array(diagonal) > 0), atol=1e-15)


@settings(deadline=None)
@given(SEEDS)
def test_exp_turns_with_its_axis(seed):
    rng = np.random.default_rng(seed)
    g, v = rotations.haar(rng, 5), rng.normal(size=(5, 3))
    turned = (g @ v[..., None])[..., 0]
    np.testing.assert_allclose(
        rotations.exp(turned), g @ rotations.exp(v) @ np.swapaxes(g, -1, -2), atol=1e-12
    )


@settings(deadline=None)
@given(SEEDS)
def test_gram_schmidt_is_an_equivariant_rotation(seed):
    rng = np.random.default_rng(seed)
    u, v = rng.normal(size=(2, 3, 4, 3))
    r = rotations.gram_schmidt(u, v)
    _assert_rotations(r)
    np.testing.assert_allclose(r[..., 0], u / np.linalg.norm(u, axis=-1, keepdims=True))
    assert (np.sum(r[..., 1] * v, -1) > 0).all()
    g = rotations.haar(rng, 1)[0]
    np.testing.assert_allclose(rotations.gram_schmidt(u @ g.T, v @ g.T), g @ r, atol=1e-9)


def test_gram_schmidt_stays_orthogonal_near_parallel():
    u = _directions(np.random.default_rng(0), 100)
    _assert_rotations(rotations.gram_schmidt(1e-20 * u, 1e20 * (u + 1e-7 * np.roll(u, 1, 0))))


@pytest.mark.parametrize(
    ("u", "v"),
    [
        ([0, 0, 0], [1, 0, 0]),
        ([1, 0, 0], [0, 0, 0]),
        ([1, 2, 3], [-2, -4, -6]),
        ([np.nan, 0, 0], [1, 0, 0]),
        ([[1, 0, 0], [1, 0, 0]], [[0, 1, 0], [1, 0, 0]]),
    ],
)
def test_gram_schmidt_refuses_degenerate_vectors(u, v):
    with pytest.raises(ValueError, match="neither zero nor parallel"):
        rotations.gram_schmidt(u, v)


def test_haar_samples_are_seeded_rotations():
    r = rotations.haar(np.random.default_rng(0), 7)
    assert r.shape == (7, 3, 3)
    _assert_rotations(r)
    np.testing.assert_array_equal(r, rotations.haar(np.random.default_rng(0), 7))


def test_haar_is_uniform():
    """First and second moments, the trace, and the whole distribution of the angle."""
    r = rotations.haar(np.random.default_rng(1), 40_000)
    np.testing.assert_allclose(r.mean(0), np.zeros((3, 3)), atol=0.015)
    np.testing.assert_allclose((r**2).mean(0), np.full((3, 3), 1 / 3), atol=0.01)
    trace = np.trace(r, axis1=1, axis2=2)
    np.testing.assert_allclose([trace.mean(), (trace**2).mean()], [0, 1], atol=0.03)
    # The density of the angle a is (1 - cos a) / pi, so that (a - sin a) / pi is uniform.
    angle = np.linalg.norm(rotations.log(r), axis=-1)
    uniform = np.sort((angle - np.sin(angle)) / np.pi)
    assert np.abs(uniform - (np.arange(len(r)) + 0.5) / len(r)).max() < 0.01


@pytest.mark.parametrize("function", [rotations.hat, rotations.exp])
def test_vectors_have_three_numbers(function):
    with pytest.raises(ValueError, match=r"shape \(..., 3\)"):
        function(np.zeros((3, 2)))


@pytest.mark.parametrize("function", [rotations.vee, rotations.log])
def test_matrices_are_three_by_three(function):
    with pytest.raises(ValueError, match=r"shape \(..., 3, 3\)"):
        function(np.zeros(3))


def test_the_group_is_a_value():
    group = rotations.SO3()
    assert group == rotations.SO3() and hash(group) == hash(rotations.SO3())
    assert str(group) == group.name == "SO(3)"
    elements = group.sample(np.random.default_rng(8), 50)
    np.testing.assert_array_equal(elements, rotations.haar(np.random.default_rng(8), 50))
    _assert_rotations(elements)
