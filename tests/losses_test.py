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
