"""Rotations of 3-space: the group SO(3), its Lie algebra, and uniform samples.

Every function works on stacks (any leading axes), in float64. A rotation is a matrix of shape
(3, 3) acting on column vectors; an element of the Lie algebra is a rotation vector: its direction
is the axis, its length the angle in radians, counter-clockwise as seen from its tip. Arrays of
another shape raise ValueError.
"""

import dataclasses

import numpy as np
import numpy.typing as npt


@dataclasses.dataclass(frozen=True)
class SO3:
    """The group of rotations of 3-space; its elements are matrices (3, 3), its product is `@`.

    A value as finite groups are: every SO3() equals every other, and it prints as its name. Where
    those list their elements, it draws them, since there are too many.
    """

    name = "SO(3)"

    def __str__(self) -> str:
        return self.name

    def sample(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """Returns `n` elements, (n, 3, 3), drawn by `haar`."""
        return haar(rng, n)


def hat(v: npt.ArrayLike) -> np.ndarray:
    """Returns skew matrices (..., 3, 3) of vectors (..., 3): hat(v) w = v x w."""
    x, y, z = np.moveaxis(checked_array("v", v, (3,)), -1, 0)
    o = np.zeros_like(x)
    return np.stack([np.stack(row, -1) for row in ([o, -z, y], [z, o, -x], [-y, x, o])], -2)


def vee(m: npt.ArrayLike) -> np.ndarray:
    """Returns the vectors (..., 3) of skew matrices (..., 3, 3), the inverse of `hat`.

    The symmetric part of a matrix that is not skew is ignored.
    """
    m = checked_array("m", m, (3, 3))
    skew = (m - np.swapaxes(m, -1, -2)) / 2
    return np.stack([skew[..., 2, 1], skew[..., 0, 2], skew[..., 1, 0]], -1)


def exp(v: npt.ArrayLike) -> np.ndarray:
    """Returns the rotations (..., 3, 3) of rotation vectors (..., 3), by Rodrigues' formula."""
    k = hat(v)
    angle = np.linalg.norm(v, axis=-1)[..., None, None]
    # sin(a) / a and (1 - cos(a)) / a^2, without a division by zero.
    return np.eye(3) + np.sinc(angle / np.pi) * k + np.sinc(angle / (2 * np.pi)) ** 2 / 2 * (k @ k)


def log(r: npt.ArrayLike) -> np.ndarray:
    """Returns the rotation vectors (..., 3), of length 0 to pi radians, of rotations (..., 3, 3).

    Accurate at every angle: it goes through the unit quaternion (w, u), whose products
    4 (w, u) (w, u)^T are linear in the rotation, and reads it from the largest of their rows (after
    Shepperd, *Quaternion from rotation matrix*, 1978). At pi, where both signs are right, one is
    chosen. Matrices are taken to be rotations, without a check.
    """
    r = checked_array("r", r, (3, 3))
    trace = np.trace(r, axis1=-2, axis2=-1)
    products = np.empty((*r.shape[:-2], 4, 4))
    products[..., 0, 0] = 1 + trace
    products[..., 0, 1:] = products[..., 1:, 0] = 2 * vee(r)
    products[..., 1:, 1:] = r + np.swapaxes(r, -1, -2) + (1 - trace)[..., None, None] * np.eye(3)
    largest = np.argmax(np.diagonal(products, axis1=-2, axis2=-1), -1)
    quaternion = np.take_along_axis(products, largest[..., None, None], -2)[..., 0, :]
    quaternion /= np.linalg.norm(quaternion, axis=-1, keepdims=True)
    w, u = np.split(np.where(quaternion[..., :1] < 0, -quaternion, quaternion), [1], -1)
    sine = np.linalg.norm(u, axis=-1, keepdims=True)
    ratio = np.divide(2 * np.arctan2(sine, w), sine, out=np.full_like(sine, 2), where=sine > 0)
    return ratio * u


def gram_schmidt(u: npt.ArrayLike, v: npt.ArrayLike) -> np.ndarray:
    """Returns the rotations with first column along `u` and second in the half-plane towards `v`.

    Equivariant: gram_schmidt(g u, g v) = g gram_schmidt(u, v) for every rotation g.

    Args:
        u, v: vectors of shape (..., 3), of any length but zero, not parallel.

    Returns:
        Rotations of shape (..., 3, 3).

    Raises:
        ValueError: if a vector is zero or not finite, or `u` and `v` are parallel (the sine of
            their angle is under 1e-9).
    """
    first = _unit("u", checked_array("u", u, (3,)))
    second = _unit("v", checked_array("v", v, (3,)))
    for _ in range(2):  # the second pass removes the rounding errors that the first one magnifies
        second = _unit("v", _reject(second, first), smallest=1e-9)
    return np.stack([first, second, np.cross(first, second)], -1)


def haar(rng: np.random.Generator, n: int) -> np.ndarray:
    """Returns `n` rotations, (n, 3, 3), uniform over SO(3), from a `numpy.random.Generator`.

    Pairs of Gaussian vectors look the same from every side, and Gram-Schmidt turns with them.
    """
    return gram_schmidt(*rng.standard_normal((2, n, 3)))


def _reject(v, direction):
    return v - np.sum(v * direction, -1, keepdims=True) * direction


def _unit(name, v, smallest=0.0):
    length = np.linalg.norm(v, axis=-1, keepdims=True)
    if not (np.isfinite(length) & (length > smallest)).all():
        raise ValueError(
            "Expected `u` and `v` to be finite vectors, neither zero nor parallel; "
            f"received `{name}` that is one of these (length left: {length.min():.3g})"
        )
    return v / length


def checked_array(name: str, values: npt.ArrayLike, shape: tuple[int, ...]) -> np.ndarray:
    """Returns float64 `values`; ValueError unless their last axes have `shape`."""
    values = np.asarray(values, dtype=np.float64)
    if values.shape[-len(shape) :] != shape:
        raise ValueError(
            f"Expected `{name}` to have shape (..., {', '.join(map(str, shape))}); "
            f"received {name} of shape {values.shape}"
        )
    return values
