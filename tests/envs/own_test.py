"""Environments of the user's own: what is taken for granted of them, and what they must draw."""

import hashlib
import importlib
import linecache
import pathlib
import sys
import types

import gymnasium
import numpy as np
import pytest

from sen_tf import datasets, envs, groups
from sen_tf.envs import own


class Drawn(gymnasium.Env):
    """A grey level that is observed as a number and drawn as a large image."""

    metadata = {"render_modes": ["rgb_array"]}
    observation_space = gymnasium.spaces.Box(0, 1, (1,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, render_mode=None):
        self.render_mode = render_mode

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.level = 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.level += 10 * action
        return np.array([self.level / 255], np.float32), 0.0, False, False, {"level": self.level}

    def render(self):
        return np.full((200, 300, 3), self.level, np.uint8)


class Blind(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(0, 1, (1,), np.float32)


def test_what_is_drawn_is_observed_in_small():
    made = own.completed(Drawn)
    env = made()
    assert env.observation_space == gymnasium.spaces.Box(0, 255, (43, 64, 3), np.uint8)
    first, _ = env.reset(seed=0)
    after, reward, terminated, truncated, info = env.step(1)
    assert first.shape == after.shape == (43, 64, 3)
    assert (first == 0).all() and (after == 10).all()
    assert (reward, terminated, truncated, info) == (0.0, False, False, {"level": 10})


def test_what_is_not_stated_is_nothing_special():
    made = own.completed(Drawn)
    assert (made.name, made.group, made.objects) == ("drawn", groups.get("C1"), None)
    assert all(hasattr(made, fact) for fact in envs.FACTS)
    text = pathlib.Path(__file__).read_bytes()
    assert made.version == int(hashlib.sha256(text).hexdigest()[:8], 16)  # on every machine


def test_what_is_stated_stays():
    class Stated(Drawn):
        name, version, group = "mine", 7, groups.get("D4")
        action_representation = "2 trivial"

    made = own.completed(Stated)
    assert (made.name, made.version, made.group) == ("mine", 7, groups.get("D4"))
    assert own.completed(envs.ENVS["cubes"]) is envs.ENVS["cubes"]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """The place of a class of the user's own, in a module of this test alone."""
    lines = ["from tests.envs.own_test import Drawn", "class Lamp(Drawn):", "    pass"]
    (tmp_path / "lamps.py").write_text("\n".join(lines))
    monkeypatch.syspath_prepend(tmp_path)
    yield "lamps:Lamp"
    sys.modules.pop("lamps", None)


def forget():
    """As in a process that has not heard of it."""
    envs.ENVS.pop("lamp", None)
    envs.PLACES.pop("lamp", None)
    gymnasium.registry.pop("sen_tf/Lamp-v0", None)


def test_gymnasium_makes_what_was_loaded_also_from_its_spec_alone(place):
    made = envs.load(place)
    env = gymnasium.make("sen_tf/Lamp-v0", disable_env_checker=True)
    assert type(env.unwrapped) is made
    assert env.reset(seed=0)[0].shape == (43, 64, 3)
    words = env.spec.to_json()
    forget()
    again = gymnasium.make(gymnasium.envs.registration.EnvSpec.from_json(words))
    assert again.observation_space.shape == (43, 64, 3)
    assert again.unwrapped.name == "lamp" and "lamp" in envs.ENVS


def test_the_command_that_makes_data_anew_names_the_place(place, tmp_path):
    envs.load(place)
    with pytest.raises(datasets.DatasetError, match=f"generate --env={place} --output"):
        datasets.read_episodes(tmp_path / "none.h5", "lamp")


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda: own.completed(Blind), "`Blind` to observe images.*or to draw them by `render`"),
        (
            lambda: own.completed(type("Half", (Drawn,), {"group": groups.get("C2")})),
            "`Half` to state 'action_representation', since it states a group",
        ),
        (
            lambda: own.completed(type("Needy", (Drawn,), {"__init__": lambda self, size: None})),
            "`Needy` to be made without arguments",
        ),
        (
            lambda: own.completed(type("Named", (Drawn,), {"group": "C4"})),
            r"`Named` to state a finite group, as groups.get\('C4'\).*received group='C4'",
        ),
        (
            lambda: own.completed(type("Without", (Drawn,), {"group": None})),
            "`Without` to state a finite group.*received group=None",
        ),
        (lambda: envs.find("json:dumps"), "'json:dumps' to name a class.*gymnasium.Wrapper"),
        (lambda: envs.find("json:Nothing"), "received 'json:Nothing'"),
    ],
)
def test_what_cannot_be_taken(made, said):
    with pytest.raises(ValueError, match=said):
        made()


def test_an_episode_without_a_seed_is_another_each_time():
    class Random(Drawn):
        def reset(self, *, seed=None, options=None):
            found = super().reset(seed=seed)
            self.level = int(self.np_random.integers(256))
            return found

    made = own.completed(Random)
    assert len({int(made().reset()[0].max()) for _ in range(8)}) > 1
    assert len({int(made().reset(seed=3)[0].max()) for _ in range(8)}) == 1


CELL = """
class Lamp(Drawn):
    def render(self):
        return np.full((200, 300, 3), {level}, np.uint8)
"""


def typed(level):
    """The class of a notebook's cell, whose text Python's own tools find by the cell's name."""
    text, cell = CELL.format(level=level), f"<cell {level}>"
    linecache.cache[cell] = (len(text), None, text.splitlines(keepends=True), cell)
    module = types.ModuleType("notebook")
    module.__dict__.update(Drawn=Drawn, np=np)
    exec(compile(text, cell, "exec"), module.__dict__)
    return module


def test_a_cell_that_is_run_again_makes_its_class_anew(monkeypatch):
    first, again, edited = (typed(level) for level in (1, 1, 2))
    found = []
    for module in (first, again, edited):
        monkeypatch.setitem(sys.modules, "notebook", module)
        found.append(envs.load("notebook:Lamp"))
        assert issubclass(envs.ENVS["lamp"], module.Lamp)
    assert found[0].version == found[1].version != found[2].version != 1


def test_a_class_takes_the_place_of_episodes_of_its_name(place):
    envs.ENVS["lamp"] = datasets.Recorded
    assert issubclass(envs.load(place), envs.find(place))


def test_a_class_changes_with_what_it_is_made_of(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "upper.py").write_text("from lower import Base\nclass Upper(Base): pass\n")
    versions = []
    for level in (1, 2):
        (tmp_path / "lower.py").write_text(f"class Base:\n    level = {level}\n")
        for name in ("upper", "lower"):
            sys.modules.pop(name, None)
        importlib.invalidate_caches()
        versions.append(own._version(envs.find("upper:Upper")))
    assert versions[0] != versions[1]


def test_names_that_no_file_could_have_are_refused():
    with pytest.raises(ValueError, match="letters, digits and underscores; received 'my env'"):
        envs.register(own.completed(type("Lamp", (Drawn,), {"name": "my env"})))
