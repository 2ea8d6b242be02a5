import itertools

import numpy as np
import pytest

from sen_tf import groups
from sen_tf.groups import actions, octahedral, representations
from sen_tf.groups.octahedral import generated, mirror, turn

CUBE = groups.get("O")
ABOUT_X = generated(turn("x"))
PRISM = generated(turn("z"), turn("x", 2))
KLEIN = generated(turn("x", 2), turn("y", 2))
IN_SPACE = ["C1", "C2", "C4", "D1", "D2", "D4", "T", "O", "Oh", ABOUT_X, PRISM, KLEIN]


def test_its_elements_are_the_rotations_of_a_cube():
    matrices = octahedral.matrices()
    assert matrices.shape == (24, 3, 3) and len({m.tobytes() for m in matrices}) == 24
    np.testing.assert_array_equal(matrices[0], np.eye(3))
    np.testing.assert_allclose(np.linalg.det(matrices), 1)
    corners = np.array(np.meshgrid(*[[-1, 1]] * 3)).reshape(3, -1).T
    for matrix in matrices:
        assert {tuple(c) for c in corners @ matrix.T} == {tuple(c) for c in corners}
    # Turns of a cube by class: one at rest, 9 about faces, 8 about corners, 6 about edges.
    traces, counts = np.unique(np.trace(matrices, axis1=1, axis2=2), return_counts=True)
    assert dict(zip(traces, counts, strict=True)) == {-1: 9, 0: 8, 1: 6, 3: 1}


def test_it_is_a_group_with_a_name():
    assert groups.get("O") is CUBE and CUBE.config == "O" and CUBE.order == 24
    for g in (3, 10):
        for h in (7, 23):
            np.testing.assert_array_equal(
                actions.vector_matrix(CUBE, CUBE.product[g, h]),
                actions.vector_matrix(CUBE, g) @ actions.vector_matrix("O", h),
            )


@pytest.mark.parametrize("name", ["T", "O", "Oh", ABOUT_X, PRISM, KLEIN])
def test_products_are_those_of_matrices(name):
    group, matrices = groups.get(name), octahedral.matrices(name)
    assert (group.name, group.config, len(matrices)) == (name, name, group.order)
    np.testing.assert_array_equal(matrices[0], np.eye(3))
    np.testing.assert_array_equal(
        matrices[group.product], np.einsum("gij,hjk->ghik", matrices, matrices)
    )
    assert not matrices.flags.writeable


def test_all_symmetries_are_the_rotations_then_their_products_with_the_inversion():
    every = octahedral.matrices("Oh")
    np.testing.assert_array_equal(every[:24], octahedral.matrices())
    np.testing.assert_array_equal(every[24:], -octahedral.matrices("O"))


def test_turns_and_mirrors():
    np.testing.assert_array_equal(turn("x") @ [0, 1, 0], [0, 0, 1])
    np.testing.assert_array_equal(turn("y") @ [0, 0, 1], [1, 0, 0])
    np.testing.assert_array_equal(turn("z", 3) @ [0, 1, 0], [1, 0, 0])
    np.testing.assert_array_equal(turn("z")[:2, :2], actions.vector_matrix("C4", 1))
    np.testing.assert_array_equal(mirror("y"), np.diag([1, -1, 1]))
    for wrong in (lambda: turn("w"), lambda: mirror("xy"), lambda: turn("")):
        with pytest.raises(ValueError, match="`axis`"):
            wrong()


def test_groups_are_named_by_what_generates_them():
    """Orders of the groups that Winkels and Cohen, and Worrall and Brostow, use."""
    assert generated() == "Oh(0)" and groups.get(generated()).order == 1
    assert generated(turn("x"), turn("y")) == "O"
    assert generated(turn("y"), -np.eye(3), turn("z")) == "Oh"
    assert generated(turn("z", 2), turn("x") @ turn("y")) == "T"
    assert generated(turn("z"), mirror("x")) == generated(mirror("y"), turn("z", 3))
    orders = {KLEIN: 4, ABOUT_X: 4, PRISM: 8, generated(turn("z"), mirror("x"), mirror("z")): 16}
    for name, order in orders.items():
        assert groups.get(name).order == order
    with pytest.raises(ValueError, match="`generators`.*one 1 or -1 per row"):
        generated(2 * np.eye(3))
    with pytest.raises(ValueError, match="`generators`"):
        generated(np.eye(2))


def test_a_list_of_all_rotations_is_the_group_of_rotations():
    assert groups.get(f"Oh({','.join(map(str, range(24)))})") is CUBE


@pytest.mark.parametrize("name", ["Oh(0,4)", "Oh(1,0)", "Oh(0,0)", "Oh(0,48)", "Oh(3)"])
def test_lists_that_are_no_subgroup_are_refused(name):
    with pytest.raises(ValueError, match="subgroup of Oh"):
        groups.get(name)
    own = groups.FiniteGroup(name, [[0]])  # a name of your own is no name of ours
    assert own.config == {"name": name, "product": [[0]]}
    with pytest.raises(ValueError, match="`group`"):
        actions.space_matrices(own)


