"""Training on several replicas and on several machines ends as on one device."""

import json
import os
import pathlib
import socket
import subprocess
import sys
import time

import keras
import numpy as np
import pytest

from sen_tf import generate
from sen_tf.training import runs

ROOT = pathlib.Path(__file__).parents[2]
TINY = [
    *("--env=shapes", "--preset=quick", "--train_episodes=300", "--eval_episodes=20"),
    *("--hidden=8", "--filters=8", "--batch_size=32", "--precision=float32"),
    *("--learning_rate=0.01", "--action_contrast=0.5"),
]
# Of every kind, and with plain gradient descent: Adam makes steps of rounding errors where nothing
# but they are left of a gradient, as at a bias before a batch normalization. Actions are contrasted
# in half of the steps: in eight tenths, other kernels on one device change weights by 3e-5 as well.
PROGRAM = """
import importlib, sys
import tensorflow as tf
kind, *arguments = sys.argv[1:]
if kind == "mirrored":
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
import keras
from sen_tf.distribution import devices
from sen_tf import export, settings
from sen_tf.experiments import drawing
train = importlib.import_module("sen_tf.train")
if kind == "mirrored":
    devices.make_strategy = lambda name: strategy
keras.optimizers.Adam = keras.optimizers.SGD
export.export_model = lambda model, directory: directory
drawing.draw = lambda latents, read, env, run, unseen: (run / "figures").mkdir() or []
sys.argv[1:] = arguments
settings.run(train.main, "")
"""


def free_ports(count):
    sockets = [socket.create_server(("localhost", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def start(kind, folder, *flags, **environment):
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, kind, *TINY, *flags],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": "", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def start_workers(folder, *flags):
    """Two worker processes of one training: a list of them, the chief first."""
    workers = [f"localhost:{port}" for port in free_ports(2)]
    tasks = [{"type": "worker", "index": index} for index in range(2)]
    return [
        start(
            "worker",
            folder,
            *flags,
            "--strategy=multi_worker",
            TF_CONFIG=json.dumps({"cluster": {"worker": workers}, "task": task}),
        )
        for task in tasks
    ]


def finish(process):
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 0, out[-3000:]


def assert_same_training(one, other):
    one, other = (keras.models.load_model(run / runs.MODEL) for run in (one, other))
    for a, b in zip(one.weights, other.weights, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5, err_msg=a.path)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """A run of one epoch on one device, and the data beside it."""
    folder = tmp_path_factory.mktemp("alone")
    finish(start("alone", folder, "--epochs=1", "--output=alone"))
    return folder


@pytest.mark.parametrize("kind", ["mirrored", pytest.param("workers", marks=pytest.mark.slow)])
def test_two_replicas_and_two_machines_train_as_one_device_does(alone, kind):
    flags = ("--epochs=1", f"--output={kind}")
    workers = kind == "workers"
    for process in start_workers(alone, *flags) if workers else [start(kind, alone, *flags)]:
        finish(process)
    assert_same_training(alone / "alone", alone / kind)
    scores = json.loads((alone / kind / runs.METRICS).read_text())["scores"]
    assert 0 <= scores["steps"]["1"]["hits@10"] <= 1


@pytest.mark.slow
def test_two_machines_train_in_half_precision(alone):
    half = ("--epochs=1", "--precision=mixed_float16", "--output=half")
    for process in start_workers(alone, *half):
        finish(process)
    summary = json.loads((alone / "half" / runs.METRICS).read_text())
    assert summary["precision"] == "mixed_float16"
    one, half = (keras.models.load_model(alone / name / runs.MODEL) for name in ("alone", "half"))
    for a, b in zip(one.weights, half.weights, strict=True):
        np.testing.assert_allclose(a, b, atol=2e-3, err_msg=a.path)


@pytest.mark.slow
def test_training_resumes_when_a_worker_was_killed(alone):
    for process in start_workers(alone, "--epochs=40", "--output=whole"):
        finish(process)
    chief, worker = start_workers(alone, "--epochs=40", "--output=killed")
    while not list((alone / "killed").glob("checkpoint/*.json")):
        assert chief.poll() is None and worker.poll() is None
        time.sleep(0.05)
    worker.kill()
    out, _ = chief.communicate(timeout=300)
    assert chief.returncode == 2 and "another worker was lost" in out, out[-3000:]
    for process in start_workers(alone, "--epochs=40", "--output=killed"):
        finish(process)
    assert_same_training(alone / "whole", alone / "killed")


@pytest.mark.slow
def test_two_machines_stream_a_shard_each(tmp_path):
    size = ("--env=shapes", "--episodes=80", "--steps=20", "--shards=2")
    generate.main([*size, f"--output={tmp_path}/set.h5"])
    flags = ("--dataset=set-*.h5", "--memory=0.006", "--epochs=2", "--output=run")
    for process in start_workers(tmp_path, *flags):
        out, _ = process.communicate(timeout=300)
        assert process.returncode == 0, out[-3000:]
        assert "streaming 0.0117 GiB of frames from 2 files" in out
    summary = json.loads((tmp_path / "run" / runs.METRICS).read_text())
    # Of 20 blocks of four episodes each machine holds out one; a batch of 32 is shared by both.
    assert summary["transitions_seen"] == 2 * (72 * 20 // 32 * 32)
    assert np.isfinite(summary["history"][-1]["val_loss"])


def test_several_machines_need_to_know_each_other(tmp_path):
    process = start("worker", tmp_path, "--strategy=multi_worker")
    out, _ = process.communicate(timeout=100)
    assert process.returncode == 2 and "TF_CONFIG" in out.splitlines()[-1]
