"""A training set of 3D Blocks with the twin of every episode under each turn.

Ours goes into a file; beside it stands a generator that works as the published one does: it draws
both frames of each transition, and of each of its twins, with matplotlib, and keeps them as float32
arrays in memory. That would take hours, so that it makes a few transitions, and its time and memory
are extrapolated in proportion.
"""

import functools
import pathlib
import tempfile

import h5py
import numpy as np

from benchmarks.table import Measured, Row
from benchmarks.timing import alternate, once_apart
from sen_tf import envs
from sen_tf.datasets import collect, uniform_policy, write_episodes
from sen_tf.envs.rendering import render_cubes_matplotlib

STEPS = 100
PEER = "the published way"


def make_ours(path, episodes):
    """A function that writes the episodes and their twins to a file."""
    env = envs.make("cubes")
    policy = uniform_policy(env)
    env.render_states(env.sample_states(np.random.default_rng(0), 1))  # the table is made once

    def generate():
        write_episodes(
            path,
            collect(env, policy, episodes=episodes, steps=STEPS, seed=1, twins=True),
            episodes=episodes,
            env="cubes",
            split="train",
            seed=1,
            group=env.group.name,
            settings={},
            show_progress=False,
        )

    return generate


def make_published(transitions):
    """A function that draws and keeps transitions and their twins; returns the bytes it keeps."""
    env = envs.make("cubes")
    render_cubes_matplotlib(env.sample_states(np.random.default_rng(0), 1))  # fonts are found once

    def generate():
        rng = np.random.default_rng(0)
        state, kept = env.sample_states(rng, 1), []
        for action in rng.integers(0, 20, transitions):
            after = env.step_states(state, np.array([action]))
            for g in env.group.elements:
                for states in (state, after):
                    picture = render_cubes_matplotlib(env.transform(states, g))
                    kept.append(picture.astype(np.float32) / 255)
                kept.append(np.float32(env.transform_action(action, g)))
            state = after
        return sum(array.nbytes for array in kept)

    return generate


def stored_bytes(path):
    """Bytes of the frames and actions in a file, twins included, before compression."""
    sizes = []

    def add(name, item):
        if name.rpartition("/")[2] in ("observations", "actions"):
            sizes.append(item.nbytes)

    with h5py.File(path) as file:
        file.visititems(add)
    return sum(sizes)


def measure(rounds, episodes, drawn):
    """Costs of all transitions, by unit: "s", "MiB" and "B", a pair (ours, the peer's) each."""
    transitions = episodes * STEPS
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "cubes.h5"
        costs = alternate(
            {
                "ours": functools.partial(once_apart, make_ours, path, episodes),
                PEER: functools.partial(once_apart, make_published, drawn),
            },
            rounds,
        )
        stored = stored_bytes(path)
    more = transitions / drawn
    kept = costs[PEER][0].result * more
    return {
        "s": (
            Measured.of([cost.seconds for cost in costs["ours"]]),
            Measured.of([cost.seconds * more for cost in costs[PEER]]),
        ),
        "MiB": (Measured.of([cost.mib for cost in costs["ours"]]), Measured(kept / 2**20, 0)),
        "B": (Measured(stored, 0), Measured(kept, 0)),
    }


def rows(rounds, episodes=1000, drawn=10):
    costs = measure(rounds, episodes, drawn)
    what = f"3D Blocks, {episodes} x {STEPS} with twins"
    note = f"extrapolated from {drawn} transitions"
    (ours, theirs), (our_memory, their_memory), sizes = costs["s"], costs["MiB"], costs["B"]
    yield Row(f"{what}: time", "s", ours, PEER, theirs, most_of_peer=1 / 200, note=note)
    yield Row(
        f"{what}: memory", "MiB", our_memory, PEER, their_memory, most_of_peer=1 / 30, note=note
    )
    each = [Measured(size.median / (episodes * STEPS), 0) for size in sizes]
    yield Row(
        f"{what}: a transition, uncompressed", "B", each[0], PEER, each[1], most_of_peer=1 / 7
    )
