import keras
import numpy as np
import pytest
from keras import layers

from sen_tf import convert, explain, groups, to_plain
from sen_tf.groups import actions


@pytest.fixture(autouse=True)
def seeded():
    """New weights are the same in every run."""
    keras.utils.set_random_seed(0)


def classifier():
    """All kinds of layers that have a counterpart."""
    x = inputs = keras.Input((33, 33, 3))
    x = layers.Rescaling(1 / 3)(x)
    x = layers.Conv2D(32, 3, strides=2, padding="same", activation="relu", name="first")(x)
    y = layers.BatchNormalization(momentum=0.9, name="batch")(
        layers.SeparableConv2D(32, 3, padding="same")(x)
    )
    x = layers.Concatenate()([layers.Add()([x, y]), y])
    x = layers.SpatialDropout2D(0.1)(layers.Dropout(0.2)(x))
    x = layers.MaxPooling2D(3, 2, padding="same")(x)
    x = layers.ZeroPadding2D(1)(layers.DepthwiseConv2D(3, activation="relu")(x))
    x = layers.Conv2DTranspose(16, 4, 2, padding="same")(x)
    x = layers.AveragePooling2D(2)(layers.UpSampling2D(2, interpolation="bilinear")(x))
    x = layers.LayerNormalization(name="norm")(x)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dense(8, activation="relu")(layers.BatchNormalization()(x))
    return keras.Model(inputs, layers.Dense(5, name="last")(layers.Dropout(0.5)(x)), name="mine")


def segmenter():
    x = inputs = keras.Input((16, 16, 3))
    x = layers.Conv2D(16, 3, padding="same", activation="relu")(x)
    return keras.Model(inputs, layers.Softmax()(layers.Conv2D(4, 1, name="head")(x)))


def nested():
    """A model within a model, applied twice."""
    inner = keras.Sequential(
        [keras.Input((9, 9, 16)), layers.Conv2D(16, 3, padding="same"), layers.ReLU()]
    )
    x = inputs = keras.Input((9, 9, 3))
    x = inner(inner(layers.Conv2D(16, 3, padding="same")(x)))
    return keras.Model(inputs, layers.Dense(3)(layers.GlobalMaxPooling2D()(x)))


def stack(*parts):
    return keras.Sequential([keras.Input((9, 9, 3)), layers.Conv2D(8, 3, name="conv"), *parts])


@pytest.mark.parametrize("make", [classifier, segmenter, nested])
@pytest.mark.parametrize("name", ["C4", "D4", "D1"])
def test_models_commute_and_keep_their_shapes(make, name):
    model, group = make(), groups.get(name)
    found = convert(model, name)
    assert (found.input_shape, found.output_shape) == (model.input_shape, model.output_shape)
    assert found.name == model.name and found.count_params() < model.count_params() / 0.8
    x = np.random.default_rng(0).standard_normal((2, *model.input_shape[1:])).astype("float32")
    y = np.array(found(x))
    for g in group.elements:
        expected = actions.rotate_grid(y, group, g, axes=(1, 2)) if y.ndim == 4 else y
        moved = found(actions.rotate_grid(x, group, g, axes=(1, 2)))
        np.testing.assert_allclose(moved, expected, atol=1e-5 * np.abs(y).max())


def test_names_and_arguments_stay():
    found = convert(classifier(), "C4", match="parameters")
    first = found.get_layer("first")
    assert (type(first).__name__, first.filters, first.strides) == ("LiftingConv2D", 16, 2)
    assert first.activation is keras.activations.relu
    assert found.get_layer("batch").momentum == 0.9
    assert type(found.get_layer("norm")).__name__ == "FieldLayerNormalization"
    assert found.get_layer("last").units == 5


def test_shared_layers_stay_shared():
    kinds = [type(layer).__name__ for layer in convert(nested(), "C4").layers]
    assert kinds.count("Functional") + kinds.count("Sequential") == 1


def test_weights_are_new_and_train():
    model = convert(segmenter(), "C4")
    x = np.random.default_rng(0).standard_normal((8, 16, 16, 3)).astype("float32")
    y = (x[..., 0] > 0).astype("int32")
    model.compile(keras.optimizers.Adam(1e-2), "sparse_categorical_crossentropy")
    losses = model.fit(x, y, epochs=20, verbose=0).history["loss"]
    assert losses[-1] < 0.7 * losses[0]


