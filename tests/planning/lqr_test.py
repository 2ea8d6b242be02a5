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


def test_what_cannot_be_held_is_refused():
    with pytest.raises(ValueError, match="the cost to go has no limit"):
        lqr.riccati(np.array([[1.5]]), np.zeros((1, 1)), np.eye(1), np.eye(1))
