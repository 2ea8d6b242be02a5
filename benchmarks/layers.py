"""`GroupConv2D` forward and backward, beside Keras' `Conv2D` with as many expanded channels."""

import functools

import keras
import numpy as np
import tensorflow as tf

from benchmarks.table import Measured, Row
from benchmarks.timing import time_in_turn
from sen_tf import groups
from sen_tf.layers import GroupConv2D

# Fields, side of the image in pixels, images in a batch.
SIZES = ((16, 50, 16), (32, 50, 8), (181, 9, 16))
PRECISIONS = ("float32", "mixed_bfloat16")
PEER = "Conv2D"


def forward_and_backward(function, weights, inputs):
    """A function that computes `function(inputs)`, and gradients of the inputs and weights."""

    @tf.function
    def compute(inputs):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = function(inputs)
        return outputs, tape.gradient(outputs, [inputs, *weights])

    return functools.partial(compute, inputs)


def measure(rounds, group, fields, side, batch_size, precision):
    """Times of the group's convolution and of the plain one, 3x3 and of stride 1."""
    order = groups.get(group).order
    noise = np.random.default_rng(0).normal(size=(batch_size, side, side, order, fields))
    dtype = keras.DTypePolicy(precision).compute_dtype
    contenders = {}
    for name, layer, shape in (
        ("ours", GroupConv2D(group, fields, 3, padding="same", dtype=precision), noise.shape),
        (
            PEER,
            keras.layers.Conv2D(order * fields, 3, padding="same", dtype=precision),
            (*noise.shape[:3], order * fields),
        ),
    ):
        layer.build(shape)
        inputs = tf.cast(noise.reshape(shape), dtype)
        contenders[name] = forward_and_backward(layer, layer.trainable_variables, inputs)
    times = time_in_turn(contenders, rounds)
    return Measured.of(times["ours"]), Measured.of(times[PEER])


def rows(rounds, sizes=SIZES):
    for group in ("C4", "D4"):
        for fields, side, batch_size in sizes:
            for precision in PRECISIONS:
                ours, theirs = measure(rounds, group, fields, side, batch_size, precision)
                yield Row(
                    f"GroupConv2D {group}, {fields} fields, {batch_size} of {side}x{side}",
                    "s",
                    ours,
                    PEER,
                    theirs,
                    most_of_peer=1.15,
                    variant=precision,
                )
