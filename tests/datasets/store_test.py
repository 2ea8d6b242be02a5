import dataclasses
import json
import shutil

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sen_tf.datasets import (
    DatasetError,
    EpisodeBlock,
    Twin,
    collect,
    read_episodes,
    uniform_policy,
    write_episodes,
)

ATTRIBUTES = {"env": "cubes", "split": "train", "seed": 5, "group": "C4", "settings": {"a": [1]}}


def random_block(rng, episodes, steps, frame, twins, continuous=False):
    def part():
        shape = (episodes, steps, 2) if continuous else (episodes, steps)
        actions = rng.normal(size=shape) if continuous else rng.integers(0, 20, shape)
        frames = rng.integers(0, 256, (episodes, steps + 1, *frame), np.uint8)
        return frames, actions.astype(np.float32 if continuous else np.int64)

    elements = {g: np.full((3, 3), float(g)) if continuous else g for g in range(1, twins + 1)}
    return EpisodeBlock(*part(), {g: Twin(*part(), element) for g, element in elements.items()})


def write(path, blocks, **changes):
    episodes = sum(len(block.actions) for block in blocks)
    write_episodes(path, blocks, **{"episodes": episodes, **ATTRIBUTES, **changes})


def assert_same(data, parts, steps):
    frames = np.concatenate([part.observations for part in parts])
    np.testing.assert_array_equal(data.observations, frames[:, list(steps)])
    actions = np.concatenate([part.actions for part in parts])
    np.testing.assert_array_equal(data.actions, actions)
    assert data.actions.dtype == actions.dtype


@settings(deadline=None, max_examples=30)
@given(st.data())
def test_round_trip(tmp_path_factory, data):
    rng = np.random.default_rng(data.draw(st.integers(0, 10**6), "seed"))
    sizes = data.draw(st.lists(st.integers(1, 70), min_size=1, max_size=3), "blocks")
    steps = data.draw(st.integers(1, 12), "steps")
    frame = data.draw(st.tuples(*[st.integers(1, 4)] * 3), "frame")
    twins, continuous = data.draw(st.integers(0, 2), "twins"), data.draw(st.booleans())
    times = data.draw(st.none() | st.lists(st.integers(0, steps), min_size=1), "times")
    blocks = [random_block(rng, size, steps, frame, twins, continuous) for size in sizes]
    path = tmp_path_factory.mktemp("store") / "episodes.h5"
    write(path, blocks)
    read = read_episodes(path, env="cubes", steps=times)
    times = range(steps + 1) if times is None else times
    assert_same(read, blocks, times)
    assert list(read.twins) == list(blocks[0].twins)
    for number, element in read.twins.items():
        twins = [block.twins[number] for block in blocks]
        np.testing.assert_array_equal(element, twins[0].element)
        assert_same(read_episodes(path, steps=times, twin=number), twins, times)
    assert len(read) == sum(sizes)
    assert read.env == "cubes" and read.attrs["settings"] == {"a": [1]}
    assert (read.attrs["seed"], read.attrs["split"], read.attrs["group"]) == (5, "train", "C4")


def test_many_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr("sen_tf.datasets.store.CHUNK_FRAMES", 8)
    blocks = [random_block(np.random.default_rng(0), 20, 3, (2, 2, 3), 1)]
    write(tmp_path / "a.h5", blocks)
    assert_same(read_episodes(tmp_path / "a.h5"), blocks, range(4))


def test_collected_episodes(tmp_path, board):
    def blocks():
        return collect(board, uniform_policy(board), episodes=70, steps=3, seed=0, twins=True)

    write_episodes(tmp_path / "new" / "eval.h5", blocks(), episodes=70, **ATTRIBUTES)
    assert_same(read_episodes(tmp_path / "new" / "eval.h5"), list(blocks()), range(4))


@pytest.mark.parametrize("times, rows", [(101, 1), (11, 8), (2, 64), (300, 1)])
def test_chunks_hold_about_a_hundred_frames(tmp_path, times, rows):
    write(tmp_path / "a.h5", [random_block(np.random.default_rng(0), 64, times - 1, (2, 2, 1), 0)])
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["observations"].chunks == (rows, min(times, 128), 2, 2, 1)


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_interrupted_run_leaves_nothing(tmp_path, error):
    def blocks():
        yield random_block(np.random.default_rng(0), 4, 3, (2, 2, 3), 0)
        raise error

    with pytest.raises(error):
        write_episodes(tmp_path / "a.h5", blocks(), episodes=8, **ATTRIBUTES)
    assert list(tmp_path.iterdir()) == []


def test_images_that_are_no_bytes_are_refused(tmp_path):
    block = random_block(np.random.default_rng(0), 4, 3, (2, 2, 3), 0)
    floats = dataclasses.replace(block, observations=block.observations / 255)
    with pytest.raises(ValueError, match="uint8 images of all times.*received float64"):
        write(tmp_path / "a.h5", [floats], episodes=4)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("episodes", [3, 5])
