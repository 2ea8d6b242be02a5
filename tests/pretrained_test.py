"""Models that come with the package, and those that are pushed."""

import importlib
import pathlib
import sys
import types

import keras
import numpy as np
import pytest

import sen_tf
from sen_tf import envs, losses, metrics, pretrained, settings
from sen_tf.datasets import collect
from sen_tf.envs import ENVS
from sen_tf.experiments import networks, world_models

train = importlib.import_module("sen_tf.train")

TINY = ("--env=shapes", "--preset=quick", "--train_episodes=300", "--eval_episodes=20")
TINY += ("--hidden=8", "--filters=4", "--epochs=1", "--batch_size=32")


def test_there_is_one_per_environment():
    assert pretrained.names() == sorted(f"{env}-sen" for env in ENVS if env in OURS)


OURS = ("cubes", "reacher", "rush_hour", "shapes", "teapot")


@pytest.mark.parametrize("env", OURS)
def test_a_model_that_comes_with_the_package_predicts(env, make_reacher):
    """New episodes of all actions: predictions lie nearer to the truth than where it began."""
    world = make_reacher(size=65) if env == "reacher" else envs.make(env)
    model = sen_tf.from_pretrained(f"{env}-sen")
    assert model.dtype_policy.name == "float32"
    (block,) = collect(world, episodes=40, steps=1, seed=77)
    start, after = (model.encode(block.observations[:, time]) for time in (0, 1))
    action = block.actions[:, 0].astype(model.transition.inputs[1].dtype)
    predicted = np.asarray(model.step(start, action))
    true, still = (np.asarray(states) for states in (after, start))
    assert np.square(predicted - true).sum() < 0.6 * np.square(still - true).sum()
    # Few of them are alike, so that the nearest is the right one.
    assert metrics.ranking_metrics(true, predicted)["hits@10"] > 0.95


@pytest.mark.parametrize("name", pretrained.names())
def test_a_card_says_data_scores_command_and_licence(name):
    card = pretrained.card(name)
    command = "python -m sen_tf.train --flagfile=flags.cfg"
    for part in ("## Data", "## Scores", "Seed ", command, "license: mit"):
        assert part in card
    assert f'from_pretrained("{name}")' in card


@pytest.mark.parametrize("name", pretrained.names())
def test_the_flags_beside_a_card_make_the_model(name, make_reacher):
    """Of the size that the model has, though presets may have changed since."""
    flags = pathlib.Path(pretrained.__file__).parent / name / "flags.cfg"
    chosen = world_models.choose([f"--flagfile={flags}"])
    env = name.removesuffix("-sen")
    assert (chosen.environment.env, chosen.preset.preset) == (env, "laptop")
    world = make_reacher(size=65) if env == "reacher" else envs.make(env)
    network = chosen.network
    made = networks.make_model(world, network.model, network.hidden, network.filters)
    model = sen_tf.from_pretrained(name)
    assert [x.shape for x in made.get_weights()] == [x.shape for x in model.get_weights()]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pushed")
    train.main([*TINY, f"--data_dir={folder}/data", f"--output={folder}/run"])
    return folder / "run"


def test_what_is_pushed_into_a_folder_is_found_there_without_an_optimizer(run, tmp_path):
    place = pretrained.push(run, tmp_path / "mine", licence="cc0-1.0")
    files = {path.name for path in pathlib.Path(place).iterdir()}
    assert files == {"model.keras", "README.md", "flags.cfg"}
    assert f'from_pretrained("{place}")' in pretrained.card(place)
    words = [f"--flagfile={place}/flags.cfg", f"--data_dir={run.parent}/data"]
    repeated = [vars(each) for each in world_models.choose(words)]
    assert repeated == [vars(each) for each in world_models.of_run(run)]
    model = sen_tf.from_pretrained(place)
    trained = keras.models.load_model(run / "model.keras")
    for ours, theirs in zip(model.get_weights(), trained.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert not model.compiled and "license: cc0-1.0" in pretrained.card(place)
    assert not keras.models.load_model(pathlib.Path(place) / "model.keras").compiled
    pretrained.push(run, tmp_path / "mine")  # again
    model.compile("adam", loss=losses.ContrastiveLoss())  # and it trains on
    model.fit(
        {
            "obs": np.zeros((4, 50, 50, 3), np.uint8),
            "action": np.zeros(4, np.int32),
            "next_obs": np.zeros((4, 50, 50, 3), np.uint8),
        },
        batch_size=4,
        verbose=0,
    )


def test_somebody_else_s_folder_is_left_alone(run, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="holds notes.txt"):
        pretrained.push(run, tmp_path)
    (tmp_path / "notes.txt").rename(tmp_path / "README.md")
    with pytest.raises(ValueError, match="holds README.md"):
        pretrained.push(run, tmp_path)
    assert (tmp_path / "README.md").read_text() == "mine"
    with pytest.raises(settings.UsageError, match="not a finished run"):
        pretrained.push(tmp_path, tmp_path / "new")


def test_models_of_the_package_are_loaded_as_they_are_by_keras_too():
    model = keras.models.load_model(pretrained.HERE / "shapes-sen" / "model.keras")
    assert not model.compiled


def test_a_folder_called_as_a_model_of_the_package_is_told_from_it(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"received to='shapes-sen'.*'\./shapes-sen'"):
        pretrained.push(run, "shapes-sen")
    mine = keras.models.load_model(run / "model.keras").count_params()
    for place in ("./shapes-sen", pathlib.Path("shapes-sen")):
        found_by = pretrained.push(run, place)
        assert found_by == "./shapes-sen" and found_by in pretrained.card(found_by)
        for each in (place, found_by):
            assert sen_tf.from_pretrained(each).count_params() == mine
    with pytest.warns(UserWarning, match="the folder is './shapes-sen'"):
        assert sen_tf.from_pretrained("shapes-sen").count_params() > mine


def test_names_that_are_none(run, tmp_path):
    with pytest.raises(ValueError, match="to hold README.md, the card, as `push` writes it"):
        pretrained.card(run)
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="to be a folder; received .*file, a file"):
        pretrained.push(run, tmp_path / "file")
    with pytest.raises(ValueError, match="one of cubes-sen, .*Did you mean 'cubes-sen'"):
        sen_tf.from_pretrained("cube-sen")
    with pytest.raises(ValueError, match="to hold model.keras"):
        sen_tf.from_pretrained(tmp_path)


def test_the_hub_is_asked_by_its_own_package(run, tmp_path, monkeypatch):
    """It is not reached here: a module in its place keeps what is pushed."""
    hub = types.ModuleType("huggingface_hub")
    hub.create_repo = lambda repository, exist_ok: None
    hub.upload_folder = lambda repo_id, folder_path: [
        (tmp_path / path.name).write_bytes(path.read_bytes()) for path in folder_path.iterdir()
    ]
    hub.snapshot_download = lambda repository: str(tmp_path)
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    assert pretrained.push(run, "hf://me/shapes") == "hf://me/shapes"
    assert 'from_pretrained("hf://me/shapes")' in pretrained.card("hf://me/shapes")
    assert sen_tf.from_pretrained("hf://me/shapes").embedding.input_shape == (None, 50, 50, 3)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ValueError, match="pip install huggingface_hub"):
        sen_tf.from_pretrained("hf://me/shapes")
