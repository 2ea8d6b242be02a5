"""Fitted Q-iteration where a symmetry is broken more and more: exact, relaxed and plain networks.

  python -m sen_tf.reproduce --table=relaxed-control --seeds=5

A point in a square is to go to its centre by four moves, which C4 permutes as it turns the square.
A wind to the right about the horizontal axis, and a cost of being on the right, break that.
Reported are discounted returns of the greedy policy, after training on so many transitions drawn
uniformly, and how far the values are from equivariant.
"""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from sen_tf import layers
from sen_tf.agents import fitted_q
from sen_tf.experiments.experiment import Experiment, Metric
from sen_tf.settings import setting

STEP, DISCOUNT, LONGEST, STARTS = 0.15, 0.95, 40, 300
CELLS = {
    "0-few": (0.0, 60),
    "0": (0.0, 200),
    "0.1": (0.1, 200),
    "0.2": (0.2, 200),
    "0.4": (0.4, 200),
    "1": (1.0, 200),
}
"""Cells of the table: how far the symmetry is broken, and how many transitions there are."""
TURNS = np.stack([np.linalg.matrix_power([[0, -1], [1, 0]], g) for g in range(4)]).astype(float)
"""The quarter turns; action g moves by `STEP` along the first axis, turned by g."""


@dataclasses.dataclass(frozen=True)
class RelaxedControl:
    """Training."""

    steps: int = setting(2000, "Steps of gradient descent.", at_least=1)
    batch_size: int = setting(64, "Transitions per step.", at_least=1)
    learning_rate: float = setting(1e-3, "Learning rate of Adam.", at_least=0.0)


def step(places: np.ndarray, actions: np.ndarray, broken: float) -> tuple[np.ndarray, np.ndarray]:
    """The places `(n, 2)` after actions `(n,)`, and the rewards `(n,)`."""
    wind = broken * 0.1 * np.exp(-np.square(places[:, 1] / 0.3))
    moved = places + STEP * TURNS[actions][:, :, 0]
    moved = np.clip(moved + np.stack([wind, np.zeros_like(wind)], axis=1), -1, 1)
    return moved, -np.linalg.norm(moved, axis=1) - broken * (moved[:, 0] > 0.3)


def make_values(arm: str) -> keras.Model:
    """A network from places `(n, 2)` to the values of the four actions `(n, 4)`."""
    place = keras.Input((2,))
    if arm == "plain":
        x = place
        for _ in range(2):
            x = keras.layers.Dense(48, activation="relu")(x)
        return keras.Model(place, keras.layers.Dense(4)(x))
    relaxed = arm == "relaxed"
    dense = layers.RelaxedGroupDense if relaxed else layers.GroupDense
    x = layers.ToRegular("C4", "standard")(place)
    for _ in range(2):
        x = dense("C4", 12 if relaxed else 16, activation="relu")(x)
    return keras.Model(place, keras.layers.Reshape((4,))(dense("C4", 1)(x)))


def fit(arm: str, broken: float, count: int, asked: RelaxedControl, seed: int) -> keras.Model:
    """Values that are fitted to their own improvement on transitions drawn uniformly."""
    keras.utils.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    places, actions = rng.uniform(-1, 1, (count, 2)), rng.integers(0, 4, count)
    after, rewards = step(places, actions, broken)
    model = make_values(arm)
    fitted_q.fit(
        model,
        make_values(arm),
        fitted_q.Transitions(places, actions, rewards, after),
        rng,
        discount=DISCOUNT,
        steps=asked.steps,
        batch_size=asked.batch_size,
        learning_rate=asked.learning_rate,
    )
    return model


def discounted_return(model: keras.Model, broken: float) -> float:
    """The mean discounted return of the greedy policy, from starts that are always the same."""
    places, total = np.random.default_rng(0).uniform(-1, 1, (STARTS, 2)), 0.0
    for time in range(LONGEST):
        actions = np.argmax(model.predict_on_batch(places.astype("float32")), axis=1)
        places, rewards = step(places, actions, broken)
        total += DISCOUNT**time * rewards.mean()
    return float(total)


def asymmetry(model: keras.Model) -> float:
    """`mean |Q(g p) - g Q(p)| / mean |Q(p)|` of values; 0 where they are equivariant."""
    places = np.random.default_rng(1).uniform(-1, 1, (STARTS, 2)).astype("float32")
    values = model.predict_on_batch(places)
    turned = [model.predict_on_batch((places @ g.T).astype("float32")) for g in TURNS[1:]]
    differences = [np.abs(q - np.roll(values, k, axis=1)).mean() for k, q in enumerate(turned, 1)]
    return float(np.mean(differences) / np.abs(values).mean())


def run(arm: str, settings: Sequence[Any], seed: int, directory: pathlib.Path) -> dict[str, Any]:
    """Fits and scores an arm in each cell; see `Experiment.run`."""
    (asked,) = settings
    found: dict[str, Any] = {}
    for name, (broken, count) in CELLS.items():
        model = fit(arm, broken, count, asked, seed)
        found[f"return_{name}"] = discounted_return(model, broken)
        if f"asymmetry_{name}" in METRICS:
            found[f"asymmetry_{name}"] = asymmetry(model)
    return found | {"weights": model.count_params(), "steps": asked.steps}


METRICS = {
    "return_0": Metric("return, symmetric"),
    "return_0-few": Metric("return, symmetric, 60 transitions"),
    **{
        f"return_{name}": Metric(f"return, broken by {name}") for name in ("0.1", "0.2", "0.4", "1")
    },
    "asymmetry_0": Metric("error of equivariance, symmetric", lower_is_better=True),
    "asymmetry_1": Metric("error of equivariance, broken by 1", lower_is_better=True),
}

EXPERIMENTS = {
    "relaxed-control": Experiment(
        "2411.04225",
        "Fitted Q-iteration as a symmetry is broken",
        ("exact", "relaxed", "plain"),
        METRICS,
        run,
        (RelaxedControl,),
    )
}
