"""Fields: they act as the conventions say, on every axis, and under subgroups."""

import numpy as np
import pytest

from sen_tf import groups
from sen_tf.groups import Field, actions, fields, representations

RNG = np.random.default_rng(0)
PLANAR = ("C1", "C2", "C4", "D1", "D2", "D4")


@pytest.mark.parametrize("group", PLANAR)
def test_it_acts_as_the_conventions_say(group):
    order = groups.get(group).order
    image, maps = RNG.normal(size=(2, 5, 5, 3)), RNG.normal(size=(2, 5, 5, order, 3))
    f = RNG.normal(size=(2, order, 3))
    for g in groups.get(group).elements:
        turned = actions.rotate_grid(image, group, g, axes=(1, 2))
        np.testing.assert_array_equal(Field(group, pixels=True).act(image, g), turned)
        tokens = Field(group, pixels=(5, 5)).act(image.reshape(2, 25, 3), g)
        np.testing.assert_array_equal(tokens, turned.reshape(2, 25, 3))
        regular = Field(group, "regular", pixels=True)
        expected = actions.act_on_regular_image(maps, group, g)
        np.testing.assert_array_equal(regular.act(maps, g), expected)
        merged = regular.replace(axis=-1).act(maps.reshape(2, 5, 5, -1), g)
        np.testing.assert_array_equal(merged, expected.reshape(2, 5, 5, -1))
        np.testing.assert_array_equal(
            Field(group, "regular").act(f, g), actions.act_on_regular(f, group, g)
        )
        np.testing.assert_array_equal(Field(group).act(f, g), f)


@pytest.mark.parametrize("group", ["T", "O", "Oh", "D4"])
def test_it_moves_voxels_as_the_conventions_say(group):
    group = groups.get(group)
    volume, parts = RNG.normal(size=(2, 3, 3, 3, 2)), RNG.normal(size=(2, 3, 3, 3, 6, 2))
    rho = representations.get("faces", group)
    for g in group.elements:
        moved = actions.rotate_voxels(volume, group, g, axes=(1, 2, 3))
        np.testing.assert_array_equal(Field(group, voxels=True).act(volume, g), moved)
        tokens = Field(group, voxels=(3, 3, 3)).act(volume.reshape(2, 27, 2), g)
        np.testing.assert_array_equal(tokens, moved.reshape(2, 27, 2))
        expected = rho.matrices[g] @ actions.rotate_voxels(parts, group, g, axes=(1, 2, 3))
        np.testing.assert_array_equal(Field(group, "faces", voxels=True).act(parts, g), expected)
    with pytest.raises(ValueError, match="`pixels` or `voxels`; received both"):
        Field(group, pixels=True, voxels=True)


@pytest.mark.parametrize("name", ["quotient(0,4)", "standard", "sign + regular"])
def test_it_acts_by_the_matrices_of_its_representation(name):
    rho = representations.get(name, "D4")
    x = RNG.normal(size=(2, 5, 5, rho.dimension, 3)).astype("float32")
    for g in range(8):
        acted = Field("D4", rho, pixels=True).act(x, g)
        turned = actions.rotate_grid(x, "D4", g, axes=(1, 2))
        np.testing.assert_allclose(acted, rho.matrices[g] @ turned, atol=1e-6)
        assert acted.dtype == x.dtype


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_it_keeps_numbers_as_they_are_where_it_permutes(dtype):
    x = RNG.normal(size=(2, 4, 3)).astype(dtype)
    for name in ("regular", "permutation(3,0,1,2)", "quotient(0)"):
        acted = Field("C4", name).act(x, 1)
        assert acted.dtype == x.dtype
        np.testing.assert_array_equal(np.sort(acted, axis=1), np.sort(x, axis=1))


def test_it_prints_shortly_and_is_a_value():
    printed = {
        "image": Field("C4", pixels=True),
        "invariant": Field("C4"),
        "tokens": Field("C4", pixels=(3, 3)),
        "regular C4 on pixels": Field("C4", "regular", pixels=True),
        "regular C4 in channels on pixels": Field("C4", "regular", pixels=True, axis=-1),
        "quotient(0,2) C4 on tokens": Field("C4", "quotient(0,2)", pixels=[3, 3]),
        "standard D3": Field("D3", "standard"),
        "volume": Field("O", voxels=True),
        "faces O on voxels": Field("O", "faces", voxels=True),
    }
    assert {name: repr(field) for name, field in printed.items()} == {k: k for k in printed}
    assert Field("C4", "regular") == Field(groups.get("C4"), "regular") != Field("D2", "regular")
    assert len({Field("C4"), Field("C4", "trivial"), Field("C4", pixels=True)}) == 2


