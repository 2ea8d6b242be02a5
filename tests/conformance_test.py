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
OF_EVERY_ROW = ("equivariance", "config", "shapes", "inputs")
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


MODULES = [module.name for module in pkgutil.iter_modules(layers.__path__, "sen_tf.layers.")]


@pytest.mark.parametrize("module", [*MODULES, "sen_tf.testing.equivariance"])
def test_examples_print_what_they_say(module):
    flags = doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL
    failed, _ = doctest.testmod(importlib.import_module(module), optionflags=flags)
    assert not failed
