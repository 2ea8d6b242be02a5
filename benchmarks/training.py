"""Training steps of the 3D Blocks model by precision, in transitions a second.

Run with: python -m benchmarks.training

Steps of all precisions alternate in one run, on one batch; the medians and their ratios to float32
are printed.
"""

import argparse
import os
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf

from sen_tf import arms, devices


def make_step(arm, precision, arguments):
    model = arms.make_model("cubes", arm, arguments.hidden, arguments.filters, precision)
    model.compile(keras.optimizers.Adam(5e-4), jit_compile=devices.xla_pays())
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (2, arguments.batch_size, 50, 50, 3), dtype=np.uint8)
    actions = rng.integers(0, 20, arguments.batch_size).astype(np.int32)
    batch = {"obs": frames[0], "next_obs": frames[1], "action": actions}
    batch = {name: tf.constant(value) for name, value in batch.items()}
    step = tf.function(model.train_step)
    return lambda: step(batch)["loss"].numpy()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="sen")
    parser.add_argument("--batch_size", type=int, default=256)
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--filters", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    precisions = ["float32", "mixed_bfloat16"] + ["mixed_float16"] * devices.has_gpu()
    steps = {name: make_step(arguments.model, name, arguments) for name in precisions}
    times = {name: [] for name in precisions}
    for step in steps.values():
        step()
    for _ in range(arguments.rounds):
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            times[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(values) for name, values in times.items()}
    print(f"{devices.describe()}; cubes {arguments.model}, batch {arguments.batch_size}")
    for name, median in medians.items():
        ratio = medians["float32"] / median
        spread = (max(times[name]) - min(times[name])) / median
        rate = arguments.batch_size / median
        print(f"{name:16}{rate:8,.0f} transitions/s   {ratio:.2f}x float32   spread {spread:.0%}")


if __name__ == "__main__":
    main()
