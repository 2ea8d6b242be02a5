"""One episode through Gymnasium, of an environment that works on batches of states."""

from collections.abc import Callable, Sequence
from typing import Any

import gymnasium
import numpy as np


class EpisodeEnv(gymnasium.Env):
    """`reset`, `step` and `render` in terms of the methods named after states.

    Subclasses have `sample_states`, `step_states` and `render_states`, and say in `_one_state` what
    state a user may start from. Rewards are 0 and an episode never ends, unless they say otherwise
    in `_outcome`.

    Args:
        render_mode: None, or "rgb_array", with which `render()` returns the image.

    Raises:
        ValueError: for another `render_mode`.
    """

    sample_states: Callable[..., np.ndarray]
    step_states: Callable[..., np.ndarray]
    render_states: Callable[..., np.ndarray]
    _one_state: Callable[..., np.ndarray]
    action_names: dict[str, Any]
    start_names: Sequence[str]
    arguments: dict[str, Any]
    metadata = {"render_modes": ["rgb_array"], "render_fps": 4}

    def __init__(self, render_mode: str | None = None) -> None:
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise ValueError(
                "Expected `render_mode` to be None or 'rgb_array'; "
                f"received render_mode={render_mode!r}"
            )
        self.render_mode = render_mode
        self._state: Any = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Starts an episode, at `options["state"]` if given.

        Returns:
            The observation and {"state": the state}.
        """
        super().reset(seed=seed)
        if options and "state" in options:
            self._state = self._one_state(options["state"])
        else:
            self._state = self._first_state()
        return self._observe()

    def step(
        self, action: int | np.ndarray
    ) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Takes one action.

        Returns:
            The observation, the reward, whether the episode ends, False, and {"state": the state}.
        """
        if self._state is None:
            raise gymnasium.error.ResetNeeded("Call `reset` before the first `step`.")
        self._state = self.step_states(self._state[None], self._one_action(action)[None])[0]
        observation, info = self._observe()
        reward, ends = self._outcome()
        return observation, reward, ends, False, info

    def render(self) -> np.ndarray | None:
        """Returns the image, uint8 (rows, columns, 3); None where `render_mode` is None."""
        if self.render_mode is None:
            return None
        if self._state is None:
            raise gymnasium.error.ResetNeeded("Call `reset` before the first `render`.")
        return self._rgb(self._observe()[0])

    def _one_action(self, action):
        return np.asarray(action)

    def _first_state(self):
        return self.sample_states(self.np_random, 1)[0]

    def _outcome(self):
        """The reward of the step that led here, and whether the episode ends."""
        return 0.0, False

    def _rgb(self, observation):
        return observation

    def _observe(self):
        return self.render_states(self._state[None])[0], {"state": self._state.copy()}


class SeenEnv(EpisodeEnv):
    """An `EpisodeEnv` whose observation is its state; images are drawn by `render` alone."""

    def _observe(self):
        return self._state.copy(), {"state": self._state.copy()}

    def _rgb(self, observation):
        return self.render_states(observation[None])[0]


def finite(name: str, value: Any, shape: Sequence[int] | None) -> np.ndarray:
    """The value as float64 numbers of a shape, a copy.

    Raises:
        ValueError: For another shape, or numbers that are not finite. It names the value.
    """
    numbers = np.array(value, float)
    if numbers.shape != shape or not np.isfinite(numbers).all():
        raise ValueError(
            f"Expected {name} to be finite numbers of shape {shape}; received {value!r}"
        )
    return numbers
