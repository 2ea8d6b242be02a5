"""The checks find what they are there to find."""

import keras
import numpy as np
import pytest
from keras import ops

from sen_tf import groups, layers, testing
from sen_tf.groups import actions


@pytest.mark.parametrize("group", ["C1", "C5", "D4", groups.cyclic(3)])
def test_groups_are_groups(group):
    testing.assert_is_group(group)


@pytest.mark.parametrize(
    "table, message",
    [
        ([[0, 1]], "square table"),
        ([[0, 2], [2, 0]], "integers from 0 to 1"),
        ([[0, 0], [1, 1]], "identity 0 changes element 1 from the left"),
        ([[0, 1], [0, 1]], "identity 0 changes element 1 from the right"),
        ([[0, 1], [1, 1]], "element 1 has no inverse"),
        ([[0, 1, 2], [1, 0, 0], [2, 0, 0]], r"g, h, k = 1, 1, 2"),
    ],
)
def test_others_are_not(table, message):
    with pytest.raises(AssertionError, match=message):
        testing.assert_is_group(table)


def test_the_worst_element_and_its_error_are_reported():
    def function(x):  # commutes with the half turn of C4 alone
        return x * np.array([1, 2, 1, 2])[:, None]

    act = actions.act_on_regular
    x = np.ones((2, 4, 1), np.float32)
    with pytest.raises(AssertionError, match=r"under C4: worst is element 1 .* error 0.63"):
        testing.assert_equivariant(function, x, "C4", act, act)
    assert testing.assert_equivariant(function, x, "C4", act, act, rtol=0.7) > 0.6


def test_each_input_has_its_action():
    def function(x, angle):
        return np.roll(x, int(angle[0]), axis=1)

    act = [actions.act_on_regular, lambda x, group, g: x]
    inputs = [np.arange(8.0).reshape(2, 4, 1), np.array([3, 3])]
    assert testing.assert_equivariant(function, inputs, "C4", act, act[0]) == 0


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_outputs_that_prove_nothing_fail(value):
    act = actions.act_on_regular
    with pytest.raises(AssertionError, match="nan"):
        testing.assert_equivariant(lambda x: x * value, (2, 4, 1), "C4", act, act)


def test_another_shape_of_output_fails():
    def act(x, group, g):
        return actions.rotate_grid(x, group, g, axes=(1, 2))

    with pytest.raises(AssertionError, match=r"\(2, 5, 3\).*\(2, 3, 5\)"):
        testing.assert_equivariant(lambda x: x[:, :3, :5], (2, 5, 6), "C4", act, act)


class Scale(keras.layers.Layer):
    """`x * factor`, right in every respect; each subclass has one fault."""

    def __init__(self, factor=2.0, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, inputs):
        return keras.ops.cast(inputs, self.compute_dtype) * self.factor

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}


class Forgets(Scale):
    def get_config(self):
        return keras.layers.Layer.get_config(self)


class Adds(Scale):
    def get_config(self):
        return {**super().get_config(), "other": 1}

    @classmethod
    def from_config(cls, config):
        return cls(**{key: config[key] for key in config if key != "other"})


class TakesMore(Scale):
    def __init__(self, more=1, **kwargs):
        super().__init__(**kwargs)


class MakesAnother(Scale):
    @classmethod
    def from_config(cls, config):
        return cls(**{**config, "factor": 3.0})


class KeepsOutOfTheConfig(Scale):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.noise = np.random.default_rng().normal()

    def call(self, inputs):
        return super().call(inputs) * self.noise


class LosesAWeight(Scale):
    """Whose weight has no effect on the outputs."""

    def build(self, input_shape):
        self.weight = self.add_weight(name="weight", shape=(), initializer="ones")

    def load_own_variables(self, store):
        pass


class MisstatesItsShape(Scale):
    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], 7)


class MisstatesItsShapeToKeras(Scale):
    def compute_output_spec(self, inputs):
        return keras.KerasTensor((*inputs.shape[:-1], 7), dtype=self.compute_dtype)


class MakesASample(Scale):
    def call(self, inputs):
        outputs = super().call(inputs)
        return ops.zeros((1, *inputs.shape[1:])) if inputs.shape[0] == 0 else outputs


class StaysInFloat32(Scale):
    def call(self, inputs):
        return ops.cast(super().call(inputs), "float32")


class CannotBeCompiled(Scale):
    def call(self, inputs):
        return ops.convert_to_tensor(np.asarray(inputs)) * self.factor


class DiffersWhenCompiled(Scale):
    def call(self, inputs):
        import tensorflow as tf

        return inputs * (2.0 if tf.executing_eagerly() else 3.0)


class OverflowsInFloat16(Scale):
    def call(self, inputs):
        return inputs * 1e5 * 1e-5


