"""The table that tests/conformance_test.py runs over: rows for every public layer."""

import itertools

import keras
import numpy as np

from sen_tf import groups, layers
from sen_tf.groups import actions, representations
from sen_tf.testing import LayerCase
from tests import conformance_convolutions, conformance_points, conformance_volumes
from tests.conformance_actions import (
    CUBE,
    S3,
    on_action_numbers,
    on_circle,
    on_irreps,
    on_matrices,
    on_objects,
    on_pixels,
    on_positions,
    on_vectors,
    unmoved,
)
from tests.conformance_convolutions import BATCH, GRID_GROUPS
from tests.conformance_parts import parts


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
    for group, mode in itertools.product(("C4", "D3"), ("max", "mean", "norm")):
        yield (
            f"GroupPooling-{group}-{mode}",
            LayerCase(
                lambda mode=mode: layers.GroupPooling(mode),
                (BATCH, 2, groups.get(group).order, 3),
                group,
                actions.act_on_regular,
                unmoved,
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


def irreps_normalizations():
    on_plane = on_circle("O2", pixels=False)
    kinds = {"SO3": (9, CUBE, on_irreps), "O2": (6, "D12", on_plane)}
    for whole, (components, part, act) in kinds.items():
        shape = (BATCH, 4, components, 3)
        for training in (True, False):
            yield (
                f"IrrepsBatchNormalization-{whole}-{'training' if training else 'inference'}",
                LayerCase(
                    lambda whole=whole: layers.IrrepsBatchNormalization(whole, momentum=0.8),
                    shape,
                    part,
                    act,
                    act,
                    training,
                ),
            )
        yield (
            f"IrrepsLayerNormalization-{whole}",
            LayerCase(
                lambda whole=whole: layers.IrrepsLayerNormalization(whole), shape, part, act, act
            ),
        )


def antialiased_activations():
    for group, side, activation in (("D4", 5, "relu"), ("C4", 6, "gelu"), ("D4", 1, "tanh")):
        yield (
            f"AntialiasedActivation-{group}-{side}",
            LayerCase(
                lambda activation=activation: layers.AntialiasedActivation(activation),
                (BATCH, side, side, groups.get(group).order, 2),
                group,
                actions.act_on_regular_image,
                actions.act_on_regular_image,
            ),
        )


def attention():
    on_image = actions.act_on_regular_image
    for group, (name, arguments) in itertools.product(
        ("C4", "D4"),
        {
            "whole": {},
            "windows": {"window_size": 2, "use_bias": False},
            "shifted": {"window_size": 2, "shifted": True},
            "spatial": {"mode": "spatial"},
            "spatial_shifted": {"mode": "spatial", "window_size": 4, "shifted": True},
        }.items(),
    ):
        yield (
            f"GroupAttention2D-{group}-{name}",
            LayerCase(
                lambda group=group, arguments=arguments: layers.GroupAttention2D(
                    group, num_heads=2, key_dim=3, **arguments
                ),
                (BATCH, 4, 4, groups.get(group).order, 2),
                group,
                on_image,
                on_image,
            ),
        )


def circle_activations():
    """Of L = 2, on 12 samples: exact for C12 and D12, as the others are for all angles."""
    for whole, part, components in (("SO2", "C12", 5), ("O2", "D12", 6)):
        for layer in (layers.CircleActivation, layers.GatedActivation, layers.NormActivation):
            act = on_circle(whole, pixels=False)
            yield (
                f"{layer.__name__}-{whole}",
                LayerCase(
                    lambda layer=layer, whole=whole: layer(group=whole, activation="relu"),
                    (BATCH, 4, components, 3),
                    part,
                    act,
                    act,
                ),
            )


ROWS = dict(
    itertools.chain(
        conformance_convolutions.ROWS.items(),
        conformance_volumes.ROWS.items(),
        conformance_points.ROWS.items(),
        dense(),
        normalizations(),
        poolings(),
        doors(),
        graphs(),
        gram_schmidt(),
        antialiased_activations(),
        attention(),
        irreps_normalizations(),
        circle_activations(),
        parts(),
    )
)
