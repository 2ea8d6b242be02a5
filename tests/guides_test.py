"""Guides to the layers: every layer is in them, names are those of today, programs run."""

import pathlib
import re

import keras
import numpy as np
import pytest

from sen_tf import layers
from sen_tf.groups import actions

GUIDES = pathlib.Path(__file__).parents[1] / "docs" / "guides"
WHICH, ESCNN = (
    (GUIDES / name).read_text(encoding="utf-8") for name in ("which_layer.md", "from_escnn.md")
)
ROWS = re.findall(r"^\| `(\w+)` \|(.*)\|$", WHICH[WHICH.index("## All layers") :], re.MULTILINE)
BLOCKS = re.findall(r"```python\n(.*?)```", ESCNN, re.DOTALL)


def run(block, names):
    exec(compile(block, "from_escnn.md", "exec"), names)
    return names


def test_every_public_layer_is_in_the_table_once():
    public = [name for name in layers.__all__ if isinstance(getattr(layers, name), type)]
    assert sorted(name for name, _ in ROWS) == sorted(public)


@pytest.mark.parametrize("name, columns", ROWS, ids=[name for name, _ in ROWS])
def test_a_row_says_all(name, columns):
    """Group, shapes, exactness, and a counterpart that Keras has."""
    group, shapes, exactness, counterparts = (column.strip() for column in columns.split("|"))
    assert group and shapes and exactness
    names = re.findall(r"`(\w+)", counterparts)
    assert names or counterparts == "none"
    assert not [name for name in names if not hasattr(keras.layers, name)]


def test_layers_that_stand_for_those_of_escnn_are_public():
    table = ESCNN[ESCNN.index("| there | here |") : ESCNN.index("## What differs")]
    here = " ".join(line.split("|")[2] for line in table.splitlines() if line.startswith("| "))
    named = {name for name in re.findall(r"`([A-Z]\w+)", here) if name[1].islower()}
    assert named and named <= set(layers.__all__)


def test_the_same_network_there_and_here():
    ours = run(BLOCKS[1], {})
    assert ours["y"].shape == (2, 17, 17, 8)
    pytest.importorskip("e2cnn")
    import benchmarks.e2cnn_reacher  # noqa: F401, adapts e2cnn to NumPy 2

    assert run(BLOCKS[0], {})["y"].shape == (2, 8, 17, 17)


@pytest.mark.parametrize("name", ["C4", "D4"])
def test_regular_fields_of_e2cnn_turn_as_ours(name):
    gspaces = pytest.importorskip("e2cnn.gspaces")
    import torch
    from e2cnn import nn

    space = {"C4": gspaces.Rot2dOnR2, "D4": gspaces.FlipRot2dOnR2}[name](4)
    fields = nn.FieldType(space, 3 * [space.regular_repr])
    x = torch.randn(2, fields.size, 5, 5)
    elements = space.fibergroup.elements
    from_fields = run(BLOCKS[2], {})["from_fields"]
    for g, element in enumerate(elements):
        theirs = nn.GeometricTensor(x, fields).transform(element).tensor
        ours = actions.act_on_regular_image(from_fields(x, len(elements)), name, g)
        np.testing.assert_allclose(from_fields(theirs, len(elements)), ours, atol=1e-6)


def test_a_function_on_d4_is_two_on_c4():
    restricted = run(BLOCKS[3], {})["restricted"]
    x = np.random.default_rng(0).standard_normal((2, 5, 5, 8, 3)).astype("float32")
    for g in range(4):
        found = restricted(actions.act_on_regular_image(x, "D4", g))
        expected = actions.act_on_regular_image(np.asarray(restricted(x)), "C4", g)
        np.testing.assert_array_equal(found, expected)
