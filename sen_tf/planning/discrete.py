"""Planners that choose among a few actions: beam search, categorical CEM, random shooting.

They are functions of the step of any model and work on many tasks at once. The cost of a state is
the sum of the moves by which its objects miss their goals.
"""

import dataclasses
from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from sen_tf.planning.places import Places

Step: TypeAlias = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Predicted states `(n, ...)` of states `(n, ...)` after actions `(n, ...)`."""
Forbidden: TypeAlias = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Actions that are known to do nothing, booleans `(n, actions)`, at states `(n, ...)` of tasks of
these numbers `(n,)`."""
PER_ACTION = 0.3
"""Moves by which an action must bring the goal nearer, to be worth it."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """Actions `(k, ...)`, and whether they are predicted to reach the goal."""

    actions: np.ndarray
    reaches: bool


def beam_search(
    step: Step,
    places: Places,
    states: np.ndarray,
    goals: np.ndarray,
    actions: np.ndarray,
    *,
    horizon: int = 6,
    width: int = 8,
    forbidden: Forbidden | None = None,
) -> list[Plan]:
    """Tries every action from the best states of each length, and keeps the best that are new.

    Args:
        step: See `Step`.
        places: What tells states apart; predicted states are moved to them.
        states, goals: States `(tasks, ...)`.
        actions: What there is to choose from, `(actions, ...)`: numbers, or anything `step` takes.
        horizon: Actions per plan, at most.
        width: States kept per task and length; 1 is greedy.
        forbidden: Actions that are not tried; see `Forbidden`.

    Returns:
        A plan per task: the shortest found that reaches the goal, else the cheapest one, which is
        empty where no action is worth it.

    Raises:
        ValueError: For a horizon or a width below 1, no actions, goals of another shape than
            states, or states that are not finite.
    """
    check_sizes(horizon=horizon, width=width)
    best = _Best(places, states, goals, actions)
    states, actions = best.starts, best.choices
    tasks, histories = np.arange(len(states)), np.zeros((len(states), 0), np.int64)
    seen = _with_task(places.keys(states), tasks)
    for _ in range(horizon):
        open_ = ~best.reached[tasks]
        states, tasks, histories = states[open_], tasks[open_], histories[open_]
        if not len(tasks):
            break
        parents = np.repeat(np.arange(len(tasks)), len(actions))
        tried = np.tile(np.arange(len(actions)), len(tasks))
        if forbidden is not None:
            allowed = ~np.asarray(forbidden(states, tasks), bool)[parents, tried]
            parents, tried = parents[allowed], tried[allowed]
        if not len(parents):
            break
        children = places.nearest(step(states[parents], actions[tried]))
        owners = tasks[parents]
        new = ~places.near(states[parents], children)
        keys = _with_task(places.keys(children), owners)
        first = np.zeros(len(keys), bool)
        first[np.unique(keys, return_index=True)[1]] = True
        new &= first & ~np.isin(keys, seen)
        seen = np.concatenate([seen, keys[new]])
        costs = best.of(children, owners)
        kept = np.flatnonzero(new)
        if not len(kept):
            break
        kept = kept[_first_of_each(owners[kept], costs[kept], width)]
        states, tasks = children[kept], owners[kept]
        histories = np.column_stack([histories[parents[kept]], tried[kept]])
        best.offer(states, tasks, histories)
    return best.plans()


def categorical_cem(
    step: Step,
    places: Places,
    states: np.ndarray,
    goals: np.ndarray,
    actions: np.ndarray,
    *,
    rng: np.random.Generator,
    horizon: int = 6,
    samples: int = 300,
    iterations: int = 10,
    elites: int = 30,
    smoothing: float = 0.1,
    forbidden: Forbidden | None = None,
) -> list[Plan]:
    """Draws sequences of actions, and draws again as the best ones were, each time step by itself.

    Args:
        step, places, states, goals, actions, horizon, forbidden: As in `beam_search`.
        rng: Generator.
        samples: Sequences per task and iteration.
        iterations: How often probabilities are set anew; 1 is random shooting.
        elites: The best sequences per task, from whose frequencies they are set.
        smoothing: Share of the probabilities of before that stays.

    Returns:
        A plan per task: the best beginning of any sequence drawn.

    Raises:
        ValueError: For a size below 1, smoothing that is no share, and as `beam_search`.

    Reference: Rubinstein (1999).
    """
    check_sizes(horizon=horizon, samples=samples, iterations=iterations, elites=elites)
    if not 0 <= smoothing <= 1:
        raise ValueError(
            f"Expected `smoothing` to be from 0 to 1; received smoothing={smoothing!r}."
        )
    best, count = _Best(places, states, goals, actions), len(states)
    states, actions = best.starts, best.choices
    chances = np.full((count, horizon, len(actions)), 1.0 / len(actions))
    tasks = np.repeat(np.arange(count), samples)
    for _ in range(iterations):
        limits = chances.cumsum(axis=-1)
        drawn = rng.random((samples, count, horizon)).transpose(1, 0, 2)
        picked = (drawn[..., None] * limits[:, None, :, -1:] >= limits[:, None]).sum(axis=-1)
        sequences = np.minimum(picked, len(actions) - 1).reshape(-1, horizon)
        costs = _roll_out(step, places, states[tasks], tasks, sequences, best, forbidden)
        order = np.argsort(costs.reshape(count, samples), axis=1, kind="stable")[:, :elites]
        chosen = np.take_along_axis(
            sequences.reshape(count, samples, horizon), order[..., None], axis=1
        )
        frequencies = np.eye(len(actions))[chosen].mean(axis=1)
        chances = smoothing * chances + (1 - smoothing) * frequencies
        if best.reached.all():
            break
    return best.plans()


def random_shooting(*arguments, samples: int = 3000, **options) -> list[Plan]:
    """The best beginning of sequences that are drawn at random; see `categorical_cem`."""
    return categorical_cem(*arguments, samples=samples, iterations=1, **options)


def _roll_out(step, places, states, tasks, sequences, best, forbidden):
    """The cost `(n,)` of the best beginning of each sequence; offers the best per task."""
    least, useless = np.full(len(tasks), np.inf), np.zeros(len(tasks), bool)
    for length in range(1, sequences.shape[1] + 1):
        actions = sequences[:, length - 1]
        if forbidden is not None:
            known = np.asarray(forbidden(states, tasks), bool)
            useless |= known[np.arange(len(tasks)), actions]
        states = places.nearest(step(states, best.choices[actions]))
        costs = np.where(useless, np.inf, best.of(states, tasks) + PER_ACTION * length)
        there = places.near(states, best.goals[tasks]) & ~useless
        least = np.minimum(least, np.where(there, -1 / length, costs))
        top = _first_of_each(tasks, costs, 1)
        top = top[~useless[top]]
        best.offer(states[top], tasks[top], sequences[top, :length])
    return least


class _Best:
    """The best sequence so far of each task: one that reaches the goal, else the cheapest."""

    def __init__(self, places, states, goals, choices):
        states, goals, choices = (np.asarray(each) for each in (states, goals, choices))
        for name, given in (("states", states), ("goals", goals)):
            if not np.isfinite(given).all():
                raise ValueError(f"Expected `{name}` to be finite; received NaN or infinity.")
        if states.shape != goals.shape:
            raise ValueError(
                f"Expected `goals` to have the shape of `states`, {states.shape}; received "
                f"{goals.shape}."
            )
        if not choices.size:
            raise ValueError("Expected `actions` to hold some to choose from; received none.")
        self.places, self.starts, self.goals, self.choices = places, states, goals, choices
        self.reached = places.near(states, goals)
        self.cost = self.of(states, np.arange(len(goals)))
        self.sequences = [np.zeros(0, np.int64)] * len(goals)

    def of(self, states, tasks):
        """Costs `(n,)` of states `(n, ...)` of tasks `(n,)`, without that of actions."""
        return self.places.distances(states, self.goals[tasks]).sum(axis=1)

    def offer(self, states, tasks, sequences):
        """Keeps of sequences `(n, k)` to states `(n, ...)` those that are better than before."""
        costs = self.of(states, tasks) + PER_ACTION * sequences.shape[1]
        reached = self.places.near(states, self.goals[tasks])
        ahead = ~self.reached[tasks] & (reached | (costs < self.cost[tasks]))
        for row in np.lexsort((-costs, reached)):  # the best of a task comes last, and stays
            if not ahead[row]:
                continue
            task = tasks[row]
            self.reached[task], self.cost[task] = reached[row], costs[row]
            self.sequences[task] = sequences[row]

    def plans(self):
        actions = [self.choices[sequence] for sequence in self.sequences]
        return [Plan(*each) for each in zip(actions, map(bool, self.reached), strict=True)]


def check_sizes(**sizes: int) -> None:
    """Raises a ValueError for a size below 1."""
    for name, size in sizes.items():
        if not size >= 1:
            raise ValueError(f"Expected `{name}` to be at least 1; received {name}={size}.")


def _with_task(keys, tasks):
    """Keys that differ between tasks."""
    return keys ^ (tasks.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)


def _first_of_each(tasks, costs, count):
    """Rows of the `count` least costs of each task, in the order of tasks and costs."""
    order = np.lexsort((costs, tasks))
    sorted_tasks = tasks[order]
    starts = np.flatnonzero(np.diff(sorted_tasks, prepend=-1))
    lengths = np.diff(np.append(starts, len(order)))
    rank = np.arange(len(order)) - np.repeat(starts, lengths)
    return order[rank < count]
