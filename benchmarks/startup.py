"""What a program says at once: --help, and a flag that it does not know."""

import functools
import subprocess
import sys

from benchmarks.table import Measured, Row
from benchmarks.timing import time_in_turn

PEER = "import tensorflow, keras"


def run(expected, *arguments):
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True)
    if done.returncode != expected:
        raise RuntimeError(f"{arguments} ended with {done.returncode}: {done.stderr[-2000:]}")


def rows(rounds):
    train = ("-m", "sen_tf.train")
    contenders = {
        "--help": functools.partial(run, 0, *train, "--help"),
        "--wrong": functools.partial(run, 2, *train, "--wrong"),
        PEER: functools.partial(run, 0, "-c", PEER),
    }
    times = {name: Measured.of(each) for name, each in time_in_turn(contenders, rounds).items()}
    theirs = times.pop(PEER)
    for flag, ours in times.items():
        yield Row(f"python -m sen_tf.train {flag}", "s", ours, PEER, theirs, most_of_peer=1.3)
