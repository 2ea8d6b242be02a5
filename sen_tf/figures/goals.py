"""Figures of goal images: what was reached, beside what was to be reached."""

import pathlib
from collections.abc import Sequence

import numpy as np
from PIL import Image

from sen_tf.figures.rollouts import ANIMATED_PIXELS, FOUND, OTHER
from sen_tf.figures.strips import Strips, as_rgb

TASKS = 6
"""Tasks that are drawn."""
BETWEEN = 4
"""Frames between the first and the last that are drawn of each."""


def draw_goals(
    frames: Sequence[np.ndarray], goals: np.ndarray, reached: np.ndarray, path: pathlib.Path
) -> pathlib.Path:
    """Draws a row per task: start, some frames on the way, the last, and the goal.

    Args:
        frames: The images of every time, arrays `(tasks, H, W, C)` uint8.
        goals: Goal images `(tasks, H, W, C)` uint8.
        reached: Whether each was reached, `(tasks,)`.
        path: Where the figure goes; it is returned. Ends have green frames where the goal was
            reached, else red ones.
    """
    times = np.unique(np.linspace(0, len(frames) - 1, BETWEEN + 2).astype(int))
    strips = Strips(len(times) + 1, goals.shape[1:])
    titles = [(f"step {time}", "black") for time in times] + [("goal", "black")]
    for task in range(min(TASKS, len(goals))):
        colours = ["0.7"] * (len(times) + 1)
        colours[-2] = FOUND if reached[task] else OTHER
        cells = [*(frames[time][task] for time in times), goals[task]]
        strips.add(cells, colours, titles if task == 0 else ())
    return strips.save(path)


def animate_goals(
    frames: Sequence[np.ndarray], goals: np.ndarray, path: pathlib.Path
) -> pathlib.Path:
    """Writes a GIF of some tasks side by side, each above its goal; returns the path.

    Args:
        frames, goals, path: As in `draw_goals`.
    """
    scale = max(1, ANIMATED_PIXELS // goals.shape[1])
    wide = []
    for images in frames:
        both = np.concatenate([as_rgb(images[:TASKS]), as_rgb(goals[:TASKS])], axis=1)
        image = np.concatenate(list(both), axis=1)
        wide.append(Image.fromarray(image.repeat(scale, axis=0).repeat(scale, axis=1)))
    wide += [wide[-1]] * 3  # a rest at the end
    wide[0].save(path, save_all=True, append_images=wide[1:], duration=400, loop=0)
    return path
