"""Episodes in HDF5 files: our own format, and readers of two published ones.

Our own format, version 1, has the root attributes `format` ("sen_tf"), `format_version`, `env`,
`split`, `seed`, `group` and `settings` (JSON), and

    observations            (E, T + 1, H, W, C) uint8, each frame once
    actions                 (E, T) int64, or (E, T, ...) float32
    twins/<n>/observations  the episodes transformed by a group element, which is the attribute
    twins/<n>/actions       `element` of twins/<n>: its number, then n, or a matrix

It also reads the files of the code published with Park et al. (2022), root datasets `obs`,
`action`, `next_obs` with obs (E, T, C, H, W) in [0, 1], and those of C-SWM (Kipf et al., 2020), one
group "0", "1", ... an episode with the same three names. Their frames become uint8.
"""

import contextlib
import dataclasses
import json
import math
import os
import pathlib
import shlex
from collections.abc import Callable, Iterable, Sequence

import h5py
import numpy as np
import tqdm

from sen_tf.datasets.collect import Twin

FORMAT = "sen_tf"
VERSION = 1
COMPRESSION = {"compression": "gzip", "compression_opts": 1, "fletcher32": True}
CHUNK_FRAMES = 128  # a chunk, the unit that is compressed and read, holds up to so many frames
READ_BYTES = 2**26  # frames read at once, uncompressed
ALIGNMENT = 64  # bytes: memory that starts on a multiple of it TensorFlow uses without a copy
IMAGE_AXES = ("steps", "channels", "height", "width")  # of an episode in the published formats


class DatasetError(ValueError):
    """A file of episodes is missing, broken or not the one asked for; says how to make it."""


@dataclasses.dataclass(frozen=True)
class Episodes:
    """E episodes of T steps, in memory.

    observations: (E, len(steps), H, W, C) uint8, the frames at the times `steps`.
    actions: (E, T) int64, or (E, T, ...) float32.
    twins: the group element of each twin in the file, counted from 1: its number, or a matrix.
    env: name of the environment; None if the file does not say.
    attrs: the file's attributes, `settings` decoded.
    steps: the times of the frames, all of 0, ..., T unless some were chosen on reading.
    """

    observations: np.ndarray
    actions: np.ndarray
    twins: dict[int, int | np.ndarray]
    env: str | None
    attrs: dict
    steps: tuple[int, ...]

    def __len__(self):
        return len(self.actions)


def write_episodes(
    path,
    blocks: Iterable,
    *,
    episodes: int,
    env: str,
    split: str,
    seed: int,
    group: str,
    settings: dict,
) -> None:
    """Writes blocks of episodes to an HDF5 file, with a progress bar on stderr.

    The file appears under its name only when it is whole: it is written under a temporary name in
    the same folder, which is removed if anything goes wrong, Ctrl-C included.

    Args:
        path: the file; a file of that name is replaced, missing folders are made.
        blocks: `EpisodeBlock`s, all with the same number of steps.
        episodes: number of episodes that the blocks hold together.
        env: the environment's name.
        split: what the episodes are for, such as "train".
        seed: the seed they were collected with.
        group: name of the group of the twins, such as "C4".
        settings: what else describes the collection; must be serializable as JSON.

    Raises:
        ValueError: the blocks do not hold `episodes` episodes.
        DatasetError: the file cannot be written.
    """
    path = pathlib.Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with h5py.File(temporary, "w") as file:
            attributes = {"format": FORMAT, "format_version": VERSION, "env": env, "split": split}
            attributes |= {"seed": seed, "group": group, "settings": json.dumps(settings)}
            file.attrs.update(attributes)
            _write_blocks(file, blocks, episodes, f"{env} {split}")
        os.replace(temporary, path)
    except OSError as error:
        raise DatasetError(f"Cannot write {path}: {error}.") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _write_blocks(file, blocks, episodes, title):
    written = 0
    with tqdm.tqdm(total=episodes, desc=title, unit=" episodes", mininterval=0.5) as bar:
        for block in blocks:
            count = len(block.actions)
            if written + count > episodes:
                raise ValueError(f"`blocks` must hold {episodes} episodes; got more.")
            parts = {"/": block} | {f"twins/{n}": twin for n, twin in block.twins.items()}
            for name, part in parts.items():
                group = file.require_group(name)
                if written == 0:
                    _create(group, episodes, part)
                group["observations"][written : written + count] = part.observations
                group["actions"][written : written + count] = part.actions
            written += count
            bar.update(count)
    if written != episodes:
        raise ValueError(f"`blocks` must hold {episodes} episodes; got {written}.")


