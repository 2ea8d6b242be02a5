"""The table that tests/conformance_test.py runs over: rows for every public layer."""

import itertools

import keras
import numpy as np

from sen_tf import groups, layers
from sen_tf.groups import actions, representations
from sen_tf.testing import LayerCase
from tests.conformance_actions import (
    CUBE,
    S3,
    on_action_numbers,
    on_cartesian,
    on_irreps,
    on_matrices,
    on_objects,
    on_pixels,
    on_positions,
    on_vectors,
)
from tests.conformance_volumes import convolutions as volume_convolutions
from tests.conformance_volumes import steerable

GRID_GROUPS = ("C1", "C2", "C4", "D1", "D2", "D4")
BATCH = 3


# Side of the image and arguments of the convolution.
GRIDS = {
    "2_valid": (6, {"kernel_size": 2}),
    "3_stride_2": (7, {"kernel_size": 3, "strides": 2}),
    "3_same": (5, {"kernel_size": 3, "padding": "same"}),
    "4_stride_2": (8, {"kernel_size": 4, "strides": 2}),
    "3_stride_2_same": (7, {"kernel_size": 3, "strides": 2, "padding": "same"}),
    "3_dilation_2": (7, {"kernel_size": 3, "dilation_rate": 2}),
    "2_dilation_2_same": (6, {"kernel_size": 2, "dilation_rate": 2, "padding": "same"}),
}


def convolutions():
    """All grids for C4 and D4, the first two for the smaller groups."""
    parts = {
        (layers.LiftingConv2D, ""): (False, actions.act_on_regular_image),
        (layers.GroupConv2D, ""): (True, actions.act_on_regular_image),
        (layers.GroupConv2D, "-block_diagonal"): (True, actions.act_on_regular_image),
        (layers.ProjectionConv2D, ""): (True, on_pixels),
    }
    for ((layer, form), (regular, act_out)), group in itertools.product(parts.items(), GRID_GROUPS):
        order = groups.get(group).order
        for name in GRIDS if group in ("C4", "D4") else list(GRIDS)[:2]:
            side, arguments = GRIDS[name]
            yield (
                f"{layer.__name__}-{group}-{name}{form}",
                LayerCase(
                    lambda layer=layer, group=group, arguments=arguments: layer(
                        group, 2, activation="relu", **arguments
                    ),
                    (BATCH, side, side, *[order] * regular, 2),
                    group,
                    actions.act_on_regular_image if regular else on_pixels,
                    act_out,
                ),
            )


def dense():
    """With one product and with the block-diagonal form."""
    for group in ("C1", "C2", "C3", "C4", "C5", "D2", "D3", "D4", "D6"):
        for form in ("one_product", "block_diagonal"):
            yield (
                f"GroupDense-{group}-{form}",
                LayerCase(
                    lambda group=group: layers.GroupDense(group, 4, activation="tanh"),
                    (BATCH, 2, groups.get(group).order, 3),
                    group,
                    actions.act_on_regular,
                    actions.act_on_regular,
                ),
            )


def relaxed():
    """As they are at first: weights that mix banks do not differ between elements."""
    for group in ("C1", "C4", "D3"):
        yield (
            f"RelaxedGroupDense-{group}",
            LayerCase(
                lambda group=group: layers.RelaxedGroupDense(
                    group, 4, banks=2, relaxation_regularizer="l2", activation="tanh"
                ),
                (BATCH, 2, groups.get(group).order, 3),
                group,
                actions.act_on_regular,
                actions.act_on_regular,
            ),
        )
    both = (layers.RelaxedLiftingConv2D, layers.RelaxedGroupConv2D)
    for group, name, layer in itertools.product(("C4", "D4"), list(GRIDS)[:3], both):
        side, arguments = GRIDS[name]
        axes = (groups.get(group).order,) if layer is layers.RelaxedGroupConv2D else ()
        yield (
            f"{layer.__name__}-{group}-{name}",
            LayerCase(
                lambda layer=layer, group=group, arguments=arguments: layer(
                    group, 2, banks=2, activation="relu", **arguments
                ),
                (BATCH, side, side, *axes, 2),
                group,
                actions.act_on_regular_image if axes else on_pixels,
                actions.act_on_regular_image,
            ),
        )


def normalizations():
    on_image = actions.act_on_regular_image
    for group, training in itertools.product(("C4", "D4"), (True, False)):
        order = groups.get(group).order
        yield (
            f"FieldBatchNormalization-{group}-{'training' if training else 'inference'}",
            LayerCase(
                lambda: layers.FieldBatchNormalization(momentum=0.8, epsilon=1e-4),
                (BATCH, 5, 5, order, 3),
                group,
                on_image,
                on_image,
                training,
            ),
        )
    yield (
        "FieldBatchNormalization-image",
        LayerCase(
            lambda: layers.FieldBatchNormalization(center=False, scale=False),
            (BATCH, 5, 5, 3),
            "D4",
            on_pixels,
            on_pixels,
            True,
        ),
    )
    for group in ("C3", "D4"):
        yield (
            f"FieldLayerNormalization-{group}",
            LayerCase(
                lambda: layers.FieldLayerNormalization(epsilon=1e-5),
                (BATCH, 2, groups.get(group).order, 8),
                group,
                actions.act_on_regular,
                actions.act_on_regular,
            ),
        )


