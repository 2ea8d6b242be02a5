import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sen_tf import envs
from sen_tf.envs import rendering
from sen_tf.envs.block_pushing import DIRECTION_NAMES, DIRECTIONS, Shapes

ENV = envs.make("rush_hour")
ACTIONS = np.arange(20)


@st.composite
def layouts(draw):
    """A state (5, 3): any layout of objects and any headings."""
    cells = draw(st.lists(st.integers(0, 24), min_size=5, max_size=5, unique=True))
    headings = draw(st.lists(st.integers(0, 3), min_size=5, max_size=5))
    return np.stack([*np.divmod(cells, 5), headings], axis=-1)


@pytest.fixture(scope="module")
def states():
    return ENV.sample_states(np.random.default_rng(0), 500)


@given(layouts())
def test_turning_and_stepping_commute(layout):
    """For every element of the group and every action."""
    states = np.repeat(layout[None], 20, axis=0)
    for g in ENV.group.elements:
        stepped = ENV.transform(ENV.step_states(states, ACTIONS), g)
        turned = ENV.step_states(ENV.transform(states, g), ENV.transform_action(ACTIONS, g))
        np.testing.assert_array_equal(stepped, turned)


@given(layouts())
def test_turned_frames_are_frames_of_turned_states(layout):
    (frame,) = ENV.render_states(layout[None])
    for g in ENV.group.elements:
        (turned,) = ENV.render_states(ENV.transform(layout[None], g))
        np.testing.assert_array_equal(turned, np.rot90(frame, g))


@given(layouts())
def test_moves_are_those_of_blocks_in_the_direction_headed_for(layout):
    states = np.repeat(layout[None], 20, axis=0)
    moved, move = np.divmod(ACTIONS, 4)
    directions = 4 * moved + (layout[moved, 2] + move) % 4
    after = ENV.step_states(states, ACTIONS)
    np.testing.assert_array_equal(after[..., :2], Shapes().step_states(states[..., :2], directions))
    np.testing.assert_array_equal(after[..., 2], states[..., 2])


@pytest.mark.parametrize("g", range(4))
@pytest.mark.parametrize("h", range(4))
def test_transforms_are_an_action_of_the_group(states, g, h):
    gh = ENV.group.product[g, h]
    twice = ENV.transform(ENV.transform(states.reshape(5, 100, 5, 3), h), g)
    np.testing.assert_array_equal(twice.reshape(states.shape), ENV.transform(states, gh))


def test_a_quarter_turn_of_one_object():
    """Counter-clockwise: the top right corner goes to the top left, up to left."""
    state = np.array([[0, 4, 0], [4, 4, 1], [4, 0, 2], [0, 0, 3], [2, 2, 0]])
    expected = np.array([[0, 0, 3], [0, 4, 0], [4, 4, 1], [4, 0, 2], [2, 2, 3]])
    np.testing.assert_array_equal(ENV.transform(state, 1), expected)


def test_named_moves():
    state = np.array([[[2, 2, 1], [0, 0, 0], [0, 4, 0], [4, 0, 0], [4, 4, 0]]])
    for name, heading in zip(("forward", "right", "backward", "left"), (1, 2, 3, 0), strict=True):
        after = ENV.step_states(state, ENV.action_names[name][:1])
        np.testing.assert_array_equal(after[0, 0, :2], [2, 2] + DIRECTIONS[heading])
    assert sorted(np.concatenate(list(ENV.action_names.values()))) == list(range(20))


def test_sprites_are_quarter_turns_of_the_upward_triangle():
    def sprite(heading):
        state = np.array([[[1, 2, heading], [4, 0, 0], [4, 1, 0], [4, 2, 0], [4, 3, 0]]])
        return ENV.render_states(state)[0, 10:20, 20:30]

    upward = sprite(0)
    np.testing.assert_array_equal(upward, np.fliplr(upward))
    widths = (upward == rendering.SHAPE_COLOURS[0]).all(axis=-1).sum(axis=1)
    np.testing.assert_array_equal(widths, [2, 2, 4, 4, 6, 6, 8, 8, 10, 10])
    assert set(np.unique(upward)) == {0, *rendering.SHAPE_COLOURS[0]}
    for heading in range(4):
        np.testing.assert_array_equal(sprite(heading), np.rot90(upward, -heading))


