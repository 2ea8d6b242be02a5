import types

import gymnasium
import numpy as np
import pytest

from sen_tf.datasets import collect, uniform_policy
from sen_tf.envs.teapot import Teapot
from sen_tf.experiments import drawing
from sen_tf.groups import actions as group_actions


class Torques:
    """A continuous policy that is no TFP distribution: any `sample(shape, seed)` will do."""

    def sample(self, shape, seed):
        return np.random.default_rng(seed).uniform(-1, 1, (*shape, 2))


class Moves:
    """A discrete one, whose longer samples begin with the shorter ones."""

    def sample(self, shape, seed):
        return np.random.default_rng(seed).integers(0, 4, shape[::-1]).T


def gather(blocks):
    blocks = list(blocks)
    return tuple(
        np.concatenate([getattr(b, f) for b in blocks]) for f in ("observations", "actions")
    )


def test_shapes_and_types(board):
    blocks = list(collect(board, uniform_policy(board), episodes=70, steps=3, seed=0))
    assert [len(block.actions) for block in blocks] == [64, 6]
    assert blocks[1].observations.shape == (6, 4, 5, 5, 3)
    assert blocks[1].observations.dtype == np.uint8
    assert blocks[1].actions.shape == (6, 3) and blocks[1].actions.dtype == np.int64
    assert blocks[0].twins == {}


def test_frames_follow_from_actions(board):
    frames, actions = gather(collect(board, uniform_policy(board), episodes=10, steps=5, seed=1))
    states = np.argwhere(frames[..., 0] == 255)[:, 2:].reshape(10, 6, 2)
    for time in range(5):
        after = board.step_states(states[:, time], actions[:, time])
        np.testing.assert_array_equal(after, states[:, time + 1])
    assert len(np.unique(states[:, 0], axis=0)) > 3


def test_first_episodes_do_not_depend_on_how_many_follow(board):
    policy = uniform_policy(board)
    short = gather(collect(board, policy, episodes=70, steps=2, seed=3))
    long = gather(collect(board, policy, episodes=200, steps=2, seed=3))
    other = gather(collect(board, policy, episodes=70, steps=2, seed=4))
    for a, b, c in zip(short, long, other, strict=True):
        np.testing.assert_array_equal(a, b[:70])
        assert not np.array_equal(a, c)
    assert not np.array_equal(long[1][:64], long[1][64:128])


def test_twins_are_the_transformed_episodes(board):
    (block,) = collect(board, uniform_policy(board), episodes=9, steps=4, seed=2, twins=True)
    assert list(block.twins) == [1, 2, 3]
    for g, (frames, actions, element) in block.twins.items():
        assert element == g
        # The white pixel has no orientation, so rendering again equals turning the picture.
        expected = group_actions.rotate_grid(block.observations, board.group, g, axes=(2, 3))
        np.testing.assert_array_equal(frames, expected)
        np.testing.assert_array_equal(actions, (block.actions - g) % 4)


def test_named_actions_only(board):
    policy = uniform_policy(board, ["up", "right"])
    _, actions = gather(collect(board, policy, episodes=200, steps=5, seed=0))
    counts = np.bincount(actions.ravel(), minlength=4)
    assert counts[2] == counts[3] == 0
    assert min(counts[:2]) > 400


def test_first_states_are_drawn_as_asked(board):
    def corner(rng, n):
        return np.zeros((n, 2), int)

    arguments = {"episodes": 70, "steps": 2, "seed": 3}
    frames, actions = gather(
        collect(board, uniform_policy(board), **arguments, first_states=corner)
    )
    assert (frames[:, 0, 0, 0] == 255).all()
    _, others = gather(collect(board, uniform_policy(board), **arguments))
    np.testing.assert_array_equal(actions, others)


def test_continuous_actions_of_a_policy_of_ones_own(board):
    board.step_states = lambda states, actions: states
    (block,) = collect(board, Torques(), episodes=3, steps=2, seed=0)
    assert block.actions.shape == (3, 2, 2) and block.actions.dtype == np.float32


def test_uniform_actions_in_a_box(board):
    board.action_space = gymnasium.spaces.Box(-1, 1, (2,))
    board.action_names = {"upwards": ((-1, 0), (1, 1)), "downwards": ((-1, -1), (1, 0))}
    for actions, lowest in ((None, (-1, -1)), (["upwards"], (-1, 0))):
        sample = uniform_policy(board, actions).sample((200, 100), seed=(0, 1)).numpy()
        assert sample.shape == (200, 100, 2) and sample.dtype == np.float32
        assert (sample.min((0, 1)) >= lowest).all() and (sample.max((0, 1)) <= 1).all()
        np.testing.assert_allclose(sample.mean((0, 1)), np.add(lowest, 1) / 2, atol=0.02)
    with pytest.raises(ValueError, match="one name, of a box; received upwards, downwards"):
        uniform_policy(board, ["upwards", "downwards"])


