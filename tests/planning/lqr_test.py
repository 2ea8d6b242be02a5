import numpy as np
import pytest

from sen_tf.envs.point_mass import PointMass
from sen_tf.groups import representations
from sen_tf.planning import lqr

RNG = np.random.default_rng


def swirl(states, actions):
    """Dynamics of a place and a velocity in the plane that turns of any angle keep, not linear."""
    places, velocities = states[:, :2], states[:, 2:]
    drag = 1 - 0.1 * np.square(velocities).sum(axis=1, keepdims=True)
    velocities = drag * velocities - 0.3 * places * np.square(places).sum(axis=1, keepdims=True)
    velocities = velocities + actions * np.exp(-np.square(places).sum(axis=1, keepdims=True))
    return np.concatenate([places + 0.1 * velocities, velocities], axis=1)


@pytest.mark.parametrize("group", ["C4", "D8"])
def test_slopes_and_feedback_turn_with_the_point(group):
    on_states = representations.get("2 standard", group).matrices
    on_actions = representations.get("standard", group).matrices
    state, action = RNG(0).normal(size=4), RNG(1).normal(size=2)
    a, b = lqr.linearise(swirl, state, action)
    cost, feedback = lqr.riccati(0.9 * a, b, np.eye(4), np.eye(2))
    for g, h in zip(on_states, on_actions, strict=True):
        turned_a, turned_b = lqr.linearise(swirl, g @ state, h @ action)
        turned_cost, turned_feedback = lqr.riccati(0.9 * turned_a, turned_b, np.eye(4), np.eye(2))
        for found, expected in (
            (turned_a, g @ a @ g.T),
            (turned_b, g @ b @ h.T),
            (turned_cost, g @ cost @ g.T),
            (turned_feedback, h @ feedback @ g.T),
        ):
            np.testing.assert_allclose(found, expected, atol=1e-6)


def test_slopes_of_linear_dynamics_are_their_matrices():
    env = PointMass(3)

    def step(states, actions):
        return env.step_states(states.reshape(-1, 2, 3), actions).reshape(-1, 6)

    a, b = lqr.linearise(step, np.zeros(6), np.zeros(3))
    one = np.eye(3)
    np.testing.assert_allclose(a, np.block([[one, 0.095 * one], [0 * one, 0.95 * one]]), atol=1e-9)
    np.testing.assert_allclose(b, np.concatenate([0.04 * one, 0.4 * one]), atol=1e-9)


def test_feedback_is_that_of_scipy_and_none_is_better():
    a, b = np.array([[1.1, 0.1], [0.0, 0.9]]), np.array([[0.0], [1.0]])
    q, r = np.diag([1.0, 0.1]), np.eye(1)
    cost, feedback = lqr.riccati(a, b, q, r)
    from scipy.linalg import solve_discrete_are

    np.testing.assert_allclose(cost, solve_discrete_are(a, b, q, r), rtol=1e-9)
    start = np.array([1.0, -0.5])

    def spent(feedback):
        x, total = start, 0.0
        for _ in range(500):
            u = -feedback @ x
            total, x = total + x @ q @ x + u @ r @ u, a @ x + b @ u
        return total

    assert spent(feedback) == pytest.approx(start @ cost @ start, rel=1e-9)
    assert all(spent(feedback + d) > spent(feedback) for d in ([[0.1, 0]], [[0, -0.1]]))


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0.1, [0.91707456, 1.63559619]), (1e-3, [0.99913435, 1.73105117])],  # those of scipy
)
def test_a_double_integrator_is_held_however_often_it_is_looked_at(seconds, expected):
    a, b = np.array([[1, seconds], [0, 1]]), np.array([[seconds**2 / 2], [seconds]])
    cost, feedback = lqr.riccati(a, b, np.eye(2), np.eye(1))
    np.testing.assert_allclose(feedback, [expected], rtol=1e-8)
    assert np.abs(np.linalg.eigvals(a - b @ feedback)).max() < 1


def test_what_decays_slowly_by_itself_has_its_cost():
    kept = 0.999999
    cost, feedback = lqr.riccati([[kept]], [[0.0]], np.eye(1), np.eye(1))
    np.testing.assert_allclose(cost, [[1 / (1 - kept**2)]], rtol=1e-9)
    np.testing.assert_array_equal(feedback, [[0.0]])


@pytest.mark.parametrize("place", [0.0, 1.0, 100.0])
@pytest.mark.parametrize(("dtype", "error"), [("float32", 1e-2), ("float64", 1e-8)])
def test_slopes_are_right_in_the_precision_of_the_step(dtype, error, place):
    a, b = np.array([[1, 0.1], [0, 1]], dtype), np.array([[0], [0.1]], dtype)

    def step(states, actions):
        return states.astype(dtype) @ a.T + actions.astype(dtype) @ b.T

    found = lqr.linearise(step, np.array([place, place]), np.zeros(1))
    np.testing.assert_allclose(found[0], a, atol=error * 1e-2)
    np.testing.assert_allclose(found[1], b, atol=error)
    assert found[0][1, 1] == 1  # to the last bit, by the difference that was really made


def test_a_step_in_float32_that_is_not_linear_has_its_slopes():
    def step(states, actions):
        return (np.sin(states) + np.square(actions)).astype("float32")

    a, b = lqr.linearise(step, np.array([0.5]), np.array([3.0]))
    np.testing.assert_allclose([a[0, 0], b[0, 0]], [np.cos(0.5), 6.0], rtol=1e-4)


@pytest.mark.parametrize("grows", [1.5, 1.0])
def test_what_cannot_be_held_is_refused(grows):
    with pytest.raises(ValueError, match="the cost to go has no limit"):
        lqr.riccati(np.array([[grows]]), np.zeros((1, 1)), np.eye(1), np.eye(1))


@pytest.mark.parametrize(
    ("message", "change"),
    [
        ("`a` to be a matrix that fits `b`", {"a": np.eye(3)}),
        ("`a` to be finite", {"a": np.full((2, 2), np.nan)}),
        ("`state_cost` to be a matrix", {"state_cost": np.ones(2)}),
        ("`state_cost` to be symmetric", {"state_cost": np.triu(np.ones((2, 2)))}),
        ("`action_cost` to be positive definite", {"action_cost": np.zeros((1, 1))}),
    ],
)
def test_matrices_that_are_no_problem_are_refused(message, change):
    right = {
        "a": np.eye(2),
        "b": np.ones((2, 1)),
        "state_cost": np.eye(2),
        "action_cost": np.eye(1),
    }
    with pytest.raises(ValueError, match=f"Expected {message}"):
        lqr.riccati(**(right | change))
