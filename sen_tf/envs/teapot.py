"""The teapot: a rotation of 3-space, seen as the image of a teapot turned by it.

A state z is a rotation, an action a too, and the next state is a z. The group SO(3) turns a state
to g z and an action to g a g^-1, so that the next state turns to g a z. The image of g z is no
turned image of z, for the camera and the light stay where they are. Axes are the camera's: x to
the right, y downwards, z into depth; a positive angle turns x towards y, y towards z, z towards x.

Source: Park et al., Learning Symmetric Embeddings for Equivariant World Models (ICML 2022), section
5; its public code stores the action g a with the turned states, which is not what turns them.
"""

import copy
import math
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np

from sen_tf.envs.episode import EpisodeEnv
from sen_tf.envs.teapot_rendering import IMAGE_SHAPE, TeapotRenderer, as_rotations
from sen_tf.groups import rotations

VIEWS = 30  # of a traversal, once around
SMALL_ANGLE = 2 * np.pi / VIEWS  # radians, of small actions
HARD_ANGLES = (SMALL_ANGLE, 2 * np.pi / 8, 2 * np.pi / 3)  # radians, of hard negatives
AXES = {"pitch": (1, 0, 0), "yaw": (0, 1, 0), "roll": (0, 0, 1)}


def _turns(angle):
    """The six rotations (6, 3, 3) by `angle` and by -`angle` about x, y and z."""
    return rotations.exp(angle * np.concatenate([np.eye(3), -np.eye(3)]))


SMALL_ACTIONS = _turns(SMALL_ANGLE)
HARD_TURNS = np.concatenate([_turns(angle) for angle in HARD_ANGLES])


def _small(rng, n):
    return SMALL_ACTIONS[rng.integers(len(SMALL_ACTIONS), size=n)]


ACTIONS = {"small": _small, "large": rotations.haar}


class RotationSpace(gymnasium.spaces.Box):
    """The rotations of 3-space, float64 (3, 3), as a Gymnasium space.

    Args:
        draw: callable from a `numpy.random.Generator` and n to n rotations (n, 3, 3): the law of
            `sample`. Every rotation is contained, drawn or not.
        count: how many, (count, 3, 3), for as many environments; None for one, (3, 3).
    """

    def __init__(
        self, draw: Callable[[np.random.Generator, int], np.ndarray], count: int | None = None
    ) -> None:
        super().__init__(-1, 1, (3, 3) if count is None else (count, 3, 3), np.float64)
        self.draw = draw

    def sample(self, mask: None = None, probability: None = None) -> np.ndarray:
        """Returns what `draw` draws; the arguments are Gymnasium's, and must be None."""
        if mask is not None or probability is not None:
            raise ValueError(
                "Expected `mask` and `probability` to be None; "
                f"received mask={mask!r}, probability={probability!r}"
            )
        count = self.shape[:-2]
        return self.draw(self.np_random, math.prod(count)).reshape(*count, 3, 3)

    def contains(self, x: Any) -> bool:
        """True if `x` is rotations of the space's shape to within 1e-5."""
        try:
            return as_rotations("x", x).shape == self.shape
        except ValueError:
            return False


@gymnasium.vector.utils.batch_space.register(RotationSpace)
def _batched(space, n=1):
    """The space of actions of `n` environments, as `gymnasium.make_vec` asks for it."""
    batched = RotationSpace(space.draw, n)
    batched._np_random = copy.deepcopy(space.np_random)
    return batched


