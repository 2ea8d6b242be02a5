import numpy as np
import pytest

from sen_tf import losses


def test_energy_on_five_numbers():
    x = np.array([[[1.0, 2.0], [3.0, 4.0]]])
    y = np.array([[[1.0, 1.0], [1.0, 4.0]]])
    assert float(losses.energy(x, y)[0]) == pytest.approx(2 * (1 + 4) / 2)
    assert float(losses.energy(x, y, object_axis=False)[0]) == pytest.approx(2 * (1 + 4))
    assert float(losses.energy(x, y, sigma=1.0)[0]) == pytest.approx(0.5 * (1 + 4) / 2)


def test_the_mean_of_several_negatives_is_taken_before_the_hinge():
    zero, near, far = np.zeros((1, 1)), np.full((1, 1), 0.1), np.full((1, 1), 2.0)
    _, one = losses.contrastive_hinge(zero, zero, zero, [near], object_axis=False)
    _, both = losses.contrastive_hinge(zero, zero, zero, [near, far], object_axis=False)
    assert float(one[0]) == pytest.approx(1 - 2 * 0.01)
    assert float(both[0]) == 0.0  # the mean energy, (0.02 + 8) / 2, is beyond the hinge
    _, same = losses.contrastive_hinge(zero, zero, zero, [near, near], object_axis=False)
    assert float(same[0]) == pytest.approx(1 - 2 * 0.01)


def test_action_contrast_is_log_two_where_actions_do_nothing_and_falls_where_they_tell():
    z, after = np.zeros((2, 1, 1), np.float32), np.float32([[[1]], [[-1]]])
    undecided = losses.action_contrast(z, z, after, 2.0)
    np.testing.assert_allclose(undecided, np.log(2.0), rtol=1e-6)
    right = losses.action_contrast(after, z, after, 2.0)
    np.testing.assert_allclose(right, np.log1p(np.exp(-1.0)), rtol=1e-6)  # one unit nearer
