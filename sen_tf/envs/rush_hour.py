"""Rush Hour: block pushing where each object has a heading, and moves are relative to it.

An action is 4 * object + move; the moves are forward, right, backward, left as seen by the object,
which never turns: object i with heading h moves in direction (h + move) mod 4 of the board. The
group C4 turns positions as in `block_pushing.py` and headings as directions; actions stay as they
are.

Source: Park et al., Learning Symmetric Embeddings for Equivariant World Models (ICML 2022), section
5.
"""

from collections.abc import Sequence

import numpy as np

from sen_tf.envs.block_pushing import (
    DIRECTION_NAMES,
    DIRECTIONS,
    BlockPushing,
    checked_actions,
    numbers_of_moves,
)
from sen_tf.envs.rendering import OBJECTS, RushHourRenderer, cells_and_headings

MOVE_NAMES = ("forward", "right", "backward", "left")


class RushHour(BlockPushing):
    """Rush Hour: triangles on black that point where they head.

    States are integers (n, 5, 3), each object's (row, column, heading), headings numbered as the
    directions: up, right, down, left. Otherwise like `BlockPushing`.

    Args:
        render_mode: see `BlockPushing`.

    Attributes:
        action_names: the action numbers of each move, such as {"forward": [0, 4, 8, 12, 16], ...}.
    """

    name, version, arguments = "rush_hour", 1, {}
    action_representation = "4 trivial"
    action_names, start_names = numbers_of_moves(MOVE_NAMES), DIRECTION_NAMES

    def __init__(self, render_mode: str | None = None) -> None:
        super().__init__(RushHourRenderer(), render_mode)

    def sample_states(
        self, rng: np.random.Generator, n: int, starts: Sequence[str] = DIRECTION_NAMES
    ) -> np.ndarray:
        """Returns `n` uniform states, int64 (n, 5, 3), no two objects in a cell.

        Args:
            rng: a `numpy.random.Generator`.
            n: number of states.
            starts: names of the headings drawn from, such as ("up",). Positions do not depend on
                them.

        Raises:
            ValueError: a name is unknown or no name is given.
        """
        unknown = [name for name in starts if name not in DIRECTION_NAMES]
        if unknown or not starts:
            raise ValueError(
                f"Expected `starts` to be names out of {', '.join(DIRECTION_NAMES)}; received "
                f"{', '.join(map(repr, unknown)) or 'none'}"
            )
        positions = super().sample_states(rng, n)
        numbers = np.flatnonzero([name in starts for name in DIRECTION_NAMES])
        return np.concatenate([positions, rng.choice(numbers, (n, OBJECTS, 1))], axis=-1)

    def transform(self, states: np.ndarray, g: int) -> np.ndarray:
        """Returns the states turned by element `g` of C4, int64.

        Args:
            states: integers (..., 5, 3).
            g: an element, 0 to 3.
        """
        states = np.asarray(states)
        headings = self._turned_directions(g)[states[..., 2:]]
        return np.concatenate([super().transform(states[..., :2], g), headings], axis=-1)

    def transform_action(self, actions: np.ndarray, g: int) -> np.ndarray:
        """Returns a copy of the actions, int64: a move relative to its object turns with it.

        Args:
            actions: integers from 0 to 19, of any shape.
            g: an element, 0 to 3.
        """
        self.group.element(g)
        return checked_actions(actions).astype(np.int64)

    def _cells(self, states):
        return cells_and_headings(states)[0]

    def _directions(self, objects, moves):
        return (objects[..., 2] + moves) % len(DIRECTIONS)
