import itertools
import math
from functools import partial

import keras
import numpy as np
import pytest
import tensorflow as tf

from sen_tf.groups import actions
from sen_tf.layers import AntialiasedPooling2D, SpatialUpSampling2D
from sen_tf.testing import assert_equivariant

BOTH = [AntialiasedPooling2D, SpatialUpSampling2D]


def noise(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype("float32")


def pooled(row, size, mode, padding):
    """The layer along one axis, of numbers: windows, then taps of which some lie beyond."""
    windows = np.lib.stride_tricks.sliding_window_view(row, size)
    x = windows.max(-1) if mode == "max" else windows.mean(-1)
    if padding == "valid":
        taps = next(n for n in itertools.count(2 * size - 1) if (len(x) - n) % size == 0)
        starts = range(0, len(x) - taps + 1, size)
    else:
        count = -(-len(row) // size)
        taps = next(
            n for n in itertools.count(2 * size - 1) if ((count - 1) * size + n - len(x)) % 2 == 0
        )
        first = -((count - 1) * size + taps - len(x)) // 2
        starts = range(first, first + count * size, size)
    outputs = []
    for start in starts:
        weights = {start + k: math.comb(taps - 1, k) for k in range(taps)}
        weights = {place: weight for place, weight in weights.items() if 0 <= place < len(x)}
        total = sum(weight * x[place] for place, weight in weights.items())
        outputs.append(total / sum(weights.values()))
    return np.array(outputs)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_antialiased_pooling_along_one_axis(size, padding):
    """Of images whose rows are all equal, so that the other axis changes nothing."""
    for pixels, mode in itertools.product(range(3 * size, 4 * size + 2), ("max", "mean")):
        row = noise(pixels)
        x = np.broadcast_to(row[None, None, :, None], (1, pixels, pixels, 1))
        y = np.asarray(AntialiasedPooling2D("C4", size, mode, padding)(x))
        expected = pooled(row, size, mode, padding)
        np.testing.assert_allclose(y[0, 0, :, 0], expected, atol=1e-6)
        assert y.shape == (1, len(expected), len(expected), 1)


def test_antialiased_pooling_of_six_numbers():
    row = np.array([0, 4, 0, 0, 8, 0], "float32")  # maxima of neighbours: 4 4 0 8 8
    x = np.tile(row, (1, 6, 1))[..., None]
    valid = AntialiasedPooling2D("C4")(x)
    np.testing.assert_allclose(valid[0, 0, :, 0], [3, 6])  # (4 + 2 * 4 + 0) / 4, (0 + 16 + 8) / 4
    same = AntialiasedPooling2D("C4", padding="same")(x)
    np.testing.assert_allclose(same[0, 0, :, 0], [4, 3, 8], rtol=1e-6)
    np.testing.assert_allclose(
        AntialiasedPooling2D("C4", padding="same")(x[:, :5, :5])[0, 0, :, 0],
        [4, (3 * 4 + 3 * 0 + 4 + 8) / 8, (3 * 8 + 0) / 4],  # of 4 4 0 8
        rtol=1e-6,
    )


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("mode", ["max", "mean"])
def test_antialiased_pooling_commutes_for_every_size(mode, padding):
    act = actions.act_on_regular_image
    for size, rows, columns in itertools.product((2, 3), range(7, 13), (7, 10)):
        layer = AntialiasedPooling2D("D4", size, mode, padding)
        x = noise(2, rows, columns, 8, 1)
        assert assert_equivariant(layer, x, "D4", act, act) < 1e-6


@pytest.mark.parametrize("mode", ["max", "mean"])
@pytest.mark.parametrize("make", [AntialiasedPooling2D, SpatialUpSampling2D])
def test_constants_stay_to_the_border(make, mode):
    """Zeros beyond the border would make it darker."""
    arguments = {"mode": mode, "padding": "same"} if make is AntialiasedPooling2D else {}
    for side in range(2, 9):
        y = make("C4", 2, **arguments)(np.full((1, side, side, 1), 3, "float32"))
        np.testing.assert_allclose(y, np.full(y.shape, 3), rtol=1e-6)


def test_a_shift_by_one_pixel_changes_less_than_with_ordinary_pooling():
    x = noise(4, 33, 33, 8)
    layers = (keras.layers.MaxPooling2D(), AntialiasedPooling2D("C1"))
    changes = []
    for layer in layers:
        here, there = layer(x[:, :, :-1]), layer(x[:, :, 1:])
        changes.append(float(keras.ops.std(here - there) / keras.ops.std(here)))
    assert changes[1] < 0.8 * changes[0]


@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_upsampling_is_that_of_keras_on_each_element(size, interpolation):
    x = noise(2, 3, 5, 4, 2)
    theirs = keras.layers.UpSampling2D(size, interpolation=interpolation)
    expected = np.stack([theirs(x[:, :, :, g]) for g in range(4)], axis=3)
    layer = SpatialUpSampling2D("C4", size, interpolation)
    np.testing.assert_allclose(layer(x), expected, atol=3e-6)
    np.testing.assert_allclose(layer(x[:, :, :, 0]), expected[:, :, :, 0], atol=3e-6)


def test_upsampling_of_two_numbers():
    x = np.array([0, 4], "float32").reshape(1, 1, 2, 1)
    y = SpatialUpSampling2D("C4")(x)
    np.testing.assert_allclose(y[0, :, :, 0], [[0, 1, 3, 4]] * 2)
    y = SpatialUpSampling2D("C4", 3)(x)
    np.testing.assert_allclose(y[0, 1, :, 0], [0, 0, 4 / 3, 8 / 3, 4, 4], atol=1e-6)


@pytest.mark.parametrize(
    "make, arguments, inside",
    [
        (AntialiasedPooling2D, {"mode": "max"}, slice(1, 3)),
        (AntialiasedPooling2D, {"mode": "mean"}, slice(1, 3)),
        (SpatialUpSampling2D, {"size": 2}, slice(7, 11)),
        (SpatialUpSampling2D, {"size": 3}, slice(11, 16)),
    ],
)
def test_nan_stays_where_it_was(make, arguments, inside):
    layer = make("C4", **arguments)
    x = noise(2, 10, 10, 4, 2)
    x[1, 4, 4, 2, 0] = np.nan
    expected = np.zeros(layer(x).shape, bool)
    expected[1, inside, inside, 2, 0] = True
    np.testing.assert_array_equal(np.isnan(layer(x)), expected)


@pytest.mark.parametrize("make", BOTH)
@pytest.mark.parametrize("jit_compile", [False, True])
def test_graphs_that_know_no_sizes(make, jit_compile):
    layer = make("C4")
    free = [tf.TensorSpec([None] * 5)]
    traced = tf.function(layer, input_signature=free, jit_compile=jit_compile)
    for shape in ((2, 8, 8, 4, 3), (1, 9, 8, 4, 3), (3, 7, 7, 4, 3)):
        np.testing.assert_allclose(traced(noise(*shape)), layer(noise(*shape)), atol=1e-6)
    with pytest.raises((tf.errors.InvalidArgumentError, ValueError)):
        traced(noise(1, 8, 8, 8, 3))


def test_graphs_refuse_too_few_pixels():
    traced = tf.function(AntialiasedPooling2D("C4"), input_signature=[tf.TensorSpec([None] * 4)])
    with pytest.raises(tf.errors.InvalidArgumentError, match="at least 4 columns"):
        traced(noise(1, 8, 3, 2))


@pytest.mark.parametrize("make", BOTH)
def test_an_empty_batch_keeps_its_shape(make):
    layer = make("C4")
    assert layer(noise(0, 8, 8, 4, 3)).shape == layer.compute_output_shape((0, 8, 8, 4, 3))


@pytest.mark.parametrize("make", BOTH)
def test_gradients_of_the_compiled_layer(make):
    layer, x = make("C4", 3), tf.constant(noise(2, 9, 8, 4, 1))

    def gradient(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(layer(x) ** 2)
        return tape.gradient(loss, x)

    expected, found = gradient(x), tf.function(gradient, jit_compile=True)(x)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_too_few_pixels_are_refused():
    with pytest.raises(ValueError, match="`pool` expected at least 4 rows.* 3"):
        AntialiasedPooling2D("C4", name="pool").build((None, 3, 8, 2))
    layer = AntialiasedPooling2D("C4", 3, padding="same", name="pool")
    layer(noise(1, 3, 3, 1))
    with pytest.raises(ValueError, match="`pool` expected at least 3 columns.* 2"):
        layer(noise(1, 3, 2, 1))


@pytest.mark.parametrize("make", BOTH)
def test_other_axes_and_ranks_are_refused(make):
    layer = make("C4", name="layer")
    with pytest.raises(ValueError, match=r"`layer`.*group axis of C4.*\(2, 8, 8, 8, 3\)"):
        layer(noise(2, 8, 8, 8, 3))
    with pytest.raises(ValueError, match=r"`layer`.*rank 4 or 5.*\(2, 8, 3\)"):
        layer.build((2, 8, 3))
    layer(noise(2, 8, 8, 3))
    with pytest.raises(ValueError, match="`layer` was built for 4 on axis 3"):
        layer(noise(2, 8, 8, 8, 3))


@pytest.mark.parametrize(
    "make, arguments, message",
    [
        *((make, {"group": "O"}, "`group`.*cyclic or dihedral.*O") for make in BOTH),
        (AntialiasedPooling2D, {"group": "SO2"}, "`mode` to be 'mean' for SO2.*mode='max'"),
        (AntialiasedPooling2D, {"pool_size": (2, 3)}, r"`pool_size`.*square.*\(2, 3\)"),
        (AntialiasedPooling2D, {"mode": "sum"}, "`mode`.*'max' or 'mean'.*'sum'"),
        (AntialiasedPooling2D, {"padding": "full"}, "`padding`.*'valid' or 'same'.*'full'"),
        (SpatialUpSampling2D, {"size": 0}, "`size`.*0"),
        (SpatialUpSampling2D, {"interpolation": "cubic"}, "`interpolation`.*'bilinear'.*'cubic'"),
    ],
)
def test_bad_arguments_are_named(make, arguments, message):
    with pytest.raises(ValueError, match=message):
        make(**{"group": "C4", **arguments})


@pytest.mark.parametrize("name, components", [("SO2", 3), ("O2", 4)])
@pytest.mark.parametrize("make", [partial(AntialiasedPooling2D, mode="mean"), SpatialUpSampling2D])
def test_components_that_turn_are_averaged_and_spread(make, name, components):
    """Each by itself, as an image is; an axis that holds no frequencies is refused."""
    x = noise(2, 6, 6, components, 2)
    y, alone = make(name)(x), make("C1")
    for component in range(components):
        expected = alone(x[:, :, :, component])
        np.testing.assert_allclose(y[:, :, :, component], expected, atol=1e-6)
    with pytest.raises(ValueError, match=rf"group axis of {name}"):
        make(name)(x[:, :, :, 1:])
