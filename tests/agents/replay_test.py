import numpy as np
import pytest

from sen_tf.agents.replay import Pieces, Replay
from sen_tf.groups import representations


def episode(number, steps=10):
    """An episode of which every number tells where it stood."""
    at = 100 * number + np.arange(steps + 1.0)
    return Pieces(np.stack([at, -at], axis=1), at[:-1, None] + 0.25, at[:-1] + 0.5)


def test_pieces_are_cut_out_of_one_episode_in_order():
    replay = Replay()
    for number in range(3):
        replay.add(episode(number))
    drawn = replay.sample(np.random.default_rng(0), 500, 4)
    first = drawn.observations[:, 0, 0]
    assert set(first) == {100 * n + k for n in range(3) for k in range(7)}
    at = first[:, None] + np.arange(5)
    np.testing.assert_array_equal(drawn.observations, np.stack([at, -at], axis=-1))
    np.testing.assert_array_equal(drawn.actions[..., 0], at[:, :-1] + 0.25)
    np.testing.assert_array_equal(drawn.rewards, at[:, :-1] + 0.5)


def test_pieces_are_turned_by_one_element_each():
    matrices = representations.get("standard", "C4").matrices
    rng = np.random.default_rng(0)
    seen, done = rng.normal(size=(6, 2)), rng.normal(size=(5, 2))
    replay = Replay((matrices, matrices))
    replay.add(Pieces(seen, done, np.arange(5.0)))
    drawn = replay.sample(rng, 40, 5)
    elements = []
    for observations, actions, rewards in zip(*drawn, strict=True):
        fits = [np.allclose(observations, seen @ g.T) for g in matrices]
        elements.append(fits.index(True))
        np.testing.assert_allclose(actions, done @ matrices[elements[-1]].T)
        np.testing.assert_array_equal(rewards, np.arange(5.0))
    assert set(elements) == {0, 1, 2, 3}


def test_episodes_of_another_length_and_pieces_too_long_are_refused():
    replay = Replay()
    with pytest.raises(ValueError, match="between 1 and 0"):
        replay.sample(np.random.default_rng(0), 2, 1)
    replay.add(episode(0))
    with pytest.raises(
        ValueError, match=r"an episode of 10 steps.*received lengths \[13, 12, 12\]"
    ):
        replay.add(episode(0, 12))
    for steps in (0, 11):
        with pytest.raises(ValueError, match="between 1 and 10"):
            replay.sample(np.random.default_rng(0), 2, steps)
