import pickle

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from sen_tf.envs import reacher, reacher_simulator
from sen_tf.groups import actions as group_actions

ELEMENTS = range(8)


@pytest.fixture(scope="module")
def env(make_reacher):
    return make_reacher(render_mode="rgb_array")


@pytest.fixture(scope="module")
def states(env):
    """States of 20 arms after a warm-up; some have bent up to the joint's limit."""
    rng = np.random.default_rng(0)
    states = env.sample_states(rng, 20)
    for actions in rng.uniform(-1, 1, (50, 20, 2)):
        states = env.step_states(states, actions)
    states[:4, :, 1] = [[3.05], [-3.05], [2.99], [-2.99]]
    return states


@pytest.fixture(scope="module")
def actions(states):
    return np.random.default_rng(1).uniform(-1, 1, (len(states), 2))


@pytest.fixture(scope="module")
def reacher_v5(env):
    """Gymnasium's own, which draws nothing here: see `reacher_simulator` for what would happen."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MUJOCO_GL", "disable")
        return gymnasium.make("Reacher-v5").unwrapped


@pytest.fixture(scope="module")
def small(make_reacher):
    return make_reacher(size=9, workers=1, render_mode="rgb_array")


@pytest.fixture(scope="module")
def overhead(make_reacher):
    return make_reacher(camera="above")


def test_steps_are_those_of_reacher_v5(env, reacher_v5, states, actions):
    reacher_v5.reset(seed=0)
    for state, action, after in zip(states, actions, env.step_states(states, actions), strict=True):
        reacher_v5.set_state(state[1, :4], state[1, 4:])
        reacher_v5.step(action)
        np.testing.assert_allclose(after[1], reacher_v5.state_vector(), atol=1e-12)
        np.testing.assert_array_equal(after[0], state[1])


def test_first_states_are_those_of_reacher_v5(env, reacher_v5):
    theirs = []
    for seed in range(300):
        reacher_v5.reset(seed=seed)
        theirs.append(reacher_v5.state_vector())
    ours = env.sample_states(np.random.default_rng(0), 300)
    np.testing.assert_array_equal(ours[:, 0], ours[:, 1])
    np.testing.assert_array_equal(ours[:, 1, 2:4], np.full((300, 2), 0.2))
    np.testing.assert_array_equal(ours[:, 1, 6:], 0)
    for axis in (0, 1, 4, 5):
        a, b = np.sort(ours[:, 1, axis]), np.sort(np.array(theirs)[:, axis])
        np.testing.assert_allclose(a, b, atol=0.15 * b.max())


def test_a_step_depends_on_nothing_but_state_and_action(env, states, actions):
    both = env.step_states(states, actions)
    one_by_one = [env.step_states(states[[i]], actions[[i]])[0] for i in range(20)[::-1]]
    np.testing.assert_array_equal(both, one_by_one[::-1])


@pytest.mark.parametrize("g", ELEMENTS)
def test_transform_and_step_commute(env, states, actions, g):
    expected, came = states, env.transform(states, g)
    for _ in range(5):
        expected = env.step_states(expected, actions)
        came = env.step_states(came, env.transform_action(actions, g))
        np.testing.assert_allclose(came, env.transform(expected, g), rtol=0, atol=1e-8)
    assert np.abs(expected - states)[..., :2].max() > 0.1


def test_the_second_joint_has_a_limit(env, states):
    still = states[:3].copy()
    still[:, :, :2], still[:, :, 4:] = [[[0, 3.05]], [[0, -3.05]], [[0, 2.5]]], 0
    velocity = env.step_states(still, np.zeros((3, 2)))[:, 1, 5]
    assert velocity[0] < -0.01 and velocity[1] > 0.01
    np.testing.assert_allclose(velocity[2], 0, atol=1e-12)


@pytest.mark.parametrize("g", ELEMENTS)
@pytest.mark.parametrize("h", ELEMENTS)
def test_transforms_are_an_action_of_the_group(env, states, actions, g, h):
    gh = env.group.product[g, h]
    difference = env.transform(env.transform(states, h), g) - env.transform(states, gh)
    difference[..., 0] = np.sin(difference[..., 0] / 2)  # the first angle, up to full turns
    np.testing.assert_allclose(difference, 0, atol=1e-12)
    twice = env.transform_action(env.transform_action(actions, h), g)
    np.testing.assert_array_equal(twice, env.transform_action(actions, gh))


@pytest.mark.parametrize("g", ELEMENTS)
def test_links_and_goal_move_as_vectors(env, states, g):
    def points(states):
        angles = np.cumsum(states[..., :2], axis=-1)
        links = np.stack([np.cos(angles), np.sin(angles)], axis=-1)
        return np.concatenate([links, states[..., None, 2:4]], axis=-2)

    matrix = group_actions.vector_matrix("D4", g)
    moved = points(env.transform(states, g))
    np.testing.assert_allclose(moved, points(states) @ matrix.T, atol=1e-12)


def test_what_the_paper_calls_rotation_and_reflection(env, states):
    q = states[:, 1]
    turned, mirrored = env.transform(q, 1), env.transform(q, 6)
    np.testing.assert_allclose(turned[:, :2], q[:, :2] + (np.pi / 2, 0))
    np.testing.assert_allclose(turned[:, 2:4], np.stack([-q[:, 3], q[:, 2]], axis=1))
    np.testing.assert_array_equal(turned[:, 4:6], q[:, 4:6])
    # r^2 f, the mirror at the x axis.
    signs = np.array([-1, -1, 1, -1, -1, -1])
    np.testing.assert_allclose(mirrored[:, :6] % (2 * np.pi), q[:, :6] * signs % (2 * np.pi))
    np.testing.assert_array_equal(env.transform_action(np.float32([0.5, -1]), 1), [0.5, -1])
    np.testing.assert_array_equal(env.transform_action(np.float32([0.5, -1]), 4), [-0.5, 1])
    assert env.transform_action(np.float32([0.5, -1]), 4).dtype == np.float32


def latest(env, states):
    return env.render_states(states)[..., 3:].astype(int)


@pytest.mark.parametrize("g", ELEMENTS[1:])
def test_from_above_a_twin_is_the_turned_picture(overhead, states, g):
    turned = group_actions.rotate_grid(latest(overhead, states), "D4", g, axes=(1, 2))
    twins = latest(overhead, overhead.transform(states, g))
    # OpenGL lights the floor along the diagonal at which it is cut into triangles.
    assert np.abs(turned - twins).max() <= (2 if g in (2, 5, 7) else 30)
    # Light has no colour here; the arm, its goal and the frame have.
    assert np.ptp(turned - twins, axis=-1).max() <= 8


@pytest.mark.parametrize("g", ELEMENTS[1:])
def test_from_aslant_a_twin_is_not_the_turned_picture(env, states, g):
    frames, twins = latest(env, states), latest(env, env.transform(states, g))
    turned = group_actions.rotate_grid(frames, "D4", g, axes=(1, 2))
    assert np.abs(turned - twins).mean() > 2
    assert np.abs(twins - frames).max() > 50


def test_pictures_do_not_depend_on_the_number_of_workers(make_reacher, small, states):
    two = make_reacher(size=9, workers=2)
    np.testing.assert_array_equal(small.render_states(states), two.render_states(states))
    assert len(two.render_states(states[:1, [0, 0]])) == 1  # one picture: one of them has none


def test_camera_looks_where_that_of_reacher_v5_does_at_rest(reacher_v5):
    reacher_v5.set_state(reacher_v5.init_qpos, reacher_v5.init_qvel)
    centre = np.median(reacher_v5.data.geom_xpos, axis=0)
    np.testing.assert_allclose(reacher_simulator.CAMERAS["tilted"]["lookat"], centre, atol=1e-12)


def test_earlier_picture_comes_first(env, states, actions):
    before, after = (env.render_states(s) for s in (states, env.step_states(states, actions)))
    np.testing.assert_array_equal(after[..., :3], before[..., 3:])
    assert (after[..., 3:] != before[..., 3:]).any(axis=(1, 2, 3)).all()


def test_small_pictures_are_those_of_a_fine_one_shrunk(make_reacher, states):
    """They are drawn on a quarter of the pixels; two of 255 apart on average would be seen."""
    side = reacher_simulator.SMALL
    fine, small = (
        make_reacher(size=size).render_states(states).astype(float) for size in (2 * side, side)
    )
    shrunk = fine.reshape(len(states), side, 2, side, 2, 6).mean(axis=(2, 4))
    assert 0 < np.abs(small - shrunk).mean() < 1  # .5


@pytest.mark.parametrize("source, size", [(400, 129), (12, 5), (6, 6), (7, 1), (10, 9)])
def test_area_average(source, size):
    picture = np.random.default_rng(0).integers(0, 256, (source, source, 1)).astype(np.uint8)
    came = reacher_simulator.AreaAverage(source, size)(picture)
    # Each row becomes `size` equal ones, of which `source` make a row of the result.
    rows = np.add.reduceat(np.repeat(picture, size, 0).astype(int), range(0, source * size, source))
    columns = np.repeat(rows, size, 1)
    expected = np.add.reduceat(columns, range(0, source * size, source), axis=1) / source**2
    np.testing.assert_allclose(came, expected, rtol=1e-5)


def test_gymnasium_interface(env):
    made = gymnasium.make("sen_tf/Reacher-v0", size=9, workers=1)
    check_env(made.unwrapped, skip_render_check=True)
    observation, info = made.reset(seed=4)
    assert observation.shape == (9, 9, 6) and observation.dtype == np.uint8
    assert (np.abs(info["state"][:, :2]) > 0.1).any()  # it has been warmed up
    np.testing.assert_array_equal(env.reset(seed=4)[1]["state"], info["state"])


def test_episode_agrees_with_the_batch_methods(env, states, actions):
    observation, info = env.reset(options={"state": states[5]})
    np.testing.assert_array_equal(observation, env.render_states(states[5:6])[0])
    info["state"][:] = 0  # a copy: the episode goes on from its own state
    observation, reward, terminated, truncated, info = env.step(actions[5])
    np.testing.assert_array_equal(info["state"], env.step_states(states[5:6], actions[5:6])[0])
    np.testing.assert_array_equal(env.render(), observation[..., 3:])
    assert (reward, terminated, truncated) == (0.0, False, False)


def test_pickle_makes_an_environment_of_its_own(small, states):
    copy = pickle.loads(pickle.dumps(small))
    np.testing.assert_array_equal(copy.render_states(states[:2]), small.render_states(states[:2]))
    copy.close()
    with pytest.raises(OSError, match="closed"):
        copy.render_states(states)
    assert small.render_states(states[:2]).any()


@pytest.mark.parametrize("wanted, tried", [("", "egl: .*; osmesa: "), ("osmesa", "osmesa: ")])
def test_without_a_library_to_draw_with(env, monkeypatch, wanted, tried):
    monkeypatch.setenv("MUJOCO_GL", wanted)
    monkeypatch.setenv("PYOPENGL_PLATFORM", "nothing")
    reacher_simulator._working_backend.cache_clear()
    expected = rf"^.*`apt install libosmesa6`.*libegl1.*\({tried}.*\)\.$"
    with pytest.raises(gymnasium.error.DependencyNotInstalled, match=expected):
        reacher.Reacher().reset()


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda env, s: env.step(np.array([0, 1.5])), "from -1 to 1"),
        (lambda env, s: env.step(np.array([0, 1])), "floating-point"),
        (lambda env, s: env.step_states(s, np.zeros((3, 2))), r"shape \(20, 2\).*\(3, 2\)"),
        (lambda env, s: env.step_states(s[0], np.zeros((2, 2))), r"shape \(n, 2, 8\)"),
        (lambda env, s: env.render_states(s[..., :4]), r"received shape \(20, 2, 4\)"),
        (lambda env, s: env.transform(s, 8), "`g`"),
        (lambda env, s: env.transform_action(np.zeros(3), 0), "`actions`"),
        (lambda env, s: reacher.Reacher(size=401), "`size`.*401"),
        (lambda env, s: reacher.Reacher(size=12.0), r"`size`.*12\.0"),
        (lambda env, s: reacher.Reacher(warm_up="none"), "`warm_up`.*'policy' or 'all'.*'none'"),
        (lambda env, s: reacher.Reacher(workers=0), "`workers`.*workers=0"),
        (lambda env, s: reacher.Reacher(camera="up"), "`camera`.*'tilted' or 'above'.*'up'"),
        (lambda env, s: reacher.Reacher(render_mode="human"), "`render_mode`.*'human'"),
    ],
)
def test_errors_say_what_was_expected(env, states, call, words):
    env.reset(options={"state": states[0]})
    with pytest.raises(ValueError, match=words):
        call(env, states)


def test_goal_errors_are_those_of_the_worse_joint_in_degrees():
    env = reacher.Reacher()
    states = np.zeros((2, 2, 8))
    goals = states.copy()
    goals[:, 1, :2] = np.radians([[10.0, -30.0], [350.0, 5.0]])
    np.testing.assert_allclose(env.goal_errors(states, goals), [30.0, 10.0])


def test_what_never_drew_has_nothing_to_end():
    env = reacher.Reacher()
    env.close()
    assert "_simulators" not in vars(env)
