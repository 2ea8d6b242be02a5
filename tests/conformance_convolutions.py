"""The rows of tests/conformance_table.py for convolutions."""

import itertools

from sen_tf import groups, layers
from sen_tf.groups import actions, circle
from sen_tf.testing import LayerCase
from tests.conformance_actions import on_circle, on_part_of, on_pixels

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


def depthwise_and_transposed():
    on_image = actions.act_on_regular_image
    depthwise = {
        "3_same": (5, {"kernel_size": 3, "padding": "same", "depth_multiplier": 2}),
        "2_valid": (6, {"kernel_size": 2}),
        "3_stride_2": (7, {"kernel_size": 3, "strides": 2}),
        "5_harmonics": (6, {"kernel_size": 5, "basis": "harmonics"}),
    }
    for group, (name, (side, arguments)) in itertools.product(("C4", "D4"), depthwise.items()):
        yield (
            f"DepthwiseGroupConv2D-{group}-{name}",
            LayerCase(
                lambda group=group, arguments=arguments: layers.DepthwiseGroupConv2D(
                    group, activation="relu", **arguments
                ),
                (BATCH, side, side, groups.get(group).order, 2),
                group,
                on_image,
                on_image,
            ),
        )
    transposed = {
        "2_stride_2": {"kernel_size": 2, "strides": 2},
        "4_stride_2_same": {"kernel_size": 4, "strides": 2, "padding": "same"},
        "3_stride_2_odd": {"kernel_size": 3, "strides": 2, "padding": "same", "output_padding": 0},
        "3_same": {"kernel_size": 3, "padding": "same"},
        "5_harmonics": {"kernel_size": 5, "strides": 2, "basis": "harmonics"},
    }
    for group, (name, arguments) in itertools.product(("C4", "D4"), transposed.items()):
        yield (
            f"GroupConvTranspose2D-{group}-{name}",
            LayerCase(
                lambda group=group, arguments=arguments: layers.GroupConvTranspose2D(
                    group, 3, activation="relu", **arguments
                ),
                (BATCH, 4, 4, groups.get(group).order, 2),
                group,
                on_image,
                on_image,
            ),
        )


def harmonic_convolutions():
    """On the elements that map pixels to pixels, the others being approximate."""
    parts = {
        layers.LiftingConv2D: (False, True),
        layers.GroupConv2D: (True, True),
        layers.ProjectionConv2D: (True, False),
    }
    for (layer, (regular, regular_out)), (whole, part) in itertools.product(
        parts.items(), (("C4", "C4"), ("C8", "C4"), ("D3", "D1"), ("D6", "D2"))
    ):
        for name in list(GRIDS)[:3]:
            side, arguments = GRIDS[name]
            yield (
                f"{layer.__name__}-{whole}-{name}-harmonics",
                LayerCase(
                    lambda layer=layer, whole=whole, arguments=arguments: layer(
                        whole, 2, basis="harmonics", activation="relu", **arguments
                    ),
                    (BATCH, side, side, *[groups.get(whole).order] * regular, 2),
                    part,
                    on_part_of(whole) if regular else on_pixels,
                    on_part_of(whole) if regular_out else on_pixels,
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


def circle_convolutions():
    """On quarter turns and mirrors, other angles being approximate."""
    for whole, part in (("SO2", "C4"), ("O2", "D4")):
        for name, highest_in, highest in (
            ("2_valid", None, 2),
            ("3_stride_2", 1, 0),
            ("3_same", 2, 1),
            ("3_dilation_2", 0, 1),
        ):
            side, arguments = GRIDS[name]
            components = []
            if highest_in is not None:
                components = [len(circle.get(whole).frequencies(highest_in))]
            yield (
                f"CircleConv2D-{whole}-{name}",
                LayerCase(
                    lambda whole=whole, highest=highest, arguments=arguments: layers.CircleConv2D(
                        whole, 2, frequencies=highest, **arguments
                    ),
                    (BATCH, side, side, *components, 2),
                    part,
                    on_circle(whole) if components else on_pixels,
                    on_circle(whole),
                ),
            )


ROWS = dict(
    itertools.chain(
        convolutions(),
        harmonic_convolutions(),
        depthwise_and_transposed(),
        circle_convolutions(),
        relaxed(),
    )
)
