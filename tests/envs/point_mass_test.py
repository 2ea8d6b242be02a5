import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from sen_tf.envs.point_mass import BORDER, LONGEST, PointMass
from sen_tf.groups import representations

RNG = np.random.default_rng


@pytest.fixture(params=[(2, 1), (2, 3), (3, 1), (3, 2)], ids=str)
def env(request):
    return PointMass(*request.param, render_mode="rgb_array")


def states_of(env, n=200):
    """States that move."""
    states = env.sample_states(RNG(0), n)
    states[:, env.masses :] = RNG(1).normal(0, 1, states[:, env.masses :].shape)
    return states


def test_gymnasium_accepts_it(env):
    made = gymnasium.make("sen_tf/PointMass-v0", dimensions=env.dimensions, masses=env.masses)
    check_env(made.unwrapped, skip_render_check=True)
    assert made.spec.max_episode_steps == LONGEST


def test_turning_state_and_forces_turns_what_happens(env):
    states = states_of(env)
    forces = RNG(2).normal(0, 1, (len(states), *env.action_space.shape))
    after = env.step_states(states, forces)
    on_states = representations.get(env.representation, env.group).matrices
    on_forces = representations.get(env.action_representation, env.group).matrices
    for g in env.group.elements:
        turned = env.transform(states, g)
        flat = states.reshape(len(states), -1) @ on_states[g].T
        np.testing.assert_allclose(turned.reshape(flat.shape), flat, atol=1e-12)
        pushed = env.transform_action(forces, g)
        np.testing.assert_allclose(pushed, forces @ on_forces[g].T, atol=1e-12)
        found = env.step_states(turned, pushed)
        np.testing.assert_allclose(found, env.transform(after, g), atol=1e-12)
        np.testing.assert_allclose(env.rewards(turned), env.rewards(states), atol=1e-12)


def test_forces_push_and_the_border_stops():
    env = PointMass()
    place, velocity = np.array([0.1, 0.0]), np.array([0.2, -0.1])
    found = env.step_states(np.array([[place, velocity]]), np.array([[0.5, 0.0]]))[0]
    expected = 0.95 * velocity + [0.2, 0.0]
    np.testing.assert_allclose(found, [place + 0.1 * expected, expected])
    harder = env.step_states(np.array([[place, velocity]]), np.array([[3.0, 4.0]]))[0]
    np.testing.assert_allclose(harder[1], 0.95 * velocity + [0.24, 0.32])
    stopped = env.step_states(np.array([[[0.29, 0.0], [4.0, 0.0]]]), np.zeros((1, 2)))[0]
    np.testing.assert_allclose(stopped, [[BORDER, 0.0], [0.0, 0.0]])


def test_rewards_are_1_at_the_centre_and_a_tenth_a_margin_away():
    env = PointMass(masses=2)
    places = np.array([[[0.0, 0.0], [0.0, 0.115]]])
    states = np.concatenate([places, np.zeros_like(places)], axis=1)
    np.testing.assert_allclose(env.rewards(states), (1 + 0.1) / 2)


def test_an_episode_goes_on_and_is_drawn(env):
    env.reset(seed=1)
    for _ in range(3):
        observation, reward, ends, _, _ = env.step(np.ones(env.action_space.shape))
        assert env.observation_space.contains(observation) and 0 <= reward <= 1 and not ends
    assert ((env.render() == (200, 40, 40)).all(axis=-1)).any()


def test_states_are_uniform_within_the_border():
    for dimensions in (2, 3):
        states = PointMass(dimensions).sample_states(RNG(0), 20_000)
        inner = (np.linalg.norm(states[:, 0], axis=-1) < BORDER / 2).mean()
        assert abs(inner - 0.5**dimensions) < 0.01 and not states[:, 1].any()


def test_what_cannot_be_is_refused():
    for arguments in ({"dimensions": 4}, {"masses": 0}):
        with pytest.raises(ValueError, match="`dimensions` to be 2 or 3 and `masses`"):
            PointMass(**arguments)
    env = PointMass()
    with pytest.raises(ValueError, match=r"state.* to be finite numbers of shape \(2, 2\)"):
        env.reset(options={"state": [0.0, 0.0]})
    with pytest.raises(ValueError, match=r"masses within 0.3 of the centre; received \[\[5.0, 5.0"):
        env.reset(options={"state": [[5.0, 5.0], [0.0, 0.0]]})
    env.reset(seed=0)
    with pytest.raises(ValueError, match=r"action to be finite numbers of shape \(2,\)"):
        env.step([1.0, 2.0, 3.0])
