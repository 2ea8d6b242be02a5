"""Point masses brought to rest by TD-MPC: plain, with turned experience, and equivariant.

  python -m sen_tf.reproduce --table=equivariant-planning --seeds=5
  python -m sen_tf.reproduce --table=equivariant-planning-3d --seeds=5

Agents plan with models that they learn as they go. Reported is after how many steps in the world
they first reach 80 % of the return of linear-quadratic control, which knows the dynamics (all
steps, if they never do); and by how much a return changes where the start is turned, with networks
and noise in float64.
"""

import dataclasses
import functools
import json
import pathlib
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from matplotlib.figure import Figure

from sen_tf.agents import interaction, tdmpc
from sen_tf.agents.interaction import Learning
from sen_tf.agents.replay import Replay
from sen_tf.envs.point_mass import LONGEST, PointMass
from sen_tf.experiments.experiment import Experiment, Metric
from sen_tf.groups import representations
from sen_tf.planning import lqr
from sen_tf.settings import setting
from sen_tf.training import runs

CURVE = "curve.json"
STARTS_SEED, TURNED_SEED = 7, 8
ENOUGH = 0.8
FORCE_COST = 1e-3
"""Of linear-quadratic control: that of a force of 1, of .0001 to .1 the one of highest return."""
ARMS = ("plain", "augmented", "equivariant")
COLOURS = {"plain": "tab:orange", "augmented": "tab:green", "equivariant": "tab:blue"}


@dataclasses.dataclass(frozen=True)
class EquivariantPlanning:
    """Experience and evaluation."""

    steps: int = setting(
        1000, "Steps in the world, of which the first 100 are random.", at_least=2 * LONGEST
    )
    every: int = setting(100, "Steps between evaluations, whole episodes of 50.", at_least=LONGEST)
    starts: int = setting(6, "Starts, always the same, of which a return is the mean.", at_least=1)
    turned: int = setting(1, "Starts that every element of the group turns in the end.", at_least=1)


def make_agent(arm: str, env: PointMass, dtype: str = "float32") -> tdmpc.TDMPC:
    """The networks of an arm."""
    if arm == "equivariant":
        parts = env.representation, env.action_representation
        return tdmpc.TDMPC(env.group, *parts, dtype=dtype)
    seen, done = (matrix.shape[-1] for matrix in matrices(env))
    return tdmpc.TDMPC("C1", f"{seen} trivial", f"{done} trivial", dtype=dtype)


def matrices(env: PointMass) -> tuple[np.ndarray, np.ndarray]:
    """Those of the group on observations and on actions."""
    seen = representations.get(env.representation, env.group)
    done = representations.get(env.action_representation, env.group)
    return seen.matrices, done.matrices


def returns(planner: tdmpc.Planner, env: PointMass, starts: np.ndarray) -> np.ndarray:
    """The returns (n,) of episodes from starts, all with the same noise."""
    found = []
    for start in starts:
        planner.forget()
        act = functools.partial(planner.act, rng=np.random.default_rng(STARTS_SEED))
        episode = interaction.play(env, act, LONGEST, {"state": start})
        found.append(episode.rewards.sum())
    return np.array(found)


def oracle(env: PointMass, starts: np.ndarray) -> float:
    """The mean return of linear-quadratic control from starts (n, 2 masses, dimensions)."""
    places = env.masses * env.dimensions

    def step(states, actions):
        return env.step_states(states.reshape(-1, *starts.shape[1:]), actions).reshape(
            len(states), -1
        )

    a, b = lqr.linearise(step, np.zeros(2 * places), np.zeros(places))
    cost = np.diag(np.repeat([1.0, 0.0], places))
    _, feedback = lqr.riccati(a, b, cost, FORCE_COST * np.eye(places))
    states, total = starts, 0.0
    for _ in range(LONGEST):
        states = env.step_states(states, -states.reshape(len(states), -1) @ feedback.T)
        total += env.rewards(states).mean()
    return float(total)


