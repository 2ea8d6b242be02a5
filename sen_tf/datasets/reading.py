"""Reads episodes into memory from files of any format that is known, and checks files.

`store` is our own format and `foreign` are two published ones; `minari_format` reads the datasets
of Minari, `arrays` folders of NumPy files, and `shards` are files that are one dataset together.
"""

import contextlib
import dataclasses
import math
import os
import pathlib
from collections.abc import Iterator, Sequence

import h5py
import numpy as np

from sen_tf.datasets import arrays, minari_format, shards
from sen_tf.datasets.episodes import ALIGNMENT, Episodes, checked_steps
from sen_tf.datasets.foreign import cswm_source, published_source
from sen_tf.datasets.members import DatasetError, Problem, check_memory
from sen_tf.datasets.progress import progress
from sen_tf.datasets.source import Contents, Source, as_actions, names_in
from sen_tf.datasets.store import check_environment_version, own_contents

# What HDF5, h5py and NumPy raise for files that are broken in one way or another.
BROKEN = (
    OSError,
    EOFError,
    RuntimeError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    MemoryError,
)


def read_episodes(
    path: str | pathlib.Path,
    env: str | None = None,
    steps: Sequence[int] | None = None,
    episodes: int | None = None,
    twin: int | None = None,
) -> Episodes:
    """Reads episodes into memory, and checks what it reads where there are checksums.

    Args:
        path: an HDF5 file, in our format or one of `foreign`; a pattern such as "cubes-*.h5" of
            shards, which are read in the order of their names, and what else it matches is not; a
            folder of NumPy files, see `arrays`; or "minari:" and the name of a Minari dataset on
            this machine.
        env: name of the environment it must be of; a published file does not say its environment
            and is taken as it is.
        steps: times of the frames to keep, such as (0, 1, 5, 10); None for all.
        episodes: how many episodes to keep, the first ones; None, or more than there are, for all.
        twin: number of the twin to read in place of the episodes, out of `Episodes.twins`.

    Returns:
        The `Episodes`. Beside them, memory is needed for one block of frames only.

    Raises:
        DatasetError: a file is missing, truncated, changed, of another environment or version of
            it, empty or lacks a part, has too few steps, actions that are not finite, or next_obs
            that do not continue its obs; it lies elsewhere in part, or is larger than the memory;
            or the files are not all shards of one dataset.
    """
    files = open_files(path, env, twin)
    total = len(files)
    wanted = total if episodes is None else min(episodes, total)
    with named(path, env or files.env, {}):
        times = checked_steps(steps, files.shape[0])
        check_memory(8 * wanted * math.prod(files.action_shape), "what was asked for")
        frames = aligned_empty((wanted, len(times), *files.shape[1:]))
    actions, start = [], 0
    for number, count in enumerate(files.counts):
        out = frames[start : start + count]
        with files.reopened(number) as source:
            actions.append(_load(source, times, out))
        start += len(out)
    with named(path, env, files.attrs):
        actions = as_actions(np.concatenate(actions))
    return Episodes(frames, actions, files.twins, files.env, files.attrs, times)


@dataclasses.dataclass(frozen=True)
class Files:
    """The files of one dataset, all closed, and what their headers say.

    path, asked, twin: the name or pattern, the environment and the twin that were asked for.
    paths: its files, in order.
    headers: the `Contents` of each, of which nothing can be read any more.
    """

    path: str | pathlib.Path
    asked: str | None
    twin: int | None
    paths: list
    headers: list[Contents]

    def __len__(self) -> int:
        return sum(self.counts)

    @property
    def counts(self) -> list[int]:
        """The number of episodes of each file."""
        return [len(header.part(self.twin)) for header in self.headers]

    @property
    def shape(self) -> tuple[int, ...]:
        """(T + 1, H, W, C) of the frames of an episode."""
        return self.headers[0].part(self.twin).shape[1:]

    @property
    def action_shape(self) -> tuple[int, ...]:
        """(T, ...) of the actions of an episode."""
        return self.headers[0].part(self.twin).action_shape[1:]

    @property
    def attrs(self) -> dict:
        """The attributes of the first file, as in `Episodes`."""
        return self.headers[0].attrs

    @property
    def env(self) -> str | None:
        """Name of the environment; None if the files do not say."""
        return self.attrs.get("env")

    @property
    def twins(self) -> dict:
        """The group elements of the twins, as in `Episodes`."""
        return self.headers[0].twins

    @contextlib.contextmanager
    def reopened(self, number: int) -> Iterator[Source]:
        """The `Source` of a file, while it is open; problems are named.

        Raises:
            DatasetError: as `read_episodes`, or the file was replaced since its header was read.
        """
        with _opened(self.paths[number], self.asked) as contents:
            source, header = contents.part(self.twin), self.headers[number]
            if contents.attrs != header.attrs or source.shape != header.part(self.twin).shape:
                raise Problem("it was replaced while it was read")
            yield source


