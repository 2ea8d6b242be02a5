"""What every test shares: quiet logs, no GPU, the vectors of the published code, imports."""

import ast
import os
import pathlib
import types
from typing import NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"  # whatever a cluster has set
os.environ["KERAS_BACKEND"] = "tensorflow"

import gymnasium
import hypothesis
import numpy as np
import pytest

ROOT = pathlib.Path(__file__).parents[1]

# Multiplies the examples of the tests that leave their number to this profile.
FUZZ = int(os.environ.get("SEN_TF_FUZZ", "1"))
hypothesis.settings.register_profile("sen_tf", deadline=None, max_examples=100 * FUZZ)
hypothesis.settings.load_profile("sen_tf")


LONGEST = (
    *("backends_test", "tutorials_test", "own_world_test", "train_test", "reproduce_test"),
    *("trainer_test", "conformance_test", "tdmpc_test", "own_networks_test", "survival_test"),
)
"""Files of more than a core minute; they begin first, so that none is waited for at the end."""


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.path.stem not in LONGEST)


@pytest.fixture(autouse=True)
def known_environments():
    """Forgets what a test registered: other tests count the environments there are."""
    from sen_tf import envs

    known = [(table, dict(table)) for table in (envs.ENVS, envs.PLACES, gymnasium.registry)]
    yield
    for table, before in known:
        table.clear()
        table.update(before)


@pytest.fixture
def unexported(monkeypatch):
    """Leaves out the export with which a run ends, a quarter of the time of a tiny one."""
    from sen_tf.experiments import training_run

    stand_in = types.SimpleNamespace(export_model=lambda model, directory: directory)
    monkeypatch.setattr(training_run, "export", stand_in)


@pytest.fixture(scope="session")
def vectors():
    """Opens a file of tests/parity by its name without ending."""
    return lambda name: np.load(ROOT / "tests" / "parity" / f"{name}.npz")


@pytest.fixture(scope="session")
def make_reacher():
    """Makes the environment; the test is skipped where its simulator cannot run."""
    from sen_tf.envs.reacher import Reacher

    def make(**arguments):
        env = Reacher(**{"workers": 2} | arguments)
        try:
            env.step_states(*first)
        except gymnasium.error.DependencyNotInstalled as error:
            pytest.skip(str(error))
        return env

    first = Reacher().sample_states(np.random.default_rng(0), 1), np.zeros((1, 2))
    return make


@pytest.fixture(scope="session")
def count_pixels():
    """Counts the pixels of a picture file that have exactly a colour, as Matplotlib names it."""
    from matplotlib.colors import to_rgb
    from PIL import Image

    def count(path, colour):
        with Image.open(path) as picture:
            pixels = np.asarray(picture.convert("RGB"))
        return np.count_nonzero((pixels == np.round(255 * np.array(to_rgb(colour)))).all(axis=-1))

    return count


class Import(NamedTuple):
    """An import of a source file: the module's full name, its file if it is ours, and whether it
    waits inside a function until that is called."""

    name: str
    path: pathlib.Path | None
    deferred: bool


@pytest.fixture(scope="session")
def imports():
    """Reads the imports of a source file, as a list, without running it."""
    return _imports


def _imports(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):  # what only type checkers read is not imported
        if isinstance(node, ast.If) and ast.unparse(node.test) == "typing.TYPE_CHECKING":
            node.body = []
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))
    deferred = {id(node) for function in functions for node in ast.walk(function)}
    return [
        Import(name, _source(name), id(node) in deferred)
        for node in ast.walk(tree)
        for name in _imported_names(node)
    ]


def _imported_names(node):
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        # `from sen_tf import runs` imports a module, `from sen_tf.envs import ENVS` a value of one.
        module = "." * node.level + (node.module or "")
        members = [f"{module}.{alias.name}" for alias in node.names]
        return sorted({name if _source(name) else module for name in members})
    return []


def _source(name):
    path = ROOT.joinpath(*name.split("."))
    files = (path.with_suffix(".py"), path / "__init__.py")
    return next((file for file in files if name.startswith("sen_tf") and file.is_file()), None)