def _create(group, episodes, part):
    """Makes the datasets of a part of the file, for episodes like those of the first block."""
    frames, actions = part.observations, part.actions
    if isinstance(part, Twin):
        group.attrs["element"] = part.element
    times = frames.shape[1]
    # A power of two, so that chunks do not straddle blocks and none is compressed twice.
    rows = min(2 ** (max(1, CHUNK_FRAMES // times).bit_length() - 1), episodes)
    group.create_dataset(
        "observations",
        (episodes, *frames.shape[1:]),
        np.uint8,
        chunks=(rows, min(times, CHUNK_FRAMES), *frames.shape[2:]),
        **COMPRESSION,
    )
    group.create_dataset("actions", (episodes, *actions.shape[1:]), actions.dtype)


def read_episodes(
    path,
    env: str | None = None,
    steps: Sequence[int] | None = None,
    episodes: int | None = None,
    twin: int | None = None,
) -> Episodes:
    """Reads a file of episodes into memory.

    Args:
        path: an HDF5 file in one of the three formats of the module's head.
        env: name of the environment it must be of; a published file does not say its environment
            and is taken as it is.
        steps: times of the frames to keep, such as (0, 1, 5, 10); None for all.
        episodes: how many episodes to keep, the first ones; None, or more than there are, for all.
        twin: number of the twin to read in place of the episodes, out of `Episodes.twins`.

    Returns:
        The `Episodes`. Beside them, memory is needed for one block of frames only.

    Raises:
        DatasetError: the file is missing, truncated, of another environment, empty or lacks a
            part, has too few steps, or its next_obs do not continue its obs.
    """
    advised = env
    try:
        with h5py.File(path, "r") as file:
            advised = env or file.attrs.get("env")
            return _read(file, env, steps, episodes, twin)
    except FileNotFoundError as error:
        problem, cause = "there is no such file", error
    except _Problem as error:
        problem, cause = str(error), error
    except OSError as error:
        problem, cause = f"it is not a readable, whole HDF5 file ({error})", error
    command = (
        f"python -m sen_tf.generate --env={advised or 'ENV'} --output={shlex.quote(str(path))}"
    )
    raise DatasetError(f"Cannot use {path}: {problem}. Make a right one with: {command}") from cause


class _Problem(Exception):
    """What is wrong with the inside of a file."""


@dataclasses.dataclass(frozen=True)
class _Source:
    """Episodes in a file: (E, T + 1, H, W, C), their actions, and how to read frames of `rows`."""

    shape: tuple[int, ...]
    actions: np.ndarray
    frames: Callable[[slice], np.ndarray]


def _read(file, env, steps, count, twin):
    attrs = dict(file.attrs)
    twins = {}
    if "format" in attrs or "observations" in file:
        _check_attributes(attrs, env)
        attrs["settings"] = json.loads(attrs["settings"])
        source = _own_source(file)
        twins = _twin_elements(file, source)
        if twin is not None:
            source = _own_source(file["twins"][str(twin)])
    elif "0" in file:
        source = _cswm_source(file)
    elif "obs" in file:
        source = _published_source(file)
    else:
        raise _Problem(f"it holds {_names(file)}, expected observations and actions")
    steps = _checked_steps(steps, source.shape[1])
    return Episodes(
        _load(source, steps, count),
        source.actions[:count],
        twins,
        attrs.get("env"),
        attrs,
        steps,
    )


def _twin_elements(file, episodes):
    """The group element of each twin, all checked to be like the episodes."""
    elements = {}
    for number in sorted(map(int, file.get("twins", {}))):
        part = file[f"twins/{number}"]
        source = _own_source(part)
        if (source.shape, source.actions.shape) != (episodes.shape, episodes.actions.shape):
            raise _Problem(f"its twins/{number} have another shape than its episodes")
        # Files from before continuous groups do not say the element: it is the number.
        elements[number] = part.attrs.get("element", number)
    return elements


def _load(source, steps, episodes):
    """Frames at the times `steps` of the first episodes, or of all, block by block."""
    total, *frame = source.shape
    episodes = total if episodes is None else min(episodes, total)
    count = max(1, READ_BYTES // math.prod(frame))
    out = _aligned_empty((episodes, len(steps), *frame[1:]))
    everything = steps == tuple(range(frame[0]))
    for start in range(0, episodes, count):
        frames = source.frames(slice(start, min(start + count, episodes)))
        out[start : start + count] = frames if everything else frames[:, list(steps)]
    return out


def _aligned_empty(shape):
    """An uninitialized uint8 array that starts on a multiple of `ALIGNMENT` bytes."""
    size = math.prod(shape)
    memory = np.empty(size + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + size].reshape(shape)


def _checked_steps(steps, times):
    if steps is None:
        return tuple(range(times))
    if min(steps) < 0 or max(steps) >= times:
        raise _Problem(
            f"it has {times - 1} steps an episode, expected times {tuple(steps)} "
            f"(generate with --steps={max(steps)})"
        )
    return tuple(steps)


def _check_attributes(attrs, env):
    if attrs.get("format") != FORMAT or attrs.get("format_version") != VERSION:
        came = f"{attrs.get('format')} {attrs.get('format_version')}"
        raise _Problem(f"its format is {came}, expected {FORMAT} {VERSION}")
    missing = [name for name in ("env", "settings") if name not in attrs]
    if missing:
        raise _Problem(f"it lacks the attributes {', '.join(missing)}")
    if env is not None and attrs["env"] != env:
        raise _Problem(f"it holds episodes of {attrs['env']!r}, expected {env!r}")


def _own_source(group):
    observations, actions = _datasets(group, "observations", "actions")
    if observations.dtype != np.uint8 or observations.ndim != 5:
        raise _Problem(
            f"{observations.name} is {observations.dtype} of shape {observations.shape}, "
            "expected uint8 (episodes, steps + 1, height, width, channels)"
        )
    _check_counts(observations, actions, observations.shape[1] - 1)
    return _Source(observations.shape, _actions(actions[:]), lambda rows: observations[rows])


def _published_source(file):
    obs, action, next_obs = _datasets(file, "obs", "action", "next_obs")
    _check_images(obs, next_obs, ("episodes", *IMAGE_AXES))
    _check_counts(obs, action, obs.shape[1])
    episodes, steps, channels, height, width = obs.shape
    return _Source(
        (episodes, steps + 1, height, width, channels),
        _actions(action[:]),
        lambda rows: _joined_frames(obs[rows], next_obs[rows]),
    )


def _cswm_source(file):
    names = [str(number) for number in range(len(file))]
    if not all(name in file for name in names):
        raise _Problem(f"it holds {_names(file)}, expected one group an episode: 0, 1, ...")
    parts = [_datasets(file[name], "obs", "action", "next_obs") for name in names]
    shape = parts[0][0].shape
    for obs, action, next_obs in parts:
        if obs.shape != shape:
            raise _Problem(
                f"{obs.name} has shape {obs.shape}, expected {shape} like the first episode's"
            )
        _check_images(obs, next_obs, IMAGE_AXES)
        if 0 in shape or action.shape[:1] != shape[:1] or action.dtype.kind not in "iuf":
            raise _Problem(f"{action.name} is {action.dtype} of shape {action.shape}, obs {shape}")
    steps, channels, height, width = shape
    return _Source(
        (len(parts), steps + 1, height, width, channels),
        _actions(np.stack([action[:] for _, action, _ in parts])),
        lambda rows: _joined_frames(
            np.stack([obs[:] for obs, _, _ in parts[rows]]),
            np.stack([next_obs[:] for _, _, next_obs in parts[rows]]),
        ),
    )


def _joined_frames(obs, next_obs):
    """(b, T, C, H, W) obs and next_obs of episodes as frames (b, T + 1, H, W, C) uint8."""
    if not np.array_equal(next_obs[:, :-1], obs[:, 1:]):
        raise _Problem("next_obs at a time is not obs at the next time: these are not episodes")
    frames = np.concatenate([obs, next_obs[:, -1:]], axis=1)
    if frames.dtype != np.uint8:
        if not (frames.min() >= 0 and frames.max() <= 1):
            raise _Problem(f"obs lies in [{frames.min()}, {frames.max()}], expected [0, 1]")
        frames = np.rint(frames * 255).astype(np.uint8)
    return np.moveaxis(frames, 2, -1)


def _actions(values):
    """int64 if there is one whole number a step, also where it was stored as a float."""
    whole = np.issubdtype(values.dtype, np.integer)
    whole = whole or (values.ndim == 2 and np.array_equal(values, np.rint(values)))
    return values.astype(np.int64 if whole else np.float32)


def _datasets(group, *names):
    for name in names:
        if not isinstance(group.get(name), h5py.Dataset):
            raise _Problem(f"{group.name} lacks {name} (it holds {_names(group)})")
    return [group[name] for name in names]


def _check_counts(observations, actions, steps):
    expected = (len(observations), steps)
    if 0 in observations.shape or steps < 1:
        raise _Problem(f"{observations.name} is empty, of shape {observations.shape}")
    if actions.shape[:2] != expected or actions.dtype.kind not in "iuf":
        raise _Problem(
            f"{actions.name} is {actions.dtype} of shape {actions.shape}, "
            f"expected numbers {expected}"
        )


def _check_images(obs, next_obs, axes):
    if obs.ndim != len(axes) or (obs.dtype != np.uint8 and obs.dtype.kind != "f"):
        raise _Problem(
            f"{obs.name} is {obs.dtype} of shape {obs.shape}, expected images ({', '.join(axes)})"
        )
    if obs.shape != next_obs.shape or obs.dtype != next_obs.dtype:
        raise _Problem(f"{next_obs.name} is {next_obs.dtype} {next_obs.shape}, unlike {obs.name}")


def _names(group):
    return ", ".join(sorted(group)[:5]) or "nothing"
