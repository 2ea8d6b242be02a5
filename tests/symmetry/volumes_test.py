"""`explain` knows volumes: what keeps the symmetries of a cube, and what breaks them."""

import re

import keras
import numpy as np
import pytest
from keras import layers, ops

from sen_tf.groups import Field, fields
from sen_tf.layers import (
    FromIrreps,
    GatedActivation,
    GlobalPooling3D,
    GroupConv3D,
    GroupDense,
    GroupPooling,
    IrrepsConv3D,
    LiftingConv2D,
    LiftingConv3D,
    ProjectionConv3D,
    SpatialPooling3D,
    ToIrreps,
)
from sen_tf.symmetry import explain
from sen_tf.symmetry.moves import shift
from tests.symmetry import planted

NAME = {"name": "guilty"}


def network(features=planted.keep, volumes=planted.keep, group="O", field="faces"):
    """Plants on functions on the parts of a cube, and on volumes, both of 4 x 4 x 4 voxels."""
    volume = keras.Input((9, 9, 9, 2), name="volume")
    x = LiftingConv3D(group, 2, 3, padding="same", activation="relu", field=field)(volume)
    x = features(SpatialPooling3D(group, 3, 2)(x))
    x = GroupConv3D(group, 2, 3, padding="same", field=field)(layers.LeakyReLU()(x))
    x = volumes(ProjectionConv3D(group, 2, 1, field=field)(x))
    return keras.Model(volume, layers.Dense(3)(layers.GlobalAveragePooling3D()(x)))


def steerable(group):
    field = keras.Input((5, 5, 5, 3, 2), name="vectors")
    x = GatedActivation(group=group)(
        IrrepsConv3D(2, 2, 3, group=group)(ToIrreps(1, degree=1, group=group)(field))
    )
    x = GlobalPooling3D()(IrrepsConv3D(2, 1, 3, group=group)(x))
    return keras.Model(field, FromIrreps(1, group=group)(x))


@pytest.mark.parametrize(
    ("group", "field", "asked"),
    [("O", "faces", "O"), ("Oh", "corners", "Oh"), ("Oh", "faces", "D4"), ("D4", "regular", "C4")],
)
def test_networks_of_volumes_are_exact(group, field, asked):
    model = planted.randomized(network(group=group, field=field))
    report = explain(model, planted.images(model), asked)
    assert report.is_exact and {record.verdict for record in report.layers} == {"exact"}, report


@pytest.mark.parametrize(("group", "cube"), [("SO3", "O"), ("O3", "Oh"), ("O3", "D4")])
def test_irreps_on_voxels_turn_and_mirror(group, cube):
    model = planted.randomized(steerable(group))
    stated = {"vectors": Field(cube, fields.of_vectors(cube, "O3"), voxels=True)}
    report = explain(model, planted.images(model), cube, fields=stated)
    assert report.is_exact and {record.verdict for record in report.layers} == {"exact"}, report


FAULTS = {
    "conv": (lambda: network(volumes=layers.Conv3D(2, 3, **NAME)), "kernel.*turned"),
    "transposed_conv": (lambda: network(volumes=layers.Conv3DTranspose(2, 3, **NAME)), "kernel"),
    "pooling": (lambda: network(volumes=layers.MaxPooling3D(3, 2, "same", **NAME)), "3 on 4 rows"),
    "flat_pooling": (
        lambda: network(volumes=layers.AveragePooling3D((2, 2, 1), **NAME)),
        "2 x 2 x 4 voxels",
    ),
    "flat_window": (
        lambda: network(volumes=layers.MaxPooling3D((1, 1, 3), 1, "same", **NAME)),
        "window is 1 x 1 x 3 with strides 1 and 1 and 1",
    ),
    "cropping": (
        lambda: network(volumes=layers.Cropping3D(((1, 0), (1, 0), (1, 0)), **NAME)),
        "cropping",
    ),
    "bias": (lambda: network(planted.Bias((1, 2, 3), **NAME)), "differs between voxels"),
    "part_bias": (lambda: network(planted.Bias((4,), **NAME)), "differs between elements"),
    "batch_norm": (lambda: network(layers.BatchNormalization(axis=-2, **NAME)), "statistics"),
    "transposed": (lambda: network(volumes=layers.Permute((3, 1, 2, 4), **NAME)), "."),
    "slice": (lambda: network(volumes=lambda x: x[:, :-1, :-1, :-1]), "at one side"),
    "flip": (lambda: network(volumes=lambda x: ops.flip(x, axis=3)), "moves"),
}
OTHER_NAMES = {"slice": "get_item", "flip": "flip"}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_guilty_layer_is_named(fault):
    make, reason = FAULTS[fault]
    model = planted.randomized(make())
    report = explain(model, planted.images(model), "O")
    assert report.culprit is not None, str(report)
    assert re.match(OTHER_NAMES.get(fault, "guilty"), report.culprit.layer), str(report)
    assert re.search(reason, report.culprit.reason), report.culprit.reason


