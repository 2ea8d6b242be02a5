"""Ranking predictions in blocks of bounded memory, beside a whole sorted matrix of distances.

The peer does what the published code does: all N x N distances at once, and one stable sort a row.
Each ranking has a process of its own, so that its peak memory is its own.
"""

import functools

import numpy as np

from benchmarks.table import Measured, Row
from benchmarks.timing import alternate, once_apart
from sen_tf.metrics import ranking_metrics

DIMENSIONS = 40
PEER = "one sorted matrix"


def sorted_metrics(true, predicted):
    """Hits@k and MRR from all distances at once, ties in order of columns, the own one first."""
    distances = ((true**2).sum(1)[:, None] + (predicted**2).sum(1)) - 2 * true @ predicted.T
    distances = np.concatenate([np.diag(distances)[:, None], distances], axis=1)
    ranks = np.argmax(np.argsort(distances, axis=1, kind="stable") == 0, axis=1)
    return {"hits@1": np.mean(ranks < 1), "mrr": np.mean(1 / (ranks + 1))}


def make(metrics, count):
    """A function that scores random states; predictions are off by about a neighbour's distance."""
    rng = np.random.default_rng(0)
    true = rng.normal(size=(count, DIMENSIONS)).astype(np.float32)
    noise = rng.normal(size=true.shape).astype(np.float32)
    return functools.partial(metrics, true, true + 0.8 * noise)


def measure(rounds, samples):
    """The costs of our rankings and of the peer's: two lists."""
    costs = alternate(
        {
            function: functools.partial(once_apart, make, function, samples)
            for function in (ranking_metrics, sorted_metrics)
        },
        rounds,
    )
    return list(costs.values())


def rows(rounds, samples=10_000):
    both = measure(rounds, samples)
    note = "MRR {:.4f} and {:.4f}".format(*(costs[0].result["mrr"] for costs in both))
    for what, unit, field, most in (
        ("time", "s", "seconds", 1 / 10),
        ("extra memory", "MiB", "mib", 1 / 20),
    ):
        ours, theirs = (Measured.of([getattr(cost, field) for cost in costs]) for costs in both)
        what = f"ranking {samples:,} predictions: {what}"
        yield Row(what, unit, ours, PEER, theirs, most_of_peer=most, note=note)
