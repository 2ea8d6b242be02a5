import dataclasses
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from sen_tf.datasets import (
    EpisodeBlock,
    Episodes,
    Subset,
    open_episodes,
    read_episodes,
    save_episodes,
    split,
    transitions,
    write_episodes,
)


def make(episodes=6, steps=4, continuous=False):
    """Frames that name their episode and time; action 10 * episode + time."""
    number = 10 * np.arange(episodes)[:, None] + np.arange(steps + 1)
    frames = np.broadcast_to(number[..., None, None, None], (episodes, steps + 1, 2, 2, 1))
    actions = np.repeat(number[:, :-1, None], 2, 2).astype(np.float32) / 2
    return Episodes(
        frames.astype(np.uint8),
        actions if continuous else number[:, :-1],
        {},
        "board",
        {},
        tuple(range(steps + 1)),
    )


def epochs(dataset, steps, count=1):
    iterator = iter(dataset.as_numpy_iterator())
    return [np.concatenate([next(iterator)["action"] for _ in range(steps)]) for _ in range(count)]


def test_batches_are_transitions():
    dataset, steps = transitions(make(), batch_size=5, seed=0)
    assert steps == 4
    for batch in dataset.take(2 * steps).as_numpy_iterator():
        assert batch["obs"].shape == batch["next_obs"].shape == (5, 2, 2, 1)
        assert batch["obs"].dtype == np.uint8 and batch["action"].dtype == np.int32
        np.testing.assert_array_equal(batch["obs"][:, 0, 0, 0], batch["action"])
        np.testing.assert_array_equal(batch["next_obs"][:, 0, 0, 0], batch["action"] + 1)
    assert dataset.element_spec["obs"].shape == (5, 2, 2, 1)


def test_each_epoch_holds_every_transition_once_in_an_order_of_its_own():
    data = make()
    first, second = epochs(*transitions(data, batch_size=4, seed=0), count=2)
    np.testing.assert_array_equal(np.sort(first), data.actions.ravel())
    np.testing.assert_array_equal(np.sort(second), data.actions.ravel())
    assert not np.array_equal(first, second)
    (again,) = epochs(*transitions(data, batch_size=4, seed=0))
    (other,) = epochs(*transitions(data, batch_size=4, seed=1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_pairs_are_of_one_episode():
    data = make()
    first, second = epochs(*transitions(data, batch_size=6, seed=0, pairs=True), count=2)
    for order in (first, second):
        np.testing.assert_array_equal(np.sort(order), data.actions.ravel())
        episodes = order.reshape(-1, 2) // 10
        np.testing.assert_array_equal(episodes[:, 0], episodes[:, 1])
        assert (np.diff(episodes[:, 0]) != 0).any()
    assert not np.array_equal(first, second)
    (order,) = epochs(*transitions(make(steps=3), batch_size=6, seed=0, pairs=True))
    np.testing.assert_array_equal(np.sort(order), make(steps=3).actions.ravel())


@pytest.mark.parametrize("pairs", [False, True])
def test_resuming_continues_the_same_order(pairs):
    data, how = make(), {"batch_size": 6, "seed": 7, "pairs": pairs}
    *_, third = epochs(*transitions(data, **how), count=3)
    (resumed,) = epochs(*transitions(data, start_epoch=2, **how))
    np.testing.assert_array_equal(third, resumed)


@pytest.mark.parametrize("steps", [4, 5])
def test_runs_are_steps_in_a_row_of_which_each_frame_comes_once(steps):
    data = make(steps=steps)
    dataset, count = transitions(data, batch_size=6, seed=0, run=2)
    assert count == Subset.of_all(data).steps_per_epoch(6, run=2) == 4
    begun = set()
    for epoch in range(4):
        seen = []
        for batch in dataset.skip(epoch * count).take(count).as_numpy_iterator():
            assert set(batch) == {"obs", "action"}
            assert batch["obs"].shape == (3, 3, 2, 2, 1) and batch["action"].shape == (3, 2)
            first = batch["action"][:, :1]
            np.testing.assert_array_equal(batch["action"], first + [0, 1])
            np.testing.assert_array_equal(batch["obs"][..., 0, 0, 0], first + [0, 1, 2])
            seen += batch["action"].ravel().tolist()
        assert len(set(seen)) == len(seen) == 24  # of 5 steps, one is left out
        begun.add(min(seen))
    assert begun == ({0} if steps == 4 else {0, 1})  # the first one, or the last one


def test_runs_in_order_resumed_and_in_shares():
    data, how = make(steps=5), {"batch_size": 12, "seed": 3, "run": 2}
    in_order, count = transitions(data, shuffle=False, **how)
    first = np.concatenate([batch["action"][:, 0] for batch in in_order.take(count)])
    np.testing.assert_array_equal(first, (10 * np.arange(6)[:, None] + [0, 2]).ravel())
    *_, third = epochs(*transitions(data, **how), count=3)
    np.testing.assert_array_equal(third, *epochs(*transitions(data, start_epoch=2, **how)))
    shares, _ = transitions(data, shares=3, **how)
    cut = np.concatenate([batch["action"] for batch in shares.take(6).as_numpy_iterator()])
    np.testing.assert_array_equal(cut, *epochs(*transitions(data, **how)))


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"run": 5}, r"`run` to be at least 1 and at most the 4 steps.*received run=5"),
        ({"run": 0}, r"`run` to be at least 1"),
        ({"run": 4}, r"a multiple of the run of 4 transitions; received batch_size=6"),
    ],
)
def test_runs_that_cannot_be_made_are_refused(how, message):
    with pytest.raises(ValueError, match=message):
        transitions(make(), batch_size=6, seed=0, **how)


