"""Damage to a file of episodes is found: either an error that names it, or the same episodes."""

import collections
import os
import pathlib

import h5py
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sen_tf.datasets import (
    DatasetError,
    EpisodeBlock,
    Twin,
    read_episodes,
    verify_episodes,
    write_episodes,
)
from sen_tf.datasets.integrity import BlockChecksums

PACKAGE = pathlib.Path(__file__).parents[2] / "sen_tf"
ABOUT = {"env": "cubes", "split": "evaluation", "seed": 1, "group": "C4", "settings": {"steps": 3}}


def part(rng):
    frames = rng.integers(0, 256, (6, 4, 2, 2, 3), np.uint8)
    return frames, rng.normal(size=(6, 3, 2)).astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("integrity")


@pytest.fixture(scope="module")
def whole(folder):
    """A file of six episodes with a twin."""
    rng = np.random.default_rng(0)
    block = EpisodeBlock(*part(rng), {1: Twin(*part(rng), np.eye(3))})
    path = folder / "whole.h5"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sen_tf.datasets.store.CHUNK_FRAMES", 8)  # two episodes in a block
        write_episodes(path, [block], episodes=6, show_progress=False, **ABOUT)
    return path


@pytest.fixture(scope="module")
def content(whole):
    return whole.read_bytes()


def everything(path):
    """All that can be read of a file, comparable."""
    parts = [read_episodes(path, "cubes", twin=twin) for twin in (None, 1)]
    arrays = [array.tobytes() for each in parts for array in (each.observations, each.actions)]
    first = parts[0]
    elements = {number: np.asarray(g).tolist() for number, g in first.twins.items()}
    return arrays, elements, first.attrs, first.steps, first.env, first.observations.shape


@pytest.fixture(scope="module")
def expected(whole):
    return everything(whole)


def outcome(folder, content, expected):
    """Reads a damaged file: it must raise a `DatasetError` that names it, or change nothing."""
    path = folder / "damaged.h5"
    path.write_bytes(content)
    try:
        came = everything(path)
    except DatasetError as error:
        assert str(path) in str(error)
        return "error"
    assert came == expected
    return "harmless"


def overwrite(content, place, bytes_):
    return (content[:place] + bytes_ + content[place + len(bytes_) :])[: len(content)]


def flip(content, place, change):
    return overwrite(content, place, bytes([content[place] ^ change]))


# A million stands for every place; it is taken modulo the length.
@given(
    kind=st.sampled_from(["flip", "cut", "overwrite"]),
    place=st.integers(0, 10**6),
    change=st.integers(1, 255),
    bytes_=st.binary(min_size=1, max_size=64),
)
@example(kind="flip", place=8, change=3, bytes_=b"")  # the superblock's version
def test_damage_is_found_or_harmless(folder, content, expected, kind, place, change, bytes_):
    place %= len(content)
    if kind == "cut":
        assert outcome(folder, content[:place], expected) == "error"
    elif kind == "flip":
        outcome(folder, flip(content, place, change), expected)
    else:
        outcome(folder, overwrite(content, place, bytes_), expected)


@pytest.mark.slow
def test_damage_at_every_byte(folder, content, expected):
    changes = np.random.default_rng(0).integers(1, 256, len(content))
    count = collections.Counter(
        outcome(folder, flip(content, place, int(change)), expected)
        for place, change in enumerate(changes)
    )
    print(dict(count))
    assert count["error"] > 0.5 * len(content)


def test_checksums_do_not_depend_on_how_episodes_arrive():
    frames, actions = part(np.random.default_rng(0))
    at_once, singly = BlockChecksums(4), BlockChecksums(4)
    at_once.add(frames, actions)
    for k in range(6):
        singly.add(frames[k : k + 1], actions[k : k + 1])
    values = at_once.values()
    assert values.shape == (2, 32) and values.dtype == np.uint8
    np.testing.assert_array_equal(values, singly.values())


