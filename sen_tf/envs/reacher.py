"""Reacher: two links in a plane, driven by two torques, seen by a tilted camera.

It is Gymnasium's Reacher-v5 on MuJoCo with its goal fixed. A state holds two successive states of
the simulator, those of the two stacked images, (..., 2, 8), the earlier one first. Each of the
two is

    joint angles (2), goal (x, y), joint velocities (2), velocity of the goal (2)

in radians and metres, by the second. The goal lies still.

The group D4 turns and mirrors the arm and its goal about the first joint: a rotation adds to the
first angle; a reflection negates both torques, both velocities and the second angle, and mirrors
the first link. (Negating the first angle mirrors at the x axis: that is r^2 f of
`groups/actions.py`, whose f mirrors left and right.) Because the camera is tilted by 45 degrees,
turning the arm does not turn the image: that is what makes the symmetry unknown.

Source: Park et al., Learning Symmetric Embeddings for Equivariant World Models (ICML 2022), section
5; the simulator is Todorov et al., MuJoCo (IROS 2012).
"""

import functools
import os
from typing import Any

import gymnasium
import numpy as np

from sen_tf import groups
from sen_tf.envs.episode import EpisodeEnv
from sen_tf.envs.reacher_simulator import CAMERAS, LARGEST, Simulators

GOAL = (0.2, 0.2)  # metres
ANGLE_NOISE, VELOCITY_NOISE = 0.1, 0.005  # of Reacher-v5's first states, uniform about 0


