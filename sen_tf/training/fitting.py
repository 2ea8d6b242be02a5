"""Fitting of a model to episodes, with checkpoints, records and warnings."""

import dataclasses
import pathlib
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from sen_tf.datasets import EpisodeStream, Subset
from sen_tf.distribution import devices
from sen_tf.settings import SEEDS, setting
from sen_tf.training import callbacks, runs


@dataclasses.dataclass(frozen=True)
class Training:
    """Training."""

    seed: int = setting(1, "Seed of data, weights, order and negatives.", **SEEDS)
    epochs: int = setting(100, "Passes over the training data.", at_least=1)
    batch_size: int = setting(1024, "Transitions per step.", at_least=2)
    run_length: int = setting(
        1,
        "Steps of an episode in a row of which batches are made, at most as many as it has; "
        "neighbours share a frame, which is encoded once.",
        at_least=1,
    )
    learning_rate: float = setting(5e-4, "Learning rate of Adam.", at_least=0.0)
    schedule: str = setting(
        "constant",
        "Course of the learning rate: constant, or cosine (falls to a fiftieth).",
        choices=("constant", "cosine"),
    )
    validation: float = setting(
        0.05,
        "Share of the training episodes held out to choose the best weights by.",
        at_least=0.0,
        at_most=0.9,
    )
    precision: str = setting(
        "auto",
        "Dtype policy: auto takes mixed_float16 on a GPU, mixed_bfloat16 on a CPU that is faster "
        "in it (AMD with its instructions, Intel with AMX), else float32.",
        choices=("auto", "float32", "mixed_float16", "mixed_bfloat16"),
    )
    strategy: str = setting(
        "auto",
        "Distribution: auto mirrors over the GPUs where there are several.",
        choices=("auto", "default", "mirrored", "multi_worker"),
    )


def make_optimizer(training: Training, steps: int) -> keras.optimizers.Optimizer:
    """Adam with the learning rate of the settings `Training`, over a number of steps."""
    rate = training.learning_rate
    if training.schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(rate, steps, alpha=0.02)
    return keras.optimizers.Adam(rate)


def hold_out(
    episodes: Subset | EpisodeStream, training: Training
) -> tuple[Subset | EpisodeStream, Subset | EpisodeStream | None]:
    """The episodes to train on and those held out, or all and None.

    Each is a `datasets.Subset`, in memory, or a `datasets.EpisodeStream`.
    """
    if training.validation:
        return episodes.split(training.validation, training.seed)
    return episodes, None


def fit(
    model: keras.Model,
    training: Training,
    directory: pathlib.Path,
    subset: Subset | EpisodeStream,
    held_out: Subset | EpisodeStream | None,
    strategy: tf.distribute.Strategy,
    pairs: bool = False,
    settings: dict[str, Any] | None = None,
    look: Callable[[], tuple[dict[str, float], dict[str, np.ndarray]]] | None = None,
) -> callbacks.Checkpoint:
    """Fits a compiled model, from where its last checkpoint left off, and records it.

    Args:
        model: A `ContrastiveWorldModel`.
        training: Settings `Training`.
        directory: The run's directory.
        subset, held_out: What `hold_out` returned.
        strategy: The `tf.distribute` strategy in whose scope the model was made.
        pairs: Whether batches come in pairs of one episode.
        settings: Dict of the run's settings, which TensorBoard shows; those of `training` if None.
        look: As in `callbacks.EpochSummaries`.

    Returns:
        The run's `Checkpoint`.

    Raises:
        DatasetError: For a file that cannot be streamed on.
    """
    writes = devices.is_chief(strategy)
    checkpoint = callbacks.Checkpoint(directory, writes)
    done = checkpoint.restore(model)
    if done:
        print(f"resuming after epoch {done} of {training.epochs}")
    if done >= training.epochs:
        return checkpoint
    size, seed = training.batch_size, training.seed
    order = {"start_epoch": done, "stop_epoch": training.epochs, "pairs": pairs}
    run = run_of(subset, training)
    batches, steps = _share_batches(strategy, subset, size, seed, run=run, **order)
    count = steps * size
    print(f"training {model.name} on {count:,} transitions per epoch, {steps} steps each")
    watching = [
        callbacks.Recorder(count),
        callbacks.StopAtNonFinite(checkpoint),
        callbacks.WarnOfCollapse(),
    ]
    recording = [
        callbacks.EpochLines(count),
        callbacks.EpochSummaries(directory / "logs", settings or vars(training), look),
        callbacks.HistoryFile(directory / runs.HISTORY, checkpoint),
    ]
    _fit(
        model,
        subset.failures,
        batches,
        epochs=training.epochs,
        initial_epoch=done,
        steps_per_epoch=steps,
        shuffle=False,  # the pipeline shuffles
        verbose=0,
        # What is recorded of an epoch is there before its checkpoint is.
        callbacks=[*watching, *(recording if writes else []), checkpoint],
        **_validation(strategy, held_out, training, run),
    )
    return checkpoint


def run_of(subset: Subset | EpisodeStream, training: Training) -> int:
    """The steps in a row of which batches of these episodes are made."""
    return min(training.run_length, subset.steps)


def steps_per_epoch(subset: Subset | EpisodeStream, training: Training) -> int:
    """The batches in an epoch of `fit`."""
    return subset.steps_per_epoch(training.batch_size, run_of(subset, training))


def _fit(model, failures, batches, **arguments):
    """Calls `model.fit`; raises what went wrong in a pipeline, not TensorFlow's account of it."""
    try:
        model.fit(batches, **arguments)
    except tf.errors.OpError:
        for failure in failures:
            raise failure from None
        raise


def _validation(strategy, held_out, training, run):
    """The arguments of `fit` for the episodes held out; none where there are none."""
    if held_out is None:
        return {}
    # Of each episode, the steps that runs leave over are in no batch.
    count = held_out.count // held_out.steps * (held_out.steps // run) * run
    least = strategy.num_replicas_in_sync * run
    if count < least:
        raise ValueError(
            f"Expected `validation` to hold out at least {least} transitions, {run} for each of "
            f"{least // run} replicas; received validation={training.validation}, which holds out "
            f"{count}."
        )
    size = min(training.batch_size, count // least * least)
    # Shuffled once and for all, or neighbours that share a frame would be each other's negatives.
    order = {"stop_epoch": 1, "run": run}
    batches, steps = _share_batches(strategy, held_out, size, training.seed, **order)
    return {"validation_data": batches, "validation_steps": steps}


def _share_batches(strategy, subset, batch_size, seed, run, **order):
    """Batches of transitions, each cut into one share per replica; the steps per epoch."""
    steps = subset.steps_per_epoch(batch_size, run)

    def feed(context):
        shares = context.num_replicas_in_sync
        here = shares // context.num_input_pipelines
        own = slice(context.input_pipeline_id * here, (context.input_pipeline_id + 1) * here)
        return subset.transitions(batch_size, seed, shares=shares, own=own, run=run, **order)[0]

    return strategy.distribute_datasets_from_function(feed), steps
