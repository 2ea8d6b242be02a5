import keras
import numpy as np
import pytest

from sen_tf.groups import actions
from sen_tf.layers import (
    GlobalPooling2D,
    GlobalPooling3D,
    GroupPooling,
    SpatialPooling2D,
    SpatialPooling3D,
)
from sen_tf.layers.plain import plain
from sen_tf.testing import assert_equivariant


def noise(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype("float32")


@pytest.mark.parametrize("mode", ["max", "mean"])
@pytest.mark.parametrize("shape", [(2, 4, 3), (2, 5, 5, 8, 3)])
def test_group_pooling_leaves_an_invariant(mode, shape):
    x = noise(*shape)
    layer = GroupPooling(mode)
    np.testing.assert_allclose(layer(x), getattr(np, mode)(x, axis=-2), rtol=1e-5, atol=1e-6)
    group = f"D{shape[-2] // 2}"
    assert_equivariant(layer, x, group, actions.act_on_regular, lambda y, group, g: y)


def test_group_pooling_without_a_group_axis_is_refused():
    with pytest.raises(ValueError, match=r"GroupPooling `pool` expected .*\(3, 4\)"):
        GroupPooling(name="pool")(noise(3, 4))


@pytest.mark.parametrize("mode", ["max", "mean"])
def test_global_pooling_is_that_of_keras_on_each_element(mode):
    x = noise(2, 5, 4, 8, 3)
    theirs = {"max": keras.layers.GlobalMaxPooling2D, "mean": keras.layers.GlobalAveragePooling2D}
    pool = theirs[mode]()
    layer = GlobalPooling2D(mode)
    expected = np.stack([pool(x[:, :, :, g]) for g in range(8)], axis=1)
    np.testing.assert_allclose(layer(x), expected, atol=1e-6)
    np.testing.assert_allclose(layer(x[:, :, :, 0]), expected[:, 0], atol=1e-6)
    assert layer(x[:0]).shape == (0, 8, 3)
    assert layer.compute_output_shape((None, None, None, 8, 3)) == (None, 8, 3)


@pytest.mark.parametrize("mode", ["max", "mean"])
def test_global_pooling_keeps_nan_where_it_was_and_does_not_overflow(mode):
    x = np.full((2, 40, 40, 4, 1), 100, "float16")
    x[1, 3, 3, 2] = np.nan
    y = np.asarray(GlobalPooling2D(mode, dtype="float16")(x))
    assert y.dtype == "float16"
    np.testing.assert_array_equal(y[..., 0], [[100] * 4, [100, 100, np.nan, 100]])


def test_global_pooling_of_a_network_for_any_size():
    inputs = keras.Input((None, None, 4, 2))
    model = keras.Model(inputs, GlobalPooling2D()(inputs))
    for shape in ((2, 3, 5, 4, 2), (1, 1, 1, 4, 2)):
        x = noise(*shape)
        np.testing.assert_allclose(model(x), x.mean((1, 2)), atol=1e-6)


@pytest.mark.parametrize("shape", [(2, 5, 3), (2, 5, 0, 3), (2, 0, 5, 4, 3), (2, 1, 5, 5, 4, 3)])
def test_global_pooling_without_pixels_is_refused(shape):
    with pytest.raises(ValueError, match="GlobalPooling2D `pool` expected .*with pixels"):
        GlobalPooling2D(name="pool").build(shape)
    layer = GlobalPooling2D(name="pool")
    layer(noise(2, 5, 5, 4, 3))
    with pytest.raises(ValueError, match="GlobalPooling2D `pool` expected"):
        layer(noise(*shape))


@pytest.mark.parametrize("mode", ["max", "mean"])
@pytest.mark.parametrize(
    "side, arguments",
    [
        (6, {}),
        (7, {"pool_size": 3, "strides": 2}),
        (5, {"pool_size": 3, "strides": 1, "padding": "same"}),
        (7, {"pool_size": 3, "strides": 2, "padding": "same"}),
    ],
)
def test_spatial_pooling_is_that_of_keras_on_each_element(mode, side, arguments):
    x = noise(2, side, side, 4, 3)
    pooling = {"max": keras.layers.MaxPooling2D, "mean": keras.layers.AveragePooling2D}[mode]
    pool = pooling(**{"pool_size": 2, **arguments})
    expected = np.stack([pool(x[:, :, :, g]) for g in range(4)], axis=3)
    layer = SpatialPooling2D("C4", mode=mode, **arguments)
    np.testing.assert_allclose(layer(x), expected, atol=1e-6)
    np.testing.assert_allclose(layer(x[:, :, :, 0]), expected[:, :, :, 0], atol=1e-6)


@pytest.mark.parametrize(
    "side, arguments, fix",
    [
        (7, {}, "Use 6 or 8 pixels"),
        (8, {"pool_size": 3, "strides": 2}, "Use 7 or 9 pixels"),
        (8, {"pool_size": 3, "strides": 2, "padding": "same"}, "Use 7 or 9 pixels"),
        (6, {"strides": 1, "padding": "same"}, "odd number of pixels, or padding='valid'"),
        (2, {"pool_size": 3}, "at least 3 rows"),
    ],
)
def test_sizes_that_break_the_symmetry_are_refused(side, arguments, fix):
    layer = SpatialPooling2D("C4", name="pool", **arguments)
    with pytest.raises(ValueError, match=f"SpatialPooling2D `pool` .*{fix}"):
        layer(noise(2, side, side, 4, 1))


def test_other_sizes_after_building_are_refused_too():
    layer = SpatialPooling2D("C4")
    layer(noise(2, 6, 6, 4, 1))
    with pytest.raises(ValueError, match="Use 6 or 8 pixels"):
        layer(noise(2, 7, 7, 4, 1))


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"mode": "sum"}, "`mode`.*'max' or 'mean'.*'sum'"),
        ({"group": "O"}, "`group`.*cyclic or dihedral.*O"),
        ({"pool_size": 0}, "`pool_size`.*0"),
        ({"pool_size": (2, 3)}, r"`pool_size`.*square.*\(2, 3\)"),
        ({"strides": 1.5}, "`strides`.*1.5"),
        ({"padding": "full"}, "`padding`.*'valid' or 'same'.*'full'"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        SpatialPooling2D(**{"group": "C4", **arguments})


def test_bad_modes_and_shapes_are_named():
    with pytest.raises(ValueError, match="`mode`.*'min'"):
        GroupPooling("min")
    with pytest.raises(ValueError, match="`mode`.*'norm'"):
        GlobalPooling2D("norm")
    with pytest.raises(ValueError, match=r"SpatialPooling2D `pool`.*rank 4 or 5.*\(2, 5, 3\)"):
        SpatialPooling2D("C4", name="pool").build((2, 5, 3))


@pytest.mark.parametrize("mode", ["max", "mean"])
@pytest.mark.parametrize(
    "side, arguments",
    [
        (4, {}),
        (5, {"pool_size": 3, "strides": 2}),
        (3, {"pool_size": 3, "strides": 1, "padding": "same"}),
    ],
)
def test_pooling_of_volumes_is_that_of_keras_on_each_part(mode, side, arguments):
    x = noise(2, side, side, side, 6, 3)
    pooling = {"max": keras.layers.MaxPooling3D, "mean": keras.layers.AveragePooling3D}[mode]
    pool = pooling(**{"pool_size": 2, **arguments})
    expected = np.stack([pool(x[..., part, :]) for part in range(6)], axis=-2)
    layer = SpatialPooling3D("O", mode=mode, **arguments)
    np.testing.assert_allclose(layer(x), expected, atol=1e-6)
    np.testing.assert_allclose(layer(x[..., 0, :]), expected[..., 0, :], atol=1e-6)


@pytest.mark.parametrize(
    "group, sides, arguments, fix",
    [
        ("O", (4, 4, 5), {}, "5 slices.*Use 4 or 6 voxels"),
        ("D4", (4, 5, 5), {}, "5 columns.*Use 4 or 6 voxels"),
        ("Oh", (6, 6, 6), {"pool_size": 3, "strides": 2, "padding": "same"}, "Use 5 or 7 voxels"),
        ("O", (4, 4, 4), {"strides": 1, "padding": "same"}, "odd number of voxels"),
        ("T", (2, 2, 2), {"pool_size": 3}, "at least 3 rows"),
    ],
)
def test_volumes_that_break_the_symmetry_are_refused(group, sides, arguments, fix):
    layer = SpatialPooling3D(group, name="pool", **arguments)
    with pytest.raises(ValueError, match=f"SpatialPooling3D `pool` .*{fix}"):
        layer(noise(2, *sides, 1))


def test_axes_that_a_group_does_not_reverse_may_have_any_size():
    assert SpatialPooling3D("D4")(noise(1, 4, 4, 5, 8, 1)).shape == (1, 2, 2, 2, 8, 1)
    assert SpatialPooling3D("C1")(noise(1, 3, 4, 5, 1)).shape == (1, 1, 2, 2, 1)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"mode": "norm"}, "`mode`.*'max' or 'mean'.*'norm'"),
        ({"group": "C3"}, "C3"),
        ({"group": "SO3"}, "`group`.*SO3"),
        ({"pool_size": (2, 2)}, r"`pool_size`.*cubes.*\(2, 2\)"),
    ],
)
def test_bad_arguments_of_volumes_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        SpatialPooling3D(**{"group": "O", **arguments})


