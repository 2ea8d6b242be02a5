"""Block pushing: five objects on a 5 x 5 board, each moved one cell at a time.

An action is 4 * object + direction; the directions are up, right, down, left. A move off the board
or onto another object does nothing. The group C4 turns the board: counter-clockwise by a quarter,
(row, column) goes to (4 - column, row), up to left, left to down, and so on.

Source: Park et al., Learning Symmetric Embeddings for Equivariant World Models (ICML 2022), section
5, after Kipf et al., Contrastive Learning of Structured World Models (ICLR 2020).
"""

from collections.abc import Callable, Sequence

import gymnasium
import numpy as np

from sen_tf import groups
from sen_tf.envs.episode import EpisodeEnv
from sen_tf.envs.rendering import (
    BOARD_SIZE,
    CELLS,
    IMAGE_SHAPE,
    OBJECTS,
    CubesRenderer,
    ShapesRenderer,
    cell_indices,
)

DIRECTIONS = np.array([(-1, 0), (0, 1), (1, 0), (0, -1)])  # on (row, column), as in DIRECTION_NAMES
DIRECTION_NAMES = ("up", "right", "down", "left")


def numbers_of_moves(names: Sequence[str]) -> dict[str, np.ndarray]:
    """Returns the action numbers of each of the four moves `names`, whichever object moves."""
    return {name: np.arange(OBJECTS) * len(DIRECTIONS) + move for move, name in enumerate(names)}


def checked_actions(actions: np.ndarray) -> np.ndarray:
    """Returns `actions` as an array; ValueError unless they are integers from 0 to 19."""
    actions = np.asarray(actions)
    count = OBJECTS * len(DIRECTIONS)
    if actions.dtype.kind not in "iu" or (
        actions.size and (actions.min() < 0 or actions.max() >= count)
    ):
        raise ValueError(
            f"Expected `actions` to be integers from 0 to {count - 1}; received {actions!r}"
        )
    return actions


