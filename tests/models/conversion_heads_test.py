"""Outputs of converted models: their channels, and that the whole network commutes."""

import keras
import numpy as np
import pytest
from keras import layers

from sen_tf import convert, groups
from sen_tf.groups import actions


@pytest.fixture(autouse=True)
def seeded():
    """New weights are the same in every run."""
    keras.utils.set_random_seed(0)


def image():
    return keras.Input((8, 8, 3))


def hidden(x, **more):
    return layers.Conv2D(8, 3, padding="same", activation="relu", **more)(x)


def sequence(*parts):
    x = inputs = image()
    x = hidden(x)
    for part in parts:
        x = part(x)
    return keras.Model(inputs, x)


def autoencoder():
    down = layers.Conv2D(16, 4, 2, "same", activation="relu")
    up = layers.Conv2DTranspose(3, 4, 2, "same", activation="sigmoid")
    return keras.Sequential([image(), down, up])


def resampled():
    """Everything that an image passes through unchanged but for its size."""
    return sequence(
        layers.Conv2D(5, 1),
        layers.UpSampling2D(2, interpolation="bilinear"),
        layers.LeakyReLU(),
        layers.MaxPooling2D(2),
        layers.Dropout(0.1),
        layers.SpatialDropout2D(0.1),
        layers.ZeroPadding2D(1),
        layers.Softmax(axis=3),
    )


def backbone_and_head():
    backbone = keras.Sequential([image(), layers.Conv2D(16, 3, padding="same")])
    head = keras.Sequential([keras.Input((8, 8, 16)), layers.Conv2D(5, 1), layers.ReLU()])
    return keras.Sequential([image(), backbone, head])


def shared_activation():
    x, activation = (inputs := image()), layers.ReLU()
    x = activation(layers.Conv2D(8, 3, padding="same")(x))
    return keras.Model(inputs, activation(layers.Conv2D(5, 1)(x)))


def shared_names():
    """A hidden convolution of a nested model has the name of the head."""
    inputs = image()
    backbone = keras.Model(inputs, hidden(hidden(inputs), name="out"))
    inputs = image()
    return keras.Model(inputs, layers.Conv2D(5, 1, name="out")(backbone(inputs)))


def denoiser():
    x = inputs = image()
    noise = layers.Conv2D(3, 3, padding="same")(hidden(x))
    return keras.Model(inputs, inputs - 0.5 * noise)


def with_the_image_again():
    """A grey image joins functions on the group: of 8 pixels in a row, where D4 has 8 elements."""
    x = inputs = keras.Input((8, 8, 1))
    x = layers.Concatenate()([layers.Multiply()([hidden(x), inputs]), inputs])
    return keras.Model(inputs, layers.Conv2D(2, 1)(x))


def two_outputs():
    x = inputs = image()
    coarse = layers.Conv2D(4, 1, name="coarse")(hidden(x))
    fine = layers.SeparableConv2D(5, 3, padding="same", name="fine")(hidden(hidden(coarse)))
    return keras.Model(inputs, [fine, coarse])


MODELS = {
    "autoencoder": autoencoder,
    "separable": lambda: sequence(layers.SeparableConv2D(12, 3, padding="same")),
    "resampled": resampled,
    "backbone and head": backbone_and_head,
    "shared activation": shared_activation,
    "shared names": shared_names,
    "denoiser": denoiser,
    "two outputs": two_outputs,
    "with the image again": with_the_image_again,
    "classes of pixels": lambda: sequence(layers.Conv2D(5, 1), layers.GlobalAveragePooling2D()),
    "one convolution": lambda: keras.Sequential([image(), layers.Conv2D(5, 3)]),
}


def assert_commutes(model, name):
    """For all elements of a group, in one batch."""
    group = groups.get(name)
    x = np.random.default_rng(0).standard_normal((1, *model.input_shape[1:])).astype("float32")

    def orbit(y):
        if y.ndim == 2:
            return np.repeat(y, group.order, 0)
        return np.concatenate(
            [actions.rotate_grid(y, group, g, axes=(1, 2)) for g in group.elements]
        )

    for found, alone in zip(
        keras.tree.flatten(model(orbit(x))), keras.tree.flatten(model(x)), strict=True
    ):
        expected = orbit(np.array(alone))
        assert np.abs(expected).max() > 1e-3
        np.testing.assert_allclose(found, expected, atol=2e-5)


@pytest.mark.parametrize("group", ["C4", "D4"])
@pytest.mark.parametrize("name", MODELS)
def test_outputs_have_the_channels_of_the_plain_model_and_turn_with_the_image(name, group):
    model = MODELS[name]()
    found = convert(model, group)
    assert found.output_shape == model.output_shape
    assert_commutes(found, group)


