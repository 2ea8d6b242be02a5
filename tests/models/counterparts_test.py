import keras
import numpy as np
import pytest
from keras import layers

from sen_tf import convert


@pytest.fixture(autouse=True)
def seeded():
    """New weights are the same in every run."""
    keras.utils.set_random_seed(0)


def of(layer, *after):
    """The converted layer after a convolution of 8 filters, and its model."""
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(8, 3, padding="same"),
            layer,
            *after,
            layers.Conv2D(2, 1),
        ]
    )
    found = convert(model, "C4")
    return found.get_layer(layer.name), found


def values(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype("float32")


def arguments(name):
    """An initializer, a regularizer and a constraint of a weight, none of them the default."""
    return {
        f"{name}_initializer": keras.initializers.Constant(len(name)),
        f"{name}_regularizer": keras.regularizers.L2(len(name)),
        f"{name}_constraint": keras.constraints.MaxNorm(len(name)),
    }


def assert_arguments(layer, name, other):
    assert getattr(layer, f"{name}_initializer").value == len(other)
    assert getattr(layer, f"{name}_regularizer").l2 == len(other)
    assert getattr(layer, f"{name}_constraint").max_value == len(other)


def test_a_separable_convolution_keeps_all_its_arguments():
    layer = layers.SeparableConv2D(
        8,
        3,
        padding="same",
        depth_multiplier=2,
        activation="relu",
        activity_regularizer="l1",
        dtype="mixed_bfloat16",
        **arguments("depthwise"),
        **arguments("pointwise"),
        **arguments("bias"),
    )
    layer.trainable = False
    pointwise, model = of(layer)
    depthwise = model.get_layer(f"{layer.name}_depthwise")
    assert_arguments(depthwise, "kernel", "depthwise")
    assert_arguments(pointwise, "kernel", "pointwise")
    assert_arguments(pointwise, "bias", "bias")
    assert (depthwise.depth_multiplier, depthwise.use_bias, depthwise.padding) == (2, False, "same")
    assert pointwise.activation is keras.activations.relu
    assert depthwise.activity_regularizer is None
    assert isinstance(pointwise.activity_regularizer, keras.regularizers.L1)
    assert depthwise.dtype_policy.name == pointwise.dtype_policy.name == "mixed_bfloat16"
    assert not depthwise.trainable and not pointwise.trainable


@pytest.mark.parametrize("kind", ["Conv2D", "Conv2DTranspose", "DepthwiseConv2D"])
def test_a_convolution_keeps_all_its_arguments(kind):
    kernel = "depthwise" if kind == "DepthwiseConv2D" else "kernel"
    filters = {} if kind == "DepthwiseConv2D" else {"filters": 8}
    layer = getattr(layers, kind)(
        kernel_size=3,
        padding="same",
        activation="tanh",
        activity_regularizer="l1",
        dtype="float64",
        trainable=False,
        **filters,
        **arguments(kernel),
        **arguments("bias"),
    )
    found, _ = of(layer)
    assert_arguments(found, "kernel", kernel)
    assert_arguments(found, "bias", "bias")
    assert (found.padding, found.dtype, found.trainable) == ("same", "float64", False)
    assert found.activation is keras.activations.tanh
    assert isinstance(found.activity_regularizer, keras.regularizers.L1)


def test_the_activity_regularizer_of_a_head_is_of_its_images():
    layer = layers.Conv2DTranspose(
        1, 2, 2, kernel_initializer="zeros", bias_initializer="ones", activity_regularizer="l1"
    )
    found = convert(keras.Sequential([keras.Input((2, 2, 3)), layers.Conv2D(4, 1), layer]), "C4")
    found(np.ones((3, 2, 2, 3)))
    assert sum(map(float, found.losses)) == pytest.approx(0.01 * 4 * 4)


def test_separable_convolutions_share_weights_where_they_are_one():
    shared = layers.SeparableConv2D(8, 3, padding="same")
    _, model = of(shared, layers.SeparableConv2D(8, 3, padding="same"), shared)
    depthwise = [x for x in model.layers if type(x).__name__ == "DepthwiseGroupConv2D"]
    assert len(depthwise) == 2
    assert depthwise[0].kernel is not depthwise[1].kernel


def test_transposed_convolutions_take_two_equal_paddings_of_the_output():
    layer = layers.Conv2DTranspose(8, 3, 2, "same", output_padding=(0, 0))
    found, model = of(layer)
    assert found.output_padding == 0
    assert model.output_shape == (None, 15, 15, 2)


def test_dropout_keeps_its_seed():
    assert of(layers.Dropout(0.5, seed=7))[0].seed == 7
    assert of(layers.SpatialDropout2D(0.5, seed=8))[0].seed == 8


def test_dropout_of_invariants_keeps_its_seed_and_the_shape_of_its_noise():
    dropout = layers.Dropout(0.5, noise_shape=(None, 1), seed=9, name="drop")
    parts = [layers.Conv2D(8, 1), layers.GlobalAveragePooling2D(), layers.Dense(4), dropout]
    found = convert(keras.Sequential([keras.Input((8, 8, 3)), *parts]), "C4").get_layer("drop")
    assert (found.seed, tuple(found.noise_shape)) == (9, (None, 1))


def test_noise_of_a_shape_is_the_same_at_all_elements():
    found, _ = of(layers.Dropout(0.5, noise_shape=(None, 1, 1, 8), seed=0))
    x = np.array(found(np.ones((5, 3, 3, 4, 2)), training=True))
    np.testing.assert_array_equal(x, np.broadcast_to(x[:, :1, :1, :1], x.shape))
    assert set(x.ravel()) == {0, 2}
    assert len({tuple(sample[0, 0, 0]) for sample in x}) > 1


def test_dropout_that_is_called_as_in_training_stays_so():
    x = image = keras.Input((8, 8, 3))
    x = layers.Dropout(0.5)(layers.Conv2D(8, 1)(x), training=True)
    model = convert(keras.Model(image, layers.Conv2D(2, 1)(x)), "C4")
    x = values(1, 8, 8, 3)
    assert np.abs(np.array(model(x)) - np.array(model(x))).max() > 0


@pytest.mark.parametrize(
    "axis, axes", [(3, -1), (-1, -1), ((1, 2), (1, 2)), ((-3, 2, 3), (1, 2, 4))]
)
def test_softmax_runs_over_the_axes_that_it_ran_over(axis, axes):
    found, _ = of(layers.Softmax(axis=axis))
    sums = np.array(found(values(2, 3, 3, 4, 2))).sum(axes)
    np.testing.assert_allclose(sums, np.ones_like(sums), rtol=1e-5)


def test_softmax_as_an_operation_runs_over_the_channels():
    x = image = keras.Input((8, 8, 3))
    x = keras.ops.softmax(layers.Conv2D(8, 1)(x), axis=3)
    model = convert(keras.Model(image, layers.Conv2D(2, 1)(x)), "C4")
    probabilities = keras.Model(model.inputs, model.layers[-1].input)
    sums = np.array(probabilities(values(1, 8, 8, 3))).sum(-1)
    np.testing.assert_allclose(sums, np.ones((1, 8, 8, 4)), rtol=1e-5)


def tokens(layer):
    """Two vectors of 3 numbers, which a layer joins."""
    image = keras.Input((8, 8, 3))
    x = layers.Dense(3)(layers.GlobalAveragePooling2D()(layers.Conv2D(8, 3)(image)))
    return keras.Model(image, layer([layers.Reshape((1, 3))(x), layers.Reshape((1, 3))(2 * x)]))


@pytest.mark.parametrize("axis, shape", [(1, (None, 2, 3)), (2, (None, 1, 6)), (-1, (None, 1, 6))])
def test_tokens_are_joined_along_their_axis(axis, shape):
    found = convert(tokens(layers.Concatenate(axis=axis)), "C4")
    assert found.output_shape == shape
    y = np.array(found(values(2, 8, 8, 3))).reshape(2, 2, 3)
    np.testing.assert_allclose(y[:, 1], 2 * y[:, 0], rtol=1e-5)


def test_invariants_keep_their_layers_and_all_their_arguments():
    x = image = keras.Input((8, 8, 3))
    x = layers.Dense(6)(layers.GlobalAveragePooling2D()(layers.Conv2D(8, 3)(x)))
    x = layers.BatchNormalization(axis=1, moving_mean_initializer="ones", name="batch")(x)
    x = layers.LayerNormalization(axis=1, rms_scaling=False, name="layer")(x)
    x = layers.Softmax(axis=1, name="softmax")(layers.Reshape((2, 3))(x))
    found = convert(keras.Model(image, layers.Flatten()(x)), "C4")
    assert found.output_shape == (None, 6)
    assert found.get_layer("batch").axis == 1
    np.testing.assert_array_equal(found.get_layer("batch").moving_mean, np.ones(6))
    sums = np.array(found(values(2, 8, 8, 3))).reshape(2, 2, 3).sum(1)
    np.testing.assert_allclose(sums, np.ones((2, 3)), rtol=1e-5)


def test_a_dropout_of_features_and_vectors_becomes_one_of_each():
    x, dropout = (image := keras.Input((8, 8, 3))), layers.Dropout(0.5, name="drop")
    x = layers.GlobalAveragePooling2D()(dropout(layers.Conv2D(8, 3)(x)))
    found = convert(keras.Model(image, layers.Dense(2)(dropout(x))), "C4")
    assert type(found.get_layer("drop")).__name__ == "FieldDropout"
    assert type(found.get_layer("drop_of_invariants")).__name__ == "Dropout"


def test_normalizations_keep_their_arguments():
    layer = layers.BatchNormalization(
        momentum=0.5, epsilon=0.25, center=False, dtype="float64", **arguments("gamma")
    )
    layer.trainable = False
    found, _ = of(layer)
    assert (found.momentum, found.epsilon, found.center) == (0.5, 0.25, False)
    assert (found.trainable, found.dtype) == (False, "float64")
    assert_arguments(found, "gamma", "gamma")


@pytest.mark.parametrize(
    "layer",
    [
        lambda **more: layers.Conv2D(8, 1, **more),
        lambda **more: layers.SeparableConv2D(8, 1, **more),
        lambda **more: layers.MaxPooling2D(1, **more),
        lambda **more: layers.UpSampling2D(**more),
        lambda **more: layers.ZeroPadding2D(**more),
        lambda **more: layers.SpatialDropout2D(0.5, **more),
        lambda **more: layers.GlobalAveragePooling2D(**more),
    ],
)
def test_channels_first_is_refused(layer):
    image = keras.Input((8, 8, 3))
    x = layer(data_format="channels_first", name="mine")(layers.Conv2D(8, 1)(image))
    with pytest.raises(ValueError, match="`mine`: it has data_format='channels_first'. Use"):
        convert(keras.Model(image, x), "C4")


@pytest.mark.parametrize(
    "layer, message",
    [
        (layers.Conv2DTranspose(8, 4, 3, output_padding=(0, 1)), r"output_padding=\(0, 1\)"),
        (layers.Dropout(0.5, noise_shape=(None, 1, None, None)), "rows and columns be alike"),
        (layers.Softmax(axis=2), "axis=2. Use -1"),
        (layers.Softmax(axis=-3), "axis=-3. Use -1"),
        (layers.BatchNormalization(renorm=True), "renorm=True. Use False"),
        (
            layers.BatchNormalization(moving_mean_initializer="ones"),
            "mean_initializer=Ones. Use Ze",
        ),
        (layers.LayerNormalization(rms_scaling=True), "rms_scaling=True. Use False"),
        (layers.LayerNormalization(axis=(1, 2, 3)), "axis=.*Use the last"),
        (layers.ZeroPadding2D((1, 2)), "adds 1 rows and 2 columns.*as many of both"),
        (layers.Rescaling([1.0] * 8), r"scale of shape \(8,\). Use one number"),
        (layers.Rescaling(1, np.ones((8, 8, 1))), r"offset of shape \(8, 8, 1\). Use one number"),
    ],
)
def test_arguments_that_do_not_commute_are_refused(layer, message):
    with pytest.raises(ValueError, match=f"stops at .* `{layer.name}`: it .*{message}"):
        of(layer)
