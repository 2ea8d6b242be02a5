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
            "its input is an image.*Let a Conv2D",
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


def of_image_and_vector(structure):
    """A model of an image and two numbers, which are given in a structure."""
    image = keras.Input((8, 8, 3), batch_size=2, dtype="uint8", name="image")
    meta = keras.Input((2,), batch_size=2, name="meta")
    x = layers.Conv2D(8, 3, padding="same")(layers.Rescaling(1 / 255)(image))
    mask = layers.Conv2D(2, 1, name="mask")(x)
    x = layers.Concatenate()([layers.GlobalAveragePooling2D()(x), meta])
    return keras.Model(structure(image, meta), {"mask": mask, "score": layers.Dense(1)(x)})


STRUCTURES = {
    "dict": lambda image, meta: {"image": image, "meta": meta},
    "list": lambda image, meta: [meta, image],
    "nested": lambda image, meta: {"a": [image], "b": {"meta": meta}},
}


@pytest.mark.parametrize("name", STRUCTURES)
def test_inputs_and_outputs_keep_names_dtypes_and_structure(name):
    structure = STRUCTURES[name]
    plain = of_image_and_vector(structure)
    found = convert(plain, "C4")
    inputs = structure(np.ones((2, 8, 8, 3), "uint8"), np.ones((2, 2), "float32"))
    outputs = found(inputs)
    assert {key: tuple(y.shape) for key, y in outputs.items()} == {
        "mask": (2, 8, 8, 2),
        "score": (2, 1),
    }
    assert found.output_names == plain.output_names
    for x, expected in zip(found.inputs, plain.inputs, strict=True):
        assert (x.name, x.dtype, x.shape) == (expected.name, expected.dtype, expected.shape)


def test_named_inputs_are_fitted_by_their_names_after_saving(tmp_path):
    model = convert(of_image_and_vector(STRUCTURES["list"]), "C4")
    model.save(tmp_path / "model.keras")
    model = keras.models.load_model(tmp_path / "model.keras")
    model.compile("sgd", {"mask": "mse", "score": "mse"})
    inputs = {"image": np.ones((2, 8, 8, 3)), "meta": np.ones((2, 2))}
    history = model.fit(
        inputs, {"mask": np.ones((2, 8, 8, 2)), "score": np.ones((2, 1))}, verbose=0
    )
    assert np.isfinite(history.history["loss"]).all()


def test_nested_models_keep_their_structure():
    inner = of_image_and_vector(STRUCTURES["dict"])
    image, meta = keras.Input((8, 8, 3), batch_size=2), keras.Input((2,), batch_size=2)
    found = inner({"image": image, "meta": meta})
    plain = keras.Model([image, meta], [found["score"], found["mask"]])
    assert convert(plain, "C4").output_shape == [(2, 1), (2, 8, 8, 2)]


def graph(*shapes):
    """A decorator: a function of tensors becomes one without arguments that makes a model."""

    def decorate(function):
        def make():
            inputs = [keras.Input(shape) for shape in shapes]
            return keras.Model(inputs, function(*inputs))

        return make

    return decorate


def convolved(x, filters=8):
    return layers.Conv2D(filters, 3, padding="same")(x)


@graph((8, 8, 3), (16,))
def gated(x, numbers):
    return convolved(layers.Multiply()([convolved(x, 16), layers.Reshape((1, 1, 16))(numbers)]))


@graph((8, 8, 3))
def added_to_an_image(x):
    return convolved(layers.Add()([convolved(x, 3), x]))


@graph((8, 8, 3), (8, 8))
def added_to_a_sequence(x, sequence):
    return convolved(layers.Add()([convolved(x, 8), sequence]))


@graph((8, 8, 3))
def plus_numbers_of_channels(x):
    return convolved(convolved(x) + np.ones(8, "float32"))


@graph((8, 8, 3))
def plus_numbers_of_pixels(x):
    return convolved(x + np.ones((8, 8, 1), "float32"))


@graph((8, 8, 3), (8, 8, 8))
def masked(x, mask):
    return convolved(layers.Softmax()(convolved(x), mask=mask))


@graph((8, 8, 3))
def through_a_bottleneck(x):
    x = layers.Dense(64)(layers.GlobalAveragePooling2D()(convolved(x)))
    return convolved(layers.Reshape((8, 8, 1), name="mine")(x))


@graph((8, 8, 3))
def averaged_by_an_operation(x):
    return keras.ops.average(convolved(x), axis=1)


