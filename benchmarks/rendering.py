"""Frames per second of the renderers on one core, beside matplotlib's.

Run with: python -m benchmarks.rendering

All draw the same random boards in the same run, alternating; the medians are printed, and for cubes
the ratio to the matplotlib path and how far apart the pictures are.
"""

import argparse
import os

for _threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_threads] = "1"  # read when NumPy is imported

import numpy as np  # noqa: E402

from benchmarks.timing import measure, seconds  # noqa: E402
from sen_tf.envs import cube_patches, rendering  # noqa: E402


def random_states(count):
    cells = np.argsort(np.random.default_rng(0).random((count, 25)), axis=1)[:, :5]
    return np.stack(np.divmod(cells, 5), axis=-1)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=8192)
    parser.add_argument("--matplotlib_frames", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()

    print(f"table of patches made in   {seconds(cube_patches.make_cubes_table):8.2f} s")
    rendering.CubesRenderer()  # fills the cache
    cube_patches.cubes_table.cache_clear()
    print(f"renderer made from cache in{seconds(rendering.CubesRenderer):8.3f} s")

    states, few = random_states(arguments.frames), random_states(arguments.matplotlib_frames)
    cubes = rendering.CubesRenderer()
    matplotlib = "cubes, matplotlib"
    medians = measure(
        {
            matplotlib: (rendering.render_cubes_matplotlib, few),
            "cubes": (cubes, states),
            "cubes, one at a time": (lambda all: [cubes(s[None]) for s in all], states[:1024]),
            "shapes": (rendering.ShapesRenderer(), states),
        },
        arguments.rounds,
    )
    for name, median in medians.items():
        print(f"{name:24}{1 / median:12,.0f} frames/s")
    print(f"cubes against matplotlib {medians[matplotlib] / medians['cubes']:10,.0f} times as fast")
    off = abs(cubes(few).astype(int) - rendering.render_cubes_matplotlib(few))
    print(f"difference of the pictures: mean {off.mean():.2f}, at most {off.max()} of 255")


if __name__ == "__main__":
    main()
