"""Plans that are drawn, and how far they commute with a group: ways of sampling, in float64.

  python -m sen_tf.reproduce --table=exact-sampling

A point mass in the plane is to come to rest at 0. Reported is the greatest |plan(g x) - g plan(x)|
over starts x and all elements g: rounding where a way is exact.
"""

import dataclasses
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from sen_tf.experiments.experiment import Experiment, Metric
from sen_tf.planning import sampling
from sen_tf.settings import UsageError, setting

HORIZON = 15


@dataclasses.dataclass(frozen=True)
class ExactSampling:
    """Starts and samples."""

    starts: int = setting(30, "Starts of the point mass.", at_least=1)
    samples: int = setting(64, "Sequences drawn per iteration, a multiple of 16.", at_least=16)


def dihedral(turns: int) -> np.ndarray:
    """The matrices `(2 turns, 2, 2)` of the turns and reflections of a regular polygon."""
    angles = 2 * np.pi * np.arange(turns) / turns
    c, s = np.cos(angles), np.sin(angles)
    rotations = np.stack([np.stack([c, -s], -1), np.stack([s, c], -1)], -2)
    return np.concatenate([rotations, rotations @ np.diag([1.0, -1.0])])


GROUPS = {"d4": dihedral(4), "d8": dihedral(8)}
LIMITS = ("ball", "box")


def values_from(start: np.ndarray) -> sampling.Values:
    """Values of action sequences from a start, `(2, 2)`: place and velocity."""

    def values(sequences):
        place, velocity = (np.repeat(row[None], len(sequences), axis=0) for row in start)
        total = np.zeros(len(sequences))
        for action in np.moveaxis(sequences, 1, 0):
            velocity = 0.95 * velocity + 0.4 * action
            place = place + 0.1 * velocity
            total -= np.square(place).sum(axis=-1)
        return total

    return values


def ways(
    matrices: np.ndarray, samples: int, rng: np.random.Generator
) -> dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]]:
    """Functions from means and square roots of covariances to sequences, by the names of arms."""

    def noise(count):
        return rng.standard_normal((count, HORIZON, 2))

    def naive(mean, root):
        return mean + _times(root, noise(samples))

    def orbit_of_samples(mean, root):
        drawn = mean + _times(root, noise(samples // len(matrices)))
        return sampling.noise_orbit(drawn, matrices)

    def orbit_of_noise(mean, root):
        turned = sampling.noise_orbit(noise(samples // len(matrices)), matrices)
        return mean + _times(root, turned)

    return {"naive": naive, "orbit-of-samples": orbit_of_samples, "orbit-of-noise": orbit_of_noise}


def _times(root, noise):
    return np.einsum("hij,nhj->nhi", root, noise)


ARMS: dict[str, tuple[str, str, Callable[[np.ndarray], np.ndarray]]] = {
    "naive": ("naive", "isotropic", sampling.symmetric_root),
    "orbit-of-samples": ("orbit-of-samples", "isotropic", sampling.symmetric_root),
    "orbit-of-noise": ("orbit-of-noise", "isotropic", sampling.symmetric_root),
    "orbit-of-noise-coordinates": ("orbit-of-noise", "coordinates", sampling.symmetric_root),
    "orbit-of-noise-full": ("orbit-of-noise", "full", sampling.symmetric_root),
    "orbit-of-noise-cholesky": ("orbit-of-noise", "full", np.linalg.cholesky),
}


def plan(
    arm: str, start: np.ndarray, matrices: np.ndarray, limit: str, samples: int, seed: int
) -> np.ndarray:
    """The plan `(HORIZON, 2)` of an arm from a start; the mean it begins with points to 0."""
    name, spread, root = ARMS[arm]
    way = ways(matrices, samples, np.random.default_rng(seed))[name]

    def draw(mean, covariance):
        return sampling.clip(way(mean, root(covariance)), limit)

    mean = np.tile(-0.2 * start[0], (HORIZON, 1))
    return sampling.improve(values_from(start), mean, draw, spread=spread).mean


def run(arm: str, settings: Sequence[Any], seed: int, directory: pathlib.Path) -> dict[str, Any]:
    """The greatest error per group and limit; see `Experiment.run`."""
    (asked,) = settings
    if asked.samples % len(GROUPS["d8"]):
        raise UsageError(f"--samples is a multiple of 16, as D8 has elements, not {asked.samples}")
    starts = np.random.default_rng(seed).uniform(-1, 1, (asked.starts, 2, 2))
    found = {}
    for group, matrices in GROUPS.items():
        for limit in LIMITS:
            given = (matrices, limit, asked.samples, seed)
            found[f"{group}_{limit}"] = max(
                np.abs(plan(arm, x @ g.T, *given) - plan(arm, x, *given) @ g.T).max()
                for x in starts
                for g in matrices
            )
    return found


EXPERIMENTS = {
    "exact-sampling": Experiment(
        "2412.12237",
        "Plans that are drawn: how far they commute with a group, float64",
        tuple(ARMS),
        {
            f"{group}_{limit}": Metric(f"{group.upper()}, {limit}", lower_is_better=True)
            for group in GROUPS
            for limit in LIMITS
        },
        run,
        (ExactSampling,),
    )
}
