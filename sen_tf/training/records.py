"""Keras callbacks that record a training: lines, a table, TensorBoard."""

import csv
import pathlib
import shutil
import sys
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from sen_tf.datasets.progress import Tenths
from sen_tf.training import runs
from sen_tf.training.checkpoints import Checkpoint

REFRESHED = 0.5
"""Seconds between two looks at a training on a terminal."""


class Recorder(keras.callbacks.Callback):
    """Adds to an epoch's logs the transitions seen so far and the seconds it took.

    Args:
        transitions: Transitions in an epoch.
    """

    def __init__(self, transitions: int) -> None:
        super().__init__()
        self.transitions = transitions

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.begun = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        logs["transitions"] = (epoch + 1) * self.transitions
        logs["seconds"] = time.perf_counter() - self.begun


class EpochLines(keras.callbacks.Callback):
    """Prints a line per epoch, and on a terminal how far the present one has come.

    Off a terminal a long epoch has a line per ten per cent of the training. Where Keras does not
    know how many steps an epoch has, as of a generator, epochs are all that is told.

    Args:
        transitions: Transitions in an epoch.
    """

    def __init__(self, transitions: int) -> None:
        super().__init__()
        self.transitions = transitions
        self.terminal = sys.stdout.isatty()

    def on_train_begin(self, logs: Any = None) -> None:
        self.timed, self.shown = 0, 0.0
        self.begun: Any = None  # until the first batch is done
        self.steps = self.params["steps"] or 0
        self.tenths = Tenths(self.params["epochs"] * self.steps, lambda tenth: None)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if not self.steps:
            return
        now = time.perf_counter()
        if self.begun is None:  # the first batch took the time to trace the step as well
            self.begun = now
            self.tenths.show = lambda tenth: self._show(self.now)
        else:
            self.timed += 1
        done = self.epoch * self.steps + batch + 1
        self.now = self._line(logs, done, f"{(batch + 1) / self.steps:4.0%}")
        if batch + 1 == self.steps:
            self.tenths.shown = max(self.tenths.shown, 10 * done // self.tenths.total)
        elif not self.terminal:
            self.tenths.reach(done)
        elif now - self.shown > REFRESHED:
            self.shown = now
            self._show(self.now, end="\r")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        done = (epoch + 1) * self.steps
        self._show(self._line(logs, done))

    def _line(self, logs, done, share=None):
        words = [f"epoch {self.epoch + 1}/{self.params['epochs']}"]
        words += [share] if share else []
        words.append(f"loss {short(logs['loss'])}")
        if "val_loss" in logs:
            words.append(f"val {short(logs['val_loss'])}")
        skills = [short(logs[name]) for name in ("skill", "val_skill") if name in logs]
        words += [f"skill {'/'.join(skills)}"] if skills else []
        if self.timed:
            seconds = (time.perf_counter() - self.begun) / self.timed  # per step, all included
            words.append(f"{self.transitions / self.steps / seconds:.0f}/s")
            left = self.params["epochs"] * self.steps - done
            words.append(f"ETA {clock(left * seconds)}")
        return "  ".join(words)

    def _show(self, line, end="\n"):
        if self.terminal:  # over what is left of a longer line; a line that wraps would scroll
            wide = shutil.get_terminal_size().columns - 1
            line = (line[:wide] if end == "\r" else line).ljust(wide)
        print(line, end=end, flush=True)


def short(value: float) -> str:
    """A number in three digits, without the zero before the point: `.102`, `-.03`, `12.3`."""
    text = f"{value:.3f}" if abs(value) < 1 else f"{value:.3g}"
    return text.replace("0.", ".", 1) if abs(value) < 1 else text


def clock(seconds: float) -> str:
    """Seconds as `0:33`, `12:05` or `1:02:03`."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


class HistoryFile(keras.callbacks.Callback):
    """Keeps the logs of all epochs so far as a CSV file, a row per epoch.

    Args:
        path: The file.
        checkpoint: The run's `checkpoints.Checkpoint`, after this callback in the list.
    """

    def __init__(self, path: pathlib.Path, checkpoint: Checkpoint) -> None:
        super().__init__()
        self.path, self.checkpoint = path, checkpoint

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        history = [*self.checkpoint.history, {name: float(logs[name]) for name in logs}]
        rows = [{"epoch": number, **row} for number, row in enumerate(history, start=1)]
        with runs.aside(self.path) as path, open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, dict.fromkeys(name for row in rows for name in row))
            writer.writeheader()
            writer.writerows(rows)


class EpochSummaries(keras.callbacks.Callback):
    """Shows each epoch in TensorBoard: its logs, under the names Keras gives them, and a look.

    They are on the disk when the epoch ends, which those of `keras.callbacks.TensorBoard` are not:
    before a `Checkpoint` in the list of callbacks, an epoch that is saved is always shown.

    Args:
        directory: Where to write: event files below `train`, `validation` and `look`.
        settings: Dict of what the run was started with, for TensorBoard's HPARAMS.
        look: Function that is called after each epoch and returns two dicts: numbers, and images
            `(rows, columns, 3)` uint8; or None.
    """

    def __init__(
        self,
        directory: str | pathlib.Path,
        settings: dict[str, Any],
        look: Callable[[], tuple[dict[str, float], dict[str, np.ndarray]]] | None = None,
    ) -> None:
        super().__init__()
        self.directory = pathlib.Path(directory)
        self.settings, self.look = settings, look
        self.writers: dict[str, Any] = {}

    def on_train_begin(self, logs: Any = None) -> None:
        from tensorboard.plugins.hparams import api

        plain = int | float | str  # what TensorBoard takes
        values = {k: v if isinstance(v, plain) else str(v) for k, v in self.settings.items()}
        with self._writer("train").as_default():
            api.hparams(values)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        rate = float(self.model.optimizer.learning_rate)
        training = {name: logs[name] for name in logs if not name.startswith("val_")}
        self._write("train", epoch, {**training, "learning_rate": rate})
        held_out = {name[4:]: logs[name] for name in logs if name.startswith("val_")}
        if held_out:
            self._write("validation", epoch, held_out)
        if self.look is not None:
            self._write("look", epoch, *self.look())

    def on_train_end(self, logs: Any = None) -> None:
        for writer in self.writers.values():
            writer.close()

    def _writer(self, part):
        if part not in self.writers:
            self.writers[part] = tf.summary.create_file_writer(str(self.directory / part))
        return self.writers[part]

    def _write(self, part, epoch, numbers, images=()):
        with self._writer(part).as_default():
            for name, value in numbers.items():
                tf.summary.scalar(f"epoch_{name}", value, step=epoch)
            for name in images:
                tf.summary.image(f"epoch_{name}", images[name][None], step=epoch)
        self._writer(part).flush()