class BlockPushing(EpisodeEnv):
    """A board whose images are drawn by `renderer`; see `Shapes`, `Cubes` and `RushHour`.

    Through Gymnasium it is one episode: `reset` draws a state uniformly, or takes
    `options={"state": state}`; rewards are 0 and it never ends. The methods named after states work
    on batches and leave the episode alone.

    Args:
        renderer: callable from states, here (n, 5, 2), to uint8 images (n, 50, 50, 3).
        render_mode: None, or "rgb_array", with which `render()` returns the image.

    Attributes:
        group: C4; element k is k quarter turns counter-clockwise.
        action_names: the action numbers of each direction, such as {"up": [0, 4, 8, 12, 16], ...}.

    Raises:
        ValueError: for another `render_mode`.
    """

    group, objects, frames = groups.get("C4"), OBJECTS, 1
    action_representation = "permutation(3,0,1,2)"  # of one object's moves: up to left, and so on
    action_names = numbers_of_moves(DIRECTION_NAMES)
    start_names: Sequence[str] = ()
    goal_error, goal_tolerance = "objects out of place", 0

    def __init__(
        self, renderer: Callable[[np.ndarray], np.ndarray], render_mode: str | None = None
    ) -> None:
        super().__init__(render_mode)
        self.observation_space = gymnasium.spaces.Box(0, 255, IMAGE_SHAPE, np.uint8)
        self.action_space = gymnasium.spaces.Discrete(OBJECTS * len(DIRECTIONS))
        self._renderer = renderer

    def sample_states(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """Returns `n` uniform states, int64 (n, 5, 2), no two objects in a cell.

        Args:
            rng: a `numpy.random.Generator`.
            n: number of states.
        """
        cells = np.argsort(rng.random((n, CELLS)), axis=1)[:, :OBJECTS]
        return np.stack(np.divmod(cells, BOARD_SIZE), axis=-1)

    def step_states(self, states: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """Returns the states after one action each.

        Args:
            states: integers (n, 5, 2): each object's (row, column).
            actions: integers (n,) from 0 to 19.

        Returns:
            int64 array (n, 5, 2).

        Raises:
            ValueError: for other shapes, types or values.
        """
        occupied = self._cells(states)
        actions = checked_actions(actions)
        if actions.shape != occupied.shape[:1]:
            raise ValueError(
                f"Expected `actions` to have shape ({len(occupied)},), one for each state; "
                f"received shape {actions.shape}"
            )
        each = np.arange(len(actions))
        moved, move = np.divmod(actions, len(DIRECTIONS))
        after = np.array(states, np.int64)
        direction = self._directions(after[each, moved], move)
        target = after[each, moved, :2] + DIRECTIONS[direction]
        inside = ((target >= 0) & (target < BOARD_SIZE)).all(axis=1)
        free = (occupied != (target @ (BOARD_SIZE, 1))[:, None]).all(axis=1)
        allowed = inside & free
        after[each[allowed], moved[allowed], :2] = target[allowed]
        return after

    def render_states(self, states: np.ndarray) -> np.ndarray:
        """Returns uint8 images (n, 50, 50, 3) of states (n, 5, 2); ValueError for others."""
        return self._renderer(states)

    def positions(self, states: np.ndarray) -> np.ndarray:
        """Returns row and column (n, 5, 2) of each object."""
        return np.asarray(states)[..., :2]

    def goal_errors(self, states: np.ndarray, goals: np.ndarray) -> np.ndarray:
        """Returns how many objects (n,) of states (n, 5, 2) are elsewhere in the goals."""
        return (np.asarray(states) != goals).any(axis=-1).sum(axis=-1)

    def needed_moves(self, states: np.ndarray, goals: np.ndarray) -> np.ndarray:
        """Returns how many moves of each number lead from states to goals, if none is blocked.

        Args:
            states, goals: integers (n, 5, 2).

        Returns:
            int64 array (n, 20): how often each action is needed.
        """
        states = np.asarray(states)
        offsets = np.asarray(goals)[..., :2] - states[..., :2]
        along = np.maximum(offsets @ DIRECTIONS.T, 0)  # (n, 5, 4), on the board
        each = np.arange(len(DIRECTIONS))
        numbers = self._directions(states[..., None, :], each)  # the direction of each move
        return np.take_along_axis(along, np.broadcast_to(numbers, along.shape), -1).reshape(
            len(states), -1
        )

    def transform(self, states: np.ndarray, g: int) -> np.ndarray:
        """Returns the states turned by element `g` of C4, int64.

        Args:
            states: integers (..., 5, 2).
            g: an element, 0 to 3.
        """
        doubled = 2 * np.asarray(states) - (BOARD_SIZE - 1)  # twice the offset from the centre
        return (doubled @ self._turn(g).T + (BOARD_SIZE - 1)) // 2

    def transform_action(self, actions: np.ndarray, g: int) -> np.ndarray:
        """Returns the actions turned by element `g` of C4: the same object, the turned direction.

        Args:
            actions: integers from 0 to 19, of any shape.
            g: an element, 0 to 3.

        Returns:
            int64 of the same shape.
        """
        moved, direction = np.divmod(checked_actions(actions), len(DIRECTIONS))
        return moved * len(DIRECTIONS) + self._turned_directions(g)[direction]

    def _one_state(self, state):
        """A copy of `state`, int64, checked."""
        state = np.array(state)
        cells = self._cells(state[None])
        if len(np.unique(cells)) < OBJECTS:
            raise ValueError(
                "Expected `options['state']` to have no two objects in a cell; "
                f"received {state.tolist()}"
            )
        return state.astype(np.int64)

    def _cells(self, states):
        """The cell of each object, int64 (n, 5), of states that are checked."""
        return cell_indices(states)

    def _directions(self, objects, moves):
        """Directions (...) on the board of moves (...) of objects (..., 2), a state's rows."""
        return moves

    def _turned_directions(self, g):
        """The directions that `g` turns the four directions to, (4,)."""
        turned = DIRECTIONS @ self._turn(g).T
        return np.argmax((turned[:, None] == DIRECTIONS).all(axis=-1), axis=1)

    def _turn(self, g):
        """Matrix (2, 2) of `g` on (row, column) offsets, where (x, y) = (column, -row)."""
        to_xy = np.array([(0, 1), (-1, 0)])
        return (to_xy.T @ groups.actions.vector_matrix(self.group, g) @ to_xy).astype(np.int64)


class Shapes(BlockPushing):
    """2D Shapes: discs, triangles and squares on black.

    Args:
        sprites: "paper", or "symmetric", where diamonds replace the triangles.
        render_mode: see `BlockPushing`.
    """

    name, version = "shapes", 1
    arguments = {
        "sprites": (
            "paper draws triangles, symmetric draws diamonds in their place, so that a turned "
            "board looks turned.",
            ("paper", "symmetric"),
        )
    }

    def __init__(self, sprites: str = "paper", render_mode: str | None = None) -> None:
        super().__init__(ShapesRenderer(sprites), render_mode)


class Cubes(BlockPushing):
    """3D Blocks: coloured cubes on a grey floor, in perspective.

    Turning the board does not turn the image: that is what makes the symmetry unknown.

    Args:
        render_mode: see `BlockPushing`.
    """

    name, version, arguments = "cubes", 1, {}

    def __init__(self, render_mode: str | None = None) -> None:
        super().__init__(CubesRenderer(), render_mode)