class Reacher(EpisodeEnv):
    """The arm and its two stacked images; see the module's head for states and symmetry.

    Through Gymnasium it is one episode: `reset` draws a first state and takes `warm_up_steps`
    uniformly random steps, or takes `options={"state": state}`; rewards are 0 and it never ends.
    The methods named after states work on batches and leave the episode alone. Pickling makes new
    simulators, without the episode.

    Args:
        size: side of the images in pixels, from 1 to 400. A 3x3 window moved by 2 with padding
            "same" commutes with D4 on an odd number n of pixels only, and leaves (n + 1) / 2. The
            default 2^7 + 1 is halved to 65, 33, 17, 9, 5 and 3, all odd; no even size, such as the
            128 of the published code, can be halved even once.
        warm_up: torques of the warm-up of collected episodes: "policy", those of the episode, which
            where torques are limited leave the second joint at its stop; or "all".
        camera: "tilted" by 45 degrees, as Reacher-v5's, or "above": then turning the arm turns its
            image too, but for the light on the floor.
        workers: number of processes that simulate and draw, started when they are first needed;
            None for as many as there are cores. States and images do not depend on it.
        render_mode: None, or "rgb_array", with which `render()` returns the latest image.

    Attributes:
        group: D4, in the order and meaning of `groups/actions.py`.
        action_names: the box, (lowest, highest), of each named set of actions.
        warm_up_steps: steps between a first state and an episode.

    Raises:
        ValueError: for another `size`, `warm_up`, `camera`, `workers` or `render_mode`.
        gymnasium.error.DependencyNotInstalled: at the first state or image, where MuJoCo, or a
            library by which it draws without a screen, is missing. The environment variable
            MUJOCO_GL chooses that library; where it is not set, it is the first that works of EGL
            and OSMesa.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 50}
    name, version = "reacher", 1
    arguments = {
        "size": (
            "side of the images in pixels; 129 have the published networks, 2^k + 1 cheaper ones.",
            (),
        ),
        "warm_up": (
            "torques of the 50 steps before an episode: those of its policy, as published, or all.",
            ("policy", "all"),
        ),
    }
    group, objects, frames = groups.get("D4"), None, 2
    action_representation, start_names = "2 sign", ()
    action_names = {"second_nonnegative": ((-1.0, 0.0), (1.0, 1.0))}
    warm_up_steps = 50
    goal_error, goal_tolerance = "degrees from the goal", 10

    def __init__(
        self,
        size: int = 129,
        warm_up: str = "policy",
        camera: str = "tilted",
        workers: int | None = None,
        render_mode: str | None = None,
    ) -> None:
        workers = _cores() if workers is None else workers
        in_range = isinstance(size, int) and 1 <= size <= LARGEST
        _check("size", size, in_range, f"an integer from 1 to {LARGEST}")
        _check("warm_up", warm_up, warm_up in ("policy", "all"), "'policy' or 'all'")
        _check("camera", camera, camera in CAMERAS, " or ".join(map(repr, CAMERAS)))
        _check("workers", workers, isinstance(workers, int) and workers >= 1, "an integer above 0")
        super().__init__(render_mode)
        self.observation_space = gymnasium.spaces.Box(0, 255, (size, size, 6), np.uint8)
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32)
        self.warm_up = warm_up
        self._arguments: tuple[Any, ...] = size, camera, workers

    @functools.cached_property
    def _simulators(self):
        return Simulators(*self._arguments)

    def __getstate__(self) -> dict[str, Any]:
        """The state of a copy: all but the simulators, which each starts for itself."""
        return {name: value for name, value in vars(self).items() if name != "_simulators"}

    def close(self) -> None:
        """Ends the simulators, if any have begun."""
        if "_simulators" in vars(self):
            self._simulators.close()

    def _one_state(self, state):
        return _checked_states(np.asarray(state)[None])[0].copy()

    def _first_state(self):
        states = self.sample_states(self.np_random, 1)
        for action in self.np_random.uniform(-1, 1, (self.warm_up_steps, 1, 2)):
            states = self.step_states(states, action)
        return states[0]

    def _rgb(self, observation):
        return observation[..., 3:]

    def sample_states(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """Returns `n` first states of Reacher-v5, before any warm-up, float64 (n, 2, 8).

        Args:
            rng: a `numpy.random.Generator`.
            n: number of states.
        """
        states = np.zeros((n, 8))
        states[:, :2] = rng.uniform(-ANGLE_NOISE, ANGLE_NOISE, (n, 2))
        states[:, 2:4] = GOAL
        states[:, 4:6] = rng.uniform(-VELOCITY_NOISE, VELOCITY_NOISE, (n, 2))
        return np.stack([states, states], axis=1)

    def step_states(self, states: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """Returns the states after one action each, 0.02 s later.

        Args:
            states: numbers (n, 2, 8).
            actions: torques (n, 2) from -1 to 1.

        Returns:
            float64 array (n, 2, 8).

        Raises:
            ValueError: for other shapes or values.
        """
        states, actions = _checked_states(states), _checked_actions(actions)
        if actions.shape != (len(states), 2):
            raise ValueError(
                f"Expected `actions` to have shape ({len(states)}, 2), one pair for each state; "
                f"received shape {actions.shape}"
            )
        return np.stack([states[:, 1], self._simulators.step(states[:, 1], actions)], axis=1)

    def render_states(self, states: np.ndarray) -> np.ndarray:
        """Returns stacked images, uint8 (n, size, size, 6), of states (n, 2, 8).

        The same state of the simulator, in whichever place, is rendered once.

        Raises:
            ValueError: for other shapes.
        """
        states = _checked_states(states)
        distinct, where = np.unique(states.reshape(-1, 8), axis=0, return_inverse=True)
        images = self._simulators.draw(distinct[:, :4])
        return np.concatenate([images[which] for which in where.reshape(-1, 2).T], axis=-1)

    def goal_errors(self, states: np.ndarray, goals: np.ndarray) -> np.ndarray:
        """Returns the error (n,) of the worse joint of states (n, 2, 8), in degrees."""
        offsets = np.asarray(goals)[:, 1, :2] - np.asarray(states)[:, 1, :2]
        return np.degrees(np.abs((offsets + np.pi) % (2 * np.pi) - np.pi)).max(axis=-1)

    def transform(self, states: np.ndarray, g: int) -> np.ndarray:
        """Returns the states moved by element `g` of D4, float64.

        Angles are not reduced to one turn, so that the moved states of an episode are an episode.

        Args:
            states: numbers (..., 8).
            g: an element, 0 to 7.
        """
        matrix = groups.actions.vector_matrix(self.group, g)
        turn, sign = np.arctan2(matrix[1, 0], matrix[0, 0]), np.linalg.det(matrix).round()
        angles, goal, velocities, drift = np.split(np.asarray(states, float), 4, axis=-1)
        moved = sign * angles + (turn, 0), goal @ matrix.T, sign * velocities, drift @ matrix.T
        return np.concatenate(moved, axis=-1)

    def transform_action(self, actions: np.ndarray, g: int) -> np.ndarray:
        """Returns the torques (..., 2) of element `g` of D4: negated by reflections."""
        sign = np.linalg.det(groups.actions.vector_matrix(self.group, g)).round()
        actions = _checked_actions(actions)
        return actions * actions.dtype.type(sign)


def _check(name, value, valid, expected):
    if not valid:
        raise ValueError(f"Expected `{name}` to be {expected}; received {name}={value!r}")


def _cores():
    """The cores that this process may use, which in a container are not all there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def _checked_states(states):
    states = np.asarray(states, float)
    if states.ndim != 3 or states.shape[1:] != (2, 8):
        raise ValueError(
            f"Expected `states` to have shape (n, 2, 8); received shape {states.shape}"
        )
    return states


def _checked_actions(actions):
    actions = np.asarray(actions)
    if actions.dtype.kind != "f" or actions.shape[-1:] != (2,) or not (np.abs(actions) <= 1).all():
        raise ValueError(
            "Expected `actions` to be floating-point torques from -1 to 1 of shape (..., 2); "
            f"received {actions!r}"
        )
    return actions