def test_in_order_with_the_remainder():
    data = make()
    dataset, steps = transitions(data, batch_size=10, seed=0, shuffle=False, drop_remainder=False)
    assert steps == 3
    np.testing.assert_array_equal(*epochs(dataset, steps), data.actions.ravel())
    assert dataset.element_spec["obs"].shape[0] is None


def test_continuous_actions():
    dataset, _ = transitions(make(continuous=True), batch_size=3, seed=0)
    batch = next(iter(dataset.as_numpy_iterator()))
    assert batch["action"].shape == (3, 2) and batch["action"].dtype == np.float32
    np.testing.assert_array_equal(2 * batch["action"][:, 1], batch["obs"][:, 0, 0, 0])


def test_frames_from_a_file_are_not_copied(tmp_path):
    data = make()
    block = EpisodeBlock(data.observations, data.actions, {})
    settings = {"env": "board", "split": "train", "seed": 0, "group": "C4", "settings": {}}
    write_episodes(tmp_path / "a.h5", [block], episodes=len(data), **settings)
    read = read_episodes(tmp_path / "a.h5")
    dataset, _ = transitions(read, batch_size=3, seed=0)
    read.observations[:] = 99  # seen by the pipeline, for it has no frames of its own
    assert (next(iter(dataset.as_numpy_iterator()))["obs"] == 99).all()


@pytest.mark.parametrize("spoil", ["unaligned", "read only", "not contiguous"])
def test_frames_of_any_array(spoil):
    data = make()
    frames = data.observations
    if spoil == "unaligned":
        memory = np.empty(frames.size + 1, np.uint8)
        frames = memory[1:].reshape(frames.shape)
        frames[:] = data.observations
    elif spoil == "read only":
        frames.flags.writeable = False
    else:
        frames = np.asfortranarray(frames)
    spoiled = dataclasses.replace(data, observations=frames)
    dataset, _ = transitions(spoiled, batch_size=3, seed=0)
    batch = next(iter(dataset.as_numpy_iterator()))
    np.testing.assert_array_equal(batch["obs"][:, 0, 0, 0], batch["action"])


def test_a_process_ends_with_a_pipeline_still_prefetching():
    program = (
        "import numpy as np; from sen_tf.datasets import Episodes, transitions\n"
        "frames = np.zeros((50, 101, 50, 50, 3), np.uint8)\n"
        "data = Episodes(frames, np.zeros((50, 100), int), {}, None, {}, tuple(range(101)))\n"
        "next(iter(transitions(data, batch_size=256, seed=0)[0]))\n"
    )
    root = pathlib.Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120, cwd=root)


