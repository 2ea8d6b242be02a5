import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from sen_tf.groups import irreps, rotations

SEEDS = st.integers(0, 2**32 - 1)
DEGREES = range(6)
COUPLINGS = [
    (l1, l2, l3)
    for l1, l2, l3 in itertools.product(range(4), repeat=3)
    if abs(l1 - l2) <= l3 <= l1 + l2
]


def transposed(m):
    return np.swapaxes(m, -1, -2)


def vectors(n, seed=0):
    return np.random.default_rng(seed).standard_normal((n, 3))


def real_from_complex(degree):
    """The unitary matrix from complex harmonics, m = -l to l, to real ones of the same norm."""
    u = np.zeros((2 * degree + 1, 2 * degree + 1), complex)
    u[degree, degree] = 1
    for m in range(1, degree + 1):
        sign = (-1) ** m  # of Condon and Shortley
        u[degree + m, [degree - m, degree + m]] = np.array([1, sign]) / np.sqrt(2)
        u[degree - m, [degree - m, degree + m]] = 1j * np.array([1, -sign]) / np.sqrt(2)
    return u


@pytest.mark.parametrize("degree", DEGREES)
def test_harmonics_are_those_of_scipy_in_another_basis(degree):
    v = vectors(50)
    v /= np.linalg.norm(v, axis=-1, keepdims=True)
    x, y, z = v.T
    m = np.arange(-degree, degree + 1)
    theirs = special.sph_harm_y(degree, m, np.arccos(y)[:, None], np.arctan2(x, z)[:, None])
    u = real_from_complex(degree)
    np.testing.assert_allclose(u @ u.conj().T, np.eye(2 * degree + 1), atol=1e-15)
    expected = np.sqrt(4 * np.pi / (2 * degree + 1)) * theirs @ u.T
    np.testing.assert_allclose(irreps.spherical_harmonics(degree, v), expected, atol=1e-13)


def test_harmonics_of_low_degree():
    v = vectors(20)
    x, y, z = v.T
    root = np.sqrt(3)
    second = [root * x * z, root * x * y, y**2 - (x**2 + z**2) / 2, root * y * z]
    second.append(root / 2 * (z**2 - x**2))
    np.testing.assert_array_equal(irreps.spherical_harmonics(0, v), np.ones((20, 1)))
    np.testing.assert_array_equal(irreps.spherical_harmonics(1, v), v)
    np.testing.assert_allclose(irreps.spherical_harmonics(2, v), np.stack(second, -1), atol=1e-14)


@pytest.mark.parametrize("degree", DEGREES)
def test_harmonics_are_homogeneous_of_norm_length_to_the_degree(degree):
    v = vectors(24).reshape(2, 3, 4, 3)
    y = irreps.spherical_harmonics(degree, v)
    assert y.shape == (2, 3, 4, 2 * degree + 1)
    length = np.linalg.norm(v, axis=-1)
    np.testing.assert_allclose(np.linalg.norm(y, axis=-1), length**degree, rtol=1e-13)
    np.testing.assert_allclose(irreps.spherical_harmonics(degree, 3 * v), 3**degree * y, rtol=1e-12)
    np.testing.assert_array_equal(
        irreps.spherical_harmonics(degree, np.zeros(3)),
        np.full(2 * degree + 1, 1.0 * (degree == 0)),
    )


@pytest.mark.parametrize("degree", DEGREES)
@given(seed=SEEDS)
def test_harmonics_turn_by_wigner_d(degree, seed):
    rng = np.random.default_rng(seed)
    r, v = rotations.haar(rng, 8), rng.standard_normal((8, 3))
    turned = irreps.spherical_harmonics(degree, np.einsum("nij,nj->ni", r, v))
    expected = np.einsum(
        "nij,nj->ni", irreps.wigner_d(degree, r), irreps.spherical_harmonics(degree, v)
    )
    error = np.linalg.norm(turned - expected, axis=-1)
    assert (error <= 1e-13 * np.linalg.norm(v, axis=-1) ** degree).all()