def test_a_plain_convolution_is_told_what_to_use():
    model = keras.Sequential([keras.Input((5, 5, 5, 1)), layers.Conv3D(2, 3)])
    (record,) = explain(model, planted.images(model), "Oh").layers
    assert record.fix == "use LiftingConv3D and GroupConv3D"
    model.layers[0].kernel.assign(np.ones((3, 3, 3, 1, 2)))
    assert explain(model, planted.images(model), "Oh").is_exact


def test_volumes_that_are_not_cubic_are_refused_where_quarter_turns_act():
    model = keras.Sequential([keras.Input((5, 5, 4, 1)), layers.GlobalAveragePooling3D()])
    x = planted.images(model)
    assert explain(model, x, "D2").is_exact and explain(model, x, "C2").is_exact
    with pytest.raises(ValueError, match=r"cubic volumes for O, .*\(2, 5, 5, 4, 1\)"):
        explain(model, x, "O")
    flat = keras.Sequential(
        [keras.Input((5, 5, 5, 1)), layers.AveragePooling3D((1, 1, 2), name="guilty")]
    )
    report = explain(flat, planted.images(flat), "O")
    assert report.culprit.reason == "its output has 5 x 5 x 2 voxels, which quarter turns exchange"
    assert explain(flat, planted.images(flat), "C4").is_exact


@pytest.mark.parametrize(("group", "dimensions"), [("O", 3), ("C4", 2)])
def test_sizes_need_not_be_known(group, dimensions):
    lifting, pooling = (
        (LiftingConv3D, layers.GlobalAveragePooling3D)
        if dimensions == 3
        else (LiftingConv2D, layers.GlobalAveragePooling2D)
    )
    grid = keras.Input((*[None] * dimensions, 2))
    model = keras.Model(grid, pooling()(GroupPooling()(lifting(group, 2, 3)(grid))))
    x = np.random.default_rng(0).normal(size=(1, *[7] * dimensions, 2))
    report = explain(model, x, group)
    assert report.is_exact and {record.verdict for record in report.layers} == {"exact"}, report


def test_places_on_one_axis_are_images_and_volumes_too():
    tokens = keras.Input((12, 1), name="tokens")
    model = keras.Model(tokens, layers.GlobalAveragePooling1D()(tokens))
    stated = {"tokens": Field("C4", pixels=(3, 4))}
    with pytest.raises(ValueError, match="square images"):
        explain(model, np.ones((2, 12, 1)), "C4", fields=stated)
    tokens = keras.Input((27, 1), name="tokens")
    conv = layers.Conv1D(2, 3, padding="same", name="guilty")
    model = keras.Model(tokens, layers.GlobalAveragePooling1D()(conv(tokens)))
    volume = Field("O", voxels=(3, 3, 3))
    report = explain(model, planted.images(model), "O", {"tokens": volume, "guilty": volume})
    assert report.culprit.layer == "guilty"


def test_functions_of_another_group_are_named():
    model = network(GroupConv3D("C4", 2, 3, padding="same", field="faces", **NAME))
    report = explain(planted.randomized(model), planted.images(model), "O")
    assert report.culprit.layer == "guilty" and "O for one on C4" in report.culprit.reason


def test_functions_without_voxels_go_on():
    volume = keras.Input((5, 5, 5, 2))
    x = GlobalPooling3D()(LiftingConv3D("O", 2, 3, field="regular")(volume))
    x = GroupPooling()(GroupDense("O", 3)(x))
    model = planted.randomized(keras.Model(volume, x))
    report = explain(model, planted.images(model), "O")
    assert report.is_exact, report
    assert [record.field for record in report.layers][:2] == ["regular O on voxels", "regular O"]


def test_volumes_are_shifted_along_three_axes():
    x = np.random.default_rng(0).normal(size=(2, 5, 5, 5, 3))
    volume = Field("O", voxels=True)
    for axis in (1, 2, 3):
        np.testing.assert_allclose(shift(x, volume, axis, 2.0), np.roll(x, 2, axis), atol=1e-12)
    tokens = shift(x.reshape(2, 125, 3), Field("O", voxels=(5, 5, 5)), 3, 1.0)
    np.testing.assert_allclose(tokens, np.roll(x, 1, 3).reshape(2, 125, 3), atol=1e-12)
    model = keras.Sequential([keras.Input((5, 5, 5, 3)), layers.Dense(2), layers.ReLU()])
    dense, relu = explain(model, x, "O", moves="translation").layers
    assert dense.own < 1e-5 < relu.own
    kernel = np.zeros((1, 1, 3, 3, 3))
    kernel[0, 0, (0, 2)] = np.eye(3)  # which differs from a shift along the slices alone
    edge = keras.Sequential(
        [keras.Input((5, 5, 5, 3)), layers.Conv3D(3, (1, 1, 3), padding="same", use_bias=False)]
    )
    edge.layers[0].kernel.assign(kernel)
    (record,) = explain(edge, x, "C4", moves="translation").layers
    assert record.own > 1e-3 and record.move == "slices"
