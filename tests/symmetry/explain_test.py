"""`explain` names the layer that breaks a symmetry, and finds nothing where all is well."""

import re

import keras
import numpy as np
import pytest
from keras import layers

import sen_tf
from sen_tf.groups import Field
from sen_tf.layers import (
    CircleActivation,
    CircleConv2D,
    GatedActivation,
    GroupConv2D,
    GroupDense,
    GroupPooling,
    IrrepsBatchNormalization,
    IrrepsDense,
    LiftingConv2D,
    NormActivation,
    RelaxedGroupConv2D,
    TensorFieldConv,
    ToIrreps,
    ToRegular,
)
from sen_tf.symmetry import explain
from sen_tf.symmetry.explanation import measure
from tests.symmetry import planted

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("fault", planted.FAULTS)
def test_the_guilty_layer_is_named(fault):
    make, reason = planted.FAULTS[fault]
    model = planted.randomized(make())
    report = explain(model, planted.images(model), "C4")
    expected = planted.OTHER_NAMES.get(fault, "guilty")
    assert report.culprit is not None, str(report)
    assert re.fullmatch(rf"{expected}(_\d+)?", report.culprit.layer), str(report)
    assert re.search(reason, report.culprit.reason), report.culprit.reason
    assert not report.is_exact and report.error > 1e-4 and report.culprit.effect > 1e-5
    broken = [record.layer for record in report.layers if record.verdict == "broken"]
    assert broken[0] == report.culprit.layer


@pytest.mark.parametrize("name", planted.CLEAN)
def test_clean_networks_are_exact(name):
    model = planted.randomized(planted.CLEAN[name]())
    report = explain(model, planted.images(model), "C4")
    assert report.is_exact and report.culprit is None, str(report)
    assert {record.verdict for record in report.layers} == {"exact"}
    assert "commutes with C4" in report.conclusion


def test_a_trained_network_is_exact():
    model = planted.chain()
    model.compile("adam", "mse")
    x = planted.images(model, batch=16)
    model.fit(x, RNG.normal(size=(16, 5)), epochs=2, batch_size=4, verbose=0)
    assert explain(model, x[:2], "C4").is_exact


@pytest.mark.parametrize(
    "fault", ["position_bias", "plain_conv_on_functions", "padding", "flatten"]
)
@pytest.mark.parametrize("moves", ["elements", "translation"])
def test_effects_add_up_to_the_error_of_the_network(fault, moves):
    model = planted.randomized(planted.FAULTS[fault][0]())
    x = planted.images(model)
    measured = measure(model, x, "C4", {}, moves)
    (output,) = measured.graph.outputs
    exact = model(x, training=False)
    for tried in measured.trials:
        (key,) = measured.graph.inputs
        moved = np.array(model(tried.move.act(key, x), training=False), dtype=np.float64)
        difference = moved - tried.move.act(output, np.array(exact))
        total = sum(parts[0] for parts in tried.differences.values())
        np.testing.assert_allclose(total, difference, atol=1e-5 * np.abs(exact).max())
        assert len(tried.differences) >= 2


def test_what_is_averaged_out_is_harmless():
    model = planted.chain(
        images=lambda x: layers.Cropping2D(0)(planted.Bias((1, 2), name="bias")(x))
    )
    report = explain(planted.randomized(model), planted.images(model), "C4")
    assert report.culprit.layer == "bias" and report.culprit.is_harmless
    assert report.culprit.own > 1e-3 and report.error < 1e-5
    assert "broken, harmless" in str(report) and "does not reach the output" in report.conclusion


def test_nothing_of_the_model_changes():
    image = keras.Input((9, 9, 3))
    x = LiftingConv2D("C4", 4, 3, activity_regularizer="l2")(image)
    x = layers.Dropout(0.5, seed=1)(layers.GaussianNoise(0.5, seed=2)(x))
    x = layers.BatchNormalization()(layers.Conv3D(4, (3, 3, 1))(x))
    model = keras.Model(image, GroupPooling()(x))
    before = [np.array(variable) for variable in model.variables]
    config = model.get_config()
    explain(model, planted.images(model), "C4")
    next_name = keras.Model(image, x).name
    explain(model, planted.images(model), "C4")
    numbers = [int((name.split("_") + [0])[1]) for name in (next_name, keras.Model(image, x).name)]
    assert numbers[1] == numbers[0] + 1  # of models that are made afterwards
    for variable, value in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(np.array(variable), value)
    assert model.get_config() == config and model.losses == []


