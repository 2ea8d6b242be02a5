"""Minari datasets, read and written with the package itself."""

import dataclasses
import json

import gymnasium
import h5py
import numpy as np
import pytest

from sen_tf import generate
from sen_tf.datasets import (
    DatasetError,
    Episodes,
    read_episodes,
    save_episodes,
    verify_episodes,
    write_minari,
)
from sen_tf.settings import UsageError

minari = pytest.importorskip("minari")

NAME = "cubes/random-v0"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    return tmp_path / NAME / "data"


@pytest.fixture
def written(folder):
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (20, 4, 50, 50, 3), np.uint8)
    actions = rng.integers(0, 20, (20, 3))
    episodes = Episodes(frames, actions, {}, "cubes", {}, (0, 1, 2, 3))
    write_minari(NAME, episodes, gymnasium.make("sen_tf/Cubes-v0"))
    return episodes


def buffers(steps, shape=(5, 5, 3), dtype=np.uint8):
    from minari.data_collector import EpisodeBuffer

    return [
        EpisodeBuffer(
            observations=np.zeros((count + 1, *shape), dtype),
            actions=np.zeros(count, np.int64),
            rewards=np.zeros(count),
            terminations=np.zeros(count, bool),
            truncations=np.zeros(count, bool),
        )
        for count in steps
    ]


def create(name, *arguments, **spaces):
    made = buffers(*arguments)
    first = made[0].observations
    space = gymnasium.spaces.Box(0, 255, first.shape[1:], first.dtype)
    spaces = {"observation_space": space, "action_space": gymnasium.spaces.Discrete(4)} | spaces
    minari.create_dataset_from_buffers(name, made, **spaces)


def test_what_is_written_is_read(folder, written):
    read = read_episodes(f"minari:{NAME}", "cubes")
    np.testing.assert_array_equal(read.observations, written.observations)
    np.testing.assert_array_equal(read.actions, written.actions)
    assert read.actions.dtype == np.int64 and read.env == "cubes" and read.twins == {}
    some = read_episodes(f"minari:{NAME}", steps=(0, 3), episodes=17)
    np.testing.assert_array_equal(some.observations, written.observations[:17, [0, 3]])
    assert verify_episodes(f"minari:{NAME}").startswith("20 episodes of cubes, no checksums")


def test_minari_itself_reads_it(folder, written):
    dataset = minari.load_dataset(NAME)
    assert (dataset.total_episodes, dataset.total_steps) == (20, 60)
    episode = dataset[4]
    np.testing.assert_array_equal(episode.observations, written.observations[4])
    np.testing.assert_array_equal(episode.actions, written.actions[4])
    assert episode.truncations.tolist() == [False, False, True] and not episode.terminations.any()
    assert dataset.recover_environment().spec.id == "sen_tf/Cubes-v0"


class Wrapped(gymnasium.Wrapper):
    """An environment of the user's own, whose innermost one observes something else."""

    def __init__(self, render_mode=None):
        super().__init__(Numbers(render_mode))


class Numbers(gymnasium.Env):
    metadata = {"render_modes": ["rgb_array"]}
    observation_space = gymnasium.spaces.Box(0, 1, (1,))
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, render_mode):
        self.render_mode = render_mode

    def reset(self, *, seed=None, options=None):
        return np.zeros(1, np.float32), {}

    def step(self, action):
        return np.zeros(1, np.float32), 0.0, False, False, {}

    def render(self):
        return np.full((8, 12, 3), 7, np.uint8)


def test_one_of_the_users_own_is_written_with_the_images_that_it_draws(folder, tmp_path):
    place = f"{__name__}:Wrapped"
    sizes = ["--episodes=3", "--steps=2"]
    generate.main([f"--env={place}", *sizes, f"--output={tmp_path}/own.h5"])
    generate.main([f"--env={place}", f"--dataset={tmp_path}/own.h5", "--to_minari=own-v0"])
    read = read_episodes("minari:own-v0", "wrapped")
    assert read.env == "wrapped" and read.observations.shape == (3, 3, 8, 12, 3)
    assert (read.observations == 7).all()
    made = minari.load_dataset("own-v0").recover_environment()
    assert made.observation_space.shape == (8, 12, 3)


def test_of_recorded_episodes_no_environment_can_be_made(folder, tmp_path):
    frames = np.zeros((4, 2, 5, 5, 3), np.uint8)
    episodes = Episodes.from_arrays(frames, np.zeros((4, 1), int), env="seen")
    save_episodes(tmp_path / "seen.h5", episodes)
    with pytest.raises(UsageError, match="of seen there are recorded episodes alone"):
        generate.main([f"--dataset={tmp_path}/seen.h5", "--to_minari=seen-v0"])


def test_a_name_is_not_taken_twice(folder, written):
    with pytest.raises(ValueError, match="`name` to be new"):
        write_minari(NAME, written, gymnasium.make("sen_tf/Cubes-v0"))
    assert len(read_episodes(f"minari:{NAME}")) == 20


def test_an_interrupted_export_leaves_nothing(folder, written):
    broken = dataclasses.replace(written, actions=written.actions[:7])
    with pytest.raises(ValueError):
        write_minari("other-v0", broken, gymnasium.make("sen_tf/Cubes-v0"))
    assert not (folder.parents[2] / "other-v0").exists()