def test_wrong_number_of_episodes(tmp_path, episodes):
    block = random_block(np.random.default_rng(0), 4, 3, (2, 2, 3), 0)
    with pytest.raises(ValueError, match=f"`blocks` to hold {episodes} episodes; received"):
        write(tmp_path / "a.h5", [block], episodes=episodes)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_is_not_filled_to_its_end(tmp_path, monkeypatch):
    """There HDF5 would crash the interpreter."""
    usage = shutil.disk_usage(tmp_path)._replace(free=2**22 + 100)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    block = random_block(np.random.default_rng(0), 4, 2, (5, 5, 3), 0)
    with pytest.raises(DatasetError, match="only 4 MiB are free"):
        write(tmp_path / "data.h5", [block])
    assert not list(tmp_path.iterdir())


def test_an_unwritable_place_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DatasetError, match="Cannot write"):
        write(tmp_path / "file" / "a.h5", [])


# --- published formats -------------------------------------------------------------------------


def published(rng, episodes=5, steps=4):
    """uint8 frames (E, T + 1, H, W, C), actions, and the arrays of the published files."""
    frames = rng.integers(0, 256, (episodes, steps + 1, 6, 7, 3), np.uint8)
    actions = rng.integers(0, 20, (episodes, steps))
    images = (np.moveaxis(frames, -1, 2) / 255).astype(np.float32)
    arrays = {
        "obs": images[:, :-1],
        "action": actions.astype(np.float32),
        "next_obs": images[:, 1:],
    }
    return frames, actions, arrays


def write_flat(path, arrays):
    with h5py.File(path, "w") as file:
        for name, values in arrays.items():
            file[name] = values


def test_reads_the_published_format(tmp_path):
    frames, actions, arrays = published(np.random.default_rng(0))
    write_flat(tmp_path / "a.h5", arrays)
    data = read_episodes(tmp_path / "a.h5", env="cubes")
    np.testing.assert_array_equal(data.observations, frames)
    np.testing.assert_array_equal(data.actions, actions)
    assert data.actions.dtype == np.int64 and data.env is None and data.twins == {}
    some = read_episodes(tmp_path / "a.h5", steps=(0, 4))
    np.testing.assert_array_equal(some.observations, frames[:, [0, 4]])


def test_reads_published_files_in_portions(tmp_path, monkeypatch):
    monkeypatch.setattr("sen_tf.datasets.foreign.READ_BYTES", 100)
    frames, _, arrays = published(np.random.default_rng(0))
    write_flat(tmp_path / "a.h5", arrays)
    np.testing.assert_array_equal(read_episodes(tmp_path / "a.h5").observations, frames)


def test_reads_published_continuous_actions(tmp_path):
    rng = np.random.default_rng(0)
    _, _, arrays = published(rng)
    arrays["action"] = rng.uniform(-1, 1, (5, 4, 2))
    write_flat(tmp_path / "a.h5", arrays)
    data = read_episodes(tmp_path / "a.h5")
    assert data.actions.dtype == np.float32
    np.testing.assert_allclose(data.actions, arrays["action"], rtol=1e-6)


@pytest.mark.parametrize("stored", [np.float32, np.uint8])
def test_reads_c_swm(tmp_path, stored):
    frames, actions, arrays = published(np.random.default_rng(0), episodes=12)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for episode in range(12):
            group = file.create_group(str(episode))
            for name in ("obs", "next_obs"):
                values = arrays[name][episode]
                group[name] = np.rint(values * 255).astype(stored) if stored == np.uint8 else values
            group["action"] = actions[episode]
    data = read_episodes(tmp_path / "a.h5")
    np.testing.assert_array_equal(data.observations, frames)
    np.testing.assert_array_equal(data.actions, actions)


# --- errors ------------------------------------------------------------------------------------


@pytest.fixture
def whole(tmp_path):
    path = tmp_path / "a.h5"
    write(path, [random_block(np.random.default_rng(0), 4, 3, (2, 2, 3), 1)])
    return path


def spoil(path, change):
    with h5py.File(path, "a") as file:
        change(file)


def replace(name, values):
    def replaced(file):
        del file[name]
        file[name] = values

    return replaced


def change(name, place):
    """Changes one number."""

    def add_one(file):
        file[name][place] += 1

    return add_one