class Teapot(EpisodeEnv):
    """3D Teapot: a grey image of 64 x 64 pixels of a teapot turned by actions.

    Through Gymnasium it is one episode: `reset` draws a state uniformly, or takes
    `options={"state": state}`; rewards are 0 and it never ends. The methods named after states work
    on batches and leave the episode alone.

    Args:
        rotations: which actions are drawn: "small", the six turns by 2 pi / 30 about x, y and z and
            back, or "large", uniform over all rotations. Every rotation can be taken.
        render_mode: None, or "rgb_array", with which `render()` returns the image in RGB.

    Attributes:
        group: SO(3); an element is a rotation, a matrix (3, 3).
        choices: the actions, (n, 3, 3), where they are few.

    Raises:
        ValueError: for other `rotations` or another `render_mode`.
    """

    name, version = "teapot", 1
    group, objects, frames = rotations.SO3(), None, 1
    action_representation = None  # g a g^-1
    action_names, start_names = {}, ()  # the constructor chooses the actions
    arguments = {
        "rotations": (
            "which rotations are actions, small turns about an axis (2 pi / 30) or large, uniform "
            "over all.",
            ("large", "small"),
        )
    }
    traversal_axes = AXES
    goal_error, goal_tolerance = "degrees from the goal", 12  # one small turn

    def __init__(self, rotations: str = "large", render_mode: str | None = None) -> None:
        if rotations not in ACTIONS:
            known = " or ".join(map(repr, ACTIONS))
            raise ValueError(
                f"Expected `rotations` to be {known}; received rotations={rotations!r}"
            )
        super().__init__(render_mode)
        self.observation_space = gymnasium.spaces.Box(0, 255, IMAGE_SHAPE, np.uint8)
        self.action_space = RotationSpace(ACTIONS[rotations])
        self._draw_actions = ACTIONS[rotations]
        self.choices = SMALL_ACTIONS if rotations == "small" else SMALL_ACTIONS[:0]
        self._renderer = TeapotRenderer()

    def _one_state(self, state):
        return as_rotations("options['state']", state, axes=0)

    def _one_action(self, action):
        return as_rotations("action", action, axes=0)

    def _rgb(self, observation):
        return np.repeat(observation, 3, axis=-1)

    def sample_states(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """Returns `n` states, (n, 3, 3), uniform over all rotations.

        Args:
            rng: a `numpy.random.Generator`.
            n: number of states.
        """
        return self.group.sample(rng, n)

    def sample_actions(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """Returns `n` actions, (n, 3, 3), small or large as the environment's; see the class.

        Args:
            rng: a `numpy.random.Generator`.
            n: number of actions.
        """
        return self._draw_actions(rng, n)

    def step_states(self, states: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """Returns the states a z after one action a each, float64 (n, 3, 3).

        Args:
            states: rotations z (n, 3, 3).
            actions: rotations a (n, 3, 3).

        Raises:
            ValueError: for other shapes, or what is no rotation to within 1e-5.
        """
        states, actions = as_rotations("states", states, 1), as_rotations("actions", actions, 1)
        if actions.shape != states.shape:
            raise ValueError(
                f"Expected `actions` to have shape {states.shape}, one for each state; "
                f"received shape {actions.shape}"
            )
        return actions @ states

    def render_states(self, states: np.ndarray) -> np.ndarray:
        """Returns uint8 images (n, 64, 64, 1) of states (n, 3, 3); ValueError for others."""
        return self._renderer(states)

    def transform(self, states: np.ndarray, g: np.ndarray) -> np.ndarray:
        """Returns the states g z, turned by element `g` of SO(3).

        Args:
            states: rotations z (..., 3, 3).
            g: a rotation (3, 3), or one for each state, (..., 3, 3).
        """
        return as_rotations("g", g) @ as_rotations("states", states)

    def transform_action(self, actions: np.ndarray, g: np.ndarray) -> np.ndarray:
        """Returns the actions g a g^-1, which turn g z to g a z.

        Args:
            actions: rotations a (..., 3, 3).
            g: a rotation (3, 3), or one for each action, (..., 3, 3).
        """
        g = as_rotations("g", g)
        return g @ as_rotations("actions", actions) @ np.swapaxes(g, -1, -2)

    def goal_errors(self, states: np.ndarray, goals: np.ndarray) -> np.ndarray:
        """Returns the angles (n,), in degrees, of the rotations from states to goals (n, 3, 3)."""
        turns = np.asarray(goals) @ np.swapaxes(states, -1, -2)
        return np.degrees(np.linalg.norm(rotations.log(turns), axis=-1))

    def hard_negatives(self, states: np.ndarray, count: int) -> np.ndarray:
        """Returns states near each state: turned about x, y and z, both ways.

        Args:
            states: rotations (..., 3, 3).
            count: 6, turned by 2 pi / 30, or 18, turned by 2 pi / 8 and 2 pi / 3 as well.

        Returns:
            Rotations (..., count, 3, 3).

        Raises:
            ValueError: for another `count`, or what is no rotation.
        """
        if count not in (6, 18):
            raise ValueError(f"Expected `count` to be 6 or 18; received count={count!r}")
        return HARD_TURNS[:count] @ as_rotations("states", states)[..., None, :, :]

    def traversal(self, states: np.ndarray, axis: str) -> np.ndarray:
        """Returns once around each state: 30 views, each turned 2 pi / 30 further.

        Args:
            states: rotations (..., 3, 3).
            axis: "pitch" about x, "yaw" about y or "roll" about z.

        Returns:
            Rotations (..., 30, 3, 3), of which the first are the states.

        Raises:
            ValueError: for another `axis`, or what is no rotation.
        """
        if axis not in AXES:
            raise ValueError(
                f"Expected `axis` to be one of {', '.join(AXES)}; received axis={axis!r}"
            )
        turns = rotations.exp(SMALL_ANGLE * np.outer(np.arange(VIEWS), AXES[axis]))
        return turns @ as_rotations("states", states)[..., None, :, :]

    def traversal_action(self, axis: str) -> np.ndarray:
        """Returns the action (3, 3) from each view of a `traversal` to the next."""
        return rotations.exp(SMALL_ANGLE * np.array(AXES[axis]))