@pytest.mark.parametrize("degree", DEGREES)
@given(seed=SEEDS)
def test_wigner_d_is_an_orthogonal_representation(degree, seed):
    r, s = rotations.haar(np.random.default_rng(seed), 6).reshape(2, 3, 3, 3)
    d = irreps.wigner_d(degree, r)
    assert d.shape == (3, 2 * degree + 1, 2 * degree + 1)
    np.testing.assert_allclose(
        irreps.wigner_d(degree, r @ s), d @ irreps.wigner_d(degree, s), atol=1e-13
    )
    np.testing.assert_allclose(d @ transposed(d), [np.eye(2 * degree + 1)] * 3, atol=1e-13)
    np.testing.assert_allclose(irreps.wigner_d(degree, transposed(r)), transposed(d), atol=1e-13)


@pytest.mark.parametrize("degree", DEGREES)
def test_wigner_d_has_the_character_of_its_degree(degree):
    """trace D_l of a turn by a is 1 + 2 cos a + ... + 2 cos l a: what makes it irreducible."""
    v = vectors(30)
    angle = np.linalg.norm(v, axis=-1)
    expected = 1 + 2 * sum(np.cos(m * angle) for m in range(1, degree + 1))
    trace = np.trace(irreps.wigner_d(degree, rotations.exp(v)), axis1=-2, axis2=-1)
    np.testing.assert_allclose(trace, expected, atol=1e-13)


def test_wigner_d_of_low_degree():
    r = rotations.haar(np.random.default_rng(0), 5)
    np.testing.assert_allclose(irreps.wigner_d(0, r), np.ones((5, 1, 1)), atol=1e-15)
    np.testing.assert_allclose(irreps.wigner_d(1, r), r, atol=1e-14)
    np.testing.assert_allclose(irreps.wigner_d(3, np.eye(3)), np.eye(7), atol=1e-14)


@pytest.mark.parametrize("degrees", COUPLINGS, ids=str)
def test_clebsch_gordan_intertwines(degrees):
    c = irreps.clebsch_gordan(*degrees)
    assert c.shape == tuple(2 * degree + 1 for degree in degrees)
    d1, d2, d3 = (
        irreps.wigner_d(degree, rotations.haar(np.random.default_rng(0), 20)) for degree in degrees
    )
    np.testing.assert_allclose(
        np.einsum("nai,nbj,abc->nijc", d1, d2, c), np.einsum("ijk,nck->nijc", c, d3), atol=1e-13
    )


@pytest.mark.parametrize("l1, l2", itertools.product(range(4), repeat=2))
def test_clebsch_gordan_is_a_change_of_basis(l1, l2):
    """All degrees that l1 and l2 couple to make up their product, each once."""
    parts = [irreps.clebsch_gordan(l1, l2, l3) for l3 in range(abs(l1 - l2), l1 + l2 + 1)]
    size = (2 * l1 + 1) * (2 * l2 + 1)
    basis = np.concatenate(parts, axis=-1).reshape(size, -1)
    assert basis.shape == (size, size)
    np.testing.assert_allclose(basis.T @ basis, np.eye(size), atol=1e-13)


@pytest.mark.parametrize("degrees", COUPLINGS, ids=str)
def test_harmonics_of_one_vector_couple_to_harmonics(degrees):
    """With a positive factor if the sum of degrees is even, to zero if it is odd."""
    v = vectors(10)
    y1, y2, y3 = (irreps.spherical_harmonics(degree, v) for degree in degrees)
    c = irreps.clebsch_gordan(*degrees)
    factor = c[degrees]
    assert factor == pytest.approx(0, abs=1e-13) if sum(degrees) % 2 else factor > 1e-3
    power = degrees[0] + degrees[1] - degrees[2]
    expected = factor * np.linalg.norm(v, axis=-1, keepdims=True) ** power * y3
    np.testing.assert_allclose(np.einsum("na,nb,abc->nc", y1, y2, c), expected, atol=1e-10)


