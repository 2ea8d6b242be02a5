"""Every environment as Gymnasium sees it: one episode."""

import copy
import pickle
import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from sen_tf import envs
from sen_tf.envs import ENVS
from sen_tf.envs.maze import Maze
from sen_tf.envs.point_mass import PointMass


@pytest.fixture(params=ENVS, scope="module")
def spec(request, make_reacher):
    if request.param == "reacher":
        make_reacher(size=9, workers=1)  # or skips
    return ENVS[request.param]


def test_gymnasium_takes_the_environment(spec):
    assert all(hasattr(spec, fact) for fact in envs.FACTS)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = gymnasium.make(envs.gym_id(spec.name), render_mode="rgb_array")
        check_env(made.unwrapped)
        pickle.loads(pickle.dumps(made.spec))
    assert isinstance(made.unwrapped, spec)


def test_same_seed_same_episode(spec):
    def episode(seed):
        env = envs.make(spec.name)
        env.action_space.seed(seed)
        frames = [env.reset(seed=seed)[0]]
        for _ in range(10):
            frames.append(env.step(env.action_space.sample())[0])
        return np.stack([*frames, env.reset()[0]])

    np.testing.assert_array_equal(episode(3), episode(3))
    assert (episode(3) != episode(4)).any()


def test_reset_comes_first(spec):
    env = envs.make(spec.name, render_mode="rgb_array")
    for call in (lambda: env.step(env.action_space.sample()), env.render):
        with pytest.raises(gymnasium.error.ResetNeeded):
            call()


@pytest.mark.parametrize("copy_of", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))])
def test_a_copy_goes_on_with_the_same_episode_and_generator(spec, copy_of):
    env = envs.make(spec.name)
    env.action_space.seed(0)
    actions = [env.action_space.sample() for _ in range(4)]
    env.reset(seed=3)
    env.step(actions[0])
    twin = copy_of(env)
    for action in actions[1:]:
        ours, theirs = (each.step(action) for each in (env, twin))
        np.testing.assert_array_equal(theirs[0], ours[0])
        np.testing.assert_array_equal(theirs[-1]["state"], ours[-1]["state"])
    np.testing.assert_array_equal(twin.reset()[0], env.reset()[0])
    np.testing.assert_array_equal(twin.action_space.sample(), env.action_space.sample())


def test_a_fact_that_is_not_stated_is_an_error_and_so_is_a_name_that_is_taken():
    stated = {fact: None for fact in envs.FACTS if fact != "version"} | {"arguments": {}}
    with pytest.raises(ValueError, match="to state 'version': raised whenever"):
        envs.register(type("Dots", (), stated | {"name": "dots"}))
    with pytest.raises(ValueError, match="new name; received 'cubes'"):
        envs.register(type("Dots", (), stated | {"version": 1, "name": "cubes"}))
    twice = stated | {"version": 1, "name": "dots", "arguments": {"sprites": ("what", ("a",))}}
    with pytest.raises(ValueError, match="new names of arguments.*'sprites', which 'shapes' has"):
        envs.register(type("Dots", (), twice))
    assert "dots" not in ENVS and envs.register(ENVS["cubes"]) is ENVS["cubes"]


@pytest.mark.parametrize("env, state", [(PointMass(), np.zeros((2, 2))), (Maze(), None)])
def test_a_state_that_was_given_is_copied(env, state):
    state = np.array(env.layout.start, float) if state is None else state
    env.reset(options={"state": state})
    kept = state.copy()
    state += 9
    seen, *_ = env.step(np.zeros(2))
    np.testing.assert_allclose(seen, kept, atol=1e-6)