def test_images_that_minari_keeps_as_jpeg(folder):
    """Its default for pictures of at least 32 pixels."""
    create("pictures-v0", [3, 3], (32, 40, 3))
    read = read_episodes("minari:pictures-v0")
    assert read.observations.shape == (2, 4, 32, 40, 3) and read.env is None


def expect(name, message, env=None):
    with pytest.raises(DatasetError, match=message):
        read_episodes(f"minari:{name}", env)


def test_datasets_of_another_kind(folder, written):
    create("uneven-v0", [3, 5])
    expect("uneven-v0", "3 to 5 steps, expected all as many")
    create("vectors-v0", [3], (7,))
    expect("vectors-v0", "expected images")
    create("floats-v0", [3], (5, 5, 3), np.float32)
    expect("floats-v0", "expected a box of uint8 images")
    expect("none-v0", "no such Minari dataset")
    expect(NAME, "episodes of 'cubes', expected 'shapes'", "shapes")


def change_metadata(folder, change):
    path = folder / "metadata.json"
    metadata = json.loads(path.read_text())
    change(metadata)
    path.write_text(json.dumps(metadata))


def test_no_environment_is_made_for_its_spaces(folder, written, monkeypatch):
    """Minari would import and call what the dataset names."""
    made = []
    monkeypatch.setattr(gymnasium, "make", lambda *arguments: made.append(arguments))
    change_metadata(folder, lambda metadata: metadata.pop("observation_space"))
    expect(NAME, "does not say its spaces")
    assert not made


def test_damaged_metadata(folder, written):
    change_metadata(folder, lambda metadata: metadata.update(data_format="arrow"))
    expect(NAME, "stored as arrow, expected hdf5")
    (folder / "metadata.json").write_text("{")
    expect(NAME, "cannot be read as a whole")


@pytest.mark.parametrize("name", ["observations", "actions"])
def test_links_to_other_files(folder, written, name):
    with h5py.File(folder / "main_data.hdf5", "a") as file:
        del file[f"episode_3/{name}"]
        file[f"episode_3/{name}"] = h5py.ExternalLink("elsewhere.h5", "x")
    expect(NAME, f"/episode_3/{name} is a link")


def test_parts_that_are_missing_or_cut(folder, written):
    with h5py.File(folder / "main_data.hdf5", "a") as file:
        del file["episode_3/actions"]
    expect(NAME, "cannot be read as a whole")
    path = folder / "main_data.hdf5"
    path.write_bytes(path.read_bytes()[:5000])
    expect(NAME, "cannot be read as a whole")


def test_a_world_that_is_not_ours_is_not_taken_for_ours(folder, written):
    create("dot-v0", [3])
    assert read_episodes("minari:dot-v0", "shapes").env is None  # it names no world
    spec = gymnasium.envs.registration.EnvSpec("own/Dot-v0", entry_point="own:Dot").to_json()
    path = minari.storage.get_dataset_path("dot-v0") / "data" / "metadata.json"
    metadata = json.loads(path.read_text()) | {"env_spec": spec}
    path.write_text(json.dumps(metadata))
    expect("dot-v0", "episodes of 'own/Dot-v0', expected 'shapes'", "shapes")
    assert read_episodes("minari:dot-v0").env is None


def test_layouts_that_can_be_told_are_told(folder):
    """Channels that come first, and actions that are counted from 1."""
    create("first-v0", [3], (3, 5, 6), action_space=gymnasium.spaces.Discrete(4, start=-1))
    read = read_episodes("minari:first-v0")
    assert read.observations.shape == (1, 4, 5, 6, 3)
    np.testing.assert_array_equal(read.actions, np.ones((1, 3)))


class FromOne(Wrapped):
    """A world whose actions are -1, 0 and 1, and whose image shows the last one."""

    action_space = gymnasium.spaces.Discrete(3, start=-1)
    last = 0

    def step(self, action):
        assert action in self.action_space
        self.last = action
        return super().step(action)

    def render(self):
        return np.full((8, 12, 3), 100 + self.last, np.uint8)


def test_actions_keep_their_numbers_there_and_back(folder, tmp_path):
    place = f"{__name__}:FromOne"
    generate.main([f"--env={place}", "--episodes=9", "--steps=4", f"--output={tmp_path}/o.h5"])
    generate.main([f"--env={place}", f"--dataset={tmp_path}/o.h5", "--to_minari=o-v0"])
    ours, read = (read_episodes(path) for path in (tmp_path / "o.h5", "minari:o-v0"))
    np.testing.assert_array_equal(read.actions, ours.actions)
    assert set(ours.actions.ravel()) == {0, 1, 2}
    for episode in minari.load_dataset("o-v0"):
        shown = episode.observations[1:, 0, 0, 0].astype(int) - 100
        np.testing.assert_array_equal(episode.actions, shown)


def test_several_whole_numbers_are_one_action(folder):
    create("pairs-v0", [3], action_space=gymnasium.spaces.MultiDiscrete([2, 3], start=[1, -1]))
    with h5py.File(folder.parents[2] / "pairs-v0" / "data" / "main_data.hdf5", "r+") as file:
        del file["episode_0/actions"]
        file["episode_0/actions"] = np.array([[1, -1], [2, 1], [1, 0]])
    read = read_episodes("minari:pairs-v0")
    assert read.actions.dtype == np.float32
    np.testing.assert_array_equal(read.actions, [[[0, 0], [1, 2], [0, 1]]])
