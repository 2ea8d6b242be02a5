"""Keras callbacks of a training: checkpoints, records of it, and what stops it or warns."""

import math
import sys
from typing import Any

import keras
import numpy as np

from sen_tf.training.checkpoints import Checkpoint
from sen_tf.training.records import EpochLines, EpochSummaries, HistoryFile, Recorder

__all__ = [
    "Checkpoint",
    "EpochLines",
    "EpochSummaries",
    "HistoryFile",
    "Recorder",
    "StopAtNonFinite",
    "WarnOfCollapse",
]

COLLAPSED_SPREAD = 1e-3
"""Spread of z, relative to |z|, below which training warns. The smallest at the end of an epoch in
82 runs that had not collapsed was 0.0037."""
COLLAPSED_HINGE = 0.99
"""Share of the hinge that negatives cost, from which training warns: 1 if all states are equal. The
largest at the end of a first epoch was 0.64, in the 40 of those runs of least spread."""


class StopAtNonFinite(keras.callbacks.Callback):
    """Ends training where the loss is no longer a number, before a checkpoint of it is written.

    Under loss scaling a step that overflows is skipped; training ends when the scale has fallen
    below 1, that is, when steps overflow unscaled.

    Args:
        checkpoint: The run's `checkpoints.Checkpoint`, after this callback in the list.

    Raises:
        FloatingPointError: From `fit`; it says where it happened and what to try.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        super().__init__()
        self.checkpoint = checkpoint

    def on_train_begin(self, logs: Any = None) -> None:
        optimizer = self.model.optimizer
        self.scaled = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        # The mean over the epoch so far: one that is not finite stays so.
        if not (self.scaled or math.isfinite(logs["loss"])):
            self._stop(f"the loss is {logs['loss']} in epoch {self.epoch + 1}, batch {batch + 1}")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        after = f"after epoch {epoch + 1}, batch {self.params['steps']}"
        if self.scaled and self.model.optimizer.dynamic_scale < 1:
            scale = float(self.model.optimizer.dynamic_scale)
            self._stop(f"the scale of the loss has fallen to {scale:.2g} {after}")
        for variable in [*self.model.variables, *self.model.optimizer.variables]:
            if not np.isfinite(variable).all():
                self._stop(f"{variable.path} is not finite {after}")
        if not math.isfinite(logs.get("val_loss", 0)):
            self._stop(f"the validation loss is {logs['val_loss']} {after}")

    def _stop(self, what):
        good = self.checkpoint.last() or "none yet"
        raise FloatingPointError(
            f"{what}; the last good checkpoint: {good}; try a lower --learning_rate than "
            f"{float(self.model.optimizer.learning_rate):.2g} or --precision=float32 instead of "
            f"{self.model.dtype_policy.name}, with another --output"
        )


class WarnOfCollapse(keras.callbacks.Callback):
    """Warns once, on stderr, where all states have become one point.

    From the second epoch on, since all images may look alike to a model that has learnt nothing.
    """

    def __init__(self) -> None:
        super().__init__()
        self.warned = False

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        apart = logs["z_spread"] > COLLAPSED_SPREAD * logs["z_norm"]
        apart = apart and logs["negative"] < COLLAPSED_HINGE * self.model.loss.hinge
        if self.warned or apart or epoch == 0:
            return
        self.warned = True
        print(
            f"warning: the latent states have collapsed to a point in epoch {epoch + 1} (spread "
            f"{logs['z_spread']:.2g} beside |z| {logs['z_norm']:.2g}, negatives cost "
            f"{logs['negative']:.3g} of at most {self.model.loss.hinge:g}): the model tells no two "
            "states apart and its scores will mean nothing; try another --seed, a larger --hinge "
            "or a lower --learning_rate",
            file=sys.stderr,
        )
