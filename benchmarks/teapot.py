"""Frames per second of the teapot on one core, beside a slow way to draw it.

Run with: python -m benchmarks.teapot

Both draw the same random states in turn; a table of the medians a frame and their ratio is printed,
and how far apart the pictures are. The slow way is that of the tests: a triangle and a
pixel at a time, in plain Python.
"""

import argparse
import functools
import os

for _threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_threads] = "1"  # read when NumPy is imported

import numpy as np  # noqa: E402

from benchmarks.table import Measured, Row, markdown  # noqa: E402
from benchmarks.teapot_peer import draw_slowly  # noqa: E402
from benchmarks.timing import seconds, time_in_turn  # noqa: E402
from sen_tf.envs.teapot_rendering import TeapotRenderer  # noqa: E402
from sen_tf.groups import rotations  # noqa: E402


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=1024)
    parser.add_argument("--slow_frames", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()

    print(f"renderer made in           {seconds(TeapotRenderer):10.3f} s")
    draw = TeapotRenderer()
    states = rotations.haar(np.random.default_rng(0), arguments.frames)
    few = states[: arguments.slow_frames]
    contenders = {
        "slow": (lambda all: [draw_slowly(s) for s in all], few),
        "all at once": (draw, states),
        "one at a time": (lambda all: [draw(s[None]) for s in all], states[:256]),
    }
    times = time_in_turn(
        {name: functools.partial(*pair) for name, pair in contenders.items()}, arguments.rounds
    )
    medians = {
        name: Measured.of([each / len(contenders[name][1]) for each in times[name]])
        for name in contenders
    }
    slow = medians.pop("slow")
    rows = [
        Row("a frame of the teapot", "s", ours, "plain Python", slow, variant=name)
        for name, ours in medians.items()
    ]
    print(markdown(rows))
    off = abs(draw(few)[..., 0].astype(int) - np.stack([draw_slowly(state) for state in few]))
    print(f"difference of the pictures: mean {off.mean():.5f}, at most {off.max()} of 255")


if __name__ == "__main__":
    main()
