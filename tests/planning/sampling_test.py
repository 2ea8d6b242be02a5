"""Drawn plans commute with a group, in float64, where they should and nowhere else."""

import numpy as np
import pytest

from sen_tf import planning
from sen_tf.groups import actions

D4 = np.stack([actions.vector_matrix("D4", g) for g in range(8)])
TURNS = 2 * np.pi * np.arange(8) / 8
C8 = np.stack([[[np.cos(t), -np.sin(t)], [np.sin(t), np.cos(t)]] for t in TURNS])


def plan_of(state, **options):
    def values(sequences):  # a point that is to come to rest at 0
        places = state + np.cumsum(0.1 * sequences, axis=1)
        return -np.square(places).sum(axis=(1, 2))

    rng = np.random.default_rng(0)
    mean = np.full((6, 2), 0.1) * state  # as warm as the state
    return planning.mppi(values, mean, rng=rng, samples=64, **options).mean


def error(matrices, noise=None, **options):
    """The greatest difference between g times a plan, and the plan of g times the state."""
    state, noise = np.array([0.7, -0.4]), matrices if noise is None else noise
    plan = plan_of(state, matrices=noise, **options)
    return max(
        np.abs(plan @ g.T - plan_of(g @ state, matrices=noise, **options)).max() for g in matrices
    )


@pytest.mark.parametrize("limit", ["ball", "box"])
@pytest.mark.parametrize("spread", ["isotropic", "coordinates", "full"])
def test_plans_commute_with_d4(spread, limit):
    assert error(D4, spread=spread, limit=limit) < 1e-10


@pytest.mark.parametrize("spread", ["isotropic", "full"])
def test_plans_commute_with_turns_that_mix_coordinates(spread):
    assert error(C8, spread=spread) < 1e-10


def test_noise_that_is_not_turned_does_not_commute():
    assert error(D4, noise=np.eye(2)[None]) > 0.05


@pytest.mark.parametrize("options", [{"limit": "box"}, {"spread": "coordinates"}])
def test_what_the_group_does_not_keep_is_refused(options):
    with pytest.raises(ValueError, match="to be kept by the group"):
        plan_of(np.zeros(2), matrices=C8, **options)


def test_the_symmetric_root_is_one_and_cem_finds_the_best():
    covariance = np.array([[2.0, 0.5], [0.5, 1.0]])
    root = planning.sampling.symmetric_root(covariance)
    np.testing.assert_allclose(root @ root, covariance)
    wanted = np.array([[0.3, -0.6]])
    found = planning.cem(
        lambda drawn: -np.square(drawn - wanted).sum(axis=(1, 2)),
        np.zeros((1, 2)),
        rng=np.random.default_rng(0),
        iterations=8,
    )
    np.testing.assert_allclose(found.mean, wanted, atol=0.06)


def test_values_that_are_no_numbers_are_refused():
    with pytest.raises(ValueError, match="Expected `values` to return finite numbers"):
        planning.mppi(
            lambda drawn: np.full(len(drawn), np.nan),
            np.zeros((2, 2)),
            rng=np.random.default_rng(0),
        )


@pytest.mark.parametrize("planner", [planning.mppi, planning.cem])
@pytest.mark.parametrize(
    ("message", "options"),
    [
        ("`samples` to be at least 1; received samples=0", {"samples": 0}),
        ("`elites` to be at least 1", {"elites": 0}),
        ("`iterations` to be at least 1", {"iterations": 0}),
        ("`radius` to be above 0", {"radius": -1.0}),
        ("`deviations` to be finite and at least 0", {"deviations": (np.nan, 0.05)}),
        ("`deviations` to be finite and at least 0", {"deviations": (1.0, -0.05)}),
        ("`mean` to be finite", {"mean": np.full((3, 2), np.nan)}),
        ("`mean` to have shape", {"mean": np.zeros(2)}),
        ("`mean` to have shape", {"mean": np.zeros((0, 2))}),
        ("`matrices` to have shape", {"matrices": np.eye(2)}),
        ("`matrices` to have shape", {"matrices": np.eye(3)[None]}),
        ("`proposals` to have shape", {"proposals": np.zeros((4, 2, 2))}),
        ("`matrices` to be orthogonal", {"matrices": np.full((1, 2, 2), np.nan)}),
        ("`values` to return a number per sequence", {"values": lambda drawn: drawn[:, 0, :1]}),
    ],
)
def test_numbers_that_mean_nothing_are_refused(planner, message, options):
    right = {"values": lambda drawn: -np.square(drawn).sum(axis=(1, 2)), "mean": np.zeros((3, 2))}
    with pytest.raises(ValueError, match=f"Expected {message}"):
        planner(**(right | options), rng=np.random.default_rng(0))


@pytest.mark.parametrize("temperature", [0.0, -1.0, np.nan])
def test_a_temperature_is_above_0(temperature):
    with pytest.raises(ValueError, match="Expected `temperature` to be None or above 0"):
        plan_of(np.zeros(2), temperature=temperature)


def test_the_colder_the_nearer_to_the_best_sequence_alone():
    drawn = np.random.default_rng(0).uniform(-0.5, 0.5, (32, 1, 2))

    def mean(temperature):
        return planning.sampling.improve(
            lambda sequences: sequences[:, 0, 0],
            np.zeros((1, 2)),
            lambda mean, covariance: drawn,
            iterations=1,
            temperature=temperature,
        ).mean[0]

    best = drawn[np.argmax(drawn[:, 0, 0]), 0]
    np.testing.assert_allclose(mean(1e-3), best, atol=1e-6)
    elites = drawn[np.argsort(-drawn[:, 0, 0])[:16], 0]
    np.testing.assert_allclose(mean(None), elites.mean(axis=0), atol=1e-12)
