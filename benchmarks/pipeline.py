"""Training steps on batches out of a file, beside the same steps on one batch that is kept."""

import pathlib
import tempfile

import tensorflow as tf

from benchmarks import step
from benchmarks.table import Measured, Row
from benchmarks.timing import time_in_turn
from sen_tf.datasets import cache, read_episodes, transitions
from sen_tf.distribution import devices

EPISODE_STEPS = 100
PEER = "one cached batch"


def read_training_set(env, episodes):
    """Episodes of an environment, written to a file and read from it."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "episodes.h5"
        environment = cache.Environment(env=env)
        cache.generate(environment, "train", path, episodes, EPISODE_STEPS, seed=0)
        return read_episodes(path, env)


def measure(rounds, env, hidden, filters, batch_size, episodes, steps):
    """Times of a step on real data and on a cached batch; `steps` of them make a round."""
    batches = iter(transitions(read_training_set(env, episodes), batch_size, seed=0)[0])
    cached = next(batches)
    model = step.make_model(env, devices.resolve_precision("auto"), hidden, filters)
    on_cached = tf.function(model.train_step)
    on_next = tf.function(lambda batches: model.train_step(next(batches)))  # as `fit` does

    def train(train_step, data):
        for _ in range(steps):
            train_step(data)

    times = time_in_turn(
        {"ours": lambda: train(on_next, batches), PEER: lambda: train(on_cached, cached)}, rounds
    )
    return [Measured.of([each / steps for each in times[name]]) for name in ("ours", PEER)]


def rows(rounds, episodes=200, steps=50):
    for env in ("cubes", "shapes"):
        hidden, filters, batch_size = step.size(env, "quick")
        ours, theirs = measure(rounds, env, hidden, filters, batch_size, episodes, steps)
        what = f"training step of {env} sen on real data, quick widths, batch {batch_size}"
        yield Row(what, "s", ours, PEER, theirs, most_of_peer=1.05)
