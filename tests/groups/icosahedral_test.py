import itertools
import math

import numpy as np
import pytest

from sen_tf import groups
from sen_tf.groups import actions, icosahedral, octahedral, representations
from sen_tf.layers import GroupDense, ToRegular
from sen_tf.testing import assert_equivariant

GOLDEN = (1 + math.sqrt(5)) / 2
CORNERS = np.array(
    [
        np.roll([0, a, b * GOLDEN], shift)
        for shift in range(3)
        for a, b in itertools.product((1, -1), repeat=2)
    ]
)


def test_its_elements_are_the_rotations_of_an_icosahedron():
    matrices = icosahedral.matrices()
    np.testing.assert_array_equal(matrices[:12], octahedral.matrices("T"))
    np.testing.assert_allclose(np.linalg.det(matrices), 1)
    assert len({tuple(np.round(m.ravel(), 6)) for m in matrices + 0.0}) == 60
    for matrix in matrices:
        distances = np.linalg.norm((CORNERS @ matrix.T)[:, None] - CORNERS, axis=-1)
        np.testing.assert_allclose(distances.min(axis=1), 0, atol=1e-12)
    # By angle: 24 of 72 and 144 degrees about corners, 20 of 120, 15 of 180, one of none.
    traces, counts = np.unique(
        np.round(np.trace(matrices, axis1=1, axis2=2), 6), return_counts=True
    )
    assert dict(zip(traces, counts, strict=True)) == {
        -1: 15,
        round(1 - GOLDEN, 6): 12,
        0: 20,
        round(GOLDEN, 6): 12,
        3: 1,
    }


def test_products_are_those_of_matrices():
    group, matrices = groups.get("I"), icosahedral.matrices()
    assert group is groups.get("I") and group.config == "I" and group.order == 60
    np.testing.assert_allclose(
        matrices[group.product], np.einsum("gij,hjk->ghik", matrices, matrices), atol=1e-14
    )


def test_vectors_enter_dense_layers():
    door, dense = ToRegular("I", "standard"), GroupDense("I", 2)

    def network(x):
        return dense(door(x))

    standard = representations.get("standard", "I").matrices
    assert_equivariant(
        network, (2, 3), "I", lambda x, group, g: x @ standard[g].T, actions.act_on_regular
    )


def test_voxels_are_refused():
    with pytest.raises(ValueError, match="`group`.*received group=I"):
        actions.space_matrices("I")
