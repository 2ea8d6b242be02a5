"""Episodes larger than the memory: a window of them is trained on while the next one is read.

Each epoch permutes the blocks of all files; consecutive blocks are a window, which is read as one
array; the transitions of a window are permuted, and batches are taken from them in turn. A batch
may begin in one window and end in the next, so that an epoch has as many batches as one in memory.
All of this is a function of seed, epoch and position alone: a training that resumes reads nothing
of what it has seen.

TensorFlow gathers the batches. Python runs once per window, in a thread of TensorFlow's.
"""

import dataclasses
import functools
import math
import pathlib
import typing
from collections.abc import Callable, Iterator

import numpy as np

from sen_tf.datasets.pipeline import (
    ENDLESS,
    LEAST_SCORED,
    PREFETCHED_BATCHES,
    Subset,
    check_run,
    check_shares,
    device_actions,
    last_of,
    plain_options,
    split_numbers,
    whole_batches,
)
from sen_tf.datasets.reading import (
    Episodes,
    Files,
    aligned_empty,
    named,
    open_files,
    read_episodes,
)
from sen_tf.datasets.source import Problem, as_actions
from sen_tf.datasets.windows import WindowReader, check_exit, episodes_in

if typing.TYPE_CHECKING:
    import tensorflow as tf

WINDOWS = 2  # in memory at a time: one is trained on, one is read
LEAST_BLOCKS = 2  # that a window has room for, so that windows can be of about one size


