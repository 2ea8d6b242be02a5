"""The windows of an `EpisodeStream` in the order of training, read in a thread of TensorFlow's."""

import atexit
import contextlib
import dataclasses
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from sen_tf.datasets.pipeline import device_actions

LAST_LINES = 0.05  # seconds in which TensorFlow leaves Python after the last window


@dataclasses.dataclass(frozen=True)
class WindowReader:
    """Reads the windows of one pipeline, and orders their transitions.

    stream: the `EpisodeStream`, with the blocks of one worker.
    seed, shuffle, pairs, run: the order, as in `EpisodeStream.transitions`.
    share, batch: runs in an element of the pipeline, and in a batch of this worker.
    steps: batches in an epoch.
    """

    stream: Any
    seed: int
    share: int
    batch: int
    steps: int
    shuffle: bool
    pairs: bool
    run: int

    def windows(
        self, start_epoch: int, start_step: int, stop_epoch: int
    ) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Yields (frames, first, actions) of each window from a step of an epoch on.

        frames: (n, H, W, C) uint8.
        first: (b, share) int64, the number of the first frame of each run of a share; the others
            are the next ones.
        actions: (b, share, run, ...) of the same.
        """
        step = start_step
        for epoch in range(start_epoch, stop_epoch):
            windows = self._epoch(epoch, step)
            while (window := self._next(windows)) is not None:
                yield window
                del window  # which is large
            step = 0

    def _next(self, windows):
        """The next window, or None after the last one."""
        try:
            with _exit.waits():
                return next(windows, None)
        except _Exiting:
            return None
        except Exception as error:
            self.stream.failures.append(error)
            raise

    def _epoch(self, epoch, step):
        """Yields the windows of an epoch from a step on."""
        begin, end, passed = step * self.batch, self.steps * self.batch, 0
        each, spare = divmod(self.stream.steps, self.run)
        offset = np.random.default_rng((self.seed, epoch, 0)).integers(spare + 1)
        offset = int(offset) if self.shuffle else 0
        frames = np.empty((0, *self.stream.files.shape[1:]), np.uint8)
        first = np.empty(0, np.int64)
        actions = device_actions(self.stream.actions[:0])[:, None].repeat(self.run, axis=1)
        for number, blocks in enumerate(self.stream.windows(self.seed, epoch, self.shuffle)):
            before, passed = passed, passed + episodes_in(blocks) * each
            if passed <= begin or before >= end:
                continue
            order = self._order(epoch, number, passed - before, odd=before % 2)
            order = order[max(begin - before, 0) : end - before]
            # What filled no batch of the window before comes first, run by run.
            carried = frames[np.add.outer(first, np.arange(self.run + 1)).ravel()]
            del frames
            frames, moves = self.stream.read(blocks, room=len(carried))
            frames[: len(carried)] = carried
            episode, place = np.divmod(order, each)
            time = place * self.run + offset
            second = len(carried) + episode * (self.stream.steps + 1) + time
            first = np.concatenate([np.arange(0, len(carried), self.run + 1), second])
            steps = np.add.outer(episode * self.stream.steps + time, np.arange(self.run))
            actions = np.concatenate([actions, device_actions(moves)[steps]])
            whole = len(first) // self.batch * self.batch
            if whole:
                yield frames, self._in_shares(first[:whole]), self._in_shares(actions[:whole])
            first, actions = first[whole:], actions[whole:]

    def _in_shares(self, values):
        return values.reshape(-1, self.share, *values.shape[1:])

    def _order(self, epoch, number, count, odd):
        """The numbers of a window's runs in the order of training.

        In pairs, where the windows before have an `odd` one left, the first one goes with that.
        """
        if not self.shuffle:
            return np.arange(count)
        rng = np.random.default_rng((self.seed, epoch, 1 + number))
        order = rng.permutation(count)
        if not self.pairs:
            return order
        by_episode = order[np.argsort(order // (self.stream.steps // self.run), kind="stable")]
        single, rest = by_episode[:odd], by_episode[odd:]
        even = len(rest) // 2 * 2
        pairs = rng.permutation(rest[:even].reshape(-1, 2))
        return np.concatenate([single, pairs.ravel(), rest[even:]])


def episodes_in(blocks: np.ndarray) -> int:
    """The number of episodes in blocks (n, 3) of an `EpisodeStream`."""
    return int((blocks[:, 2] - blocks[:, 1]).sum())


class _Exiting(Exception):
    """The process ends, and nobody waits for what is being read."""


class _Exit:
    """The end of the process, before which threads of TensorFlow's have to leave Python.

    One that has not is ended there by force, while others wait for it: the process hung.
    """

    def __init__(self) -> None:
        self.begun = False
        self._reading = 0
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def waits(self) -> Iterator[None]:
        """Makes the end wait for what is done in the meantime."""
        with self._changed:
            self._reading += 1
        try:
            yield
        finally:
            with self._changed:
                self._reading -= 1
                self._changed.notify()

    def begin(self) -> None:
        self.begun = True
        with self._changed:
            if self._reading:
                self._changed.wait_for(lambda: not self._reading)
                time.sleep(LAST_LINES)


_exit = _Exit()
atexit.register(_exit.begin)


def check_exit() -> None:
    """Ends what a pipeline is reading once the process ends; to be called often."""
    if _exit.begun:
        raise _Exiting