@pytest.mark.parametrize("name", IN_SPACE)
def test_voxels_move_as_vectors_do(name):
    """The voxel at (x, y, z) from the centre goes to where the vector (x, y, z) goes."""
    group = groups.get(name)
    for g, (x, y, z) in itertools.product(group.elements, [(1, 0, 0), (-2, 1, 0), (2, -1, 1)]):
        volume = np.zeros((5, 5, 5))
        volume[2 - y, 2 + x, 2 + z] = 1
        x, y, z = (actions.space_matrices(group)[g] @ [x, y, z]).astype(int)
        assert actions.rotate_voxels(volume, name, g)[2 - y, 2 + x, 2 + z] == 1


@pytest.mark.parametrize("name", IN_SPACE)
def test_voxels_obey_the_group_law(name):
    group, volume = groups.get(name), np.arange(2 * 2 * 3 * 4).reshape(2, 2, 3, 4)
    for g, h in itertools.product(group.elements, repeat=2):
        np.testing.assert_array_equal(
            actions.rotate_voxels(actions.rotate_voxels(volume, group, h), group, g),
            actions.rotate_voxels(volume, group, group.product[g, h]),
        )


@pytest.mark.parametrize("name", ["C1", "C2", "C4", "D1", "D2", "D4"])
def test_slices_turn_as_images_do(name):
    volume = np.random.default_rng(0).standard_normal((2, 3, 4, 5, 2))
    for g in groups.get(name).elements:
        np.testing.assert_array_equal(
            actions.rotate_voxels(volume, name, g, axes=(1, 2, 3)),
            actions.rotate_grid(volume, name, g, axes=(1, 2)),
        )


def test_axes_of_volumes_can_be_named():
    volume = np.random.default_rng(0).standard_normal((2, 3, 4, 5))
    for g in CUBE.elements:
        np.testing.assert_array_equal(
            actions.rotate_voxels(volume.transpose(0, 3, 2, 1), "O", g, axes=(3, 2, 1)),
            actions.rotate_voxels(volume, "O", g).transpose(0, 3, 2, 1),
        )


@pytest.mark.parametrize("name", IN_SPACE)
@pytest.mark.parametrize("size", [1, 2, 3])
def test_voxel_indices(name, size):
    kernel = np.random.default_rng(0).normal(size=(size, size, size))
    indices = actions.voxel_indices(name, size)
    assert indices.shape == (groups.get(name).order, size, size, size)
    for g in groups.get(name).elements:
        np.testing.assert_array_equal(
            kernel.reshape(-1)[indices[g]], actions.rotate_voxels(kernel, name, g)
        )


def test_regular_volumes_move_voxels_and_elements():
    x = np.random.default_rng(0).standard_normal((2, 3, 3, 3, 24, 2))
    moved = actions.act_on_regular_volume(x, "O", 5)
    np.testing.assert_array_equal(
        moved[..., CUBE.product[5, 7], :],
        actions.rotate_voxels(x[..., 7, :], "O", 5, axes=(1, 2, 3)),
    )


def test_axes_that_are_run_through_backwards():
    """A turn by a third may exchange rows, columns and slices alone; a half turn reverses two."""
    cycle = np.array([[0, 0, 1], [-1, 0, 0], [0, -1, 0]])
    expected = {
        "C1": (False, False, False),
        "C4": (True, True, False),
        "D1": (False, True, False),
        "O": (True, True, True),
        ABOUT_X: (True, False, True),
        generated(mirror("y")): (True, False, False),
        generated(turn("z", 2)): (True, True, False),
        generated(cycle): (False, False, False),
    }
    for name, axes in expected.items():
        assert actions.reversed_axes(name) == axes


def test_faces_and_corners_of_a_cube():
    faces = representations.get("faces", "O")
    assert faces.dimension == 6 and faces.name == "faces"
    about_z = int(np.flatnonzero((octahedral.matrices() == turn("z")).all((1, 2)))[0])
    # x -> y -> -x -> -y -> x
    np.testing.assert_array_equal(faces.matrices[about_z].argmax(axis=0), [2, 3, 1, 0, 4, 5])
    np.testing.assert_array_equal(
        representations.get("corners", "D1").matrices[1].argmax(axis=0), [4, 5, 6, 7, 0, 1, 2, 3]
    )
    for name, order in (("O", 24), ("Oh", 48), ("T", 12)):
        # All are reached alike: the first is left alone by |G| / 6 or |G| / 8 elements.
        assert np.sum(actions.cube_permutations(name, "faces")[:, 0] == 0) == order // 6
        on_corners = actions.cube_permutations(name, "corners")
        assert np.sum(on_corners[:, 0] == 0) == (3 if name == "T" else order // 8)
    with pytest.raises(ValueError, match="`group`.*received group=C3"):
        representations.get("faces", "C3")


def test_it_acts_on_vectors_and_functions_but_not_on_pixels():
    assert representations.get("2 standard + trivial", "O").dimension == 7
    assert representations.get("standard", "Oh").matrices.shape == (48, 3, 3)
    assert representations.get("regular", "O").dimension == 24
    for refused in (
        lambda: actions.rotate_grid(np.eye(3), "O", 1),
        lambda: groups.finite.family(CUBE),
    ):
        with pytest.raises(ValueError, match="received group=O"):
            refused()