@pytest.mark.parametrize("make", [classifier, segmenter])
def test_the_plain_form_of_a_converted_model(make):
    model = convert(make(), "D4")
    x = np.random.default_rng(0).standard_normal((2, *model.input_shape[1:])).astype("float32")
    np.testing.assert_allclose(to_plain(model)(x), model(x), atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ResNet50", "MobileNetV2"])
def test_applications_of_keras(name):
    """At 65 pixels, as at 225; explain finds no layer that breaks the symmetry."""
    model = getattr(keras.applications, name)(weights=None, input_shape=(65, 65, 3), classes=10)
    found = convert(model, "C4")
    x = np.random.default_rng(0).uniform(-1, 1, (1, 65, 65, 3)).astype("float32")
    report = explain(found, x, "C4")
    assert report.culprit is None, str(report)


@pytest.mark.parametrize(
    "make, message",
    [
        (
            lambda: stack(layers.Flatten(), layers.Dense(2)),
            "stops at Flatten `flatten.*GlobalAveragePooling2D, or GroupFlatten",
        ),
        (lambda: stack(layers.Dense(2)), "stops at Dense `dense.*pixels.*GlobalAveragePooling2D"),
        (
            lambda: stack(layers.ZeroPadding2D(((0, 1), (0, 1)), name="pad")),
            "stops at ZeroPadding2D `pad`: it adds 0 and 1 rows.*padding='same'",
        ),
        (
            lambda: stack(layers.Conv2D(8, 3, 2, "same"), layers.Conv2D(8, 3, 2, name="down")),
            "stops at Conv2D `down`: ProjectionConv2D `down` does not commute.*Use 3 or 5 pixels",
        ),
        (lambda: stack(layers.Conv2D(8, 3, groups=2)), "groups=2. Use 1"),
        (lambda: stack(layers.Conv2D(8, (3, 5), name="wide")), r"`wide`.*square.*\(3, 5\)"),
        (lambda: stack(layers.BatchNormalization(axis=1)), "axis=1. Use the last"),
        (lambda: stack(layers.Concatenate(axis=1)), "Concatenate"),
        (lambda: stack(layers.PReLU(name="mine")), "stops at PReLU `mine`, of which it does not"),
        (lambda: stack(layers.GlobalAveragePooling2D(keepdims=True)), "keepdims=False"),
        (lambda: stack(layers.Permute((2, 1, 3))), "stops at Permute"),
        (
            lambda: keras.Sequential([keras.Input((9, 9, 3)), layers.DepthwiseConv2D(3)]),
            "first convolution. Let a Conv2D",
        ),
    ],
)
def test_where_it_must_stop_is_said(make, message):
    with pytest.raises(ValueError, match=message):
        convert(make(), "C4")


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="`model` to be a functional.*received a str"):
        convert("resnet", "C4")
    with pytest.raises(ValueError, match="`model`.*received a Sequential"):
        convert(keras.Sequential([layers.Conv2D(8, 3)]), "C4")
    with pytest.raises(ValueError, match="`match`.*'compute'.*'speed'"):
        convert(segmenter(), "C4", match="speed")


def test_a_single_convolution_keeps_its_filters():
    model = keras.Sequential([keras.Input((9, 9, 3)), layers.Conv2D(4, 3), layers.ReLU()])
    found = convert(model, "C4")
    assert found.output_shape == model.output_shape == (None, 7, 7, 4)
    x = np.random.default_rng(0).standard_normal((2, 9, 9, 3)).astype("float32")
    turned = actions.rotate_grid(x, "C4", 1, axes=(1, 2))
    expected = actions.rotate_grid(np.array(found(x)), "C4", 1, axes=(1, 2))
    np.testing.assert_allclose(found(turned), expected, atol=1e-5)


def test_sequences_made_of_invariants_are_no_functions_on_the_group():
    """An axis of any length after global pooling is not the group's."""
    model = stack(
        layers.GlobalAveragePooling2D(),
        layers.Dense(12),
        layers.Reshape((4, 3)),
        layers.LSTM(5, return_sequences=True),
    )
    found = convert(model, "C4")
    assert found.output_shape == model.output_shape == (None, 4, 5)


def test_features_have_the_channels_of_our_layers():
    model = stack(layers.BatchNormalization())
    assert (model.output_shape, convert(model, "C4").output_shape) == (
        (None, 7, 7, 8),
        (None, 7, 7, 2),
    )
