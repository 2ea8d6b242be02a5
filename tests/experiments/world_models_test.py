"""The settings of world models, their flagfiles and their pictures; train_test.py runs them."""

import functools
import json
import pathlib

import numpy as np
import pytest

from sen_tf import datasets, figures, settings
from sen_tf.envs import ENVS
from sen_tf.experiments import drawing, world_models
from sen_tf.groups import rotations
from sen_tf.training import runs
from tests.frames_of_one_colour import IMAGES, STEPS, frames, pixels

HERE = pathlib.Path(__file__).parent


def flags(*arguments, **further):
    """The values of all flags of a run."""
    chosen = world_models.choose(list(arguments), **further)
    return {name: value for part in chosen for name, value in vars(part).items()}


def test_every_command_line_of_environment_preset_and_recipe_resolves_as_before():
    table = json.loads((HERE / "resolved_flags.json").read_text(encoding="utf-8"))
    common = table.pop("all")
    assert len(table) == len(ENVS) * 3 * 3
    for words, own in table.items():
        env, preset, recipe = words.split()
        found = flags(f"--env={env}", f"--preset={preset}", f"--recipe={recipe}")
        expected = common | own
        del expected["output"]  # which is not of the run
        assert found.pop("env_class") is None  # newer than the table
        assert found == expected, words


@pytest.mark.parametrize("env", ENVS)
@pytest.mark.parametrize("preset", world_models.PRESETS)
def test_every_environment_has_flagfiles_for_every_preset(env, preset):
    found = flags(f"--env={env}", f"--preset={preset}")
    assert (found["env"], found["preset"]) == (env, preset)
    assert found["train_episodes"] * found["train_steps"] >= found["batch_size"]
    of_env = {"reacher", "rush_hour", "teapot"}  # which the fast recipe trains otherwise
    fast = [f"{env}.cfg", "fast.cfg", *([f"{env}.cfg"] if env in of_env else []), f"{env}.cfg"]
    files = settings.flagfiles(env, preset, found["recipe"])
    assert [path.name for path in files] == (fast if preset != "paper" else [f"{env}.cfg"])


def test_flagfiles_hold_flags_of_runs_alone():
    known = set(flags())
    for path in (HERE.parents[1] / "flags").rglob("*.cfg"):
        lines = path.read_text(encoding="utf-8").splitlines()
        names = {line[2:].split("=")[0] for line in lines if line.startswith("--")}
        assert names and names <= known, path


def test_command_line_beats_preset_beats_environment_beats_default():
    paper, quick = flags("--preset=paper"), flags("--preset=quick")
    given = flags("--epochs=3", "--env=cubes", "--preset=quick")
    assert (paper["epochs"], paper["train_actions"]) == (100, ["up", "right", "down"])
    assert quick["epochs"] != paper["epochs"] and quick["train_actions"] == paper["train_actions"]
    assert given["epochs"] == 3


def test_recipe_stands_between_environment_and_preset_and_the_paper_s_is_the_environment_s():
    paper = flags("--preset=paper")
    quick, plain = (flags("--preset=quick", f"--recipe={recipe}") for recipe in ("auto", "paper"))
    assert (paper["recipe"], quick["recipe"], plain["recipe"]) == ("paper", "fast", "paper")
    assert (paper["schedule"], paper["action_contrast"]) == ("constant", 0)
    assert (quick["schedule"], quick["batch_size"]) == ("cosine", 64)
    assert quick["action_contrast"] > 0
    assert plain["epochs"] == quick["epochs"] and plain["batch_size"] == paper["batch_size"]


def test_auto_preset_is_what_the_program_says():
    assert flags(default_preset=lambda: "laptop")["preset"] == "laptop"
    assert flags()["preset"] == "paper"


@pytest.mark.parametrize(
    "argument, expected",
    [
        ("--train_starts=up", "--train_starts is for --env=rush_hour, not for cubes"),
        ("--model=tfn", "of --env=cubes is one of sen, nonequivariant, fully_equivariant, not tfn"),
        ("--rotations=small", "--rotations is for --env=teapot"),
        ("--sprites=paper", "--sprites is for --env=shapes"),
        ("--reversed_negatives", "--reversed_negatives is for --env=reacher"),
        ("--episode_negatives", "--episode_negatives is for --env=rush_hour"),
        ("--alignment=0.5", "--alignment is for --env=teapot, not for cubes"),
        ("--env=cube", "cubes"),
        ("--recipe=slow", "fast"),
        ("--validation=1.5", "validation"),
        ("--action_contrast=1.1", "action_contrast"),
    ],
)
def test_a_flag_of_another_environment_is_one_clear_line(argument, expected):
    with pytest.raises(settings.UsageError) as error:
        world_models.choose([argument])
    assert expected in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("flag", ["hinge=2", "negatives=3", "variant=predicted"])
