"""What is said of results beside published numbers, and that every table is whole."""

import csv
import dataclasses

import pytest

from sen_tf import experiments
from sen_tf.experiments import comparison, symmetric_embeddings, world_models
from sen_tf.experiments.experiment import PUBLISHED, Metric, published


def result(seed, **found):
    return {"arm": "sen", "seed": seed, "machine": "a machine", "settings": {}, "found": found}


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
    assert published("cubes-limited")["sen", "hits@1"] == (99.9, 0)
    assert published("reacher-limited")["fully_equivariant", "hits@10"] == (89.4, 11)
    assert published("teapot-large")["sen", "ee_embedding"][0] == pytest.approx(0.05 / 3**0.5, 1e-4)
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


def test_a_cell_is_the_mean_over_seeds_beside_what_is_printed():
    experiment = experiments.get("cubes-limited")
    found = {"mrr": 100, "ee_embedding": 1.0, "die_model": 2.0, "transitions_seen": 1000}
    found |= {"preset": "laptop"}
    done = [result(seed, **{"hits@1": hits}, **found) for seed, hits in ((1, 90.0), (2, 70.0))]
    cells = comparison.compare("cubes-limited", experiment, {"sen": done})
    first = {cell["metric"]: cell for cell in cells}["hits@1"]
    assert first == {
        "arm": "sen",
        "metric": "hits@1",
        "ours": (80, 10),
        "published": (99.9, 0),
        "verdict": "not reached",
    }
    text = comparison.markdown(cells, {"sen": done}, experiment, "cubes-limited")
    assert "Seeds 1, 2; 1,000 transitions seen, preset laptop; a machine." in text
    assert "| sen | Hits@1 % | 80 ± 10 | 99.9 ± 0 | not reached |" in text
    assert Metric("a title").lower_is_better is False


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
