"""Circular harmonics on square windows of pixels: kernels that can be turned by any angle.

A function is a wave around the centre times a profile of the radius,

    R_j(r) cos(q phi)   and   R_j(r) sin(q phi),   R_j(r) = exp(-(r - r_j)^2 / 2 s_j^2),

with x to the right, y upwards and phi counter-clockwise from x. Turning by an angle or mirroring
mixes the two of a frequency q among themselves, so that turned kernels are sampled and never
interpolated. Quarter turns and mirrors permute the samples.

Rings carry waves up to q = 2 r: of a sampled function's answer to plane waves below 0.85 pi at most
1 % has another angular frequency, and one step further, on rings of up to 2 pixels, 8 times as much
or more. The outermost ring, which the corners of the window cut off, is held to q = 2, with up to
3.5 %.
"""

import dataclasses
import functools

import numpy as np

from sen_tf.groups import finite

WIDTH, OUTERMOST_WIDTH = 0.6, 0.4
"""Standard deviations of a ring's profile in pixels."""

OUTERMOST_FREQUENCY = 2
"""The highest frequency on the outermost ring, which the square window cuts."""


@dataclasses.dataclass(frozen=True)
class Ring:
    """A ring of a window: its radius and width in pixels, and the highest frequency on it."""

    radius: float
    width: float
    frequency: int


def rings(size: int, frequencies: int | None = None) -> list[Ring]:
    """The rings of a window of `size` x `size` pixels, from the centre outwards.

    Args:
        size: Side of the window in pixels, odd or even.
        frequencies: A cap on the frequencies beyond that of the pixels, or None.
    """
    outermost = (size - 1) / 2
    found = []
    for radius in np.arange(outermost % 1, outermost + 1):
        is_outermost = radius == outermost
        caps = [int(2 * radius)]
        caps += [OUTERMOST_FREQUENCY] if is_outermost else []
        caps += [] if frequencies is None else [frequencies]
        width = OUTERMOST_WIDTH if is_outermost else WIDTH
        found.append(Ring(float(radius), width, min(caps)))
    return found


def profile(ring: Ring, distance: np.ndarray) -> np.ndarray:
    """The profile of a ring at distances from the centre; that of radius 0 is the centre alone."""
    if ring.radius == 0:
        return (distance == 0).astype(float)
    return np.exp(-((distance - ring.radius) ** 2) / (2 * ring.width**2))


def frequencies_of(size: int, frequencies: int | None = None) -> np.ndarray:
    """The frequency of each function, in the order of `sampled`: integers of shape (functions,)."""
    highest = [ring.frequency for ring in rings(size, frequencies)]
    return np.concatenate([[0, *np.repeat(np.arange(1, q + 1), 2)] for q in highest]).astype(int)


def sampled(size: int, frequencies: int | None = None) -> np.ndarray:
    """The functions at the pixels of a window, float64 of shape (size * size, functions).

    Ring by ring, the constant first, then cosine and sine of each frequency. Pixels are in the
    order of rows, from the top. A pair of cosine and sine has squared norms that add up to 2, a
    constant that of 1.
    """
    row, column = np.divmod(np.arange(size * size), size)
    z = column - (size - 1) / 2 + 1j * ((size - 1) / 2 - row)
    r = np.abs(z)
    direction = np.divide(z, r, out=np.zeros_like(z), where=r > 0)
    columns = []
    for ring in rings(size, frequencies):
        on_ring = profile(ring, r)
        columns.append(on_ring[:, None] / np.linalg.norm(on_ring))
        for q in range(1, ring.frequency + 1):
            wave = on_ring * direction**q
            wave *= np.sqrt(2) / np.linalg.norm(wave)
            columns.append(np.stack([wave.real, wave.imag], axis=1))
    return np.concatenate(columns, axis=1)


def matrix(frequencies: np.ndarray, angle: float, mirrored: bool = False) -> np.ndarray:
    """The matrix by which an element of O(2) acts on coefficients, (functions, functions).

    Turning by a multiplies the coefficients (cos, sin) of frequency q by the rotation by q a; the
    mirror phi -> pi - phi, which goes before it, by (-1)^q and -(-1)^q. Quarter turns are exact.

    Args:
        frequencies: The frequency of each function, as `frequencies_of` gives them: those other
            than 0 in pairs.
        angle: The counter-clockwise turn in radians.
        mirrored: True if the mirror goes first.
    """
    found = np.eye(len(frequencies))
    for at in np.flatnonzero(frequencies)[::2]:
        q = int(frequencies[at])
        cos, sin = np.cos(q * angle).round(14), np.sin(q * angle).round(14)
        sign = (-1.0) ** q if mirrored else 1.0
        mirror = np.diag([sign, -sign if mirrored else sign])
        found[at : at + 2, at : at + 2] = np.array([[cos, -sin], [sin, cos]]) @ mirror
    return found


def action(group: finite.GroupLike, frequencies: np.ndarray) -> np.ndarray:
    """The matrices by which C_n or D_n acts on coefficients, (|G|, functions, functions).

    Args:
        group: A C_n or D_n, or its name.
        frequencies: As in `matrix`.

    Raises:
        ValueError: For other groups.
    """
    group = finite.get(group)
    _, n = finite.family(group)
    forms = (finite.normal_form(group, g) for g in group.elements)
    return np.stack([matrix(frequencies, 2 * np.pi * k / n, bool(j)) for k, j in forms])


@functools.lru_cache(maxsize=256)
def turned(group: finite.FiniteGroup, size: int, frequencies: int | None = None) -> np.ndarray:
    """The functions turned by each element of a C_n or D_n, at the pixels of a window.

    Returns:
        float32 of shape (|G|, size * size, functions), read-only: a kernel with coefficients w,
        turned by g, is `turned[g] @ w`.
    """
    functions = sampled(size, frequencies) @ action(group, frequencies_of(size, frequencies))
    # Rounded, so that quarter turns and mirrors exchange the numbers to the bit; no -0.
    functions = (functions.round(12) + 0.0).astype(np.float32)
    functions.flags.writeable = False
    return functions
