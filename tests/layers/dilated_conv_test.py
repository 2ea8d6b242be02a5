import keras
import numpy as np
import pytest

from sen_tf.layers import DepthwiseGroupConv2D, GroupConv2D, LiftingConv2D, dilated_conv

RNG = np.random.default_rng(0)
IMAGES = RNG.standard_normal((2, 9, 7, 3)).astype("float32")
TOLERANCES = {"float32": 1e-5, "float64": 1e-12, "bfloat16": 2e-2}
KERNEL = RNG.standard_normal((3, 3, 3, 4)).astype("float32")


@pytest.mark.parametrize("direct", [True, False])
@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("strides, rate", [(1, 1), (2, 1), (1, 2), (1, 3)])
def test_it_is_the_convolution_of_keras(direct, padding, strides, rate, monkeypatch):
    if not direct:  # else as this device can
        monkeypatch.setattr(dilated_conv, "_has_gradients", lambda dtype: False)
    expected = keras.ops.conv(
        IMAGES,
        KERNEL,
        strides=strides,
        padding=padding,
        dilation_rate=rate,
        data_format="channels_last",
    )
    y = dilated_conv.conv2d(IMAGES, KERNEL, strides, padding, rate)
    np.testing.assert_allclose(y, expected, atol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
@pytest.mark.parametrize("channels, filters", [(24, 24), (16, 24), (16, 32)])
def test_gradients_are_those_of_keras(dtype, channels, filters):
    """TensorFlow's own kernels lack those in float64, and crash on 24 channels in bfloat16."""
    import tensorflow as tf

    x = tf.cast(RNG.standard_normal((2, 65, 65, channels)), dtype)
    kernel = tf.cast(RNG.standard_normal((3, 3, channels, filters)), dtype)
    taken = []
    for conv in (
        lambda: dilated_conv.conv2d(x, kernel, 1, "same", 32),
        lambda: keras.ops.conv(x, kernel, padding="same", dilation_rate=32),
    ):
        with tf.GradientTape() as tape:
            tape.watch([x, kernel])
            y = conv()
        taken.append(tape.gradient(y, [x, kernel]))
    for ours, theirs in zip(*taken, strict=True):
        ours, theirs = np.array(ours, np.float64), np.array(theirs, np.float64)
        assert np.abs(ours - theirs).max() < TOLERANCES[dtype] * np.abs(theirs).max()


def test_a_device_without_the_gradients_is_noticed(monkeypatch):
    import tensorflow as tf

    def refuse(**arguments):
        raise tf.errors.InvalidArgumentError(None, None, "no dilation here")

    monkeypatch.setattr(tf.raw_ops, "Conv2DBackpropFilter", refuse)
    dilated_conv._has_gradients.cache_clear()
    assert not dilated_conv._has_gradients("float32")
    dilated_conv._has_gradients.cache_clear()


def test_no_images_have_the_shape_of_images_and_gradients_of_zero():
    """Also in a graph; where that was traced for any number of images, the shape alone."""
    import tensorflow as tf

    layers = [
        LiftingConv2D("C4", 4, 3, activation="gelu"),
        GroupConv2D("C4", 4, 3, strides=2),
        DepthwiseGroupConv2D("C4", 3, padding="same"),
    ]
    model = keras.Sequential([keras.Input((9, 9, 3)), *layers])

    def gradients(x):
        with tf.GradientTape() as tape:
            y = model(x)
            loss = tf.reduce_sum(y)
        return y, tape.gradient(loss, model.trainable_variables)

    none = np.zeros((0, 9, 9, 3), "float32")
    for function in (gradients, tf.function(gradients)):
        y, found = function(none)
        assert y.shape == (0, 3, 3, 4, 4)
        for gradient in found:
            np.testing.assert_array_equal(gradient, np.zeros(gradient.shape))
    free = tf.function(model, input_signature=[tf.TensorSpec((None, 9, 9, 3))])
    for function in (tf.function(model), free):
        assert function(none).shape == (0, 3, 3, 4, 4)
