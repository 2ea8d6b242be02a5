# %% [markdown]
# # Reach a goal image
#
# A world model is for acting. This tutorial trains two of them on 2D Shapes where every push goes
# *up*, and then asks each for pushes that make the board look like a goal image. Most goals need
# pushes that were never seen.
#
# Run it with `python docs/tutorials/reach_a_goal_image.py`. It takes some three minutes of one CPU
# core. On a command line, `python -m sen_tf.plan --run=DIR` does the same for any run.

# %%
import functools
import pathlib
import tempfile

import numpy as np

import sen_tf
from sen_tf import envs, figures
from sen_tf.experiments import goal_tasks
from sen_tf.experiments.goal_planning import Planner, Planning

EPISODES = 20_000
EPOCHS = 3
TASKS = 30

# %% [markdown]
# ## Two models

# %%
folder = pathlib.Path(tempfile.mkdtemp())
models = {
    arm: sen_tf.train(
        "shapes",
        preset="quick",
        model=arm,
        train_episodes=EPISODES,
        epochs=EPOCHS,
        eval_episodes=100,
        data_dir=folder / "data",
        output=folder / arm,
    ).model
    for arm in ("sen", "nonequivariant")
}

# %% [markdown]
# ## A planner for each
#
# A `Planner` looks at some moves of the trained kind, which tell it how long a move is in the
# latent space and where objects can be. Beam search then tries all 20 pushes from the best eight
# predicted states, and so on; the policy takes three pushes of a plan, looks, and plans again. It
# is shown images alone.

# %%
env = envs.make("shapes")
unseen = [n for n in range(20) if n % 4]  # all pushes but up
planners = {
    arm: Planner(model, env, Planning(width=8, horizon=6), unseen, seed=0)
    for arm, model in models.items()
}

# %% [markdown]
# ## Act
#
# A goal is a board that random pushes lead to, here eight. A task is done if the board is that of
# the goal when the policy stops.

# %%
make_env = functools.partial(envs.make, "shapes")
attempts = {
    arm: goal_tasks.attempt(planner.policy, make_env, 8, TASKS, seed=0)
    for arm, planner in planners.items()
}
for arm, attempt in attempts.items():
    print(f"{arm:15} reaches {100 * attempt.reached.mean():.0f} % of {TASKS} goals")

# %% [markdown]
# ## See it
#
# Every row is a task: the start, images on the way, and the goal. Above the model with the
# symmetry, below the plain one.

# %%
path = pathlib.Path("docs/images/tutorials")
path.mkdir(parents=True, exist_ok=True)
length = max(len(attempt.frames) for attempt in attempts.values())
frames = [
    np.concatenate(
        [attempt.frames[min(time, len(attempt.frames) - 1)][:3] for attempt in attempts.values()]
    )
    for time in range(length)
]
goals = np.concatenate([[task.goal for task in each.tasks[:3]] for each in attempts.values()])
reached = np.concatenate([attempt.reached[:3] for attempt in attempts.values()])
figures.draw_goals(frames, goals, reached, path / "reach_a_goal_image.png")
figures.animate_goals(frames, goals, path / "reach_a_goal_image.gif")

# %% [markdown]
# ![Boards above their goals, as two models act](../images/tutorials/reach_a_goal_image.gif)
#
# *Boards above their goals: on the left three tasks of `sen`, on the right the same of the plain
# model.*
#
# ![Starts, images on the way, ends and goals](../images/tutorials/reach_a_goal_image.png)
#
# Measured on one core of an Intel Xeon, seed 1: all of 30 goals with the symmetry, none without.
# Ranks flatter: after ten steps the plain model still finds the right one of 500 episodes a third
# of the time.
