"""Folders of NumPy files that are episodes, read piece by piece where they lie.

observations.npy       (E, T + 1, H, W, C) uint8, one more image than there are steps
actions.npy            (E, T) whole numbers, or (E, T, d) numbers

or of N transitions, each an episode of one step,

observations.npy       (N, H, W, C) uint8, before the action
actions.npy            (N,) or (N, d)
next_observations.npy  (N, H, W, C) uint8, after it
"""

import pathlib

import numpy as np

from sen_tf.datasets.members import Problem
from sen_tf.datasets.source import Contents, Source, check_counts

BLOCK = 64
"""Episodes read at once."""
NEXT = "next_observations"


def contents(folder: str | pathlib.Path) -> Contents:
    """The contents of a folder of NumPy files.

    Raises:
        Problem: a file is missing, is no array, or has another shape or type.
    """
    folder = pathlib.Path(folder)
    observations, actions = (_array(folder, name) for name in ("observations", "actions"))
    if (folder / f"{NEXT}.npy").exists():
        source = _transitions(observations, _array(folder, NEXT), actions)
    else:
        source = _episodes(observations, actions)
    return Contents({None: source}, {}, {}, checked=False)


def _array(folder, name):
    path = folder / f"{name}.npy"
    if not path.is_file():
        raise Problem(f"the folder lacks {path.name}")
    return _Named(path.name, np.load(path, mmap_mode="r", allow_pickle=False))


class _Named:
    """An array that knows the name of its file, for messages."""

    def __init__(self, name: str, values: np.ndarray) -> None:
        self.name, self.values = name, values
        self.shape, self.dtype = values.shape, values.dtype

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, rows: slice) -> np.ndarray:
        return np.array(self.values[rows])


def _check_images(images, rank, expected):
    if images.dtype != np.uint8 or len(images.shape) != rank:
        raise Problem(
            f"{images.name} is {images.dtype} of shape {images.shape}, expected uint8 ({expected})"
        )


def _episodes(observations, actions):
    _check_images(observations, 5, "episodes, steps + 1, height, width, channels")
    check_counts(observations, actions, observations.shape[1] - 1)

    def read(rows):
        return observations[rows], actions[rows]

    return Source(observations.shape, actions.shape, BLOCK, read, lambda: actions[:])


def _transitions(before, after, actions):
    for images in (before, after):
        _check_images(images, 4, "transitions, height, width, channels")
    if before.shape != after.shape or len(before) != len(actions) or 0 in before.shape:
        raise Problem(
            f"{before.name}, {actions.name} and {after.name} have the shapes {before.shape}, "
            f"{actions.shape} and {after.shape}, expected as many of each"
        )
    if actions.dtype.kind not in "iuf":
        raise Problem(f"{actions.name} is {actions.dtype}, expected numbers")

    def read(rows):
        return np.stack([before[rows], after[rows]], axis=1), actions[rows][:, None]

    count, *image = before.shape
    shapes = ((count, 2, *image), (count, 1, *actions.shape[1:]))
    return Source(*shapes, BLOCK, read, lambda: actions[:][:, None])
