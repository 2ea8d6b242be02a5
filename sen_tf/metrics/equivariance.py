"""Distances of a map from commuting with a group, and from having collapsed to a point.

Every function takes arrays whose first axis runs over samples; norms are Euclidean over all other
axes of a sample. The group acts before: the caller transforms outputs with the *full* action on
them (space and group axis alike).
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

COLLAPSED_SPREAD = 1e-2
BLOCK = 64  # samples worked on at a time


def equivariance_error(
    transformed_output: npt.ArrayLike, output_of_transformed: npt.ArrayLike
) -> float:
    """EE = mean |g S(o) - S(g o)| / mean |S(o)|: 0 if S commutes with g, 1.4 if unrelated to it.

    Args:
        transformed_output: (N, ...) g S(o), the outputs with g applied to them. As g acts by an
            orthogonal matrix, these also give the denominator, |g S(o)| = |S(o)|.
        output_of_transformed: (N, ...) S(g o), the outputs on transformed observations.

    Returns:
        The error, at least 0; nan if every output is zero, where it is undefined.

    Raises:
        ValueError: shapes differ or there are no samples.

    Reference: Park et al., *Learning Symmetric Embeddings for Equivariant World Models* (2022).
    """
    transformed_output, output_of_transformed = _same_shape(
        transformed_output=transformed_output, output_of_transformed=output_of_transformed
    )
    errors = _distances(transformed_output, output_of_transformed)
    return _ratio(errors.mean(), _norms(transformed_output).mean())


class Deviation(NamedTuple):
    """The distance of g S(o) and S(g o), on the whole and where they are farthest apart.

    Attributes:
        mean: The `equivariance_error`.
        of_sample: The largest error of a sample, relative to its norm, or to a tenth of the mean
            norm where that is larger.
        sample: Which sample that is.
        of_number: The largest difference of two numbers, relative to the largest number.
        place: Where it is: a tuple of indices.
        expected, actual: The two numbers.
    """

    mean: float
    of_sample: float
    sample: int
    of_number: float
    place: tuple[int, ...]
    expected: float
    actual: float

    def __str__(self) -> str:
        return (
            f"relative error {self.mean:.2g}; sample {self.sample} is off by {self.of_sample:.2g} "
            f"of its norm, and the number at {self.place} is {self.actual:.4g} where "
            f"{self.expected:.4g} is expected"
        )


def deviation(transformed_output: npt.ArrayLike, output_of_transformed: npt.ArrayLike) -> Deviation:
    """The equivariance error, and the sample and the number where it is largest.

    Args:
        transformed_output, output_of_transformed: As in `equivariance_error`.
    """
    mean = equivariance_error(transformed_output, output_of_transformed)
    expected, actual = np.asarray(transformed_output), np.asarray(output_of_transformed)
    norms = _norms(expected)
    with np.errstate(invalid="ignore"):
        of_samples = _distances(expected, actual) / np.maximum(norms, norms.mean() / 10)
    sample = int(np.argmax(of_samples))
    # In float64: booleans have no difference, and those of unsigned integers wrap around.
    differences = np.abs(np.subtract(expected, actual, dtype=np.float64))
    place = tuple(int(i) for i in np.unravel_index(np.argmax(differences), differences.shape))
    return Deviation(
        mean,
        float(of_samples[sample]),
        sample,
        _ratio(differences[place], np.abs(expected, dtype=np.float64).max()),
        place,
        float(expected[place]),
        float(actual[place]),
    )


def distance_invariance_error(
    x: npt.ArrayLike, y: npt.ArrayLike, gx: npt.ArrayLike, gy: npt.ArrayLike
) -> float:
    """DIE = mean | |x - y| - |gx - gy| | / mean |x|: 0 if the group keeps distances of outputs.

    Unlike the equivariance error it needs no action on the outputs, so it compares models of any
    kind.

    Args:
        x: (N, ...) outputs f(o), for example latent states.
        y: (N, ...) outputs f(o') they are compared with, for example the states k steps later.
        gx: (N, ...) outputs f(g o) on the transformed observations.
        gy: (N, ...) outputs f(g o').

    Returns:
        The error, at least 0; nan if every x is zero, where it is undefined.

    Raises:
        ValueError: shapes differ or there are no samples.

    Reference: Park et al., *Learning Symmetric Embeddings for Equivariant World Models* (2022).
    """
    x, y, gx, gy = _same_shape(x=x, y=y, gx=gx, gy=gy)
    return _ratio(np.abs(_distances(x, y) - _distances(gx, gy)).mean(), _norms(x).mean())


def spread(z: npt.ArrayLike) -> float:
    """Root of the variance over the N samples of z (N, ...), averaged over coordinates."""
    (z,) = _same_shape(z=z)
    return float(np.sqrt(z.var(axis=0, dtype=np.float64).mean()))


def is_collapsed(z: npt.ArrayLike, threshold: float = COLLAPSED_SPREAD) -> bool:
    """True if the latent states z (N, ...) are practically one point: spread below `threshold`.

    The threshold is absolute, for the contrastive hinge sets the scale: with its defaults (hinge 1,
    sigma 0.5) it pushes states apart up to distances of 0.7.
    """
    return spread(z) < threshold


def _same_shape(**arrays: npt.ArrayLike) -> list[np.ndarray]:
    """The arrays, checked to hold samples and to agree in shape."""
    values = [np.asarray(array) for array in arrays.values()]
    first = next(iter(arrays))
    if values[0].ndim == 0 or values[0].size == 0:
        raise ValueError(
            f"Expected `{first}` to hold at least one sample; received shape {values[0].shape}."
        )
    for name, value in zip(arrays, values, strict=True):
        if value.shape != values[0].shape:
            raise ValueError(
                f"Expected `{name}` to have the shape of `{first}`, {values[0].shape}; received "
                f"{value.shape}."
            )
    return values


def _norms(x: np.ndarray) -> np.ndarray:
    return _distances(x, np.broadcast_to(0.0, x.shape))


def _distances(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """|x - y| of each sample, in float64, a block at a time: features may be large."""
    blocks = [slice(start, start + BLOCK) for start in range(0, len(x), BLOCK)]
    differences = (x[rows].astype(np.float64) - y[rows] for rows in blocks)
    return np.concatenate([np.linalg.norm(d.reshape(len(d), -1), axis=1) for d in differences])


def _ratio(error: float, scale: float) -> float:
    return float(error / scale) if scale > 0 else float("nan")
