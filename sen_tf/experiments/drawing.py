"""The figures of a world model on episodes: its latent space, rollouts and traversals."""

import numpy as np

from sen_tf import datasets, figures
from sen_tf.training import runs, scoring

FIGURES = ("latents.png", "rollouts.png", "traversals.png")
"""The files that `draw` writes, the last for the Teapot alone."""


def draw(latents, path, name, env, directory):
    """Draws the figures of a model into `figures` of a run's directory, and shows them in its
    TensorBoard.

    Args:
        latents, path, name, env: As in `scoring.evaluate`.
        directory: The run's directory.

    Returns:
        The files written.
    """
    folder = directory / "figures"
    folder.mkdir(parents=True, exist_ok=True)
    episodes = _read_candidates(path, name)
    count, times = episodes.observations.shape[:2]
    frames = episodes.observations.reshape(-1, *episodes.observations.shape[2:])
    states = latents.encode(frames)
    by_time = states.reshape(count, times, *states.shape[1:])
    predicted = latents.rollout(by_time[:, 0], episodes.actions)
    drawn = [
        figures.draw_latents(by_time, predicted, folder / "latents.png", env.group, env.objects),
        figures.draw_rollouts(episodes.observations, by_time, predicted, folder / "rollouts.png"),
    ]
    if hasattr(env, "traversal"):
        start = env.sample_states(np.random.default_rng(0), 1)
        traversals = [scoring.traverse(latents, env, start, axis) for axis in env.traversal_axes]
        views, predicted = (np.concatenate(parts) for parts in zip(*traversals, strict=True))
        file = folder / "traversals.png"
        names = tuple(env.traversal_axes)
        drawn.append(figures.draw_frames_along_traversal(views, predicted, file, names))
    runs.log_figures(directory, drawn)
    return drawn


CANDIDATES = 250
"""Episodes among whose frames the nearest to a prediction is looked for, if they are small."""
CANDIDATE_BYTES = 2**27
"""Memory that the frames of more than `figures.STRIPS` episodes may take, in bytes."""


def _read_candidates(path, name):
    """The first episodes of a file, no more than `CANDIDATES` and `CANDIDATE_BYTES` allow."""
    one = datasets.read_episodes(path, name, episodes=1)
    count = max(figures.STRIPS, CANDIDATE_BYTES // one.observations.nbytes)
    return datasets.read_episodes(path, name, episodes=min(CANDIDATES, count))
