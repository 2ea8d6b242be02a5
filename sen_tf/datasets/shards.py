"""Shards: files that hold one dataset together, each reproducible on its own.

Shard k of N of a file `cubes.h5` is `cubes-0000k-of-0000N.h5`, and holds the episodes from
k E // N on, of E, exactly as `cubes.h5` would.
"""

import glob
import os
import pathlib
import re
import shlex
from typing import Any

from sen_tf.datasets.members import DatasetError, Problem
from sen_tf.envs import PLACES

_SHARD = re.compile(r"-\d{5}-of-(\d{5})(?=\.[^./]*$)")
# What shards of one dataset have in common, besides their settings.
COMMON = ("env", "env_version", "split", "seed", "group")


def shard_paths(path: str | pathlib.Path, count: int) -> list[pathlib.Path]:
    """The files of `count` shards of a dataset that would otherwise be the file `path`."""
    path = pathlib.Path(path)
    return [
        path.with_name(f"{path.stem}-{number:05}-of-{count:05}{path.suffix}")
        for number in range(count)
    ]


def matching_files(path: str | pathlib.Path) -> list:
    """The files that a name or a pattern such as "cubes-*.h5" stands for, in order of name.

    Raises:
        DatasetError: a pattern matches none.
    """
    if not _is_pattern(path):
        return [path]
    found = sorted(glob.glob(str(path)))
    if not found:
        raise DatasetError(f"Cannot use {path}: no file has such a name.")
    return found


def _is_pattern(path):
    return glob.has_magic(str(path)) and not os.path.exists(path)


def dataset_files(path: str | pathlib.Path) -> list:
    """The files of the one dataset that a name or a pattern stands for, in order of name.

    They are the files that are named as shards, if there are some, whatever else a pattern matches:
    what a run is scored on may lie beside them.

    Raises:
        DatasetError: as `matching_files`, or the names are those of several sets of shards.
    """
    found = matching_files(path)
    named = [each for each in found if _SHARD.search(str(each))]
    sets = sorted({_SHARD.sub(r"-*-of-\1", str(each)) for each in named})
    if len(sets) > 1:
        raise DatasetError(
            f"Cannot use {path}: it matches {len(sets)} sets of shards, {', '.join(sets)}. Use the "
            "pattern of one."
        )
    return named or found


def check(attrs: list[dict]) -> None:
    """Raises a `Problem` unless files of these attributes, in order, are the shards of a dataset.

    A single file that is no shard is one, too.
    """
    settings = [dict(each.get("settings", {})) for each in attrs]
    numbers = [each.pop("shard", None) for each in settings]
    if numbers == [None]:
        return
    if None in numbers:
        raise Problem(f"it matches {len(attrs)} files, not all of which are shards")
    for name in COMMON:
        values = sorted({str(each.get(name)) for each in attrs})
        if len(values) > 1:
            raise Problem(f"its files differ in {name}: {', '.join(values)}")
    for name in sorted({name for each in settings for name in each}):
        values = sorted({str(each.get(name)) for each in settings})
        if len(values) > 1:
            raise Problem(f"its files differ in {name}: {', '.join(values)}")
    expected = list(range(settings[0]["shards"]))
    missing = sorted(set(expected) - set(numbers))
    if missing:
        raise Problem(f"of {len(expected)} shards it lacks number {', '.join(map(str, missing))}")
    if numbers != expected:
        raise Problem(f"its shards are {numbers}, in order of name; expected each once, in order")


def remedy(path: str | pathlib.Path, env: str | None, attrs: dict) -> str:
    """A sentence with the command that makes a file anew, as far as its attributes say how.

    Only a file that is not there, or says that it is ours, is made by it: another one is somebody's
    and would be lost. Of the files of a pattern only shards are made by one command.
    """
    if str(path).startswith("minari:"):
        return ""
    settings = attrs.get("settings")
    if _is_pattern(path):
        if not (isinstance(settings, dict) and "shards" in settings):
            return ""
        path = dataset_files(path)[0]
    generated = isinstance(settings, dict) and "sha256" not in settings  # not saved from memory
    ours = generated and env in (None, attrs.get("env"))
    if os.path.lexists(path) and not ours:
        return ""
    flags: dict[str, Any] = {"env": env or "ENV"}
    if shard := _SHARD.search(str(path)):
        flags["shards"] = int(shard[1])
    if ours:
        flags = {"env": attrs.get("env"), "split": attrs.get("split"), "seed": attrs.get("seed")}
        flags |= settings
        flags.pop("shard", None)
    flags["env"] = PLACES.get(flags["env"], flags["env"])
    flags["output"] = _SHARD.sub("", str(path))
    words = [
        shlex.quote(f"--{name}={','.join(map(str, value)) if isinstance(value, list) else value}")
        for name, value in flags.items()
        if value not in (None, [], "")
    ]
    words += ["--overwrite"] * ours
    return f" Make a right one with: python -m sen_tf.generate {' '.join(words)}"
