import keras
import numpy as np
import pytest
import tensorflow as tf

from sen_tf.groups import actions
from sen_tf.layers import FieldBatchNormalization, FieldLayerNormalization
from sen_tf.testing import assert_equivariant, randomize_weights


def noise(*shape, seed=0):
    x = np.random.default_rng(seed).standard_normal(shape)
    return (2 * x + np.arange(shape[-1])).astype("float32")


def both(arguments, shape, training):
    """Our layer and Keras', with equal weights."""
    ours = FieldBatchNormalization(**arguments)
    theirs = keras.layers.BatchNormalization(**arguments)
    ours.build(shape)
    theirs.build(shape)
    randomize_weights(ours)
    theirs.set_weights(ours.get_weights())
    return ours, theirs


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    "arguments",
    [{}, {"momentum": 0.5, "epsilon": 0.1}, {"center": False}, {"scale": False}],
)
def test_on_images_it_is_keras_batch_normalization(arguments, training):
    x = noise(4, 5, 6, 3)
    ours, theirs = both(arguments, x.shape, training)
    for _ in range(2):
        np.testing.assert_allclose(
            ours(x, training=training), theirs(x, training=training), atol=1e-5
        )
    np.testing.assert_allclose(ours.moving_mean, theirs.moving_mean, rtol=1e-5)


def test_the_moving_variance_is_the_unbiased_one():
    x = noise(2, 3, 1, 4)
    layer = FieldBatchNormalization(momentum=0.9)
    layer(x, training=True)
    variance = x.var(axis=(0, 1, 2), ddof=1)
    np.testing.assert_allclose(layer.moving_variance, 0.9 + 0.1 * variance, rtol=1e-5)