def test_blocks_that_changed_places(folder, content):
    """HDF5's own checksums are right, as each chunk carries its own."""
    path = folder / "swapped.h5"
    path.write_bytes(content)
    with h5py.File(path, "a") as file:
        first, second = file["observations"][:2], file["observations"][2:4]
        file["observations"][:2], file["observations"][2:4] = second, first
    with pytest.raises(DatasetError, match=r"block 0 of / .episodes 0..1. does not match"):
        read_episodes(path)
    with pytest.raises(DatasetError, match=r"block 0 .*; block 1 of / .episodes 2..3."):
        verify_episodes(path)


def test_what_is_read_is_checked_and_no_more(folder, content):
    path = folder / "late.h5"
    path.write_bytes(content)
    with h5py.File(path, "a") as file:
        file["twins/1/actions"][5] += 1
    assert len(read_episodes(path)) == 6
    assert len(read_episodes(path, twin=1, episodes=4)) == 4
    for read in (lambda: read_episodes(path, twin=1), lambda: verify_episodes(path)):
        with pytest.raises(DatasetError, match=r"block 2 of /twins/1 .episodes 4..5."):
            read()


def test_verify_says_what_is_there(whole):
    assert verify_episodes(whole) == "6 episodes of cubes, 1 twins of each, checksums right"


def test_episodes_of_another_version_of_the_environment(folder, monkeypatch):
    from sen_tf import envs

    block = EpisodeBlock(*part(np.random.default_rng(0)), {})
    about = ABOUT | {"settings": {"episodes": 6, "steps": 3, "actions": ["up", "left"]}}
    write_episodes(folder / "old.h5", [block], episodes=6, **about)
    monkeypatch.setattr(envs.ENVS["cubes"], "version", 2)
    with pytest.raises(DatasetError, match="version 1 of 'cubes', which is now 2") as caught:
        read_episodes(folder / "old.h5", env="cubes")
    command = "--env=cubes --split=evaluation --seed=1 --episodes=6 --steps=3 --actions=up,left"
    assert f"python -m sen_tf.generate {command} --output={folder / 'old.h5'}" in str(caught.value)


def as_version_1(path):
    """Makes of a file what the first version of the format was, attributes included."""
    with h5py.File(path, "a") as file:
        for name in ("", "twins/1/"):
            del file[f"{name}checksums"]
        for name in ("checksum", "env_version"):
            del file.attrs[name]
        texts = {name: file.attrs[name].decode() for name in ("format", "env", "split", "settings")}
        file.attrs.update(texts | {"format_version": 1})


def test_files_of_version_1_are_read(folder, whole, content):
    path = folder / "first.h5"
    path.write_bytes(content)
    as_version_1(path)
    first, second = (read_episodes(each, "cubes") for each in (path, whole))
    np.testing.assert_array_equal(first.observations, second.observations)
    np.testing.assert_array_equal(first.actions, second.actions)
    assert first.attrs["settings"] == {"steps": 3} and list(first.twins) == [1]
    assert verify_episodes(path).endswith("no checksums to compare")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_actions_that_are_not_finite(folder, value):
    frames, actions = part(np.random.default_rng(0))
    actions[4, 1, 0] = value
    path = folder / "unbounded.h5"
    write_episodes(path, [EpisodeBlock(frames, actions, {})], episodes=6, **ABOUT)
    for read in (read_episodes, verify_episodes):
        with pytest.raises(DatasetError, match="not finite in 1 episodes, the first of which is 4"):
            read(path)


def test_nothing_that_is_read_is_run():
    """No module of the package unpickles or evaluates anything."""
    banned = ("pickle", "eval(", "exec(", "yaml", "marshal", "shelve")
    found = [
        f"{path.relative_to(PACKAGE)}: {word}"
        for path in PACKAGE.rglob("*.py")
        for word in banned
        if word in path.read_text(encoding="utf-8").replace("allow_pickle=False", "")
    ]
    assert not found, found


def test_a_killed_writer_leaves_no_file(folder):
    """The temporary file has no name that is read: neither the file's own nor a pattern's."""
    names = []

    def blocks():
        names.extend(os.listdir(folder))
        yield EpisodeBlock(*part(np.random.default_rng(0)), {})

    write_episodes(folder / "new.h5", blocks(), episodes=6, **ABOUT)
    (temporary,) = [name for name in names if "new.h5" in name]
    assert temporary.startswith(".") and str(os.getpid()) in temporary
