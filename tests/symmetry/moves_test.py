"""Lie derivatives by small shifts: zero where a layer commutes, and what it is elsewhere."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from sen_tf.groups import Field
from sen_tf.layers.output_fields import keeps_field
from sen_tf.symmetry import explain
from sen_tf.symmetry.moves import shift
from tests.symmetry import planted

IMAGE = Field("C4", pixels=True)


@pytest.mark.parametrize("size", [16, 17])
def test_whole_pixels_are_rolled_and_there_and_back_is_nothing(size):
    x = np.random.default_rng(0).normal(size=(2, size, size, 3))
    np.testing.assert_allclose(shift(x, IMAGE, 1, 3.0), np.roll(x, 3, axis=1), atol=1e-12)
    regular = np.stack([x, x], axis=3)
    np.testing.assert_allclose(shift(regular, IMAGE, 2, 1.0), np.roll(regular, 1, 2), atol=1e-12)
    if size % 2:
        back = shift(shift(x, IMAGE, 1, 0.1), IMAGE, 1, -0.1)
        np.testing.assert_allclose(back, x, atol=1e-14)
    tokens = x.reshape(2, -1, 3)
    moved = shift(tokens, Field("C4", pixels=(size, size)), 2, 1.0)
    np.testing.assert_allclose(moved, np.roll(x, 1, 2).reshape(tokens.shape), atol=1e-12)


class Circular(layers.Layer):
    """A 3 x 3 convolution that goes on at the other edge: it commutes with all shifts."""

    output_field = keeps_field

    def build(self, shape):
        self.conv = layers.Conv2D(3, 3)
        self.conv.build((None, shape[1] + 2, shape[2] + 2, shape[3]))

    def call(self, x):
        x = ops.concatenate([x[:, -1:], x, x[:, :1]], axis=1)
        return self.conv(ops.concatenate([x[:, :, -1:], x, x[:, :, :1]], axis=2))

    def compute_output_shape(self, shape):
        return (*shape[:3], 3)


@pytest.mark.parametrize(("dtype", "error"), [("float32", 1e-5), ("float64", 1e-14)])
def test_layers_that_commute_with_shifts_have_no_derivative(dtype, error):
    image = keras.Input((17, 17, 3), dtype=dtype)
    x = layers.Dense(4, dtype=dtype, name="dense")(image)
    x = layers.BatchNormalization(dtype=dtype)(x)
    model = keras.Model(image, layers.GlobalAveragePooling2D(dtype=dtype)(x))
    x = np.random.default_rng(0).normal(size=(2, 17, 17, 3))
    report = explain(model, x, "C4", moves="translation")
    assert max(record.own for record in report.layers) < error
    assert report.is_exact


def test_a_circular_convolution_commutes_and_a_padded_one_does_not():
    image = keras.Input((17, 17, 3))
    model = keras.Model(
        image, layers.Conv2D(3, 3, padding="same", name="same")(Circular(name="circular")(image))
    )
    report = explain(model, planted.images(model), "C4", moves="translation")
    own = {record.layer: record.own for record in report.layers}
    assert own["circular"] < 1e-5 < 0.05 < own["same"]
    assert report.suspects[0].layer == "same" and "convict none" in report.conclusion


def test_maximum_pooling_is_rougher_than_averages_and_relu_than_gelu():
    smooth = planted.images(planted.chain(), batch=1)
    kernel = np.exp(-(np.arange(-8, 9) ** 2) / 8)
    for axis in (1, 2):
        blurred = np.fft.fft(smooth, axis=axis) * np.abs(np.fft.fft(kernel)).reshape(
            [-1 if k == axis else 1 for k in range(4)]
        )
        smooth = np.fft.ifft(blurred, axis=axis).real
    smooth = smooth.astype("float32") / smooth.std()

    def derivative(layer):
        model = keras.Sequential([keras.Input((17, 17, 3)), layer])
        (record,) = explain(model, smooth, "C4", moves="translation").layers
        return record.own

    rough = derivative(layers.MaxPooling2D(3, 2)), derivative(layers.ReLU())
    fine = derivative(layers.AveragePooling2D(3, 2)), derivative(layers.Activation("gelu"))
    print(rough, fine)
    assert rough[1] > 3 * fine[1]


def test_maps_of_fewer_pixels_are_shifted_by_fewer():
    """Every second pixel of a wave that both grids hold."""
    columns = np.cos(2 * np.pi * np.arange(16) / 16)
    x = np.tile(columns.reshape(1, 1, 16, 1), (1, 16, 1, 1)).astype("float32")
    for layer in (layers.MaxPooling2D(1, 2), layers.UpSampling2D(1)):
        model = keras.Sequential([keras.Input((16, 16, 1)), layer])
        (record,) = explain(model, x, "C4", moves="translation").layers
        assert record.own < 1e-5


@pytest.mark.parametrize("dtype", ["uint8", "int32", "bool"])
def test_images_of_integers_are_shifted_as_those_of_floats(dtype):
    x = np.random.default_rng(0).integers(0, 2 if dtype == "bool" else 256, (2, 16, 16, 3))

    def own(dtype):
        keras.utils.set_random_seed(0)
        conv = layers.Conv2D(4, 3, padding="same", name="conv")
        image = keras.Input((16, 16, 3), dtype=dtype)
        model = keras.Model(image, conv(layers.Rescaling(1 / 255, name="rescaled")(image)))
        report = explain(model, x.astype(dtype), "C4", moves="translation")
        return {record.layer: record.own for record in report.layers}

    found, expected = own(dtype), own("float32")
    assert found["rescaled"] < 1e-5 and expected["conv"] > 0.1
    assert found["conv"] == pytest.approx(expected["conv"], rel=1e-4)


def test_vectors_of_integers_are_turned_as_those_of_floats():
    vectors = keras.Input((2, 5), dtype="uint8", name="vectors")
    model = keras.Model(vectors, layers.Dense(3, use_bias=False)(vectors))
    x = np.random.default_rng(0).integers(0, 9, (4, 2, 5))
    report = explain(model, x, "C8", {"vectors": Field("C8", "standard")})
    assert report.is_exact and report.layers[0].field == "standard C8"
