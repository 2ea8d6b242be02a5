"""Episodes of arrays, in memory and as folders of NumPy files."""

import dataclasses

import gymnasium
import numpy as np
import pytest

from sen_tf import generate
from sen_tf.datasets import (
    DatasetError,
    Episodes,
    read_actions,
    read_episodes,
    save_episodes,
    verify_episodes,
)
from sen_tf.datasets.episodes import arguments_told, check_episodes
from sen_tf.datasets.recorded import recorded
from sen_tf.experiments import networks, training_run

RNG = np.random.default_rng(0)
FRAMES = RNG.integers(0, 256, (70, 4, 6, 5, 3), dtype=np.uint8)
MOVES = RNG.integers(0, 3, (70, 3))
PUSHES = RNG.normal(size=(70, 3, 2)).astype(np.float32)


def write(folder, **arrays):
    folder.mkdir(exist_ok=True)
    for name, values in arrays.items():
        np.save(folder / f"{name}.npy", values)
    return folder


def assert_same(a, b):
    np.testing.assert_array_equal(a.observations, b.observations)
    np.testing.assert_array_equal(a.actions, b.actions)
    assert a.steps == b.steps


@pytest.mark.parametrize("actions", [MOVES, PUSHES], ids=["moves", "pushes"])
def test_arrays_are_episodes_in_memory_in_a_file_and_in_a_folder(actions, tmp_path):
    ours = Episodes.from_arrays(FRAMES, actions, env="mine")
    assert (len(ours), ours.steps, ours.env) == (70, (0, 1, 2, 3), "mine")
    assert repr(ours) == (  # as a notebook shows it
        f"Episodes(observations: {FRAMES.shape} uint8, "
        f"actions: {actions.shape} {ours.actions.dtype}, env: mine)"
    )
    save_episodes(tmp_path / "mine.h5", ours)
    read = read_episodes(tmp_path / "mine.h5")
    assert_same(read, ours)
    assert read.env == "mine" and "checksums right" in verify_episodes(tmp_path / "mine.h5")
    folder = write(tmp_path / "mine", observations=FRAMES, actions=actions)
    assert_same(read_episodes(folder), ours)
    assert_same(read_episodes(folder, steps=(0, 2), episodes=66), ours.select((0, 2), 66))
    for path in (tmp_path / "mine.h5", folder):
        np.testing.assert_array_equal(read_actions(path), actions)


def test_transitions_are_episodes_of_one_step(tmp_path):
    before, after, actions = FRAMES[:, 0], FRAMES[:, 1], MOVES[:, 0]
    ours = Episodes.from_arrays(before, actions, after)
    np.testing.assert_array_equal(ours.observations, FRAMES[:, :2])
    np.testing.assert_array_equal(ours.actions, actions[:, None])
    folder = write(tmp_path / "t", observations=before, actions=actions, next_observations=after)
    assert_same(read_episodes(folder), ours)


def test_some_are_taken_and_some_times_selected():
    ours = Episodes.from_arrays(FRAMES, MOVES)
    some = ours.take(np.array([3, 1]))
    np.testing.assert_array_equal(some.observations, FRAMES[[3, 1]])
    last = ours.select(steps=(3,), episodes=2)
    np.testing.assert_array_equal(last.observations, FRAMES[:2, 3:])
    np.testing.assert_array_equal(last.select(steps=(3,)).observations, FRAMES[:2, 3:])
    with pytest.raises(ValueError, match="`twin` to be None"):
        ours.select(twin=1)
    np.testing.assert_array_equal(last.select().observations, FRAMES[:2, 3:])
    with pytest.raises(ValueError, match=r"in memory, \(3,\); received steps=\(0, 3\)"):
        last.select(steps=(0, 3))


def test_what_is_chosen_in_memory_has_no_twins_which_lie_in_the_file():
    read = dataclasses.replace(Episodes.from_arrays(FRAMES, MOVES), twins={1: 1, 2: 2})
    assert read.select(steps=(0,)).twins == read.take(np.array([3])).twins == {}
    assert read.twins == {1: 1, 2: 2}


