"""Environments of which there are episodes alone: nothing can be simulated, facts can be stated."""

import pathlib
import re
from typing import Any

import gymnasium
import numpy as np

from sen_tf.datasets.members import DatasetError
from sen_tf.datasets.reading import read_actions, read_episodes
from sen_tf.envs import ENVS, own

RECORDED = "recorded"
"""The place, as of `--env_class`, of an environment that is known by a dataset alone."""


class Recorded:
    """An environment as a dataset tells it: of such images, with the actions that occur in it."""

    group = own.NOTHING_SPECIAL["group"]
    spaces: tuple[gymnasium.spaces.Space, gymnasium.spaces.Space]

    def __init__(self) -> None:
        self.observation_space, self.action_space = self.spaces


def recorded(
    dataset: str | pathlib.Path, facts: type[Any] | None = None, name: str | None = None
) -> type[Any]:
    """The class of an environment of which there is a dataset alone.

    Args:
        dataset: A path, pattern or name, as in `read_episodes`.
        facts: A class that states facts of it, such as its group; nothing special if None.
        name: Its name without facts; None for the one that the dataset or its file has.

    Raises:
        DatasetError: The dataset cannot be read.
    """
    first = read_episodes(dataset, episodes=1)
    image = gymnasium.spaces.Box(0, 255, first.observations.shape[2:], np.uint8)
    actions = read_actions(dataset)
    if actions.dtype.kind == "i" and actions.ndim == 2:
        space: gymnasium.spaces.Space = gymnasium.spaces.Discrete(int(actions.max()) + 1)
    else:
        if actions.ndim != 3:
            raise DatasetError(
                f"Cannot use {dataset}: its actions are numbers of shape {actions.shape}, where "
                "vectors (episodes, steps, size) are expected, or integers (episodes, steps)"
            )
        actions = actions.reshape(-1, *actions.shape[2:]).astype(np.float32)
        space = gymnasium.spaces.Box(actions.min(axis=0), actions.max(axis=0))
    stated = own.completed(facts or type("Facts", (), {}))
    name = stated.name if facts else name or _name(dataset, first.env)
    # Not that of the class: what was recorded is what it is.
    about = {"name": name, "version": first.attrs.get("env_version", 1), "spaces": (image, space)}
    return type(name, (stated, Recorded), about)


def _name(dataset, env):
    """A name that no other environment has: the one that the file says, or the file's."""
    stem = pathlib.Path(str(dataset).removeprefix("minari:")).stem
    name = re.sub(r"[^A-Za-z0-9]+", "_", env or stem).strip("_").lower() or RECORDED
    return f"{name}_{RECORDED}" if name in ENVS and not issubclass(ENVS[name], Recorded) else name
