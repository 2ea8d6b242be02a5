import subprocess
import sys
import textwrap

import keras
import numpy as np
import pytest

from sen_tf.groups import circle
from sen_tf.layers import IrrepsBatchNormalization, IrrepsLayerNormalization
from sen_tf.layers.plain import plain


def noise(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype("float32")


def test_batches_by_hand():
    """Scalars have mean 0 and variance 1 after it, vectors a mean square of 1 per component."""
    x = 3 * noise(50, 4, 3, 2) + 1
    layer = IrrepsBatchNormalization("SO2", momentum=0.5, epsilon=1e-6)
    y = np.array(layer(x, training=True))
    np.testing.assert_allclose(y[:, :, 0].mean(axis=(0, 1)), 0, atol=1e-5)
    np.testing.assert_allclose(y[:, :, 0].var(axis=(0, 1)), 1, rtol=1e-4)
    power = (x[:, :, 1:] ** 2).mean(axis=(0, 1, 2))
    np.testing.assert_allclose(y[:, :, 1:], x[:, :, 1:] / np.sqrt(power), rtol=1e-4)
    mean, moving = np.array(layer.moving_mean), np.array(layer.moving_power)
    np.testing.assert_allclose(mean, x[:, :, 0].mean(axis=(0, 1)) / 2, rtol=1e-5)
    np.testing.assert_allclose(moving[1], 0.5 + power / 2, rtol=1e-5)
    y = np.array(layer(x))
    np.testing.assert_allclose(y[:, :, 1:], x[:, :, 1:] / np.sqrt(moving[1]), rtol=1e-4)


def test_on_scalars_it_is_the_layer_of_keras():
    x = 2 * noise(8, 5, 1, 3) + 1
    layers = IrrepsBatchNormalization("SO2"), keras.layers.BatchNormalization()
    for training in (True, False):
        ours, theirs = (np.array(layer(x, training=training)) for layer in layers)
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
    ours, theirs = IrrepsLayerNormalization("SO3"), keras.layers.LayerNormalization()
    np.testing.assert_allclose(ours(x), theirs(x), atol=1e-5)


def test_any_angle_commutes():
    group = circle.get("SO2")
    x, matrix = noise(6, 5, 4), group.matrix(2, 0.7)
    turned = (matrix @ x).astype("float32")
    for layer, arguments in (
        (IrrepsBatchNormalization(group), {"training": True}),
        (IrrepsLayerNormalization(group), {}),
    ):
        expected = matrix @ np.array(layer(x, **arguments))
        np.testing.assert_allclose(layer(turned, **arguments), expected, atol=1e-5)


@pytest.mark.parametrize("training", [True, False])
def test_constant_and_empty_inputs_stay_finite(training):
    layer = IrrepsBatchNormalization("SO2")
    assert np.isfinite(layer(np.zeros((2, 3, 3, 4), "float32"), training=training)).all()
    assert layer(np.zeros((0, 3, 3, 4), "float32"), training=training).shape == (0, 3, 3, 4)
    assert all(np.isfinite(weight).all() for weight in layer.get_weights())
    assert np.isfinite(IrrepsLayerNormalization("O2")(np.zeros((2, 4, 3), "float32"))).all()


@pytest.mark.parametrize("make", [IrrepsBatchNormalization, IrrepsLayerNormalization])
def test_bad_arguments_and_shapes_are_named(make):
    with pytest.raises(ValueError, match="'SO3', 'O3', 'SO2', 'O2'; received group='C4'"):
        make("C4")
    with pytest.raises(ValueError, match="`epsilon`.*-1"):
        make("SO2", epsilon=-1)
    with pytest.raises(ValueError, match=rf"{make.__name__} `norm`.*1 \+ 2 L"):
        make("SO2", name="norm").build((None, 4, 3))


TWO_REPLICAS = """
    import numpy as np
    import tensorflow as tf

    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
    )
    from sen_tf.layers import IrrepsBatchNormalization

    x = np.random.default_rng(0).standard_normal((5, 6, 4)).astype("float32")
    for share in (3, 5):
        parts = [tf.constant(x[:share]), tf.constant(x[share:])]
        alone = IrrepsBatchNormalization("O2", momentum=0.5)
        expected = np.array(alone(x, training=True))
        strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
        with strategy.scope():
            layer = IrrepsBatchNormalization("O2", momentum=0.5)
            layer.build(x.shape)

        @tf.function
        def run(values):
            return strategy.run(lambda part: layer(part, training=True), (values,))

        values = strategy.experimental_distribute_values_from_function(
            lambda context: parts[context.replica_id_in_sync_group]
        )
        found = strategy.experimental_local_results(run(values))
        np.testing.assert_allclose(np.concatenate(found), expected, atol=1e-5)
        for a, b in zip(layer.get_weights(), alone.get_weights()):
            np.testing.assert_allclose(a, b, atol=1e-6)
    print("replicas share their statistics")
"""


def test_replicas_with_unequal_shares_have_the_statistics_of_one():
    """Of 5 samples 3 and 2, and 5 and none."""
    command = [sys.executable, "-c", textwrap.dedent(TWO_REPLICAS)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert "replicas share their statistics" in done.stdout, done.stderr[-2000:]


def test_no_rows_leave_the_statistics_where_they_are():
    layer = IrrepsBatchNormalization("SO2", momentum=0.5)
    layer(3 * noise(50, 3, 2) + 1, training=True)
    before = layer.get_weights()
    layer(np.zeros((0, 3, 2), "float32"), training=True)
    for old, new in zip(before, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(new, old)


@pytest.mark.parametrize("make", [IrrepsBatchNormalization, IrrepsLayerNormalization])
def test_long_parts_do_not_overflow_in_half_precision_nor_in_the_plain_form(make):
    x = (1000 * noise(5, 3, 4)).astype("float16")
    expected = np.array(make("SO2")(x.astype("float32")))
    inputs = keras.Input((3, 4), dtype="float16")
    model = keras.Model(inputs, make("SO2", dtype="mixed_float16")(inputs))
    for network in (model, plain(model)):
        y = network(x)
        assert y.dtype == "float16"
        np.testing.assert_allclose(np.array(y), expected, rtol=2e-3, atol=1e-3)


def test_half_precision_takes_a_mean_off_that_it_cannot_hold():
    """Numbers of float16 near 1000.25 are half a unit apart."""
    inputs = keras.Input((1, 1), dtype="float16")
    layer = IrrepsBatchNormalization("SO2", epsilon=1e-6, dtype="mixed_float16")
    model = keras.Model(inputs, layer(inputs))
    layer.moving_mean.assign([1000.25])
    for network in (model, plain(model)):
        np.testing.assert_allclose(network(np.full((1, 1, 1), 1000.5, "float16")), 0.25, rtol=1e-3)
