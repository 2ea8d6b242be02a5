"""Datasets of Minari: images and actions of one are training data, and ours become one.

Minari (https://minari.farama.org) keeps datasets under the folder MINARI_DATASETS_PATH. It can make
the environment that a dataset names, which runs code of the dataset's choice; that is not let
happen here: a dataset must say its spaces, as those that Minari writes do.
"""

import contextlib
import importlib
import json
import os
import pathlib
import shutil
import warnings
from collections.abc import Iterator

import gymnasium
import h5py
import numpy as np

from sen_tf import envs
from sen_tf.datasets.episodes import Episodes
from sen_tf.datasets.members import DatasetError, Problem, member
from sen_tf.datasets.progress import progress
from sen_tf.datasets.source import Contents, Source, channel_axis
from sen_tf.envs import ENVS

PREFIX = "minari:"
READ_EPISODES = 16  # episodes read at once
DATA = "main_data.hdf5"  # the file of a dataset


def is_name(path: str | pathlib.Path) -> bool:
    """True if a path is "minari:" and the name of a dataset."""
    return str(path).startswith(PREFIX)


@contextlib.contextmanager
def opened(path: str | pathlib.Path, env: str | None) -> Iterator[Contents]:
    """The `Contents` of the dataset "minari:<name>".

    Its observations must be images (H, W, C) uint8, and its episodes of one length.

    Args:
        path: "minari:" and the dataset's name, such as "cubes/random-v0".
        env: name of the environment it must be of, where it is of one of ours.

    Raises:
        Problem: it is not there, of another environment, in another storage than HDF5, says no
            spaces, has links or parts in other files, or is not as above.
    """
    minari = _package()
    folder = minari.storage.get_dataset_path(str(path).removeprefix(PREFIX)) / "data"
    if not (folder / "metadata.json").is_file():
        raise Problem(f"there is no such Minari dataset (no {folder})")
    metadata = json.loads((folder / "metadata.json").read_text(encoding="utf-8"))
    attrs = _check_metadata(metadata, env)
    with h5py.File(folder / DATA, "r") as file:
        _check_members(file, set())
    yield Contents({None: _source(minari.MinariDataset(folder))}, {}, attrs, False)


def _package():
    try:
        return importlib.import_module("minari")
    except ImportError as error:
        raise DatasetError("Minari datasets need the package: pip install minari") from error


def _check_metadata(metadata, env):
    """Checks that nothing of the dataset would be run; returns attributes of its environment."""
    if not all(
        isinstance(metadata.get(f"{kind}_space"), str) for kind in ("observation", "action")
    ):
        raise Problem("it does not say its spaces, and its environment is not made to find them")
    if metadata.get("data_format") != "hdf5":
        raise Problem(f"it is stored as {metadata.get('data_format')}, expected hdf5")
    spec = json.loads(metadata["env_spec"]) if "env_spec" in metadata else {"id": None}
    gym_id = spec["id"]
    known = next((name for name in ENVS if envs.gym_id(name) == gym_id), None)
    if env is not None and gym_id is not None and known != env:
        raise Problem(f"it holds episodes of {known or gym_id!r}, expected {env!r}")
    return {"env": known, "settings": spec.get("kwargs", {})} if known else {}


def _check_members(group, seen):
    """Opens all that is in a group once, as `member` does."""
    for name in group:
        found = member(group, name)
        place = h5py.h5o.get_info(found.id).addr
        if isinstance(found, h5py.Group) and place not in seen:
            _check_members(found, seen | {place})


def _source(dataset):
    space = dataset.observation_space
    if not (isinstance(space, gymnasium.spaces.Box) and space.dtype == np.uint8):
        raise Problem(f"its observations are {space}, expected a box of uint8 images")
    if len(space.shape) != 3 or len(dataset) == 0:
        raise Problem(f"it has {len(dataset)} episodes of shape {space.shape}, expected images")
    about = dataset.storage.get_episode_metadata(dataset.episode_indices)
    lengths = sorted({int(each["total_steps"]) for each in about})
    if len(lengths) > 1 or lengths[0] < 1:
        raise Problem(
            f"its episodes have {lengths[0]} to {lengths[-1]} steps, expected all as many"
        )
    steps, count = lengths[0], len(dataset)
    axis = channel_axis(space.shape, -1)
    shape = space.shape if axis == -1 else (*space.shape[1:], space.shape[0])
    start = getattr(dataset.action_space, "start", 0)  # of spaces of whole numbers

    def read(rows):
        episodes = list(dataset.iterate_episodes(range(rows.start, rows.stop)))
        frames = np.stack([episode.observations for episode in episodes])
        actions = np.stack([episode.actions for episode in episodes])
        if frames.shape[1:] != (steps + 1, *space.shape) or frames.dtype != np.uint8:
            raise Problem(f"its observations are {frames.dtype} {frames.shape[1:]}")
        if actions.shape[1] != steps or actions.dtype.kind not in "iuf":
            raise Problem(f"its actions are {actions.dtype} {actions.shape[1:]}")
        return np.moveaxis(frames, axis, -1), actions - start

    action_shape = read(slice(0, 1))[1].shape[1:]
    return Source((count, steps + 1, *shape), (count, *action_shape), READ_EPISODES, read)


def write_minari(name: str, episodes: Episodes, env: gymnasium.Env) -> pathlib.Path:
    """Writes episodes as a Minari dataset, with exact images; returns its folder.

    Rewards are 0, as these episodes have none; every episode ends by truncation. Twins are left
    out. The dataset appears whole or not at all.

    Args:
        name: the dataset's name, such as "cubes/random-v0".
        episodes: `Episodes` with the frames of all times.
        env: the environment that they are of, made by `gymnasium.make`, so that Minari's readers
            can make it again.

    Raises:
        DatasetError: the package is not installed.
        ValueError: there is a dataset of this name, or the name is none.
    """
    minari = _package()
    folder = minari.storage.get_dataset_path(name)
    if folder.exists():
        raise ValueError(f"Expected `name` to be new; the Minari dataset {name} exists: {folder}.")
    try:
        with warnings.catch_warnings(action="ignore", category=UserWarning):  # who the author is
            minari.create_dataset_from_buffers(
                name,
                _buffers(episodes, name, getattr(env.action_space, "start", 0)),
                env=env,
                description=f"{len(episodes)} episodes of {env.spec.id}, collected by sen_tf",
                jpeg_encoding=False,
            )
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return pathlib.Path(os.path.abspath(folder))


def _buffers(episodes, name, start):
    from minari.data_collector import EpisodeBuffer

    steps = episodes.actions.shape[1]
    with progress(len(episodes), name, "episodes") as wrote:
        for frames, actions in zip(episodes.observations, episodes.actions, strict=True):
            yield EpisodeBuffer(
                observations=frames,
                actions=actions + start,
                rewards=np.zeros(steps),
                terminations=np.zeros(steps, bool),
                truncations=np.arange(steps) == steps - 1,
            )
            wrote(1)