def test_clebsch_gordan_of_vectors():
    u, v = vectors(10, 0), vectors(10, 1)

    def coupled(degree):
        return np.einsum("na,nb,abc->nc", u, v, irreps.clebsch_gordan(1, 1, degree))

    np.testing.assert_allclose(coupled(0)[:, 0], np.sum(u * v, -1) / np.sqrt(3), atol=1e-14)
    np.testing.assert_allclose(coupled(1), np.cross(u, v) / np.sqrt(2), atol=1e-14)


def test_odd_couplings_start_with_a_positive_number():
    for degrees in COUPLINGS:
        if sum(degrees) % 2:
            c = irreps.clebsch_gordan(*degrees)
            assert c[np.abs(c) > 1e-6][0] > 0


def test_clebsch_gordan_is_read_only():
    with pytest.raises(ValueError, match="read-only"):
        irreps.clebsch_gordan(1, 1, 2)[0] = 0


def test_representation_is_the_direct_sum():
    r = rotations.haar(np.random.default_rng(0), 6).reshape(2, 3, 3, 3)
    rho = irreps.representation(3, r)
    assert rho.shape == (2, 3, 16, 16)
    for degree in range(4):
        part = irreps.block(degree)
        np.testing.assert_array_equal(rho[..., part, part], irreps.wigner_d(degree, r))
    assert np.count_nonzero(rho) <= 6 * sum((2 * degree + 1) ** 2 for degree in range(4))


def test_cartesian_basis_splits_tensors():
    r = rotations.haar(np.random.default_rng(0), 1)[0]
    for rank in range(3):
        basis = irreps.cartesian_basis(rank)
        action = np.eye(1)
        for _ in range(rank):
            action = np.kron(action, r)
        np.testing.assert_allclose(basis @ basis.T, np.eye(3**rank), atol=1e-14)
        np.testing.assert_allclose(
            basis.T @ action, irreps.representation(rank, r) @ basis.T, atol=1e-14
        )


def test_parts_of_a_matrix():
    m = np.random.default_rng(0).standard_normal((3, 3))
    trace, skew = np.split(m.reshape(9) @ irreps.cartesian_basis(2), [1, 4])[:2]
    np.testing.assert_allclose(trace, [np.trace(m) / np.sqrt(3)], atol=1e-14)
    np.testing.assert_allclose(skew, -np.sqrt(2) * rotations.vee(m), atol=1e-14)


@pytest.mark.parametrize("degree", [-1, 1.0, True, "1", None])
def test_degrees_are_integers_from_zero(degree):
    for call in (
        lambda: irreps.spherical_harmonics(degree, np.ones(3)),
        lambda: irreps.wigner_d(degree, np.eye(3)),
        lambda: irreps.representation(degree, np.eye(3)),
    ):
        with pytest.raises(ValueError, match=r"`degree` to be an integer >= 0; received degree="):
            call()
    with pytest.raises(ValueError, match=r"`l2` to be an integer >= 0; received l2="):
        irreps.clebsch_gordan(2, degree, 1)


@pytest.mark.parametrize("degrees", [(1, 1, 3), (0, 2, 1), (3, 1, 1)])
def test_degrees_that_do_not_couple_are_refused(degrees):
    with pytest.raises(ValueError, match=rf"`l3` .* \|l1 - l2\| to l1 \+ l2.*l3={degrees[2]}"):
        irreps.clebsch_gordan(*degrees)


def test_arrays_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"`v` to have shape \(..., 3\); received .*\(2,\)"):
        irreps.spherical_harmonics(1, np.zeros(2))
    for function in (irreps.wigner_d, irreps.representation):
        with pytest.raises(ValueError, match=r"`r` to have shape \(..., 3, 3\); .*\(3,\)"):
            function(1, np.zeros(3))


@pytest.mark.parametrize("rank", [-1, 3, "1", None])
def test_ranks_without_a_basis_are_refused(rank):
    with pytest.raises(ValueError, match="`rank` to be 0, 1 or 2; received rank="):
        irreps.cartesian_basis(rank)
