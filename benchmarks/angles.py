"""Equivariance errors off the grid of pixels, beside e2cnn's on the same images.

Three 5x5 layers with new weights, of waves of up to pi / 3 per pixel under a disc; what they make
of a turned image beside what they make of the upright one, turned. Both turns are by splines of the
fifth order, and differences count within a disc. Seeds spread by a factor of three: a row is the
median over `SEEDS` networks, each with an image of its own.
"""

import functools

import keras
import numpy as np
from scipy import ndimage

from benchmarks.table import Measured, Row
from sen_tf import layers

SEEDS = 16
SIDE, RADIUS, CHANNELS = 65, 26, 4
PEER = "e2cnn"

# Group, turn in degrees, and the highest frequency where the group is continuous.
CASES = (("C8", 45, None), ("C24", 15, None), ("D8", 45, None), ("SO2", 15, 3), ("O2", 15, 3))


def waves(rng):
    """An image (side, side) of twenty plane waves."""
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    image = np.zeros((SIDE, SIDE))
    for _ in range(20):
        frequency, angle = rng.uniform(0, np.pi / 3), rng.uniform(0, 2 * np.pi)
        phase = frequency * (np.cos(angle) * x + np.sin(angle) * y) + rng.uniform(0, 2 * np.pi)
        image += rng.standard_normal() * np.cos(phase)
    return image / (1 + np.exp(np.hypot(x, y) - 0.42 * SIDE))


def turned(image, degrees):
    return ndimage.rotate(image, degrees, reshape=False, order=5)


def error(function, image, degrees):
    """The relative error of a function from images (n, side, side) to the same, within the disc."""
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    inside = np.hypot(x, y) < RADIUS
    upright, of_turned = function(np.stack([image, turned(image, degrees)]).astype("float32"))
    difference = turned(upright, degrees) - of_turned
    return np.linalg.norm(difference[inside]) / np.linalg.norm(of_turned[inside])


def ours(group, frequencies):
    """A network of this package, with new weights, as a function for `error`."""
    if frequencies is None:
        arguments = {"padding": "same", "activation": "relu", "basis": "harmonics"}
        parts = [
            layers.LiftingConv2D(group, CHANNELS, 5, **arguments),
            layers.GroupConv2D(group, CHANNELS, 5, **arguments),
            layers.GroupConv2D(group, 1, 5, **{**arguments, "activation": None}),
            layers.GroupPooling(),
        ]
    else:
        convolve = functools.partial(layers.CircleConv2D, group, kernel_size=5, padding="same")
        parts = [
            convolve(CHANNELS, frequencies=frequencies),
            layers.GatedActivation("relu", group),
            convolve(CHANNELS, frequencies=frequencies),
            layers.GatedActivation("relu", group),
            convolve(1, frequencies=0),
        ]
    model = keras.Sequential([keras.Input((SIDE, SIDE, 1)), *parts])

    def compute(images):
        return np.array(model(images[..., None])).reshape(*images.shape, -1)[..., 0]

    return compute


def theirs(group, frequencies):
    """The same network in e2cnn."""
    import torch

    from benchmarks import e2cnn_angles

    model = e2cnn_angles.make_model(group, frequencies, CHANNELS)

    def compute(images):
        with torch.no_grad():
            return model(torch.from_numpy(images)[:, None])

    return compute


def measure(make, group, degrees, frequencies, seeds):
    """The errors of networks of a group: a list, one per seed."""
    errors = []
    for seed in range(seeds):
        keras.utils.set_random_seed(seed)  # PyTorch's generator too
        image = waves(np.random.default_rng(seed))
        errors.append(100 * error(make(group, frequencies), image, degrees))
    return errors


def rows(rounds, cases=CASES):
    """A row per group; the number of seeds does not depend on the rounds."""
    seeds = SEEDS if rounds > 1 else 1
    for group, degrees, frequencies in cases:
        found = Measured.of(measure(ours, group, degrees, frequencies, seeds))
        note, peer = f"{seeds} seeds", None
        try:
            peer = Measured.of(measure(theirs, group, degrees, frequencies, seeds))
        except ImportError as missing:
            note = f"not run: {missing}"
        kind = "regular" if frequencies is None else f"gated, frequencies up to {frequencies}"
        what = f"error of {group}, {kind}, at {degrees} degrees"
        yield Row(what, "%", found, PEER, peer, most_of_peer=1.25, note=note)