def test_statistics_are_shared_over_the_group():
    x = noise(3, 4, 4, 8, 2)
    layer = FieldBatchNormalization(momentum=0.0, epsilon=1e-6)
    y = np.array(layer(x, training=True))
    np.testing.assert_allclose(y.mean(axis=(0, 1, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(y.std(axis=(0, 1, 2, 3)), 1, atol=1e-4)
    np.testing.assert_allclose(layer.moving_mean, x.mean(axis=(0, 1, 2, 3)), rtol=1e-5)
    assert [w.shape for w in layer.weights] == [(2,)] * 4
    act = actions.act_on_regular_image
    assert_equivariant(lambda x: layer(x, training=True), x, "D4", act, act)


@pytest.mark.parametrize("dtype", ["float32", "mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("shape", [(4, 3, 3, 4, 2), (20, 3), (4, 3, 3, 12)])
def test_tensorflow_normalizes_as_plain_operations_do(shape, dtype, monkeypatch):
    import tensorflow as tf

    results = []
    x = np.random.default_rng(0).standard_normal(shape)
    for backend in ("tensorflow", "another"):
        monkeypatch.setattr("keras.backend.backend", lambda name=backend: name)
        layer = FieldBatchNormalization(momentum=0.5, epsilon=1e-3, dtype=dtype)
        layer.build(x.shape)
        randomize_weights(layer)
        inputs = tf.cast(x, layer.compute_dtype)
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            y = layer(inputs, training=True)
            loss = tf.reduce_sum(tf.cast(y, "float32") * noise(*x.shape, seed=1))
        gradients = tape.gradient(loss, [inputs, *layer.trainable_variables])
        results.append([np.asarray(r, np.float64) for r in (y, *gradients, *layer.get_weights())])
    tolerance = {"float32": 1e-5, "mixed_float16": 3e-3, "mixed_bfloat16": 2e-2}[dtype]
    for fused, plain in zip(*results, strict=True):
        np.testing.assert_allclose(fused, plain, atol=tolerance * np.abs(plain).max())


def test_one_value_a_channel_leaves_the_statistics_finite(monkeypatch):
    for backend in ("tensorflow", "another"):
        monkeypatch.setattr("keras.backend.backend", lambda name=backend: name)
        layer = FieldBatchNormalization()
        layer(noise(1, 3), training=True)
        assert np.isfinite(layer.moving_variance).all()


@pytest.mark.parametrize("trainable, training", [(False, True), (True, False), (False, False)])
def test_moving_statistics_rest(trainable, training):
    layer = FieldBatchNormalization(trainable=trainable)
    x = noise(3, 4, 2)
    layer.build(x.shape)
    before = layer.get_weights()
    y = layer(x, training=training)
    for old, new in zip(before, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    np.testing.assert_allclose(y, x / np.sqrt(1 + 1e-3), rtol=1e-5)


def test_fit_moves_the_statistics_and_predict_does_not():
    model = keras.Sequential([keras.Input((4, 2)), FieldBatchNormalization(momentum=0.0)])
    model.compile("sgd", "mse", jit_compile=False)
    x = noise(8, 4, 2)
    model.fit(x, x, epochs=1, batch_size=8, verbose=0)
    mean = np.array(model.layers[0].moving_mean)
    np.testing.assert_allclose(mean, x.mean(axis=(0, 1)), rtol=1e-5, atol=1e-6)
    model.predict(x + 1, verbose=0)
    model.evaluate(x + 1, x, verbose=0)
    np.testing.assert_array_equal(mean, model.layers[0].moving_mean)


@pytest.mark.parametrize("arguments", [{}, {"epsilon": 0.1}, {"center": False}, {"scale": False}])
def test_layer_normalization_is_that_of_keras(arguments):
    x = noise(4, 2, 6, 5)
    ours = FieldLayerNormalization(**arguments)
    theirs = keras.layers.LayerNormalization(**arguments)
    ours.build(x.shape)
    theirs.build(x.shape)
    randomize_weights(ours)
    theirs.set_weights(ours.get_weights())
    np.testing.assert_allclose(ours(x), theirs(x), atol=1e-5)


@pytest.mark.parametrize("dtype", ["float64", "float32", "mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("shape", [(5, 3), (5, 3, 4, 2), (2, 3, 3, 4, 16), (0, 4, 3)])
def test_gradients_of_layer_normalization_are_those_of_keras(shape, dtype):
    ours, theirs = (
        FieldLayerNormalization(dtype=dtype),
        keras.layers.LayerNormalization(dtype=dtype),
    )
    ours.build(shape)
    theirs.build(shape)
    randomize_weights(ours)
    theirs.set_weights(ours.get_weights())
    precision = {"mixed_float16": 1e-2, "mixed_bfloat16": 6e-2}.get(dtype, 1e-5)
    x, dy = (tf.cast(noise(*shape, seed=seed), ours.compute_dtype) for seed in (0, 1))
    found = []
    for layer in (ours, theirs):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x)
        weights = [weight.value for weight in layer.trainable_variables]
        found.append([y, *tape.gradient(y, [x, *weights], dy)])
        assert [tensor.dtype.name for tensor in found[-1][:2]] == 2 * [ours.compute_dtype]
    for one, other in zip(*found, strict=True):
        one, other = (np.asarray(tf.cast(tensor, "float64")) for tensor in (one, other))
        assert np.abs(one - other).max(initial=0) <= precision * np.abs(other).max(initial=1)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize(
    "make, channels, axes",
    [
        (FieldBatchNormalization, 3, (0, 1, 2)),
        (FieldBatchNormalization, 20, (0, 1, 2)),
        (FieldLayerNormalization, 20, (-1,)),
    ],
)
def test_gradients_of_gradients_are_those_of_plain_operations(make, channels, axes, compiled):
    x, factors = tf.constant(noise(6, 3, 4, channels)), noise(6, 3, 4, channels, seed=1)
    layer = make()
    layer.build(x.shape)

    def plain(x):
        centred = x - tf.reduce_mean(x, axes, keepdims=True)
        variance = tf.reduce_mean(tf.square(centred), axes, keepdims=True)
        return centred * tf.math.rsqrt(variance + layer.epsilon)

    def ours(x):
        return layer(x, training=True) if make is FieldBatchNormalization else layer(x)

    def second(function):
        def penalty(x):
            with tf.GradientTape() as outer:
                outer.watch(x)
                with tf.GradientTape() as inner:
                    inner.watch(x)
                    loss = tf.reduce_sum(factors * function(x) ** 3)
                size = tf.reduce_sum(tf.square(inner.gradient(loss, x)))
            return outer.gradient(size, x)

        return (tf.function(penalty) if compiled else penalty)(x).numpy()

    expected = second(plain)
    np.testing.assert_allclose(second(ours), expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("make", [FieldBatchNormalization, FieldLayerNormalization])
def test_arguments_of_keras_are_honoured(make):
    layer = make(
        beta_initializer="ones",
        gamma_initializer=keras.initializers.Constant(2.0),
        beta_regularizer=keras.regularizers.L1(0.1),
        gamma_regularizer=keras.regularizers.L2(0.1),
        beta_constraint="non_neg",
        gamma_constraint=keras.constraints.MaxNorm(1.0),
    )
    layer(noise(2, 3, 4))
    assert sorted(map(float, layer.losses)) == pytest.approx([0.1 * 4, 0.1 * 16])
    variables = layer.trainable_variables
    keras.optimizers.SGD(2.0).apply([keras.ops.ones_like(w) for w in variables], variables)
    np.testing.assert_array_equal(layer.beta, 0)
    assert np.linalg.norm(layer.gamma) <= 1
    assert make(center=False, scale=False).trainable_variables == []


@pytest.mark.parametrize("make", [FieldBatchNormalization, FieldLayerNormalization])
def test_bad_arguments_are_named(make):
    with pytest.raises(ValueError, match="`epsilon`.*-1"):
        make(epsilon=-1)
    with pytest.raises(ValueError, match=f"{make.__name__} `norm`.*channel number"):
        make(name="norm").build((2, 3, None))


@pytest.mark.parametrize("momentum", [-0.1, 1.0, 2])
def test_bad_momentum_is_named(momentum):
    with pytest.raises(ValueError, match=f"`momentum`.*{momentum}"):
        FieldBatchNormalization(momentum=momentum)


@pytest.mark.parametrize("dtype, least", [("bfloat16", 2e-3), ("float16", 3e-4)])
@pytest.mark.parametrize("mean", [1.0, 10.0, 50.0])
def test_inference_in_mixed_precision_is_as_near_as_keras(dtype, least, mean):
    """Scale and offset are applied in float32, to what differs from the mean."""
    noise = np.random.default_rng(0).standard_normal((4, 8, 8, 4, 16))
    x = keras.ops.cast(mean + noise, dtype)
    wide = np.asarray(keras.ops.cast(x, "float64"))
    expected = (wide - mean - 0.3) / np.sqrt(1.1 + 1e-3)
    errors = []
    for make in (FieldBatchNormalization, keras.layers.BatchNormalization):
        layer = make(dtype=f"mixed_{dtype}")
        layer.build(x.shape)
        layer.set_weights([np.ones(16), np.zeros(16), np.full(16, mean + 0.3), np.full(16, 1.1)])
        found = np.asarray(keras.ops.cast(layer(x), "float64"))
        errors.append(np.linalg.norm(found - expected) / np.linalg.norm(expected))
    assert errors[0] <= 1.01 * errors[1] and errors[0] < least


def test_pure_half_precision_trains_and_infers():
    for dtype in ("float16", "bfloat16"):
        layer = FieldBatchNormalization(dtype=dtype)
        x = keras.ops.ones((4, 5, 5, 4, 16), dtype)
        for training in (True, False):
            y = layer(x, training=training)
            assert y.dtype == dtype and np.isfinite(np.asarray(y, "float32")).all()


@pytest.mark.parametrize("backend", ["tensorflow", "another"])
@pytest.mark.parametrize("channels", [4, 16])
def test_no_rows_leave_statistics_and_weights_as_they_are(channels, backend, monkeypatch):
    import tensorflow as tf

    monkeypatch.setattr("keras.backend.backend", lambda: backend)
    layer = FieldBatchNormalization(momentum=0.5)
    layer(noise(6, 3, channels), training=True)
    before = layer.get_weights()

    def gradients(x):
        with tf.GradientTape() as tape:
            y = layer(x, training=True)
            loss = tf.reduce_sum(y)
        return y, tape.gradient(loss, layer.trainable_variables)

    free = tf.function(gradients, input_signature=[tf.TensorSpec((None, 3, channels))])
    for function in (gradients, free):
        y, found = function(tf.zeros((0, 3, channels)))
        assert y.shape == (0, 3, channels)
        for old, new in zip(before, layer.get_weights(), strict=True):
            np.testing.assert_array_equal(new, old)
        for gradient in found:
            np.testing.assert_array_equal(gradient, np.zeros(channels))


@pytest.mark.parametrize("channels", [4, 16])
def test_a_channel_that_never_changes_is_no_nan_where_it_is_compiled(channels):
    varied = tf.random.stateless_normal((8, 33, 33, 4, channels - 1), (0, 1))
    x = tf.concat([varied, tf.fill((8, 33, 33, 4, 1), 1000.7)], axis=-1)
    layer = FieldBatchNormalization(epsilon=1e-5)
    layer.build(x.shape)
    compute = tf.function(lambda x: layer(x, training=True), jit_compile=True)
    assert np.isfinite(compute(x)).all() and np.min(layer.moving_variance) > 0
    np.testing.assert_allclose(np.std(compute(x)[..., 0]), 1, rtol=1e-3)
