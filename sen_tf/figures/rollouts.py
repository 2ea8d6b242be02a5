"""Figures of a run: loss curves, and what a rollout predicts.

Of stacked frames, the channels of which are those of several images, the last image is shown.
"""

import itertools
import pathlib
from collections.abc import Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import EngFormatter
from PIL import Image, ImageDraw, ImageFont

from sen_tf.figures.strips import Strips, as_rgb

STRIPS = 4
COLUMNS = 8
"""Frames up to which strips of short episodes are drawn side by side."""
ANIMATED_PIXELS = 150
"""About how high a frame of an animation is."""


def draw_history(history: Sequence[dict[str, float]], path: pathlib.Path) -> pathlib.Path:
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
                axes.plot(seen, [row[key] for row in history], ".-", label=label)
        axes.set(xlabel="transitions seen", ylabel=name)
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    figure.axes[1].set_ylim(-0.2, 1.02)
    figure.axes[1].set_title("0: nothing moves, 1: perfect", fontsize=9)
    figure.savefig(path)
    return path


def nearest_images(
    frames: np.ndarray, states: np.ndarray, predicted: np.ndarray, strips: int = STRIPS
) -> np.ndarray:
    """Images whose states are nearest to the predicted ones, out of all episodes at each time.

    Args:
        frames: `(N, T + 1, H, W, C)` uint8.
        states: Their latent states `(N, T + 1, ...)`.
        predicted: Predicted states `(N, T, ...)` of times 1 to T.
        strips: Of how many episodes, the first ones.

    Returns:
        Images `(strips, T, H, W, C)` uint8.
    """
    strips = min(strips, len(frames))
    nearest = np.empty((strips, frames.shape[1] - 1), int)
    for strip, time in np.ndindex(nearest.shape):
        difference = states[:, time + 1] - predicted[strip, time]
        distance = np.square(difference).reshape(len(states), -1).sum(axis=1)
        nearest[strip, time] = distance.argmin()
    return frames[nearest, np.arange(1, frames.shape[1])]


def draw_rollouts(
    frames: np.ndarray,
    states: np.ndarray,
    predicted: np.ndarray,
    path: pathlib.Path,
    actions: Sequence[Sequence[str]] | None = None,
    unseen: Sequence[str] = (),
) -> pathlib.Path:
    """Draws true images above the ones whose states are nearest to the predicted ones.

    Args:
        frames: `(N, T + 1, H, W, C)` uint8.
        states: Their latent states `(N, T + 1, ...)`.
        predicted: Predicted states `(N, T, ...)` of times 1 to T.
        path: Where the figure goes; it is returned. Green frames around a prediction say that it
            found the true image among the N, red ones that another was nearer.
        actions: Names of the actions `(N, T)`, which stand above the images they lead to; or None.
        unseen: Names of actions that training did not have, which are marked.
    """
    shown = nearest_images(frames, states, predicted)
    return draw_comparison(frames, {"nearest to\nprediction": shown}, path, actions, unseen)


def draw_comparison(
    frames: np.ndarray,
    found: dict[str, np.ndarray],
    path: pathlib.Path,
    actions: Sequence[Sequence[str]] | None = None,
    unseen: Sequence[str] = (),
) -> pathlib.Path:
    """Draws true images above what several models found nearest to their predictions.

    Args:
        frames: `(N, T + 1, H, W, C)` uint8.
        found: Dict from the name of each model to its `nearest_images` `(n, T, ...)`.
        path, actions, unseen: As in `draw_rollouts`; the path is returned.
    """
    strips = min(map(len, found.values()))
    return _draw_strips(frames[:strips], found, path, actions, unseen, mark=True)


def draw_decoded(
    frames: np.ndarray,
    decoded: np.ndarray,
    path: pathlib.Path,
    actions: Sequence[Sequence[str]] | None = None,
    unseen: Sequence[str] = (),
) -> pathlib.Path:
    """Draws true images above decoded predictions of them; returns the path.

    Args:
        frames: `(N, T + 1, H, W, C)` uint8.
        decoded: Images of the predicted states of times 0 to T, of the same shape and type.
        path: Where the figure goes.
        actions, unseen: As in `draw_rollouts`.
    """
    rows = {"imagined": decoded[:STRIPS, 1:]}
    return _draw_strips(frames[:STRIPS], rows, path, actions, unseen)


