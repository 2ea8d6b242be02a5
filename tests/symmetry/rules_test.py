"""Rules say the field that tensors have: of every layer of ours, and of axes that are moved."""

import inspect

import keras
import numpy as np
import pytest

from sen_tf import groups, layers
from sen_tf.groups import Field, actions, fields, representations
from sen_tf.layers import output_fields
from sen_tf.symmetry import axes, graph, rules
from tests.conformance_actions import on_pixels, on_voxels
from tests.conformance_table import ROWS

RNG = np.random.default_rng(0)
WITHOUT_FIELD = {"OneHotActions"}
"""Layers of which no rule knows the field, for the user says what an action number stands for."""


def test_every_layer_says_its_field():
    public = {name for name, layer in vars(layers).items() if inspect.isclass(layer)}
    assert {n for n in public if not hasattr(getattr(layers, n), "output_field")} == WITHOUT_FIELD


def input_field(row):
    act, group = row.act_in, row.group
    return {
        on_pixels: Field(group, pixels=True),
        on_voxels: Field(group, voxels=True),
        actions.act_on_regular: Field(group, "regular"),
        actions.act_on_regular_image: Field(group, "regular", pixels=True),
    }.get(act[0] if isinstance(act, list) else act)


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if input_field(row)])
def test_the_field_that_a_layer_states_acts_as_the_conformance_table(name):
    row = ROWS[name]
    field, layer = input_field(row), row.make_layer()
    inputs = [x.shape for x in row.arrays]
    if isinstance(layer, layers.FromRegular | layers.ObjectGraph):
        y = np.asarray(layer(*row.arrays))
    else:
        y = RNG.normal(size=layer.compute_output_shape(*inputs)).astype("float32")
    stated = fields.restricted(layer.output_field(*[field] * len(inputs)), row.group)
    for g in stated.group.elements:
        np.testing.assert_allclose(
            stated.act(y, g), row.act_out(y, stated.group, g), rtol=1e-5, atol=1e-5
        )


def test_a_layer_that_is_given_no_field_invents_none():
    for row in ROWS.values():
        layer = row.make_layer()
        convolutions = layers.LiftingConv2D | layers.GroupConv2D | layers.GroupConvTranspose2D
        images = isinstance(layer, convolutions | layers.ProjectionConv2D)
        volumes = isinstance(
            layer, layers.LiftingConv3D | layers.GroupConv3D | layers.ProjectionConv3D
        )
        gathered = isinstance(layer, layers.GroupFlatten | layers.GridLifting)
        if hasattr(layer, "output_field") and not (images or volumes or gathered):
            assert layer.output_field(*[None] * len(row.arrays)) is None


def test_pooling_over_all_places_leaves_the_representation():
    for places in ({"pixels": True}, {"voxels": True}):
        pooled = output_fields.without_places(None, Field("C4", "regular", **places))
        assert pooled == Field("C4", "regular")
    assert output_fields.without_places(None, None) is None


MAPS = Field("D4", "regular", pixels=True)
SHAPE = (2, 3, 3, 8, 6)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((2, 3, 3, 48), MAPS.replace(axis=-1)),
        ((2, 9, 8, 6), MAPS.replace(pixels=(3, 3))),
        ((2, 9, 48), MAPS.replace(pixels=(3, 3), axis=-1)),
        ((2, 3, 3, 8, 2, 3), None),
        ((2, 3, 3, 16, 3), None),
        ((2, 3, 72, 2), None),
        ((2, 3, 3, 8, 6, 1), None),
    ],
)
def test_reshaped_fields_act_as_before(shape, expected):
    found = axes.reshaped(MAPS, SHAPE, shape)
    assert found == expected
    x = RNG.normal(size=SHAPE)
    for g in range(8) if found else ():
        acted = MAPS.act(x, g).reshape(shape)
        np.testing.assert_array_equal(found.act(x.reshape(shape), g), acted)
        back = axes.reshaped(found, shape, SHAPE)
        assert back == MAPS


VOLUMES = Field("O", "faces", voxels=True)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((2, 3, 3, 3, 24), VOLUMES.replace(axis=-1)),
        ((2, 27, 6, 4), VOLUMES.replace(voxels=(3, 3, 3))),
        ((2, 27, 24), VOLUMES.replace(voxels=(3, 3, 3), axis=-1)),
        ((2, 9, 3, 6, 4), None),
        ((2, 3, 3, 18, 4), None),
    ],
)
def test_reshaped_volumes_act_as_before(shape, expected):
    whole = (2, 3, 3, 3, 6, 4)
    found = axes.reshaped(VOLUMES, whole, shape)
    assert found == expected
    x = RNG.normal(size=whole)
    for g in range(24) if found else ():
        np.testing.assert_array_equal(
            found.act(x.reshape(shape), g), VOLUMES.act(x, g).reshape(shape)
        )
        assert axes.reshaped(found, shape, whole) == VOLUMES


