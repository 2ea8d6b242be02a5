"""What is said of results beside published numbers, and that every table is whole."""

import csv
import dataclasses

import pytest

from sen_tf import experiments
from sen_tf.experiments import comparison, pages, symmetric_embeddings, world_models
from sen_tf.experiments.experiment import PUBLISHED, Metric, published


def result(seed, date="2026-11-28", commit="abc", **found):
    about = {"machine": "a machine", "versions": {"keras": "3.15.1"}, "settings": {}}
    return {"arm": "sen", "seed": seed, "date": date, "commit": commit, **about, "found": found}


@pytest.mark.parametrize("name", experiments.TABLES)
def test_every_table_is_whole(name):
    """Its arms run, its flags are read, and what is printed for it is a column of it."""
    experiment = experiments.get(name)
    parsed = experiment.parse([*experiment.flags], *experiment.settings)
    assert len(parsed) == len(experiment.settings) and experiment.title
    known = {field.name for part in experiment.settings for field in dataclasses.fields(part)}
    assert set(experiment.owned) <= known
    for arm, metric in published(name):
        assert arm in experiment.arms and metric in experiment.metrics


def test_published_numbers_belong_to_tables_and_name_their_source():
    with open(PUBLISHED, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 71 and all(
        row["source"] and row["table"] in experiments.TABLES for row in rows
    )
    cells = [(row["table"], row["arm"], row["metric"]) for row in rows]
    assert len(set(cells)) == len(cells)
    assert published("reacher-limited")["fully_equivariant", "hits@10"] == {
        "mean": 89.4,
        "deviation": 11,
        "source": "arXiv 2204.11371",
    }
    printed = published("teapot-large")["sen", "ee_embedding"]
    assert printed["mean"] == pytest.approx(0.05 / 3**0.5, 1e-4)
    assert published("cubes") == {}


def test_limited_tables_limit_what_is_trained_on():
    def trained_on(name):
        experiment = experiments.get(name)
        return world_models.Settings(
            *experiment.parse([*experiment.flags], *experiment.settings)
        ).training_set

    assert trained_on("cubes-limited").train_actions == ["up", "right", "down"]
    assert trained_on("cubes").train_actions == []
    assert trained_on("rush_hour-limited").train_starts == ["up"]
    assert trained_on("reacher-limited").train_actions == ["second_nonnegative"]


@pytest.mark.parametrize(
    "metric, ours, theirs, expected",
    [
        ("hits@1", (100.0, 0.0), (99.9, 0), "better"),
        ("hits@1", (100.0, 0.5), (99.9, 0), "reached"),  # within our own deviation
        ("hits@1", (90.0, 1.0), (83.7, 36), "reached"),
        ("hits@1", (90.0, 1.0), (95.8, 0.7), "not reached"),
        ("ee_embedding", (0.5, 0.1), (0.96, 0), "better"),
        ("ee_embedding", (1.2, 0.1), (0.96, 0), "not reached"),
        ("ee_embedding", (1.2, 0.1), None, "no published value"),
    ],
)
def test_verdicts(metric, ours, theirs, expected):
    assert comparison.verdict(symmetric_embeddings.METRICS[metric], ours, theirs) == expected


@pytest.fixture
def report():
    """The report of two runs of one arm of three."""
    found = {"mrr": 100, "ee_embedding": 1.0, "die_model": 2.0, "transitions_seen": 1000}
    found |= {"preset": "laptop"}
    done = [
        result(1, **{"hits@1": 90.0}, **found),
        result(2, "2026-11-29", "abd", **{"hits@1": 70.0}, **found),
    ]
    command = ["--table=cubes-limited", "--only=sen", "--seeds=2", "--output=/somewhere"]
    experiment = experiments.get("cubes-limited")
    return comparison.report("cubes-limited", experiment, {"sen": done}, command)


def test_a_cell_is_the_mean_over_seeds_beside_what_is_printed(report):
    cells = {(cell["arm"], cell["metric"]): cell for cell in report["cells"]}
    assert len(cells) == 12
    assert cells["sen", "hits@1"] == {
        "arm": "sen",
        "metric": "hits@1",
        "title": "Hits@1 %",
        "ours": {"mean": 80, "deviation": 10, "values": {"1": 90, "2": 70}},
        "published": {"mean": 99.9, "deviation": 0, "source": "arXiv 2204.11371"},
        "verdict": "not reached",
    }
    missing = cells["nonequivariant", "hits@1"]
    assert (missing["ours"], missing["verdict"]) == (None, "not measured")
    assert missing["published"]["mean"] == 52.3
    assert Metric("a title").lower_is_better is False


def test_a_report_says_how_its_numbers_were_made(report):
    assert {name: report[name] for name in ("table", "paper", "seeds", "date", "remark")} == {
        "table": "cubes-limited",
        "paper": "2204.11371",
        "seeds": [1, 2],
        "date": "2026-11-29",
        "remark": "",
    }
    assert report["command"].endswith("sen_tf.reproduce --table=cubes-limited --only=sen --seeds=2")
    assert report["budget"] == {"sen": {"transitions_seen": 1000, "preset": "laptop"}}
    assert (report["machine"], report["commit"]) == ("a machine", "abc, abd")
    assert report["versions"] == {"keras": "3.15.1"}


def test_scores_are_those_of_the_last_horizon_or_of_the_one_that_the_table_names():
    steps = {
        at: {"hits@1": hits, "hits@10": 1.0, "mrr": hits, "die_model": 0.02}
        for at, hits in (("1", 1.0), ("5", 0.9), ("10", 0.7))
    }
    symmetry = {"mean": {"ee_embedding": 1.5, "die_embedding": 0.01}}
    scores = {"steps": steps, "symmetry": symmetry}
    last, first = (symmetric_embeddings.numbers(scores, horizon) for horizon in (None, 1))
    assert last == {"hits@1": 70, "hits@10": 100, "mrr": 70, "ee_embedding": 1.5, "die_model": 2}
    assert first["hits@1"] == 100
    scores |= {"hard_hits": {"6": 0.9, "18": 1.0}, "traversal_hits": {"pitch": 1.0, "yaw": 0.5}}
    found = symmetric_embeddings.numbers(scores)
    assert (found["hard_hits@6"], found["hard_hits@18"], found["traversal_yaw"]) == (90, 100, 50)


def test_a_budget_is_that_of_all_seeds():
    runs = [
        result(1, reached="yes", steps=100, seen=1000, preset="quick"),
        result(2, reached="not in 300 steps", steps=300, seen=1000, preset="quick"),
    ]
    experiment = experiments.get("equivariant-planning")
    report = comparison.report("equivariant-planning", experiment, {"plain": runs}, [])
    assert report["budget"]["plain"] == {
        "reached": "yes, not in 300 steps",
        "steps": "100 to 300",
        "seen": 1000,
        "preset": "quick",
    }
    report["budget"]["equivariant"] = {"reached": "yes"}  # an older run, which says no more
    budget = "reached yes, not in 300 steps (plain), reached yes (equivariant), steps 100 to 300"
    assert budget in pages.page(report)
