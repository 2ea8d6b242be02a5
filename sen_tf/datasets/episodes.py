"""Episodes in memory: read from files, or made of arrays."""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np

from sen_tf.datasets.members import DatasetError, Problem
from sen_tf.datasets.source import as_actions
from sen_tf.envs import ENVS, EnvLike

ALIGNMENT = 64
"""Bytes: memory that starts on a multiple of it TensorFlow uses without a copy."""


@dataclasses.dataclass(frozen=True)
class Episodes:
    """E episodes of T steps, in memory.

    observations: (E, len(steps), H, W, C) uint8, the frames at the times `steps`.
    actions: (E, T) int64, or (E, T, ...) float32; finite.
    twins: the group element of each twin in the file, counted from 1: its number, or a matrix; none
        of what is chosen in memory, since twins can be read of the file alone.
    env: name of the environment; None if the file does not say.
    attrs: the file's attributes, `settings` decoded; none of a file that is not ours.
    steps: the times of the frames, all of 0, ..., T unless some were chosen on reading.
    """

    observations: np.ndarray
    actions: np.ndarray
    twins: dict[int, int | np.ndarray]
    env: str | None
    attrs: dict
    steps: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.actions)

    def __repr__(self) -> str:
        arrays = {"observations": self.observations, "actions": self.actions}
        shown = ", ".join(f"{name}: {x.shape} {x.dtype}" for name, x in arrays.items())
        return f"Episodes({shown}, env: {self.env})"

    @classmethod
    def from_arrays(
        cls,
        observations: np.ndarray,
        actions: np.ndarray,
        next_observations: np.ndarray | None = None,
        env: str | None = None,
    ) -> "Episodes":
        """Episodes of arrays, which are checked.

        Args:
            observations: images (E, T + 1, H, W, C) uint8, one more than there are steps; or, with
                `next_observations`, those before each of N transitions, (N, H, W, C).
            actions: (E, T) whole numbers, or (E, T, d) numbers; of transitions (N,) or (N, d).
            next_observations: images (N, H, W, C) uint8 after each transition, or None.
            env: name of the environment, or None.

        Raises:
            ValueError: shapes or types are others, or actions are not finite.
        """
        observations, actions = np.asarray(observations), np.asarray(actions)
        if next_observations is not None:
            pair = (observations, np.asarray(next_observations))
            if pair[0].shape != pair[1].shape:
                raise ValueError(
                    "Expected `next_observations` to have the shape of `observations`, "
                    f"{pair[0].shape}; received shape {pair[1].shape}."
                )
            observations, actions = np.stack(pair, axis=1), actions[:, None]
        check_frames(observations, actions)
        try:
            actions = as_actions(actions)
        except Problem as problem:
            raise ValueError(
                f"Expected `actions` to be finite numbers; received: {problem}."
            ) from problem
        steps = tuple(range(observations.shape[1]))
        return cls(observations, actions, {}, env, {}, steps)

    def select(
        self,
        steps: Sequence[int] | None = None,
        episodes: int | None = None,
        twin: int | None = None,
    ) -> "Episodes":
        """The first `episodes` with the frames at the times `steps`, as `read_episodes` of a file.

        Args:
            steps: times of the frames, out of those that are in memory; None for all of these.
            episodes: how many to keep; None, or more than there are, for all.
            twin: None, since twins lie in files alone.

        Raises:
            ValueError: `twin` is given, or the frames of a time are not in memory.
        """
        if twin is not None:
            raise ValueError(f"Expected `twin` to be None, of episodes in memory; received {twin}.")
        times = self.steps if steps is None else tuple(steps)
        if not set(times) <= set(self.steps):
            raise ValueError(
                f"Expected `steps` to be of the times in memory, {self.steps}; received "
                f"steps={times}."
            )
        places = [self.steps.index(time) for time in times]
        return dataclasses.replace(
            self,
            observations=self.observations[:episodes][:, places],
            actions=self.actions[:episodes],
            twins={},
            steps=times,
        )

    def take(self, index: np.ndarray) -> "Episodes":
        """A copy of the episodes of these numbers, (n,) int."""
        return dataclasses.replace(
            self, observations=self.observations[index], actions=self.actions[index], twins={}
        )


def check_frames(observations: np.ndarray, actions: np.ndarray) -> None:
    """Raises a ValueError unless arrays have the shapes and types that episodes have."""
    shape = observations.shape
    if observations.dtype != np.uint8 or observations.ndim != 5 or 0 in shape:
        raise ValueError(
            "Expected `observations` to be uint8 images (episodes, steps + 1, rows, columns, "
            f"channels); received {observations.dtype} of shape {shape}."
        )
    expected = (shape[0], shape[1] - 1)
    if actions.dtype.kind not in "iuf" or actions.shape[:2] != expected or shape[1] < 2:
        raise ValueError(
            f"Expected `actions` to be numbers of shape {(*expected, '...')}, one per step; "
            f"received {actions.dtype} of shape {actions.shape}."
        )


def checked_steps(steps: Sequence[int] | None, times: int) -> tuple[int, ...]:
    """The times of frames to keep, out of `times` of them; a `Problem` if one is not there."""
    if steps is None:
        return tuple(range(times))
    if min(steps) < 0 or max(steps) >= times:
        raise Problem(
            f"it has {times - 1} steps per episode, expected times {tuple(steps)} "
            f"(generate with --steps={max(steps)})"
        )
    return tuple(steps)


def check_episodes(episodes: Episodes, env: EnvLike, path: str | pathlib.Path) -> None:
    """Raises a `DatasetError` unless images and actions are those of the environment."""
    expected, came = env.observation_space.shape, episodes.observations.shape[2:]
    if came != expected:
        raise DatasetError(f"Cannot use {path}: its images are {came}, not {expected}.")
    space, actions = env.action_space, episodes.actions
    if isinstance(space, gymnasium.spaces.Discrete):
        kind, lowest, highest = "i", 0, space.n - 1
        expected = f"numbers {lowest}..{highest}"
    else:
        kind, lowest, highest = "f", space.low, space.high
        expected = f"of shape {space.shape}, from {lowest.min()} to {highest.max()}"
    like = actions.dtype.kind == kind and actions.shape[2:] == space.shape
    if not (like and ((lowest <= actions) & (actions <= highest)).all()):
        raise DatasetError(f"Cannot use {path}: its actions are not {expected}.")


def arguments_told(attrs: Mapping[str, Any], env: str | None) -> dict[str, Any]:
    """The arguments with which the environment `env` was made, as far as attributes tell them."""
    told = attrs.get("settings")
    if env not in ENVS or not isinstance(told, dict):
        return {}
    return {name: told[name] for name in ENVS[env].arguments if name in told}
