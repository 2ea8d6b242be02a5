"""The gap between optimal values of turned states, beside its bound, as a symmetry is broken.

  python -m sen_tf.reproduce --table=symmetry-bounds

A walker on a board of 9 x 9 cells is drawn to the centre; C4 turns cells and moves. Rewards and
transitions are then disturbed at random.
"""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from sen_tf.experiments.experiment import Experiment, Metric
from sen_tf.metrics import mdp_symmetry
from sen_tf.settings import setting

SIDE = 9
MOVES = np.array([(-1, 0), (0, 1), (1, 0), (0, -1)])
STRAIGHT, ASIDE = 0.7, 0.1
"""Chance that a move succeeds, and that of each other direction."""
ARMS = {
    "symmetric": (0.0, 0.0),
    "rewards": (0.1, 0.0),
    "transitions": (0.0, 0.1),
    "both": (0.1, 0.1),
    "both-strongly": (0.3, 0.3),
}
"""The amounts by which rewards and transitions are disturbed."""


@dataclasses.dataclass(frozen=True)
class SymmetryBounds:
    """The process."""

    discount: float = setting(0.95, "Discount of rewards.", at_least=0.0, at_most=0.999)


def board() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The undisturbed process: transitions, rewards, and what C4 does to cells and to moves."""
    cells = np.argwhere(np.ones((SIDE, SIDE)))
    reached = np.clip(cells[:, None] + MOVES, 0, SIDE - 1) @ (SIDE, 1)  # (cells, directions)
    chances = np.full((4, 4), ASIDE) + (STRAIGHT - ASIDE) * np.eye(4)
    transitions = np.einsum("ad,sdt->sat", chances, np.eye(len(cells))[reached])
    centre = (SIDE - 1) / 2
    rewards = np.repeat(-np.linalg.norm(cells - centre, axis=1)[:, None] / SIDE, 4, axis=1)
    on_cells, on_moves = [], []
    for g in range(4):
        turned = cells - centre
        for _ in range(g):  # a quarter turn counter-clockwise: right goes up
            turned = np.stack([-turned[:, 1], turned[:, 0]], axis=1)
        on_cells.append(np.rint(turned + centre).astype(int) @ (SIDE, 1))
        on_moves.append((np.arange(4) - g) % 4)
    return transitions, rewards, np.array(on_cells), np.array(on_moves)


def run(arm: str, settings: Sequence[Any], seed: int, directory: pathlib.Path) -> dict[str, Any]:
    """Disturbs the process and measures it; see `Experiment.run`."""
    (asked,) = settings
    transitions, rewards, on_cells, on_moves = board()
    of_rewards, of_transitions = ARMS[arm]
    rng = np.random.default_rng(seed)
    rewards = rewards + of_rewards * rng.uniform(-0.5, 0.5, rewards.shape)
    other = rng.dirichlet(np.ones(len(rewards)), rewards.shape)
    transitions = (1 - of_transitions) * transitions + of_transitions * other
    found = mdp_symmetry(transitions, rewards, on_cells, on_moves, asked.discount)
    return dataclasses.asdict(found)


EXPERIMENTS = {
    "symmetry-bounds": Experiment(
        "2411.04225",
        "Optimal values of turned states, as a symmetry is broken",
        tuple(ARMS),
        {
            "gap": Metric("gap of optimal values", lower_is_better=True),
            "bound": Metric("its bound", lower_is_better=True),
            "reward_error": Metric("error of rewards", lower_is_better=True),
            "transition_error": Metric("error of transitions", lower_is_better=True),
        },
        run,
        (SymmetryBounds,),
    )
}