def test_warm_up_is_left_out(board):
    plain = gather(collect(board, Moves(), episodes=3, steps=9, seed=0))
    board.warm_up_steps = 5
    warm = gather(collect(board, Moves(), episodes=3, steps=4, seed=0))
    for a, b in zip(plain, warm, strict=True):
        np.testing.assert_array_equal(a[:, 5:], b)


class Upwards:
    """A policy of one action."""

    def sample(self, shape, seed):
        return np.zeros(shape, np.int64)


def test_a_warm_up_may_have_all_actions(board):
    board.warm_up_steps = 5
    one_start = {"first_states": lambda rng, n: np.repeat(board.sample_states(rng, 1), n, axis=0)}
    how = {"episodes": 8, "steps": 2, "seed": 0, **one_start}
    limited, actions = gather(collect(board, Upwards(), **how))
    assert (limited[:, 0] == limited[:1, 0]).all()  # five moves up from one place
    board.warm_up = "all"
    free, same_actions = gather(collect(board, Upwards(), **how))
    np.testing.assert_array_equal(same_actions, actions)
    assert (free[1:, 0] != free[:1, 0]).any()


def test_reacher(make_reacher):
    envs = [make_reacher(size=17, workers=workers) for workers in (1, 2)]
    one, two = (
        next(collect(env, Torques(), episodes=3, steps=2, seed=5, twins=True)) for env in envs
    )
    assert one.observations.shape == (3, 3, 17, 17, 6) and one.actions.shape == (3, 2, 2)
    np.testing.assert_array_equal(
        one.observations[:, 1:, ..., :3], one.observations[:, :-1, ..., 3:]
    )
    np.testing.assert_array_equal(one.observations, two.observations)
    assert list(one.twins) == list(range(1, 8))
    for g, (frames, actions, _) in one.twins.items():
        np.testing.assert_array_equal(frames, two.twins[g][0])
        np.testing.assert_array_equal(actions, one.actions * (1 if g < 4 else -1))
        assert (frames != one.observations).any(axis=(2, 3, 4)).all()


def test_teapot():
    env = Teapot()
    policy = uniform_policy(env)
    (block,) = collect(env, policy, episodes=3, steps=1, seed=5, twins=True)
    assert block.observations.shape == (3, 2, 64, 64, 1)
    assert block.actions.shape == (3, 1, 3, 3) and block.actions.dtype == np.float32
    (longer,) = collect(env, policy, episodes=5, steps=1, seed=5, twins=True)
    np.testing.assert_array_equal(longer.actions[:3], block.actions)
    assert list(block.twins) == list(range(1, 8))
    for number, (frames, actions, g) in block.twins.items():
        np.testing.assert_array_equal(g, longer.twins[number].element)
        np.testing.assert_allclose(actions, g @ block.actions @ g.T, atol=1e-6)
        assert (frames != block.observations).any(axis=(2, 3, 4)).all()
    with pytest.raises(ValueError, match="names out of: none; received 'small'"):
        uniform_policy(env, ["small"])


def test_errors(board):
    with pytest.raises(ValueError, match=r"names out of: up, right, down, left; received 'upp'"):
        uniform_policy(board, ["upp"])
    with pytest.raises(ValueError, match="received none"):
        uniform_policy(board, [])
    board = types.SimpleNamespace(action_names=board.action_names, sample_actions=np.zeros)
    with pytest.raises(ValueError, match="None, as .* drawn by its `sample_actions`; received up"):
        uniform_policy(board, ["up"])


def test_numbers_of_episodes_are_checked(board):
    with pytest.raises(ValueError, match="`episodes` to be at least 1; received episodes=0"):
        collect(board, Torques(), episodes=0, steps=2, seed=0)


class Ring:
    """Its actions are 1 to 4."""

    action_space = gymnasium.spaces.Discrete(4, start=1)
    action_names = {"up": [1], "left": [4], "turns": [2, 4]}


def test_names_are_of_actions_as_an_environment_takes_them():
    for names, expected in ((["up"], {0}), (["left"], {3}), (["up", "turns"], {0, 1, 3})):
        drawn = uniform_policy(Ring(), names).sample(50, seed=(0, 1)).numpy()
        assert set(drawn) == expected
    assert drawing.action_names(Ring(), np.arange(4)[None]) == [["up", "turns", "3", "turns"]]
    Ring.action_names = {"up": [0]}
    with pytest.raises(
        ValueError, match=r"actions of Discrete\(4, start=1\); received 'up': \[0\]"
    ):
        uniform_policy(Ring(), ["up"])


@pytest.mark.parametrize(
    ("shape", "dtype"), [((), "float32"), ((2, 2), "float32"), ((2,), "int32")]
)
def test_other_boxes_are_refused(board, shape, dtype):
    board.action_space = gymnasium.spaces.Box(-1, 1, shape, np.dtype(dtype))
    with pytest.raises(ValueError, match="a Box of one axis and of real numbers; received Box"):
        uniform_policy(board)
