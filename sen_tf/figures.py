"""Pictures of a run: loss curves, the latent space, and what a rollout predicts."""

import pathlib

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter
from PIL import Image

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
    episodes = datasets.read_episodes(path, env, episodes=CANDIDATES)
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
    nearest = np.empty((STRIPS, frames.shape[1] - 1), int)
    for strip, time in np.ndindex(nearest.shape):
        difference = states[:, time + 1] - predicted[strip, time]
        distance = np.square(difference).reshape(len(states), -1).sum(axis=1)
        nearest[strip, time] = distance.argmin()
    shown = frames[nearest, np.arange(1, frames.shape[1])]
    return _draw_strips(frames[:STRIPS], shown, path, "nearest to\nprediction", mark=True)


def draw_decoded(frames, decoded, path):
    """Draws true frames above decoded predictions of them; returns the path.

    Args:
        frames: `(N, T + 1, H, W, C)` uint8.
        decoded: Images of the predicted states of times 0 to T, of the same shape and type.
        path: Where the picture goes.
    """
    return _draw_strips(frames[:STRIPS], decoded[:STRIPS, 1:], path, "decoded\nprediction")


def animate(frames, decoded, path):
    """Writes a GIF of true frames above decoded predictions, episodes side by side.

    Args:
        frames, decoded, path: As in `draw_decoded`.
    """
    both = np.concatenate([frames, decoded], axis=2)  # one above the other
    wide = np.concatenate(list(both), axis=2).repeat(3, axis=1).repeat(3, axis=2)
    pictures = [Image.fromarray(image) for image in wide]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=500, loop=0)
    return path


def _draw_strips(above, below, path, label, mark=False):
    """Strips of frames `(n, T + 1, ...)` with images `(n, T, ...)` of times 1 to T below them.

    With `mark`, green frames around images that equal the ones above, and red ones around others.
    """
    strips, times = above.shape[:2]
    figure = Figure(figsize=(times, 2.2 * strips), layout="constrained")
    grid = figure.subplots(2 * strips, times, squeeze=False)
    for strip in range(strips):
        blank = grid[2 * strip + 1, 0]
        blank.axis("off")
        blank.text(0.5, 0.5, label, ha="center", va="center", fontsize=8)
        for time in range(times):
            _show(grid[2 * strip, time], above[strip, time], "0.7")
        for time in range(1, times):
            image = below[strip, time - 1]
            same = np.array_equal(image, above[strip, time])
            colour = ("tab:green" if same else "tab:red") if mark else "0.7"
            _show(grid[2 * strip + 1, time], image, colour)
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
