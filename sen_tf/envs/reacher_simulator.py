"""Reacher's simulator, MuJoCo, in processes of its own, which step and draw side by side.

They run this file alone, without the package, whose import brings TensorFlow: that and Mesa's
software OpenGL each bring an LLVM, and where both are in one process, the first image ends it
with a segmentation fault.
"""

import contextlib
import functools
import importlib.util
import multiprocessing
import os
import subprocess
import sys
import weakref
from multiprocessing.connection import Connection

import gymnasium
import numpy as np

RENDERED, SHOWN = 500, slice(50, 450)  # pixels, of rows and of columns
LARGEST = SHOWN.stop - SHOWN.start
SMALL = LARGEST // 4
"""Side of images up to which half as many rows are drawn: each pixel is still the mean of four."""
CAMERAS = {  # metres and degrees
    # Reacher-v5's camera, which looks at the median place of its parts, as for the arm at rest.
    "tilted": {"lookat": np.array([0.025, 0, 0.01]), "elevation": -45.0},
    "above": {"lookat": np.array([0, 0, 0.01]), "elevation": -90.0},
}
BACKENDS = ("egl", "osmesa")  # by which MuJoCo draws without a screen, in the order tried
RUN = "import runpy, sys; runpy.run_path(sys.argv[1])['serve'](*sys.argv[2:])"


