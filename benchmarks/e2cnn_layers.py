"""Single convolutions in e2cnn, and what they cost beside PyTorch's own."""

import functools
import time
from typing import NamedTuple

import torch
from e2cnn import nn as enn

from benchmarks.e2cnn_angles import make_space
from benchmarks.timing import time_in_turn


class Found(NamedTuple):
    """How many times PyTorch's convolution a layer costs, and the seconds to build it."""

    ratio: float
    building: float


def measure(group, before, after, fields, size, side, batch, rounds):
    """The cost of a convolution, forward and backward, in float32.

    Args:
        group: Name of the group, such as `"C8"` or `"O2"`.
        before, after: `"trivial"`, `"regular"`, or `"irreps"`, all up to frequency 2.
        fields: Numbers of fields before and after.
        size, side, batch: Side of the kernel and of the images, and number of images.
        rounds: How often both are measured in turn.
    """
    space = make_space(group)
    types = [
        enn.FieldType(space, count * representations(space, kind))
        for count, kind in zip(fields, (before, after), strict=True)
    ]
    begun = time.perf_counter()
    ours = enn.R2Conv(*types, size, padding=size // 2)
    building = time.perf_counter() - begun
    plain = torch.nn.Conv2d(types[0].size, types[1].size, size, padding=size // 2)
    images = torch.randn(batch, types[0].size, side, side)

    def of_field(x):
        return ours(enn.GeometricTensor(x, types[0])).tensor

    contenders = {
        "e2cnn": functools.partial(step, ours, of_field, images),
        "plain": functools.partial(step, plain, plain, images),
    }
    times = time_in_turn(contenders, rounds)
    ratio = sorted(times["e2cnn"])[rounds // 2] / sorted(times["plain"])[rounds // 2]
    return Found(ratio, building)


def step(module, function, images):
    """One pass forward and backward."""
    module.zero_grad()
    x = images.clone().requires_grad_()
    function(x).sum().backward()


def representations(space, kind):
    """The representations of one field."""
    if kind != "irreps":
        return [{"trivial": space.trivial_repr, "regular": space.regular_repr}.get(kind)]
    group = space.fibergroup
    if group.name.startswith("O"):
        return [group.irrep(0, 0), group.irrep(1, 0), group.irrep(1, 1), group.irrep(1, 2)]
    return [group.irrep(k) for k in range(3)]