def test_frames_show_the_whole_state(states):
    frames = ENV.render_states(states).reshape(500, 5, 10, 5, 10, 3)
    apexes = {0: (0, 4), 1: (4, 9), 2: (9, 4), 3: (4, 0)}
    for frame, state in zip(frames[:50], states, strict=False):
        assert (frame.any(axis=(1, 3, 4))).sum() == 5
        for (row, column, heading), colour in zip(state, rendering.SHAPE_COLOURS, strict=True):
            apex = apexes[heading]
            np.testing.assert_array_equal(frame[row, apex[0], column, apex[1]], colour)
            behind = [9 - place if place in (0, 9) else 0 for place in apex]
            np.testing.assert_array_equal(frame[row, behind[0], column, behind[1]], colour)


def test_a_frame_does_not_depend_on_its_batch(states):
    images = ENV.render_states(states)
    assert images.shape == (500, 50, 50, 3) and images.dtype == np.uint8
    np.testing.assert_array_equal(images[7], ENV.render_states(states[7:8].astype(np.int8))[0])
    assert ENV.render_states(states[:0]).shape == (0, 50, 50, 3)


def test_sampled_headings_are_uniform():
    headings = ENV.sample_states(np.random.default_rng(2), 20_000)[..., 2]
    for i in range(5):
        counts = np.bincount(headings[:, i], minlength=4)
        assert abs(counts - 5000).max() < 5 * np.sqrt(5000)


def test_limited_headings(states):
    for names in (("up",), ("left", "right"), DIRECTION_NAMES):
        limited = ENV.sample_states(np.random.default_rng(0), 500, starts=names)
        assert {DIRECTION_NAMES[heading] for heading in np.unique(limited[..., 2])} == set(names)
        np.testing.assert_array_equal(limited[..., :2], states[..., :2])


def test_states_and_actions_are_not_changed_in_place(states):
    before, actions = states.copy(), ACTIONS.copy()
    ENV.step_states(states[:20], actions)
    ENV.transform(states, 1)
    ENV.transform_action(actions, 1)[:] = 0
    np.testing.assert_array_equal(states, before)
    np.testing.assert_array_equal(actions, ACTIONS)


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda s: ENV.step_states(s, np.zeros(3, int)), r"shape \(500,\).*\(3,\)"),
        (lambda s: ENV.step_states(s, np.full(500, 20)), "from 0 to 19"),
        (lambda s: ENV.step_states(s[..., :2], np.zeros(500, int)), r"shape \(n, 5, 3\)"),
        (lambda s: ENV.render_states(s.astype(float)), "float64"),
        (lambda s: ENV.render_states(s + (0, 0, 4)), "heading in `states` to be from 0 to 3"),
        (lambda s: ENV.render_states(s + (5, 0, 0)), "row and column in `states`"),
        (lambda s: ENV.transform(s, 4), "`g`"),
        (lambda s: ENV.transform_action(ACTIONS, 4), "`g`"),
        (lambda s: ENV.transform_action(-1, 0), "`actions`"),
        (lambda s: ENV.reset(options={"state": np.zeros((5, 3), int)}), "no two objects"),
        (lambda s: ENV.reset(options={"state": np.zeros((5, 2), int)}), r"shape \(n, 5, 3\)"),
        (
            lambda s: ENV.sample_states(np.random.default_rng(0), 1, starts=["north"]),
            "`starts` to be names out of up, right, down, left; received 'north'",
        ),
        (
            lambda s: ENV.sample_states(np.random.default_rng(0), 1, starts=[]),
            "`starts`.*received none",
        ),
    ],
)
def test_errors_say_what_was_expected(states, call, words):
    with pytest.raises(ValueError, match=words):
        call(states)
