"""Linear-quadratic control: dynamics made linear about a point, and the feedback best for them.

Where dynamics commute with a group, so do all three: A(g x) = g A(x) g^-1, and the same of B and of
the feedback.

Reference: Zhao et al. (2023, arXiv 2307.08226), theorems 3 and 4.
"""

import numpy as np

from sen_tf.planning.discrete import Step

SMALL = 1e-5
"""Half the difference of two states or actions between which slopes are measured."""


def linearise(step: Step, state: np.ndarray, action: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The slopes of a step at a state and an action, by central differences.

    Args:
        step: Function from states `(n, size)` and actions `(n, actions)` to states `(n, size)`.
        state: State `(size,)`.
        action: Action `(actions,)`.

    Returns:
        A, `(size, size)`, and B, `(size, actions)`: the step is about `A dx + B du` farther.
    """
    point = np.concatenate([state, action]).astype(float)
    shifted = point + SMALL * np.concatenate([np.eye(len(point)), -np.eye(len(point))])
    after = np.asarray(step(shifted[:, : len(state)], shifted[:, len(state) :]), float)
    slopes = (after[: len(point)] - after[len(point) :]).T / (2 * SMALL)
    return slopes[:, : len(state)], slopes[:, len(state) :]


def riccati(
    a: np.ndarray, b: np.ndarray, state_cost: np.ndarray, action_cost: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The cost to go `x P x` and the feedback `u = -K x` that is best for `x' = A x + B u`.

    Args:
        a: A, `(size, size)`.
        b: B, `(size, actions)`.
        state_cost: Q, `(size, size)`, of the cost `x Q x + u R u` per step.
        action_cost: R, `(actions, actions)`, positive definite.

    Returns:
        P, `(size, size)`, and K, `(actions, size)`, found by value iteration.

    Raises:
        ValueError: If it does not converge, as where what A lets grow B cannot reach.
    """
    cost = np.array(state_cost, float)
    for _ in range(10_000):
        feedback = np.linalg.solve(action_cost + b.T @ cost @ b, b.T @ cost @ a)
        with np.errstate(over="ignore"):  # refused below
            later = state_cost + a.T @ cost @ (a - b @ feedback)
        if not np.isfinite(later).all():
            break
        if np.abs(later - cost).max() <= 1e-12 * np.abs(later).max():
            return later, feedback
        cost = later
    raise ValueError("Expected dynamics that feedback makes stable; the cost to go has no limit.")