class OfCode(keras.Model):
    """A model whose layers are not known."""

    def call(self, x):
        return x


@graph((8, 8, 3))
def through_code(x):
    return convolved(OfCode(name="mine")(convolved(x)))


@pytest.mark.parametrize(
    "make, message",
    [
        (gated, r"Multiply.*counterparts \[4, 16\], which would be broadcast"),
        (added_to_an_image, r"Add.*counterparts \[1, 3\], which would be broadcast"),
        (added_to_a_sequence, "Add.*images and sequences"),
        (plus_numbers_of_channels, r"Add.*numbers of shape \(8,\). Use one"),
        (plus_numbers_of_pixels, r"Add.*numbers of shape \(8, 8, 1\). Use one"),
        (masked, "Softmax.*called with mask. Leave that out"),
        (through_a_bottleneck, r"`mine`: it makes an image of shape \(None, 8, 8, 1\) of numbers"),
        (averaged_by_an_operation, "stops at Average.*of which it does not know"),
        (through_code, "stops at OfCode `mine`: it is a model whose layers are not known"),
    ],
)
def test_what_would_break_the_symmetry_in_silence_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        convert(make(), "C4")


def test_inputs_of_five_axes_are_refused():
    x = keras.Input((4, 8, 8, 3), name="video")
    with pytest.raises(ValueError, match="inputs of `model` to be images.*'video' of shape"):
        convert(keras.Model(x, layers.ReLU()(x)), "C4")


def test_numbers_of_channels_may_multiply_an_image():
    x = inputs = keras.Input((8, 8, 3))
    x = layers.Rescaling([1.0, 2.0, 3.0])(x) * np.array([1.0, 1 / 2, 1 / 3], "float32")
    found = convert(keras.Model(inputs, [x, convolved(x)]), "C4")
    image = np.random.default_rng(0).standard_normal((1, 8, 8, 3)).astype("float32")
    np.testing.assert_allclose(found(image)[0], image, rtol=1e-6)


def test_what_was_adapted_stays_so():
    image, numbers = keras.Input((9, 9, 3)), keras.Input((2,))
    normalization = layers.Normalization(name="normalization")
    features = layers.GlobalAveragePooling2D()(layers.Conv2D(8, 3)(image))
    x = layers.Concatenate()([features, normalization(numbers)])
    model = keras.Model([image, numbers], layers.Dense(1)(x))
    normalization.adapt(np.random.default_rng(0).normal(1000, 100, (99, 2)))
    found = convert(model, "C4").get_layer("normalization")
    x = np.full((1, 2), 900.0)
    np.testing.assert_allclose(found(x), normalization(x))
    assert np.abs(found(x)).max() < 3


def test_features_keep_the_name_of_their_layer(tmp_path):
    image = keras.Input((9, 9, 3))
    features = layers.ReLU(name="features")(layers.BatchNormalization()(layers.Conv2D(8, 3)(image)))
    label = layers.Dense(2, name="label")(layers.GlobalAveragePooling2D()(features))
    converted = convert(keras.Model(image, [features, features, label]), "C4")
    assert converted.output_names[0] == "features" and converted.output_names[2] == "label"
    converted.save(tmp_path / "model.keras")
    x = np.random.default_rng(0).normal(size=(2, 9, 9, 3))
    loaded = keras.models.load_model(tmp_path / "model.keras")
    for ours, theirs in zip(loaded(x), converted(x), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (
            layers.LayerNormalization(name="norm"),
            "at LayerNormalization `norm`: .*several channels",
        ),
        (
            layers.Conv2D(2, 1, activation="softmax", name="s"),
            "at Conv2D `s`: one channel is left",
        ),
        (layers.Softmax(name="s"), "at Softmax `s`: one channel is left"),
        (layers.Activation("softmax", name="s"), "at Activation `s`: one channel is left"),
        (
            layers.Conv2D(8, 3, kernel_constraint=keras.constraints.UnitNorm([0, 1, 2]), name="u"),
            "at Conv2D `u`: its constraint is over the axes .0, 1, 2. of the kernel",
        ),
    ],
)
def test_what_one_channel_or_another_axis_would_ruin_is_refused(layer, message):
    first = layers.Conv2D(8, 3)
    rest = [layers.Conv2D(4, 1), layers.GlobalAveragePooling2D(), layers.Dense(2)]
    model = keras.Sequential([keras.Input((9, 9, 3)), first, layer, *rest])
    with pytest.raises(ValueError, match=message):
        convert(model, "D4")
