"""The symmetry of a Markov decision process that is given as tables, and what its lack can cost."""

import dataclasses

import numpy as np

TOLERANCE = 1e-12
"""The share of the largest value from which on one action is better than another; where rounding is
larger, it is that."""


@dataclasses.dataclass(frozen=True)
class MdpSymmetry:
    """The distance of a process from an invariant one, and that of its optimal values.

    Attributes:
        reward_error: The greatest `|R(g s, g a) - R(s, a)|`.
        transition_error: The greatest total variation, half the L1 distance, between `P(. | s, a)`
            and `P(g . | g s, g a)`.
        gap: The greatest `|Q(g s, g a) - Q(s, a)|` of optimal values.
        bound: The most that the gap can be: `(reward_error + discount * span * transition_error) /
            (1 - discount)`, where the span is that of the optimal values of states.
    """

    reward_error: float
    transition_error: float
    gap: float
    bound: float


def mdp_symmetry(
    transitions: np.ndarray,
    rewards: np.ndarray,
    on_states: np.ndarray,
    on_actions: np.ndarray,
    discount: float,
) -> MdpSymmetry:
    """Measures how far a process is from invariant under a group.

    Args:
        transitions: Probabilities `(states, actions, states)` of next states.
        rewards: Expected rewards `(states, actions)`.
        on_states: Where each element sends each state, integers `(elements, states)`.
        on_actions: Where each element sends each action, integers `(elements, actions)`.
        discount: Discount of rewards, at least 0 and below 1.

    Raises:
        ValueError: For shapes that do not fit, rows that are no probabilities, rewards or values
            that are not finite, elements that are no permutations, or another discount.

    Reference: Park et al. (2025, arXiv 2411.04225), on approximately invariant processes.
    """
    transitions, rewards = _process(transitions, rewards, discount)
    on_states, on_actions = np.asarray(on_states), np.asarray(on_actions)
    _check_elements(on_states, on_actions, *rewards.shape)
    q = optimal_values(transitions, rewards, discount)
    errors = []
    for states, actions in zip(on_states, on_actions, strict=True):
        pairs = np.ix_(states, actions)
        turned = transitions[pairs][:, :, states]  # P(g s' | g s, g a)
        errors.append(
            [
                np.abs(rewards[pairs] - rewards).max(),
                np.abs(turned - transitions).sum(axis=-1).max() / 2,
                np.abs(q[pairs] - q).max(),
            ]
        )
    of_rewards, of_transitions, gap = np.max(errors, axis=0)
    span = np.ptp(q.max(axis=1))
    bound = (of_rewards + discount * span * of_transitions) / (1 - discount)
    return MdpSymmetry(*map(float, (of_rewards, of_transitions, gap, bound)))


def optimal_values(transitions: np.ndarray, rewards: np.ndarray, discount: float) -> np.ndarray:
    """Optimal values `(states, actions)` of a process, by policy iteration.

    Each policy is valued exactly, so that it takes no longer where the discount is near 1.

    Args:
        transitions, rewards, discount: As in `mdp_symmetry`.

    Raises:
        ValueError: As `mdp_symmetry`.
    """
    transitions, rewards = _process(transitions, rewards, discount)
    scale = np.abs(rewards).max() or 1.0
    rewards = rewards / scale
    states, policy = np.arange(len(rewards)), rewards.argmax(axis=1)
    least = max(TOLERANCE, len(rewards) * np.finfo(float).eps / (1 - discount))
    while True:
        followed = np.eye(len(rewards)) - discount * transitions[states, policy]
        q = rewards + discount * transitions @ np.linalg.solve(followed, rewards[states, policy])
        # Of actions as good, up to rounding, the one before stays: else they would take turns.
        better = q.max(axis=1) > q[states, policy] + least * np.abs(q).max()
        if not better.any():
            return scale * q
        policy = np.where(better, q.argmax(axis=1), policy)


def _process(transitions, rewards, discount):
    """The two tables as floats, of a process that has optimal values."""
    transitions, rewards = np.asarray(transitions, float), np.asarray(rewards, float)
    if rewards.ndim != 2 or not rewards.size:
        raise ValueError(
            f"Expected `rewards` to have shape (states, actions); received shape {rewards.shape}."
        )
    states, actions = rewards.shape
    if transitions.shape != (states, actions, states):
        raise ValueError(
            f"Expected `transitions` to have shape {(states, actions, states)}, as `rewards` have "
            f"{rewards.shape}; received {transitions.shape}."
        )
    if not (np.allclose(transitions.sum(axis=-1), 1) and (transitions >= 0).all()):
        raise ValueError("Expected `transitions` to be probabilities of next states.")
    if not 0 <= discount < 1:
        raise ValueError(f"Expected `discount` to be in [0, 1); received discount={discount!r}.")
    if not np.abs(rewards).max() <= (1 - discount) * np.finfo(float).max:
        raise ValueError(
            "Expected `rewards` to be finite, and their discounted sums; received NaN, infinity or "
            "numbers as large."
        )
    return transitions, rewards


def _check_elements(on_states, on_actions, states, actions):
    for name, given, count in (
        ("on_states", on_states, states),
        ("on_actions", on_actions, actions),
    ):
        right = given.ndim == 2 and np.issubdtype(given.dtype, np.integer)
        if not right or not np.array_equal(np.sort(given), np.tile(range(count), (len(given), 1))):
            raise ValueError(
                f"Expected `{name}` to be permutations of {count} numbers, integers, a row per "
                f"element; received shape {given.shape}, {given.dtype}."
            )
    if not len(on_states) == len(on_actions) > 0:
        raise ValueError(
            "Expected `on_states` and `on_actions` to have a row for each element; received "
            f"{len(on_states)} and {len(on_actions)} rows."
        )
