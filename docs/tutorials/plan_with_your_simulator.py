# %% [markdown]
# # Plan with your simulator
#
# Planners are functions of values of action sequences: whatever predicts, a model or a simulator of
# your own, they can use it. This tutorial plans with ten lines of physics. The world is symmetric,
# and so is the plan, number for number: from a turned start it is the turned plan.
#
# Run it with `python docs/tutorials/plan_with_your_simulator.py`. It takes seconds.

# %%
import pathlib

import numpy as np
from matplotlib import pyplot
from PIL import Image

from sen_tf import planning

EPOCHS = 60  # time steps of control
HORIZON = 12

# %% [markdown]
# ## The simulator
#
# A puck on ice: a force pushes it, friction slows it, and pillars at the corners of a square push
# it away. It is to come to rest in the middle.

# %%
PILLARS = np.array([[0.5, 0.5], [-0.5, 0.5], [-0.5, -0.5], [0.5, -0.5]])


def step(place, velocity, force):
    """A time step of pucks: places, velocities and forces are `(n, 2)`."""
    away = place[:, None] - PILLARS
    near = np.exp(-np.square(away).sum(axis=-1, keepdims=True) / 0.03)
    velocity = 0.9 * velocity + 0.15 * force + 15 * (near * away).sum(axis=1)
    return place + 0.1 * velocity, velocity


def values_from(place, velocity):
    """A function from forces `(n, HORIZON, 2)` to values `(n,)`, more is better."""

    def values(forces):
        places, velocities = (np.repeat(x[None], len(forces), axis=0) for x in (place, velocity))
        total = np.zeros(len(forces))
        for force in np.moveaxis(forces, 1, 0):
            places, velocities = step(places, velocities, force)
            total -= np.square(places).sum(axis=-1) + 0.01 * np.square(force).sum(axis=-1)
        return total

    return values


# %% [markdown]
# ## Control
#
# In every time step MPPI draws 64 sequences of forces about its last plan, weighs them by their
# values, and the first force of the new plan acts. `matrices` are the quarter turns: the noise of
# the draws comes in orbits under them, which makes plans commute with turning.

# %%
TURNS = np.stack([np.linalg.matrix_power([[0, -1], [1, 0]], g) for g in range(4)]).astype(float)


def control(place, seed):
    """Places `(EPOCHS + 1, 2)` of a puck under control, from rest."""
    rng, plan = np.random.default_rng(seed), np.zeros((HORIZON, 2))
    velocity, track = np.zeros(2), [place]
    for _ in range(EPOCHS):
        drawn = planning.mppi(values_from(place, velocity), plan, rng=rng, matrices=TURNS)
        moved = step(place[None], velocity[None], drawn.mean[:1])
        place, velocity = moved[0][0], moved[1][0]
        plan = np.concatenate([drawn.mean[1:], np.zeros((1, 2))])
        track.append(place)
    return np.array(track)


start = np.array([0.9, 0.8])
tracks = [control(turn @ start, seed=0) for turn in TURNS]
turned = [tracks[0] @ turn.T for turn in TURNS]
error = max(np.abs(track - other).max() for track, other in zip(tracks, turned, strict=True))
print(f"distance to the middle at the end: {np.linalg.norm(tracks[0][-1]):.3f}")
print(f"the tracks of turned starts are the turned tracks, up to {error:.1e}")

# %% [markdown]
# ## See it

# %%
path = pathlib.Path("docs/images/tutorials")
path.mkdir(parents=True, exist_ok=True)


def draw(time):
    """The four tracks up to a time step, as an image."""
    figure, axes = pyplot.subplots(figsize=(3, 3), layout="constrained")
    axes.scatter(*PILLARS.T, s=400, color="0.7")
    for track in tracks:
        axes.plot(*track[: time + 1].T, ".-", markersize=3)
    axes.set(xlim=(-1.1, 1.1), ylim=(-1.1, 1.1), aspect="equal")
    figure.canvas.draw()
    image = Image.fromarray(np.asarray(figure.canvas.buffer_rgba())[..., :3])
    if time == EPOCHS:
        figure.savefig(path / "plan_with_your_simulator.png")
    pyplot.close(figure)
    return image


images = [draw(time) for time in range(0, EPOCHS, 2)] + [draw(EPOCHS)] * 6
images[0].save(
    path / "plan_with_your_simulator.gif",
    save_all=True,
    append_images=images[1:],
    duration=120,
    loop=0,
)

# %% [markdown]
# ![Four pucks between pillars](../images/tutorials/plan_with_your_simulator.gif)
# ![Their tracks](../images/tutorials/plan_with_your_simulator.png)
#
# Noise that does not come in orbits gives tracks that are no turns of each other, and so do other
# ways of drawing: [a table](../results/exact-sampling.md). What a group would not keep, such as
# forces limited to a square under eighth turns, `mppi` refuses, and says why.
