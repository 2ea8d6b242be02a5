"""States that a model of 3D Blocks predicts for a planner, and a plan to a goal anywhere."""

import functools

import numpy as np

import sen_tf
from benchmarks.table import Measured, Row
from benchmarks.timing import time_in_turn
from sen_tf import envs
from sen_tf.experiments import goal_tasks
from sen_tf.experiments.goal_planning import Planner, Planning

STATES = 20_000


def rows(rounds, states=STATES, tasks=16):
    env = envs.make("cubes")
    planner = Planner(sen_tf.from_pretrained("cubes-sen"), env, Planning(), seed=0)
    made = goal_tasks.make_tasks(
        functools.partial(envs.make, "cubes"), goal_tasks.UNIFORM, tasks, seed=0
    )
    starts, goals = (np.stack([getattr(task, name) for task in made]) for name in ("start", "goal"))
    rng = np.random.default_rng(0)
    images = env.render_states(env.sample_states(rng, states))
    latent, actions = planner.latents.encode(images), rng.integers(0, 20, states)
    costs = time_in_turn(
        {
            "step": functools.partial(planner.step, latent, actions),
            "plan": functools.partial(planner.plan, starts, goals, goal_tasks.MOST),
        },
        rounds,
    )
    what = f"{states:,} states predicted by cubes-sen"
    yield Row(what, "s", Measured.of(costs["step"]), most=states / 20_000)
    one = Measured.of([seconds / tasks for seconds in costs["plan"]])
    note = f"{sum(plan.reaches for plan in planner.plan(starts, goals, goal_tasks.MOST))} of "
    note += f"{tasks} plans are predicted to arrive"
    yield Row("a plan to a goal anywhere, beam of 8", "s", one, most=2, note=note)
