import pathlib
import subprocess
import sys

import numpy as np
import pytest

from sen_tf import envs
from sen_tf.envs import block_pushing, rendering


@pytest.fixture(scope="module")
def env():
    return envs.make("shapes", render_mode="rgb_array")


@pytest.fixture(scope="module")
def states(env):
    return env.sample_states(np.random.default_rng(0), 500)


def test_steps_equal_the_published_ones(env, vectors):
    vectors = vectors("vi_dynamics")
    np.testing.assert_array_equal(block_pushing.DIRECTIONS, vectors["directions"])
    after = env.step_states(vectors["before"], vectors["action"])
    np.testing.assert_array_equal(after, vectors["after"])
    moved = (after != vectors["before"]).any(axis=(1, 2))
    np.testing.assert_array_equal(moved, vectors["moved"])


def test_blocked_moves_do_nothing(env):
    state = np.array([[0, 0], [0, 1], [4, 4], [2, 2], [2, 3]])
    for action, why in ((0, "wall"), (3, "wall"), (1, "object"), (2 * 4 + 1, "wall"), (17, None)):
        after = env.step_states(state[None], np.array([action]))[0]
        assert (after == state).all() == (why is not None), action
    np.testing.assert_array_equal(env.step_states(state[None], [17])[0, 4], [2, 4])


def test_states_are_not_changed_in_place(env, states):
    before = states.copy()
    env.step_states(states, np.arange(500) % 20)
    env.transform(states, 1)
    np.testing.assert_array_equal(states, before)


def test_transforms_equal_the_published_ones(env, vectors):
    vectors = vectors("vi_cubes_render")
    np.testing.assert_array_equal(env.transform(vectors["positions"], 1), vectors["rot_positions"])
    for k, turned in zip(vectors["rot90_k"], vectors["rot90_actions"], strict=True):
        np.testing.assert_array_equal(env.transform_action(vectors["actions"], k % 4), turned)


@pytest.mark.parametrize("g", range(4))
def test_transform_and_step_commute(env, states, g):
    actions = np.random.default_rng(1).integers(0, 20, len(states))
    stepped = env.transform(env.step_states(states, actions), g)
    turned = env.step_states(env.transform(states, g), env.transform_action(actions, g))
    np.testing.assert_array_equal(stepped, turned)


@pytest.mark.parametrize("g", range(4))
@pytest.mark.parametrize("h", range(4))
def test_transforms_are_an_action_of_the_group(env, states, g, h):
    gh = env.group.product[g, h]
    twice = env.transform(env.transform(states.reshape(5, 100, 5, 2), h), g)
    np.testing.assert_array_equal(twice.reshape(states.shape), env.transform(states, gh))
    actions = np.arange(20).reshape(4, 5)
    twice = env.transform_action(env.transform_action(actions, h), g)
    np.testing.assert_array_equal(twice, env.transform_action(actions, gh))
    assert env.transform_action(7, g) == env.transform_action(np.array([7]), g)[0]


def test_sampled_states_are_uniform_and_without_collisions(env):
    cells = rendering.cell_indices(env.sample_states(np.random.default_rng(2), 20_000))
    assert (np.diff(np.sort(cells, axis=1), axis=1) > 0).all()
    for i in range(5):
        counts = np.bincount(cells[:, i], minlength=25)
        assert abs(counts - 800).max() < 5 * np.sqrt(800)


def test_action_names(env):
    up = env.step_states(
        np.array([[[2, 0], [2, 1], [2, 2], [2, 3], [2, 4]]] * 5), env.action_names["up"]
    )
    np.testing.assert_array_equal(up[range(5), range(5), 0], 1)
    assert sorted(np.concatenate(list(env.action_names.values()))) == list(range(20))


def test_episode_agrees_with_the_batch_methods(env, states):
    observation, info = env.reset(options={"state": states[0]})
    np.testing.assert_array_equal(observation, env.render_states(states[:1])[0])
    np.testing.assert_array_equal(info["state"], states[0])
    info["state"][:] = 0  # a copy: the episode goes on from its own state
    observation, reward, terminated, truncated, info = env.step(6)
    np.testing.assert_array_equal(info["state"], env.step_states(states[:1], [6])[0])
    np.testing.assert_array_equal(env.render(), observation)
    assert (reward, terminated, truncated) == (0.0, False, False)


def test_no_picture_without_a_render_mode():
    env = envs.make("shapes")
    env.reset(seed=0)
    assert env.render() is None


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda env, s: env.step(20), "from 0 to 19"),
        (lambda env, s: env.step(1.0), "from 0 to 19"),
        (lambda env, s: env.step_states(s, np.zeros(3, int)), r"shape \(500,\).*\(3,\)"),
        (lambda env, s: env.step_states(s[0], [0]), r"shape \(n, 5, 2\)"),
        (lambda env, s: env.render_states(s.astype(float)), "float64"),
        (lambda env, s: env.render_states(s + 1), "from 0 to 4; received values from 1 to 5"),
        (lambda env, s: env.transform(s, 4), "`g`"),
        (lambda env, s: env.transform_action(-1, 0), "`actions`"),
        (lambda env, s: env.reset(options={"state": np.zeros((5, 2), int)}), "no two objects"),
        (lambda env, s: envs.make("shapes", render_mode="human"), "`render_mode`.*'human'"),
        (lambda env, s: envs.make("shapes", sprites="papers"), "`sprites`.*'papers'"),
        (lambda env, s: envs.make("cube"), "one of .*; received name='cube'. Did you mean 'cubes'"),
    ],
)
def test_errors_say_what_was_expected(env, states, call, words):
    env.reset(seed=0)
    with pytest.raises(ValueError, match=words):
        call(env, states)


# Runs without the parent package, whose own imports (Keras) may bring what is looked for.
IMPORT_THE_ROOM_ALONE = """
import sys, types
parent = sys.modules["sen_tf"] = types.ModuleType("sen_tf")
parent.__path__ = [sys.argv[1]]
import sen_tf.envs
assert not {"matplotlib", "PIL"} & set(sys.modules)
"""


def test_importing_the_room_imports_nothing_that_draws():
    package = str(pathlib.Path(envs.__file__).parents[1])
    subprocess.run([sys.executable, "-c", IMPORT_THE_ROOM_ALONE, package], check=True)


@pytest.mark.parametrize("name", ["shapes", "cubes", "rush_hour"])
def test_the_moves_that_a_goal_needs_are_those_that_lead_there(name):
    env, rng = envs.make(name), np.random.default_rng(0)
    states, actions = env.sample_states(rng, 400), rng.integers(0, 20, 400)
    after = env.step_states(states, actions)
    moved = (states != after).any(axis=(1, 2))
    needed = env.needed_moves(states, after)
    np.testing.assert_array_equal(needed[moved], np.eye(20, dtype=int)[actions[moved]])
    assert moved.any() and not needed[~moved].any()
    np.testing.assert_array_equal(env.goal_errors(states, after), moved)
    np.testing.assert_array_equal(env.needed_moves(after, states).sum(axis=1), moved)