def poolings():
    for group, mode in itertools.product(("C4", "D3"), ("max", "mean")):
        yield (
            f"GroupPooling-{group}-{mode}",
            LayerCase(
                lambda mode=mode: layers.GroupPooling(mode),
                (BATCH, 2, groups.get(group).order, 3),
                group,
                actions.act_on_regular,
                lambda x, group, g: x,
            ),
        )
    windows = {
        "2": (6, {}),
        "3_stride_2": (7, {"pool_size": 3, "strides": 2}),
        "3_same": (5, {"pool_size": 3, "strides": 1, "padding": "same"}),
    }
    for group, mode, (name, (side, arguments)) in itertools.product(
        ("C4", "D4"), ("max", "mean"), windows.items()
    ):
        yield (
            f"SpatialPooling2D-{group}-{mode}-{name}",
            LayerCase(
                lambda group=group, mode=mode, arguments=arguments: layers.SpatialPooling2D(
                    group, mode=mode, **arguments
                ),
                (BATCH, side, side, groups.get(group).order, 2),
                group,
                actions.act_on_regular_image,
                actions.act_on_regular_image,
            ),
        )
    yield (
        "SpatialPooling2D-D1-image",
        LayerCase(
            lambda: layers.SpatialPooling2D("D1"), (BATCH, 6, 4, 2), "D1", on_pixels, on_pixels
        ),
    )


DOORS = [
    ("C4", "trivial", None),
    ("C4", "permutation(3,0,1,2)", [0]),
    ("C4", "standard", [1]),
    ("C5", "rotation(2)", None),
    ("D3", "sign + 2 standard", None),
    ("D4", "quotient(0,2)", [0, 3]),
    ("D6", "sign_r + regular", None),
]


def doors():
    for group, representation, components in DOORS:
        dimension = representations.get(representation, group).dimension
        names = f"{group}-{representation}"
        yield (
            f"ToRegular-{names}-{components}",
            LayerCase(
                lambda a=group, b=representation, c=components: layers.ToRegular(a, b, c),
                (BATCH, 2, dimension),
                group,
                on_vectors(representation),
                actions.act_on_regular,
            ),
        )
        for fields in (1, 2):
            yield (
                f"FromRegular-{names}-{fields}",
                LayerCase(
                    lambda a=group, b=representation: layers.FromRegular(a, b),
                    (BATCH, 2, groups.get(group).order, fields * dimension),
                    group,
                    actions.act_on_regular,
                    on_vectors(representation),
                ),
            )
    grids = (*itertools.product(GRID_GROUPS, ((5, 5),)), ("C4", (1, 1)), ("C4", (4, 4)))
    for group, grid in (*grids, ("D4", (4, 4)), ("C2", (3, 4)), ("D2", (4, 3))):
        yield (
            f"GridLifting-{group}-{'x'.join(map(str, grid))}",
            LayerCase(
                lambda group=group: layers.GridLifting(group),
                (BATCH, *grid, 2),
                group,
                on_pixels,
                actions.act_on_regular,
            ),
        )
    for group, side in (*itertools.product(GRID_GROUPS, (5,)), ("D4", 1), ("D4", 4)):
        yield (
            f"GroupFlatten-{group}-{side}",
            LayerCase(
                lambda group=group: layers.GroupFlatten(group),
                (BATCH, side, side, groups.get(group).order, 2),
                group,
                actions.act_on_regular_image,
                actions.act_on_regular,
            ),
        )


def object_graph(group, readout=True):
    return layers.ObjectGraph(
        edge_network=keras.Sequential(
            [layers.GroupDense(group, 6), layers.FieldLayerNormalization(), keras.layers.ReLU()]
        ),
        node_network=layers.GroupDense(group, 2),
        readout=layers.GroupDense(group, 5) if readout else None,
    )


def graphs():
    rng = np.random.default_rng(0)
    nodes, moves = rng.standard_normal((2, BATCH, 3, 4, 2)).astype("float32")
    yield (
        "ObjectGraph-C4",
        LayerCase(
            lambda: object_graph("C4"),
            [nodes, moves],
            "C4",
            actions.act_on_regular,
            actions.act_on_regular,
        ),
    )
    yield (
        "ObjectGraph-permutations",
        LayerCase(lambda: object_graph("C4"), [nodes, moves], S3, on_objects, on_objects),
    )
    yield (
        "ObjectGraph-two_objects_unconditioned",
        LayerCase(
            lambda: object_graph("D3", readout=False),
            (BATCH, 2, 6, 2),
            "D3",
            actions.act_on_regular,
            actions.act_on_regular,
        ),
    )
    yield (
        "OneHotActions-C4",
        LayerCase(
            lambda: layers.OneHotActions(5),
            np.arange(20, dtype="int32"),
            "C4",
            on_action_numbers,
            on_vectors("permutation(3,0,1,2)"),
        ),
    )


def gram_schmidt():
    yield (
        "GramSchmidt-pairs",
        LayerCase(layers.GramSchmidt, (BATCH, 4, 2, 3), CUBE, on_positions, on_matrices),
    )


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


ROWS = dict(
    itertools.chain(
        convolutions(),
        volume_convolutions(),
        dense(),
        relaxed(),
        normalizations(),
        poolings(),
        doors(),
        graphs(),
        gram_schmidt(),
        tensor_fields(),
        steerable(),
    )
)
