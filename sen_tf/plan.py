"""Reaches goal images with a trained world model: plans, acts, looks, plans again.

  python -m sen_tf.plan --run=runs/cubes-sen-quick-seed1
  python -m sen_tf.plan --run=DIR --moves=8,uniform --planner=cem --mode=open
  python -m sen_tf.plan --run=DIR --goal=goal.png --start=start.png

The first two make tasks and write plan.json, figures/plan.png and figures/plan.gif into the run's
directory; the goals are so many moves away, or anywhere. The last prints the actions that lead from
one image to another.
"""

import dataclasses
import functools
import time

import numpy as np

from sen_tf import figures, settings
from sen_tf.datasets import cache
from sen_tf.experiments import goal_planning, goal_tasks, world_models
from sen_tf.experiments.goal_planning import Planning
from sen_tf.settings import SEEDS, UsageError, setting
from sen_tf.training import report, runs


@dataclasses.dataclass(frozen=True)
class Goals:
    """Model and goals."""

    run: str | None = setting(None, "Directory of a run that sen_tf.train wrote.")
    moves: list = setting(
        [],
        "How many moves goals are away: numbers, and uniform for anywhere on a board. Default: "
        "1,4,8,uniform where there are objects, else 1,2,4.",
    )
    tasks: int = setting(100, "Tasks per distance.", at_least=1)
    seed: int = setting(7, "Seed of tasks and plans.", **SEEDS)
    goal: str | None = setting(None, "Image of a goal; the actions to it are printed.")
    start: str | None = setting(None, "Image that is to become --goal.")
    overwrite: bool = setting(False, "Replace results that were not made with the same settings.")


GROUPS = (Goals, Planning)


def main(arguments):
    asked, planning = settings.parse(arguments, *GROUPS)
    model, directory = runs.open_model(asked.run)
    chosen = world_models.of_run(asked.run)
    make_env = functools.partial(cache.make_env, chosen.environment)
    unseen = goal_planning.numbers_of(make_env(), world_models.unseen_actions(chosen))
    if asked.goal or asked.start:
        _print_actions(asked, goal_planning.Planner(model, make_env(), planning, unseen))
        return
    distances = goal_tasks.distances_of(asked.moves, make_env())
    made_with = {**dataclasses.asdict(asked), **dataclasses.asdict(planning)}
    made_with = {name: made_with[name] for name in made_with if name not in ("run", "overwrite")}
    path, folder = directory / "plan.json", directory / "figures"
    drawn = [folder / "plan.png", folder / "plan.gif"]
    runs.check_replaced([path, *drawn], [path], made_with, asked.overwrite)
    planner = goal_planning.Planner(model, make_env(), planning, unseen, asked.seed)
    print(f"    moves   success, %   {goal_tasks.unit_of(make_env())}   actions   predictions/s")
    rows = {}
    for name, moves in distances.items():
        begun, before = time.perf_counter(), planner.predictions
        attempt = goal_tasks.attempt(planner.policy, make_env, moves, asked.tasks, asked.seed)
        predictions = planner.predictions - before
        rows[name] = attempt.numbers(unseen) | {"predictions": predictions}
        _print_row(name, rows[name], predictions / (time.perf_counter() - begun))
        runs.write_json(path, {"made_with": made_with, "move": planner.places.unit, "moves": rows})
    folder.mkdir(exist_ok=True)
    goals = np.stack([task.goal for task in attempt.tasks])
    figures.draw_goals(attempt.frames, goals, attempt.reached, drawn[0])
    figures.animate_goals(attempt.frames, goals, drawn[1])
    runs.log_figures(directory, drawn[:1])
    for file in (path, *drawn, report.write_report(directory)):
        print(f"wrote {file}")


def _print_row(name, row, rate):
    parts = "".join(
        f"   {row[key]:.0f} % of {row['tasks_' + key]} {words}"
        for key, words in goal_tasks.PARTS.items()
        if key in row
    )
    print(
        f"  {name:>7}   {row['success']:5.1f} ± {row['standard_error']:<4.1f}"
        f"   {row['error']:9.2f}   {row['actions']:7.1f}   {rate:13,.0f}{parts}",
        flush=True,
    )


def _print_actions(asked, planner):
    """Prints the actions that lead from one image to another."""
    if not (asked.goal and asked.start):
        raise UsageError("--goal and --start go together: the actions lead from one to the other")
    shape = planner.env.observation_space.shape
    start, goal = (goal_planning.read_image(path, shape) for path in (asked.start, asked.goal))
    (plan,) = planner.plan(start[None], goal[None], goal_tasks.MOST)
    if plan.reaches and not len(plan.actions):
        print("no action: the start looks like the goal already")
        return
    if not len(plan.actions):
        print("no action that the model knows brings the goal nearer")
    elif not plan.reaches:
        print("the model finds no way to the goal; the nearest that it gets:")
    for action in plan.actions:
        print(f"  {goal_planning.words_of(planner.env, action)}")


def run():
    """The command line; see the module."""
    settings.run(main, __doc__, *GROUPS)


if __name__ == "__main__":
    run()