def test_split_by_episode_shares_the_frames():
    data = make(episodes=10)
    train, validation = split(data, 0.2, seed=0)
    assert len(train) == 8 and len(validation) == 2
    assert train.episodes is validation.episodes is data
    (seen,) = epochs(*transitions(train, batch_size=4, seed=0))
    (held_out,) = epochs(*transitions(validation, batch_size=4, seed=0))
    assert not set(seen // 10) & set(held_out // 10)
    np.testing.assert_array_equal(np.sort(np.r_[seen, held_out]), data.actions.ravel())
    assert not np.array_equal(validation.index, split(data, 0.2, seed=1)[1].index)


def test_every_part_of_a_split_has_an_episode():
    train, validation = split(make(episodes=2), 0.01, seed=0)
    assert len(train) == len(validation) == 1


@pytest.mark.parametrize(
    ("episodes", "fraction", "scored"), [(12, 0.1, 2), (4, 0.1, 2), (30, 0.1, 3), (10, 0.9, 8)]
)
def test_at_least_two_episodes_are_scored_on_and_two_are_left(episodes, fraction, scored):
    """Of one Hits@1 is 100 %, and the spread 0, as if the states had collapsed."""
    first, last = Subset.of_all(make(episodes=episodes)).divided(fraction)
    assert list(first.index) == list(range(episodes - scored))
    assert list(last.index) == list(range(episodes - scored, episodes))


def test_too_few_episodes_to_be_scored_on_are_one_sentence():
    said = "at least 4 episodes, 2 to train on and 2 to score on; received 3"
    with pytest.raises(ValueError, match=said):
        Subset.of_all(make(episodes=3)).divided(0.5)


@pytest.mark.parametrize(("episodes", "scored"), [(9, None), (10, 2)])
def test_a_streamed_episode_is_not_scored_on_alone(episodes, scored, tmp_path, monkeypatch):
    """Of nine episodes in blocks of two, the last two do not fill a block, and one does."""
    monkeypatch.setattr("sen_tf.datasets.store.CHUNK_FRAMES", 10)
    save_episodes(tmp_path / "set.h5", make(episodes=episodes))
    stream = open_episodes(tmp_path / "set.h5", None, lambda _: None, memory=8 * 5 * 4)
    if scored is None:
        with pytest.raises(ValueError, match="`fraction` to leave 2 episodes on each side"):
            stream.divided(0.1)
    else:
        assert [len(part) for part in stream.divided(0.1)] == [episodes - scored, scored]


def test_frames_are_as_many_as_memory_allows():
    data = make()
    subset = Subset.of_all(data)
    every = subset.frames(10**6, seed=0)
    assert np.shares_memory(every, data.observations)
    some = subset.frames(10 * every[0].nbytes, seed=0)
    assert some.shape == (10, *every.shape[1:])
    assert len(np.unique(some[:, 0, 0, 0])) == 10
    assert not np.array_equal(some, subset.frames(10 * every[0].nbytes, seed=1))
    _, held_out = subset.split(0.3, seed=0)
    expected = data.observations[held_out.index].reshape(-1, 2, 2, 1)
    np.testing.assert_array_equal(held_out.frames(10**6, seed=0), expected)


def test_errors():
    data = make()
    with pytest.raises(
        ValueError, match="`batch_size` to be at most .* 24; received batch_size=25"
    ):
        transitions(data, batch_size=25, seed=0)
    with pytest.raises(ValueError, match="`batch_size` to be at least 1; received batch_size=0"):
        transitions(data, batch_size=0, seed=0)
    with pytest.raises(
        ValueError, match="`batch_size` to be an even number .*received batch_size=6"
    ):
        transitions(data, batch_size=6, seed=0, shares=2, pairs=True)
    some = Episodes(data.observations[:, ::4], data.actions, {}, "board", {}, (0, 4))
    with pytest.raises(ValueError, match="`data` to hold the frames of all times 0 to 4"):
        transitions(some, batch_size=2, seed=0)
    with pytest.raises(ValueError, match="`fraction` to lie between 0 and 1; received fraction=1"):
        split(data, 1, seed=0)
    with pytest.raises(ValueError, match="at least 2 to be split; received 1"):
        split(make(episodes=1), 0.5, seed=0)
