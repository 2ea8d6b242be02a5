import itertools

import numpy as np
import pytest

from sen_tf import groups
from sen_tf.groups import actions, irreps, kernels, octahedral, representations, rotations

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


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_kernels_of_harmonics_turn_exactly_with_a_cube(size):
    for lo, elements in enumerate(kernels.irreps_basis(size, 2, 2)):
        for g in groups.get("O").elements:
            matrices = irreps.representation(2, actions.vector_matrix("O", g))
            moved = actions.rotate_voxels(elements, "O", g, axes=(1, 2, 3))
            block = irreps.block(lo)
            moved = np.einsum("exyzio,ai,bo->exyzab", moved, matrices, matrices[block, block])
            np.testing.assert_allclose(moved, elements, atol=1e-14)


@pytest.mark.parametrize("size", [2, 3])
def test_kernels_of_both_parities_move_exactly_with_all_symmetries_of_a_cube(size):
    for part, elements in enumerate(kernels.irreps_basis(size, 1, 1, parities=2)):
        odd, lo = divmod(part, 2)
        block = slice(irreps.block(lo).start + 4 * odd, irreps.block(lo).stop + 4 * odd)
        for g in groups.get("Oh").elements:
            matrices = irreps.parity_representation(1, actions.vector_matrix("Oh", g))
            moved = actions.rotate_voxels(elements, "Oh", g, axes=(1, 2, 3))
            moved = np.einsum("exyzio,ai,bo->exyzab", moved, matrices, matrices[block, block])
            np.testing.assert_allclose(moved, elements, atol=1e-14)


def test_each_kernel_is_of_one_parity_of_the_input():
    """Both halves together have each element of SO(3) twice, once from either parity."""
    one, two = kernels.irreps_basis(3, 2, 2), kernels.irreps_basis(3, 2, 2, parities=2)
    assert [len(elements) for elements in two] == [len(elements) for elements in (*one, *one)]
    # From scalars to vectors J is 1: even scalars have odd vectors as their gradients.
    _, even_vectors, _, odd_vectors = kernels.irreps_basis(3, 0, 1, parities=2)
    for elements, source in ((even_vectors, 1), (odd_vectors, 0)):
        assert len(elements) == 1
        assert np.any(elements[..., source, :]) and not np.any(elements[..., 1 - source, :])


def responses(elements, waves, phases, features):
    """Outputs at the centre, (elements, waves, components), for plane waves of features."""
    size = elements.shape[1]
    row, column, place = np.indices((size, size, size)) - (size - 1) / 2
    points = np.stack([column, -row, place], axis=-1)
    seen = np.cos(np.einsum("xyzi,ni->nxyz", points, waves) + phases[:, None, None, None])
    return np.einsum("exyzio,nxyz,ni->eno", elements, seen, features)


@pytest.mark.parametrize("size", [2, 3, 5, 7])
def test_kernels_of_harmonics_turn_nearly_with_every_rotation(size):
    """For waves up to half of the highest frequency, outputs miss by 1.3 to 3.3 %."""
    rng = np.random.default_rng(0)
    turns = rotations.haar(rng, 300)
    directions = rotations.haar(rng, 300)[:, 0]
    waves = np.pi / 2 * rng.uniform(size=(300, 1)) ** (1 / 3) * directions  # even in a ball
    phases, features = rng.uniform(0, 2 * np.pi, 300), rng.standard_normal((300, 9))
    matrices = irreps.representation(2, turns)
    turned = [np.einsum("nij,nj->ni", *pair) for pair in ((turns, waves), (matrices, features))]
    for lo, elements in enumerate(kernels.irreps_basis(size, 2, 2)):
        block = matrices[:, irreps.block(lo), irreps.block(lo)]
        expected = np.einsum("nij,enj->eni", block, responses(elements, waves, phases, features))
        error = np.linalg.norm(responses(elements, turned[0], phases, turned[1]) - expected)
        assert error < 0.035 * np.linalg.norm(expected)


def test_numbers_of_elements_of_the_basis():
    """From scalars: as many radii as sample the degree, r = 0, 1 and 2 for a side of 5."""
    assert [len(elements) for elements in kernels.irreps_basis(5, 0, 3)] == [3, 2, 2, 0]
    assert [len(elements) for elements in kernels.irreps_basis(3, 0, 2)] == [2, 1, 1]
    # From degrees up to 2: (l, J) = (0, 0), (1, 1) and (2, 2), with 2, 1 and 1 radii.
    assert [len(elements) for elements in kernels.irreps_basis(3, 2, 2)] == [4, 7, 7]
    assert [len(elements) for elements in kernels.irreps_basis(1, 2, 2)] == [1, 1, 1]


def test_elements_keep_the_variance_of_noise():
    for lo, elements in enumerate(kernels.irreps_basis(5, 2, 2)):
        squares = np.sum(elements**2, axis=(1, 2, 3, 4, 5))
        np.testing.assert_allclose(squares, 2 * lo + 1)
        assert not elements.flags.writeable
    assert kernels.irreps_basis(5, 2, 2) is kernels.irreps_basis(5, 2, 2)
