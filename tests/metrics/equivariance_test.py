import pathlib

import numpy as np
import pytest

from sen_tf.metrics import (
    deviation,
    distance_invariance_error,
    equivariance_error,
    is_collapsed,
    spread,
)

VECTORS = np.load(pathlib.Path(__file__).parents[1] / "parity" / "v_metrics.npz")


def test_equivariance_error_equals_the_published_one():
    rotated = np.rot90(VECTORS["ee/enc"], 1, (-2, -1))
    np.testing.assert_array_equal(rotated, VECTORS["ee/rot90_enc"])
    error = equivariance_error(rotated, VECTORS["ee/rot_enc"])
    np.testing.assert_allclose(error, VECTORS["ee/rot90_value"], rtol=1e-5)
    assert equivariance_error(rotated, rotated) == 0.0


@pytest.mark.parametrize("name, shift", [("cubes", -1), ("reacher", 1)])
def test_equivariance_error_on_the_group_axis(name, shift):
    # The published code turns the group axis by -1 (cubes), by +1 (reacher), each r in its own
    # convention.
    rotated = np.roll(VECTORS["ee/z3"], shift, axis=-1)
    np.testing.assert_array_equal(rotated, VECTORS[f"ee/z3_rolled_{name}"])
    error = equivariance_error(rotated, VECTORS["ee/rot_z3"])
    np.testing.assert_allclose(error, VECTORS[f"ee/roll_{name}_value"], rtol=1e-5)


@pytest.mark.parametrize(
    ("dtype", "expected", "actual", "largest"),
    [
        (bool, [[True, False], [True, True]], [[True, False], [False, True]], 1.0),
        ("uint8", [[0, 10], [5, 7]], [[0, 10], [6, 7]], 0.1),  # 5 - 6 would be 255
        ("int8", [[0, -128], [0, 0]], [[0, -128], [64, 0]], 0.5),
        ("float32", [[0, 10], [5, 7]], [[0, 10], [6, 7]], 0.1),
    ],
)
def test_the_number_that_is_farthest_off_is_told_of_any_dtype(dtype, expected, actual, largest):
    found = deviation(np.array(expected, dtype), np.array(actual, dtype))
    assert found.sample == 1 and found.place == (1, 0)
    assert found.of_number == pytest.approx(largest)
    assert (found.expected, found.actual) == (expected[1][0], actual[1][0])


def test_distance_invariance_error_equals_the_published_one():
    states = [VECTORS[f"die/{name}"] for name in ("inputs", "targets", "rot_inputs", "rot_targets")]
    error = distance_invariance_error(*states)
    np.testing.assert_allclose(error, VECTORS["die/normalised"], rtol=1e-5)


def test_distance_invariance_error_is_zero_for_any_rotation():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 9, 4))
    turn, _ = np.linalg.qr(rng.normal(size=(4, 4)))
    assert distance_invariance_error(x, y, x @ turn, y @ turn) < 1e-15
    assert distance_invariance_error(x, y, x @ turn, 2 * y @ turn) > 0.1


def test_spread_by_hand():
    z = np.array([[0.0, 5.0], [2.0, 5.0]])  # variances 1 and 0
    assert spread(z) == pytest.approx(np.sqrt(0.5))
    assert not is_collapsed(z)
    assert is_collapsed(np.full((10, 5, 4, 2), 3.0))
    assert is_collapsed(1e-4 * np.random.default_rng(0).normal(size=(10, 2)))


def test_undefined_where_every_output_is_zero():
    zeros = np.zeros((3, 2))
    assert np.isnan(equivariance_error(zeros, zeros))
    assert np.isnan(distance_invariance_error(zeros, zeros, zeros, zeros))


def test_errors():
    with pytest.raises(ValueError, match="`output_of_transformed` to have the shape"):
        equivariance_error(np.zeros((3, 2)), np.zeros((2, 2)))
    with pytest.raises(ValueError, match="`gy` to have the shape of `x`"):
        distance_invariance_error(*[np.ones((3, 2))] * 3, np.ones((3, 1)))
    with pytest.raises(ValueError, match="at least one sample"):
        spread(np.zeros((0, 2)))
