"""Rolls out a behaviour policy in an environment that has `reset` and `step` alone."""

from typing import Any

import gymnasium
import numpy as np

from sen_tf.envs import EnvLike, own

ATTEMPTS = 100
"""Tries at an episode, which is begun anew when it ends too early."""


class Stepper:
    """One episode after the other of an environment, each of the same number of steps.

    Episode k depends on the seed and k alone. One that the environment ends before its last step
    is begun anew, from another first state and with other actions.

    Args:
        env: A `gymnasium.Env` that observes images, uint8 (rows, columns, channels), or that draws
            them by `render`.
        policy: Distribution over actions, see `datasets.collect`.
        steps: Steps per episode.
        seed: Seed of first states and actions.
    """

    def __init__(self, env: EnvLike, policy: Any, steps: int, seed: int) -> None:
        self.env, self.policy, self.steps, self.seed = env, policy, steps, seed
        self.observes = is_image(env.observation_space)
        if not self.observes and env.render_mode != "rgb_array":
            raise ValueError(
                "Expected `env` to observe images, uint8 (rows, columns, channels), or to be made "
                "with render_mode='rgb_array'; received an environment of observations "
                f"{env.observation_space} and render_mode={env.render_mode!r}."
            )

    def episode(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Frames (T + 1, H, W, C) uint8 and actions (T,) int64 or (T, ...) float32 of an episode.

        Raises:
            ValueError: The environment ended all of `ATTEMPTS` episodes too early.
        """
        longest = 0
        for attempt in range(ATTEMPTS):
            frames, actions = self._attempt(
                np.random.SeedSequence(self.seed, spawn_key=(number, attempt))
            )
            if len(frames) == self.steps + 1:
                return np.stack(frames), actions
            longest = max(longest, len(frames) - 1)
        raise ValueError(
            f"Expected `steps` to be at most {longest}, as the environment ended each of "
            f"{ATTEMPTS} episodes by then; received steps={self.steps}."
        )

    def _attempt(self, sequence):
        """The frames until the episode ends or has all its steps, and actions for all of these."""
        first, *pair = (sequence.generate_state(3) >> 1).astype(np.int32)  # at least 0
        actions = np.asarray(self.policy.sample((self.steps,), seed=np.array(pair)))
        integer = np.issubdtype(actions.dtype, np.integer)
        actions = actions.astype(np.int64 if integer else np.float32)
        observation, _ = self.env.reset(seed=int(first))
        frames = [self._image(observation)]
        for action in actions:
            observation, _, terminated, truncated, _ = self.env.step(own.as_taken(self.env, action))
            frames.append(self._image(observation))
            if terminated or truncated:
                break
        return frames, actions

    def _image(self, observation):
        return np.array(observation if self.observes else self.env.render(), np.uint8)


def is_image(space: gymnasium.spaces.Space) -> bool:
    """True for a space of observations that are images, uint8 (rows, columns, channels)."""
    box = isinstance(space, gymnasium.spaces.Box) and space.dtype == np.uint8
    return box and len(space.shape) == 3
