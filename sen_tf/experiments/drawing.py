"""The figures of a world model on episodes: its latent space, rollouts and traversals."""

import pathlib
from collections.abc import Callable, Sequence

import gymnasium
import numpy as np

from sen_tf import datasets, figures
from sen_tf.datasets import Episodes
from sen_tf.envs import EnvLike, own
from sen_tf.training import runs, scoring

FIGURES = ("latents.png", "rollouts.png", "traversals.png")
"""The files that `draw` writes, the last for the Teapot alone."""
LONGEST = 10
"""Steps of an episode that are drawn, at most."""


def draw(
    latents: scoring.Latents,
    read: Callable[..., Episodes],
    env: EnvLike,
    directory: pathlib.Path,
    unseen: Sequence[str] = (),
) -> list[pathlib.Path]:
    """Draws the figures of a model into `figures` of a run's directory, and shows them in its
    TensorBoard.

    Args:
        latents, read, env: As in `scoring.evaluate`.
        directory: The run's directory.
        unseen: Names of actions that training did not have.

    Returns:
        The files written.
    """
    folder = directory / "figures"
    folder.mkdir(parents=True, exist_ok=True)
    episodes = _read_candidates(read)
    states, predicted = imagine(latents, episodes.observations, episodes.actions)
    names = action_names(env, episodes.actions)
    drawn = [
        _draw_latents(latents, env, states, predicted, folder / "latents.png"),
        figures.draw_rollouts(
            episodes.observations, states, predicted, folder / "rollouts.png", names, unseen
        ),
    ]
    if hasattr(env, "traversal"):
        start = env.sample_states(np.random.default_rng(0), 1)
        traversals = [scoring.traverse(latents, env, start, axis) for axis in env.traversal_axes]
        views, predicted = (np.concatenate(parts) for parts in zip(*traversals, strict=True))
        file = folder / "traversals.png"
        axes = tuple(env.traversal_axes)
        drawn.append(figures.draw_frames_along_traversal(views, predicted, file, axes))
    runs.log_figures(directory, drawn)
    return drawn


def look(
    latents: scoring.Latents, read: Callable[..., Episodes], env: EnvLike
) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """A quick look at a model in training: the numbers of `scoring.look`, and an image.

    Args:
        latents, read, env: As in `scoring.evaluate`; a few episodes are read.

    Returns:
        Two dicts: numbers, and an image `(rows, columns, 3)` of true images above the ones whose
        states are nearest to the predicted ones.
    """
    episodes = _read_candidates(read, scoring.LOOKED_AT)
    states, predicted = imagine(latents, episodes.observations, episodes.actions)
    nearest = figures.nearest_images(episodes.observations, states, predicted)
    true = episodes.observations[: len(nearest), 1:]
    return scoring.look(latents, read, env), {"rollouts": figures.montage(true, nearest)}


def action_names(env: EnvLike, actions: np.ndarray) -> list[list[str]] | None:
    """The names of actions `(N, T)`, a list of lists, or None where they are not numbers.

    A number that the environment has no name for is its own.
    """
    if not isinstance(env.action_space, gymnasium.spaces.Discrete):
        return None
    names = {n: name for name in env.action_names for n in own.named(env, name)}
    return [
        [names.get(n, str(own.as_taken(env, n))) for n in row]
        for row in actions[:, :LONGEST].tolist()
    ]


def imagine(
    latents: scoring.Latents, frames: np.ndarray, actions: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """States `(N, T + 1, ...)` of frames, and those predicted from the first `(N, T, ...)`."""
    count, times = frames.shape[:2]
    states = latents.encode(frames.reshape(-1, *frames.shape[2:]))
    by_time = states.reshape(count, times, *states.shape[1:])
    return by_time, latents.rollout(by_time[:, 0], actions[:, : times - 1])


def _draw_latents(latents, env, states, predicted, path):
    """Draws the latent states; those of episodes whose positions are known, where they can be."""
    positions = None
    if env.objects is not None and hasattr(env, "positions") and hasattr(env, "step_states"):
        blocks = list(datasets.collect(env, episodes=COLOURED, steps=LONGEST, seed=0))
        frames, actions, at = (
            np.concatenate([getattr(block, name) for block in blocks])
            for name in ("observations", "actions", "states")
        )
        positions = env.positions(at.reshape(-1, *at.shape[2:])).reshape(*at.shape[:2], -1, 2)
        states, predicted = imagine(latents, frames, actions)
    return figures.draw_latents(states, predicted, path, env.group, env.objects, positions)


COLOURED = 192
"""Episodes whose states are drawn in the colours of their positions."""
CANDIDATES = 250
"""Episodes among whose frames the nearest to a prediction is looked for, if they are small."""
CANDIDATE_BYTES = 2**27
"""Memory that the frames of more than `figures.STRIPS` episodes may take, in bytes."""


def _read_candidates(read, most=CANDIDATES):
    """The first episodes and steps, no more than `most` and `CANDIDATE_BYTES` allow."""
    one = read(episodes=1, steps=(0,))
    times = range(min(one.actions.shape[1], LONGEST) + 1)
    count = max(figures.STRIPS, CANDIDATE_BYTES // (one.observations.nbytes * len(times)))
    return read(episodes=min(most, count), steps=times)