def test_shared_and_nested_layers():
    shared = GroupConv2D("C4", 4, 3, padding="same", name="shared")
    inner_input = keras.Input((9, 9, 4, 4))
    bias = planted.Bias((1,), name="bias")
    inner = keras.Model(inner_input, bias(shared(inner_input)), name="inner")
    image = keras.Input((9, 9, 3))
    x = LiftingConv2D("C4", 4, 3, padding="same", name="lift")(image)
    x = inner(shared(inner(shared(x))))
    model = keras.Model(
        image, keras.Sequential([GroupPooling(), layers.Conv2D(2, 1)], name="end")(x)
    )
    report = explain(model, planted.images(model), "C4")
    names = [record.layer for record in report.layers]
    assert names[:4] == ["lift", "shared", "inner/shared", "inner/bias"]
    assert {"shared (2)", "inner/shared (2)", "inner/bias (2)"} < set(names)
    assert names[-1].startswith("end/conv2d") and report.culprit.layer == "inner/bias"
    broken = [record.layer for record in report.layers if record.verdict == "broken"]
    assert broken == ["inner/bias", "inner/bias (2)"]


def several():
    """A model of a dict of an image and a vector, with two outputs."""
    image, vector = keras.Input((9, 9, 3), name="image"), keras.Input((6,), name="vector")
    maps = LiftingConv2D("C4", 4, 3, padding="same", name="lift")(image)
    scale = layers.Reshape((1, 1, 1, 4))(layers.Dense(4, "sigmoid")(vector))
    maps = layers.Multiply()([maps, scale])
    pooled = layers.GlobalAveragePooling3D()(maps)
    both = layers.Concatenate()([pooled, vector])
    return keras.Model({"image": image, "vector": vector}, [maps, layers.Dense(2)(both)])


def test_several_inputs_and_outputs():
    model = several()
    x = {"image": RNG.normal(size=(2, 9, 9, 3)), "vector": RNG.normal(size=(2, 6))}
    assert explain(model, x, "C4").is_exact
    report = explain(model, [x["image"], x["vector"]], "C4")
    fields = {record.layer: record.field for record in report.layers}
    assert report.is_exact and fields["lift"] == "regular C4 on pixels"
    outer = keras.Model(model.inputs, model({symbol.name: symbol for symbol in model.inputs}))
    assert explain(outer, x, "C4").is_exact


@pytest.mark.parametrize(
    ("policy", "tolerance"), [("mixed_bfloat16", 2e-2), ("mixed_float16", 3e-3)]
)
def test_mixed_precision_states_its_tolerance(policy, tolerance):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        models = [planted.chain(), planted.chain(images=layers.Conv2D(4, 3, name="guilty"))]
    finally:
        keras.config.set_dtype_policy(before)
    clean, guilty = (
        explain(planted.randomized(model), planted.images(model), "C4") for model in models
    )
    assert clean.is_exact and clean.tolerance == tolerance, str(clean)
    assert guilty.culprit.layer == "guilty"


def test_one_sample_is_enough():
    model = planted.randomized(planted.FAULTS["plain_conv"][0]())
    assert explain(model, planted.images(model, batch=1), "C4").culprit.layer == "guilty"
    assert explain(planted.resnet(), planted.images(model, batch=1), "C4").is_exact


def test_a_network_of_a_larger_group_is_asked_of_a_smaller_one():
    image = keras.Input((9, 9, 3))
    x = GroupConv2D("D4", 3, 3, activation="relu")(LiftingConv2D("D4", 3, 3)(image))
    model = keras.Model(image, GroupPooling()(x))
    for group in ("C1", "C2", "C4", "D1", "D2", "D4"):
        report = explain(model, planted.images(model), group)
        assert report.is_exact and report.layers[0].field == "regular D4 on pixels"


@pytest.mark.parametrize("group", ["D4", "C4", "C2", "D1"])
def test_a_plain_convolution_behind_another_group_is_named(group):
    image = keras.Input((9, 9, 3))
    x = GroupPooling()(LiftingConv2D("D4", 4, 3)(image))
    model = keras.Model(image, layers.Conv2D(2, 3, name="guilty")(x))
    report = explain(planted.randomized(model), planted.images(model), group)
    assert (
        report.culprit.layer == "guilty" and "its kernel is not the same" in report.culprit.reason
    )


def test_a_network_of_a_smaller_group_is_named():
    model = planted.chain()
    report = explain(model, planted.images(model), "D4")
    assert report.culprit.layer.startswith("lifting_conv2d")
    assert report.culprit.reason == "it commutes with C4, of which D4 is no subgroup"
    assert explain(model, planted.images(model), "C2").is_exact


