"""Every public layer keeps every promise: checks run over a table with rows for each."""

import doctest
import importlib
import pkgutil

import pytest

from sen_tf import layers, testing
from tests.conformance_table import ROWS


def test_every_public_layer_has_a_row():
    assert {name.split("-")[0] for name in ROWS} == set(layers.__all__)


@pytest.mark.parametrize("check", testing.LAYER_CHECKS.values(), ids=testing.LAYER_CHECKS)
@pytest.mark.parametrize("name", ROWS)
def test_layer(name, check, monkeypatch):
    least = 1 if name.endswith("block_diagonal") else 1000
    monkeypatch.setattr("sen_tf.layers.block_diagonal.BLOCK_DIAGONAL_FROM", least)
    check(ROWS[name])


MODULES = [module.name for module in pkgutil.iter_modules(layers.__path__, "sen_tf.layers.")]


@pytest.mark.parametrize("module", [*MODULES, "sen_tf.testing"])
def test_examples_print_what_they_say(module):
    flags = doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL
    failed, _ = doctest.testmod(importlib.import_module(module), optionflags=flags)
    assert not failed
