"""Linear-quadratic control: dynamics made linear about a point, and the feedback best for them.

Where dynamics commute with a group, so do all three: A(g x) = g A(x) g^-1, and the same of B and of
the feedback.

Reference: Zhao et al. (2023, arXiv 2307.08226), theorems 3 and 4; Chu et al. (2004), A
structure-preserving doubling algorithm, for the feedback.
"""

import numpy as np

from sen_tf.planning.discrete import Step

ROUNDS = 60
"""Doublings of the steps that are looked ahead, at most."""


def linearise(step: Step, state: np.ndarray, action: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The slopes of a step at a state and an action, by central differences.

    They are as far apart as is best for the precision of what the step returns: 6e-6 on either side
    of numbers up to 1 in float64, 5e-3 in float32, more of larger ones.

    Args:
        step: Function from states `(n, size)` and actions `(n, actions)` to states `(n, size)`.
        state: State `(size,)`.
        action: Action `(actions,)`.

    Returns:
        A, `(size, size)`, and B, `(size, actions)`: the step is about `A dx + B du` farther.
    """

    def after(points):
        return np.asarray(step(points[:, : len(state)], points[:, len(state) :]))

    point = np.concatenate([state, action]).astype(float)
    dtype = after(point[None]).dtype
    dtype = np.dtype(float) if dtype.kind in "biu" else dtype  # integers have no precision
    apart = np.cbrt(float(np.spacing(np.ones((), dtype)))) * np.maximum(1.0, np.abs(point))
    # The numbers of that dtype that are nearest, so that a step changes them no more.
    above, below = ((point + sign * np.diag(apart)).astype(dtype).astype(float) for sign in (1, -1))
    there, back = np.split(after(np.concatenate([above, below])).astype(float), 2)
    slopes = (there - back).T / np.diag(above - below)
    return slopes[:, : len(state)], slopes[:, len(state) :]


def riccati(
    a: np.ndarray, b: np.ndarray, state_cost: np.ndarray, action_cost: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The cost to go `x P x` and the feedback `u = -K x` that is best for `x' = A x + B u`.

    P is the limit of the cost of ever more steps, of which every round looks twice as many ahead.

    Args:
        a: A, `(size, size)`.
        b: B, `(size, actions)`.
        state_cost: Q, `(size, size)`, of the cost `x Q x + u R u` per step, symmetric.
        action_cost: R, `(actions, actions)`, symmetric and positive definite.

    Returns:
        P, `(size, size)`, and K, `(actions, size)`.

    Raises:
        ValueError: For shapes that do not fit, numbers that are not finite, costs that are not as
            said; and if it does not converge, as where what A lets grow B cannot reach.
    """
    a, b, state_cost, action_cost = _checked(a, b, state_cost, action_cost)
    one = np.eye(len(a))
    steps, reach, cost = a, b @ np.linalg.solve(action_cost, b.T), state_cost
    for _ in range(ROUNDS):
        with np.errstate(over="ignore", invalid="ignore"):  # refused below
            solved = np.linalg.solve(one + reach @ cost, np.concatenate([steps, reach], axis=1))
            driven, pushed = np.split(solved, 2, axis=1)
            later = _symmetric(cost + steps.T @ cost @ driven)
            reach = _symmetric(reach + steps @ pushed @ steps.T)
            steps = steps @ driven
        if not np.isfinite(later).all():
            break
        if np.abs(later - cost).max() <= 1e-12 * np.abs(later).max():
            return later, np.linalg.solve(action_cost + b.T @ later @ b, b.T @ later @ a)
        cost = later
    raise ValueError("Expected dynamics that feedback makes stable; the cost to go has no limit.")


def _symmetric(matrix):
    return (matrix + matrix.T) / 2


def _checked(a, b, state_cost, action_cost):
    """The matrices as floats, of a problem that has a sense."""
    given = {"a": a, "b": b, "state_cost": state_cost, "action_cost": action_cost}
    arrays = {name: np.asarray(matrix, float) for name, matrix in given.items()}
    size, actions = arrays["b"].shape if arrays["b"].ndim == 2 else (0, 0)
    shapes = ((size, size), (size, actions), (size, size), (actions, actions))
    for (name, array), shape in zip(arrays.items(), shapes, strict=True):
        if array.shape != shape or not array.size:
            raise ValueError(
                f"Expected `{name}` to be a matrix that fits `b`, of shape {arrays['b'].shape}; "
                f"received shape {array.shape}."
            )
        if not np.isfinite(array).all():
            raise ValueError(f"Expected `{name}` to be finite; received NaN or infinity.")
        if name.endswith("cost") and not np.allclose(array, array.T):
            raise ValueError(
                f"Expected `{name}` to be symmetric; received {name}={array.tolist()}."
            )
    if not np.linalg.eigvalsh(arrays["action_cost"]).min() > 0:
        raise ValueError(
            "Expected `action_cost` to be positive definite; received "
            f"action_cost={arrays['action_cost'].tolist()}."
        )
    return arrays.values()
