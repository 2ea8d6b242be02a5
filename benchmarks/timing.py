"""Times renderers in turn."""

import statistics
import time


def seconds(function, *arguments):
    start = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - start


def measure(renderers, rounds):
    """Median seconds a frame of each (function, states), by name."""
    times = {name: [] for name in renderers}
    for _ in range(rounds):
        for name, (draw, states) in renderers.items():
            times[name].append(seconds(draw, states) / len(states))
    return {name: statistics.median(values) for name, values in times.items()}
