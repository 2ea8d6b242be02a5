"""Every model of the paper, rebuilt in float32 and written out in layers of Keras."""

import json

import keras
import numpy as np
import pytest

from sen_tf import layers
from sen_tf.experiments import networks
from sen_tf.export.precision import in_float32
from sen_tf.layers.plain import plain
from sen_tf.testing import randomize_weights

MODELS = [
    *(("cubes", "sen"), ("cubes", "nonequivariant"), ("rush_hour", "fully_equivariant")),
    *(("reacher", "sen"), ("teapot", "sen"), ("teapot", "tfn")),
]
# The same pieces in other orders.
MORE_MODELS = [
    *(("cubes", "fully_equivariant"), ("shapes", "sen"), ("shapes", "nonequivariant")),
    *(("rush_hour", "sen"), ("rush_hour", "nonequivariant"), ("reacher", "nonequivariant")),
    *(("reacher", "fully_equivariant"), ("teapot", "nonequivariant")),
]


def policies(model):
    layers = model._flatten_layers(include_self=False)
    return {layer.dtype_policy.name for layer in layers} | {model.dtype_policy.name}


@pytest.mark.parametrize(
    "env, arm", [*MODELS, *(pytest.param(*row, marks=pytest.mark.slow) for row in MORE_MODELS)]
)
def test_every_model_has_a_plain_form(env, arm):
    rng = np.random.default_rng(0)
    world = networks.make_model(env, arm, hidden=8, filters=8, dtype="mixed_bfloat16")
    randomize_weights(world)
    for part in (world.embedding, world.encoder, world.transition):
        precise = in_float32(part)
        assert policies(precise) == {"float32"}
        for before, after in zip(part.get_weights(), precise.get_weights(), strict=True):
            np.testing.assert_array_equal(before, after)
        written = plain(precise)
        assert "sen_tf" not in json.dumps(keras.saving.serialize_keras_object(written))
        inputs = [
            rng.integers(0, 20, (3, *x.shape[1:])).astype(x.dtype)
            if "int" in x.dtype
            else rng.standard_normal((3, *x.shape[1:])).astype(x.dtype)
            for x in precise.inputs
        ]
        inputs = inputs if len(inputs) > 1 else inputs[0]
        expected, found = np.asarray(precise(inputs)), np.asarray(written(inputs))
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_plain_form_of_a_model_that_was_loaded(tmp_path):
    """Its layers have the names that new ones would take."""
    model = keras.Sequential([keras.Input((3,)), keras.layers.Reshape((1, 3), name="reshape")])
    model.add(networks.encoders.group_dense("C1")(2, name="dense"))
    model.save(tmp_path / "model.keras")
    keras.backend.clear_session()  # names are counted from the start again
    loaded = keras.models.load_model(tmp_path / "model.keras")
    x = np.ones((2, 3), np.float32)
    np.testing.assert_allclose(plain(loaded)(x), loaded(x), rtol=1e-5)


class Doubling(keras.layers.Layer):
    """A layer of a user's own, without weights."""

    def call(self, inputs):
        return 2 * inputs


class Scaling(Doubling):
    """One with weights, and without a plain form."""

    def build(self, input_shape):
        self.scale = self.add_weight(name="scale", shape=(input_shape[-1],), initializer="ones")

    def call(self, inputs):
        return inputs * self.scale


def test_layers_of_users_without_weights_are_recorded_and_others_refused():
    x = np.ones((2, 3), np.float32)
    doubled = plain(keras.Sequential([keras.Input((3,)), Doubling()]))
    np.testing.assert_array_equal(doubled(x), 2 * x)
    with pytest.raises(ValueError, match="method `plain`.*received Scaling `scaling"):
        plain(keras.Sequential([keras.Input((3,)), Scaling()]))


def test_features_of_unknown_size_are_refused():
    from sen_tf.layers import LiftingConv2D

    model = keras.Sequential([keras.Input((None, None, 3)), LiftingConv2D("C4", 2, 1)])
    with pytest.raises(ValueError, match="known sizes"):
        plain(model)


