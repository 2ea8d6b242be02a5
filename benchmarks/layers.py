"""Layers forward and backward, beside Keras' layers of as many numbers per pixel, and e2cnn's.

e2cnn's layers run on PyTorch, whose convolution costs something else than TensorFlow's: what a note
tells is how many times PyTorch's own convolution, of as many channels, they cost. Building is timed
with empty caches.
"""

import functools
import time
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from benchmarks.table import Measured, Row
from benchmarks.timing import time_in_turn
from sen_tf import groups, layers
from sen_tf.groups import circle, harmonics

# Fields, side of the image in pixels, images in a batch.
SIZES = ((16, 50, 16), (32, 50, 8), (181, 9, 16))
PRECISIONS = ("float32", "mixed_bfloat16")


class Case(NamedTuple):
    """A layer, the layer of Keras of as many numbers per pixel, and the input of ours.

    e2cnn: group, representations before and after as in `e2cnn_layers.make`, fields, and the
        kernel size; None for a layer that it has not.
    """

    name: str
    ours: keras.layers.Layer
    theirs: keras.layers.Layer
    shape: tuple[int, ...]
    e2cnn: tuple | None = None


def forward_and_backward(function, weights, inputs):
    """A function that computes `function(inputs)`, and gradients of the inputs and weights."""

    @tf.function
    def compute(inputs):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = function(inputs)
        return outputs, tape.gradient(outputs, [inputs, *weights])

    return functools.partial(compute, inputs)


def sized_cases(sizes, precision, names=("C4", "D4")):
    """3x3 convolutions of groups, of the sizes of our models."""
    for group in names:
        order = groups.get(group).order
        for fields, side, batch in sizes:
            yield Case(
                f"GroupConv2D {group}, {fields} fields, {batch} of {side}x{side}",
                layers.GroupConv2D(group, fields, 3, padding="same", dtype=precision),
                keras.layers.Conv2D(order * fields, 3, padding="same", dtype=precision),
                (batch, side, side, order, fields),
            )


def kinds(side, batch, precision):
    """One of each kind, of 64 numbers per pixel or about as many."""
    conv = functools.partial(keras.layers.Conv2D, padding="same", dtype=precision)
    same = {"padding": "same", "dtype": precision}
    image = (batch, side, side)
    yield Case(
        "LiftingConv2D C8 5x5",
        layers.LiftingConv2D("C8", 8, 5, **same),
        conv(64, 5),
        (*image, 3),
        ("C8", "trivial", "regular", (3, 8), 5),
    )
    yield Case(
        "GroupConv2D C8 5x5",
        layers.GroupConv2D("C8", 8, 5, **same),
        conv(64, 5),
        (*image, 8, 8),
        ("C8", "regular", "regular", (8, 8), 5),
    )
    yield Case(
        "GroupConv2D D8 5x5",
        layers.GroupConv2D("D8", 4, 5, **same),
        conv(64, 5),
        (*image, 16, 4),
        ("D8", "regular", "regular", (4, 4), 5),
    )
    for name in ("SO2", "O2"):
        components = len(circle.get(name).frequencies(2))
        yield Case(
            f"CircleConv2D {name}, frequencies up to 2, 5x5",
            layers.CircleConv2D(name, 12, 5, frequencies=2, **same),
            conv(12 * components, 5),
            (*image, components, 12),
            (name, "irreps", "irreps", (12, 12), 5),
        )
    yield Case(
        "DepthwiseGroupConv2D D4 7x7",
        layers.DepthwiseGroupConv2D("D4", 7, **same),
        keras.layers.DepthwiseConv2D(7, **same),
        (*image, 8, 8),
    )
    yield Case(
        "GroupConvTranspose2D D4 4x4, stride 2",
        layers.GroupConvTranspose2D("D4", 8, 4, 2, **same),
        keras.layers.Conv2DTranspose(64, 4, 2, **same),
        (*image, 8, 8),
    )


def measure(rounds, case, precision):
    """Times of our layer and of Keras'."""
    noise = np.random.default_rng(0).normal(size=case.shape)
    dtype = keras.DTypePolicy(precision).compute_dtype
    contenders = {}
    for name, layer, shape in (
        ("ours", case.ours, case.shape),
        ("theirs", case.theirs, (*case.shape[:3], int(np.prod(case.shape[3:])))),
    ):
        layer.build(shape)
        inputs = tf.cast(noise.reshape(shape), dtype)
        contenders[name] = forward_and_backward(layer, layer.trainable_variables, inputs)
    times = time_in_turn(contenders, rounds)
    return Measured.of(times["ours"]), Measured.of(times["theirs"])


def building(case):
    """Seconds to build a layer, all tables anew."""
    for table in (harmonics.turned, circle.kernel_table):
        table.cache_clear()
    begun = time.perf_counter()
    type(case.ours).from_config(case.ours.get_config()).build(case.shape)
    return time.perf_counter() - begun


def cost_in_e2cnn(case, rounds):
    """What a note tells of e2cnn's layer."""
    if case.e2cnn is None:
        return ""
    try:
        from benchmarks import e2cnn_layers
    except ImportError as missing:
        return f"e2cnn not run: {missing}"
    found = e2cnn_layers.measure(*case.e2cnn, case.shape[1], case.shape[0], rounds)
    return f"e2cnn: {found.ratio:.2f} times PyTorch's, built in {found.building:.2g} s"


def rows(rounds, sizes=SIZES, side=33, batch=4):
    for precision in PRECISIONS:
        cases = [*sized_cases(sizes, precision), *kinds(side, batch, precision)]
        for case in cases:
            ours, theirs = measure(rounds, case, precision)
            in_float32 = precision == "float32"
            yield Row(
                case.name,
                "s",
                ours,
                type(case.theirs).__name__,
                theirs,
                most_of_peer=1.15,
                variant=precision,
                note=cost_in_e2cnn(case, rounds) if in_float32 else "",
            )
            if in_float32:
                built = Measured.of([building(case) for _ in range(3)])
                yield Row(f"building {case.name}", "s", built, most=0.1)
