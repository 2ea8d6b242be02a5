"""Training steps of `sen`, beside the same model in PyTorch, as published and tuned.

The best of PyTorch's tunings is compared at the same precision. A row for the bound compares with
the products of the step alone, at the rate of one large product of matrices.

Every contender has a process of its own, with all cores: no threads of one wait busily while
another is measured.
"""

import contextlib
import dataclasses
import itertools
import math

import keras
import numpy as np
import tensorflow as tf
from tensorflow.compat.v1 import profiler

from benchmarks.table import Measured, Row
from benchmarks.timing import OwnProcess, alternate
from sen_tf.distribution import devices
from sen_tf.envs import ENVS
from sen_tf.experiments import networks, world_models

BATCHES = {"cubes": 64, "shapes": 256, "reacher": 32, "reacher-65": 32}
PEERS = {
    "cubes": "PyTorch",
    "shapes": "PyTorch",
    "reacher": "PyTorch and e2cnn",
    "reacher-65": "PyTorch and e2cnn",
}
PRECISIONS = ("float32", "mixed_bfloat16")
# As many times the time of the best tuned peer as ours may be, in each precision.
MOST = {"cubes": (1 / 1.6, 1 / 1.4), "shapes": (1 / 2.9, 1 / 1.9)}
SIDE = 1024  # of the matrices by whose product the rate is measured
PRODUCTS = ("Conv2D", "MatMul")  # parts of the names of operations that are products


def size(env, preset):
    """Width of encoder and transition, channels of the embedding, and batch size of a preset."""
    chosen = world_models.choose([f"--env={env.partition('-')[0]}", f"--preset={preset}"])
    return chosen.network.hidden, chosen.network.filters, chosen.training.batch_size


def make_model(env, precision, hidden, filters):
    """The model `sen` of an environment, such as "cubes" or "reacher-65", compiled for training."""
    name, _, pixels = env.partition("-")
    world = ENVS[name](size=int(pixels)) if pixels else ENVS[name]()
    model = networks.make_model(world, "sen", hidden, filters, precision)
    model.compile(
        keras.optimizers.Adam(5e-4), networks.make_loss(name), jit_compile=devices.xla_pays()
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


def matrix_of(precision):
    """A large matrix of noise, in the dtype in which layers of a precision compute."""
    noise = tf.random.stateless_normal((SIDE, SIDE), (0, 0)) / SIDE**0.5
    return tf.cast(noise, keras.DTypePolicy(precision).compute_dtype)


def make_products(env, precision, hidden, filters, batch_size):
    """A function that multiplies as many numbers as a step, in large products of matrices."""
    model = make_model(env, precision, hidden, filters)
    batch = random_batch(model, batch_size)
    count = math.ceil(operations(tf.function(model.train_step), batch) / (2 * SIDE**3))
    matrix = matrix_of(precision)

    @tf.function
    def multiply(x):
        for _ in tf.range(count):
            x = x @ matrix
        return x

    def step():
        multiply(matrix).numpy()

    step()
    return step


def operations(function, *arguments):
    """Additions and multiplications in the products of a function of tensors."""
    graph = function.get_concrete_function(*arguments).graph
    build = profiler.ProfileOptionBuilder
    options = build(build.float_operation()).with_empty_output().build()
    options["account_type_regexes"] = [f".*{name}.*" for name in PRODUCTS]
    return profiler.profile(graph, cmd="op", options=options).total_float_ops


def make_torch(env, hidden, filters, batch_size, tuning):
    """A function that does the same step in PyTorch, after a first one."""
    from benchmarks import torch_models

    train_step = torch_models.make_step(env, hidden, filters, batch_size, tuning)

    def step():
        train_step()

    step()
    return step


def tunings():
    """The tunings of PyTorch by precision, the published one first; none where it is missing."""
    try:
        from benchmarks.torch_models import Tuning
    except ImportError:
        return {precision: [] for precision in PRECISIONS}
    return {
        precision: [
            Tuning(last, one, autocast) for last, one in itertools.product((False, True), repeat=2)
        ]
        for precision, autocast in zip(PRECISIONS, (False, True), strict=True)
    }


def compare(rounds, env, hidden, filters, batch_size):
    """Yields three rows for each precision, without a target.

    They compare with PyTorch as published, with the best tuning of it at the same precision, and
    with the products alone.
    """
    arguments = (hidden, filters, batch_size)
    tuned = tunings()
    with contextlib.ExitStack() as stack:
        contenders, missing = {}, "" if tuned["float32"] else "not run: PyTorch is missing"
        for precision in PRECISIONS:
            for name, make in (("ours", make_ours), ("products", make_products)):
                process = OwnProcess(make, env, precision, *arguments)
                contenders[name, precision] = stack.enter_context(process)
        try:
            for tuning in itertools.chain(*tuned.values()):
                process = OwnProcess(make_torch, env, *arguments, tuning)
                contenders["peer", tuning] = stack.enter_context(process)
        except ImportError as error:  # e2cnn
            tuned, missing = {precision: [] for precision in PRECISIONS}, f"not run: {error}"
        costs = alternate(contenders, rounds)
    times = {name: Measured.of([cost.seconds for cost in costs[name]]) for name in contenders}
    published = times["peer", tuned["float32"][0]] if tuned["float32"] else None
    for precision in PRECISIONS:
        row = Row(
            f"training step of {env} sen",
            "s",
            times["ours", precision],
            f"{PEERS[env]} as published, float32",
            published,
            variant=precision,
            note=missing,
        )
        yield row
        best = min(tuned[precision], key=lambda each: times["peer", each].median, default=None)
        yield dataclasses.replace(
            row,
            peer=f"best {PEERS[env]}, {precision}, {str(best) or 'as published'}",
            theirs=times["peer", best] if best else None,
        )
        alone = times["products", precision]
        yield dataclasses.replace(row, peer="its products alone", theirs=alone, note="")


def rows(rounds):
    for env, batch_size in BATCHES.items():
        hidden, filters, _ = size(env, "laptop" if env == "reacher-65" else "paper")
        compared = compare(rounds, env, hidden, filters, batch_size)
        targets = [target for most in MOST.get(env, (None, None)) for target in (None, most, None)]
        for row, most in zip(compared, targets, strict=True):
            what = f"{row.what}, batch {batch_size}"
            yield dataclasses.replace(row, what=what, most_of_peer=most)