@pytest.mark.parametrize(
    "spoiled, message",
    [
        (
            lambda f: f.__delitem__("actions"),
            "/ lacks actions .it holds checksums, observations, twins",
        ),
        (lambda f: f.__delitem__("observations"), "/ lacks observations"),
        (lambda f: f.__delitem__("twins/1/actions"), "/twins/1 lacks actions"),
        (replace("observations", np.zeros((4, 4, 2, 2, 3))), "is float64 .* expected uint8"),
        (replace("observations", np.zeros((4, 4, 2, 2), np.uint8)), "expected uint8"),
        (replace("observations", np.zeros((0, 4, 2, 2, 3), np.uint8)), "/observations is empty"),
        (replace("actions", np.zeros((4, 9), np.int64)), r"expected numbers \(4, 3\)"),
        (replace("actions", np.zeros((4, 3), "S1")), r"expected numbers \(4, 3\)"),
        (replace("twins/1/actions", np.zeros((4, 3, 2))), "twins/1 have another shape"),
        (lambda f: f.attrs.__delitem__("env"), "lacks the attributes env"),
        (lambda f: f.attrs.__setitem__("format_version", 3), "format is sen_tf 3, expected"),
        (lambda f: f.attrs.__setitem__("format_version", 1), "version is 1, and it has a checksum"),
        (lambda f: f.attrs.__delitem__("checksum"), "lacks the attributes checksum"),
        (lambda f: f.__delitem__("checksums"), "/ lacks checksums"),
        (lambda f: f.attrs.__setitem__("seed", 6), "not those that were written"),
        (lambda f: f["twins/1"].attrs.__setitem__("element", 2), "not those that were written"),
        (lambda f: f.move("twins/1", "twins/3"), "not those that were written"),
        (lambda f: f.move("twins/1", "twins/one"), "its twins are one, expected numbers"),
        (change("actions", (2, 1)), r"block 0 of / .episodes 0..3. does not match its checksum"),
        (change("checksums", (0, 3)), "not those that were written"),
    ],
)
def test_spoiled_files(whole, spoiled, message):
    spoil(whole, spoiled)
    with pytest.raises(DatasetError, match=message) as caught:
        read_episodes(whole, env="cubes")
    said = str(caught.value)
    assert str(whole) in said
    # What cannot be known to be ours is not to be replaced.
    if "--output" in said:
        assert "python -m sen_tf.generate --env=cubes" in said
        assert said.endswith(f"--output={whole} --overwrite")


def test_another_environments_file(whole):
    with pytest.raises(DatasetError, match="episodes of 'cubes', expected 'shapes'") as caught:
        read_episodes(whole, env="shapes")
    assert "--output" not in str(caught.value)


def test_too_few_steps(whole):
    with pytest.raises(DatasetError, match="3 steps per episode.*--steps=10"):
        read_episodes(whole, steps=(0, 1, 10))


@pytest.mark.parametrize("kept", [0, 100, 0.5, 0.99])
def test_truncated(whole, kept):
    content = whole.read_bytes()
    whole.write_bytes(content[: int(kept * len(content)) if kept < 1 else kept])
    with pytest.raises(DatasetError, match="cannot be read as a whole"):
        read_episodes(whole, env="cubes")


def test_one_changed_byte(whole):
    with h5py.File(whole) as file:
        place = file["observations"].id.get_chunk_info(0).byte_offset
    content = bytearray(whole.read_bytes())
    content[place + 20] ^= 1
    whole.write_bytes(content)
    with pytest.raises(DatasetError, match="block 0 of / .episodes 0..3. cannot be read"):
        read_episodes(whole)


def test_missing_and_foreign(tmp_path):
    with pytest.raises(DatasetError, match="no such file.*--env=shapes"):
        read_episodes(tmp_path / "none.h5", env="shapes")
    with pytest.raises(DatasetError, match="the folder lacks observations.npy"):
        read_episodes(tmp_path)
    write_flat(tmp_path / "b.h5", {"weights": np.zeros(3)})
    with pytest.raises(DatasetError, match="it holds weights, expected observations"):
        read_episodes(tmp_path / "b.h5")


@pytest.mark.parametrize(
    "name, values, message",
    [
        ("action", None, "/ lacks action"),
        ("next_obs", np.zeros((5, 4, 3, 6, 7), np.float32), "next_obs at a time is not obs"),
        ("next_obs", np.zeros((5, 3, 3, 6, 7), np.float32), "unlike /obs"),
        ("obs", np.zeros((5, 4, 6), np.float32), "expected images .episodes, steps, channels"),
        ("obs", np.zeros((5, 4, 3, 6, 7), np.int64), "is int64"),
        ("action", np.zeros((5, 9)), r"expected numbers \(5, 4\)"),
    ],
)
def test_spoiled_published_files(tmp_path, name, values, message):
    _, _, arrays = published(np.random.default_rng(0))
    arrays |= {name: values}
    write_flat(tmp_path / "a.h5", {k: v for k, v in arrays.items() if v is not None})
    with pytest.raises(DatasetError, match=message):
        read_episodes(tmp_path / "a.h5", env="cubes")


def test_published_values_out_of_range(tmp_path):
    _, _, arrays = published(np.random.default_rng(0))
    arrays |= {name: 255 * arrays[name] for name in ("obs", "next_obs")}
    write_flat(tmp_path / "a.h5", arrays)
    with pytest.raises(DatasetError, match=r"expected \[0, 1\]"):
        read_episodes(tmp_path / "a.h5")


def test_c_swm_episodes_of_different_length(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for episode, steps in enumerate((4, 3)):
            for name in ("obs", "next_obs"):
                file[f"{episode}/{name}"] = np.zeros((steps, 3, 5, 5), np.float32)
            file[f"{episode}/action"] = np.zeros(steps)
    with pytest.raises(DatasetError, match="like the first episode"):
        read_episodes(tmp_path / "a.h5")


def test_settings_are_json(whole):
    with h5py.File(whole) as file:
        assert json.loads(file.attrs["settings"]) == {"a": [1]}
        assert file.attrs["format"] == b"sen_tf"