@pytest.mark.parametrize("name", ["autoencoder", "separable", "resampled", "shared names"])
def test_converted_models_are_saved_and_loaded(name, tmp_path):
    model = convert(MODELS[name](), "C4")
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    x = np.random.default_rng(0).standard_normal((1, 8, 8, 3)).astype("float32")
    np.testing.assert_allclose(loaded(x), model(x), atol=1e-6)


@pytest.mark.parametrize(
    "head", [layers.Conv2D(5, 1), layers.Conv2DTranspose(5, 2), layers.SeparableConv2D(5, 1)]
)
def test_probabilities_sum_to_one(head):
    head.activation = keras.activations.softmax
    for model in (sequence(head), sequence(head, layers.UpSampling2D())):
        y = np.array(convert(model, "D4")(np.ones((1, 8, 8, 3), "float32")))
        np.testing.assert_allclose(y.sum(-1), np.ones(y.shape[:-1]), rtol=1e-5)


def test_probabilities_of_a_first_convolution_sum_to_one():
    for more in (
        [layers.Conv2D(5, 3, activation="softmax")],
        [layers.Conv2D(5, 3), layers.Softmax()],
    ):
        model = convert(keras.Sequential([image(), *more]), "C4")
        y = np.array(model(np.random.default_rng(0).standard_normal((1, 8, 8, 3))))
        np.testing.assert_allclose(y.sum(-1), np.ones((1, 6, 6)), rtol=1e-5)


def test_the_transposed_convolution_of_a_head_is_the_mean_over_the_group():
    model = convert(autoencoder(), "C4")
    convolution, _, last = model.layers[-3:]
    assert convolution.activation is keras.activations.linear
    on_group = keras.Model(model.inputs, convolution.output)
    x = np.random.default_rng(0).standard_normal((1, 8, 8, 3)).astype("float32")
    mean = np.array(on_group(x)).mean(-2)
    np.testing.assert_allclose(model(x), 1 / (1 + np.exp(-mean)), rtol=1e-5)
    assert convolution.count_params() == autoencoder().layers[-1].count_params()
    assert last.name == model.output_names[0]


def test_only_the_head_makes_images():
    model = convert(shared_names(), "C4")
    inner = next(layer for layer in model.layers if isinstance(layer, keras.Model))
    kinds = [type(layer).__name__ for layer in (*inner.layers, *model.layers)]
    assert kinds.count("ProjectionConv2D") == 1
    assert type(inner.get_layer("out")).__name__ == "GroupConv2D"
    assert inner.get_layer("out").filters == 2


def test_outputs_keep_their_names():
    """Losses may be given by them."""
    assert convert(two_outputs(), "C4").output_names == ["fine", "coarse"]
    up = layers.Conv2DTranspose(3, 4, 2, "same", name="up")
    assert convert(sequence(up), "C4").output_names == ["up"]


def test_features_after_a_normalization_keep_the_channels_of_our_layers():
    x = inputs = image()
    x = layers.BatchNormalization()(layers.Conv2D(8, 3, padding="same")(hidden(x)))
    model = keras.Model(inputs, layers.GlobalAveragePooling2D()(layers.ReLU()(x)))
    found = convert(model, "C4")
    assert found.output_shape == (None, 2)
    assert found.output_names == model.output_names
    assert_commutes(found, "C4")


def test_an_output_that_would_lose_channels_is_refused():
    message = r"stops at DepthwiseConv2D `last`: .*\(None, 6, 6, 8\) would become \(None, 6, 6, 2\)"
    with pytest.raises(ValueError, match=message):
        convert(sequence(layers.DepthwiseConv2D(3, name="last"), layers.ReLU()), "C4")
    plain = sequence(layers.DepthwiseConv2D(3))
    assert convert(plain, "C1").output_shape == plain.output_shape


def test_layers_that_images_and_functions_on_the_group_would_share_are_refused():
    """The last call makes an output, and so the first one makes an image for the second."""
    shared = layers.Conv2D(8, 3, padding="same", name="mine")
    with pytest.raises(ValueError, match="`mine`: it is applied to functions, to images, which"):
        convert(sequence(shared, shared), "C4")
    inner = keras.Sequential([keras.Input((8, 8, 8)), layers.Conv2D(8, 1)], name="inner")
    with pytest.raises(
        ValueError, match="Sequential `inner`: it is applied to functions, to images"
    ):
        convert(sequence(inner, inner), "C4")