def test_episodes_with_twins_are_scored_in_memory_as_in_their_file_but_for_the_twins(tmp_path):
    words = ["--env=shapes", "--split=evaluation", "--episodes=8", "--steps=1"]
    generate.main([*words, f"--output={tmp_path}/twins.h5"])
    model = networks.make_model("shapes", "sen", hidden=4, filters=4)
    in_file = training_run.evaluate(model, tmp_path / "twins.h5")
    in_memory = training_run.evaluate(model, read_episodes(tmp_path / "twins.h5"))
    assert list(in_file["symmetry"]["by_element"]) == ["1", "2", "3"]
    assert in_memory["symmetry"] == {} and "die_model" not in in_memory["steps"]["1"]
    del in_file["steps"]["1"]["die_model"]
    for name in ("episodes", "steps", "z_norm", "z_spread"):
        assert in_memory[name] == in_file[name]


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ((FRAMES / 255, MOVES), "`observations` to be uint8 images .*received float64"),
        ((FRAMES[0], MOVES), "received uint8 of shape"),
        ((FRAMES, MOVES[:, :2]), r"`actions` to be numbers of shape \(70, 3, '...'\)"),
        ((FRAMES, MOVES.astype(str)), "one per step; received"),
        ((FRAMES, PUSHES * np.inf), "`actions` to be finite"),
        ((FRAMES[:, 0], MOVES[:, 0], FRAMES[1:, 0]), "shape of `observations`"),
    ],
)
def test_arrays_that_are_no_episodes(arrays, said):
    with np.errstate(invalid="ignore"), pytest.raises(ValueError, match=said):
        Episodes.from_arrays(*arrays)


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"observations": FRAMES}, "lacks actions.npy"),
        ({"observations": FRAMES / 255, "actions": MOVES}, "observations.npy is float64"),
        ({"observations": FRAMES, "actions": MOVES[:, :1]}, "actions.npy is int64 of shape"),
        (
            {
                "observations": FRAMES[:, 0],
                "actions": MOVES[:9, 0],
                "next_observations": FRAMES[:, 1],
            },
            "expected as many of each",
        ),
        ({"observations": np.array([{}]), "actions": MOVES}, "Python objects"),
    ],
)
def test_folders_that_are_no_episodes(arrays, said, tmp_path):
    with pytest.raises(DatasetError, match=said):
        read_episodes(write(tmp_path / "wrong", **arrays))


def test_vectors_of_whole_numbers_are_numbers(tmp_path):
    one_hot = np.eye(3, dtype=np.int64)[MOVES]
    ours = Episodes.from_arrays(FRAMES, one_hot)
    assert ours.actions.dtype == np.float32
    np.testing.assert_array_equal(ours.actions, one_hot)
    folder = write(tmp_path / "one_hot", observations=FRAMES, actions=one_hot)
    assert_same(read_episodes(folder), ours)
    env = recorded(folder)()
    assert env.action_space == gymnasium.spaces.Box(0, 1, (3,), np.float32)
    check_episodes(ours, env, folder)


def test_frames_of_some_times_are_not_saved(tmp_path):
    some = Episodes.from_arrays(FRAMES, MOVES).select(steps=(0, 3))
    with pytest.raises(ValueError, match="images of all times, 4 per episode; .*without `steps`"):
        save_episodes(tmp_path / "some.h5", some)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kept", [0, 5, 200])
def test_a_cut_array_is_named(tmp_path, kept):
    folder = write(tmp_path / "cut", observations=FRAMES, actions=MOVES)
    content = (folder / "actions.npy").read_bytes()
    (folder / "actions.npy").write_bytes(content[:kept])
    with pytest.raises(DatasetError, match="Cannot use .*cut: it cannot be read as a whole"):
        read_episodes(folder)


def test_saved_episodes_tell_the_world_that_they_are_of(tmp_path):
    words = ["--env=shapes", "--sprites=symmetric", "--episodes=6", "--steps=1"]
    generate.main([*words, f"--output={tmp_path}/first.h5"])
    save_episodes(tmp_path / "again.h5", read_episodes(tmp_path / "first.h5"))
    for name in ("first.h5", "again.h5"):
        read = read_episodes(tmp_path / name, steps=(0,))
        assert arguments_told(read.attrs, read.env) == {"sprites": "symmetric"}
    assert arguments_told(read.attrs, "nobody") == arguments_told({}, "shapes") == {}
