"""Making a training set of 3D Blocks: transitions a second, bytes each, peak memory.

Run with: python -m benchmarks.generation

Generates 1000 episodes of 100 steps and writes them to a temporary file, beside a generator that
works as the published one does: a matplotlib picture of both frames of each transition, kept as
float32 arrays in memory. That is too slow for the whole set; it makes a few transitions,
alternating with ours, and rates are compared. Neither makes twins.
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

STEPS = 100


def ours(env, episodes, path):
    """Writes the episodes; returns transitions a second."""
    start = time.perf_counter()
    blocks = collect(env, uniform_policy(env), episodes, STEPS, seed=1)
    write_episodes(
        path,
        blocks,
        episodes=episodes,
        env="cubes",
        split="train",
        seed=1,
        group="C4",
        settings={},
    )
    return episodes * STEPS / (time.perf_counter() - start)


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


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--episodes", type=int, default=1000)
    parser.add_argument("--published_transitions", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    env = envs.make("cubes")
    env.render_states(env.sample_states(np.random.default_rng(0), 1))  # the table of patches
    rates, published = [], []
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "cubes.h5"
        for _ in range(arguments.rounds):
            rates.append(ours(env, arguments.episodes, path))
            rate, published_bytes = published_way(env, arguments.published_transitions)
            published.append(rate)
        size = path.stat().st_size / (arguments.episodes * STEPS)
    rate, peer = statistics.median(rates), statistics.median(published)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{arguments.episodes} x {STEPS} transitions: {rate:,.0f}/s, {size:,.0f} B each")
    print(f"peak memory of the process: {peak:.2f} GiB, TensorFlow included")
    print(f"the published way: {peer:.1f}/s, {published_bytes:,.0f} B each")
    print(f"ratio: {rate / peer:,.0f} times as fast, 1/{published_bytes / size:.0f} of the bytes")


if __name__ == "__main__":
    main()
