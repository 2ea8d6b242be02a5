import itertools

import numpy as np
import pytest

from sen_tf import groups
from sen_tf.groups import actions, kernels, octahedral, representations

ABOUT_X = octahedral.generated(octahedral.turn("x"))
FIELDS = ("trivial", "faces", "corners", "regular", "faces + trivial")
GROUPS = ("C1", "C4", "D4", "T", "O", ABOUT_X)


def orbits(group, size, inputs, outputs):
    return kernels.voxel_orbits(
        size, representations.get(inputs, group), representations.get(outputs, group)
    )


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("inputs, outputs", itertools.product(FIELDS, FIELDS[:3]))
def test_entries_of_an_orbit_are_those_that_the_group_exchanges(group, inputs, outputs):
    """Random numbers, one for each orbit, make a kernel that the group leaves alone."""
    table = orbits(group, 3, inputs, outputs)
    kernel = np.random.default_rng(0).standard_normal(table.max() + 1)[table]
    i, o = (representations.get(name, group).matrices for name in (inputs, outputs))
    for g in groups.get(group).elements:
        moved = actions.rotate_voxels(kernel, group, g, axes=(0, 1, 2))
        moved = np.einsum("...io,ai,bo->...ab", moved, i[g], o[g])
        np.testing.assert_array_equal(moved, kernel)


@pytest.mark.parametrize("group", [*GROUPS, "Oh"])
@pytest.mark.parametrize("inputs, outputs", itertools.product(FIELDS, FIELDS[:3]))
@pytest.mark.parametrize("size", [1, 2, 3])
def test_there_are_as_many_orbits_as_burnside_counts(group, inputs, outputs, size):
    """So no kernel that commutes with the group is missing."""
    voxels = actions.voxel_indices(group, size).reshape(groups.get(group).order, -1)
    kept = np.sum(voxels == np.arange(size**3), axis=1).astype(float)
    for name in (inputs, outputs):
        kept *= np.trace(representations.get(name, group).matrices, axis1=1, axis2=2)
    table = orbits(group, size, inputs, outputs)
    assert len(np.unique(table)) == table.max() + 1 == kept.mean()


def test_known_numbers_of_free_parameters():
    """A kernel 3x3x3 about the axis of a face: its centre, edges and corners, in three layers."""
    assert orbits("O", 3, "trivial", "faces").max() + 1 == 9
    assert orbits("Oh", 3, "trivial", "trivial").max() + 1 == 4
    assert orbits("Oh", 3, "trivial", "regular").max() + 1 == 27
    # Burnside by hand: the identity keeps 27 x 36 entries, 3 half turns and 6 quarter turns about
    # faces 3 x 4 each, and all others none, for they move every face.
    assert orbits("O", 3, "faces", "faces").max() + 1 == (27 * 36 + 9 * 12) / 24


def test_orbits_are_in_the_order_of_voxels_and_elements():
    table = orbits("O", 2, "regular", "regular")
    np.testing.assert_array_equal(table[..., 0].reshape(-1), np.arange(8 * 24))
    assert not table.flags.writeable
    assert table is orbits("O", 2, "regular", "regular")


def test_representations_that_do_not_permute_are_refused():
    with pytest.raises(ValueError, match="`representation`.*faces.*received.*standard"):
        orbits("O", 2, "standard", "faces")
    with pytest.raises(ValueError, match="`group`.*received group=C3"):
        orbits("C3", 2, "regular", "regular")
    np.testing.assert_array_equal(
        kernels.permutation(representations.get("regular", "O")), groups.get("O").product
    )
