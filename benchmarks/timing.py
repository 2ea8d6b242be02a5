"""Measures contenders in turn, in this process or each in one of its own."""

import concurrent.futures
import contextlib
import multiprocessing
import pathlib
import time
from typing import NamedTuple


class Cost(NamedTuple):
    """What a call took: seconds, and the MiB of memory that it needed at its peak, beyond before.

    result: what it returned.
    """

    seconds: float
    mib: float
    result: object


def seconds(function, *arguments):
    start = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - start


def alternate(contenders, rounds):
    """Measures {name: function without arguments} in turn; returns {name: what each call gave}.

    A contender that was busy before, or found the machine warmer, so gains nothing over the others.
    """
    measured = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, measure in contenders.items():
            measured[name].append(measure())
    return measured


def time_in_turn(functions, rounds):
    """Seconds of each call of {name: function}, by name, in turn after one call that warms up."""
    for function in functions.values():
        function()
    return alternate({name: _timed(function) for name, function in functions.items()}, rounds)


def _timed(function):
    return lambda: seconds(function)


class OwnProcess:
    """A function in a process of its own, with its own memory and threads; a context manager.

    Args:
        make: Makes a function without arguments, over there, when this object is made. Both must be
            picklable: functions of a module, and plain values.
        *arguments: Those of `make`.

    Calling it calls that function and returns the `Cost`; what is raised over there is raised here.
    """

    def __init__(self, make, *arguments):
        spawn = multiprocessing.get_context("spawn")
        self._executor = concurrent.futures.ProcessPoolExecutor(1, mp_context=spawn)
        try:
            self._executor.submit(_make, make, arguments).result()
        except BaseException:
            self._executor.shutdown()
            raise

    def __call__(self):
        return self._executor.submit(_call).result()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._executor.shutdown()


def once_apart(make, *arguments):
    """The `Cost` of the first call of `make(*arguments)`, in a process of its own."""
    with OwnProcess(make, *arguments) as function:
        return function()


_function = None  # of an `OwnProcess`, over there


def _make(make, arguments):
    global _function
    _function = make(*arguments)


def _call():
    with contextlib.suppress(OSError):  # where that is not allowed, an earlier peak may count
        pathlib.Path("/proc/self/clear_refs").write_text("5")
    before = status_mib("VmRSS")
    start = time.perf_counter()
    result = _function()
    return Cost(time.perf_counter() - start, status_mib("VmHWM") - before, result)


def status_mib(field):
    """A field of this process's /proc status, in MiB."""
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1]) / 1024
