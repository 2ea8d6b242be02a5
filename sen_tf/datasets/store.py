"""Our own format of episodes in HDF5, and how it is written.

Version 2 has the root attributes `format` ("sen_tf"), `format_version`, `env`, `env_version`,
`split`, `seed`, `group` and `settings` (JSON), and

    observations            (E, T + 1, H, W, C) uint8, each frame once
    actions                 (E, T) int64, or (E, T, ...) float32
    checksums               (blocks, 32) uint8, SHA-256 of each block of episodes; its attribute
                            `block` is the number of episodes in one
    twins/<n>/...           the same three of the episodes transformed by a group element, which is
                            the attribute `element` of twins/<n>: its number, then n, or a matrix

and the root attribute `checksum`, over all of this but the frames and actions themselves (see
`sen_tf.datasets.integrity`). It is laid out as by HDF5 1.10, which checks all that it reads of the
file's own structure before it believes it; attributes are text of fixed length, as other text is
kept where HDF5 does not. Version 1 had no checksums and no `env_version`.
"""

import contextlib
import errno
import json
import os
import pathlib
import shutil
import socket
from collections.abc import Iterable
from typing import Any

import h5py
import numpy as np

from sen_tf.datasets import integrity
from sen_tf.datasets.collect import EpisodeBlock, Twin
from sen_tf.datasets.episodes import Episodes, arguments_told
from sen_tf.datasets.members import DatasetError, Problem, member
from sen_tf.datasets.progress import progress
from sen_tf.datasets.source import Contents, Source, check_counts, names_in, numbers
from sen_tf.envs import ENVS

FORMAT = "sen_tf"
VERSION = 2
LAYOUT = ("v110", "v110")
COMPRESSION = {"compression": "gzip", "compression_opts": 1, "fletcher32": True}
SPARE_BYTES = 2**22  # on the disk, for what HDF5 writes beside the arrays
SAVED_AT_ONCE = 64  # episodes
CHUNK_FRAMES = 128  # a chunk, the unit that is compressed and read, holds up to so many frames