def test_pooling_of_another_group_is_measured():
    """Keras' layer, which asks for no group, and takes the group's axis among the channels."""

    def pooled(x):
        flat = layers.Reshape((*x.shape[1:3], -1))(x)
        flat = layers.MaxPooling2D(2, name="pool")(flat)
        return layers.Reshape((*flat.shape[1:3], *x.shape[3:]))(flat)

    model = planted.chain(pooled)
    assert explain(model, planted.images(model), "C4").is_exact


def test_unknown_fields_are_reported_and_may_be_stated():
    model = planted.chain(lambda x: planted.Undeclared(name="mine")(x))
    report = explain(model, planted.images(model), "C4")
    by_name = {record.layer: record for record in report.layers}
    assert by_name["mine"].verdict == by_name["mine"].field.strip() == "unknown"
    assert np.isnan(by_name["mine"].own) and not report.is_exact and report.culprit is None
    assert "`mine`" in report.conclusion and report.error < 1e-5
    fields = {"mine": Field("C4", "regular", pixels=True)}
    assert explain(model, planted.images(model), "C4", fields).is_exact


def test_an_error_of_layers_of_unknown_field_is_put_on_all_of_them():
    model = planted.chain(
        lambda x: planted.Undeclared()(planted.Undeclared(name="mine", power=2)(x))
    )
    report = explain(model, planted.images(model), "C4")
    assert report.culprit.layer.startswith("group_conv2d") and "`mine`" in report.culprit.reason
    fields = {"mine": Field("C4", "regular", pixels=True)}
    assert explain(model, planted.images(model), "C4", fields).culprit.layer == "mine"


def test_the_plain_form_of_a_network_by_stated_fields():
    model = planted.randomized(planted.resnet())
    plain, x = sen_tf.to_plain(model), planted.images(model)
    first = next(layer.name for layer in plain.layers if isinstance(layer, layers.Conv2D))
    assert explain(plain, x, "C4").culprit.layer == first
    fields = {first: Field("C4", "regular", pixels=True, axis=-1)}
    report = explain(plain, x, "C4", fields)
    assert report.is_exact, str(report)


def test_vectors_and_groups_without_pixels():
    vector = keras.Input((3,), name="vector")
    x = GroupDense("D3", 4, activation="relu")(ToRegular("D3", "trivial + standard")(vector))
    model = keras.Model(vector, GroupPooling()(x))
    fields = {"vector": Field("D3", "trivial + standard", axis=-1)}
    assert explain(model, RNG.normal(size=(4, 3)), "D3", fields).is_exact
    assert explain(model, RNG.normal(size=(4, 3)), "D3").culprit.kind == "ToRegular"


def cloud(activation):
    positions = keras.Input((5, 3), name="positions")
    features = ToIrreps(1, 1)(layers.Reshape((5, 3, 1))(positions))
    x = TensorFieldConv(4, degree=2, radius=2.0)(features, positions)
    return keras.Model(positions, IrrepsDense(2)(activation(x)))


def test_irreps_under_the_rotations_of_a_cube_and_pointwise_functions_of_them():
    x, fields = RNG.normal(size=(2, 5, 3)), {"positions": Field("O", "standard", axis=-1)}
    report = explain(cloud(GatedActivation()), x, "O", fields)
    assert report.is_exact and report.layers[-1].field == "irreps(2) O", str(report)
    report = explain(cloud(layers.ReLU(name="guilty")), x, "O", fields)
    assert report.culprit.layer == "guilty" and "irreps(2)" in report.culprit.reason
    assert "GatedActivation" in report.culprit.fix


def test_a_relaxed_layer_is_approximate():
    model = planted.resnet(RelaxedGroupConv2D("C4", 4, 3, padding="same", name="relaxed"))
    x = planted.images(model)
    assert explain(model, x, "C4").is_exact
    layer = model.get_layer("relaxed")
    layer.relaxation.assign(RNG.normal(size=layer.relaxation.shape))
    report = explain(model, x, "C4")
    relaxed = next(record for record in report.layers if record.layer == "relaxed")
    assert relaxed.verdict == "approximate" and "variance" in relaxed.reason
    assert report.culprit is None and "approximately" in report.conclusion


def test_dead_layers_are_named():
    model = planted.resnet(lambda x: layers.ReLU(name="dead")(layers.Rescaling(0.0, -1.0)(x)))
    report = explain(model, planted.images(model), "C4")
    (dead,) = [record for record in report.layers if record.verdict == "dead"]
    assert dead.layer.startswith("rescaling") and report.culprit is None


