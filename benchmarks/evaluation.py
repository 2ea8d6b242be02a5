"""Ranking at N = 10,000: blocks of bounded memory against a whole sorted distance matrix.

Run with: python -m benchmarks.evaluation

Times `sen_tf.metrics.ranking_metrics` beside a plain implementation (N x N distances, one stable
sort a row) on the same data in the same run, alternating, and prints the medians and their ratio.
Each measurement has a process of its own, so that its peak memory is its own; "extra" memory is the
peak over what was resident before ranking began.
"""

import argparse
import multiprocessing
import statistics
import time

import numpy as np

from sen_tf.metrics import ranking_metrics


def sorted_metrics(true, predicted):
    """Hits@k and MRR from all distances at once, ties in order of columns, the own one first."""
    distances = ((true**2).sum(1)[:, None] + (predicted**2).sum(1)) - 2 * true @ predicted.T
    distances = np.concatenate([np.diag(distances)[:, None], distances], axis=1)
    ranks = np.argmax(np.argsort(distances, axis=1, kind="stable") == 0, axis=1)
    return {"hits@1": np.mean(ranks < 1), "mrr": np.mean(1 / (ranks + 1))}


def samples(count, dimensions):
    """Latent states and predictions that are off by about the distance of neighbours."""
    rng = np.random.default_rng(0)
    true = rng.normal(size=(count, dimensions)).astype(np.float32)
    noise = rng.normal(size=true.shape).astype(np.float32)
    return true, true + 0.8 * noise


def status_mib(field):
    """A field of this process's /proc status, in MiB."""
    with open("/proc/self/status") as status:
        line = next(line for line in status if line.startswith(field))
    return int(line.split()[1]) / 1024


def measure(function, count, dimensions):
    """Seconds, extra peak MiB and the metrics of one ranking in this process."""
    true, predicted = samples(count, dimensions)
    before = status_mib("VmRSS")
    start = time.perf_counter()
    metrics = function(true, predicted)
    return time.perf_counter() - start, status_mib("VmHWM") - before, metrics


def in_a_process(*arguments):
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(measure, arguments)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--dimensions", type=int, default=40)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    contenders = {"blocks": ranking_metrics, "whole sort": sorted_metrics}
    results = {name: [] for name in contenders}
    for _ in range(arguments.repeats):
        for name, function in contenders.items():
            results[name].append(in_a_process(function, arguments.samples, arguments.dimensions))
    print(f"N = {arguments.samples}, {arguments.dimensions} dimensions, {arguments.repeats} runs")
    medians = {}
    for name, runs in results.items():
        seconds, extra, metrics = zip(*runs, strict=True)
        medians[name] = statistics.median(seconds), statistics.median(extra)
        spread = f"{min(seconds):.2f} to {max(seconds):.2f}"
        print(
            f"{name:>10}: median {medians[name][0]:6.2f} s ({spread}), extra peak memory "
            f"{medians[name][1]:6.0f} MiB, hits@1 {metrics[0]['hits@1']:.4f}, "
            f"MRR {metrics[0]['mrr']:.4f}"
        )
    time_ratio, memory_ratio = np.divide(medians["whole sort"], medians["blocks"])
    print(f"ratio whole sort / blocks: {time_ratio:.1f} in time, {memory_ratio:.1f} in memory")


if __name__ == "__main__":
    main()
