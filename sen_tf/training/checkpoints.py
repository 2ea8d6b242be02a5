"""Checkpoints of a training run, from which it goes on as if it had never stopped.

checkpoint/epoch-0007.npz    weights and optimizer after epoch 7
checkpoint/epoch-0007.json   the logs of epochs 1 to 7, and a checksum of them and the weights

Both are written aside, forced to the disk and renamed, the second last: whatever stops the process,
and whenever, a checkpoint that has both is whole, or its checksum says that the disk has damaged
it. Those of the last two epochs are kept, and of the epoch that was the best at either time.
"""

import hashlib
import io
import json
import math
import pathlib
import re
import sys
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from sen_tf.training import runs


class Checkpoint(keras.callbacks.Callback):
    """Saves a model after each epoch, and takes its training up from there.

    Saved are weights, the optimizer's state, and the states of the model's random generators; the
    order of the samples is the data's affair.

    Args:
        directory: Directory of the run, in whose folder `checkpoint` the files are.
        writes: Whether to write; of several machines that train together, one does.

    Attributes:
        history: The logs of each epoch, a list of dicts.

    Example:
        >>> checkpoint = Checkpoint("run")
        >>> done = checkpoint.restore(model)
        >>> model.fit(x, y, epochs=100, initial_epoch=done, callbacks=[checkpoint])
        >>> checkpoint.load_best(model)
    """

    def __init__(self, directory: str | pathlib.Path, writes: bool = True) -> None:
        super().__init__()
        self.directory = pathlib.Path(directory) / "checkpoint"
        self.writes = writes
        self.history: list[dict[str, float]] = []

    def restore(self, model: keras.Model) -> int:
        """Loads the newest whole checkpoint into the compiled model; returns the epochs done."""
        epoch, self.history = self._first_whole(sorted(self._epochs(), reverse=True))
        if epoch:
            self._load(model, epoch)
        return epoch

    def load_best(self, model: keras.Model) -> int:
        """Loads the best epoch, as `best_epoch` says; returns its number.

        Raises:
            ValueError: If no checkpoint is whole.
        """
        known = self._epochs() & set(range(1, len(self.history) + 1))
        losses = _losses(self.history)
        epoch, _ = self._first_whole(sorted(known, key=lambda n: losses[n - 1]))
        if not epoch:
            raise ValueError(
                f"{self.directory} holds no whole checkpoint; choose another directory, that is "
                "--output of a program"
            )
        self._load(model, epoch)
        return epoch

    def last(self) -> pathlib.Path | None:
        """The path of the weights of the last epoch that is saved, or None."""
        epoch = max(self._epochs(), default=None)
        return epoch and self._weights(epoch)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.history.append({name: float(value) for name, value in (logs or {}).items()})
        if not self.writes:
            return
        self._save(epoch + 1)
        before = self.history[:-1]
        kept = {epoch, epoch + 1, best_epoch(self.history), best_epoch(before) if before else 0}
        self._delete_others(kept)

    def _save(self, epoch):
        self.directory.mkdir(parents=True, exist_ok=True)
        # In memory first, and not by HDF5, which crashes the interpreter where a disk is full.
        buffer = io.BytesIO()
        np.savez(buffer, *map(_array, _state(self.model)))
        weights = buffer.getvalue()
        with runs.aside(self._weights(epoch)) as path:
            path.write_bytes(weights)
        manifest = {"sha256": _checksum(weights, self.history), "history": self.history}
        runs.write_json(self._manifest(epoch), manifest)

    def _load(self, model, epoch):
        if not model.optimizer.built:  # built twice, that of loss scaling has its variables twice
            model.optimizer.build(model.trainable_variables)
        with np.load(self._weights(epoch), allow_pickle=False) as file:
            arrays = [file[name] for name in file]
        if [x.shape for x in arrays] != [tuple(x.shape) for x in _state(model)]:
            raise ValueError(
                f"{self._weights(epoch)} is of another model, optimizer or precision; choose "
                "another directory, that is --output of a program"
            )
        for variable, array in zip(_state(model), arrays, strict=True):
            variable.assign(array)

    def _first_whole(self, epochs):
        """The first of the epochs that is as it was written, and its history; or 0 and none."""
        for epoch in epochs:
            history = self._history(epoch)
            if history is not None:
                return epoch, history
            print(
                f"warning: {self._weights(epoch)} is damaged, its checksum is not that in "
                f"{self._manifest(epoch).name}; the checkpoint before it is used",
                file=sys.stderr,
            )
        return 0, []

    def _history(self, epoch):
        """The logs that a checkpoint holds, or None if it is damaged."""
        try:
            manifest = json.loads(self._manifest(epoch).read_text(encoding="utf-8"))
            checksum, history = manifest["sha256"], manifest["history"]
            whole = checksum == _checksum(self._weights(epoch).read_bytes(), history)
        except (ValueError, KeyError, TypeError, FileNotFoundError):
            return None
        return history if whole else None

    def _delete_others(self, kept):
        for epoch in self._epochs() - kept:
            self._manifest(epoch).unlink()
            self._weights(epoch).unlink(missing_ok=True)

    def _epochs(self):
        """The numbers of the epochs that have a manifest."""
        found = (re.fullmatch(r"epoch-(\d+)", path.stem) for path in self.directory.glob("*.json"))
        return {int(match[1]) for match in found if match}

    def _weights(self, epoch):
        return self.directory / f"epoch-{epoch:04d}.npz"

    def _manifest(self, epoch):
        return self.directory / f"epoch-{epoch:04d}.json"


def best_epoch(history: Sequence[dict[str, float]]) -> int:
    """The epoch, counted from 1, of the least validation loss, or loss where none was held out.

    Epochs without validation do not count beside others that have it.
    """
    losses = _losses(history)
    return 1 + losses.index(min(losses))


def _losses(history):
    """The numbers that epochs are judged by; infinity where it is missing, or no number."""
    name = "val_loss" if any("val_loss" in logs for logs in history) else "loss"
    losses = [logs.get(name, math.inf) for logs in history]
    return [math.inf if math.isnan(loss) else loss for loss in losses]


def _state(model):
    """The variables of a compiled model, generators among them, and of its optimizer, in order."""
    return [*model.variables, *model.optimizer.variables]


def _array(variable):
    """The values of a variable as NumPy can save them, which knows no bfloat16."""
    values = np.asarray(variable)
    return values.astype(np.float32) if values.dtype.kind == "V" else values


def _checksum(weights, history):
    return hashlib.sha256(weights + json.dumps(history).encode()).hexdigest()
