"""Planners that draw continuous actions: MPPI and CEM, exact under a group of the actions.

A plan of `g x` is `g` times the plan of `x`, number for number, where the *noise* is turned by all
elements of the group and the mean is not: `mean + S g e`. Turning whole samples, or a root of the
covariance that does not commute with turning, or limits that the group does not keep, breaks it.
"""

import dataclasses
from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from sen_tf.planning.discrete import check_sizes

Values: TypeAlias = Callable[[np.ndarray], np.ndarray]
"""Values `(n,)`, more is better, of action sequences `(n, horizon, size)`."""
SPREADS = ("isotropic", "coordinates", "full")
LIMITS = ("ball", "box")


@dataclasses.dataclass(frozen=True)
class Drawn:
    """A plan that was drawn.

    Attributes:
        mean: The plan, `(horizon, size)`.
        covariance: How far it is uncertain, `(horizon, size, size)`.
        value: The value of the best sequence drawn.
    """

    mean: np.ndarray
    covariance: np.ndarray
    value: float


def mppi(
    values: Values,
    mean: np.ndarray,
    *,
    rng: np.random.Generator,
    samples: int = 64,
    iterations: int = 4,
    elites: int = 16,
    temperature: float | None = 0.5,
    matrices: np.ndarray | None = None,
    spread: str = "isotropic",
    limit: str = "ball",
    radius: float = 1.0,
    deviations: tuple[float, float] = (1.0, 0.05),
    proposals: np.ndarray | None = None,
) -> Drawn:
    """Model predictive path integral control: samples about a mean, weighted by their values.

    Args:
        values: See `Values`.
        mean: What it begins with, `(horizon, size)`: zeros, or the last plan, a step further.
        rng: Generator.
        samples: Sequences drawn per iteration, those of the group's orbits counted, at least 1.
        iterations: How often the mean is set anew, at least 1.
        elites: The best samples, of which the next mean is made, at least 1.
        temperature: Weights are `exp((value - best) / (temperature * range))`, so it is above 0;
            None weighs all elites alike, which is CEM.
        matrices: The group's matrices on actions `(order, size, size)`, orthogonal; None for noise
            that is not turned.
        spread: How the covariance is made of the elites: "isotropic" (a number per time step),
            "coordinates" (one per coordinate) or "full".
        limit: Where actions are kept: in a "ball" or a "box" about 0.
        radius: Radius of the ball, half the side of the box, above 0.
        deviations: The standard deviation of the first iteration, and the least of all; not below
            0.
        proposals: Sequences `(n, horizon, size)` that join the samples of each iteration, such as
            those of a policy; plans commute with the group if they do.

    Raises:
        ValueError: For numbers out of their range, a spread or a limit that the group does not
            keep, an unknown one, samples that are not orbits, or values that are not finite.

    Reference: Williams et al. (2017); Hansen et al. (2022) for the elites; Park et al. (2024,
    arXiv 2412.12237) for equivariant samples.
    """
    check_sizes(samples=samples)
    if not radius > 0:
        raise ValueError(f"Expected `radius` to be above 0; received radius={radius!r}.")
    mean = _as_plan(mean)
    horizon, size = mean.shape
    matrices = np.eye(size)[None] if matrices is None else np.asarray(matrices)
    _check_shape("matrices", matrices, (size, size))
    if proposals is not None:
        _check_shape("proposals", proposals, (horizon, size))
    check_exact(matrices, spread, limit)
    if samples % len(matrices):
        raise ValueError(
            f"Expected `samples` to be a multiple of the group's order, {len(matrices)}; received "
            f"samples={samples}."
        )

    def draw(mean, covariance):
        noise = rng.standard_normal((samples // len(matrices), horizon, size))
        turned = noise_orbit(noise, matrices)
        drawn = mean + np.einsum("hij,nhj->nhi", symmetric_root(covariance), turned)
        joined = drawn if proposals is None else np.concatenate([drawn, proposals])
        return clip(joined, limit, radius)

    return improve(
        values,
        mean,
        draw,
        iterations=iterations,
        elites=elites,
        temperature=temperature,
        spread=spread,
        deviations=deviations,
    )


def improve(
    values: Values,
    mean: np.ndarray,
    draw: Callable[[np.ndarray, np.ndarray], np.ndarray],
    *,
    iterations: int = 4,
    elites: int = 16,
    temperature: float | None = 0.5,
    spread: str = "isotropic",
    deviations: tuple[float, float] = (1.0, 0.05),
) -> Drawn:
    """The loop of `mppi`, with any way of drawing; whether plans commute depends on that.

    Args:
        values, mean, iterations, elites, temperature, spread, deviations: As in `mppi`.
        draw: Function from a mean `(horizon, size)` and covariances `(horizon, size, size)` to
            sequences `(n, horizon, size)`.

    Raises:
        ValueError: For numbers out of their range, or values that are not finite.
    """
    check_sizes(iterations=iterations, elites=elites)
    _check_numbers(temperature, deviations)
    mean, (first, least) = _as_plan(mean), deviations
    horizon, size = mean.shape
    covariance = np.tile(first**2 * np.eye(size), (horizon, 1, 1))
    best = -np.inf
    for _ in range(iterations):
        drawn = draw(mean, covariance)
        found = np.asarray(values(drawn), float)
        if found.shape != (len(drawn),):
            raise ValueError(
                f"Expected `values` to return a number per sequence, {(len(drawn),)}; received "
                f"shape {found.shape}."
            )
        if not np.isfinite(found).all():
            raise ValueError(
                "Expected `values` to return finite numbers; received NaN or infinity."
            )
        order = np.argsort(-found, kind="stable")[:elites]
        best = max(best, float(found[order[0]]))
        weights = _weights(found[order], temperature)
        mean = np.einsum("n,nhi->hi", weights, drawn[order])
        covariance = _refit(drawn[order] - mean, weights, spread, least)
    return Drawn(mean, covariance, best)


def cem(values: Values, mean: np.ndarray, **options) -> Drawn:
    """The cross-entropy method: as `mppi`, where all elites weigh the same.

    Reference: Rubinstein (1999).
    """
    return mppi(values, mean, temperature=None, **options)


def noise_orbit(noise: np.ndarray, matrices: np.ndarray) -> np.ndarray:
    """All elements of a group on noise: `(order * n, horizon, size)` of `(n, horizon, size)`."""
    return np.einsum("gij,nhj->gnhi", matrices, noise).reshape(-1, *noise.shape[1:])


def symmetric_root(covariance: np.ndarray) -> np.ndarray:
    """The symmetric square roots of matrices `(..., size, size)`.

    That of `g C g^T` is `g C^(1/2) g^T`, which is not so of the root of Cholesky.
    """
    values, vectors = np.linalg.eigh(covariance)
    return np.einsum("...ij,...j,...kj->...ik", vectors, np.sqrt(np.maximum(values, 0.0)), vectors)


def clip(actions: np.ndarray, limit: str, radius: float = 1.0) -> np.ndarray:
    """Actions `(..., size)`, moved into a ball or a box about 0."""
    if limit == "box":
        return np.clip(actions, -radius, radius)
    lengths = np.linalg.norm(actions, axis=-1, keepdims=True)
    return actions * np.minimum(1.0, radius / np.maximum(lengths, 1e-30))


def check_exact(matrices: np.ndarray, spread: str, limit: str) -> None:
    """Raises a ValueError where plans would not commute with matrices `(order, size, size)`."""
    for name, value, known in (("spread", spread, SPREADS), ("limit", limit, LIMITS)):
        if value not in known:
            raise ValueError(
                f"Expected `{name}` to be one of {', '.join(known)}; received {name}={value!r}."
            )
    products = np.einsum("gij,gkj->gik", matrices, matrices)
    if not np.abs(products - np.eye(matrices.shape[-1])).max() <= 1e-6:  # NaN is refused too
        raise ValueError("Expected `matrices` to be orthogonal; turned noise would change its law.")
    permutes = (np.abs(np.abs(matrices) - np.rint(np.abs(matrices))) < 1e-6).all()
    if permutes:
        return
    if limit == "box":
        raise ValueError(
            "Expected `limit` to be kept by the group; received limit='box', which some element "
            "turns into another box. Use limit='ball'."
        )
    if spread == "coordinates":
        raise ValueError(
            "Expected `spread` to be kept by the group; received spread='coordinates', which some "
            "element mixes. Use 'isotropic' or 'full'."
        )


def _as_plan(mean):
    """A mean `(horizon, size)` as floats, of its own."""
    mean = np.array(mean, float)
    if mean.ndim != 2 or not mean.size:
        raise ValueError(
            f"Expected `mean` to have shape (horizon, size); received shape {mean.shape}."
        )
    if not np.isfinite(mean).all():
        raise ValueError("Expected `mean` to be finite; received NaN or infinity.")
    return mean


def _check_shape(name, given, rest):
    """Raises a ValueError unless an array is of shape `(n, *rest)`."""
    if np.ndim(given) != 1 + len(rest) or np.shape(given)[1:] != rest:
        raise ValueError(
            f"Expected `{name}` to have shape (n, {', '.join(map(str, rest))}); received shape "
            f"{np.shape(given)}."
        )


def _check_numbers(temperature, deviations):
    if temperature is not None and not temperature > 0:
        raise ValueError(
            f"Expected `temperature` to be None or above 0; received temperature={temperature!r}."
        )
    if not all(0 <= each < np.inf for each in deviations):
        raise ValueError(
            "Expected `deviations` to be finite and at least 0; received "
            f"deviations={deviations!r}."
        )


def _weights(values, temperature):
    """Weights `(n,)`, of sum 1, of sorted values `(n,)`."""
    if temperature is None:
        return np.full(len(values), 1 / len(values))
    scale = temperature * max(float(np.ptp(values)), 1e-12)
    weights = np.exp((values - values[0]) / scale)
    return weights / weights.sum()


def _refit(offsets, weights, spread, least):
    """The covariance `(horizon, size, size)` of weighted offsets `(n, horizon, size)`."""
    covariance = np.einsum("n,nhi,nhj->hij", weights, offsets, offsets)
    size, floor = offsets.shape[-1], least**2 * np.eye(offsets.shape[-1])
    if spread == "full":
        return covariance + floor
    variances = np.einsum("hii->hi", covariance)
    if spread == "isotropic":
        variances = np.repeat(variances.mean(axis=-1, keepdims=True), size, axis=-1)
    return np.maximum(variances, least**2)[..., None] * np.eye(size)