def montage(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """One image of strips of images `(n, T, H, W, C)`, those of `below` under those of `above`.

    Returns:
        `(2 n H, T W, 3)` uint8.
    """
    both = np.stack([as_rgb(above), as_rgb(below)], axis=1)  # (n, 2, T, H, W, 3)
    rows = both.transpose(0, 1, 3, 2, 4, 5)
    return rows.reshape(2 * len(above) * above.shape[2], -1, 3)


def animate(
    frames: np.ndarray,
    decoded: np.ndarray,
    path: pathlib.Path,
    actions: Sequence[Sequence[str]] | None = None,
    unseen: Sequence[str] = (),
) -> pathlib.Path:
    """Writes a GIF of true images above decoded predictions, episodes side by side.

    Args:
        frames, decoded, path, actions, unseen: As in `draw_decoded`. The name of an action is
            shown with the image that it leads to.
    """
    both = np.concatenate([as_rgb(frames), as_rgb(decoded)], axis=2)  # one above the other
    scale = max(1, ANIMATED_PIXELS // frames.shape[2])
    wide = np.concatenate(list(both), axis=2).repeat(scale, axis=1).repeat(scale, axis=2)
    high, across = (scale * side for side in frames.shape[2:4])
    first, *others = [
        _with_words(image, time, high, across, actions, unseen) for time, image in enumerate(wide)
    ]
    first.save(path, save_all=True, append_images=others, duration=700, loop=0)
    return path


MARGIN = (78, 20)
"""Pixels to the left of an animation's images and above them, for words."""
UNSEEN = "#d95f02"
"""Colour of an action that training did not have."""


def _with_words(image, time, high, across, actions, unseen):
    """An image of an animation with its rows named and the actions that led there above it."""
    left, top = MARGIN
    canvas = Image.new("RGB", (image.shape[1] + left, image.shape[0] + top), "white")
    canvas.paste(Image.fromarray(image), MARGIN)
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(13)
    for row, name in enumerate(("true", "imagined")):
        draw.text((6, top + (row + 0.5) * high), name, "black", font, anchor="lm")
    draw.text((6, top / 2), f"t = {time}", "black", font, anchor="lm")
    for episode, names in enumerate(() if actions is None or not time else actions):
        name = names[time - 1]
        colour = UNSEEN if name in unseen else "black"
        draw.text((left + (episode + 0.5) * across, top / 2), name, colour, font, anchor="mm")
        if name in unseen:
            box = [left + episode * across, top, left + (episode + 1) * across - 1, canvas.height]
            draw.rectangle(box, outline=UNSEEN, width=2)
    return canvas


def _draw_strips(above, below, path, actions, unseen, mark=False):
    """Strips of images `(n, T + 1, ...)` with rows of images `(n, T, ...)` of times 1 to T below.

    With `mark`, green frames around images that equal the ones above, and red ones around others.
    """
    number, times = above.shape[:2]
    beside = max(1, min(number, COLUMNS // times))
    strips = Strips(beside * times, above.shape[2:])
    for first in range(0, number, beside):
        shown = range(first, min(first + beside, number))
        captions = []
        for strip, time in itertools.product(shown, range(times)):
            title = f"t = {time}" if first == 0 else ""
            taken = "" if actions is None or time == 0 else actions[strip][time - 1]
            words = f"{title}\n{taken}" if time else f"true\n{title}"
            captions.append((words.strip("\n"), UNSEEN if taken in unseen else "black"))
        strips.add([image for strip in shown for image in above[strip]], captions=captions)
        for name, images in below.items():
            cells = [cell for strip in shown for cell in (name, *images[strip])]
            colours = [
                colour for strip in shown for colour in ("", *_marks(above, images, strip, mark))
            ]
            strips.add(cells, colours)
    room = _explain(strips, mark, unseen if actions is not None else ())
    return strips.save(path, room)


def _marks(above, images, strip, mark):
    """Colours of the frames of a strip of images of times 1 to T."""
    if not mark:
        return ["0.7"] * len(images[strip])
    pairs = zip(images[strip], above[strip, 1:], strict=True)
    return [FOUND if np.array_equal(image, true) else OTHER for image, true in pairs]


LEGEND = 2.4
"""The width of the longest entry of a legend, inches."""
FOUND, OTHER = "tab:green", "tab:red"


def _explain(strips, mark, unseen):
    """Draws a legend of marks and of actions that training did not have; returns its height."""
    handles: list[Artist] = []
    if mark:
        words = {FOUND: "its own image is nearest", OTHER: "another image is nearer"}
        handles += [
            Patch(facecolor="white", edgecolor=colour, linewidth=2, label=label)
            for colour, label in words.items()
        ]
    if unseen:
        label = f"never in training: {', '.join(unseen)}"
        handles.append(Line2D([], [], linestyle="", marker="s", color=UNSEEN, label=label))
    if not handles:
        return 0.0
    beside = max(1, min(len(handles), int(strips.width / LEGEND)))
    strips.figure.legend(
        handles=handles, loc="outside lower center", ncols=beside, frameon=False, fontsize=8
    )
    return 0.1 + 0.2 * -(-len(handles) // beside)
