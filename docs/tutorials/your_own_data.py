# %% [markdown]
# # Your own data
#
# Recorded episodes are enough: no simulator is needed. This tutorial makes some as arrays, trains
# on them, and scores the model on episodes that were held out.
#
# Run it with `python docs/tutorials/your_own_data.py`. It takes some two minutes of one CPU core.

# %%
import pathlib
import tempfile

import numpy as np

import sen_tf

EPISODES = 400
EPOCHS = 60

# %% [markdown]
# ## Arrays
#
# A pendulum that an action pushes to the left, to the right, or not at all. Two successive views
# are stacked, as one does not tell how fast it turns. Episodes are images `(episodes, steps + 1,
# rows, columns, channels)`, bytes, and actions `(episodes, steps)`, whole numbers; of other actions
# `(episodes, steps, numbers)`.

# %%
rng = np.random.default_rng(0)
STEPS, SIDE = 10, 24


def swing(angle, speed, push):
    speed = speed + 0.3 * (push - 1) - 0.25 * np.sin(angle)
    return angle + speed, speed


def view(angle):
    """A bright blob at the end of the pendulum, (..., SIDE, SIDE) bytes."""
    grid = np.arange(SIDE) - (SIDE - 1) / 2
    x, y = 8 * np.sin(angle), 8 * np.cos(angle)
    distance = (grid - x[..., None, None]) ** 2 + (grid[:, None] - y[..., None, None]) ** 2
    return np.round(255 * np.exp(-distance / 6)).astype(np.uint8)


angle, speed = rng.uniform(-np.pi, np.pi, EPISODES), rng.normal(0, 0.3, EPISODES)
actions = rng.integers(0, 3, (EPISODES, STEPS))
angles = [angle - speed, angle]
for push in actions.T:
    angle, speed = swing(angle, speed, push)
    angles.append(angle)
views = view(np.stack(angles, axis=1))  # (episodes, steps + 2, rows, columns)
observations = np.stack([views[:, :-1], views[:, 1:]], axis=-1)
print(observations.shape, observations.dtype, actions.shape, actions.dtype)

# %% [markdown]
# ## Train
#
# `Episodes.from_arrays` checks what it gets. They are saved beside the run, so that it can be taken
# up again. A tenth of them is held out: the model is scored on these, and never sees them before.
#
# On a command line the same is `python -m sen_tf.train --dataset=FILE`, where FILE is an HDF5 file,
# a pattern of shards, a Minari dataset (`minari:NAME`), or a folder of `observations.npy` and
# `actions.npy`.

# %%
episodes = sen_tf.Episodes.from_arrays(observations, actions, env="pendulum")
folder = pathlib.Path(tempfile.mkdtemp())
run = sen_tf.train(episodes=episodes, preset="quick", epochs=EPOCHS, output=folder / "pendulum")

# %% [markdown]
# ## Score other episodes
#
# `sen_tf.evaluate` scores any model on any episodes, in memory or in files.

# %%
first = sen_tf.Episodes.from_arrays(observations[:100, :6], actions[:100, :5])
scores = sen_tf.evaluate(run.model, first)
print({steps: round(row["hits@10"], 3) for steps, row in scores["steps"].items()})

# %%
path = pathlib.Path("docs/images/tutorials/your_own_data.png")
path.parent.mkdir(parents=True, exist_ok=True)
path.write_bytes((run.directory / "figures" / "rollouts.png").read_bytes())

# %% [markdown]
# ![Rollouts of the pendulum](../images/tutorials/your_own_data.png)
#
# If the data has a symmetry, a class can state it: see *facts of a dataset* in the
# [guide](../guides/own_environment.md).
