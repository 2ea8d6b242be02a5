"""Making training sets: transitions and frames a second, bytes each, peak memory.

Run with: python -m benchmarks.generation

Generates episodes of every environment and writes them to temporary files; none has twins. 3D
Blocks stand beside a generator that works as the published one does: a matplotlib picture of both
frames of each transition, kept as float32 arrays in memory. That is too slow for the whole set; it
makes a few transitions, alternating with ours, and rates are compared.
"""

import argparse
import os
import pathlib
import resource
import statistics
import tempfile
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np

from sen_tf import envs
from sen_tf.datasets import collect, uniform_policy, write_episodes
from sen_tf.envs.rendering import render_cubes_matplotlib

# Episodes and steps of each environment.
SIZES = {
    "shapes": (1000, 100),
    "cubes": (1000, 100),
    "rush_hour": (1000, 100),
    "reacher": (192, 10),
    "teapot": (5000, 1),
}


def ours(name, env, path):
    """Writes the episodes; returns transitions a second."""
    episodes, steps = SIZES[name]
    start = time.perf_counter()
    blocks = collect(env, uniform_policy(env), episodes, steps, seed=1)
    about = {"env": name, "split": "train", "seed": 1, "group": env.group.name, "settings": {}}
    write_episodes(path, blocks, episodes=episodes, **about)
    return episodes * steps / (time.perf_counter() - start)


def published_way(env, transitions):
    """Draws and keeps transitions as float32; returns transitions a second, and bytes each."""
    rng = np.random.default_rng(0)
    start = time.perf_counter()
    state = env.sample_states(rng, 1)
    kept = []
    for action in rng.integers(0, 20, transitions):
        after = env.step_states(state, np.array([action]))
        for states in (state, after):
            kept.append(render_cubes_matplotlib(states).astype(np.float32) / 255)
        state = after
    return transitions / (time.perf_counter() - start), sum(x.nbytes for x in kept) / transitions


def describe(name, rates, path):
    """Prints the median rate and the size of a file of episodes; returns both."""
    episodes, steps = SIZES[name]
    rate, size = statistics.median(rates), path.stat().st_size / (episodes * steps)
    frames = rate * (steps + 1) / steps
    print(
        f"{name:10} {episodes} x {steps}: {rate:,.0f} transitions/s, {frames:,.0f} frames/s, "
        f"{size:,.0f} B a transition"
    )
    return rate, size


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--published_transitions", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name in SIZES:
            path = pathlib.Path(folder) / f"{name}.h5"
            env = envs.make(name)
            env.render_states(env.sample_states(np.random.default_rng(0), 1))  # tables, simulators
            rates, published = [], []
            for _ in range(arguments.rounds):
                rates.append(ours(name, env, path))
                if name == "cubes":
                    published.append(published_way(env, arguments.published_transitions))
            rate, size = describe(name, rates, path)
            if published:
                peers, peer_sizes = zip(*published, strict=True)
                peer, peer_size = statistics.median(peers), peer_sizes[0]
                print(f"  the published way: {peer:.1f}/s, {peer_size:,.0f} B each")
                print(f"  {rate / peer:,.0f} times as fast, 1/{peer_size / size:.0f} of the bytes")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"peak memory of the process: {peak:.2f} GiB, TensorFlow included")


if __name__ == "__main__":
    main()