def test_reshaped_vectors_and_images():
    assert axes.reshaped(Field("C4"), (2, 12), (2, 3, 4)) == Field("C4")
    image = Field("C4", pixels=True)
    assert axes.reshaped(image, (2, 1, 1, 6), (2, 6)) == Field("C4")
    assert axes.reshaped(image, (2, 5, 5, 6), (2, 5, 5, 2, 3)) == image
    assert axes.reshaped(image, (2, 5, 5, 6), (2, 150)) is None
    assert axes.reshaped(image, (2, None, 5, 6), (2, 5, 5, 2, 3)) is None


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ([0, 1, 2, 4, 3], MAPS.replace(axis=-1)),
        ([0, 1, 2, 3, 4], MAPS),
        ([0, 2, 1, 3, 4], MAPS),  # invisible to what follows, and convicted
        ([0, 3, 1, 2, 4], None),
        ([1, 0, 2, 3, 4], None),
    ],
)
def test_transposed_fields(order, expected):
    assert axes.transposed(MAPS, SHAPE, order) == expected


@pytest.mark.parametrize(
    ("over", "keepdims", "expected"),
    [
        ({3}, False, Field("D4", pixels=True)),
        ({1, 2}, False, Field("D4", "regular")),
        ({1, 2, 3}, False, Field("D4")),
        ({4}, False, MAPS.replace(axis=-1)),
        ({4}, True, MAPS),
        ({1}, False, None),
        ({0}, False, None),
    ],
)
def test_reduced_fields(over, keepdims, expected):
    found = axes.reduced(MAPS, SHAPE, over, keepdims)
    assert found == expected
    x = RNG.normal(size=SHAPE)
    for g in range(8) if found else ():
        kept = found.act(x.sum(tuple(over), keepdims=keepdims), g)
        np.testing.assert_allclose(MAPS.act(x, g).sum(tuple(over), keepdims=keepdims), kept)


K = keras.layers
LAYERS = [
    (K.Dense(3), (9, 9, 3), "image"),
    (K.Conv2D(3, 3), (9, 9, 3), "image"),
    (K.Conv2D(3, 3), (9, 9, 16), "image"),
    (K.GlobalAveragePooling2D(), (9, 9, 3), "invariant"),
    (K.GlobalMaxPooling2D(keepdims=True), (9, 9, 3), "invariant"),
    (K.GlobalAveragePooling3D(), (9, 9, 4, 3), "invariant"),
    (K.GlobalAveragePooling1D(), (4, 3), "invariant"),
    (K.Flatten(), (9, 9, 3), "invariant"),
    (K.GRU(3), (4, 3), "invariant"),
    (K.GRU(3, return_sequences=True), (4, 3), "regular C4"),
    (K.Reshape((81, 3)), (9, 9, 3), "tokens"),
    (K.Permute((1, 2, 4, 3)), (9, 9, 4, 3), "regular C4 in channels on pixels"),
    (K.RepeatVector(3), (5,), "invariant"),
    (K.Embedding(3, 4), (5,), "invariant"),
    (K.TimeDistributed(K.Dense(3)), (9, 9, 4, 3), "None"),
    (K.BatchNormalization(), (9, 9, 4, 3), "regular C4 on pixels"),
]


@pytest.mark.parametrize(("layer", "shape", "expected"), LAYERS)
def test_rules_of_layers_of_keras(layer, shape, expected):
    x = keras.Input(shape)
    layer = type(layer).from_config({**layer.get_config(), "name": None})
    steps = graph.of(keras.Model(x, layer(x))).steps
    field = rules.fields.by_shape("C4", (None, *shape))
    assert repr(rules.output_field(steps[0], [field], steps[0].output_shapes[0])) == expected


def test_every_rule_is_of_something_that_keras_has():
    names = {name for name in rules.RULES}
    modules = (keras.layers, keras.src.ops.numpy, keras.src.ops.nn, keras.src.ops.core)
    modules += (keras.src.ops.math,)
    assert not {name for name in names if not any(hasattr(module, name) for module in modules)}


def test_joined_vectors_have_the_sum_of_representations_whose_names_are_their_owners():
    slanted = np.array([[1.0, 1.0], [0.0, 1.0]])
    matrices = slanted @ representations.get("standard", "C4").matrices @ np.linalg.inv(slanted)
    own = representations.Representation("C4", "slanted", matrices)
    inputs = [keras.Input((2, 3)), keras.Input((4, 3))]
    joined = graph.of(keras.Model(inputs, keras.layers.Concatenate(axis=1)(inputs)))
    names = [symbol.name for symbol in joined.symbols]

    def field_of(*given):
        found = rules.all_fields(joined, groups.get("C4"), dict(zip(names, given, strict=True)))
        return found[joined.outputs[0]]

    regular = Field("C4", "regular")
    assert field_of(Field("C4", own), regular).representation == own + regular.representation
    assert field_of(Field("C2", "2 sign"), regular) is None