def write_episodes(
    path: str | pathlib.Path,
    blocks: Iterable,
    *,
    episodes: int,
    env: str,
    split: str,
    seed: int,
    group: str,
    settings: dict,
    show_progress: bool = True,
    overwrite: bool = False,
) -> None:
    """Writes blocks of episodes to an HDF5 file, with checksums.

    The file appears under its name only when it is whole: it is written under a temporary name in
    the same folder, which is removed if anything goes wrong, Ctrl-C included.

    Args:
        path: the file; missing folders are made.
        blocks: `EpisodeBlock`s, all with the same number of steps.
        episodes: number of episodes that the blocks hold together.
        env: the environment's name.
        split: what the episodes are for, such as "train".
        seed: the seed they were collected with.
        group: name of the group of the twins, such as "C4".
        settings: what else describes the collection; must be serializable as JSON.
        show_progress: whether to show progress on stderr.
        overwrite: whether to replace a file of that name that was not made with the same arguments.

    Raises:
        ValueError: the blocks do not hold `episodes` episodes, or not uint8 images of all times.
        DatasetError: the file cannot be written, or there is another one.
    """
    path = pathlib.Path(path)
    attributes = {"format": FORMAT, "format_version": VERSION, "env": env, "split": split}
    attributes |= {"env_version": environment_version(env), "seed": seed, "group": group}
    attributes |= {"settings": json.dumps(settings)}
    attributes = {name: _storable(value) for name, value in attributes.items()}
    if path.exists() and not overwrite and not _was_made_with(path, attributes):
        raise DatasetError(
            f"Cannot write {path}: it is there already, and was not made with these settings. "
            f"Choose another name, or say --overwrite."
        )
    # Others may be writing the same, on other machines that share the folder.
    temporary = path.with_name(f".{path.name}.{socket.gethostname()}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with h5py.File(temporary, "w", libver=LAYOUT) as file:
            file.attrs.update(attributes)
            with progress(episodes, f"{env} {split}", "episodes", show_progress) as wrote:
                checksums = _write_blocks(file, blocks, episodes, wrote)
            _write_checksums(file, checksums)
        os.replace(temporary, path)
    except OSError as error:
        raise DatasetError(f"Cannot write {path}: {error}.") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def save_episodes(
    path: str | pathlib.Path, episodes: Episodes, env: str = "recorded", overwrite: bool = False
) -> None:
    """Writes `Episodes` with the frames of all times to an HDF5 file, with checksums.

    Args:
        path: the file; missing folders are made.
        episodes: the `Episodes`.
        env: the environment's name, where they have none.
        overwrite: whether to replace another file of that name.

    Raises:
        ValueError: they were read with `steps`.
        DatasetError: the file cannot be written, or there is another one.
    """
    rows = [slice(start, start + SAVED_AT_ONCE) for start in range(0, len(episodes), SAVED_AT_ONCE)]
    blocks = (
        EpisodeBlock(episodes.observations[each], episodes.actions[each], {}) for each in rows
    )
    digest = integrity.BlockChecksums(len(episodes))  # of other episodes it is another file
    digest.add(episodes.observations, episodes.actions)
    settings = {"sha256": digest.values().tobytes().hex()}
    settings |= arguments_told(episodes.attrs, episodes.env)
    about: dict[str, Any] = {"env": episodes.env or env, "split": "train", "seed": 0, "group": "C1"}
    write_episodes(
        path, blocks, episodes=len(episodes), settings=settings, overwrite=overwrite, **about
    )


def _was_made_with(path, attributes):
    """True for a file of ours that was made with these attributes."""
    try:
        with h5py.File(path, "r") as file:
            return all(file.attrs.get(name) == value for name, value in attributes.items())
    except (OSError, RuntimeError, ValueError, TypeError, LookupError):
        return False


def environment_version(env: str | None) -> int:
    """The version of an environment's images and dynamics; 1 of one that is not ours."""
    return ENVS[env].version if env in ENVS else 1


def _storable(value):
    return np.bytes_(value.encode()) if isinstance(value, str) else value


def _write_blocks(file, blocks, episodes, wrote):
    """Writes the episodes and their twins; returns `BlockChecksums` of each part by its name."""
    written, checksums = 0, {}
    for block in blocks:
        count = len(block.actions)
        if written + count > episodes:
            raise ValueError(f"Expected `blocks` to hold {episodes} episodes; received more.")
        parts = {"/": block} | {f"twins/{n}": twin for n, twin in block.twins.items()}
        for name, part in parts.items():
            _check_frames(part)
            _check_space(file.filename, part)
            group = file.require_group(name)
            if written == 0:
                rows = _create(group, episodes, part)
                checksums[name] = integrity.BlockChecksums(rows)
            group["observations"][written : written + count] = part.observations
            group["actions"][written : written + count] = part.actions
            checksums[name].add(part.observations, part.actions)
        written += count
        wrote(count)
    if written != episodes:
        raise ValueError(f"Expected `blocks` to hold {episodes} episodes; received {written}.")
    return checksums


def _check_frames(part):
    """Raises a ValueError unless a block has uint8 images of all times of its actions."""
    frames, actions = part.observations, part.actions
    if frames.dtype != np.uint8 or frames.shape[:2] != (len(actions), actions.shape[1] + 1):
        raise ValueError(
            f"Expected uint8 images of all times, {actions.shape[1] + 1} per episode; received "
            f"{frames.dtype} of shape {frames.shape}. Read episodes without `steps` to write them."
        )


def _check_space(path, part):
    """Raises an OSError before the disk is full: there HDF5 crashes the interpreter.

    What is written is compressed; the space asked for is that of the raw frames.
    """
    needed = SPARE_BYTES + part.observations.nbytes + part.actions.nbytes
    free = shutil.disk_usage(pathlib.Path(path).parent).free
    if free < needed:
        raise OSError(
            errno.ENOSPC, f"only {free / 2**20:.0f} MiB are free, {needed / 2**20:.0f} are needed"
        )


def _create(group, episodes, part):
    """Makes the datasets of a part of the file, for episodes like those of the first block.

    Returns:
        Number of episodes in a chunk, which is the block that a checksum is of.
    """
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
    return rows


def _write_checksums(file, checksums):
    for name, of_part in checksums.items():
        stored = file[name].create_dataset(integrity.CHECKSUMS, data=of_part.values())
        stored.attrs[integrity.BLOCK] = of_part.block
    groups = [file[name] for name in checksums]
    file.attrs[integrity.CHECKSUM] = _storable(integrity.seal(file, groups))


def own_contents(file: h5py.File, env: str | None) -> Contents:
    """The contents of a file in our own format.

    Args:
        file: the open HDF5 file.
        env: name of the environment it must be of, or None.

    Raises:
        Problem: it is of another version or environment, lacks a part, or is not what it was when
            it was written.
    """
    attrs = integrity.attributes(file)
    _check_attributes(attrs, env)
    groups = {None: file} | _twin_groups(file)
    checked = attrs["format_version"] > 1
    sources = {number: _source(group, checked) for number, group in groups.items()}
    for number, source in sources.items():
        of_episodes = (sources[None].shape, sources[None].action_shape)
        if (source.shape, source.action_shape) != of_episodes:
            raise Problem(f"its twins/{number} have another shape than its episodes")
    if checked and attrs[integrity.CHECKSUM] != integrity.seal(file, list(groups.values())):
        raise Problem("its attributes, layout or checksums are not those that were written")
    # Files from before continuous groups do not say the element: it is the number.
    twins = {n: group.attrs.get("element", n) for n, group in groups.items() if n is not None}
    settings = json.loads(attrs["settings"])
    return Contents(sources, twins, attrs | {"settings": settings}, checked)


def _check_attributes(attrs, env):
    version = attrs.get("format_version")
    if attrs.get("format") != FORMAT or version not in range(1, VERSION + 1):
        came = f"{attrs.get('format')} {version}"
        raise Problem(f"its format is {came}, expected {FORMAT} 1 to {VERSION}")
    if version == 1 and integrity.CHECKSUM in attrs:
        raise Problem("its format version is 1, and it has a checksum, which begins with 2")
    names = ("env", "settings", *(("env_version", integrity.CHECKSUM) if version > 1 else ()))
    missing = [name for name in names if name not in attrs]
    if missing:
        raise Problem(f"it lacks the attributes {', '.join(missing)}")
    if env is not None and attrs["env"] != env:
        raise Problem(f"it holds episodes of {attrs['env']!r}, expected {env!r}")


def check_environment_version(attrs: dict) -> None:
    """Raises a `Problem` if episodes of such attributes are of another version of their env."""
    made, now = attrs.get("env_version"), environment_version(attrs.get("env"))
    if made is not None and made != now:
        raise Problem(f"it was made by version {made} of {attrs['env']!r}, which is now {now}")


def _twin_groups(file):
    twins = member(file, "twins")
    if twins is None:
        return {}
    if not all(name.isdecimal() for name in twins):
        raise Problem(f"its twins are {names_in(twins)}, expected numbers")
    return {number: member(twins, str(number)) for number in sorted(map(int, twins))}


def _source(group, checked):
    observations, actions = numbers(group, "observations", "actions")
    if observations.dtype != np.uint8 or observations.ndim != 5:
        raise Problem(
            f"{observations.name} is {observations.dtype} of shape {observations.shape}, "
            "expected uint8 (episodes, steps + 1, height, width, channels)"
        )
    check_counts(observations, actions, observations.shape[1] - 1)
    episodes = len(observations)
    if checked:
        block, expected = integrity.checksums(group, episodes)
    else:
        block, expected = (observations.chunks or (1,))[0], None

    def read(rows):
        return _read_block(group, observations, actions, rows, block, expected)

    return Source(observations.shape, actions.shape, block, read, lambda: actions[:])


def _read_block(group, observations, actions, rows, block, expected):
    where = f"block {rows.start // block} of {group.name} (episodes {rows.start}..{rows.stop - 1})"
    try:
        frames, moves = observations[rows], actions[rows]
    except OSError as error:
        raise Problem(f"{where} cannot be read, it is not whole ({error})") from error
    if expected is not None:
        came = integrity.BlockChecksums(block)
        came.add(frames, moves)
        if not np.array_equal(came.values()[0], expected[rows.start // block]):
            raise Problem(f"{where} does not match its checksum")
    return frames, moves
