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

_SHARD = re.compile(r"-\d{5}-of-\d{5}(?=\.[^./]*$)")
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
    if not glob.has_magic(str(path)) or os.path.exists(path):
        return [path]
    found = sorted(glob.glob(str(path)))
    if not found:
        raise DatasetError(f"Cannot use {path}: no file has such a name.")
    return found


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
    and would be lost.
    """
    if str(path).startswith("minari:"):
        return ""
    settings = attrs.get("settings")
    generated = isinstance(settings, dict) and "sha256" not in settings  # not saved from memory
    ours = generated and env in (None, attrs.get("env"))
    if os.path.lexists(path) and not ours:
        return ""
    flags: dict[str, Any] = {"env": env or "ENV"}
    if ours:
        flags = {"env": attrs.get("env"), "split": attrs.get("split"), "seed": attrs.get("seed")}
        flags |= settings
        flags.pop("shard", None)
    flags["output"] = _SHARD.sub("", str(path))
    words = [
        shlex.quote(f"--{name}={','.join(map(str, value)) if isinstance(value, list) else value}")
        for name, value in flags.items()
        if value not in (None, [], "")
    ]
    words += ["--overwrite"] * ours
    return f" Make a right one with: python -m sen_tf.generate {' '.join(words)}"
