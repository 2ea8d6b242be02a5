"""Rows of tests/conformance_table.py for the parts of networks between the convolutions."""

import itertools

from sen_tf import groups, layers
from sen_tf.groups import actions
from sen_tf.testing import LayerCase
from tests.conformance_actions import on_pixels, unmoved

BATCH = 3
ON_IMAGE = actions.act_on_regular_image


def resampling():
    """Even and odd numbers of pixels, of one image and of two axes."""
    grids = {"8x8": (8, 8), "7x7": (7, 7), "9x8": (9, 8)}
    for group, mode, (name, grid) in itertools.product(
        ("C4", "D4"), ("max", "mean"), grids.items()
    ):
        padding = "same" if name == "7x7" or mode == "mean" else "valid"
        yield (
            f"AntialiasedPooling2D-{group}-{mode}-{name}",
            LayerCase(
                lambda group=group, mode=mode, padding=padding: layers.AntialiasedPooling2D(
                    group, 2, mode, padding
                ),
                (BATCH, *grid, groups.get(group).order, 2),
                group,
                ON_IMAGE,
                ON_IMAGE,
            ),
        )
    for side, padding in ((7, "valid"), (9, "same")):
        yield (
            f"AntialiasedPooling2D-D2-3-{padding}",
            LayerCase(
                lambda padding=padding: layers.AntialiasedPooling2D("D2", 3, padding=padding),
                (BATCH, side, side, 2),
                "D2",
                on_pixels,
                on_pixels,
            ),
        )
    for group, size, mode in (("C4", 2, "bilinear"), ("D4", 3, "bilinear"), ("C4", 2, "nearest")):
        yield (
            f"SpatialUpSampling2D-{group}-{mode}-{size}",
            LayerCase(
                lambda group=group, size=size, mode=mode: layers.SpatialUpSampling2D(
                    group, size, mode
                ),
                (BATCH, 4, 5, groups.get(group).order, 2),
                group,
                ON_IMAGE,
                ON_IMAGE,
            ),
        )
    yield (
        "SpatialUpSampling2D-D1-image",
        LayerCase(
            lambda: layers.SpatialUpSampling2D("D1"), (BATCH, 4, 5, 2), "D1", on_pixels, on_pixels
        ),
    )


def global_pooling():
    for group, mode in itertools.product(("C4", "D4"), ("mean", "max")):
        yield (
            f"GlobalPooling2D-{group}-{mode}",
            LayerCase(
                lambda mode=mode: layers.GlobalPooling2D(mode),
                (BATCH, 5, 4, groups.get(group).order, 3),
                group,
                ON_IMAGE,
                actions.act_on_regular,
            ),
        )
    yield (
        "GlobalPooling2D-image",
        LayerCase(layers.GlobalPooling2D, (BATCH, 5, 4, 3), "D4", on_pixels, unmoved),
    )


def dropout():
    """In inference; tests/layers/dropout_test.py holds the noise."""
    for per_pixel in (False, True):
        yield (
            f"FieldDropout-{'per_pixel' if per_pixel else 'fields'}",
            LayerCase(
                lambda per_pixel=per_pixel: layers.FieldDropout(0.5, per_pixel, seed=0),
                (BATCH, 5, 5, 8, 2),
                "D4",
                ON_IMAGE,
                ON_IMAGE,
            ),
        )


def normalizations():
    for name, make in {
        "FieldInstanceNormalization": lambda: layers.FieldInstanceNormalization(epsilon=1e-4),
        "FieldGroupNormalization": lambda: layers.FieldGroupNormalization(2, epsilon=1e-4),
    }.items():
        yield f"{name}-D4", LayerCase(make, (BATCH, 5, 5, 8, 6), "D4", ON_IMAGE, ON_IMAGE)
        yield f"{name}-image", LayerCase(make, (BATCH, 5, 5, 6), "D4", on_pixels, on_pixels)
        act = actions.act_on_regular
        yield f"{name}-C3", LayerCase(make, (BATCH, 2, 3, 6), "C3", act, act)


def heads():
    for group, mode in (
        *itertools.product(("C4", "D3"), ("max", "mean", "norm")),
        *itertools.product(("C1", "C2", "C4", "C5", "C8"), ("bispectrum",)),
    ):
        yield (
            f"InvariantHead-{group}-{mode}",
            LayerCase(
                lambda group=group, mode=mode: layers.InvariantHead(group, 4, mode, "tanh"),
                (BATCH, 2, groups.get(group).order, 3),
                group,
                actions.act_on_regular,
                unmoved,
            ),
        )


def parts():
    return itertools.chain(resampling(), global_pooling(), dropout(), normalizations(), heads())
