"""Goal images reached with world models, by how far the goal is, and whether it needs a new move.

  python -m sen_tf.reproduce --table=goal-pictures
  python -m sen_tf.reproduce --table=goal-pictures --only=cubes-sen --preset=quick --seeds=1

An arm is a model of an environment, trained as `sen_tf.train` does: on pushes up alone in 2D
Shapes, on all but left in 3D Blocks. All arms of an environment have the same tasks. Blind: one
plan from the first image, followed with closed eyes.
"""

import dataclasses
import functools
import json
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from sen_tf import figures
from sen_tf.datasets import cache
from sen_tf.envs import EnvLike
from sen_tf.experiments import goal_planning, goal_tasks, training_run, world_models
from sen_tf.experiments.experiment import RESULT, Experiment, Metric
from sen_tf.experiments.goal_planning import Planning
from sen_tf.settings import SEEDS, UsageError, setting

ENVIRONMENTS = ("shapes", "cubes", "rush_hour", "teapot", "reacher")
MODELS = ("sen", "nonequivariant")
ANYWHERE, FARTHEST = "uniform", "8"
DISTANCES = ("1", "4", "8", ANYWHERE)
SIMULATED = "reacher"
"""The environment where planning with the simulator itself is told beside that with a model."""
SPLIT = "4"
"""The distance at which goals that need a move never seen are told from those that need none."""


@dataclasses.dataclass(frozen=True)
class GoalPictures:
    """Models and goals."""

    preset: str = setting("laptop", "Size of the training.", choices=world_models.PRESETS)
    moves: list = setting(
        list(DISTANCES),
        "How many moves goals are away: 1, 4, 8, and uniform for anywhere on a board.",
    )
    tasks: int = setting(100, "Tasks per distance.", at_least=1)
    tasks_seed: int = setting(
        11, "Seed of the tasks, which no choice of settings looked at.", **SEEDS
    )
    data_dir: str = setting("data", "Directory of the datasets that programs make.")


def run(arm: str, settings: Sequence[Any], seed: int, directory: pathlib.Path) -> dict[str, Any]:
    """Trains a model and lets it act; see `Experiment.run`."""
    goals, planning = settings
    for name in goals.moves:
        if name not in DISTANCES:
            raise UsageError(f"--moves of this table are of {', '.join(DISTANCES)}, not {name}")
    env, model = arm.split("-")
    flags = {"env": env, "model": model, "preset": goals.preset, "seed": seed}
    flags["data_dir"] = goals.data_dir
    chosen = world_models.choose([f"--{name}={value}" for name, value in flags.items()])
    trained = training_run.run(chosen, directory)
    make_env = functools.partial(cache.make_env, chosen.environment)
    unseen = goal_planning.numbers_of(make_env(), world_models.unseen_actions(chosen))
    planner = goal_planning.Planner(trained.model, make_env(), planning, unseen, goals.tasks_seed)
    found: dict[str, Any] = {}
    names = [name for name in goals.moves if make_env().objects or name != ANYWHERE]
    for name, moves in goal_tasks.distances_of(names, make_env()).items():
        attempt = goal_tasks.attempt(planner.policy, make_env, moves, goals.tasks, goals.tasks_seed)
        found |= {f"{key}_{name}": value for key, value in attempt.numbers(unseen).items()}
        images = np.stack([task.goal for task in attempt.tasks])
        file = directory / "figures" / f"plan_{name}.png"
        figures.draw_goals(attempt.frames, images, attempt.reached, file)
        if name == FARTHEST and env == SIMULATED:
            found |= simulated(make_env(), attempt.tasks, moves, planning.horizon)
    cost = {name: trained.summary[name] for name in ("transitions_seen", "preset", "precision")}
    measured = {name: found[name] for name in METRICS if name in found}
    return measured | cost | {"predictions": planner.predictions}


def simulated(
    env: EnvLike, tasks: Sequence[goal_tasks.Task], moves: int, horizon: int
) -> dict[str, float]:
    """Success and error of planning with the environment itself."""
    budget = goal_tasks.budget_of(moves)
    errors = goal_planning.simulated_errors(env, tasks, budget, horizon)
    return {
        f"simulator_success_{FARTHEST}": 100 * float((errors <= env.goal_tolerance).mean()),
        f"simulator_error_{FARTHEST}": float(errors.mean()),
    }


def draw(directory: pathlib.Path) -> list[pathlib.Path]:
    """Draws success by distance, a panel per environment, means over seeds."""
    results = [json.loads(path.read_text()) for path in sorted(directory.glob(f"*/{RESULT}"))]
    named = [env for env in ENVIRONMENTS if any(r["arm"].startswith(f"{env}-") for r in results)]
    figure = Figure(figsize=(2.2 * len(named), 2.6), layout="constrained")
    for env, axes in zip(named, figure.subplots(1, len(named), squeeze=False)[0], strict=True):
        for model, colour in zip(MODELS, ("tab:blue", "tab:orange"), strict=True):
            found = [r["found"] for r in results if r["arm"] == f"{env}-{model}"]
            means = {
                name: [f[f"success_{name}"] for f in found]
                for name in DISTANCES
                if found and f"success_{name}" in found[0]
            }
            labels = ["anywhere" if name == ANYWHERE else name for name in means]
            values = [np.mean(each) for each in means.values()]
            axes.plot(labels, values, "o-", color=colour, label=model)
        axes.set(title=env, ylim=(-4, 104), xlabel="moves to the goal")
        axes.grid(alpha=0.3)
    figure.axes[0].set_ylabel("goals reached, %")
    figure.axes[0].legend(frameon=False)
    path = directory / "goal-pictures.png"
    figure.savefig(path, dpi=150)
    return [path]


METRICS = {
    "success_8": Metric("8 moves away %"),
    "success_1": Metric("1 move %"),
    "success_4": Metric("4 moves %"),
    f"success_{ANYWHERE}": Metric("anywhere %"),
    f"success_needing_unseen_{SPLIT}": Metric("4 moves, one never seen %"),
    f"success_needing_seen_{SPLIT}": Metric("4 moves, all seen %"),
    "error_8": Metric("error at the end, 8 moves", lower_is_better=True),
    "error_before_8": Metric("error at the start", lower_is_better=True),
    "simulator_success_8": Metric("8 moves, planned with the simulator %"),
    "simulator_error_8": Metric("error at the end, with the simulator", lower_is_better=True),
}

EXPERIMENTS = {
    "goal-pictures": Experiment(
        "2204.11371",
        "Goal images reached by planning with world models",
        tuple(f"{env}-{model}" for env in ENVIRONMENTS for model in MODELS),
        METRICS,
        run,
        (GoalPictures, Planning),
        draw=draw,
    )
}