def open_files(path: str | pathlib.Path, env: str | None = None, twin: int | None = None) -> Files:
    """Reads the headers of a dataset's files; arguments and errors as in `read_episodes`."""
    paths = shards.dataset_files(path)
    headers = [_header(each, env) for each in paths]
    with named(path, env, headers[0].attrs):
        if paths != [path]:
            shards.check([header.attrs for header in headers])
        sources = [header.part(twin) for header in headers]
        if len({source.shape[1:] + source.action_shape[1:] for source in sources}) > 1:
            raise Problem("the episodes of its files are of different shapes")
    return Files(path, env, twin, paths, headers)


def read_actions(path: str | pathlib.Path, env: str | None = None) -> np.ndarray:
    """Reads the actions (E, T, ...) of all episodes, without frames where the format allows it.

    Arguments and errors as in `read_episodes`; checksums, which are of frames and actions together,
    are not compared.
    """
    actions = []
    for each in shards.dataset_files(path):
        with _opened(each, env) as contents:
            source = contents.part(None)
            if source.actions is not None:
                actions.append(source.actions())
            else:
                actions += [source.read(rows)[1] for rows in source.blocks(len(source))]
    with named(path, env, {}):
        return as_actions(np.concatenate(actions))


def _header(path, env):
    """The `Contents` of a file that is closed again: nothing can be read of its parts."""
    with _opened(path, env) as contents:
        return contents


def _load(source, times, out):
    """Fills `out` with frames of the first episodes, block by block; returns their actions."""
    actions = [np.empty((0, *source.action_shape[1:]), np.int64)]
    everything = times == tuple(range(source.shape[1]))
    for rows in source.blocks(len(out)):
        frames, moves = source.read(rows)
        count = min(rows.stop, len(out)) - rows.start
        chosen = frames if everything else frames[:, list(times)]
        out[rows.start : rows.start + count] = chosen[:count]
        actions.append(moves[:count])
    return np.concatenate(actions)


def verify_episodes(path: str | pathlib.Path) -> str:
    """Reads all of a file, twins included, with a progress bar on stderr; keeps nothing of it.

    Args:
        path: one file, or the name of a Minari dataset, as in `read_episodes`.

    Returns:
        One line that says what it holds.

    Raises:
        DatasetError: something is wrong; it names the blocks.
    """
    with _opened(path, None) as contents:
        total = sum(map(len, contents.parts.values()))
        wrong = []
        with progress(total, str(path), "episodes") as read:
            for source in contents.parts.values():
                for rows in source.blocks(len(source)):
                    try:
                        as_actions(source.read(rows)[1], rows.start)
                    except Problem as problem:
                        wrong.append(str(problem))
                    read(rows.stop - rows.start)
        if wrong:
            more = f"; and {len(wrong) - 3} more" if len(wrong) > 3 else ""
            raise Problem("; ".join(wrong[:3]) + more)
        count = len(contents.parts[None])
    kind = f"{count:,} episodes of {contents.attrs.get('env', 'an environment it does not name')}"
    twins = f", {len(contents.twins)} twins of each" if contents.twins else ""
    return f"{kind}{twins}, {'checksums right' if contents.checked else 'no checksums to compare'}"


@contextlib.contextmanager
def _opened(path, env):
    """The `Contents` of a file or of a Minari dataset, while it is open; problems are named."""
    attrs: dict = {}
    with named(path, env, attrs):
        if minari_format.is_name(path):
            with minari_format.opened(path, env) as contents:
                yield contents
            return
        if os.path.isdir(path):
            yield arrays.contents(path)
            return
        with h5py.File(path, "r") as file:
            contents = _contents(file, env)
            attrs.update(contents.attrs)
            check_environment_version(attrs)
            yield contents


def _contents(file, env):
    names = set(file)
    if "format" in file.attrs or "observations" in names:
        return own_contents(file, env)
    if "0" in names:
        return Contents({None: cswm_source(file)}, {}, {}, checked=False)
    if "obs" in names:
        return Contents({None: published_source(file)}, {}, {}, checked=False)
    raise Problem(f"it holds {names_in(file)}, expected observations and actions")


@contextlib.contextmanager
def named(path: str | pathlib.Path, env: str | None, attrs: dict) -> Iterator[None]:
    """Turns what goes wrong with a file into a `DatasetError` with its name and a remedy."""
    try:
        yield
    except DatasetError:
        raise
    except FileNotFoundError as error:
        problem, cause = "there is no such file", error
    except Problem as error:
        problem, cause = str(error), error
    except BROKEN as error:
        problem, cause = f"it cannot be read as a whole ({error})", error
    else:
        return
    raise DatasetError(f"Cannot use {path}: {problem}.{shards.remedy(path, env, attrs)}") from cause


def aligned_empty(shape: Sequence[int]) -> np.ndarray:
    """An uninitialized uint8 array that starts on a multiple of `ALIGNMENT` bytes."""
    size = math.prod(shape)
    check_memory(size + ALIGNMENT, "what was asked for")
    memory = np.empty(size + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + size].reshape(shape)
