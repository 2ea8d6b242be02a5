"""README is short, its programs run on experiments of seconds; every command of README and of the
documentation's pages is one that the programs take, what they import is there, and blocks that
stand by themselves run."""

import ast
import importlib
import pathlib
import re
import shlex

import pytest

from benchmarks import run
from sen_tf import decode, generate, plan, reproduce, settings
from sen_tf.experiments import world_models
from sen_tf.export import __main__ as export

evaluate = importlib.import_module("sen_tf.evaluate")
train = importlib.import_module("sen_tf.train")

ROOT = pathlib.Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
for _room in ("guides", "concepts", "notes"):
    PAGES += sorted((ROOT / "docs" / _room).glob("*.md"))
PAGES += sorted((ROOT / "docs" / "tutorials").glob("*.py"))
LONGEST = 600
"""Words of README beside its programs and commands."""
PARSE = {
    "train": lambda words: train.parse(words, *train.GROUPS),
    "evaluate": lambda words: world_models.parse(words, *evaluate.GROUPS),
    "decode": lambda words: settings.parse(words, decode.Decoding),
    "generate": lambda words: world_models.parse(words, *generate.GROUPS),
    "export": lambda words: settings.parse(words, export.Export),
    "reproduce": lambda words: reproduce.parse(words),
    "plan": lambda words: settings.parse(words, *plan.GROUPS),
}
TINY = {"train_episodes": 120, "eval_episodes": 30, "epochs": 1, "hidden": 8, "filters": 4}
TINY |= {"batch_size": 32}


def blocks(text, language):
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def commands(text):
    """The programs and arguments of commands of ours, in blocks and between backticks."""
    text = text.replace("\\\n", " ")
    lines = [*"".join(blocks(text, r"\w*")).splitlines(), *re.findall(r"`([^`\n]+)`", text)]
    found = (re.search(r"python -m sen_tf\.(\w+)([^#]*)", line) for line in lines)
    return [match.groups() for match in found if match]


def test_it_is_short():
    prose = re.sub(r"```.*?```", "", README, flags=re.DOTALL)
    assert len(prose.split()) < LONGEST


def test_commands_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (program, arguments), *_ = commands(README)
    assert program == "train"
    sizes = [f"--{name}={value}" for name, value in TINY.items()]
    train.main([*shlex.split(arguments), "--preset=quick", "--output=run", *sizes])
    assert (tmp_path / "run" / "report.html").exists()


def test_python_blocks_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {}
    for block in blocks(README, "python"):
        smaller = ", ".join(f"{name}={value}" for name, value in TINY.items())
        block = block.replace("epochs=2", smaller)
        exec(compile(block, "README.md", "exec"), names)
    assert names["states"].shape == (8, 3, 5, 4, 2)
    assert names["state"].shape == (8, 5, 4, 2)
    assert 0 <= names["run"].scores["steps"]["10"]["hits@1"] <= 1


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_what_blocks_import_is_there(path):
    for block in blocks(path.read_text(encoding="utf-8"), "python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and node.module.startswith("sen_tf"):
                exec(ast.unparse(node), {})


BLOCKS = (
    "concepts/equivariance",
    "concepts/fields",
    "concepts/groups",
    "guides/symmetry",
    pytest.param("guides/agents", marks=pytest.mark.slow),  # 300 steps of learning
)
"""Pages whose blocks, one after the other, need nothing else."""


@pytest.mark.parametrize("page", BLOCKS)
def test_blocks_of_pages_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {}
    for block in blocks((ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8"), "python"):
        exec(compile(block, page, "exec"), names)


LEFT_OUT = (
    "--env=my_",
    "--env=package.",
    "--env=facts:",
    "--dataset=",
    "--shards=N",
    "...",
    "--help",
)
"""Words of what is not there, or stands for something else."""


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_commands_are_those_of_the_programs(path, tmp_path, monkeypatch):
    """Flags that are wrong, or of another program, are found; nothing is run."""
    monkeypatch.chdir(tmp_path)  # where no run and no dataset is
    for program, arguments in commands(path.read_text(encoding="utf-8")):
        words = [word for word in shlex.split(arguments) if not word.startswith(LEFT_OUT)]
        PARSE[program](words)


def test_the_pages_have_commands():
    assert sum(len(commands(path.read_text(encoding="utf-8"))) for path in PAGES) > 40


def test_commands_of_benchmarks_are_of_suites_that_are_there():
    texts = [path.read_text(encoding="utf-8") for path in PAGES]
    found = {name for text in texts for name in re.findall(r"benchmarks\.run --suite=(\w+)", text)}
    assert found and found <= {"all", *run.SUITES}


def test_links_lead_somewhere():
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", README):
        assert (ROOT / target).exists(), target
