"""Pages of results are those of their JSON, and notes are short, listed, and can be repeated."""

import importlib
import json
import os
import pathlib
import re
import shlex

import pytest

from sen_tf import decode, experiments, generate, plan, reproduce, settings
from sen_tf.experiments import comparison, pages, world_models
from sen_tf.experiments.experiment import published

train = importlib.import_module("sen_tf.train")

ROOT = pathlib.Path(__file__).parents[1]
DOCS = ROOT / "docs"
RESULTS, NOTES = DOCS / "results", DOCS / "notes"
REPORTS = sorted(RESULTS.glob("*.json"))
FINDINGS = sorted(path for path in NOTES.glob("*.md") if path.name != "index.md")
NO_TABLE_OF_A_PAPER = {"negatives", "plateau", "recipes"}

PROGRAMS = {
    "train": lambda words: train.parse(words, *train.GROUPS),
    "reproduce": reproduce.parse,
    "decode": lambda words: settings.parse(words, decode.Decoding),
    "plan": lambda words: settings.parse(words, *plan.GROUPS),
    "generate": lambda words: world_models.parse(words, *generate.GROUPS),
}


def read(path):
    return path.read_text(encoding="utf-8")


def test_every_page_of_results_is_that_of_its_json():
    rendered = pages.render(RESULTS)
    stale = [
        path.name for path, text in rendered.items() if not path.exists() or read(path) != text
    ]
    assert not stale, f"{stale} of docs/results are stale: run python -m docs.results_pages"
    assert {path.name for path in RESULTS.glob("*.md")} == {path.name for path in rendered}


def test_every_table_of_the_paper_has_a_page():
    assert {path.stem for path in REPORTS} >= set(experiments.TABLES) - NO_TABLE_OF_A_PAPER


@pytest.mark.parametrize("path", REPORTS, ids=lambda path: path.stem)
def test_a_report_is_of_a_table_as_it_is_now(path):
    """Its means, printed numbers and verdicts are those of its values, its command is known."""
    report = json.loads(read(path))
    assert report["table"] == path.stem
    experiment, printed = experiments.get(path.stem), published(path.stem)
    assert (report["title"], report["paper"]) == (experiment.title, experiment.paper)
    cells = {(cell["arm"], cell["metric"]): cell for cell in report["cells"]}
    expected = [(arm, name) for arm in experiment.arms for name in experiment.metrics]
    assert list(cells) == expected and len(report["cells"]) == len(expected)
    for (arm, name), cell in cells.items():
        values = cell["ours"]["values"] if cell["ours"] else {}
        assert cell == comparison.cell(experiment, arm, name, values, printed.get((arm, name)))
        whole = sorted(map(int, values)) == report["seeds"]
        # Seeds that are still to be run are a remark, to the letter.
        assert not values or whole or f"{arm} {', '.join(values)}" in report["remark"]
    words = shlex.split(report["command"].removeprefix("python -m sen_tf.reproduce"))
    asked = reproduce.parse(words)[0]
    assert asked.table == path.stem
    assert report["seeds"] == list(range(asked.seed, asked.seed + asked.seeds))


def test_notes_are_listed_and_short():
    listed = re.findall(r"^- \[[^\]]+\]\(([^)]+)\)", read(NOTES / "index.md"), re.MULTILINE)
    assert sorted(listed) == [path.name for path in FINDINGS]
    assert not [path.name for path in FINDINGS if len(read(path).splitlines()) > 60]


@pytest.mark.parametrize("path", FINDINGS, ids=lambda path: path.stem)
def test_a_note_says_what_repeats_it(path):
    """It ends with commands whose flags are known, or with Python that compiles."""
    blocks = re.findall(r"```(bash|python)\n(.*?)```", read(path), re.DOTALL)
    assert blocks
    for language, text in blocks:
        if language == "python":
            compile(text, path.name, "exec")
            continue
        for line in text.replace("\\\n", " ").splitlines():
            program, words = re.fullmatch(r"python -m sen_tf\.(\w+) (.*)", line).groups()
            PROGRAMS[program](shlex.split(words))


@pytest.mark.parametrize("path", [*RESULTS.glob("*.md"), *NOTES.glob("*.md")], ids=lambda p: p.name)
def test_links_lead_to_files_of_docs(path):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)[^)]*\)", read(path)):
        linked = pathlib.Path(os.path.normpath(path.parent / target))
        assert linked.is_file() and linked.is_relative_to(DOCS), target


def test_every_image_is_on_a_page():
    shown = "".join(map(read, [ROOT / "README.md", *DOCS.rglob("*.md")]))
    assert not [path.name for path in (DOCS / "images").iterdir() if path.name not in shown]
