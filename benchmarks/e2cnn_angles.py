"""The networks of `benchmarks.angles` in e2cnn's layers."""

import functools

from e2cnn import gspaces
from e2cnn import nn as enn

import benchmarks.e2cnn_reacher  # noqa: F401, adapts e2cnn to NumPy 2

HIGHEST = 6
"""The highest frequency for which e2cnn makes irreducible representations."""


def make_model(group, frequencies, channels):
    """A function from a tensor of images (n, 1, side, side) to an array (n, side, side)."""
    space = make_space(group)
    make = _regular if frequencies is None else functools.partial(_gated, frequencies=frequencies)
    parts = make(space, channels=channels)
    first = parts[0].in_type
    model = enn.SequentialModule(*parts)
    return lambda images: model(enn.GeometricTensor(images, first)).tensor[:, 0].numpy()


def make_space(group):
    """The symmetry of the plane, as e2cnn has it."""
    if group in ("SO2", "O2"):
        kind = {"SO2": gspaces.Rot2dOnR2, "O2": gspaces.FlipRot2dOnR2}[group]
        return kind(N=-1, maximum_frequency=HIGHEST)
    return {"C": gspaces.Rot2dOnR2, "D": gspaces.FlipRot2dOnR2}[group[0]](N=int(group[1:]))


def _regular(space, channels):
    image = enn.FieldType(space, [space.trivial_repr])
    wide, narrow = (enn.FieldType(space, n * [space.regular_repr]) for n in (channels, 1))
    return [
        enn.R2Conv(image, wide, 5, padding=2),
        enn.ReLU(wide),
        enn.R2Conv(wide, wide, 5, padding=2),
        enn.ReLU(wide),
        enn.R2Conv(wide, narrow, 5, padding=2),
        enn.GroupPooling(narrow),
    ]


def _gated(space, channels, frequencies):
    """All parts up to a frequency, scaled by a sigmoid of scalars that a convolution adds."""
    mirrors = isinstance(space, gspaces.FlipRot2dOnR2)
    group = space.fibergroup
    irreps = [group.irrep(1, k) if mirrors else group.irrep(k) for k in range(1, frequencies + 1)]
    irreps += [group.irrep(1, 0)] if mirrors else []
    image = enn.FieldType(space, [space.trivial_repr])
    scalars = enn.FieldType(space, channels * [space.trivial_repr])
    gates = enn.FieldType(space, channels * len(irreps) * [space.trivial_repr])
    turning = enn.FieldType(space, channels * irreps)
    both, wide = scalars + gates + turning, scalars + turning
    labels = ["scalars"] * channels + ["gated"] * (len(gates) + len(turning))
    parts = []
    for before in (image, wide):
        activation = enn.MultipleModule(
            both,
            labels,
            [
                (enn.ReLU(scalars), "scalars"),
                (enn.GatedNonLinearity1(gates + turning), "gated"),
            ],
        )
        parts += [enn.R2Conv(before, both, 5, padding=2), activation]
    return [*parts, enn.R2Conv(wide, image, 5, padding=2)]
