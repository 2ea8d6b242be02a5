import keras
import numpy as np
import pytest

from sen_tf.layers import FieldGroupNormalization, FieldInstanceNormalization
from sen_tf.testing import randomize_weights


def noise(*shape, seed=0):
    x = np.random.default_rng(seed).standard_normal(shape)
    return (2 * x + np.arange(shape[-1])).astype("float32")


def in_blocks(**arguments):
    return FieldGroupNormalization(groups=2, **arguments)


BOTH = [FieldInstanceNormalization, in_blocks]


@pytest.mark.parametrize("make", BOTH)
@pytest.mark.parametrize("shape", [(3, 4, 6), (3, 5, 4, 8, 6)])
def test_statistics_are_those_of_a_sample_and_its_block(make, shape):
    x = noise(*shape)
    y = np.asarray(make(epsilon=1e-6)(x), "float64")
    blocks = 6 if make is FieldInstanceNormalization else 2
    cut, made = (array.reshape(shape[0], -1, blocks, 6 // blocks) for array in (x, y))
    np.testing.assert_allclose(made.mean((1, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(made.std((1, 3)), 1, atol=1e-4)
    mean, deviation = (f(cut, axis=(1, 3), keepdims=True) for f in (np.mean, np.std))
    np.testing.assert_allclose(made, (cut - mean) / deviation, atol=1e-4)


@pytest.mark.parametrize("arguments", [{}, {"epsilon": 0.1}, {"center": False}, {"scale": False}])
@pytest.mark.parametrize("groups", [1, 2, 3, 6])
def test_it_is_group_normalization_of_keras(groups, arguments):
    x = noise(4, 3, 5, 4, 6)
    ours = FieldGroupNormalization(groups, **arguments)
    theirs = keras.layers.GroupNormalization(groups, **arguments)
    ours.build(x.shape)
    theirs.build(x.shape)
    randomize_weights(ours)
    theirs.set_weights(ours.get_weights())
    np.testing.assert_allclose(ours(x), theirs(x), atol=1e-5)
    assert [weight.shape for weight in ours.weights] == [(6,)] * len(ours.weights)


def test_a_block_a_channel_is_instance_normalization():
    x = noise(4, 3, 5, 4, 6)
    np.testing.assert_allclose(
        FieldInstanceNormalization()(x), FieldGroupNormalization(6)(x), atol=1e-6
    )


@pytest.mark.parametrize("make", BOTH)
def test_samples_do_not_see_each_other(make):
    x = noise(3, 5, 4, 4, 6)
    layer = make()
    y = np.asarray(layer(x))
    np.testing.assert_allclose(layer(x[1:2]), y[1:2], atol=1e-6)
    assert layer(x[:0]).shape == (0, 5, 4, 4, 6)
    np.testing.assert_array_equal(layer(x, training=True), y)


@pytest.mark.parametrize("make", BOTH)
@pytest.mark.parametrize("value", [0, 1e4])
def test_constants_become_the_offset(make, value):
    layer = make(beta_initializer="ones")
    x = keras.ops.full((2, 5, 4, 4, 6), value, "float32")
    np.testing.assert_allclose(layer(x), np.ones(x.shape), atol=1e-6)


@pytest.mark.parametrize("make", BOTH)
def test_nan_stays_in_its_sample_and_block(make):
    x = noise(3, 5, 4, 4, 6)
    x[1, 2, 2, 1, 4] = np.nan
    channels = slice(4, 5) if make is FieldInstanceNormalization else slice(3, 6)
    expected = np.zeros(x.shape, bool)
    expected[1, ..., channels] = True
    np.testing.assert_array_equal(np.isnan(make()(x)), expected)


@pytest.mark.parametrize("make", BOTH)
@pytest.mark.parametrize("dtype, least", [("bfloat16", 1e-2), ("float16", 1e-3)])
def test_the_arithmetic_is_that_of_float32(make, dtype, least):
    """Of numbers whose squares half precision cannot hold, and far from zero."""
    x = keras.ops.cast(1000 + 50 * noise(2, 8, 8, 4, 6), dtype)
    expected = make()(keras.ops.cast(x, "float32"))
    y = make(dtype=f"mixed_{dtype}")(x)
    assert y.dtype == dtype
    np.testing.assert_allclose(np.asarray(y, "float32"), expected, atol=least * 4)


@pytest.mark.parametrize("make", BOTH)
def test_images_of_any_size(make):
    layer = make()
    inputs = keras.Input((None, None, 4, 6))
    model = keras.Model(inputs, layer(inputs))
    for shape in ((2, 3, 5, 4, 6), (1, 1, 1, 4, 6)):
        np.testing.assert_allclose(model(noise(*shape)), layer(noise(*shape)), atol=1e-6)


@pytest.mark.parametrize("make", BOTH)
def test_bad_arguments_and_shapes_are_named(make):
    with pytest.raises(ValueError, match="`epsilon`.*-1"):
        make(epsilon=-1)
    with pytest.raises(ValueError, match="Normalization `norm`.*channel number"):
        make(name="norm").build((2, 3, None))
    layer = make(name="norm")
    layer(noise(2, 4, 6))
    with pytest.raises(ValueError, match="Normalization `norm` was built for 6"):
        layer(noise(2, 4, 4))


def test_single_numbers_have_no_variance():
    with pytest.raises(ValueError, match=r"FieldInstanceNormalization `norm`.*rank 3.*\(2, 6\)"):
        FieldInstanceNormalization(name="norm").build((2, 6))
    layer = FieldInstanceNormalization(name="norm")
    layer(noise(2, 4, 6))
    with pytest.raises(ValueError, match="FieldInstanceNormalization `norm`.*rank 3"):
        layer(noise(2, 6))
    assert FieldGroupNormalization(2)(noise(2, 6)).shape == (2, 6)


@pytest.mark.parametrize("groups", [0, -1, 1.5, None])
def test_bad_groups_are_named(groups):
    with pytest.raises(ValueError, match=f"`groups`.*groups={groups}"):
        FieldGroupNormalization(groups)


def test_channels_that_the_blocks_do_not_divide_are_refused():
    layer = FieldGroupNormalization(4, name="norm")
    with pytest.raises(ValueError, match=r"`norm` expected a multiple of 4 channels.*\(2, 4, 6\)"):
        layer.build((2, 4, 6))
    layer.build((2, 4, 8))
    assert len(layer.weights) == 2
