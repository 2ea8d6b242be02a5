import gymnasium
import numpy as np
import pytest

from sen_tf.envs.teapot import AXES, SMALL_ACTIONS, Teapot
from sen_tf.groups import rotations

ACTIONS = ("small", "large")
N = 20


@pytest.fixture(scope="module", params=ACTIONS)
def env(request):
    return Teapot(request.param, render_mode="rgb_array")


@pytest.fixture(scope="module")
def states(env):
    return env.sample_states(np.random.default_rng(0), N)


@pytest.fixture(scope="module")
def actions(env):
    return env.sample_actions(np.random.default_rng(1), N)


@pytest.fixture(scope="module", params=["one", "one each"])
def g(request):
    drawn = Teapot.group.sample(np.random.default_rng(2), N)
    return drawn[0] if request.param == "one" else drawn


def assert_close(found, expected):
    np.testing.assert_allclose(found, np.broadcast_to(expected, found.shape), atol=1e-12)


def angles(turns):
    return np.linalg.norm(rotations.log(turns), axis=-1)


def test_the_next_state_is_the_product(env, states, actions):
    assert_close(env.step_states(states, actions), actions @ states)


def test_transform_and_step_commute(env, states, actions, g):
    stepped = env.transform(env.step_states(states, actions), g)
    turned = env.step_states(env.transform(states, g), env.transform_action(actions, g))
    assert_close(turned, stepped)
    assert_close(env.transform(states, g), g @ states)


def test_transforms_are_an_action_of_the_group(env, states, actions, g):
    h = Teapot.group.sample(np.random.default_rng(3), 1)[0]
    for transform, values in ((env.transform, states), (env.transform_action, actions)):
        assert_close(transform(transform(values, h), g), transform(values, g @ h))
        assert_close(transform(values, np.eye(3)), values)
    steps = states.reshape(4, 5, 3, 3)  # leading axes are free
    assert_close(env.transform(steps, h).reshape(states.shape), env.transform(states, h))


def test_a_transformed_action_is_as_large(env, actions, g):
    np.testing.assert_allclose(angles(env.transform_action(actions, g)), angles(actions))


def test_small_actions():
    expected = [
        rotations.exp(sign * 2 * np.pi / 30 * np.eye(3)[axis])
        for axis in range(3)
        for sign in (1, -1)
    ]
    assert len(SMALL_ACTIONS) == 6
    for action in expected:
        assert abs(SMALL_ACTIONS - action).max(axis=(1, 2)).min() < 1e-12
    drawn = Teapot("small").sample_actions(np.random.default_rng(4), 6000)
    counts = [(abs(drawn - action).max(axis=(1, 2)) < 1e-12).sum() for action in expected]
    assert sum(counts) == 6000
    assert abs(np.array(counts) - 1000).max() < 5 * np.sqrt(1000)


@pytest.mark.parametrize("method", ["sample_states", "sample_actions"])
def test_large_actions_and_states_are_uniform(method):
    """Under the Haar measure the mean is 0, and angles t have the density (1 - cos t) / pi."""
    drawn = getattr(Teapot("large"), method)(np.random.default_rng(5), 4000)
    assert abs(drawn.mean(axis=0)).max() < 5 / np.sqrt(3 * 4000)
    t = np.sort(angles(drawn))
    assert abs((t - np.sin(t)) / np.pi - (np.arange(4000) + 0.5) / 4000).max() < 2 / np.sqrt(4000)


def test_same_generator_same_samples(env):
    for sample in (env.sample_states, env.sample_actions):
        first, second = (sample(np.random.default_rng(6), N) for _ in range(2))
        np.testing.assert_array_equal(first, second)
        assert first.shape == (N, 3, 3) and first.dtype == np.float64


