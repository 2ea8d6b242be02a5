import functools
import types

import numpy as np
import pytest

from sen_tf import datasets
from sen_tf.envs.teapot import Teapot
from sen_tf.groups import rotations
from sen_tf.training import scoring

IDENTITY = np.eye(3)


class KnownTeapot(Teapot):
    """Remembers which state each picture is of."""

    def __init__(self, rotations="large"):
        super().__init__(rotations)
        self.known = {}

    def render_states(self, states):
        pictures = super().render_states(states)
        self.known |= {
            picture.tobytes(): state for picture, state in zip(pictures, states, strict=True)
        }
        return pictures


class Latents:
    """A model that knows states, but for a rotation, and what actions do, if it is so made."""

    def __init__(self, env, acts=True, left=IDENTITY, right=IDENTITY):
        self.env, self.acts, self.left, self.right = env, acts, left, right
        self.model = types.SimpleNamespace(trainable_variables=[])

    def encode(self, pictures):
        states = np.stack([self.env.known[picture.tobytes()] for picture in pictures])
        return self.left @ states @ self.right

    embed = encode

    def rollout(self, states, actions):
        visited = []
        for action in np.moveaxis(actions, 1, 0):
            states = self.left @ action @ self.left.T @ states if self.acts else states
            visited.append(states)
        return np.stack(visited, axis=1)


@pytest.mark.parametrize("drawn", ["large", "small"])
def test_who_knows_the_actions_tells_near_states_apart(drawn):
    env = KnownTeapot(drawn)
    knowing = scoring._near_states(Latents(env), env, count=20, seed=0)
    assert set(knowing["hard_hits"].values()) == {1.0}
    assert knowing["traversal_hits"] == {"pitch": 1.0, "yaw": 1.0, "roll": 1.0}
    ignorant = scoring._near_states(Latents(env, acts=False), env, count=20, seed=0)
    assert max(ignorant["hard_hits"].values()) < 0.5
    # Only the last of the 30 views, after a whole turn, is where it began.
    np.testing.assert_allclose(list(ignorant["traversal_hits"].values()), 1 / 30)


@pytest.fixture(scope="module")
def episodes(tmp_path_factory):
    """An environment, and the function that reads a file of 30 of its episodes."""
    env = KnownTeapot()
    path = tmp_path_factory.mktemp("scored") / "teapot.h5"
    policy = datasets.uniform_policy(env)
    blocks = datasets.collect(env, policy, episodes=30, steps=1, seed=0, twins=True)
    about = {"env": "teapot", "split": "evaluation", "seed": 0, "group": "SO(3)", "settings": {}}
    datasets.write_episodes(path, blocks, episodes=30, **about)
    return env, functools.partial(datasets.read_episodes, path, "teapot")


@pytest.fixture(scope="module")
def scored(episodes):
    """A function from latents' arguments to scores on one file."""
    env, read = episodes
    return lambda **further: scoring.evaluate(Latents(env, **further), read, env)


def test_a_common_factor_on_the_right_is_no_error(scored):
    turn = rotations.haar(np.random.default_rng(3), 1)[0]
    for right in (IDENTITY, turn):
        scores = scored(right=right)
        assert scores["steps"]["1"]["hits@1"] == 1
        assert scores["symmetry"]["mean"]["ee_embedding"] < 1e-6
        assert scores["symmetry"]["mean"]["die_embedding"] < 1e-6
        assert scores["steps"]["1"]["die_model"] < 1e-6
    assert len(scores["symmetry"]["by_element"]) == 7
    assert "HH@1 among 6 100.0%   18 100.0%" in scoring.table(scores)


class HalfAstray(Latents):
    """A model that knows all states, but whose every other prediction is far from all of them."""

    def rollout(self, states, actions):
        visited = super().rollout(states, actions)
        visited[::2] += 10
        return visited


def test_true_states_are_ranked_against_all_predictions(episodes):
    """Not predictions against all states: those astray would come before half of the others."""
    env, read = episodes
    scores = scoring.evaluate(HalfAstray(env), read, env)["steps"]["1"]
    assert scores["hits@1"] == scores["hits@10"] == 0.5
    # Of 30, the 15 that are astray come after the 15 others.
    assert 0.5 + 0.5 / 30 < scores["mrr"] < 0.5 + 0.5 / 16


def test_a_factor_on_the_left_is(scored):
    scores = scored(left=rotations.exp(np.array([0, 0, 1.0])))
    assert scores["symmetry"]["mean"]["ee_embedding"] > 0.3
    assert scores["symmetry"]["mean"]["die_embedding"] < 1e-6  # distances do not see it
    assert scores["steps"]["1"]["hits@1"] == 1


def test_a_model_without_actions_ranks_low(scored):
    scores = scored(acts=False)
    assert scores["steps"]["1"]["hits@1"] < 0.2
    # It predicts what it sees, and that turns as it should.
    assert scores["steps"]["1"]["die_model"] < 1e-6


@pytest.mark.parametrize("count", [3, scoring.BATCH, scoring.BATCH + 3])
def test_batches_are_of_one_size_and_in_order(count):
    sizes = []

    def add(x, y):
        sizes.append(len(x))
        return x + y

    rows = np.arange(2 * count, dtype=np.float32).reshape(count, 2)
    latents = scoring.Latents(types.SimpleNamespace(encode=None, embed=None, step=None))
    np.testing.assert_array_equal(latents._in_batches(add, rows, rows), 2 * rows)
    assert set(sizes) == {min(count, scoring.BATCH)}