def test_what_uniformity_would_not_heed_is_refused(flag):
    message = f"--{flag.split('=')[0]} does nothing under --negative_part=uniformity"
    for words in (["--env=reacher", "--preset=quick"], ["--negative_part=uniformity"]):
        with pytest.raises(settings.UsageError, match=message):
            world_models.choose([*words, f"--{flag}"])
    world_models.choose(["--env=reacher", "--preset=quick", "--negative_part=hinge", f"--{flag}"])


def test_headings_are_named():
    assert flags("--env=rush_hour", "--train_starts=up,left")["train_starts"] == ["up", "left"]
    with pytest.raises(settings.UsageError, match="out of up, right, down, left, not 'north'"):
        flags("--env=rush_hour", "--train_starts=up,north")


def test_flags_of_a_run_of_before_are_read(tmp_path):
    """Those that are no flags of runs now, of other programs then, are left out."""
    path = tmp_path / "flags.cfg"
    path.write_text("--env=shapes\n--epochs=7\n--split=train\n--verify=\n--trust_dataset=False\n")
    chosen = world_models.Settings(*settings.load(path, *world_models.GROUPS))
    assert (chosen.environment.env, chosen.training.epochs) == ("shapes", 7)


class Latents:
    """Of each environment states of the right shape, which a rollout leaves as they are."""

    def __init__(self, env):
        self.env = env

    def encode(self, images):
        colour = images[:, 0, 0, 0].astype(float)
        if self.env == "teapot":
            return rotations.exp(colour[:, None] * [0.01, 0.02, 0])
        size = {"cubes": (5, 4, 2), "reacher": (8, 4)}[self.env]
        return np.sin(colour[:, None] * np.arange(1, np.prod(size) + 1)).reshape(-1, *size)

    def rollout(self, states, actions):
        return np.repeat(states[:, None], actions.shape[1], axis=1)


def write(path, env, episodes=6):
    actions = {
        "cubes": np.zeros((episodes, STEPS), np.int64),
        "reacher": np.zeros((episodes, STEPS, 2), np.float32),
        "teapot": np.zeros((episodes, STEPS, 3, 3), np.float32),
    }[env]
    block = datasets.EpisodeBlock(frames(IMAGES[env], episodes), actions, {})
    about = {"env": env, "split": "evaluation", "seed": 0, "group": "C1", "settings": {}}
    datasets.write_episodes(path, [block], episodes=episodes, **about)


class Known:
    """What is known of an environment that has no pictures of its own."""

    def __init__(self, env):
        self.group, self.objects = ENVS[env].group, ENVS[env].objects
        self.action_space, self.action_names = None, {}


def draw(env, folder):
    latents = Latents(env)
    read = functools.partial(datasets.read_episodes, folder / "episodes.h5", env)
    return drawing.draw(latents, read, Known(env), folder)


@pytest.mark.parametrize("env", IMAGES)
def test_a_model_is_drawn(env, tmp_path):
    write(tmp_path / "episodes.h5", env)
    files = draw(env, tmp_path)
    assert files == [tmp_path / "figures" / name for name in ("latents.png", "rollouts.png")]
    for file in files:
        assert pixels(file).std() > 5
    # Two strips of three images side by side and two below, each with a row of predictions.
    assert pixels(files[1]).shape == (492, 620, 3)


def test_large_frames_come_from_fewer_episodes(tmp_path, monkeypatch):
    write(tmp_path / "episodes.h5", "reacher", episodes=12)
    size = frames(IMAGES["reacher"], 1).nbytes
    read = []
    monkeypatch.setattr(Latents, "rollout", lambda self, z, a: read.append(len(z)) or z[:, None])
    monkeypatch.setattr(figures, "draw_rollouts", lambda *_: None)
    monkeypatch.setattr(runs, "log_figures", lambda *_: None)
    for limit in (20 * size, 7 * size, 1 * size):
        monkeypatch.setattr(drawing, "CANDIDATE_BYTES", limit)
        draw("reacher", tmp_path)
    assert read == [12, 7, figures.STRIPS]
