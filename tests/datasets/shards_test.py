"""Shards of one dataset: the same episodes as in one file, and none missing, twice or foreign."""

import concurrent.futures
import shlex

import h5py
import numpy as np
import pytest

from sen_tf import generate
from sen_tf.datasets import (
    RUNNERS,
    DatasetError,
    collect,
    open_episodes,
    read_actions,
    read_episodes,
    shard_paths,
    write_episodes,
)


class Moves:
    def sample(self, shape, seed):
        return np.random.default_rng(seed).integers(0, 4, shape)


EPISODES = 150  # of blocks of 64


def write(path, board, start=0, stop=EPISODES, twins=False, **changes):
    count = stop - start
    blocks = collect(
        board, Moves(), episodes=count, steps=2, seed=7, twins=twins, first_episode=start
    )
    about = {"env": "board", "split": "train", "seed": 7, "group": "C4", "settings": {"steps": 2}}
    about |= changes
    write_episodes(path, blocks, episodes=count, show_progress=False, overwrite=True, **about)


def write_shards(folder, board, count, **arguments):
    paths = shard_paths(folder / "set.h5", count)
    for shard, path in enumerate(paths):
        limits = [number * EPISODES // count for number in (shard, shard + 1)]
        settings = {"steps": 2, "shard": shard, "shards": count}
        write(path, board, *limits, settings=settings, **arguments)
    return paths


def test_names(tmp_path):
    names = [path.name for path in shard_paths(tmp_path / "set.h5", 12)]
    assert names[0] == "set-00000-of-00012.h5" and names[11] == "set-00011-of-00012.h5"
    assert names == sorted(names)


@pytest.mark.parametrize("count", [1, 2, 7])
def test_shards_hold_what_one_file_would(tmp_path, board, count):
    write(tmp_path / "one.h5", board, twins=True)
    write_shards(tmp_path, board, count, twins=True)
    for arguments in ({}, {"twin": 2}, {"steps": (0, 2), "episodes": 100}, {"episodes": 3}):
        one = read_episodes(tmp_path / "one.h5", "board", **arguments)
        many = read_episodes(tmp_path / "set-*.h5", "board", **arguments)
        np.testing.assert_array_equal(many.observations, one.observations)
        np.testing.assert_array_equal(many.actions, one.actions)
        assert many.twins == one.twins and many.steps == one.steps


def test_a_shard_made_again_holds_the_same(tmp_path, board):
    """Its checksum is of all that it holds; HDF5 notes the time as well."""
    paths = write_shards(tmp_path, board, 3)
    checksums = []
    for _ in range(2):
        with h5py.File(paths[1], "r") as file:
            checksums.append(file.attrs["checksum"])
        write_shards(tmp_path, board, 3)
    assert checksums[0] == checksums[1] and len(checksums[0]) >= 32


def expect(path, message):
    with pytest.raises(DatasetError, match=message):
        read_episodes(path)


def test_one_shard_alone_is_read(tmp_path, board):
    assert len(read_episodes(write_shards(tmp_path, board, 3)[1])) == 50


def test_a_missing_shard(tmp_path, board):
    write_shards(tmp_path, board, 4)[2].unlink()
    expect(tmp_path / "set-*.h5", "of 4 shards it lacks number 2.*--shards=4")


def test_a_pattern_takes_the_shards_out_of_the_files_that_it_matches(tmp_path, board):
    """What a run is scored on is written beside them, and the next run uses the same pattern."""
    paths = write_shards(tmp_path, board, 2)
    before = read_episodes(tmp_path / "set-*.h5")
    write(tmp_path / "set-evaluation-10x1-seed4.h5", board, 0, 10, split="evaluation")
    (tmp_path / "set-copy.h5").write_bytes(paths[0].read_bytes())
    after = read_episodes(tmp_path / "set-*.h5")
    np.testing.assert_array_equal(after.observations, before.observations)
    actions = read_actions(tmp_path / "set-*.h5")
    np.testing.assert_array_equal(actions, before.actions)
    assert len(open_episodes(tmp_path / "set-*.h5", "board", lambda _: None)) == EPISODES


def test_files_of_which_none_is_named_as_a_shard(tmp_path, board):
    for name in ("one.h5", "two.h5"):
        write(tmp_path / name, board)
    with pytest.raises(DatasetError, match="2 files, not all of which are shards.$"):
        read_episodes(tmp_path / "*.h5")


def test_shards_of_two_datasets(tmp_path, board):
    write_shards(tmp_path, board, 2)
    write_shards(tmp_path, board, 3)
    expect(
        tmp_path / "set-*.h5",
        r"2 sets of shards, .*/set-\*-of-00002.h5, .*/set-\*-of-00003.h5. Use the pattern of one",
    )
    assert len(read_episodes(tmp_path / "set-*-of-00003.h5")) == EPISODES
    write(shard_paths(tmp_path / "set.h5", 2)[0], board, seed=8)
    expect(tmp_path / "set-*-of-00002.h5", "2 files, not all of which are shards.$")


def test_shards_in_another_order_than_their_names(tmp_path, board):
    one, other = write_shards(tmp_path, board, 2)
    one.rename(tmp_path / "aside")
    other.rename(one)
    (tmp_path / "aside").rename(other)
    expect(tmp_path / "set-*.h5", r"its shards are \[1, 0\], in order of name")


def test_the_remedy_makes_what_a_pattern_lacks(tmp_path, monkeypatch):
    """The program does it, given the words of the error."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")  # as those set it that make shards
    monkeypatch.setitem(RUNNERS, "local", lambda make, tasks, *_: list(map(make, tasks)))
    words = ["--env=shapes", "--episodes=6", "--steps=2", "--shards=3"]
    generate.main([*words, f"--output={tmp_path}/set.h5"])
    paths = shard_paths(tmp_path / "set.h5", 3)
    whole = read_episodes(tmp_path / "set-*.h5")
    paths[1].unlink()
    with pytest.raises(DatasetError, match="lacks number 1") as caught:
        read_episodes(tmp_path / "set-*.h5", "shapes")
    _, command = str(caught.value).split("python -m sen_tf.generate ")
    generate.main(shlex.split(command))
    assert sorted(tmp_path.iterdir()) == paths
    again = read_episodes(tmp_path / "set-*.h5", "shapes")
    np.testing.assert_array_equal(again.observations, whole.observations)


def test_the_remedy_of_a_shard_that_is_not_there_makes_shards(tmp_path):
    with pytest.raises(DatasetError, match="no such file") as caught:
        read_episodes(tmp_path / "set-00001-of-00003.h5", "shapes")
    words = str(caught.value).split("sen_tf.generate ")[1]
    assert shlex.split(words) == ["--env=shapes", "--shards=3", f"--output={tmp_path}/set.h5"]


@pytest.mark.parametrize("name, value", [("seed", 8), ("split", "evaluation"), ("env", "other")])
def test_a_shard_of_another_dataset(tmp_path, board, name, value):
    paths = write_shards(tmp_path, board, 2)
    settings = {"steps": 2, "shard": 1, "shards": 2}
    write(paths[1], board, 75, settings=settings, **{name: value})
    expect(tmp_path / "set-*.h5", f"its files differ in {name}")


def test_a_damaged_shard_is_named(tmp_path, board):
    path = write_shards(tmp_path, board, 2)[1]
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(
        DatasetError, match=f"Cannot use {path}: it cannot be read as a whole"
    ) as caught:
        read_episodes(tmp_path / "set-*.h5", "board")
    assert "--output" not in str(caught.value)  # it may be anybody's


def test_patterns_that_match_no_file(tmp_path):
    expect(tmp_path / "set-*.h5", "no file has such a name")


def test_a_file_whose_name_looks_like_a_pattern(tmp_path, board):
    write(tmp_path / "set[1].h5", board)
    assert len(read_episodes(tmp_path / "set[1].h5")) == EPISODES


def test_readers_and_writers_at_a_time(tmp_path, board):
    """Files are replaced while others read them: each reader sees one whole file."""
    path = tmp_path / "one.h5"
    write(path, board)
    expected = read_episodes(path)

    def read(_):
        return read_episodes(path)

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        reads = [pool.submit(read, k) for k in range(24)]
        for _ in range(4):
            write(path, board)
        for each in concurrent.futures.as_completed(reads):
            np.testing.assert_array_equal(each.result().observations, expected.observations)
    assert [each.name for each in tmp_path.iterdir()] == ["one.h5"]