@pytest.mark.parametrize(
    ("small", "large"),
    [("C2", "C4"), ("C4", "D4"), ("D2", "D4"), ("D1", "D4"), ("C4", "O"), ("D4", "Oh"), ("T", "O")],
)
def test_a_subgroup_acts_as_its_elements_do_in_the_whole(small, large):
    elements = fields.subgroup(small, large)
    in_plane = large[0] in "CD"
    places = "pixels" if in_plane else "voxels"
    whole = Field(large, "regular", **{places: True})
    part = fields.restricted(whole, small)
    x = RNG.normal(size=(2, *([5] * (2 if in_plane else 3)), groups.get(large).order, 3))
    product = groups.get(large).product
    for g in groups.get(small).elements:
        np.testing.assert_array_equal(part.act(x, g), whole.act(x, elements[g]))
        for h in groups.get(small).elements:
            gh = groups.get(small).product[g, h]
            assert product[elements[g], elements[h]] == elements[gh]


@pytest.mark.parametrize(
    ("small", "large"), [("C4", "D2"), ("D2", "C4"), ("C3", "C4"), ("D1", "O"), ("C3", "O")]
)
def test_what_is_no_subgroup_has_no_elements(small, large):
    assert fields.subgroup(small, large) is None
    assert fields.restricted(Field(large, "regular"), small) is None
    assert fields.restricted(Field(large, pixels=True), small) == Field(small, pixels=True)


def test_a_group_that_does_not_act_on_pixels_is_refused_where_it_should():
    maps = Field("C8", "regular", pixels=True)
    x = RNG.normal(size=(2, 5, 5, 8, 3))
    with pytest.raises(ValueError, match="C1, C2, C4, D1, D2 and D4"):
        maps.act(x, 1)
    quarter = fields.restricted(maps, "C4").act(x, 1)
    turned = actions.rotate_grid(x, "C4", 1, axes=(1, 2))
    np.testing.assert_array_equal(quarter, actions.act_on_regular(turned, "C8", 2))


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((None,), Field("C4")),
        ((None, 7), Field("C4")),
        ((None, 4, 7), Field("C4", "regular")),
        ((None, 9, 9, 4), Field("C4", pixels=True)),
        ((None, 9, 9, 4, 2), Field("C4", "regular", pixels=True)),
        ((None, 9, 9, 9, 2), Field("C4", voxels=True)),
        ((None, 9, 9, 9, 4, 2), Field("C4", "regular", voxels=True)),
        ((None, 5, 7), None),
        ((None, 9, 9, 9, 5, 2), None),
        ((None, 9, 9, 9, 9, 4, 2), None),
    ],
)
def test_inputs_are_read_by_their_shape(shape, expected):
    assert fields.by_shape("C4", shape) == expected


def test_groups_of_space_have_volumes_and_others_none():
    assert fields.by_shape("O", (None, 5, 5, 24, 2)) == Field("O", voxels=True)
    assert fields.by_shape("O", (None, 5, 5, 5, 24, 2)) == Field("O", "regular", voxels=True)
    assert fields.by_shape("C8", (None, 5, 5, 8, 2)) == Field("C8", "regular", pixels=True)
    assert (
        fields.by_shape("C8", (None, 5, 5, 5, 2)) is fields.by_shape("I", (None, *[5] * 4)) is None
    )


def test_rotations_act_on_irreps_and_reflections_do_not():
    rho = fields.of_irreps("C4", 1)
    x, y, z = RNG.normal(size=3)
    np.testing.assert_allclose(rho.matrices[1] @ [1, x, y, z], [1, -y, x, z], atol=1e-12)
    np.testing.assert_allclose(fields.of_vectors("O").matrices[5], actions.vector_matrix("O", 5))
    assert fields.of_irreps("D4", 1) is fields.of_vectors("D1") is None
    mirror = fields.of_irreps("D1", 1, "O3").matrices[1]  # even parts turn as by -R
    np.testing.assert_allclose(mirror, np.diag([1, 1, -1, -1, -1, -1, 1, 1]), atol=1e-12)
    np.testing.assert_array_equal(fields.of_vectors("D1", "O3").matrices[1], np.diag([-1, 1, 1]))
    klein = groups.FiniteGroup("V", [[0, 1, 2, 3], [1, 0, 3, 2], [2, 3, 0, 1], [3, 2, 1, 0]])
    assert fields.of_irreps(klein, 1) is None


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="Expected `axis` to be -2 or -1; received axis=1"):
        Field("C4", axis=1)
    for name, sizes in (("pixels", (3, 3, 3)), ("voxels", (3, 3))):
        with pytest.raises(ValueError, match=f"`{name}` to hold . sizes; received"):
            Field("C4", **{name: sizes})
    with pytest.raises(ValueError, match="a representation of C4"):
        Field("D4", Field("C4", "regular").representation)
    field = Field("C4", "regular", pixels=True)
    for shape in ((2, 5, 5, 3, 2), (2, 4, 3), (2,)):
        with pytest.raises(ValueError, match="Expected `x` to be a field regular C4 on pixels"):
            field.act(np.zeros(shape), 1)
    with pytest.raises(ValueError, match="an element of C4"):
        field.act(np.zeros((2, 5, 5, 4, 3)), 4)
