"""Readers of two published formats of episodes in HDF5, which have no checksums.

The files of the code published with Park et al. (2022) have root datasets `obs`, `action` and
`next_obs` with obs (E, T, C, H, W) in [0, 1]; those of C-SWM (Kipf et al., 2020) one group "0",
"1", ... an episode with the same three names. Their frames become uint8. Channels come first in
both; where they are last, as the fewest, they are read so.
"""

import math

import h5py
import numpy as np

from sen_tf.datasets.members import Problem, check_memory
from sen_tf.datasets.source import Source, channel_axis, check_counts, names_in, numbers

READ_BYTES = 2**26  # frames read at once, uncompressed
PARTS = ("obs", "action", "next_obs")
IMAGE_AXES = ("steps", "channels", "height", "width")  # of an episode


def published_source(file: h5py.File) -> Source:
    """The episodes of a file of the code published with Park et al. (2022)."""
    obs, action, next_obs = numbers(file, *PARTS)
    _check_images(obs, next_obs, ("episodes", *IMAGE_AXES))
    check_counts(obs, action, obs.shape[1])
    return Source(
        (len(obs), obs.shape[1] + 1, *_image_shape(obs.shape)),
        action.shape,
        _block(obs, obs.shape[1:]),
        lambda rows: (_joined_frames(obs[rows], next_obs[rows]), action[rows]),
    )


def cswm_source(file: h5py.File) -> Source:
    """The episodes of a file of C-SWM."""
    names = [str(number) for number in range(len(file))]
    if set(names) != set(file):
        raise Problem(f"it holds {names_in(file)}, expected one group an episode: 0, 1, ...")
    parts = [numbers(file, *(f"{name}/{part}" for part in PARTS)) for name in names]
    shape, action_shape = parts[0][0].shape, parts[0][1].shape
    for obs, action, next_obs in parts:
        if obs.shape != shape:
            raise Problem(
                f"{obs.name} has shape {obs.shape}, expected {shape} like the first episode's"
            )
        _check_images(obs, next_obs, IMAGE_AXES)
        if 0 in shape or action.shape[:1] != shape[:1] or action.dtype.kind not in "iuf":
            raise Problem(f"{action.name} is {action.dtype} of shape {action.shape}, obs {shape}")
        if action.shape != action_shape:
            raise Problem(f"{action.name} is of shape {action.shape}, expected {action_shape}")
    return Source(
        (len(parts), shape[0] + 1, *_image_shape(shape)),
        (len(parts), *action_shape),
        _block(parts[0][0], shape),
        lambda rows: (
            _joined_frames(*(np.stack([part[k][:] for part in parts[rows]]) for k in (0, 2))),
            np.stack([part[1][:] for part in parts[rows]]),
        ),
    )


def _image_shape(shape):
    """(height, width, channels) of images of a shape."""
    *_, first, second, third = shape
    return (first, second, third) if channel_axis(shape, -3) == -1 else (second, third, first)


def _block(images, episode):
    """The number of episodes of a shape that are read at once."""
    size = math.prod(episode) * images.dtype.itemsize
    check_memory(3 * size, f"an episode of {images.name}")  # obs, next_obs, and both joined
    return max(1, READ_BYTES // size)


def _joined_frames(obs, next_obs):
    """(b, T, C, H, W) obs and next_obs of episodes as frames (b, T + 1, H, W, C) uint8."""
    if not np.array_equal(next_obs[:, :-1], obs[:, 1:]):
        raise Problem("next_obs at a time is not obs at the next time: these are not episodes")
    frames = np.concatenate([obs, next_obs[:, -1:]], axis=1)
    if frames.dtype != np.uint8:
        if not (frames.min() >= 0 and frames.max() <= 1):
            raise Problem(f"obs lies in [{frames.min()}, {frames.max()}], expected [0, 1]")
        frames = np.rint(frames * 255).astype(np.uint8)
    return np.moveaxis(frames, channel_axis(frames.shape, -3), -1)


def _check_images(obs, next_obs, axes):
    if obs.ndim != len(axes) or (obs.dtype != np.uint8 and obs.dtype.kind != "f"):
        raise Problem(
            f"{obs.name} is {obs.dtype} of shape {obs.shape}, expected images ({', '.join(axes)})"
        )
    if obs.shape != next_obs.shape or obs.dtype != next_obs.dtype:
        raise Problem(f"{next_obs.name} is {next_obs.dtype} {next_obs.shape}, unlike {obs.name}")
