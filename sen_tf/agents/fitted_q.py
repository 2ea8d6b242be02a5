"""Fitted Q-iteration: values of actions, learnt from transitions that are given.

Reference: Ernst et al., Tree-Based Batch Mode Reinforcement Learning (2005), here with networks and
a target network that follows slowly (Lillicrap et al., 2016).
"""

from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

KEPT = 0.99
"""The share of itself that the target network keeps per step."""


class Transitions(NamedTuple):
    """Transitions.

    Attributes:
        states: `(n, size)`.
        actions: Numbers of actions `(n,)`.
        rewards: `(n,)`.
        next_states: `(n, size)`.
        ends: Whether the episode is over then, with nothing to come, `(n,)`; None for nowhere. One
            that is only cut off, as by a limit of time, is not over.
    """

    states: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    next_states: np.ndarray
    ends: np.ndarray | None = None


def fit(
    values: keras.Model,
    target: keras.Model,
    transitions: Transitions,
    rng: np.random.Generator,
    *,
    discount: float = 0.95,
    steps: int = 2000,
    batch_size: int = 64,
    learning_rate: float = 1e-3,
) -> None:
    """Fits values to the rewards and the best values that follow.

    Args:
        values: Model from states `(n, size)` to the values of all actions `(n, actions)`.
        target: Another one like it, whose weights are overwritten.
        transitions: Where actions led.
        rng: Generator.
        discount: Discount of rewards, at least 0 and below 1.
        steps: Steps of Adam.
        batch_size: Transitions per step, at least 1.
        learning_rate: Learning rate of Adam.

    Raises:
        ValueError: If there are no transitions, or other shapes or numbers than said.
    """
    _check(transitions, discount, batch_size)
    states, rewards, next_states = (
        np.asarray(x, np.float32)
        for x in (transitions.states, transitions.rewards, transitions.next_states)
    )
    actions = _numbers(transitions.actions, [model(states[:1]) for model in (values, target)])
    ends = np.zeros(len(states)) if transitions.ends is None else transitions.ends
    goes_on = 1 - np.asarray(ends, np.float32)
    target.set_weights(values.get_weights())
    optimizer = keras.optimizers.Adam(learning_rate)
    optimizer.build(values.trainable_variables)

    @tf.function
    def improve(state, action, reward, next_state, goes_on):
        best = tf.reduce_max(target(next_state), axis=1)
        wanted = reward + discount * goes_on * tf.cast(best, reward.dtype)
        with tf.GradientTape() as tape:
            value = tf.gather(values(state), action, axis=1, batch_dims=1)
            loss = tf.reduce_mean(tf.square(tf.cast(value, reward.dtype) - wanted))
        gradients = tape.gradient(loss, values.trainable_variables)
        optimizer.apply_gradients(zip(gradients, values.trainable_variables, strict=True))
        for slow, fast in zip(target.weights, values.weights, strict=True):
            slow.assign(KEPT * slow + (1 - KEPT) * fast)

    for _ in range(steps):
        rows = rng.integers(0, len(states), batch_size)
        improve(states[rows], actions[rows], rewards[rows], next_states[rows], goes_on[rows])


def _numbers(actions, outputs):
    """Actions as int64; a ValueError for those that are no columns of both models' outputs."""
    numbers, count = np.asarray(actions), min(each.shape[-1] for each in outputs)
    kept = numbers.astype(np.int64)
    if (kept != numbers).any() or kept.min() < 0 or kept.max() >= count:
        raise ValueError(
            f"Expected `actions` to be whole numbers from 0 to {count - 1}, since the models have "
            f"{count} outputs; received {numbers.dtype} from {numbers.min()} to {numbers.max()}."
        )
    return kept


def _check(transitions, discount, batch_size):
    count = len(transitions.actions)
    if not count:
        raise ValueError("Expected `transitions` to hold some; received none.")
    size = np.shape(transitions.states)[1:]
    shapes = {"states": size, "actions": (), "rewards": (), "next_states": size}
    shapes |= {} if transitions.ends is None else {"ends": ()}
    for name, shape in shapes.items():  # a column of rewards would be spread over all of a batch
        given = np.asarray(getattr(transitions, name))
        if given.shape != (count, *shape):
            raise ValueError(
                f"Expected `{name}` to have shape {(count, *shape)}; received shape {given.shape}."
            )
        if not np.isfinite(given).all():
            raise ValueError(f"Expected `{name}` to be finite; received NaN or infinity.")
    if not 0 <= discount < 1:
        raise ValueError(f"Expected `discount` to be in [0, 1); received discount={discount!r}.")
    if not batch_size >= 1:
        raise ValueError(
            f"Expected `batch_size` to be at least 1; received batch_size={batch_size!r}."
        )
