"""Whole runs, in processes that are killed."""

import importlib
import json
import pathlib
import random
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from sen_tf.datasets import store
from sen_tf.experiments import training_run
from sen_tf.training import runs

train = importlib.import_module("sen_tf.train")

ROOT = pathlib.Path(__file__).parents[1]
TINY = [
    *("--env=shapes", "--preset=quick", "--train_episodes=40", "--train_steps=5"),
    *("--eval_episodes=10", "--eval_steps=1", "--validation=0.1"),
    *("--hidden=4", "--filters=4", "--batch_size=16", "--negatives=2"),
    "--precision=mixed_bfloat16",  # tests/training/fitting_test.py interrupts runs in float32
]
PATIENCE = 120  # seconds


def places(folder, name):
    return [f"--data_dir={folder}/data", f"--output={folder}/{name}"]


def epochs_saved(directory):
    return len(list(directory.glob("checkpoint/epoch-*.json")) and newest(directory)["history"])


def newest(directory):
    return json.loads(max(directory.glob("checkpoint/epoch-*.json")).read_text())


def start_and_kill(command, directory, rng):
    """Trains in a process of its own, and kills it at a random moment of its training."""
    before = epochs_saved(directory) if (directory / "checkpoint").exists() else 0
    wanted = before + rng.randint(0, 2)
    with open(directory.with_suffix(".txt"), "ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "sen_tf.train", *command], cwd=ROOT, stdout=log, stderr=log
        )
    begun = time.monotonic()
    try:
        while not (directory / runs.LOCK).exists() or (
            wanted > before and epochs_saved(directory) < wanted
        ):
            assert process.poll() is None, directory.with_suffix(".txt").read_text()[-2000:]
            assert time.monotonic() - begun < PATIENCE
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 0.3 if wanted > before else 6))
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    "kills, epochs, flags",
    [
        (1, 6, []),
        # tests/training/fitting_test.py interrupts a streamed one each time.
        pytest.param(1, 5, ["--memory=0.0006"], marks=pytest.mark.slow),
        pytest.param(10, 60, [], marks=pytest.mark.slow),
    ],
    ids=["one", "streamed", "ten"],
)
def test_a_run_killed_again_and_again_ends_bit_equal(tmp_path, monkeypatch, kills, epochs, flags):
    """In all that is trained; what is drawn and written of it in the end is left out, for time."""
    monkeypatch.setattr(training_run, "finish", lambda *_: None)
    monkeypatch.setattr(store, "CHUNK_FRAMES", 8)  # an episode in a block
    command = [*TINY, f"--epochs={epochs}", *flags]
    train.main([*command, *places(tmp_path, "whole")])
    whole, parts, rng = tmp_path / "whole", tmp_path / "parts", random.Random(kills)
    for _ in range(kills):
        start_and_kill([*command, *places(tmp_path, "parts")], parts, rng)
        assert not (parts / runs.MODEL).exists()
    train.main([*command, *places(tmp_path, "parts")])

    name = f"checkpoint/epoch-{epochs:04d}.npz"
    with np.load(whole / name) as expected, np.load(parts / name) as found:
        assert len(expected) > 50  # weights, moments and statistics
        for key in expected:
            np.testing.assert_array_equal(expected[key], found[key])
    histories = [newest(run)["history"] for run in (whole, parts)]
    for a, b in zip(*histories, strict=True):
        assert {**a, "seconds": 0} == {**b, "seconds": 0}
    for part, key in (("train", "loss"), ("validation", "val_loss")):
        events = EventAccumulator(str(parts / "logs" / part), {"tensors": 0}).Reload()
        events = events.Tensors("epoch_loss")
        shown = {event.step: tf.make_ndarray(event.tensor_proto) for event in events}
        assert shown == {n: np.float32(row[key]) for n, row in enumerate(histories[0])}
