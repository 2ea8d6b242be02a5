"""A small environment for the tests of this room: one white pixel on a 5x5 board."""

import gymnasium
import numpy as np
import pytest

from sen_tf import groups

MOVES = np.array([(-1, 0), (0, 1), (1, 0), (0, -1)])  # up, right, down, left on (row, column)


class PixelBoard:
    """States (n, 2) are (row, column); a move off the board does nothing."""

    group = groups.get("C4")
    action_space = gymnasium.spaces.Discrete(4)
    action_names = {name: np.array([k]) for k, name in enumerate(("up", "right", "down", "left"))}
    warm_up_steps = 0

    def sample_states(self, rng, n):
        return rng.integers(0, 5, (n, 2))

    def step_states(self, states, actions):
        return np.clip(states + MOVES[actions], 0, 4)

    def render_states(self, states):
        images = np.zeros((len(states), 5, 5, 3), np.uint8)
        images[np.arange(len(states)), states[:, 0], states[:, 1]] = 255
        return images

    def transform(self, states, g):
        for _ in range(g):
            states = np.stack([4 - states[..., 1], states[..., 0]], axis=-1)
        return states

    def transform_action(self, actions, g):
        return (actions - g) % 4


@pytest.fixture
def board():
    return PixelBoard()
