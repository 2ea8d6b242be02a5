"""A point in a maze that is to find its way around walls, from any place to one goal.

Two mazes: "u", a corridor of the form of that letter, and "pinwheel", which quarter turns about its
centre, the goal, map to itself. `demonstrations` walks it as an expert does who always starts at
the same place.

Source: the mazes of Park and Wong (2022, arXiv 2210.09337, section 5), made smaller.
"""

import dataclasses

import gymnasium
import numpy as np

from sen_tf import groups
from sen_tf.envs.episode import SeenEnv, finite
from sen_tf.groups import GroupLike

STEP = 0.05
"""The greatest length of a step along each axis."""
RADIUS = 0.1
"""From here on the goal is reached."""
NEAR = 0.05
"""Demonstrations begin so near to their start, along each axis."""
TURNING = 0.05
"""An expert turns to its next corner once it is so near to the one before."""
LONGEST = 150
"""Steps of an episode."""
SIDE = 96
"""Pixels of an image."""


@dataclasses.dataclass(frozen=True)
class Layout:
    """The layout of a maze; places are (x, y).

    Attributes:
        low, high: Corners of the square that holds it.
        walls: Rectangles, (n, 4): least and greatest x, least and greatest y.
        goal: Where the point is to go.
        start: Where demonstrations begin.
        corners: The places that an expert passes from there, (n, 2), the goal the last.
        group: The group that maps the maze to itself, about its goal if it is not `"C1"`.
    """

    low: float
    high: float
    walls: np.ndarray
    goal: tuple[float, float]
    start: tuple[float, float]
    corners: np.ndarray
    group: GroupLike


def _turned(wall):
    """A rectangle (4,) about 0 and its three quarter turns, (4, 4)."""
    x0, x1, y0, y1 = wall
    return np.array(
        [(x0, x1, y0, y1), (-y1, -y0, x0, x1), (-x1, -x0, -y1, -y0), (y0, y1, -x1, -x0)]
    )


LAYOUTS = {
    "u": Layout(
        low=-0.3,
        high=1.3,
        walls=np.array([(-0.3, 0.7, 0.4, 0.6)]),
        goal=(0.0, 1.0),
        start=(0.0, 0.0),
        corners=np.array([(1.0, 0.0), (1.0, 1.0), (0.0, 1.0)]),
        group="C1",
    ),
    "pinwheel": Layout(
        low=-1.0,
        high=1.0,
        walls=_turned((0.25, 0.4, -0.05, 0.75)),
        goal=(0.0, 0.0),
        start=(0.7, 0.7),
        corners=np.array([(0.7, -0.15), (0.15, -0.15), (0.0, 0.0)]),
        group="C4",
    ),
}


