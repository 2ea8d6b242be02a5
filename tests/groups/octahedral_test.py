import numpy as np
import pytest

from sen_tf import groups
from sen_tf.groups import actions, octahedral, representations

CUBE = groups.get("O")


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


def test_it_acts_on_vectors_and_functions_but_not_on_pixels():
    assert representations.get("2 standard + trivial", "O").dimension == 7
    assert representations.get("regular", "O").dimension == 24
    for refused in (
        lambda: actions.rotate_grid(np.eye(3), "O", 1),
        lambda: groups.finite.family(CUBE),
    ):
        with pytest.raises(ValueError, match="received group=O"):
            refused()