@dataclasses.dataclass(frozen=True)
class EpisodeStream:
    """Episodes in files, of which a window is in memory at a time; made by `open_episodes`.

    files: the files, closed.
    blocks: (n, 3) int: file, first episode and the one after the last of each block, which is read
        and checked as a whole.
    memory: bytes that frames in memory may take, beside those of a few batches.
    check: called with the `Episodes` of each block that was read; raises what is wrong with them.
    actions: one block's actions as training takes them: all others must be of that kind.
    workers: number of processes that train together; each reads a part of its own.
    failures: what went wrong in pipelines of this stream, of its parts too; TensorFlow raises an
        error of its own in its stead.
    """

    files: Files
    blocks: np.ndarray
    memory: int
    check: Callable[[Episodes], None]
    actions: np.ndarray
    workers: int = 1
    failures: list[Exception] = dataclasses.field(default_factory=list)

    def __post_init__(self) -> None:
        self._check_memory(streams=1)

    def _check_memory(self, streams):
        if self.memory < streams * self._least:
            raise ValueError(
                f"Expected `memory` to be at least {streams * self._least / 2**30:.3g} GiB, for "
                f"{streams * WINDOWS * LEAST_BLOCKS} blocks of up to {self._largest} episodes; "
                f"received memory={self.memory / 2**30:.3g} GiB."
            )

    def __len__(self) -> int:
        return episodes_in(self.blocks)

    @property
    def env(self) -> str | None:
        """Name of the environment; None if the files do not say."""
        return self.files.env

    @property
    def attrs(self) -> dict:
        """The attributes of the first file."""
        return self.files.attrs

    @property
    def count(self) -> int:
        """Number of transitions in an epoch: each worker has as many as the one with fewest."""
        fewest = min(episodes_in(self._blocks_of(worker)) for worker in range(self.workers))
        return self.workers * fewest * self.steps

    @property
    def steps(self) -> int:
        """Number of steps T of an episode."""
        return self.files.action_shape[0]

    @property
    def _episode_bytes(self):
        return math.prod(self.files.shape)

    @property
    def _largest(self):
        return int((self.blocks[:, 2] - self.blocks[:, 1]).max())

    @property
    def _least(self):
        """The bytes that one stream of such blocks needs."""
        return WINDOWS * LEAST_BLOCKS * self._largest * self._episode_bytes

    def split(self, fraction: float, seed: int) -> tuple["EpisodeStream", "EpisodeStream"]:
        """Divides the stream by whole blocks; memory is divided alike, as far as blocks allow.

        Args:
            fraction: share of the blocks that goes into the second part, in (0, 1); each part gets
                at least one block per worker, where there are as many.
            seed: seed of the choice.

        Returns:
            (training, validation) streams.

        Raises:
            ValueError: `fraction` is not in (0, 1), there is one block only, or the memory is too
                small for two streams.
        """
        self._check_memory(streams=2)
        if 0 < fraction < 1:  # a block for each worker
            fraction = max(fraction, min(self.workers / len(self.blocks), 0.5))
        parts = split_numbers(len(self.blocks), fraction, seed, "blocks")
        second = min(max(int(fraction * self.memory), self._least), self.memory - self._least)
        training, validation = (
            dataclasses.replace(self, blocks=self.blocks[part], memory=memory)
            for part, memory in zip(parts, (self.memory - second, second), strict=True)
        )
        return training, validation

    def divided(self, fraction: float) -> Iterator["EpisodeStream"]:
        """The first episodes, and the last ones, which are this share of all; see `last_of`.

        A block that holds some of both is left out, so that what is first or last does not depend
        on whether episodes are streamed.
        """
        offsets = np.cumsum([0, *self.files.counts])[self.blocks[:, 0]]
        boundary = len(self) - last_of(len(self), fraction)
        first = self.blocks[offsets + self.blocks[:, 2] <= boundary]
        last = self.blocks[offsets + self.blocks[:, 1] >= boundary]
        if min(map(episodes_in, (first, last))) < LEAST_SCORED:
            raise ValueError(
                f"Expected `fraction` to leave {LEAST_SCORED} episodes on each side, in whole "
                f"blocks of up to {self._largest}; received fraction={fraction}, of {len(self)}."
            )
        return (dataclasses.replace(self, blocks=blocks) for blocks in (first, last))

    def load(self, most: int) -> Episodes:
        """The first `Episodes`: of as many blocks as `most` bytes of frames hold, one at least."""
        sizes = np.diff(self.blocks[:, 1:]).ravel() * self._episode_bytes
        count = max(1, np.count_nonzero(np.cumsum(sizes) <= most))
        frames, actions = self.read(self.blocks[:count])
        return _episodes_of(self.files, frames.reshape(-1, *self.files.shape), actions)

    def steps_per_epoch(self, batch_size: int, run: int = 1) -> int:
        """Number of batches in an epoch, the same for all workers and epochs."""
        check_run(run, self.steps, batch_size)
        return whole_batches(self.count // self.steps * (self.steps // run) * run, batch_size)

    def transitions(
        self,
        batch_size: int,
        seed: int,
        start_epoch: int = 0,
        start_step: int = 0,
        stop_epoch: int = ENDLESS,
        shuffle: bool = True,
        shares: int = 1,
        own: slice = slice(None),
        pairs: bool = False,
        run: int = 1,
    ) -> "tuple[tf.data.Dataset, int]":
        """A `tf.data.Dataset` of batches of transitions, and the steps per epoch.

        Arguments, elements and errors are as in `pipeline.transitions`, whole batches only, and

        Args:
            start_step: batch of the first epoch with which to begin.
            own: the shares of one worker; it makes them of the blocks that are its own.
        """
        import tensorflow as tf

        steps = self.steps_per_epoch(batch_size, run)
        check_shares(batch_size // run, shares, pairs)
        here = range(shares)[own]
        if len(here) * self.workers != shares:
            raise ValueError(
                f"Expected `own` to be one of {self.workers} equal parts of {shares} shares; "
                f"received own={own}."
            )
        reader = WindowReader(
            dataclasses.replace(self, blocks=self._blocks_of(here.start // len(here)), workers=1),
            seed=seed,
            share=batch_size // run // shares,
            batch=batch_size // run // self.workers,
            steps=steps,
            shuffle=shuffle,
            pairs=pairs,
            run=run,
        )
        actions = device_actions(self.actions)
        with tf.device("/CPU:0"):  # where pipelines run, also beside an accelerator
            windows = tf.data.Dataset.from_generator(
                functools.partial(reader.windows, start_epoch, start_step, stop_epoch),
                output_signature=(
                    tf.TensorSpec((None, *self.files.shape[1:]), tf.uint8),
                    tf.TensorSpec((None, reader.share), tf.int64),
                    tf.TensorSpec((None, reader.share, run, *actions.shape[1:]), actions.dtype),
                ),
            )

        def batches_of(frames, first, actions):
            def gather(first, actions):
                if run > 1:
                    places = first[:, None] + tf.range(run + 1, dtype=tf.int64)
                    return {"obs": tf.gather(frames, places), "action": actions}
                return {
                    "obs": tf.gather(frames, first),
                    "action": actions[:, 0],
                    "next_obs": tf.gather(frames, first + 1),
                }

            shares = tf.data.Dataset.from_tensor_slices((first, actions))
            return shares.map(gather, num_parallel_calls=PREFETCHED_BATCHES)

        batches = windows.prefetch(WINDOWS - 1).flat_map(batches_of)
        return batches.prefetch(PREFETCHED_BATCHES).with_options(plain_options()), steps

    def frames(self, most: int, seed: int) -> np.ndarray:
        """Frames (n, H, W, C) of all times: of blocks that are drawn, as many as `most` bytes hold.

        One block at least.
        """
        order = np.random.default_rng(seed).permutation(len(self.blocks))
        sizes = np.diff(self.blocks[order, 1:]).ravel() * self._episode_bytes
        count = max(1, np.count_nonzero(np.cumsum(sizes) <= most))
        return self.read(self.blocks[order[:count]])[0]

    def read(self, blocks: np.ndarray, room: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Reads blocks, each file in turn.

        Args:
            blocks: some of `blocks`, in any order.
            room: number of frames for which there is to be room before the first one.

        Returns:
            Frames (room + n, H, W, C), of all times of the episodes in order of file and number,
            and their actions (E, T, ...).

        Raises:
            DatasetError: a file was replaced since it was opened, a block does not match its
                checksum, or it is not what `check` takes; or less memory is free than it takes.
        """
        files, times = self.files, self.files.shape[0]
        with named(files.path, files.env, {}):
            flat = aligned_empty((room + episodes_in(blocks) * times, *files.shape[1:]))
        frames = flat[room:].reshape(-1, *files.shape)
        actions = [self.actions[:0]]
        done = 0
        for number in np.unique(blocks[:, 0]):
            with files.reopened(number) as source:
                for _, start, stop in sorted(blocks[blocks[:, 0] == number].tolist()):
                    check_exit()
                    came, moves = source.read(slice(start, stop))
                    moves = self._as_actions(moves, start)
                    self.check(_episodes_of(files, came, moves))
                    frames[done : done + len(came)] = came
                    actions.append(moves)
                    done += len(came)
        return flat, np.concatenate(actions)

    def _as_actions(self, moves, first):
        """Actions of a block, of the kind of all the others."""
        actions = as_actions(moves, first)
        if self.actions.dtype.kind == "f":
            return actions.astype(self.actions.dtype)
        if actions.dtype.kind == "f":
            raise Problem(f"its actions are whole numbers, but not those from episode {first} on")
        return actions

    def _blocks_of(self, worker):
        """The blocks of one worker: of each n-th file; each n-th, where one would have no file."""
        by_file = [
            self.blocks[self.blocks[:, 0] % self.workers == number]
            for number in range(self.workers)
        ]
        if all(map(len, by_file)):
            return by_file[worker]
        return self.blocks[worker :: self.workers]

    def windows(self, seed: int, epoch: int, shuffle: bool = True) -> list[np.ndarray]:
        """The blocks of each window of an epoch, in turn; their number is that of any epoch.

        Windows are of about one size; none takes more than its part of the memory.
        """
        blocks = self.blocks
        if shuffle:
            blocks = blocks[np.random.default_rng((seed, epoch)).permutation(len(blocks))]
        sizes = blocks[:, 2] - blocks[:, 1]
        total, most = sizes.sum(), self.memory // WINDOWS // self._episode_bytes
        # A window ends with the block that passes its share of all, and so may have one more.
        number = 1 if total <= most else -(-total // (most - self._largest))
        begin = (np.cumsum(sizes) - sizes) * number // total
        return [blocks[begin == window] for window in range(number)]


def _episodes_of(files, frames, actions):
    times = tuple(range(files.shape[0]))
    return Episodes(frames, actions, {}, files.env, files.attrs, times)


def open_episodes(
    path: str | pathlib.Path,
    env: str | None,
    check: Callable[[Episodes], None],
    memory: int | None = None,
    workers: int = 1,
) -> Subset | EpisodeStream:
    """All episodes of a dataset: in memory, or as a stream where they would take too much of it.

    Args:
        path, env: as in `read_episodes`.
        check: as in `EpisodeStream`.
        memory: bytes that the frames may take; a stream keeps to them. None for any number.
        workers: as in `EpisodeStream`.

    Raises:
        DatasetError: as `read_episodes`; what is wrong with a block of a stream but the first one
            is found when it is read.
        ValueError: `memory` is too small for a stream.
    """
    files = open_files(path, env)
    size = len(files) * math.prod(files.shape)
    if memory is None or size <= memory:
        episodes = read_episodes(path, env)
        check(episodes)
        return Subset.of_all(episodes)
    stream = _open_stream(files, check, memory, workers)
    count = len(files.paths)
    print(
        f"streaming {size / 2**30:.3g} GiB of frames from {count} file{'s' * (count > 1)}, "
        f"{memory / 2**30:.3g} GiB of them in memory at a time"
    )
    return stream


def _open_stream(files, check, memory, workers):
    blocks = []
    for number, (count, header) in enumerate(zip(files.counts, files.headers, strict=True)):
        starts = np.arange(0, count, header.part(files.twin).block)
        stops = np.append(starts[1:], count)
        blocks.append(np.stack([np.full_like(starts, number), starts, stops], axis=1))
    with files.reopened(0) as source:
        frames, moves = source.read(slice(0, int(blocks[0][0, 2])))
        actions = as_actions(moves)
    check(_episodes_of(files, frames, actions))
    return EpisodeStream(files, np.concatenate(blocks), memory, check, actions, workers)
