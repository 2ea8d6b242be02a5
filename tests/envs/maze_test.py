import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from sen_tf.envs.maze import LAYOUTS, LONGEST, Maze

RNG = np.random.default_rng


@pytest.fixture(params=LAYOUTS)
def env(request):
    return Maze(request.param, render_mode="rgb_array")


def test_gymnasium_accepts_it():
    made = gymnasium.make("sen_tf/Maze-v0", layout="pinwheel")
    check_env(made.unwrapped, skip_render_check=True)
    assert made.spec.max_episode_steps == LONGEST


def test_turning_place_and_step_turns_what_happens(env):
    places = env.sample_states(RNG(0), 500)
    steps = RNG(1).uniform(-1.5, 1.5, (500, 2))
    for g in env.group.elements:
        after = env.step_states(env.transform(places, g), env.transform_action(steps, g))
        kept = np.abs(steps).max(axis=1) < 1  # a longer step is cut along axes
        expected = env.transform(env.step_states(places, steps), g)
        np.testing.assert_allclose(after[kept], expected[kept], atol=1e-12)
        assert env.is_free(env.transform(places, g)).all()


def test_no_step_enters_a_wall_and_free_ones_are_taken(env):
    places = env.sample_states(RNG(0), 500)
    for _ in range(20):
        steps = RNG(1).uniform(-1, 1, (500, 2))
        after = env.step_states(places, steps)
        assert env.is_free(after).all()
        moved = env.is_free(places + 0.05 * steps)
        np.testing.assert_allclose(after[moved], (places + 0.05 * steps)[moved])
        np.testing.assert_array_equal(after[~moved], places[~moved])
        places = after


def test_demonstrations_walk_from_their_start_to_the_goal(env):
    places, actions, after = env.demonstrations(RNG(0), 5)
    np.testing.assert_array_equal(env.step_states(places, actions), after)
    begins = np.r_[True, np.abs(places[1:] - after[:-1]).max(axis=1) > 0]
    assert begins.sum() == 5 and env.has_arrived(after).sum() == 5
    assert np.abs(places[begins] - env.layout.start).max() <= 0.05
    assert 20 < len(places) / 5 < 100


def test_an_episode_ends_at_the_goal_with_a_reward(env):
    start = env.goal + [0.0, -0.12]
    env.reset(options={"state": start})
    observation, reward, ends, cut, info = env.step([0.0, 1.0])
    np.testing.assert_allclose(observation, start + [0, 0.05])
    assert (reward, ends, cut) == (1.0, True, False) and info["state"] is not observation
    image = env.render()
    assert image.shape == (96, 96, 3) and image.dtype == np.uint8
    assert {tuple(c) for c in image.reshape(-1, 3)} == {
        (255, 255, 255),
        (90, 90, 90),
        (120, 200, 120),
        (200, 40, 40),
    }


def test_what_cannot_be_is_refused(env):
    with pytest.raises(ValueError, match="`layout` to be one of u, pinwheel; received layout='x'"):
        Maze("x")
    x0, x1, y0, y1 = env.layout.walls[0]
    for state in (((x0 + x1) / 2, (y0 + y1) / 2), (9.0, 9.0), (0.0, 0.0, 0.0)):
        with pytest.raises(ValueError, match="free place"):
            env.reset(options={"state": state})
    env.reset(seed=0)
    for action in ([1.0], [np.nan, 0.0]):
        with pytest.raises(ValueError, match=r"action to be finite numbers of shape \(2,\)"):
            env.step(action)
