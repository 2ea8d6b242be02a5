"""Irreducible representations of SO(3) and O(3): harmonics, Wigner D, Clebsch-Gordan coefficients.

All are real, in float64, computed, for any small degree l; the conventions, written once:

    basis     degree l has 2 l + 1 components, m = -l to l. The polar axis is y and the azimuth runs
              from z to x: component m is a polynomial in y and |v| times Re (z + i x)^m, where
              m < 0 times Im (z + i x)^|m|.
    scale     |Y_l(v)| = |v|^l, positive factors. So Y_0(v) = 1 and Y_1(v) = v = (x, y, z).
    rotation  Y_l(R v) = D_l(R) Y_l(v). So D_0(R) = 1 and D_1(R) = R.
    sums      the direct sum of degrees 0 to L lists its (L + 1)^2 components by degree.
    parity    of O(3) there are two representations of each degree: the inversion v -> -v leaves
              even parts alone and reverses odd ones. Vectors are odd, cross products even, and Y_l
              has the parity (-1)^l. A sum lists the even degrees 0 to L, then the odd 0 to L.

Each function rests on the one before: D_l is how the harmonics change when points turn, and the
Clebsch-Gordan coefficients are the numbers that D_l1 x D_l2 x D_l3 leaves alone.
"""

import functools
import math

import numpy as np
import numpy.typing as npt

from sen_tf.groups import rotations


def spherical_harmonics(degree: int, v: npt.ArrayLike) -> np.ndarray:
    """Returns the real spherical harmonics Y_l of vectors, as homogeneous polynomials.

    On unit vectors they are the harmonics that are orthonormal over the sphere, times
    sqrt(4 pi / (2 l + 1)).

    Args:
        degree: l, an integer >= 0.
        v: vectors of shape (..., 3), of any length.

    Returns:
        Array of shape (..., 2 l + 1), of norm |v|^l.

    Raises:
        ValueError: for another degree or shape.

    Reference: Abramowitz and Stegun (1964), 8.5.3 for the recurrence.
    """
    _check_degrees(degree=degree)
    x, y, z = np.moveaxis(rotations.checked_array("v", v, (3,)), -1, 0)
    components: dict[int, np.ndarray] = {}
    for m in range(degree + 1):
        ratio = math.factorial(degree - m) / math.factorial(degree + m)
        polar = math.sqrt(ratio * (2 if m else 1)) * _legendre(degree, m, y, x**2 + y**2 + z**2)
        azimuth = (z + 1j * x) ** m
        components[-m] = polar * azimuth.imag
        components[m] = polar * azimuth.real
    return np.stack([components[m] for m in range(-degree, degree + 1)], -1)


def _legendre(degree, m, y, square):
    """|v|^(l - m) times the m-th derivative of the Legendre polynomial P_l at y / |v|."""
    before, now = np.zeros_like(y), np.full_like(y, math.prod(range(1, 2 * m, 2)))
    for n in range(m + 1, degree + 1):
        before, now = now, ((2 * n - 1) * y * now - (n + m - 1) * square * before) / (n - m)
    return now


def wigner_d(degree: int, r: npt.ArrayLike) -> np.ndarray:
    """Returns the real Wigner D matrices D_l of rotations: orthogonal, D(R S) = D(R) D(S).

    Args:
        degree: l, an integer >= 0.
        r: rotations of shape (..., 3, 3), taken to be such without a check.

    Returns:
        Array of shape (..., 2 l + 1, 2 l + 1).

    Raises:
        ValueError: for another degree or shape.
    """
    _check_degrees(degree=degree)
    r = rotations.checked_array("r", r, (3, 3))
    points = _spiral(4 * degree + 4)
    still = spherical_harmonics(degree, points)
    turned = spherical_harmonics(degree, points @ np.swapaxes(r, -1, -2))
    return np.swapaxes(np.linalg.pinv(still) @ turned, -1, -2)


def _spiral(n):
    """`n` unit vectors spread over the sphere, (n, 3)."""
    k = np.arange(n)
    y, azimuth = 1 - (2 * k + 1) / n, k * np.pi * (3 - math.sqrt(5))
    radius = np.sqrt(1 - y**2)
    return np.stack([radius * np.sin(azimuth), y, radius * np.cos(azimuth)], -1)


