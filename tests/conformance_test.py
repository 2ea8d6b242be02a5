"""Every public layer keeps every promise: checks run over a table with rows for each."""

import doctest
import importlib
import itertools
import json
import pkgutil

import keras
import numpy as np
import pytest
import tensorflow as tf

from sen_tf import layers, testing
from sen_tf.layers.plain import plain
from tests.conformance_table import ROWS


def test_every_public_layer_has_a_row():
    public = {name for name in layers.__all__ if isinstance(getattr(layers, name), type)}
    assert {name.split("-")[0] for name in ROWS} == public


FIRST_ROWS = {name.split("-")[0]: name for name in reversed(ROWS)}.values()
OF_EVERY_ROW = ("equivariance", "config")
"""The checks that every row must pass in an ordinary run; of the first row of a layer it is all."""


def cases():
    for name, (kind, check) in itertools.product(ROWS, testing.LAYER_CHECKS.items()):
        ordinary = name in FIRST_ROWS or kind in OF_EVERY_ROW
        marks = () if ordinary else pytest.mark.slow
        yield pytest.param(name, check, id=f"{name}-{kind}", marks=marks)


@pytest.mark.parametrize("name, check", cases())
def test_layer(name, check, monkeypatch):
    least = 1 if name.endswith("block_diagonal") else 1000
    monkeypatch.setattr("sen_tf.layers.block_diagonal.BLOCK_DIAGONAL_FROM", least)
    check(ROWS[name])


@pytest.mark.parametrize(
    "name",
    [pytest.param(row, marks=() if row in FIRST_ROWS else pytest.mark.slow) for row in ROWS],
)
def test_plain_form(name):
    """Every layer can be written out in layers of Keras, which give the same numbers."""
    case = ROWS[name]
    layer, inputs = case.built(), case.symbolic()
    several = len(inputs) > 1
    model = keras.Model(inputs if several else inputs[0], layer(*inputs))
    arrays = case.arrays if several else case.arrays[0]
    written = plain(model)
    assert "sen_tf" not in json.dumps(keras.saving.serialize_keras_object(written))
    expected, found = (np.asarray(network(arrays)) for network in (model, written))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("name", FIRST_ROWS)
@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_gradients_are_dense(name, dtype):
    """Of a sparse one, rows that are listed twice are squared each by itself in Adam."""
    case = ROWS[name]
    layer = case.built(dtype)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.cast(case.call(layer), "float32"))
    gradients = tape.gradient(loss, layer.trainable_variables)
    assert all(not isinstance(gradient, tf.IndexedSlices) for gradient in gradients)


@pytest.mark.parametrize("name", FIRST_ROWS)
def test_gradients_in_bfloat16_are_whole_sums(name):
    """Of many rows, added up in bfloat16, most of a gradient would be missing."""
    case, rng = ROWS[name], np.random.default_rng(0)
    copies = 200_000 // max(array.size for array in case.arrays) + 1
    inputs = [np.tile(array, (copies,) + (1,) * (array.ndim - 1)) for array in case.arrays]
    exact, layer = case.built("float32"), case.built("mixed_bfloat16")
    testing.randomize_weights(exact)
    layer.set_weights(exact.get_weights())
    found, factors = [], None
    for each in (exact, layer):
        with tf.GradientTape() as tape:
            outputs = tf.cast(each(*inputs), "float32")
        if factors is None:
            factors = (0.3 + rng.standard_normal(outputs.shape)).astype("float32")
        weights = [weight.value for weight in each.trainable_variables]
        found.append(tape.gradient(outputs, weights, factors, unconnected_gradients="zero"))
    # An attention's bias of keys has a gradient of 0.
    least = 1e-2 * max((np.linalg.norm(one) for one in found[0]), default=0)
    for weight, one, other in zip(exact.trainable_variables, *found, strict=True):
        missing = np.linalg.norm(np.subtract(one, other)) / max(np.linalg.norm(one), least)
        assert missing < 0.2, weight.name


MODULES = [module.name for module in pkgutil.iter_modules(layers.__path__, "sen_tf.layers.")]


@pytest.mark.parametrize("module", [*MODULES, "sen_tf.testing.equivariance"])
def test_examples_print_what_they_say(module):
    flags = doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL
    failed, _ = doctest.testmod(importlib.import_module(module), optionflags=flags)
    assert not failed
