"""Rows of tests/conformance_table.py for layers on volumes."""

import itertools

from sen_tf import layers
from sen_tf.groups import octahedral, representations
from sen_tf.testing import LayerCase
from tests.conformance_actions import (
    on_irreps_of_voxels,
    on_parities_of_voxels,
    on_parts,
    on_parts_alone,
    on_voxels,
    unmoved,
)

BATCH = 2
ABOUT_X = octahedral.generated(octahedral.turn("x"))

# Group, field of the input, field of the output, side of the volume, arguments of the convolution.
VOLUMES = [
    ("O", "faces", "faces", 3, {"kernel_size": 3, "padding": "same"}),
    ("Oh", "corners", "corners", 3, {"kernel_size": 2}),
    ("O", "regular", "regular", 3, {"kernel_size": 2}),
    ("C4", "regular", "regular", 5, {"kernel_size": 3, "strides": 2}),
    ("D4", "regular", "faces", 5, {"kernel_size": 3, "dilation_rate": 2}),
    (ABOUT_X, "faces", "regular", 4, {"kernel_size": 4, "strides": 2, "padding": "same"}),
    ("T", "quotient(0,1,2,3)", "trivial + corners", 4, {"kernel_size": 2, "strides": 2}),
]


def convolutions():
    """Layers with an axis on both sides on all volumes, the others on the first four."""
    others = (layers.LiftingConv3D, layers.ProjectionConv3D)
    cases = [*itertools.product(others, VOLUMES[:4])]
    cases += [(layers.GroupConv3D, volume) for volume in VOLUMES]
    for layer, (group, input_field, field, side, arguments) in cases:
        between = layer is layers.GroupConv3D
        fields = {"field": field, **({"input_field": input_field} if between else {})}
        axis = () if layer is layers.LiftingConv3D else (dimension(input_field, group),)
        yield (
            f"{layer.__name__}-{group}-{'-'.join(fields.values())}",
            LayerCase(
                lambda layer=layer, group=group, arguments={**arguments, **fields}: layer(
                    group, 2, activation="relu", **arguments
                ),
                (BATCH, side, side, side, *axis, 2),
                group,
                on_parts(input_field) if axis else on_voxels,
                on_voxels if layer is layers.ProjectionConv3D else on_parts(field),
            ),
        )


def dimension(field, group):
    return representations.get(field, group).dimension


# Degrees of input and output, side of the volume, arguments of the convolution.
STEERABLE = [
    (2, 2, 4, {"kernel_size": 3}),
    (1, 2, 5, {"kernel_size": 5, "padding": "same"}),
    (0, 1, 4, {"kernel_size": 2, "strides": 2}),
    (2, 0, 5, {"kernel_size": 3, "strides": 2, "use_bias": False}),
]


def steerable():
    for degree_in, degree_out, side, arguments in STEERABLE:
        for group, cube, act in (
            ("SO3", "O", on_irreps_of_voxels),
            ("O3", "Oh", on_parities_of_voxels),
        ):
            components = (1 if group == "SO3" else 2) * (degree_in + 1) ** 2
            arguments = {**arguments, "group": group}
            yield (
                f"IrrepsConv3D-{group}-{degree_in}-{degree_out}",
                LayerCase(
                    lambda degree=degree_out, arguments=arguments: layers.IrrepsConv3D(
                        2, degree, **arguments
                    ),
                    (BATCH, side, side, side, components, 2),
                    cube,
                    act,
                    act,
                ),
            )


# Group, field, sides of the volume, arguments of the pooling.
POOLED = [
    ("O", "faces", (4, 4, 4), {}),
    ("Oh", "corners", (5, 5, 5), {"pool_size": 3, "strides": 2}),
    ("D4", "regular", (4, 4, 5), {}),
    ("C4", "faces", (5, 5, 4), {"pool_size": 3, "strides": 2, "padding": "same"}),
    (ABOUT_X, "regular", (4, 3, 4), {"pool_size": 2, "strides": 2}),
]


def poolings():
    for (group, field, sides, arguments), mode in itertools.product(POOLED, ("max", "mean")):
        shape = (BATCH, *sides, dimension(field, group), 2)
        act, act_out = on_parts(field), on_parts_alone(field)
        yield (
            f"SpatialPooling3D-{group}-{field}-{mode}",
            LayerCase(
                lambda group=group, arguments={**arguments, "mode": mode}: layers.SpatialPooling3D(
                    group, **arguments
                ),
                shape,
                group,
                act,
                act,
            ),
        )
        yield (
            f"GlobalPooling3D-{group}-{field}-{mode}",
            LayerCase(
                lambda mode=mode: layers.GlobalPooling3D(mode),
                shape,
                group,
                act,
                act_out,
            ),
        )
    yield (
        "SpatialPooling3D-O-volume",
        LayerCase(
            lambda: layers.SpatialPooling3D("O"), (BATCH, 4, 4, 4, 2), "O", on_voxels, on_voxels
        ),
    )
    act = on_irreps_of_voxels
    yield (
        "SpatialPooling3D-O-irreps",
        LayerCase(
            lambda: layers.SpatialPooling3D("O", mode="mean"), (BATCH, 4, 4, 4, 9, 2), "O", act, act
        ),
    )
    yield (
        "GlobalPooling3D-volume",
        LayerCase(layers.GlobalPooling3D, (BATCH, 5, 4, 3, 2), "D2", on_voxels, unmoved),
    )


ROWS = dict(itertools.chain(convolutions(), steerable(), poolings()))