class BreaksTheSymmetry(Scale):
    def call(self, inputs):
        return inputs * ops.cast(np.array([[1.0], [2.0], [1.0], [2.0]]), inputs.dtype)


FAULTS = [
    (Forgets, "config", r"get_config lacks \['factor'\]"),
    (Adds, "config", r"not arguments: \['other'\]"),
    (TakesMore, "config", r"lacks \['more'\]"),
    (MakesAnother, "config", "from_config gives a layer of config"),
    (KeepsOutOfTheConfig, "config", "made by from_config: numbers differ"),
    (KeepsOutOfTheConfig, "saving", "model saved and loaded: numbers differ"),
    (LosesAWeight, "saving", "model saved and loaded, weight .*weight: numbers differ"),
    (MisstatesItsShape, "shapes", r"gives \(3, 4, 7\), the output has shape \(3, 4, 2\)"),
    (MisstatesItsShapeToKeras, "shapes", r"symbolic call gives shape \(None, 4, 7\)"),
    (
        MakesASample,
        "shapes",
        r"of no sample the output has shape \(1, 4, 2\), expected \(0, 4, 2\)",
    ),
    (CannotBeCompiled, "compilation", None),
    (DiffersWhenCompiled, "compilation", "compiled layer: outputs have relative error 0.5"),
    (StaysInFloat32, "mixed_precision", "have dtype float32, expected bfloat16"),
    (OverflowsInFloat16, "mixed_precision", "layer under mixed_float16: outputs have relative"),
    (BreaksTheSymmetry, "equivariance", "worst is element 1"),
]


def test_a_right_layer_passes():
    act = actions.act_on_regular
    with keras.saving.custom_object_scope({"Scale": Scale}):
        testing.assert_layer_contract(Scale, (3, 4, 2), "C4", act, act)


@pytest.mark.parametrize("layer, check, message", FAULTS)
def test_a_fault_is_found(layer, check, message):
    act = actions.act_on_regular
    case = testing.LayerCase(layer, (3, 4, 2), "C4", act, act)
    with keras.saving.custom_object_scope({layer.__name__: layer}):
        error = AssertionError if message else Exception
        with pytest.raises(error, match=message):
            testing.LAYER_CHECKS[check](case)


def test_the_global_policy_is_given_back():
    before = keras.config.dtype_policy().name
    with pytest.raises(AssertionError):
        act = actions.act_on_regular
        case = testing.LayerCase(StaysInFloat32, (3, 4, 2), "C4", act, act)
        testing.LAYER_CHECKS["mixed_precision"](case)
    assert keras.config.dtype_policy().name == before


def slopes_at_every_pixel():
    """A network that is equivariant when new: PReLU has a slope a place, all of them zero."""
    return keras.Sequential(
        [
            keras.Input((9, 9, 3)),
            layers.LiftingConv2D("C4", 4, 3, padding="same"),
            keras.layers.PReLU(),
        ]
    )


def on_pixels(x, group, g):
    return actions.rotate_grid(x, group, g, axes=(1, 2))


@pytest.mark.parametrize("call", ["__call__", "call", "predict", "predict_on_batch"])
def test_what_training_would_break_is_found_before(call):
    model = slopes_at_every_pixel()
    before = model.get_weights()
    with pytest.raises(AssertionError, match="with its weights moved"):
        testing.assert_equivariant(
            getattr(model, call), (2, 9, 9, 3), "C4", on_pixels, actions.act_on_regular_image
        )
    for weight, old in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, old)


def test_statistics_per_pixel_are_moved_too():
    model = keras.Sequential([keras.Input((4, 3)), keras.layers.BatchNormalization(axis=1)])
    act = actions.act_on_regular
    with pytest.raises(AssertionError, match="with its weights moved"):
        testing.assert_equivariant(model, (2, 4, 3), "C4", act, act)


@pytest.mark.parametrize("samples", [4, 4000])
def test_one_wrong_number_of_one_sample_is_found_and_named(samples):
    """The mean over samples alone would hide it: 1e-6 of 4,000 samples."""

    def function(x):
        y = x.copy()
        y[1, 2, 0] += 0.01
        return y

    act = actions.act_on_regular
    named = r"sample 1 is off by .* the number at \(1, [0-3], 0\)"
    with pytest.raises(AssertionError, match=named):
        testing.assert_equivariant(function, (samples, 4, 3), "C4", act, act)


def test_a_faint_sample_counts_as_much_as_the_others():
    x = np.random.default_rng(0).standard_normal((100, 4, 3)).astype("float32")
    x[3] *= 0.1

    def function(x):
        return np.where((np.abs(x) < 0.5).all((1, 2), keepdims=True), np.cumsum(x, 1), x)

    act = actions.act_on_regular
    with pytest.raises(AssertionError, match="sample 3 is off by"):
        testing.assert_equivariant(function, x, "C4", act, act)