@pytest.mark.parametrize("mode", ["max", "mean"])
def test_global_pooling_of_volumes(mode):
    x = noise(2, 3, 4, 5, 6, 3)
    layer = GlobalPooling3D(mode, name="pool")
    np.testing.assert_allclose(layer(x), getattr(np, mode)(x, axis=(1, 2, 3)), atol=1e-6)
    assert layer.compute_output_shape((None, None, None, None, 6, 3)) == (None, 6, 3)
    with pytest.raises(ValueError, match="GlobalPooling3D `pool` expected .*slices.*with voxels"):
        layer(x[:, :, :, :0])


def windows(x, size, stride, padding):
    """Cubes of voxels (batch, rows, columns, slices, channels, size^3), NaN beyond the border."""
    zeros = (-(-x.shape[1] // stride) - 1) * stride + size - x.shape[1]
    around = zeros // 2 if padding == "same" else 0
    x = np.pad(x, [(0, 0), *[(around, around)] * 3, (0, 0)], constant_values=np.nan)
    found = np.lib.stride_tricks.sliding_window_view(x, (size,) * 3, axis=(1, 2, 3))
    found = found[:, ::stride, ::stride, ::stride]
    return found.reshape(*found.shape[:5], -1)


@pytest.mark.parametrize("mode", ["max", "mean"])
@pytest.mark.parametrize(
    "side, size, stride, padding",
    [(4, 2, 2, "valid"), (5, 3, 2, "valid"), (5, 3, 2, "same"), (3, 3, 1, "same")],
)
def test_volumes_are_pooled_in_double_precision(mode, side, size, stride, padding):
    x = np.random.default_rng(0).standard_normal((2, side, side, side, 3))
    expected = {"max": np.nanmax, "mean": np.nanmean}[mode](
        windows(x, size, stride, padding), axis=-1
    )
    inputs = keras.Input(x.shape[1:], dtype="float64")
    layer = SpatialPooling3D("O", size, stride, padding, mode, dtype="float64")
    model = keras.Model(inputs, layer(inputs))
    for network in (layer, model, plain(model)):
        np.testing.assert_allclose(network(x), expected, rtol=1e-13)


@pytest.mark.parametrize("shape", [(4, 3), (2, 0, 3)])
def test_later_inputs_have_a_group_axis_too(shape):
    pool = GroupPooling("mean")
    pool(np.ones((2, 4, 3)))
    with pytest.raises(ValueError, match=r"expected an input of shape .batch, ..., .group., chan"):
        pool(np.ones(shape))
