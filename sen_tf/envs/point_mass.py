"""Point masses that forces are to bring to rest at the centre, in the plane or in space.

The dynamics commute with all rotations about the centre, and with reflections in the plane: a force
is limited by its length, and the border is a circle or a sphere.

Source: the point mass of the DeepMind Control Suite (Tassa et al., 2018), its square board made
round, and the balls in space of Zhao et al. (2023, arXiv 2307.08226, section 6).
"""

import gymnasium
import numpy as np

from sen_tf import groups
from sen_tf.envs.episode import SeenEnv, finite

BORDER = 0.3
"""Distance of the border from the centre."""
KEPT, PUSHED, PACE = 0.95, 0.4, 0.1
"""A velocity is kept so much per step, a force of 1 adds so much, and a place changes so far."""
REACHED, MARGIN, AT_MARGIN = 0.015, 0.1, 0.1
"""A reward is 1 as near as this to the centre, and farther away by the margin it is so much."""
LONGEST = 50
"""Steps of an episode."""
GROUPS = {2: "D4", 3: "O"}
SIDE = 96
"""Pixels of an image."""


class PointMass(SeenEnv):
    """Point masses through Gymnasium, where the observation is all places and velocities.

    A state is an array (2 masses, dimensions): the places, then the velocities. `reset` draws the
    places uniformly, at rest, or takes `options={"state": state}`. An action is one force per mass,
    all in one vector; a force longer than 1 is shortened. The reward is between 0 and 1, that of
    masses at the centre; episodes do not end.

    Args:
        dimensions: 2 or 3.
        masses: How many there are, 1 to 3; they do not meet.
        render_mode: None, or "rgb_array", with which `render()` returns an image, from above.

    Attributes:
        group: D4 or, in space, O, the rotations of a cube: finite groups out of many more.
        representation: How the group acts on a state, flattened.
        action_representation: How it acts on an action.

    Raises:
        ValueError: For other dimensions, masses, or another `render_mode`.

    Example:
        >>> env = gymnasium.make("sen_tf/PointMass-v0", dimensions=3)
    """

    name = "point_mass"

    def __init__(
        self, dimensions: int = 2, masses: int = 1, render_mode: str | None = None
    ) -> None:
        if dimensions not in GROUPS or masses not in (1, 2, 3):
            raise ValueError(
                "Expected `dimensions` to be 2 or 3 and `masses` to be 1, 2 or 3; received "
                f"dimensions={dimensions!r}, masses={masses!r}"
            )
        super().__init__(render_mode)
        self.dimensions, self.masses = dimensions, masses
        self.group = groups.get(GROUPS[dimensions])
        self.representation = f"{2 * masses} standard"
        self.action_representation = f"{masses} standard"
        fastest = PUSHED / (1 - KEPT)
        reach = np.repeat([[BORDER], [fastest]], masses, axis=0) * np.ones(dimensions)
        self.observation_space = gymnasium.spaces.Box(-reach, reach, dtype=np.float64)
        self.action_space = gymnasium.spaces.Box(-1, 1, (masses * dimensions,), np.float64)

    def sample_states(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """Returns `n` states (n, 2 masses, dimensions) at rest, uniform within the border."""
        directions = rng.standard_normal((n, self.masses, self.dimensions))
        directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
        radii = BORDER * rng.uniform(size=(n, self.masses, 1)) ** (1 / self.dimensions)
        return np.concatenate([radii * directions, np.zeros_like(directions)], axis=1)

    def step_states(self, states: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """Returns the states after a step; a mass that meets the border is at rest there.

        Args:
            states: States (n, 2 masses, dimensions).
            actions: Forces (n, masses * dimensions).
        """
        forces = _shortened(np.reshape(actions, (-1, self.masses, self.dimensions)), 1.0)
        places, velocities = states[:, : self.masses], states[:, self.masses :]
        velocities = KEPT * velocities + PUSHED * forces
        places = places + PACE * velocities
        outside = np.linalg.norm(places, axis=-1, keepdims=True) > BORDER
        velocities = np.where(outside, 0.0, velocities)
        return np.concatenate([_shortened(places, BORDER), velocities], axis=1)

    def rewards(self, states: np.ndarray) -> np.ndarray:
        """Returns the rewards (n,) of states: 1 at the centre, the mean over the masses."""
        distances = np.linalg.norm(states[:, : self.masses], axis=-1)
        beyond = np.maximum(distances - REACHED, 0.0) / MARGIN
        return np.mean(AT_MARGIN ** np.square(beyond), axis=1)

    def transform(self, states: np.ndarray, g: int) -> np.ndarray:
        """Returns states (..., 2 masses, dimensions), turned by element `g` of the group."""
        return states @ groups.actions.vector_matrix(self.group, g).T

    def transform_action(self, actions: np.ndarray, g: int) -> np.ndarray:
        """Returns actions (..., masses * dimensions), turned by element `g` of the group."""
        forces = np.reshape(actions, (*np.shape(actions)[:-1], self.masses, self.dimensions))
        turned = forces @ groups.actions.vector_matrix(self.group, g).T
        return turned.reshape(np.shape(actions))

    def render_states(self, states: np.ndarray) -> np.ndarray:
        """Returns images, uint8 (n, 96, 96, 3), from above: the centre green, the masses red."""
        marks = np.linspace(-BORDER, BORDER, SIDE)
        pixels = np.stack(np.meshgrid(marks, marks[::-1]), axis=-1)
        radii = np.linalg.norm(pixels, axis=-1)
        floor = np.where((radii <= BORDER)[..., None], 255, 90).astype(np.uint8).repeat(3, axis=2)
        floor[radii <= 2 * REACHED] = (120, 200, 120)
        images = np.repeat(floor[None], len(states), axis=0)
        for mass in range(self.masses):
            places = states[:, mass, None, None, :2]
            images[np.linalg.norm(pixels - places, axis=-1) <= REACHED] = (200, 40, 40)
        return images

    def _one_state(self, state):
        state = finite("options['state']", state, self.observation_space.shape)
        if np.linalg.norm(state[: self.masses], axis=-1).max() > BORDER * (1 + 1e-9):
            raise ValueError(
                f"Expected options['state'] to have its masses within {BORDER} of the centre; "
                f"received {state.tolist()}"
            )
        return state

    def _one_action(self, action):
        return finite("action", action, self.action_space.shape)

    def _outcome(self):
        return float(self.rewards(self._state[None])[0]), False


def _shortened(vectors, longest):
    """Vectors (..., d), those longer than `longest` made as long."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors * np.minimum(1.0, longest / np.maximum(lengths, 1e-30))
