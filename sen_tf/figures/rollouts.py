"""Figures of a run: loss curves, the latent space, and what a rollout predicts.

Of stacked frames, the channels of which are those of several images, the last image is shown.
"""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter
from PIL import Image

STRIPS = 4
COLUMNS = 8
"""Frames up to which strips of short episodes are drawn side by side."""
ANIMATED_PIXELS = 150
"""About how high a frame of an animation is."""


def draw_history(history, path):
    """Draws loss and skill against the transitions seen; returns the path.

    Args:
        history: One dict per epoch with `loss`, `skill`, `transitions` and, where there was a
            validation set, `val_loss`, `val_skill`.
        path: Where the figure goes.
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
    figure.savefig(path)
    return path


def draw_rollouts(frames, states, predicted, path):
    """Draws true frames above the frames whose states are nearest to the predicted ones.

    Args:
        frames: `(N, T + 1, H, W, C)` uint8.
        states: Their latent states `(N, T + 1, ...)`.
        predicted: Predicted states `(N, T, ...)` of times 1 to T.
        path: Where the figure goes. Green frames around a prediction say that it found its own
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
        path: Where the figure goes.
    """
    return _draw_strips(frames[:STRIPS], decoded[:STRIPS, 1:], path, "decoded\nprediction")


def animate(frames, decoded, path):
    """Writes a GIF of true frames above decoded predictions, episodes side by side.

    Args:
        frames, decoded, path: As in `draw_decoded`.
    """
    both = np.concatenate([_rgb(frames), _rgb(decoded)], axis=2)  # one above the other
    scale = max(1, ANIMATED_PIXELS // frames.shape[2])
    wide = np.concatenate(list(both), axis=2).repeat(scale, axis=1).repeat(scale, axis=2)
    first, *others = [Image.fromarray(image) for image in wide]
    first.save(path, save_all=True, append_images=others, duration=500, loop=0)
    return path


def _draw_strips(above, below, path, label, mark=False):
    """Strips of frames `(n, T + 1, ...)` with images `(n, T, ...)` of times 1 to T below them.

    With `mark`, green frames around images that equal the ones above, and red ones around others.
    """
    strips, times = above.shape[:2]
    beside = max(1, min(strips, COLUMNS // times))
    rows = -(-strips // beside)
    figure = Figure(figsize=(beside * times, 2.2 * rows), layout="constrained")
    grid = figure.subplots(2 * rows, beside * times, squeeze=False)
    for axes in grid.flat:
        axes.axis("off")
    for strip in range(strips):
        row, column = divmod(strip, beside)
        upper, lower = grid[2 * row : 2 * row + 2, column * times : (column + 1) * times]
        lower[0].text(0.5, 0.5, label, ha="center", va="center", fontsize=8)
        for time in range(times):
            _show(upper[time], above[strip, time], "0.7")
            if row == 0:
                upper[time].set_title(f"t = {time}", fontsize=8)
        for time in range(1, times):
            image = below[strip, time - 1]
            same = np.array_equal(image, above[strip, time])
            colour = ("tab:green" if same else "tab:red") if mark else "0.7"
            _show(lower[time], image, colour)
    figure.savefig(path)
    return path


def _rgb(frames):
    """The RGB image `(..., H, W, 3)` in frames `(..., H, W, C)`: the last one, or a grey one."""
    return np.broadcast_to(frames[..., -3:], (*frames.shape[:-1], 3))


def _show(axes, image, colour):
    axes.axis("on")
    axes.imshow(_rgb(image))
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set(color=colour, linewidth=2)
