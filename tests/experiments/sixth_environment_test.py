"""A sixth environment is one file: everything takes it by its name, or by where its class is."""

import importlib
import json
import pathlib
import sys

import pytest

from sen_tf import envs
from sen_tf.experiments import world_models
from sen_tf.training import runs

DOTS = '''
"""Two dots on a board of 3 x 3 cells, each of which hops to a neighbouring cell of a ring."""

import gymnasium
import numpy as np

from sen_tf import groups
from sen_tf.envs.episode import EpisodeEnv

RING = np.array([(0, 0), (0, 2), (2, 2), (2, 0)])  # corners, clockwise
COLOURS = np.array([(255, 0, 0), (0, 0, 255)], np.uint8)


class Dots(EpisodeEnv):
    """Dots on the corners; C4 turns the board counter-clockwise, and hops turn with it."""

    name, version = "dots", 1
    group, objects, frames = groups.get("C4"), 2, 1
    action_representation = "2 trivial"
    action_names = {"on": [0, 2], "back": [1, 3]}
    start_names = ()
    arguments = {"background": ("how bright it is behind the dots.", ("dark", "light"))}

    def __init__(self, background="dark", render_mode=None):
        super().__init__(render_mode)
        self.background = {"dark": 0, "light": 90}[background]
        self.observation_space = gymnasium.spaces.Box(0, 255, (9, 9, 3), np.uint8)
        self.action_space = gymnasium.spaces.Discrete(4)

    def sample_states(self, rng, n):
        return rng.integers(0, 4, (n, 2))

    def step_states(self, states, actions):
        moved, back = np.divmod(actions, 2)
        after = states.copy()
        after[np.arange(len(after)), moved] += 1 - 2 * back
        return after % 4

    def render_states(self, states):
        images = np.full((len(states), 9, 9, 3), self.background, np.uint8)
        for image, corners in zip(images, states, strict=True):
            for corner, colour in zip(corners, COLOURS, strict=True):
                row, column = 3 * RING[corner]
                image[row : row + 3, column : column + 3] |= colour
        return images

    def transform(self, states, g):
        return (states - g) % 4

    def transform_action(self, actions, g):
        return np.array(actions)

    def _one_state(self, state):
        return np.array(state)
'''

SIZES = ("--train_episodes=60", "--train_steps=5", "--eval_episodes=16", "--eval_steps=2")
SIZES += ("--hidden=8", "--filters=4", "--epochs=2", "--batch_size=32", "--precision=float32")


@pytest.fixture
def dots(tmp_path, monkeypatch):
    """The module with the environment, in a folder of its own that is the working directory."""
    (tmp_path / "dots.py").write_text(DOTS)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    yield importlib.import_module("dots")
    sys.modules.pop("dots")


@pytest.fixture
def run(monkeypatch, capsys):
    """Runs a program with words and returns what it printed."""

    def program(name, *words):
        monkeypatch.setattr(sys, "argv", [name, *words])
        importlib.import_module(f"sen_tf.{name}").run()
        return capsys.readouterr().out

    return program


def test_a_sixth_environment_is_trained_scored_drawn_and_exported_by_its_name(dots, run):
    envs.register(dots.Dots)
    assert "Default: dark." in run("train", "--env=dots", "--help")
    out = run("train", "--env=dots", "--preset=quick", *SIZES, "--background=light")
    assert "dots, sen, seed 1" in out
    (directory,) = pathlib.Path("runs").iterdir()
    summary = json.loads((directory / runs.METRICS).read_text())
    # All of the group are tried, and encoder and transition commute with it.
    assert set(summary["scores"]["symmetry"]["by_element"]) == {"1", "2", "3"}
    for picture in ("latents", "rollouts", "training"):
        assert (directory / "figures" / f"{picture}.png").stat().st_size > 3000
    assert "Hits@1" in run("evaluate", f"--run={directory}")
    out = run("export.__main__", f"--run={directory}")
    assert "encode: image uint8 (batch, 9, 9, 3)" in out


@pytest.mark.usefixtures("dots")
def test_an_environment_of_one_s_own_is_named_by_where_its_class_is(run):
    """That programs train and score it so is told in own_world_test.py."""
    out = run("generate", "--env=dots:Dots", "--episodes=4", "--steps=2", "--shards=2")
    assert "in 2 shards: 8 transitions" in out


@pytest.mark.parametrize("place", ["nowhere:Dots", "json:Dots", "json:JSONDecoder"])
def test_what_is_no_environment_s_class_is_one_line(place):
    with pytest.raises(ValueError, match="Expected .*") as caught:
        world_models.choose([f"--env={place}"])
    assert place.split(":")[1] in str(caught.value) and "\n" not in str(caught.value)
