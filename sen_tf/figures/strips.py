"""Rows of images in a figure."""

import pathlib
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

SIDE, GAP = 0.9, 0.1
"""Width of an image, and of what is left between two, inches."""
LINE = 0.14
"""Height of a line of words, inches."""
NARROWEST = 2.6
"""Width that a line of a legend needs, inches."""


class Strips:
    """A figure of rows of images, all of one size, that are added from the top.

    All are in the same axes: with axes of their own, 96 images took 2.0 s of a core, and 0.8 s so.

    Args:
        columns: Images per row.
        shape: Shape of the images, of which the first two sizes count.
    """

    def __init__(self, columns: int, shape: Sequence[int]) -> None:
        self.columns, self.depth = columns, 0.0
        self.high = SIDE * shape[0] / shape[1]
        self.figure = Figure(layout="constrained")
        self.axes = self.figure.add_subplot()
        self.axes.axis("off")

    @property
    def width(self) -> float:
        """Inches from the first image to the end of the last."""
        return self.columns * (SIDE + GAP)

    def add(
        self,
        cells: Sequence[np.ndarray | str],
        colours: Sequence[str] = (),
        captions: Sequence[tuple[str, str]] = (),
    ) -> None:
        """Adds a row.

        Args:
            cells: Images `(H, W, C)`, or words that stand in an image's place.
            colours: Those of the frames around images, one per cell; grey without.
            captions: Words above each image and their colour.
        """
        lines = max((words.count("\n") + 1 for words, _ in captions if words), default=0)
        top = self.depth + LINE * lines
        bottom = top + self.high
        for column, cell in enumerate(cells):
            left = column * (SIDE + GAP)
            if isinstance(cell, str):
                right, middle = left + SIDE, top + self.high / 2
                self.axes.text(right, middle, cell, ha="right", va="center", fontsize=8)
                continue
            self.axes.imshow(as_rgb(cell), extent=(left, left + SIDE, bottom, top))
            colour = colours[column] if colours else "0.7"
            frame = Rectangle(
                (left, top), SIDE, self.high, fill=False, edgecolor=colour, linewidth=2
            )
            self.axes.add_patch(frame)
        for column, (words, colour) in enumerate(captions):
            middle = column * (SIDE + GAP) + SIDE / 2
            self.axes.text(
                middle, top - 0.03, words, ha="center", va="bottom", fontsize=8, color=colour
            )
        self.depth = bottom + GAP

    def save(self, path: pathlib.Path, below: float = 0.0) -> pathlib.Path:
        """Writes the figure; returns the path.

        Args:
            path: Where it goes.
            below: What is left below for a legend, inches.
        """
        wide = self.width
        self.axes.set(xlim=(-GAP, wide), ylim=(self.depth, -GAP), aspect="equal")
        self.figure.set_size_inches(max(wide + 2 * GAP, NARROWEST), self.depth + below + 2 * GAP)
        self.figure.savefig(path)
        return path


def as_rgb(frames: np.ndarray) -> np.ndarray:
    """The RGB image `(..., H, W, 3)` in frames `(..., H, W, C)`: the last one, or a grey one."""
    last = frames[..., -3:] if frames.shape[-1] % 3 == 0 else frames[..., -1:]
    return np.broadcast_to(last, (*frames.shape[:-1], 3))