@pytest.mark.parametrize("count", [6, 18])
def test_hard_negatives(env, states, count):
    near = env.hard_negatives(states, count)
    assert near.shape == (N, count, 3, 3)
    vectors = rotations.log(near @ np.swapaxes(states, -1, -2)[:, None])
    sizes = 2 * np.pi / np.repeat([30, 8, 3][: count // 6], 6)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=-1), [sizes] * N)
    np.testing.assert_allclose(abs(vectors).max(axis=-1), [sizes] * N)  # about an axis
    found = {tuple(row) for row in np.round(vectors[0], 6).tolist()}
    assert len(found) == count
    assert found == {tuple(-x for x in row) for row in found}  # both ways


@pytest.mark.parametrize("axis, vector", AXES.items())
def test_a_traversal_goes_once_around(env, states, axis, vector):
    views = env.traversal(states, axis)
    assert views.shape == (N, 30, 3, 3)
    assert_close(views[:, 0], states)
    step = rotations.exp(2 * np.pi / 30 * np.array(vector))
    for k in range(30):
        assert_close(env.step_states(views[:, k], [step] * N), views[:, (k + 1) % 30])
    assert (abs(SMALL_ACTIONS - step).max(axis=(1, 2)) < 1e-12).any()


def test_pictures_of_a_traversal_differ(env):
    images = env.render_states(env.traversal(np.eye(3), "yaw")).astype(int)
    apart = abs(images[:, None] - images).mean(axis=(2, 3, 4))
    assert apart[~np.eye(30, dtype=bool)].min() > 0.5
    assert np.argsort(apart[0])[1] in (1, 29)  # the next or the last view is the most similar


def test_the_right_hand_rule_in_the_axes_of_the_picture(env):
    """Roll turns x towards y: the spout, at the right, goes down; yaw brings it to the camera."""
    down, front = (env.traversal(np.eye(3), axis)[k] for axis, k in (("roll", 7), ("yaw", 7)))
    rows, _ = np.nonzero(env.render_states(down[None])[0, ..., 0])
    assert rows.max() >= 60
    spout = np.array([1, 0, 0])
    assert (down @ spout)[1] > 0.9 and (front @ spout)[2] < -0.9


def test_episode_agrees_with_the_batch_methods(env, states, actions):
    observation, info = env.reset(options={"state": states[0]})
    np.testing.assert_array_equal(observation, env.render_states(states[:1])[0])
    assert_close(info["state"], states[0])
    info["state"][:] = 0  # a copy: the episode goes on from its own state
    observation, reward, terminated, truncated, info = env.step(actions[0])
    assert_close(info["state"], env.step_states(states[:1], actions[:1])[0])
    np.testing.assert_array_equal(env.render(), np.repeat(observation, 3, axis=-1))
    assert (reward, terminated, truncated) == (0.0, False, False)


def test_rounded_actions_do_not_lead_astray(env, actions):
    env.reset(seed=0)
    for action in list(actions.astype(np.float32)) * 20:
        _, _, _, _, info = env.step(action)
    assert_close(info["state"] @ info["state"].T, np.eye(3))


def test_the_action_space_is_that_of_rotations(env, states):
    space = env.action_space
    assert all(state in space for state in states)
    assert states[0].astype(np.float32) in space
    for other in (2 * np.eye(3), -np.eye(3), np.eye(2), states, "rotation", 1):
        assert other not in space
    space.seed(7)
    drawn = np.stack([space.sample() for _ in range(10)])
    assert len(np.unique(np.round(drawn, 9), axis=0)) > 2
    assert all(action in space for action in drawn)


def test_no_picture_without_a_render_mode():
    env = Teapot()
    env.reset(seed=0)
    assert env.render() is None


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda env, s: env.step(np.zeros((3, 3))), "`action`.*1 of 1"),
        (lambda env, s: env.step(s), r"`action`.*shape \(3, 3\).*\(20, 3, 3\)"),
        (lambda env, s: env.step_states(s, s[:3]), r"`actions`.*\(20, 3, 3\).*\(3, 3, 3\)"),
        (lambda env, s: env.step_states(s[0], s[0]), r"`states`.*shape \(n, 3, 3\)"),
        (lambda env, s: env.render_states(2 * s), "`states`.*20 of 20"),
        (lambda env, s: env.transform(s, 1), "`g`"),
        (lambda env, s: env.transform(2 * s, np.eye(3)), "`states`"),
        (lambda env, s: env.transform_action(s, -np.eye(3)), "`g`"),
        (lambda env, s: env.transform_action(-s, np.eye(3)), "`actions`"),
        (lambda env, s: env.hard_negatives(s, 12), "`count`.*6 or 18.*12"),
        (lambda env, s: env.traversal(s, "x"), "`axis`.*pitch, yaw, roll.*'x'"),
        (lambda env, s: env.reset(options={"state": s}), r"options\['state'\].*\(3, 3\)"),
        (lambda env, s: env.action_space.sample(mask=1), "`mask`"),
        (lambda env, s: Teapot("medium"), "`rotations`.*'small' or 'large'.*'medium'"),
        (lambda env, s: Teapot(render_mode="human"), "`render_mode`.*'human'"),
    ],
)
def test_errors_say_what_was_expected(env, states, call, words):
    env.reset(seed=0)
    with pytest.raises(ValueError, match=words):
        call(env, states)


def test_goal_errors_are_angles_in_degrees():
    env, turn = Teapot(), rotations.exp(np.radians([[0.0, 25.0, 0.0]]))
    states = env.sample_states(np.random.default_rng(0), 3)
    np.testing.assert_allclose(env.goal_errors(states, turn @ states), 25.0)
    np.testing.assert_allclose(env.goal_errors(states, states), 0.0, atol=1e-5)
    assert len(env.choices) == 0 and len(Teapot("small").choices) == 6


def test_several_teapots_take_the_actions_that_their_space_draws():
    several = gymnasium.make_vec("sen_tf/Teapot-v0", num_envs=3, vectorization_mode="sync")
    several.reset(seed=0)
    several.action_space.seed(0)
    actions = several.action_space.sample()
    assert actions.shape == (3, 3, 3) and actions in several.action_space
    assert actions[0] not in several.action_space and 2 * actions not in several.action_space
    assert abs(actions[0] - actions[1]).max() > 0.1
    images, *_ = several.step(actions)
    assert images.shape == (3, 64, 64, 1)
    several.close()
