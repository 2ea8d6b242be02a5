"""Pictures of a run: loss curves, the latent space, and what a rollout predicts."""

import pathlib

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from sen_tf import datasets

STRIPS = 4
CANDIDATES = 250
"""Episodes among whose frames the nearest to a prediction is looked for."""


def draw_model(latents, path, env, directory):
    """Draws the latent space and rollouts of a model; returns the files written.

    Args:
        latents: Computes `encode(images)` and `rollout(states, actions)` of it in batches.
        path: File of evaluation episodes.
        env: Name of the environment that the file must be of.
        directory: Where the pictures go.
    """
    directory = pathlib.Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    episodes = datasets.read_episodes(path, env, episodes=CANDIDATES, twins=False)
    count, times = episodes.observations.shape[:2]
    frames = episodes.observations.reshape(-1, *episodes.observations.shape[2:])
    states = latents.encode(frames)
    by_time = states.reshape(count, times, *states.shape[1:])
    predicted = latents.rollout(by_time[:, 0], episodes.actions)
    return [
        draw_latents(states, directory / "latents.png"),
        draw_rollouts(episodes.observations, by_time, predicted, directory / "rollouts.png"),
    ]


def draw_history(history, path):
    """Draws loss and skill against the transitions seen; returns the path.

    Args:
        history: One dict an epoch with `loss`, `skill`, `transitions` and, where there was a
            validation set, `val_loss`, `val_skill`.
        path: Where the picture goes.
    """
    figure = Figure(figsize=(9, 3.5), layout="constrained")
    seen = [row["transitions"] for row in history]
    for axes, name in zip(figure.subplots(1, 2), ("loss", "skill"), strict=True):
        for key, label in ((name, "training"), (f"val_{name}", "validation")):
            if key in history[0]:
                axes.plot(seen, [row[key] for row in history], label=label)
        axes.set(xlabel="transitions seen", ylabel=name)
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    figure.axes[1].set_ylim(-0.2, 1.02)
    figure.axes[1].set_title("0: nothing moves, 1: perfect", fontsize=9)
    return _save(figure, path)


def draw_latents(states, path):
    """Draws each object's latent states, projected on their two main axes; returns the path.

    Args:
        states: Latent states `(N, objects, ...)`; for a grid world each object's states should
            form the grid.
        path: Where the picture goes.
    """
    objects = states.shape[1]
    figure = Figure(figsize=(2.6 * objects, 2.9), layout="constrained")
    for index, axes in enumerate(figure.subplots(1, objects, squeeze=False)[0]):
        points = states[:, index].reshape(len(states), -1)
        points = points - points.mean(axis=0)
        _, sizes, directions = np.linalg.svd(points, full_matrices=False)
        x, y = (points @ directions[:2].T).T
        axes.scatter(x, y, s=2, alpha=0.2, linewidths=0)
        share = (sizes[:2] ** 2).sum() / max((sizes**2).sum(), 1e-12)
        axes.set(title=f"object {index}: {share:.0%} of variance", aspect="equal")
        axes.tick_params(labelsize=6)
    return _save(figure, path)


def draw_rollouts(frames, states, predicted, path):
    """Draws true frames above the frames whose states are nearest to the predicted ones.

    Args:
        frames: `(N, T + 1, H, W, C)` uint8.
        states: Their latent states `(N, T + 1, ...)`.
        predicted: Predicted states `(N, T, ...)` of times 1 to T.
        path: Where the picture goes. Green frames around a prediction say that it found its own
            episode among the N, red ones that another was nearer.
    """
    times = frames.shape[1]
    figure = Figure(figsize=(times, 2.2 * STRIPS), layout="constrained")
    grid = figure.subplots(2 * STRIPS, times, squeeze=False)
    for strip in range(STRIPS):
        for time in range(times):
            above, below = grid[2 * strip, time], grid[2 * strip + 1, time]
            _show(above, frames[strip, time], "0.7")
            if time == 0:
                below.axis("off")
                below.text(0.5, 0.5, "predicted", ha="center", va="center", fontsize=8)
                continue
            difference = states[:, time] - predicted[strip, time - 1]
            distance = np.square(difference).reshape(len(states), -1).sum(axis=1)
            nearest = int(distance.argmin())
            same = np.array_equal(frames[nearest, time], frames[strip, time])
            _show(below, frames[nearest, time], "tab:green" if same else "tab:red")
    for time in range(times):
        grid[0, time].set_title(f"t = {time}", fontsize=8)
    return _save(figure, path)


def _show(axes, image, colour):
    axes.imshow(image, interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set(color=colour, linewidth=2)


def _save(figure, path):
    FigureCanvasAgg(figure).print_png(path)
    return path
