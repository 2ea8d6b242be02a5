"""Every command and every program in README runs, on experiments of seconds."""

import importlib
import pathlib
import re
import shlex

import pytest

from sen_tf import decode, generate, reproduce
from sen_tf.export import __main__ as export

evaluate = importlib.import_module("sen_tf.evaluate")
train = importlib.import_module("sen_tf.train")

README = (pathlib.Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
PROGRAMS = {
    **{"train": train, "evaluate": evaluate, "decode": decode, "generate": generate},
    **{"export": export, "reproduce": reproduce},
}
TINY = (
    *("--train_episodes=120", "--eval_episodes=30", "--epochs=1"),
    *("--hidden=8", "--filters=4", "--batch_size=32"),
)
SMALLER = {
    "train": ["--preset=quick", *TINY],
    "decode": ["--epochs=1"],
    "reproduce": ["--seeds=1", "--preset=quick", *TINY],
    "generate": ["--episodes=3"],
    "evaluate": [],
    "export": [],
}


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def commands():
    lines = [line for block in blocks("bash") for line in block.splitlines()]
    pattern = r"python -m sen_tf\.(\w+)(.*)"
    return [match.groups() for line in lines if (match := re.search(pattern, line))]


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """A folder in which the commands have run, in their order."""
    folder = tmp_path_factory.mktemp("readme")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        # The programs that it runs are found from elsewhere too.
        patch.setenv("PYTHONPATH", str(pathlib.Path(reproduce.__file__).parents[1]))
        for program, arguments in commands():
            words = shlex.split(arguments)
            if program == "train" and "--output" not in arguments:
                # Where the command itself, without flags that make it smaller, writes.
                words.append("--output=runs/cubes-sen-quick-seed1")
            PROGRAMS[program].main([*words, *SMALLER[program]])
    return folder


def test_commands(workplace):
    assert {program for program, _ in commands()} == set(PROGRAMS)
    assert (workplace / "runs" / "mine" / "model.keras").exists()
    assert (workplace / "serving" / "cubes" / "1" / "saved_model.pb").exists()


def test_python_blocks(workplace, monkeypatch):
    monkeypatch.chdir(workplace)
    names = {}
    for block in blocks("python"):
        exec(compile(block, "README.md", "exec"), names)
    assert names["states"].shape == (8, 3, 5, 4, 2)
    assert names["state"].shape == (8, 5, 4, 2)


def test_links_lead_somewhere():
    root = pathlib.Path(__file__).parents[1]
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", README):
        assert (root / target).exists(), target
