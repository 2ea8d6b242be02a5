"""Training steps of `sen` at the paper's widths, beside the same model in PyTorch, eager.

Every contender has a process of its own, with all cores: no threads of one wait busily while
another is measured.
"""

import contextlib
import dataclasses

import keras
import numpy as np
import tensorflow as tf

from benchmarks.table import Measured, Row
from benchmarks.timing import OwnProcess, alternate
from sen_tf.distribution import devices
from sen_tf.experiments import networks, world_models

BATCHES = {"cubes": 256, "shapes": 256, "reacher": 32}
PEERS = {"cubes": "PyTorch", "shapes": "PyTorch", "reacher": "PyTorch and e2cnn"}
PRECISIONS = ("float32", "mixed_bfloat16")
# As many times the peer's time as ours may be, in each precision.
MOST = {"cubes": (1 / 3, 1 / 8), "shapes": (1 / 4, 1 / 8), "reacher": (1 / 4, 1 / 10)}


def size(env, preset):
    """Width of encoder and transition, channels of the embedding, and batch size of a preset."""
    chosen = world_models.choose([f"--env={env}", f"--preset={preset}"])
    return chosen.network.hidden, chosen.network.filters, chosen.training.batch_size


def make_model(env, precision, hidden, filters):
    """The model `sen` of an environment, compiled for training."""
    model = networks.make_model(env, "sen", hidden, filters, precision)
    model.compile(
        keras.optimizers.Adam(5e-4), networks.make_loss(env), jit_compile=devices.xla_pays()
    )
    return model


def random_batch(model, batch_size):
    """A batch of transitions between pictures of noise, as tensors."""
    rng = np.random.default_rng(0)
    batch = networks.blank_transitions(model, batch_size)
    action = batch["action"]
    drawn = {
        name: rng.integers(0, 256, batch[name].shape, np.uint8) for name in ("obs", "next_obs")
    }
    drawn["action"] = rng.integers(0, 2, action.shape).astype(action.dtype)
    return {name: tf.constant(value) for name, value in drawn.items()}


def make_ours(env, precision, hidden, filters, batch_size):
    """A function that does one training step, after one that traced it."""
    model = make_model(env, precision, hidden, filters)
    batch = random_batch(model, batch_size)
    train_step = tf.function(model.train_step)

    def step():
        train_step(batch)

    step()
    return step


def make_torch(env, hidden, filters, batch_size):
    """A function that does the same step in PyTorch, after a first one."""
    from benchmarks import torch_models

    train_step = torch_models.make_step(env, hidden, filters, batch_size)

    def step():
        train_step()

    step()
    return step


def compare(rounds, env, hidden, filters, batch_size):
    """Yields a row for each precision, without a target."""
    arguments = (hidden, filters, batch_size)
    with contextlib.ExitStack() as stack:
        contenders = {
            precision: stack.enter_context(OwnProcess(make_ours, env, precision, *arguments))
            for precision in PRECISIONS
        }
        missing = ""
        try:
            contenders["peer"] = stack.enter_context(OwnProcess(make_torch, env, *arguments))
        except ImportError as error:
            missing = f"not run: {error}"
        costs = alternate(contenders, rounds)
    times = {name: Measured.of([cost.seconds for cost in costs[name]]) for name in contenders}
    for precision in PRECISIONS:
        yield Row(
            f"training step of {env} sen",
            "s",
            times[precision],
            f"{PEERS[env]}, float32",
            times.get("peer"),
            variant=precision,
            note=missing,
        )


def rows(rounds):
    for env, batch_size in BATCHES.items():
        hidden, filters, _ = size(env, "paper")
        compared = compare(rounds, env, hidden, filters, batch_size)
        for row, most in zip(compared, MOST[env], strict=True):
            what = f"{row.what}, batch {batch_size}"
            yield dataclasses.replace(row, what=what, most_of_peer=most)