def shares(x):
    """A softmax over channels, also of more axes than TensorFlow's takes."""
    return keras.ops.exp(x) / keras.ops.sum(keras.ops.exp(x), axis=-1, keepdims=True)


@pytest.mark.parametrize(
    ("shape", "layer"),
    [
        ((4, 3), layers.GroupDense("C4", 8, activation=shares)),
        ((7, 7, 3), layers.LiftingConv2D("C4", 4, 3, activation=shares)),
        ((7, 7, 4, 3), layers.GroupConv2D("C4", 4, 3, activation=shares)),
        ((7, 7, 4, 3), layers.ProjectionConv2D("C4", 4, 3, activation=shares)),
        ((5, 5, 4, 3), layers.GroupConvTranspose2D("C4", 4, 3, activation=shares)),
        ((7, 7, 4, 3), layers.DepthwiseGroupConv2D("C4", 3, activation=shares)),
        ((3, 3, 3, 2), layers.LiftingConv3D("C4", 4, 3, activation=shares)),
        ((3, 3, 3, 6, 2), layers.GroupConv3D("C4", 4, 3, activation=shares)),
        ((7, 7, 4, 3), layers.RelaxedGroupConv2D("C4", 4, 3, activation=shares)),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_an_activation_over_channels_stays_one(shape, layer):
    model = keras.Sequential([keras.Input(shape), layer])
    x = np.random.default_rng(0).normal(size=(2, *shape)).astype("float32")
    np.testing.assert_allclose(np.sum(model(x), axis=-1), 1, rtol=1e-5)
    np.testing.assert_allclose(plain(model)(x), model(x), rtol=1e-4, atol=1e-6)


def test_layers_in_wrappers_are_written_out_or_refused():
    lifting = layers.LiftingConv2D("C4", 2, 3)
    video = keras.layers.TimeDistributed(lifting)
    model = keras.Sequential([keras.Input((5, 9, 9, 3)), video])
    written = plain(model)
    assert "sen_tf" not in json.dumps(keras.saving.serialize_keras_object(written))
    x = np.random.default_rng(0).normal(size=(2, 5, 9, 9, 3)).astype("float32")
    np.testing.assert_allclose(written(x), model(x), rtol=1e-4, atol=1e-5)
    normed = keras.layers.SpectralNormalization(layers.GroupDense("C4", 2))
    with pytest.raises(ValueError, match="layers of Keras alone in a SpectralNormalization"):
        plain(keras.Sequential([keras.Input((4, 3)), normed]))


def test_dicts_and_lists_stay_what_they_are():
    images, numbers = keras.Input((4, 3), name="images"), keras.Input((2,), name="numbers")
    y = layers.GroupDense("C4", 2)(images)
    outputs = {"a": y, "b": [2 * y, numbers]}
    model = keras.Model({"images": images, "numbers": numbers}, outputs)
    x = {"images": np.ones((1, 4, 3), "float32"), "numbers": np.ones((1, 2), "float32")}
    found, expected = plain(model)(x), model(x)
    keras.tree.assert_same_structure(found, expected)
    keras.tree.map_structure(np.testing.assert_allclose, found, expected)
    single = keras.Model(images, {"a": y})
    assert list(plain(single)(x["images"])) == ["a"]


@pytest.mark.parametrize("written", [plain, in_float32])
@pytest.mark.parametrize("invert", [False, True])
def test_an_adapted_normalization_stays_adapted(written, invert):
    normalization = keras.layers.Normalization(invert=invert)
    inner = keras.Sequential([keras.Input((3,)), normalization])
    model = keras.Sequential([keras.Input((3,)), inner, keras.layers.Dense(2)])
    x = np.random.default_rng(0).normal(5, 3, (100, 3)).astype("float32")
    normalization.adapt(x)
    np.testing.assert_allclose(written(model)(x), model(x), rtol=1e-5, atol=1e-5)
