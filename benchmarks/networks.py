"""Training steps of whole networks, beside the plain ones of as many numbers per pixel.

The plain network is of the same layers on the group C1, whose batch normalization is faster than
that of Keras on a CPU: a stricter peer.
"""

import functools

import keras
import numpy as np
import tensorflow as tf

from benchmarks.table import Measured, Row
from benchmarks.timing import time_in_turn
from sen_tf import models

PRECISIONS = ("float32", "mixed_bfloat16")

# A network, the arguments after its group, images in a batch, and the target.
CASES = {
    "ResNet-18": (models.resnet, {"input_shape": (97, 97, 3), "classes": 10}, 8, 1.15),
    "U-Net": (models.unet, {"input_shape": (64, 64, 3), "classes": 3, "filters": 32}, 8, 1.25),
}


def training_step(make, group, arguments, batch, precision):
    """A function that trains a network on one batch of noise."""
    previous = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        model = make(group, **arguments)
    finally:
        keras.config.set_dtype_policy(previous)
    optimizer = keras.optimizers.Adam()
    optimizer.build(model.trainable_variables)
    rng = np.random.default_rng(0)
    images = tf.constant(rng.standard_normal((batch, *model.input_shape[1:])), tf.float32)
    shape = (batch, *model.output_shape[1:-1])
    labels = tf.constant(rng.integers(0, model.output_shape[-1], shape))

    @tf.function
    def train(images, labels):
        with tf.GradientTape() as tape:
            outputs = tf.cast(model(images, training=True), tf.float32)
            loss = keras.losses.sparse_categorical_crossentropy(labels, outputs)
            loss = tf.reduce_mean(loss)
        optimizer.apply(tape.gradient(loss, model.trainable_variables))
        return loss

    return functools.partial(train, images, labels)


def rows(rounds, cases=CASES, group="D4"):
    for name, (make, arguments, batch, most) in cases.items():
        for precision in PRECISIONS:
            contenders = {
                each: training_step(make, each, arguments, batch, precision)
                for each in (group, "C1")
            }
            times = time_in_turn(contenders, rounds)
            side = arguments["input_shape"][0]
            yield Row(
                f"training step of a {name} of {group}, {batch} of {side}x{side}",
                "s",
                Measured.of(times[group]),
                "the plain network",
                Measured.of(times["C1"]),
                most_of_peer=most,
                variant=precision,
            )