class Simulators:
    """Processes with a `Simulator` each, which share the work.

    Args:
        size: side of the images in pixels.
        camera: a name in `CAMERAS`.
        count: number of processes.

    Raises:
        gymnasium.error.DependencyNotInstalled: if MuJoCo is missing, or can draw neither by
            MUJOCO_GL nor, where that is not set, by any of `BACKENDS`.
    """

    def __init__(self, size: int, camera: str, count: int) -> None:
        arguments = size, camera, _working_backend(os.environ.get("MUJOCO_GL"))
        with contextlib.ExitStack() as stack:
            self._connections = [stack.enter_context(_process(*arguments)) for _ in range(count)]
            for connection in self._connections:
                connection.recv()
            self.close = weakref.finalize(self, stack.pop_all().close)

    def step(self, states: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """Returns the states (n, 8) that follow; see `Simulator`."""
        return self._share("step", states, actions)

    def draw(self, positions: np.ndarray) -> np.ndarray:
        """Returns images, uint8 (n, size, size, 3); see `Simulator`."""
        return self._share("draw", positions)

    def _share(self, method, *arrays):
        parts = zip(*(np.array_split(a, len(self._connections)) for a in arrays), strict=True)
        try:
            for connection, part in zip(self._connections, parts, strict=True):
                connection.send((method, part))
            return np.concatenate([connection.recv() for connection in self._connections])
        except BaseException:  # results that nobody received must not be those of the next call
            self.close()
            raise


@functools.cache
def _working_backend(wanted):
    """The first of `BACKENDS`, or else the one `wanted`, by which a process can draw."""
    if importlib.util.find_spec("mujoco") is None:
        raise gymnasium.error.DependencyNotInstalled(
            "Reacher needs MuJoCo; run `pip install 'gymnasium[mujoco]'`."
        )
    problems = []
    for backend in [wanted] if wanted else BACKENDS:
        with _process(1, "tilted", backend) as connection:
            try:
                problem = connection.recv()
            except EOFError:
                problem = "the process broke down"
        if problem is None:
            return backend
        problems.append(f"{backend}: {problem}")
    raise gymnasium.error.DependencyNotInstalled(
        "MuJoCo cannot draw without a screen; run `apt install libosmesa6` or `apt install libegl1 "
        f"libgl1-mesa-dri` ({'; '.join(problems)})."
    )


@contextlib.contextmanager
def _process(size, camera, backend):
    """The connection to a new process, which ends when that is closed.

    It first sends None if it can draw, else the reason; then the result of each call.
    """
    ours, theirs = multiprocessing.Pipe()
    with theirs:
        end = theirs.fileno()
        process = subprocess.Popen(
            [sys.executable, "-c", RUN, __file__, str(size), camera, str(end)],
            env={**os.environ, "MUJOCO_GL": backend},
            pass_fds=[end],
        )
    try:
        yield ours
    finally:
        ours.close()
        process.wait()


def serve(size: str, camera: str, end: str) -> None:
    """The work of each process; see `_process`."""
    with Connection(int(end)) as connection, contextlib.suppress(EOFError, KeyboardInterrupt):
        try:
            simulator = Simulator(int(size), camera)
        except Exception as error:  # whatever the libraries raise where one is missing
            connection.send(" ".join(f"{type(error).__name__}: {error}".split()))
            return
        connection.send(None)
        with contextlib.closing(simulator):
            while True:
                method, arrays = connection.recv()
                connection.send(getattr(simulator, method)(*arrays))


class Simulator:
    """Reacher-v5, in this process.

    Images are rendered at 500 x 500, cropped to 50:450 and averaged over areas; small ones at 250 x
    250, cropped to 25:225, which takes less than half of the time (2.1 for 5.3 ms). They have one
    sample per pixel, not Gymnasium's four: the averaging smooths the edges, and an image takes half
    the time.

    Args:
        size: side of the images in pixels.
        camera: a name in `CAMERAS`.
    """

    def __init__(self, size: int, camera: str) -> None:
        part = 1 if size > SMALL else 2
        side = RENDERED // part
        self._shown = slice(SHOWN.start // part, SHOWN.stop // part)
        self._simulator = gymnasium.make(
            "Reacher-v5",
            render_mode="rgb_array",
            width=side,
            height=side,
            default_camera_config=CAMERAS[camera],
        ).unwrapped
        self._simulator.model.vis.quality.offsamples = 0
        self._simulator.render()
        self._size = size
        self._shrink = AreaAverage(LARGEST // part, size)
        self.close = self._simulator.close

    def step(self, states: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """Returns the states after one step each, float64 (n, 8).

        Args:
            states: positions and velocities (n, 8).
            actions: torques (n, 2).
        """
        after = np.empty((len(states), 8))
        for i, (state, action) in enumerate(zip(states, actions, strict=True)):
            self._simulator.set_state(state[:4], state[4:])
            # Where the solver last ended is no part of the state, and must not act on the next.
            self._simulator.data.qacc_warmstart[:] = 0
            self._simulator.do_simulation(action, self._simulator.frame_skip)
            after[i] = self._simulator.state_vector()
        return after

    def draw(self, positions: np.ndarray) -> np.ndarray:
        """Returns images, uint8 (n, size, size, 3), of positions (n, 4): angles and goals."""
        images = np.empty((len(positions), self._size, self._size, 3), np.uint8)
        for image, position in zip(images, positions, strict=True):
            self._simulator.set_state(position, np.zeros(4))
            image[...] = np.rint(
                self._shrink(np.asarray(self._simulator.render())[self._shown, self._shown])
            )
        return images


class AreaAverage:
    """Shrinks square images: each pixel of the result is the mean over the area that it covers.

    Args:
        source: side of the images in pixels.
        size: side of the result, at most `source`.
    """

    def __init__(self, source: int, size: int) -> None:
        edges = np.linspace(0, source, size + 1)
        pixels = np.arange(source)
        shares = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
        shares = np.maximum(shares, 0) * size / source
        count = (shares > 0).sum(axis=1).max()
        first = np.minimum((shares > 0).argmax(axis=1), source - count)
        self._pixels = first + np.arange(count)[:, None]  # (count, size), covered by each part
        self._shares = np.take_along_axis(shares, self._pixels.T, axis=1).T.astype(np.float32)

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Returns the shrunken image, float32 (size, size, c), of (source, source, c)."""
        return self._shrink_rows(self._shrink_rows(image).swapaxes(0, 1)).swapaxes(0, 1)

    def _shrink_rows(self, image):
        # A sum of rows: a matrix product would go through the zeros too, and takes longer.
        image = np.ascontiguousarray(image)
        both = zip(self._pixels, self._shares[..., None, None], strict=True)
        return sum(share * image[pixels] for pixels, share in both)
