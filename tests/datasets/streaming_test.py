"""Episodes that are streamed from disk: the same transitions as in memory, in a known order."""

import pathlib
import subprocess
import sys
import threading

import gymnasium
import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sen_tf.datasets import (
    DatasetError,
    EpisodeBlock,
    EpisodeStream,
    Subset,
    members,
    open_episodes,
    read_episodes,
    shard_paths,
    transitions,
    write_episodes,
)

STEPS = 4
EPISODES = 30  # in blocks of two
EPISODE_BYTES = (STEPS + 1) * 8
MEMORY = 12 * EPISODE_BYTES


def make(first, count, steps=STEPS, continuous=False):
    """Frames that hold the number of their transition, which is its action, too."""
    number = steps * np.arange(first, first + count)[:, None] + np.arange(steps + 1)
    frames = np.stack([number % 256, number // 256], axis=-1).astype(np.uint8)
    frames = np.broadcast_to(frames[:, :, None, None], (count, steps + 1, 2, 2, 2))
    actions = number[:, :-1]
    if continuous:
        actions = np.stack([actions, -actions], axis=-1).astype(np.float32) / 2
    return EpisodeBlock(frames, actions, {})


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Writes episodes to so many shards; returns the pattern of their names."""

    def write_shards(shards=1, episodes=EPISODES, **how):
        steps = how.get("steps", STEPS)
        monkeypatch.setattr("sen_tf.datasets.store.CHUNK_FRAMES", 2 * (steps + 1))
        for number, path in enumerate(shard_paths(tmp_path / "set.h5", shards)):
            start, stop = (k * episodes // shards for k in (number, number + 1))
            about = {"env": "board", "split": "train", "seed": 0, "group": "C4"}
            settings = {"shard": number, "shards": shards}
            block = make(start, stop - start, **how)
            write_episodes(path, [block], episodes=stop - start, settings=settings, **about)
        return tmp_path / "set-*.h5"

    return write_shards


def open_stream(path, memory=MEMORY, check=lambda episodes: None, **how):
    stream = open_episodes(path, "board", check, memory, **how)
    assert isinstance(stream, EpisodeStream)
    return stream


def actions_of(dataset, elements):
    return [batch["action"] for batch in dataset.take(elements).as_numpy_iterator()]


@pytest.fixture
def reads(monkeypatch):
    """The blocks and the arrays of frames of each window that is read."""
    noted, read = [], EpisodeStream.read

    def note(self, blocks, room=0):
        frames, actions = read(self, blocks, room)
        noted.append((blocks, frames[room:]))
        return frames, actions

    monkeypatch.setattr(EpisodeStream, "read", note)
    return noted


@pytest.mark.parametrize("shards", [1, 4])
@pytest.mark.parametrize("continuous", [False, True])
def test_elements_are_those_of_a_set_in_memory(write, shards, continuous):
    path = write(shards, continuous=continuous)
    streamed, steps = open_stream(path).transitions(8, seed=0)
    held, steps_held = transitions(read_episodes(path), 8, seed=0)
    assert streamed.element_spec == held.element_spec and steps == steps_held == 15
    epochs = []
    for dataset in (streamed, held):
        batches = list(dataset.take(2 * steps).as_numpy_iterator())
        for batch in batches:
            numbers = np.abs(batch["action"]).reshape(8, -1)[:, 0] * (2 if continuous else 1)
            for name, ahead in (("obs", 0), ("next_obs", 1)):
                low, high = batch[name][:, 0, 0].T.astype(int)
                np.testing.assert_array_equal(256 * high + low, numbers + ahead)
        actions = np.concatenate([batch["action"] for batch in batches])
        epochs.append([np.sort(part, axis=0) for part in np.split(actions, 2)])
    for streamed, held in zip(*epochs, strict=True):
        np.testing.assert_array_equal(streamed, held)  # 120 transitions, each once


def test_what_fills_no_batch_of_an_epoch_is_left_out(write):
    dataset, steps = open_stream(write()).transitions(50, seed=0)
    first, second = np.split(np.concatenate(actions_of(dataset, 2 * steps)), 2)
    assert steps == 2
    assert len(set(first)) == len(set(second)) == 100 and set(first) != set(second)


def test_the_order_is_of_seed_and_epoch(write):
    stream = open_stream(write(3))
    (dataset, steps), (other, _) = (stream.transitions(8, seed) for seed in (0, 1))
    runs = [np.stack(actions_of(each, 2 * steps)) for each in (dataset, dataset, other)]
    np.testing.assert_array_equal(runs[0], runs[1])
    assert (runs[0] != runs[2]).any()
    first, second = np.split(runs[0], 2)
    assert (first != second).any()
    in_order, _ = stream.transitions(8, seed=0, shuffle=False)
    np.testing.assert_array_equal(np.concatenate(actions_of(in_order, steps)), np.arange(120))


@pytest.mark.parametrize("pairs", [False, True])
@pytest.mark.parametrize("steps", [4, 3])
def test_resuming_anywhere_gives_the_rest_of_the_same_order(write, reads, pairs, steps):
    stream = open_stream(write(2, steps=steps))
    how = {"batch_size": 8, "seed": 7, "pairs": pairs, "stop_epoch": 2}
    dataset, per_epoch = stream.transitions(**how)
    whole = actions_of(dataset, -1)
    assert len(whole) == 2 * per_epoch
    read_in_all = len(reads)
    for begun in (1, 5, per_epoch, per_epoch + 4, 2 * per_epoch - 1):
        reads.clear()
        epoch, step = divmod(begun, per_epoch)
        rest, _ = stream.transitions(start_epoch=epoch, start_step=step, **how)
        np.testing.assert_array_equal(actions_of(rest, -1), whole[begun:])
        passed = read_in_all * begun / (2 * per_epoch)
        assert len(reads) <= read_in_all - passed + 2  # what is left, and parts at both ends


def test_windows_keep_to_the_memory_and_the_next_one_is_read_ahead(write, reads):
    for memory in (8, 9, 12, 20, 29):
        reads.clear()
        stream = open_stream(write(), memory * EPISODE_BYTES)
        dataset, steps = stream.transitions(8, seed=0)
        batches = iter(dataset)
        next(batches)
        while len(reads) < 2:  # the second one is read without being asked for
            threading.Event().wait(0.01)
        for _ in range(steps - 1):
            next(batches)
        sizes = [frames.nbytes for _, frames in reads]
        assert max(sizes) <= memory * EPISODE_BYTES / 2


@given(
    sizes=st.lists(st.integers(1, 3), min_size=1, max_size=40),
    room=st.integers(12, 100),
    epoch=st.integers(0, 5),
)
def test_windows_hold_every_block_once_and_fit(sizes, room, epoch):
    ends = np.cumsum(sizes)
    blocks = np.stack([np.zeros_like(ends), ends - sizes, ends], axis=1)
    files = type("Files", (), {"shape": (STEPS + 1, 2, 2, 2), "action_shape": (STEPS,)})
    stream = EpisodeStream(files, blocks, room * EPISODE_BYTES, None, np.zeros(1, int))
    windows = stream.windows(3, epoch)
    np.testing.assert_array_equal(np.sort(np.concatenate(windows)[:, 1]), blocks[:, 1])
    assert all((window[:, 2] - window[:, 1]).sum() <= room // 2 for window in windows)
    assert len(windows) == len(stream.windows(4, epoch + 1))


def test_pairs_are_of_one_episode(write):
    stream = open_stream(write())
    for dataset in (stream.transitions(8, 0, pairs=True), stream.transitions(8, 1, pairs=True)):
        order = np.concatenate(actions_of(dataset[0], 15))
        np.testing.assert_array_equal(np.sort(order), np.arange(120))
        episodes = order.reshape(-1, 2) // STEPS
        np.testing.assert_array_equal(episodes[:, 0], episodes[:, 1])
        assert (np.diff(episodes[:, 0]) != 0).any()


def test_pairs_of_odd_episodes_lose_no_transition(write):
    dataset, steps = open_stream(write(steps=3)).transitions(6, seed=0, pairs=True)
    assert steps == 15
    order = np.concatenate(actions_of(dataset, steps))
    np.testing.assert_array_equal(np.sort(order), np.arange(90))
    episodes = order.reshape(-1, 2) // 3
    assert (episodes[:, 0] == episodes[:, 1]).mean() > 0.6  # of three, two can be a pair


def test_shares_are_cuts_of_the_batch(write):
    stream = open_stream(write())
    whole, shares = (stream.transitions(12, 0, pairs=True, shares=n)[0] for n in (1, 3))
    cut = np.reshape(actions_of(shares, 30), (10, 12))
    np.testing.assert_array_equal(cut, actions_of(whole, 10))


@pytest.mark.parametrize("shards", [1, 3, 5])
def test_two_workers_read_disjoint_parts(write, reads, shards):
    """Of files, where there are as many as workers; else of blocks."""
    stream = open_stream(write(shards), workers=2)
    parts, files = [], []
    for own in (slice(0, 2), slice(2, 4)):
        reads.clear()
        dataset, steps = stream.transitions(8, seed=0, shares=4, own=own, stop_epoch=1)
        shares = actions_of(dataset, -1)
        assert steps == stream.steps_per_epoch(8) and len(shares) == 2 * steps
        assert all(len(share) == 2 for share in shares)
        parts.append(set(np.concatenate(shares)))
        files.append({file for blocks, _ in reads for file in blocks[:, 0]})
    assert not parts[0] & parts[1]
    if shards > 1:
        assert not files[0] & files[1] and files[0] | files[1] == set(range(shards))
    counts = [4 * len(part) for part in parts]
    assert len(parts[0]) == len(parts[1]) == 4 * steps, counts


def test_workers_together_read_everything(write):
    stream = open_stream(write(4, episodes=32), workers=2)
    parts = [
        actions_of(stream.transitions(8, 0, shares=2, own=own, stop_epoch=1)[0], -1)
        for own in (slice(0, 1), slice(1, 2))
    ]
    np.testing.assert_array_equal(np.sort(np.ravel(parts)), np.arange(128))
    with pytest.raises(ValueError, match="`own` to be one of 2 equal parts of 2 shares"):
        stream.transitions(8, 0, shares=2)


def test_split_holds_out_whole_blocks(write, tmp_path):
    stream = open_stream(write(2, episodes=32), memory=2 * MEMORY)
    training, validation = stream.split(0.2, seed=0)
    assert (len(training), len(validation)) == (26, 6)
    assert training.memory + validation.memory == stream.memory
    seen, held_out = (
        np.concatenate(actions_of(part.transitions(8, 0, shuffle=False, stop_epoch=1)[0], -1))
        for part in (training, validation)
    )
    np.testing.assert_array_equal(np.sort(np.r_[seen, held_out]), np.arange(128))
    np.testing.assert_array_equal(held_out, np.sort(held_out))  # in the order of the files
    assert (np.unique(held_out // STEPS // 2, return_counts=True)[1] == 2 * STEPS).all()
    assert not np.array_equal(validation.blocks, stream.split(0.2, seed=1)[1].blocks)
    least = stream.split(0.001, seed=0)[1]
    assert len(least) == 2 and least.memory == 8 * EPISODE_BYTES
    shared = open_stream(tmp_path / "set-*.h5", memory=2 * MEMORY, workers=3).split(0.001, seed=0)
    assert [part.count for part in shared] == [13 // 3 * 3 * 2 * STEPS, 3 * 2 * STEPS]


def test_damage_is_named_and_stops_the_pipeline(write, tmp_path):
    path = write(3)
    shard = sorted(tmp_path.glob("set-*"))[1]
    with h5py.File(shard, "a") as file:
        file["actions"][5] += 1
    stream = open_stream(path)
    dataset, steps = stream.transitions(8, seed=0)
    with pytest.raises(Exception, match="does not match its checksum"):
        list(dataset.take(steps))
    (failure,) = stream.failures
    assert isinstance(failure, DatasetError)
    message = rf"^Cannot use {shard}: block 2 of / \(episodes 4..5\) does not match its checksum\."
    with pytest.raises(DatasetError, match=message):
        raise failure


def test_a_file_that_was_replaced_is_not_read_on(write, tmp_path):
    stream = open_stream(write())
    write(episodes=28)
    with pytest.raises(DatasetError, match="set-00000-of-00001.h5: it was replaced while"):
        stream.read(stream.blocks[:1])


def test_no_more_is_read_than_there_is_memory_for(write, monkeypatch):
    stream = open_stream(write())
    monkeypatch.setattr(members, "SMALL", 0)
    monkeypatch.setattr(members, "available_memory", lambda: 100)
    with pytest.raises(DatasetError, match="GiB, and 0.0 GiB of memory are free"):
        stream.read(stream.blocks)


def test_every_block_is_checked(write):
    def check(episodes):
        if (episodes.actions >= 100).any():
            raise DatasetError("Cannot use it: its actions are too large.")

    stream = open_stream(write(), check=check)
    stream.read(stream.blocks[:12])
    with pytest.raises(DatasetError, match="too large"):
        stream.read(stream.blocks[12:13])


def test_numbers_that_are_whole_in_some_blocks_only(tmp_path):
    """Of published files, whose actions are floats: the first block says of which kind they are."""
    for half, message in ((9, "whole numbers, but not those from episode 9 on"), (None, None)):
        with h5py.File(tmp_path / "a.h5", "w") as file:
            frames = make(0, 10).observations / np.float32(255)
            frames = np.moveaxis(frames, -1, -3)
            file["obs"], file["next_obs"] = frames[:, :-1], frames[:, 1:]
            file["action"] = make(0, 10).actions.astype(np.float32)
            if half:
                file["action"][half, 1] += 0.5
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("sen_tf.datasets.foreign.READ_BYTES", 1)  # an episode in a block
            stream = open_stream(tmp_path / "a.h5", memory=5 * EPISODE_BYTES)
            if message:
                with pytest.raises(DatasetError, match=message):
                    stream.read(stream.blocks)
                continue
            dataset, steps = stream.transitions(8, seed=0)
            found = np.concatenate(actions_of(dataset, steps))
            np.testing.assert_array_equal(np.sort(found), np.arange(40))


def test_episodes_are_streamed_where_they_do_not_fit(write, capsys):
    path, size = write(3), EPISODES * EPISODE_BYTES
    for memory in (None, size):
        assert isinstance(open_episodes(path, None, lambda episodes: None, memory), Subset)
    assert capsys.readouterr().out == ""
    stream = open_stream(path, memory=size - 1)
    assert capsys.readouterr().out == (
        "streaming 1.12e-06 GiB of frames from 3 files, 1.12e-06 GiB of them in memory at a time\n"
    )
    assert (len(stream), stream.env, stream.attrs["seed"]) == (EPISODES, "board", 0)
    with pytest.raises(ValueError, match="`memory` to be at least 2.98e-07 GiB, for 4 blocks of"):
        open_stream(path, memory=7 * EPISODE_BYTES)
    with pytest.raises(ValueError, match="for 8 blocks of up to 2 episodes; received memory="):
        stream = open_stream(path, memory=15 * EPISODE_BYTES).split(0.1, 0)
    with pytest.raises(ValueError, match="`batch_size` to be at most the number of transitions"):
        stream.steps_per_epoch(121)


def test_frames_of_some_blocks(write, reads):
    stream = open_stream(write())
    frames = stream.frames(7 * EPISODE_BYTES, seed=0)
    assert frames.shape == (6 * (STEPS + 1), 2, 2, 2) and len(reads) == 1
    numbers = frames[:, 0, 0, 0].reshape(6, -1) - np.arange(STEPS + 1)
    assert len(np.unique(numbers)) == 6 and (numbers == numbers[:, :1]).all()
    assert not np.array_equal(frames, stream.frames(7 * EPISODE_BYTES, seed=1))
    assert len(stream.frames(10**6, seed=0)) == EPISODES * (STEPS + 1)


def test_a_minari_dataset(write, tmp_path, monkeypatch):
    minari = pytest.importorskip("minari")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    monkeypatch.setattr("sen_tf.datasets.minari_format.READ_EPISODES", 2)
    episodes = make(0, 10)
    minari.create_dataset_from_buffers(
        "board/one-v0",
        [
            minari.data_collector.EpisodeBuffer(
                observations=episodes.observations[k],
                actions=episodes.actions[k],
                rewards=np.zeros(STEPS),
                terminations=np.zeros(STEPS, bool),
                truncations=np.arange(STEPS) == STEPS - 1,
            )
            for k in range(10)
        ],
        observation_space=gymnasium.spaces.Box(0, 255, (2, 2, 2), np.uint8),
        action_space=gymnasium.spaces.Discrete(40),
    )
    stream = open_stream("minari:board/one-v0", memory=8 * EPISODE_BYTES)
    dataset, steps = stream.transitions(8, seed=0)
    np.testing.assert_array_equal(np.sort(np.ravel(actions_of(dataset, steps))), np.arange(40))


# Reads slowly, so that the end of the process comes while a window is read.
PROGRAM = """
import sys, time
from sen_tf.datasets import open_episodes
from sen_tf.datasets.reading import Files
read = Files.reopened
Files.reopened = lambda *arguments: time.sleep(0.2) or read(*arguments)
stream = open_episodes(sys.argv[1], "board", lambda episodes: None, int(sys.argv[2]))
batches = iter(stream.transitions(4, seed=0)[0])
for _ in range(int(sys.argv[3])):
    next(batches)
"""


@pytest.mark.parametrize("steps", [1, 4])
def test_a_process_ends_while_a_window_is_read(write, steps):
    root = pathlib.Path(__file__).parents[2]
    command = [sys.executable, "-c", PROGRAM, write(), str(MEMORY), str(steps)]
    done = subprocess.run(command, timeout=120, cwd=root, capture_output=True, text=True)
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr[-2000:]


def test_no_file_stays_open(write, tmp_path):
    def open_files():
        links = pathlib.Path("/proc/self/fd").iterdir()
        return [link for link in links if str(tmp_path) in str(link.resolve())]

    dataset, steps = open_stream(write(3)).transitions(4, seed=0)
    batches = iter(dataset)
    next(batches)
    del batches  # which waits for what is being read
    assert not open_files()
