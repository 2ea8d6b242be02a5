import keras
import numpy as np
import pytest

from benchmarks import angles
from sen_tf import layers
from sen_tf.layers.blurring import blurred, extended


def noise(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype("float32")


def test_taps_by_hand():
    x = np.zeros((1, 7, 7, 1), "float32")
    x[0, 3, 3] = 16
    taps = np.array([0, 0, 1, 2, 1, 0, 0])
    np.testing.assert_allclose(np.array(blurred(x, 2))[0, :, :, 0], np.outer(taps, taps))
    taps = np.array([0, 1, 4, 6, 4, 1, 0]) / 4
    np.testing.assert_allclose(np.array(blurred(x, 3))[0, :, :, 0], np.outer(taps, taps))
    np.testing.assert_array_equal(blurred(x, 1), x)


def test_borders_go_on():
    x = noise(2, 1, 3, 2)
    np.testing.assert_array_equal(extended(x, 2, 2)[:, :, :2], x[:, :, [0, 0]])
    np.testing.assert_array_equal(extended(x, 1, 1), x[:, [0, 0, 0]])
    flat = np.full((1, 4, 5, 1), 3.0, "float32")
    np.testing.assert_allclose(blurred(flat, 2), flat)


@pytest.mark.parametrize(
    "layer, shape",
    [
        (layers.LiftingConv2D("C8", 2, 3, 2), (2, 9, 9, 2)),
        (layers.GroupConv2D("D4", 2, 3, 2, basis="harmonics"), (2, 9, 9, 8, 2)),
        (layers.DepthwiseGroupConv2D("C8", 3, 2), (2, 9, 9, 8, 2)),
        (layers.CircleConv2D("SO2", 2, 3, 1, 2), (2, 9, 9, 3, 2)),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_strides_of_harmonics_blur_first(layer, shape):
    """As the layer without strides makes of the blurred image, every second pixel of it."""
    x = noise(*shape)
    config = layer.get_config()
    whole = type(layer).from_config({**config, "strides": 1})
    y = np.array(layer(x))
    whole.build(shape)
    whole.set_weights(layer.get_weights())
    flat = np.array(blurred(x.reshape(*shape[:3], -1), 2)).reshape(shape)
    np.testing.assert_allclose(y, np.array(whole(flat))[:, ::2, ::2], atol=1e-5)


def test_strides_of_pixels_do_not():
    layer = layers.LiftingConv2D("C4", 2, 1, 2, use_bias=False)
    x = noise(1, 5, 5, 2)
    layer(x)
    kernel = np.array(layer.kernel)[0, 0]
    np.testing.assert_allclose(np.array(layer(x))[:, :, :, 0], x[:, ::2, ::2] @ kernel, atol=1e-6)


def test_turned_images_change_less():
    """Two strides of C8 at 45 degrees: less than half of what it is with strides alone."""

    def change(strided):
        found = []
        for seed in range(6):
            keras.utils.set_random_seed(seed)
            image = angles.waves(np.random.default_rng(seed))
            model = keras.Sequential(
                [
                    keras.Input((angles.SIDE, angles.SIDE, 1)),
                    layers.LiftingConv2D("C8", 4, 3, padding="same"),
                    keras.layers.ReLU(),
                    *strided(),
                    keras.layers.ReLU(),
                    *strided(),
                    layers.GlobalPooling2D(),
                    layers.GroupPooling(),
                ]
            )
            pair = np.stack([image, angles.turned(image, 45)]).astype("float32")
            upright, turned = np.array(model(pair[..., None]))
            found.append(np.linalg.norm(upright - turned) / np.linalg.norm(upright))
        return np.median(found)

    def blurring():
        return [layers.GroupConv2D("C8", 4, 3, 2, "same")]

    def leaving_out():
        return [
            layers.GroupConv2D("C8", 4, 3, padding="same"),
            keras.layers.Lambda(lambda x: x[:, ::2, ::2]),
        ]

    assert change(blurring) < 0.5 * change(leaving_out)
