import numpy as np
import pytest
from scipy import special

from sen_tf.groups import actions, finite, harmonics


@pytest.mark.parametrize(
    "size, functions", [(1, 1), (2, 3), (3, 6), (4, 8), (5, 11), (7, 20), (9, 33)]
)
def test_functions_are_as_many_as_the_rings_carry_and_independent(size, functions):
    sampled = harmonics.sampled(size)
    assert sampled.shape == (size**2, functions) == (size**2, len(harmonics.frequencies_of(size)))
    assert np.linalg.matrix_rank(sampled) == functions


def test_functions_by_hand():
    """A window of 3 x 3: the centre, then a ring of one pixel with frequencies 0, 1 and 2."""
    near, far = np.exp(-0.0), np.exp(-((np.sqrt(2) - 1) ** 2) / (2 * 0.4**2))
    centre = np.exp(-1 / (2 * 0.4**2))
    assert harmonics.frequencies_of(3).tolist() == [0, 0, 1, 1, 2, 2]
    functions = harmonics.sampled(3).T.reshape(6, 3, 3)
    np.testing.assert_array_equal(functions[0], [[0, 0, 0], [0, 1, 0], [0, 0, 0]])
    ring = np.array([[far, near, far], [near, centre, near], [far, near, far]])
    np.testing.assert_allclose(functions[1], ring / np.linalg.norm(ring), atol=1e-12)
    size = np.sqrt((4 * near**2 + 4 * far**2) / 2)
    cosine = np.array([[-(0.5**0.5) * far, 0, 0.5**0.5 * far], [-near, 0, near]])
    np.testing.assert_allclose(functions[2][:2], cosine / size, atol=1e-12)
    double_sine = np.array([[-far, 0, far], [0, 0, 0], [far, 0, -far]])
    np.testing.assert_allclose(functions[5], double_sine / size, atol=1e-12)


def test_frequencies_can_be_capped():
    assert harmonics.frequencies_of(5, 1).tolist() == [0, 0, 1, 1, 0, 1, 1]
    assert harmonics.frequencies_of(5, 0).tolist() == [0, 0, 0]
    assert harmonics.frequencies_of(5, 9).tolist() == harmonics.frequencies_of(5).tolist()


@pytest.mark.parametrize("name", ["C1", "C4", "C5", "C8", "D1", "D3", "D4", "D8"])
def test_the_action_is_a_representation(name):
    group = finite.get(name)
    matrices = harmonics.action(group, harmonics.frequencies_of(5))
    np.testing.assert_array_equal(matrices[0], np.eye(11))
    products = np.einsum("gij,hjk->ghik", matrices, matrices)
    np.testing.assert_allclose(products, matrices[group.product], atol=1e-12)


@pytest.mark.parametrize("size", [2, 3, 4, 5, 7])
@pytest.mark.parametrize("name", ["C2", "C4", "C8", "D1", "D3", "D4", "D6", "D8"])
def test_quarter_turns_and_mirrors_move_pixels_to_the_bit(name, size):
    group = finite.get(name)
    turned = harmonics.turned(group, size).reshape(group.order, size, size, -1)
    for g in actions.grid_elements(group):
        expected = actions.rotate_grid(turned[0], group, g, axes=(0, 1))
        np.testing.assert_array_equal(turned[g], expected)


def test_other_turns_are_those_of_the_functions_themselves():
    """A kernel turned by 45 degrees, at the pixels on the axes, is what stood on the diagonals."""
    ring = harmonics.sampled(3)[:, 2:4]  # cos phi and sin phi
    turned = harmonics.turned(finite.get("C8"), 3)[1][:, 2:4]
    right, up, corner = 5, 1, 2
    profile = np.linalg.norm(ring[right]) / np.linalg.norm(ring[corner])
    np.testing.assert_allclose(turned[up], profile * ring[corner], atol=1e-6)
    assert turned.dtype == np.float32 and not turned.flags.writeable


@pytest.mark.parametrize("size", [3, 4, 5, 7, 9])
def test_frequencies_end_where_aliases_begin(size):
    """Beyond 2 r the share of an answer to plane waves that is an alias jumps, up to 2 pixels."""
    for ring in harmonics.rings(size):
        if ring.radius == 0:
            continue
        defects = [defect(size, ring, q) for q in range(int(2 * ring.radius) + 2)]
        assert max(defects[: ring.frequency + 1]) < 0.035
        if ring.radius <= 2 and ring.radius < (size - 1) / 2:
            assert defects[-1] > 8 * max(defects[:-1])
            assert ring.frequency == int(2 * ring.radius)


def defect(size, ring, q):
    """The share of a sampled function's answer to plane waves below 0.85 pi that is not of q."""
    row, column = np.divmod(np.arange(size**2), size)
    z = column - (size - 1) / 2 + 1j * ((size - 1) / 2 - row)
    r = np.abs(z)
    h = np.exp(-((r - ring.radius) ** 2) / (2 * ring.width**2)) * np.exp(1j * q * np.angle(z))
    nodes, weights = np.polynomial.legendre.leggauss(40)
    w = (nodes + 1) / 2 * 0.85 * np.pi
    own = np.abs(special.jv(q, np.outer(w, r)) @ (h.conj() * np.exp(1j * q * np.angle(z)))) ** 2
    distances = np.abs(z[:, None] - z)
    total = [(h.conj() @ special.j0(each * distances) @ h).real for each in w]
    return 1 - np.sum(own * w * weights) / np.sum(np.array(total) * w * weights)
