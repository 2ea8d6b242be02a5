"""Pictures of 3D Blocks, beside the same drawn by matplotlib and resized by Pillow; of Reacher.

Both draw the same random boards. matplotlib takes too long for as many; time a frame is compared.
Reacher's are drawn by MuJoCo, in as many processes as there are cores.
"""

import gymnasium
import numpy as np

from benchmarks.table import Measured, Row
from benchmarks.timing import time_in_turn
from sen_tf import envs
from sen_tf.envs import rendering

PEER = "matplotlib"


def random_boards(count, objects=rendering.OBJECTS):
    """States (count, objects, 2) of objects in different cells."""
    cells = np.argsort(np.random.default_rng(0).random((count, rendering.CELLS)), axis=1)
    return np.stack(np.divmod(cells[:, :objects], rendering.BOARD_SIZE), axis=-1)


def measure(rounds, boards, few):
    """Seconds a frame of our renderer on boards, and of matplotlib on a few."""
    draw = rendering.CubesRenderer()
    times = time_in_turn(
        {"ours": lambda: draw(boards), PEER: lambda: rendering.render_cubes_matplotlib(few)}, rounds
    )
    return (
        Measured.of([each / len(states) for each in times[name]])
        for name, states in (("ours", boards), (PEER, few))
    )


def measure_reacher(rounds, arms):
    """Seconds an image of Reacher at the side of the laptop preset, of arms in random places."""
    env, rng = envs.make("reacher", size=65), np.random.default_rng(0)
    states = env.sample_states(rng, arms)
    states[..., :2] = rng.uniform(-np.pi, np.pi, (arms, 2, 2))
    times = time_in_turn({"ours": lambda: env.render_states(states)}, rounds)["ours"]
    env.close()
    return Measured.of([each / (2 * arms) for each in times])  # two images of each


def rows(rounds, frames=8192, drawn=20, arms=500):
    boards = random_boards(frames)
    few = boards[:drawn]
    ours, theirs = measure(rounds, boards, few)
    off = abs(rendering.CubesRenderer()(few).astype(int) - rendering.render_cubes_matplotlib(few))
    note = f"pictures differ by {off.mean():.2f} of 255, at most {off.max()}"
    yield Row("a frame of 3D Blocks", "s", ours, PEER, theirs, most_of_peer=1 / 300, note=note)
    try:
        reacher = measure_reacher(rounds, arms)
    except gymnasium.error.DependencyNotInstalled as error:
        print(f"left out: images of Reacher ({error})")
        return
    yield Row("an image of Reacher, 65 x 65", "s", reacher, most=1 / 600)
