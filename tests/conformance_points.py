"""Rows of tests/conformance_table.py for layers on clouds of points, under SO(3) and O(3)."""

import itertools

import numpy as np

from sen_tf import layers
from sen_tf.testing import LayerCase
from tests.conformance_actions import (
    CUBE,
    CUBE_SYMMETRIES,
    MIRRORED_CUBE,
    on_cartesian,
    on_irreps,
    on_mirrored_positions,
    on_parities,
    on_positions,
    unmoved,
)

BATCH = 3


def tensor_fields():
    rng = np.random.default_rng(0)
    positions = rng.standard_normal((BATCH, 4, 3)).astype("float32")
    for degree_in, degree_out in ((0, 3), (1, 1), (2, 0), (3, 2)):
        features = rng.standard_normal((BATCH, 4, (degree_in + 1) ** 2, 2)).astype("float32")
        yield (
            f"TensorFieldConv-{degree_in}-{degree_out}",
            LayerCase(
                lambda degree=degree_out: layers.TensorFieldConv(
                    3, degree, radius=2.0, gaussians=5, radial_width=6
                ),
                [features, positions],
                CUBE,
                [on_irreps, on_positions],
                on_irreps,
            ),
        )
    neighbours = rng.integers(0, 4, (BATCH, 6, 2), "int32")
    neighbours[1, 4:] = -1
    neighbours[2] = -1
    for degree_in, degree_out in ((1, 2), (2, 1)):
        features = rng.standard_normal((BATCH, 4, (degree_in + 1) ** 2, 2)).astype("float32")
        yield (
            f"TensorFieldConv-{degree_in}-{degree_out}-neighbours",
            LayerCase(
                lambda degree=degree_out: layers.TensorFieldConv(3, degree, radius=2.0),
                [features, positions, neighbours],
                CUBE,
                [on_irreps, on_positions, unmoved],
                on_irreps,
            ),
        )
    for degree in range(4):
        shape = (BATCH, 4, (degree + 1) ** 2, 5)
        yield (
            f"IrrepsDense-{degree}",
            LayerCase(lambda: layers.IrrepsDense(3), shape, CUBE, on_irreps, on_irreps),
        )
        yield (
            f"GatedActivation-{degree}",
            LayerCase(lambda: layers.GatedActivation("tanh"), shape, CUBE, on_irreps, on_irreps),
        )
        yield (
            f"NormActivation-{degree}",
            LayerCase(lambda: layers.NormActivation("relu"), shape, CUBE, on_irreps, on_irreps),
        )
    for rank in range(3):
        act = on_cartesian(rank)
        yield (
            f"ToIrreps-{rank}",
            LayerCase(
                lambda rank=rank: layers.ToIrreps(rank, degree=2),
                (BATCH, 4, *[3] * rank, 2),
                CUBE,
                act,
                on_irreps,
            ),
        )
        yield (
            f"FromIrreps-{rank}",
            LayerCase(
                lambda rank=rank: layers.FromIrreps(rank), (BATCH, 4, 9, 2), CUBE, on_irreps, act
            ),
        )


def with_parity():
    rng = np.random.default_rng(0)
    positions = rng.standard_normal((BATCH, 4, 3)).astype("float32")
    neighbours = rng.integers(0, 4, (BATCH, 6, 2), "int32")
    act = on_parities
    for degree_in, degree_out, listed in ((1, 1, ()), (0, 2, ()), (2, 1, (neighbours,))):
        features = rng.standard_normal((BATCH, 4, 2 * (degree_in + 1) ** 2, 2)).astype("float32")
        yield (
            f"TensorFieldConv-O3-{degree_in}-{degree_out}{'-neighbours' if listed else ''}",
            LayerCase(
                lambda degree=degree_out: layers.TensorFieldConv(3, degree, 2.0, group="O3"),
                [features, positions, *listed],
                MIRRORED_CUBE,
                [act, on_mirrored_positions, *[unmoved] * len(listed)],
                act,
            ),
        )
    makers = {
        "IrrepsDense": lambda: layers.IrrepsDense(3, group="O3"),
        "GatedActivation": lambda: layers.GatedActivation("relu", group="O3"),
        "NormActivation": lambda: layers.NormActivation("relu", group="O3"),
        "IrrepsBatchNormalization": lambda: layers.IrrepsBatchNormalization("O3"),
        "IrrepsLayerNormalization": lambda: layers.IrrepsLayerNormalization("O3"),
    }
    for (name, make), degree in itertools.product(makers.items(), (0, 2)):
        shape = (BATCH, 4, 2 * (degree + 1) ** 2, 5)
        training = name == "IrrepsBatchNormalization"
        yield f"{name}-O3-{degree}", LayerCase(make, shape, MIRRORED_CUBE, act, act, training)
    for rank in range(3):
        outside = on_cartesian(rank, CUBE_SYMMETRIES)
        shape, components = (BATCH, 4, *[3] * rank, 2), (BATCH, 4, 18, 2)
        yield (
            f"ToIrreps-O3-{rank}",
            LayerCase(
                lambda rank=rank: layers.ToIrreps(rank, 2, group="O3"),
                shape,
                MIRRORED_CUBE,
                outside,
                act,
            ),
        )
        yield (
            f"FromIrreps-O3-{rank}",
            LayerCase(
                lambda rank=rank: layers.FromIrreps(rank, group="O3"),
                components,
                MIRRORED_CUBE,
                act,
                outside,
            ),
        )


ROWS = dict(itertools.chain(tensor_fields(), with_parity()))
