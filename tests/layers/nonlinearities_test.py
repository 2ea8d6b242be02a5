import keras
import numpy as np
import pytest
import tensorflow as tf

from sen_tf.groups import circle
from sen_tf.layers import CircleActivation, GatedActivation, NormActivation
from sen_tf.layers.plain import plain


def noise(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype("float32")


def test_values_on_the_circle():
    """ReLU of 1 + sqrt(2) cos, at 8 angles, by hand."""
    x = np.array([1.0, 1.0, 0.0], "float32").reshape(1, 3, 1)
    angles = np.arange(8) * np.pi / 4
    values = np.maximum(1 + np.sqrt(2) * np.cos(angles), 0)
    expected = [
        values.mean(),
        (values * np.sqrt(2) * np.cos(angles)).mean(),
        (values * np.sqrt(2) * np.sin(angles)).mean(),
    ]
    found = np.array(CircleActivation("SO2")(x)).ravel()
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_allclose(found[2], 0, atol=1e-6)


def test_without_an_activation_nothing_changes():
    x = noise(2, 5, 7, 3)
    np.testing.assert_allclose(CircleActivation("SO2", None)(x), x, atol=1e-5)
    y = np.array(CircleActivation("O2", None)(noise(2, 6, 3)))
    expected = noise(2, 6, 3)
    expected[:, 1] /= 1 + np.exp(-expected[:, 0])
    np.testing.assert_allclose(y, expected, atol=1e-5)


@pytest.mark.parametrize("name", ["SO2", "O2"])
def test_more_samples_commute_better(name):
    """Turns by half the angle between samples, L = 3; at 8, 16 and 32 samples."""
    group = circle.get(name)
    x = noise(500, len(group.frequencies(3)), 1)
    errors = []
    for samples in (8, 16, 32):
        layer, matrix = CircleActivation(name, samples=samples), group.matrix(3, np.pi / samples)
        expected = matrix @ np.array(layer(x))
        found = np.array(layer((matrix @ x).astype("float32")))
        errors.append(np.linalg.norm(found - expected) / np.linalg.norm(expected))
    assert errors[0] > 4 * errors[1] > 8 * errors[2] and errors[1] < 0.05


def test_norms_and_gates_by_hand():
    x = np.array([-1.0, 3.0, 4.0], "float32").reshape(1, 3, 1)
    layer = NormActivation("relu", "SO2")
    layer(x)
    np.testing.assert_allclose(np.array(layer(x)).ravel(), [0, 3, 4], atol=1e-5)
    layer.set_weights([np.array([[2.0], [-2.5]])])
    np.testing.assert_allclose(np.array(layer(x)).ravel(), [1, 1.5, 2], atol=1e-5)
    gate = GatedActivation("relu", "O2")
    x = np.array([-1.0, 2.0, 3.0, 4.0], "float32").reshape(1, 4, 1)
    gate(x)
    gate.set_weights([np.array([[1.0]]), np.zeros(1), np.array([[0.0]]), np.ones(1)])
    sigmoid = 1 / (1 + np.exp([1.0, -1.0]))
    expected = [0, 2 * sigmoid[0], 3 * sigmoid[1], 4 * sigmoid[1]]
    np.testing.assert_allclose(np.array(gate(x)).ravel(), expected, atol=1e-6)


@pytest.mark.parametrize("group", ["SO3", "SO2", "O2"])
def test_gradients_exist_where_a_part_is_zero(group):
    components = {"SO3": 4, "SO2": 3, "O2": 4}[group]
    x = tf.zeros((2, components, 3))
    layer = NormActivation("relu", group)
    layer(x)
    layer.bias.assign(tf.ones_like(layer.bias))
    with tf.GradientTape() as tape:
        tape.watch(x)
        loss = tf.reduce_sum(layer(x))
    assert np.isfinite(tape.gradient(loss, x)).all()


def test_the_gates_of_so3_are_saved_as_they_were():
    """Files from before the argument `group` have none."""
    config = GatedActivation("tanh").get_config()
    del config["group"]
    assert GatedActivation.from_config(config).group == "SO3"
    layer = GatedActivation("tanh")
    layer(noise(2, 9, 3))
    assert [weight.path.split("/")[-2] for weight in layer.weights] == ["gate_1"] * 2 + [
        "gate_2"
    ] * 2


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: CircleActivation("SO3"), "'SO2' or 'O2'; received group='SO3'"),
        (lambda: GatedActivation(group="C4"), "'SO3', 'O3', 'SO2', 'O2'; received group='C4'"),
        (lambda: CircleActivation("SO2", samples=10), "multiple of 4.*samples=10"),
        (
            lambda: CircleActivation("SO2", samples=4, name="act")(np.ones((1, 5, 1))),
            "CircleActivation `act` expected at least 5 `samples`.*samples=4",
        ),
        (
            lambda: NormActivation(group="O2", name="act")(np.ones((1, 5, 1))),
            r"NormActivation `act`.*2 \+ 2 L.*\(1, 5, 1\)",
        ),
        (
            lambda: GatedActivation(group="SO2", name="act")(np.ones((1, 4, 1))),
            r"GatedActivation `act`.*1 \+ 2 L.*\(1, 4, 1\)",
        ),
    ],
)
def test_bad_arguments_and_shapes_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_they_are_saved_with_a_model(tmp_path):
    inputs = keras.Input((5, 3))
    model = keras.Model(inputs, CircleActivation("SO2", "gelu", samples=16)(inputs))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(noise(2, 5, 3)), model(noise(2, 5, 3)))


@pytest.mark.parametrize("dtype", ["mixed_float16", "float16"])
def test_long_parts_and_short_ones_are_finite_in_half_precision(dtype):
    """The square of 300 is none of its numbers, nor is 100 over the softened length of 0."""
    x = np.array([[-300.0, 300, 400], [300, 0, 0]], "float16").T.reshape(1, 3, 2)
    inputs = keras.Input((3, 2), dtype="float16")
    layer = NormActivation("relu", "SO2", dtype=dtype)
    model = keras.Model(inputs, layer(inputs))
    layer.bias.assign(np.full((2, 2), 100.0))
    expected = np.array([[0, 360, 480], [400, 0, 0]]).T.reshape(1, 3, 2)
    for network in (model, plain(model)):
        y = network(x)
        assert y.dtype == "float16"
        np.testing.assert_allclose(np.array(y), expected, rtol=1e-3)
