"""Episodes in an open file, of whatever format: how many, of what shape, and how to read them."""

import dataclasses
import math
from collections.abc import Callable, Iterator

import h5py
import numpy as np

from sen_tf.datasets.members import Problem, check_memory, member


@dataclasses.dataclass(frozen=True)
class Source:
    """E episodes of T steps in an open file.

    shape: (E, T + 1, H, W, C) of the frames.
    action_shape: (E, T, ...).
    block: how many episodes are read, and checked, at once.
    read: from a slice of at most `block` episodes to their frames, uint8, and actions as stored.
    actions: reads the actions of all episodes as stored, where that needs no frames; or None.
    """

    shape: tuple[int, ...]
    action_shape: tuple[int, ...]
    block: int
    read: Callable[[slice], tuple[np.ndarray, np.ndarray]]
    actions: Callable[[], np.ndarray] | None = None

    def __len__(self) -> int:
        return self.shape[0]

    def blocks(self, episodes: int) -> Iterator[slice]:
        """Slices of whole blocks that hold the first episodes; a `Problem` if one is too large."""
        size = math.prod(self.shape[1:]) + 8 * math.prod(self.action_shape[1:])
        check_memory(min(self.block, episodes) * size, "a block of episodes")
        for start in range(0, episodes, self.block):
            yield slice(start, min(start + self.block, len(self)))


@dataclasses.dataclass(frozen=True)
class Contents:
    """The contents of an open file.

    parts: the episodes, under None, and those of each twin under its number.
    twins: the group element of each twin: its number, or a matrix.
    attrs: the file's attributes, `settings` decoded; none of a file that is not ours.
    checked: whether what is read is compared with checksums.
    """

    parts: dict[int | None, Source]
    twins: dict[int, int | np.ndarray]
    attrs: dict
    checked: bool

    def part(self, twin: int | None) -> Source:
        """The episodes, or those of a twin; a `Problem` if there is no such twin."""
        if twin not in self.parts:
            raise Problem(f"it has {len(self.twins)} twins, expected twins/{twin}")
        return self.parts[twin]


def numbers(group: h5py.Group, *names: str) -> list[h5py.Dataset]:
    """The datasets of these names, which may lie in groups of the group."""
    return [_dataset(group, name) for name in names]


def _dataset(group, name):
    *folders, last = name.split("/")
    for folder in folders:
        group = member(group, folder)
        if not isinstance(group, h5py.Group):
            raise Problem(f"{folder} is no group")
    found = member(group, last)
    if not isinstance(found, h5py.Dataset):
        raise Problem(f"{group.name} lacks {last} (it holds {names_in(group)})")
    return found


def check_counts(observations: h5py.Dataset, actions: h5py.Dataset, steps: int) -> None:
    """Raises a `Problem` unless there are frames, and numbers as actions for every step."""
    expected = (len(observations), steps)
    if 0 in observations.shape or steps < 1:
        raise Problem(f"{observations.name} is empty, of shape {observations.shape}")
    if actions.shape[:2] != expected or actions.dtype.kind not in "iuf":
        raise Problem(
            f"{actions.name} is {actions.dtype} of shape {actions.shape}, "
            f"expected numbers {expected}"
        )


def names_in(group: h5py.Group) -> str:
    """The first names in a group, for a message."""
    return ", ".join(sorted(group)[:5]) or "nothing"


def as_actions(values: np.ndarray, first: int = 0) -> np.ndarray:
    """Actions as training takes them: int64 for one whole number per step, else float32.

    Also whole numbers that were stored as floats become int64.

    Args:
        values: actions as they are stored, (E, T, ...).
        first: number of the first of these episodes, for the message.

    Raises:
        Problem: some are not finite, as float32.
    """
    if values.dtype.kind in "iu" and values.ndim == 2:
        return values.astype(np.int64)
    with np.errstate(over="ignore"):
        single = values.astype(np.float32)
    finite = np.isfinite(single).reshape(len(values), -1).all(axis=1)
    if not finite.all():
        raise Problem(
            f"actions are not finite in {np.count_nonzero(~finite)} episodes, the first of which "
            f"is {first + np.argmin(finite)}"
        )
    whole = values.ndim == 2 and np.array_equal(values, np.rint(values))
    return values.astype(np.int64) if whole else single


def channel_axis(shape: tuple[int, ...], usual: int) -> int:
    """The axis of channels, -1 or -3, of images: the shortest one, else the `usual` one."""
    first, second, third = shape[-3:]
    if third < min(first, second):
        return -1
    return -3 if first < min(second, third) else usual
