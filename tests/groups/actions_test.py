import pathlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sen_tf.groups import actions, finite, get

GRID = ["C1", "C2", "C4", "D1", "D2", "D4"]
ANY = [*GRID, "C3", "D3", "C8", "D6"]
PARITY = pathlib.Path(__file__).parents[1] / "parity"


def _acts(act, group):
    """Asserts that `act(x, g)`, started from `act(None, g)`, is a left action."""
    for g in group.elements:
        for h in group.elements:
            np.testing.assert_allclose(
                act(act(None, h), g), act(None, group.product[g, h]), atol=1e-12
            )


@pytest.mark.parametrize("name", GRID)
@pytest.mark.parametrize("size", [1, 2, 3, 6])
def test_grid_action(name, size):
    x = np.arange(2 * size * size).reshape(2, size, size)
    _acts(lambda y, g: actions.rotate_grid(x if y is None else y, name, g), get(name))


@pytest.mark.parametrize("name", ANY)
def test_regular_action(name):
    group = get(name)
    x = np.arange(3 * group.order * 2).reshape(3, group.order, 2)
    _acts(lambda y, g: actions.act_on_regular(x if y is None else y, group, g), group)


@pytest.mark.parametrize("name", GRID)
def test_regular_image_action(name):
    group = get(name)
    x = np.arange(2 * 3 * 3 * group.order).reshape(1, 3, 3, group.order, 2)
    _acts(lambda y, g: actions.act_on_regular_image(x if y is None else y, group, g), group)


@pytest.mark.parametrize("name", ANY)
def test_vector_action(name):
    group = get(name)
    _acts(
        lambda y, g: actions.vector_matrix(group, g) @ (np.eye(2) if y is None else y),
        group,
    )


@settings(deadline=None)
@given(st.sampled_from(ANY), st.data())
def test_regular_action_moves_the_bump_at_h_to_gh(name, data):
    group = get(name)
    g, h = (data.draw(st.sampled_from(group.elements)) for _ in range(2))
    bumps = np.eye(group.order)
    np.testing.assert_array_equal(
        actions.act_on_regular(bumps[h], name, g, axis=0), bumps[group.product[g, h]]
    )


def test_conventions():
    image = np.array([[1, 2], [3, 4]])
    np.testing.assert_array_equal(actions.rotate_grid(image, "C4", 1), [[2, 4], [1, 3]])
    np.testing.assert_array_equal(actions.rotate_grid(image, "C2", 1), [[4, 3], [2, 1]])
    np.testing.assert_array_equal(actions.rotate_grid(image, "D1", 1), [[2, 1], [4, 3]])
    # r f: first the mirror, then the turn.
    np.testing.assert_array_equal(
        actions.rotate_grid(image, "D4", 5), np.rot90(np.flip(image, 1), 1)
    )
    np.testing.assert_array_equal(actions.vector_matrix("C4", 1), [[0, -1], [1, 0]])
    np.testing.assert_array_equal(actions.vector_matrix("D4", 4), [[-1, 0], [0, 1]])
    np.testing.assert_allclose(
        actions.vector_matrix("C3", 1) @ [1, 0], [-0.5, np.sqrt(3) / 2], atol=1e-12
    )


@pytest.mark.parametrize("name", GRID)
def test_pixels_move_as_vectors_do(name):
    """The pixel at (x, y) from the centre goes to where the vector (x, y) goes."""
    for g in get(name).elements:
        for x, y in [(1, 0), (0, 1), (1, 1), (-2, 1)]:
            image = np.zeros((5, 5))
            image[2 - y, 2 + x] = 1
            moved_x, moved_y = (actions.vector_matrix(name, g) @ [x, y]).astype(int)
            assert actions.rotate_grid(image, name, g)[2 - moved_y, 2 + moved_x] == 1


@pytest.mark.parametrize("name", GRID)
@pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
def test_kernel_indices(name, size):
    kernel = np.random.default_rng(0).normal(size=(size, size))
    indices = actions.kernel_indices(name, size)
    assert indices.shape == (get(name).order, size, size)
    for g in get(name).elements:
        np.testing.assert_array_equal(
            kernel.reshape(-1)[indices[g]], actions.rotate_grid(kernel, name, g)
        )


def test_grid_axes_can_be_named():
    x = np.arange(2 * 3 * 3 * 5).reshape(2, 3, 3, 5)
    np.testing.assert_array_equal(
        actions.rotate_grid(x, "C4", 1, axes=(1, 2)), np.rot90(x, 1, (1, 2))
    )


@pytest.mark.parametrize("name, degrees", [("C3", 120), ("D3", 120), ("C8", 45)])
def test_grids_have_no_other_turns(name, degrees):
    with pytest.raises(ValueError, match=f"C1, C2, C4.*g=1 of {name}, which turns by {degrees}"):
        actions.rotate_grid(np.zeros((3, 3)), name, 1)


@pytest.mark.parametrize(
    "name, elements",
    [("C3", [0]), ("C6", [0, 3]), ("C8", [0, 2, 4, 6]), ("D3", [0, 3]), ("D4", list(range(8)))],
)
def test_elements_that_map_pixels_to_pixels(name, elements):
    assert actions.grid_elements(name) == elements
    image, (_, n) = np.arange(9).reshape(3, 3), finite.family(name)
    for g in elements:
        turns, mirrored = finite.normal_form(name, g)
        expected = np.rot90(image[:, ::-1] if mirrored else image, turns * 4 // n)
        np.testing.assert_array_equal(actions.rotate_grid(image, name, g), expected)


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="size 4 on axis -2"):
        actions.act_on_regular(np.zeros((3, 2)), "C4", 1)
    with pytest.raises(ValueError, match="element of C4"):
        actions.act_on_regular(np.zeros((4, 2)), "C4", -1)
    with pytest.raises(ValueError, match="element of C4"):
        actions.vector_matrix("C4", 4)


@pytest.mark.parametrize("case", ["t2r", "r2r", "r2t"])
def test_published_images_move_alike(case):
    """e2cnn's transformed inputs and outputs: channel = field * 4 + element for regular fields."""
    vectors = np.load(PARITY / "vii_e2cnn_C4.npz")
    for side, kind in (("x", case[0]), ("y", case[2])):
        image = vectors[f"{case}/{side}"]
        for g in get("C4").elements:
            if kind == "t":
                moved = actions.rotate_grid(image, "C4", g)
            else:
                fields = image.reshape(len(image), -1, 4, *image.shape[2:]).transpose(0, 3, 4, 2, 1)
                moved = actions.act_on_regular_image(fields, "C4", g)
                moved = moved.transpose(0, 4, 3, 1, 2).reshape(image.shape)
            np.testing.assert_allclose(moved, vectors[f"{case}/{side}_g"][g], atol=2e-5)