@functools.lru_cache(maxsize=None, typed=True)
def clebsch_gordan(l1: int, l2: int, l3: int) -> np.ndarray:
    """Returns the real Clebsch-Gordan coefficients: what couples degrees l1 and l2 to degree l3.

    `np.einsum("a,b,abc->c", u, v, C)` turns by D_l3(R) when u turns by D_l1(R) and v by D_l2(R).
    It is 1/sqrt(3) of the inner product for degrees 1, 1, 0, and 1/sqrt(2) of the cross product for
    1, 1, 1.

    Args:
        l1, l2, l3: integers >= 0 with |l1 - l2| <= l3 <= l1 + l2.

    Returns:
        Read-only array of shape (2 l1 + 1, 2 l2 + 1, 2 l3 + 1), unique up to a factor. The factor
        makes `C[:, :, c]` orthonormal, and positive the number at m1 = m2 = m3 = 0, else, where
        that vanishes (l1 + l2 + l3 odd), the first that does not.

    Raises:
        ValueError: for degrees that do not couple.
    """
    _check_degrees(l1=l1, l2=l2, l3=l3)
    if not abs(l1 - l2) <= l3 <= l1 + l2:
        raise ValueError(
            f"Expected `l3` to be from |l1 - l2| to l1 + l2, {abs(l1 - l2)} to {l1 + l2}; "
            f"received l3={l3}"
        )
    # What turns of one radian about each axis leave alone, every rotation does.
    matrices = [wigner_d(degree, rotations.exp(np.eye(3))) for degree in (l1, l2, l3)]
    shape = (2 * l1 + 1, 2 * l2 + 1, 2 * l3 + 1)
    size = math.prod(shape)
    turned = np.einsum("nai,nbj,nck->nabcijk", *matrices).reshape(3, size, size)
    change = (turned - np.eye(size)).reshape(-1, size)
    coefficients = np.linalg.eigh(change.T @ change)[1][:, 0].reshape(shape)
    centre = coefficients[l1, l2, l3]
    first = coefficients[np.abs(coefficients) > 1e-6][0]
    sign = np.sign(first if (l1 + l2 + l3) % 2 else centre)
    coefficients = sign * math.sqrt(2 * l3 + 1) * coefficients
    coefficients.flags.writeable = False
    return coefficients


def block(degree: int) -> slice:
    """Returns the slice of degree l in a direct sum of degrees 0 to L."""
    return slice(degree**2, (degree + 1) ** 2)


def representation(degree: int, r: npt.ArrayLike) -> np.ndarray:
    """Returns how rotations act on the direct sum of degrees 0 to L: block-diagonal, D_0 to D_L.

    Args:
        degree: L, an integer >= 0.
        r: rotations of shape (..., 3, 3).

    Returns:
        Array of shape (..., (L + 1)^2, (L + 1)^2).

    Raises:
        ValueError: as `wigner_d`.
    """
    _check_degrees(degree=degree)
    r = rotations.checked_array("r", r, (3, 3))
    matrices = np.zeros((*r.shape[:-2], (degree + 1) ** 2, (degree + 1) ** 2))
    for part in range(degree + 1):
        matrices[..., block(part), block(part)] = wigner_d(part, r)
    return matrices


def parity_representation(degree: int, r: npt.ArrayLike) -> np.ndarray:
    """Returns how O(3) acts on the sum of even degrees 0 to L and odd degrees 0 to L.

    A rotation acts on both halves as `representation` says; a reflection or rotary reflection acts
    as the rotation -R does, and reverses the odd half.

    Args:
        degree: L, an integer >= 0.
        r: rotations and reflections of shape (..., 3, 3), orthogonal, of determinant 1 or -1.

    Returns:
        Array of shape (..., 2 (L + 1)^2, 2 (L + 1)^2).

    Raises:
        ValueError: as `wigner_d`.
    """
    _check_degrees(degree=degree)
    r = rotations.checked_array("r", r, (3, 3))
    sign = np.sign(np.linalg.det(r))[..., None, None]
    turns = representation(degree, sign * r)
    zeros = np.zeros_like(turns)
    return np.block([[turns, zeros], [zeros, sign * turns]])


def cartesian_basis(rank: int) -> np.ndarray:
    """Returns the parts of a Cartesian tensor: a scalar, a vector, or a matrix M -> R M R^T.

    A scalar has degree 0, a vector degree 1, a matrix degrees 0 (trace), 1 (skew part) and 2
    (symmetric, without trace).

    Args:
        rank: 0, 1 or 2.

    Returns:
        Matrix B of shape (3^rank, (rank + 1)^2): the flattened tensor times B is the direct sum
        of degrees 0 to `rank`, and B times that is the tensor. Only for rank 1 B has a zero column.

    Raises:
        ValueError: for another rank.
    """
    if not isinstance(rank, int) or isinstance(rank, bool) or rank not in (0, 1, 2):
        raise ValueError(f"Expected `rank` to be 0, 1 or 2; received rank={rank!r}")
    if rank < 2:
        return np.eye(3**rank, (rank + 1) ** 2, k=rank)
    parts = [clebsch_gordan(1, 1, degree).reshape(9, -1) for degree in range(3)]
    return np.concatenate(parts, axis=1)


def _check_degrees(**degrees):
    for name, value in degrees.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise ValueError(f"Expected `{name}` to be an integer >= 0; received {name}={value!r}")