class Maze(SeenEnv):
    """A maze through Gymnasium, where the observation is the place of the point.

    `reset` draws a free place uniformly, or takes `options={"state": place}`. An action is a step,
    within [-1, 1] along each axis, of which 1 is 0.05 long; one that would end in a wall does
    nothing. The reward is 1 at the goal, where the episode ends, else 0.

    Args:
        layout: "u" or "pinwheel".
        render_mode: None, or "rgb_array", with which `render()` returns an image.

    Attributes:
        layout: The `Layout`.
        group: The symmetry, which acts on places about the goal.

    Raises:
        ValueError: For another `layout` or `render_mode`.

    Example:
        >>> env = gymnasium.make("sen_tf/Maze-v0", layout="pinwheel")
    """

    name = "maze"

    def __init__(self, layout: str = "u", render_mode: str | None = None) -> None:
        if layout not in LAYOUTS:
            raise ValueError(
                f"Expected `layout` to be one of {', '.join(LAYOUTS)}; received layout={layout!r}"
            )
        super().__init__(render_mode)
        self.layout = LAYOUTS[layout]
        self.group = groups.get(self.layout.group)
        self.goal = np.array(self.layout.goal)
        self.observation_space = gymnasium.spaces.Box(
            self.layout.low, self.layout.high, (2,), np.float64
        )
        self.action_space = gymnasium.spaces.Box(-1, 1, (2,), np.float64)

    def sample_states(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """Returns `n` places (n, 2), uniform over those that are free."""
        found = np.zeros((0, 2))
        while len(found) < n:
            drawn = rng.uniform(self.layout.low, self.layout.high, (2 * n, 2))
            found = np.concatenate([found, drawn[self.is_free(drawn)]])
        return found[:n]

    def step_states(self, states: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """Returns the places (n, 2) after a step each; one that is not free is not entered."""
        moved = states + STEP * np.clip(actions, -1, 1)
        return np.where(self.is_free(moved)[:, None], moved, states)

    def is_free(self, states: np.ndarray) -> np.ndarray:
        """Returns booleans (n,): places (n, 2) are inside the maze and in none of its walls."""
        x, y = states[:, 0, None], states[:, 1, None]
        x0, x1, y0, y1 = self.layout.walls.T
        walled = ((x0 <= x) & (x <= x1) & (y0 <= y) & (y <= y1)).any(axis=1)
        inside = (np.abs(states - self._centre()) <= (self.layout.high - self.layout.low) / 2).all(
            1
        )
        return inside & ~walled

    def has_arrived(self, states: np.ndarray) -> np.ndarray:
        """Returns booleans (n,): places (n, 2) are at the goal, to within 0.1."""
        return np.linalg.norm(states - self.goal, axis=1) <= RADIUS

    def transform(self, states: np.ndarray, g: int) -> np.ndarray:
        """Returns places (..., 2), turned about the goal by element `g` of the group."""
        return (states - self.goal) @ groups.actions.vector_matrix(self.group, g).T + self.goal

    def transform_action(self, actions: np.ndarray, g: int) -> np.ndarray:
        """Returns actions (..., 2), turned by element `g` of the group."""
        return actions @ groups.actions.vector_matrix(self.group, g).T

    def demonstrations(
        self, rng: np.random.Generator, count: int, noise: float = 0.05
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns the steps of an expert that walks from corner to corner, to the goal.

        Args:
            rng: Generator.
            count: Walks; each begins near the start of the layout.
            noise: Standard deviation of what is added to each action.

        Returns:
            Places, actions and next places, (steps, 2) each, the walks one after the other.
        """
        steps: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        for start in self.layout.start + rng.uniform(-NEAR, NEAR, (count, 2)):
            place = start
            nearness = [TURNING] * (len(self.layout.corners) - 1) + [RADIUS]
            for corner, near in zip(self.layout.corners, nearness, strict=True):
                while np.linalg.norm(corner - place) > near and len(steps) < LONGEST * count:
                    action = np.clip((corner - place) / STEP, -1, 1)
                    action = np.clip(action + noise * rng.standard_normal(2), -1, 1)
                    after = self.step_states(place[None], action[None])[0]
                    steps.append((place, action, after))
                    place = after
        places, actions, after = (np.array(each) for each in zip(*steps, strict=True))
        return places, actions, after

    def render_states(self, states: np.ndarray) -> np.ndarray:
        """Returns images, uint8 (n, 96, 96, 3), of places (n, 2): the point red, the goal green."""
        marks = np.linspace(self.layout.low, self.layout.high, SIDE)
        pixels = np.stack(np.meshgrid(marks, marks[::-1]), axis=-1).reshape(-1, 2)
        floor = np.where(self.is_free(pixels)[:, None], 255, 90).astype(np.uint8).repeat(3, axis=1)
        floor[np.linalg.norm(pixels - self.goal, axis=1) <= RADIUS] = (120, 200, 120)
        images = np.repeat(floor[None], len(states), axis=0)
        near = np.linalg.norm(pixels - np.asarray(states)[:, None], axis=-1) <= RADIUS / 2
        images[near] = (200, 40, 40)
        return images.reshape(len(states), SIDE, SIDE, 3)

    def _centre(self):
        return (self.layout.low + self.layout.high) / 2

    def _one_state(self, state):
        place = np.array(state, float)
        if place.shape != (2,) or not self.is_free(place[None])[0]:
            raise ValueError(
                f"Expected options['state'] to be a free place (x, y); received {state!r}"
            )
        return place

    def _one_action(self, action):
        return finite("action", action, (2,))

    def _outcome(self):
        arrived = bool(self.has_arrived(self._state[None])[0])
        return float(arrived), arrived
