"""Layers whose symmetry can be broken: what they are at first, when broken, and what it costs."""

import keras
import numpy as np
import pytest
from keras import ops

from sen_tf import layers
from sen_tf.groups import actions

RELAXED = {
    "dense": (lambda **k: layers.RelaxedGroupDense("C4", 5, **k), (6, 4, 3)),
    "lifting": (
        lambda **k: layers.RelaxedLiftingConv2D("C4", 5, kernel_size=3, **k),
        (2, 5, 5, 3),
    ),
    "group": (
        lambda **k: layers.RelaxedGroupConv2D("C4", 5, kernel_size=3, **k),
        (2, 5, 5, 4, 3),
    ),
}


def made(name, **arguments):
    make, shape = RELAXED[name]
    layer = make(**arguments)
    x = np.random.default_rng(0).standard_normal(shape).astype("float32")
    layer(x)
    return layer, x


@pytest.mark.parametrize("name", RELAXED)
def test_at_first_it_is_the_layer_with_the_mean_of_the_banks(name):
    layer, x = made(name, banks=3)
    plain = {
        "dense": lambda: layers.GroupDense("C4", 5),
        "lifting": lambda: layers.LiftingConv2D("C4", 5, kernel_size=3),
        "group": lambda: layers.GroupConv2D("C4", 5, kernel_size=3),
    }[name]()
    plain(x)
    plain.kernel.assign(ops.mean(layer.kernel, axis=0))
    np.testing.assert_allclose(layer(x), plain(x), atol=1e-5)
    assert layer.relaxation_variance() == pytest.approx(0.0, abs=1e-12)
    # As large as the ordinary layer's, and no bank as another.
    fresh = np.std(ops.convert_to_numpy(type(plain).from_config(plain.get_config())(x)))
    assert np.std(ops.convert_to_numpy(layer(x))) == pytest.approx(fresh, rel=0.6)
    kernels = ops.convert_to_numpy(layer.kernel)
    assert np.abs(kernels[0] - kernels[1]).max() > 0.01


def test_weights_mix_the_banks_per_element_of_the_input():
    layer, x = made("dense", banks=2, use_bias=False)
    mixture = np.random.default_rng(1).standard_normal((2, 4)).astype("float32")
    layer.relaxation.assign(mixture - 0.5)
    kernel = ops.convert_to_numpy(layer.kernel)
    expected = np.zeros((6, 4, 5))
    for g in range(4):
        for h in range(4):
            for bank in range(2):
                expected[:, g] += mixture[bank, h] * (x[:, h] @ kernel[bank, (h - g) % 4])
    np.testing.assert_allclose(layer(x), expected, atol=1e-5)
    assert layer.relaxation_variance() == pytest.approx(mixture.var(axis=1).sum(), rel=1e-5)


def test_weights_mix_the_banks_per_element_of_the_output_of_a_lifting():
    layer, x = made("lifting", banks=2, use_bias=False)
    mixture = np.random.default_rng(1).standard_normal((2, 4)).astype("float32")
    layer.relaxation.assign(mixture - 0.5)
    alone = []
    for bank in range(2):
        plain = layers.LiftingConv2D("C4", 5, kernel_size=3, use_bias=False)
        plain(x)
        plain.kernel.assign(layer.kernel[bank])
        alone.append(ops.convert_to_numpy(plain(x)))
    expected = sum(m[:, None] * y for m, y in zip(mixture, alone, strict=True))
    np.testing.assert_allclose(layer(x), expected, atol=1e-5)


def error(model, x):
    """The greatest difference between the output on turned inputs and the turned output."""
    y = model.predict(x, verbose=0)
    turned = [actions.act_on_regular(each, "C4", 1) for each in (x, y)]
    return np.abs(model.predict(turned[0], verbose=0) - turned[1]).max()


def test_training_breaks_the_symmetry_where_the_data_do_and_a_penalty_keeps_it():
    keras.utils.set_random_seed(0)
    x = np.random.default_rng(0).standard_normal((256, 4, 2)).astype("float32")
    y = np.tanh(x[..., :1] - x[:, ::-1, :1]) * np.array([1, 2, 1, 1])[:, None]  # element 1 is other
    found = {}
    for factor in (0.0, 1e3):
        penalty = keras.regularizers.L2(factor)
        model = keras.Sequential(
            [
                keras.Input((4, 2)),
                layers.RelaxedGroupDense("C4", 12, activation="relu"),
                layers.RelaxedGroupDense("C4", 1, relaxation_regularizer=penalty),
            ]
        )
        before = error(model, x)
        model.compile(keras.optimizers.Adam(1e-2), "mse", jit_compile=False)
        model.optimizer.build(model.trainable_variables)  # or the first step is traced twice
        model.fit(x, y, epochs=20, batch_size=32, verbose=0)
        found[factor] = (before, error(model, x), model.layers[-1].relaxation_variance())
    assert found[0.0][0] < 1e-5 and found[1e3][0] < 1e-5
    assert found[0.0][1] > 0.05 and found[0.0][2] > 10 * found[1e3][2]


def test_no_bank_is_refused():
    with pytest.raises(ValueError, match="`banks`"):
        layers.RelaxedGroupDense("C4", 2, banks=0)