def test_a_symmetric_kernel_is_exact_and_its_window_is_blamed():
    blur = np.ones((3, 3, 1, 1), "float32") / 9
    image = keras.Input((9, 9, 1))
    conv = layers.Conv2D(1, 3, 2, use_bias=False, name="blur")
    model = keras.Model(image, conv(image))
    conv.set_weights([blur])
    assert explain(model, planted.images(model), "C4").is_exact
    model = keras.Sequential([keras.Input((10, 10, 1)), conv])
    culprit = explain(model, planted.images(model), "C4").culprit
    assert culprit.reason.startswith("stride 2, window 3 on 10 rows")
    assert culprit.fix == "use 9 or 11 rows"
    assert explain(model, planted.images(model), "D1").culprit.fix == "use 9 or 11 columns"


def test_images_that_stop_being_square_are_named():
    model = planted.chain(images=layers.Cropping2D((0, 1), name="guilty"))
    culprit = explain(model, planted.images(model), "C4").culprit
    assert culprit.layer == "guilty" and "8 x 6 pixels" in culprit.reason
    assert explain(model, planted.images(model), "C2").is_exact


@pytest.mark.parametrize("whole, group", [("SO2", "C4"), ("O2", "D4"), ("O2", "C4")])
def test_networks_of_continuous_groups_are_exact_on_the_grid(whole, group):
    x = inputs = keras.Input((9, 9, 2))
    x = CircleActivation(whole)(CircleConv2D(whole, 2, 3, frequencies=2)(x))
    x = IrrepsBatchNormalization(whole)(CircleConv2D(whole, 2, 3, frequencies=1)(x))
    model = keras.Model(inputs, GroupPooling("norm")(x))
    images = np.random.default_rng(0).normal(size=(2, 9, 9, 2)).astype("float32")
    report = explain(model, images, group)
    assert report.is_exact and f"frequencies(2) of {whole} {group} on pixels" in str(report)


def test_networks_of_eighths_are_exact_in_quarters():
    x = inputs = keras.Input((9, 9, 2))
    x = GroupConv2D("C8", 2, 3)(LiftingConv2D("C8", 2, 3, activation="relu")(x))
    model = keras.Model(inputs, GroupPooling()(x))
    images = np.random.default_rng(0).normal(size=(2, 9, 9, 2)).astype("float32")
    assert explain(model, images, "C4").is_exact
    with pytest.raises(ValueError, match="one of C1, C2, C4.*received group=C8"):
        explain(model, images, "C8")


@pytest.mark.parametrize("activation", [GatedActivation, NormActivation])
def test_activations_of_frequencies_are_exact(activation):
    x = inputs = keras.Input((9, 9, 2))
    x = activation("relu", "O2")(CircleConv2D("O2", 2, 3, frequencies=2)(x))
    model = keras.Model(inputs, GroupPooling("norm")(IrrepsBatchNormalization("O2")(x)))
    images = np.random.default_rng(0).normal(size=(2, 9, 9, 2)).astype("float32")
    assert explain(model, images, "D4").is_exact


@pytest.mark.parametrize(
    "guilty",
    [
        lambda: CircleConv2D("O2", 2, 3, frequencies=1, name="guilty"),
        lambda: CircleActivation("O2", name="guilty"),
        lambda: GatedActivation("relu", "O2", name="guilty"),
        lambda: NormActivation("relu", "O2", name="guilty"),
        lambda: IrrepsBatchNormalization("O2", name="guilty"),
    ],
)
def test_four_elements_are_no_four_components(guilty):
    """C4 has as many elements as O(2) has components up to frequency 1."""
    x = inputs = keras.Input((9, 9, 2))
    x = guilty()(LiftingConv2D("C4", 2, 3)(x))
    model = keras.Model(inputs, GroupPooling("norm")(x))
    images = np.random.default_rng(0).normal(size=(2, 9, 9, 2)).astype("float32")
    culprit = explain(model, images, "C4").culprit
    assert culprit.layer == "guilty" and "a function on C4 for parts of O2" in culprit.reason


def test_a_pointwise_function_of_frequencies_is_named():
    x = inputs = keras.Input((9, 9, 2))
    x = keras.layers.ReLU(name="guilty")(CircleConv2D("SO2", 2, 3, frequencies=1)(x))
    model = keras.Model(inputs, CircleConv2D("SO2", 2, 3, frequencies=0)(x))
    images = np.random.default_rng(0).normal(size=(2, 9, 9, 2)).astype("float32")
    culprit = explain(model, images, "C4").culprit
    assert culprit.layer == "guilty" and "GatedActivation in its place" in culprit.fix
