"""Training on episodes that are streamed from disk: its time, its memory, and two workers."""

import concurrent.futures
import contextlib
import math
import pathlib
import resource
import tempfile

import tensorflow as tf

from benchmarks import step
from benchmarks.table import Measured, Row
from benchmarks.timing import OwnProcess, alternate, once_apart, status_mib, time_in_turn
from sen_tf.datasets import cache, open_episodes, read_episodes, transitions
from sen_tf.datasets.reading import open_files
from sen_tf.distribution import devices

EPISODE_STEPS = 100
SHARDS = 4
SHARE = 4  # a set is so many times as large as the memory that it is given
SPARE = 2**27  # bytes for batches, threads, and the blocks and chunks that are read


@contextlib.contextmanager
def shards_of(env, episodes):
    """The pattern of the files of episodes of an environment, for a while."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "episodes.h5"
        environment = cache.Environment(env=env)
        arguments = {"split": "train", "steps": EPISODE_STEPS, "seed": 0}
        cache.generate_shards(environment, path, SHARDS, episodes, workers=2, **arguments)
        yield path.with_name("episodes-*.h5")


def open_stream(path, env, workers=1):
    """The episodes as a stream, which has a `SHARE`th of their frames in memory."""
    files = open_files(path)
    size = len(files) * math.prod(files.shape)
    return open_episodes(path, env, lambda episodes: None, size // SHARE, workers)


def make_trainer(env):
    """A function that does a training step on what an iterator gives next, and the batch size."""
    hidden, filters, batch_size = step.size(env, "quick")
    model = step.make_model(env, devices.resolve_precision("auto"), hidden, filters)
    return tf.function(lambda batches: model.train_step(next(batches))), batch_size


def measure_steps(rounds, env, episodes, steps):
    """Times of a step, streamed and from memory; `steps` of them make a round."""
    train_step, batch_size = make_trainer(env)

    def train(batches):
        for _ in range(steps):
            train_step(batches)

    with shards_of(env, episodes) as path:
        streamed = iter(open_stream(path, env).transitions(batch_size, seed=0)[0])
        held = iter(transitions(read_episodes(path, env), batch_size, seed=0)[0])
        functions = {"ours": lambda: train(streamed), "memory": lambda: train(held)}
        times = time_in_turn(functions, rounds)
    return [Measured.of([each / steps for each in times[name]]) for name in functions]


def make_limited(env, path):
    """A function that trains for an epoch, with no more memory than that of the stream to spare.

    It returns the bytes of memory of the stream, and whether the set could be read as a whole.
    """
    train_step, batch_size = make_trainer(env)
    stream = open_stream(path, env)
    warm = stream.transitions(batch_size, seed=0)[0].take(1)
    train_step(iter(warm))

    def train():
        most = int(2**20 * status_mib("VmData")) + stream.memory + SPARE
        resource.setrlimit(resource.RLIMIT_DATA, (most, -1))
        try:
            fits = len(read_episodes(path, env)) > 0
        except ValueError:
            fits = False
        batches, steps = stream.transitions(batch_size, seed=0, stop_epoch=1)
        batches = iter(batches)
        for _ in range(steps):
            train_step(batches)
        return stream.memory, fits

    return train


def make_worker(env, path, worker, workers):
    """A function that makes one worker's share of each batch of an epoch; returns their number."""
    stream = open_stream(path, env, workers)
    own = slice(worker, worker + 1)

    def read():
        how = {"seed": 0, "shares": workers, "own": own, "stop_epoch": 1}
        return sum(1 for _ in stream.transitions(64, **how)[0])

    return read


def measure_workers(rounds, env, path):
    """Seconds of an epoch's batches, made by two workers at a time and by one alone."""
    with contextlib.ExitStack() as stack:
        alone, *pair = (
            stack.enter_context(OwnProcess(make_worker, env, path, worker, workers))
            for worker, workers in ((0, 1), (0, 2), (1, 2))
        )
        pool = stack.enter_context(concurrent.futures.ThreadPoolExecutor(2))

        def both():
            return max(cost.seconds for cost in pool.map(lambda worker: worker(), pair))

        contenders = {"ours": both, "one": lambda: alone().seconds}
        return [Measured.of(times) for times in alternate(contenders, rounds).values()]


def rows(rounds, episodes=200, steps=50, limited=700):
    for env in ("cubes", "shapes"):
        ours, theirs = measure_steps(rounds, env, episodes, steps)
        what = f"training step of {env} sen, quick widths, streamed with a quarter in memory"
        yield Row(what, "s", ours, "from memory", theirs, most_of_peer=1.05)
    with shards_of("shapes", limited) as path:
        cost = once_apart(make_limited, "shapes", path)
        memory, fits = cost.result
        yield Row(
            f"an epoch on {SHARE * memory / 2**20:.0f} MiB of frames, streamed with "
            f"{memory / 2**20:.0f} MiB of them in memory: memory at the peak",
            "MiB",
            Measured.of([cost.mib]),
            most=(memory + SPARE) / 2**20,
            note=f"under RLIMIT_DATA, where the set is {'read' if fits else 'not read'} as a whole",
        )
        ours, theirs = measure_workers(rounds, "shapes", path)
        what = f"batches of an epoch, out of {SHARDS} files by two workers"
        yield Row(what, "s", ours, "one worker", theirs)