def change_where_turned(agent: tdmpc.TDMPC, arm: str, env: PointMass, count: int) -> float:
    """The greatest difference of the returns from a start and from the turned ones, in float64."""
    precise = make_agent(arm, env, dtype="float64")
    precise.set_weights(agent.get_weights())
    planner = tdmpc.Planner(precise)
    starts = env.sample_states(np.random.default_rng(TURNED_SEED), count)
    turned = [returns(planner, env, env.transform(starts, g)) for g in env.group.elements]
    return float(np.ptp(turned, axis=0).max())


def run(
    dimensions: int, arm: str, settings: Sequence[Any], seed: int, directory: pathlib.Path
) -> dict[str, Any]:
    """Trains and scores an arm; see `Experiment.run`."""
    (asked,) = settings
    keras.utils.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    env, evaluated = PointMass(dimensions), PointMass(dimensions)
    agent = make_agent(arm, env)
    agent.compile(keras.optimizers.Adam(1e-3, global_clipnorm=10.0), jit_compile=False)
    planner = tdmpc.Planner(agent)
    replay = Replay(matrices(env) if arm == "augmented" else None)
    starts = env.sample_states(np.random.default_rng(STARTS_SEED), asked.starts)
    curve = {}
    learning = Learning(steps=asked.steps, random_steps=2 * LONGEST, longest=LONGEST)
    for taken in interaction.learn(env, planner, replay, learning, rng):
        if taken % asked.every == 0 or taken >= asked.steps:
            curve[taken] = float(returns(planner, evaluated, starts).mean())
            print(f"step {taken:,} of {asked.steps:,}  return {curve[taken]:.1f}", flush=True)
    runs.write_json(directory / CURVE, curve)
    best = oracle(env, starts)
    enough = [taken for taken, value in curve.items() if value >= ENOUGH * best]
    return {
        "steps_to_80": enough[0] if enough else asked.steps,
        "return_first": next(iter(curve.values())),
        "return_last": curve[max(curve)],
        "turned": change_where_turned(agent, arm, env, asked.turned),
        "oracle": best,
        "reached_80": "yes" if enough else f"not in {asked.steps:,} steps",
        "weights": sum(int(np.prod(w.shape)) for w in agent.trainable_weights),
    }


def draw(directory: pathlib.Path) -> list[pathlib.Path]:
    """Draws returns by steps in the world, a line per run."""
    figure = Figure(figsize=(4.5, 3), layout="constrained")
    axes = figure.subplots()
    for arm in ARMS:
        for path in sorted(directory.glob(f"{arm}-seed*/{CURVE}")):
            curve = json.loads(path.read_text())
            axes.plot([int(step) for step in curve], list(curve.values()), color=COLOURS[arm])
        axes.plot([], [], color=COLOURS[arm], label=arm)
    axes.set(xlabel="steps in the world", ylabel="return of an episode", ylim=(0, LONGEST))
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, loc="lower right")
    path = directory / "returns.png"
    figure.savefig(path, dpi=150)
    return [path]


METRICS = {
    "steps_to_80": Metric("steps to 80 % of the oracle's return", lower_is_better=True),
    "return_first": Metric("return at the first evaluation"),
    "return_last": Metric("return in the end"),
    "turned": Metric("change of a return where the start is turned", lower_is_better=True),
}

EXPERIMENTS = {
    table: Experiment(
        "2307.08226",
        f"TD-MPC on a point mass {where}: steps in the world until it acts well",
        ARMS,
        METRICS,
        functools.partial(run, dimensions),
        (EquivariantPlanning,),
        flags=flags,
        draw=draw,
    )
    for table, dimensions, where, flags in (
        ("equivariant-planning", 2, "in the plane", ()),
        ("equivariant-planning-3d", 3, "in space", ("--steps=2000",)),
    )
}
