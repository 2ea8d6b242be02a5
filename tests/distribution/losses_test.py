"""Losses of two replicas are those of the whole batch on one device, and so are their gradients."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
# Seven samples, five of them on the first replica. States are linear in a weight.
PROGRAM = """
import json
import numpy as np
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
import keras
from sen_tf import losses

rng = np.random.default_rng(0)
vectors = {name: rng.normal(size=(7, 3, 6)) for name in ("state", "next_state", "reversed")}
vectors["half_reversed"] = vectors["reversed"][[0, 1, 2, 5]]
weight = rng.normal(size=(6, 5))
turns = np.linalg.qr(rng.normal(size=(7, 3, 3)))[0]
moves = rng.integers(0, 6, 7)
pushes = rng.normal(size=(6, 3, 5))

kinds = {
    "OtherSamples": {"negatives": [losses.OtherSamples(2)]},
    "ReversedFrames": {"negatives": [losses.OtherSamples(), losses.ReversedFrames()]},
    "SameEpisode": {"negatives": [losses.OtherSamples(), losses.SameEpisode()]},
    "Uniformity": {"negatives": [losses.Uniformity(True)]},
    "Uniformity, each object": {"negatives": [losses.Uniformity(False, True)]},
    "ActionContrast": {"terms": [losses.ActionContrast(5)]},
    "ActionContrast of moves": {"terms": [losses.ActionContrast(5, 3)]},
    "Alignment": {"terms": [losses.Alignment(5)]},
}

def gradient(loss, weight, seed, rows, half):
    chosen = {name: tf.gather(x, rows) for name, x in vectors.items() if name != "half_reversed"}
    chosen["half_reversed"] = tf.gather(vectors["half_reversed"], half)
    aligned = any(isinstance(term, losses.Alignment) for term in loss.terms)
    batch = {"action": tf.gather(turns if aligned else moves, rows)}
    predict = lambda state, action: state + tf.gather(pushes, action)
    with tf.GradientTape() as tape:
        states = {name: tf.cast(x, "float32") @ weight for name, x in chosen.items()}
        states["features"], states["next_features"] = states["state"], states["next_state"]
        before = states["state"]
        states["predicted"] = before if aligned else predict(before, batch["action"])
        each, _, _ = loss(batch, states, tf.constant(0), predict, seed)
        value = tf.reduce_sum(each) / 7
    return value, tape.gradient(value, weight)

pushes, turns = pushes.astype("float32"), turns.astype("float32")
apart = {}
for name, arguments in kinds.items():
    loss = losses.ContrastiveLoss(hinge=20.0, **arguments)
    one = tf.Variable(weight, dtype="float32")
    seed = keras.random.SeedGenerator(3)
    whole = gradient(loss, one, seed, tf.range(7), tf.range(4))
    with strategy.scope():
        mirrored = tf.Variable(weight, dtype="float32")
        seed = keras.random.SeedGenerator(3)

    @tf.function
    def step():
        def on_replica():
            context = tf.distribute.get_replica_context()
            first = context.replica_id_in_sync_group == 0
            rows = tf.cond(first, lambda: tf.range(0, 5), lambda: tf.range(5, 7))
            half = tf.cond(first, lambda: tf.range(0, 3), lambda: tf.range(3, 4))
            return context.all_reduce("SUM", gradient(loss, mirrored, seed, rows, half))
        return strategy.run(on_replica)

    parts = [strategy.experimental_local_results(each)[0] for each in step()]
    apart[name] = [float(tf.reduce_max(abs(a - b))) for a, b in zip(whole, parts)]
    apart[name].append(float(tf.reduce_max(abs(whole[1]))))
print(json.dumps(apart))
"""


@pytest.fixture(scope="module")
def apart():
    """How far values and gradients differ, and the largest gradient, by the loss's name."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize(
    "name",
    [
        "OtherSamples",
        "ReversedFrames",
        "SameEpisode",
        "Uniformity",
        "Uniformity, each object",
        "ActionContrast",
        "ActionContrast of moves",
        "Alignment",
    ],
)
def test_two_replicas_have_the_loss_of_the_whole_batch(apart, name):
    value, gradient, largest = apart[name]
    assert largest > 0.1
    assert value < 1e-4 and gradient < 1e-4 * largest
