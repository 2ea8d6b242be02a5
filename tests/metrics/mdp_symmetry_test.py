"""Processes whose gap is known, and the bound on many that are not."""

import numpy as np
import pytest

from sen_tf.experiments import symmetry_bounds
from sen_tf.experiments.symmetry_bounds import SymmetryBounds
from sen_tf.metrics import mdp_symmetry, optimal_values

SWAP = np.array([[0, 1], [1, 0]])


@pytest.mark.parametrize("discount", [0.0, 0.5, 0.9, 0.99])
def test_the_bound_is_tight_where_two_states_stay_where_they_are(discount):
    stay = np.eye(2)[:, None, :]
    found = mdp_symmetry(stay, [[0.0], [0.1]], SWAP, np.zeros((2, 1), int), discount)
    assert found.reward_error == 0.1 and found.transition_error == 0.0
    assert found.gap == pytest.approx(0.1 / (1 - discount), abs=1e-9)
    assert found.bound == pytest.approx(found.gap, abs=1e-9)


def test_transitions_that_differ_are_a_total_variation():
    transitions = np.array([[[0.7, 0.3]], [[0.5, 0.5]]])  # the swap makes 0.5, 0.5 of the first
    found = mdp_symmetry(transitions, np.zeros((2, 1)), SWAP, np.zeros((2, 1), int), 0.5)
    assert found.transition_error == pytest.approx(0.2)
    assert (found.gap, found.bound) == (0.0, 0.0)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("arm", symmetry_bounds.ARMS)
def test_the_gap_is_never_above_its_bound(arm, seed):
    found = symmetry_bounds.run(arm, (SymmetryBounds(),), seed, None)
    assert found["gap"] <= found["bound"] + 1e-9
    disturbed = symmetry_bounds.ARMS[arm]
    for name, amount in zip(("reward_error", "transition_error"), disturbed, strict=True):
        assert (found[name] > 1e-3) == (amount > 0)
    if arm == "symmetric":
        assert found["gap"] < 1e-9


OF_VALUES = [
    ("discount", {"discount": 1.0}),
    ("discount", {"discount": np.nan}),
    ("rewards", {"rewards": np.zeros(2)}),
    ("rewards", {"rewards": np.zeros((0, 1))}),
    ("rewards", {"rewards": np.array([[0.0], [np.nan]])}),
    ("rewards", {"rewards": np.array([[0.0], [-np.inf]])}),
    ("rewards", {"rewards": np.full((2, 1), 1e308)}),  # finite, but what they add up to is not
    ("transitions", {"transitions": np.full((2, 1, 2), np.nan)}),
]


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("transitions", {"transitions": np.full((2, 1, 2), 0.4)}),
        ("transitions", {"transitions": np.full((2, 2, 2), 0.5)}),
        ("on_states", {"on_states": np.zeros((2, 2), int)}),
        ("on_actions", {"on_actions": np.ones((2, 1), int)}),
        ("on_states", {"on_states": np.eye(2)[1]}),
        ("on_states", {"on_states": SWAP.astype(float)}),
        ("on_states` and `on_actions", {"on_actions": np.zeros((3, 1), int)}),
        *OF_VALUES,
    ],
)
def test_what_is_no_process_is_refused(name, change):
    right = {
        "transitions": np.full((2, 1, 2), 0.5),
        "rewards": np.zeros((2, 1)),
        "on_states": SWAP,
        "on_actions": np.zeros((2, 1), int),
        "discount": 0.5,
    }
    mdp_symmetry(**right)
    with pytest.raises(ValueError, match=f"Expected `{name}`"):
        mdp_symmetry(**(right | change))


@pytest.mark.parametrize(("name", "change"), OF_VALUES)
def test_what_has_no_optimal_values_is_refused(name, change):
    right = {"transitions": np.full((2, 1, 2), 0.5), "rewards": np.ones((2, 1)), "discount": 0.5}
    np.testing.assert_allclose(optimal_values(**right), [[2.0], [2.0]])
    with pytest.raises(ValueError, match=f"Expected `{name}`"):
        optimal_values(**(right | change))


def test_optimal_values_are_those_of_the_best_way_of_lists_too():
    # From state 0, action 1 earns 1 and leads to state 1, where each action earns 3 and stays.
    transitions = [[[1, 0], [0, 1]], [[0, 1], [0, 1]]]
    found = optimal_values(transitions, [[2, 1], [3, 3]], 0.5)
    np.testing.assert_allclose(found, [[2 + 0.5 * 4, 1 + 0.5 * 6], [6, 6]])


@pytest.mark.parametrize("discount", [0.0, 0.9, 0.999, 1 - 1e-9])
def test_optimal_values_of_rings_with_rewards_of_both_signs(discount):
    """Sums of rounding errors went round such a ring for ever, under value iteration."""
    transitions = np.roll(np.eye(3), 1, axis=1)[:, None]
    values = optimal_values(transitions, [[1.0], [0.0], [-1.0]], discount)[:, 0]
    first = (1 - discount**2) / (1 - discount**3)
    np.testing.assert_allclose(values[0], first, rtol=1e-6)
    np.testing.assert_allclose(values[:2], [1, 0] + discount * values[1:], rtol=0, atol=1e-6)


def test_optimal_values_of_many_ways_are_a_fixed_point():
    rng = np.random.default_rng(0)
    transitions, rewards = rng.dirichlet(np.ones(40) / 10, (40, 5)), 1e6 * rng.normal(size=(40, 5))
    values = optimal_values(transitions, rewards, 0.995)
    again = rewards + 0.995 * transitions @ values.max(axis=1)
    np.testing.assert_allclose(again, values, rtol=1e-9)


@pytest.mark.parametrize("discount", [0.9, 0.999])
def test_optimal_values_of_a_board_on_which_many_ways_are_as_good(discount):
    """A corner of 13 x 13 places is to be reached; a fifth of the moves slip to another."""
    side, moves = 13, np.array([[0, 1], [1, 0], [0, -1], [-1, 0]])
    places = np.stack(np.divmod(np.arange(side**2), side), axis=1)
    ends = np.clip(places[:, None] + moves, 0, side - 1) @ [side, 1]
    sure = np.eye(side**2)[ends]
    transitions = 0.8 * sure + 0.2 * sure.mean(axis=1, keepdims=True)
    rewards = np.repeat((ends.min(axis=1) == 0)[:, None], 4, axis=1).astype(float)
    values = optimal_values(transitions, rewards, discount)
    again = rewards + discount * transitions @ values.max(axis=1)
    np.testing.assert_allclose(again, values, rtol=1e-8)
    board = values.max(axis=1).reshape(side, side)
    np.testing.assert_allclose(board, board.T, rtol=1e-8)
