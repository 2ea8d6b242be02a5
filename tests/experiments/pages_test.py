"""Pages of results, made of reports that are written out here."""

import copy
import json

import pytest

from sen_tf.experiments import pages

SOURCE = "arXiv 2204.11371"
REPORT = {
    "table": "cubes-limited",
    "title": "3D Blocks",
    "paper": "2204.11371",
    "command": "python -m sen_tf.reproduce --table=cubes-limited",
    "seeds": [1, 2],
    "budget": {
        "sen": {"transitions_seen": 189952, "preset": "laptop"},
        "tfn": {"transitions_seen": 1000, "preset": "laptop"},
    },
    "date": "2026-11-28",
    "machine": "a machine",
    "versions": {"sen_tf": "0.1.0", "keras": "3.15.1"},
    "commit": "abc-dirty",
    "remark": "",
    "cells": [
        {
            "arm": "sen",
            "metric": "hits@1",
            "title": "Hits@1 %",
            "ours": {"mean": 99.891, "deviation": 0.037, "values": {"1": 99.854, "2": 99.928}},
            "published": {"mean": 83.7, "deviation": 36, "source": SOURCE},
            "verdict": "reached",
        },
        {
            "arm": "sen",
            "metric": "mrr",
            "title": "MRR %",
            "ours": {"mean": 50.0, "deviation": 0.0, "values": {"1": 50.0}},
            "published": None,
            "verdict": "no published value",
        },
        {
            "arm": "tfn",
            "metric": "hits@1",
            "title": "Hits@1 %",
            "ours": None,
            "published": {"mean": 4.9, "deviation": 0, "source": "submission to ICLR 2022"},
            "verdict": "not measured",
        },
    ],
}


def test_a_page_says_all_that_the_report_says():
    lines = pages.page(REPORT).splitlines()
    assert lines[0] == "# cubes-limited: 3D Blocks"
    assert lines[2].startswith("`sen` and `tfn` are compared with what [arXiv 2204.11371](https://")
    for line in (
        "| sen | Hits@1 % | 99.89 ± 0.037 | 83.7 ± 36 | reached |",
        "| sen | MRR % | 50 |  | no published value |",
        "| tfn | Hits@1 % |  | 4.9 (submission to ICLR 2022) | not measured |",
        "- Seeds: 1, 2; mean ± standard deviation over them",
        "- Budget: 189,952 transitions seen (sen), 1,000 transitions seen (tfn), preset laptop",
        "- Machine: a machine",
        "- Versions: sen_tf 0.1.0, keras 3.15.1",
        "- Commit: abc-dirty",
        "- Date: 2026-11-28",
        "python -m sen_tf.reproduce --table=cubes-limited",
    ):
        assert line in lines
    assert lines[-1] == "```"


def test_a_page_shows_the_remark_and_says_what_is_missing():
    report = copy.deepcopy(REPORT) | {"remark": "One seed.", "commit": None, "seeds": [3]}
    for cell in report["cells"]:
        cell["published"] = None
    lines = pages.page(report).splitlines()
    assert lines[2].startswith("`sen` and `tfn` are compared; [arXiv 2204.11371]")
    assert lines[4:8] == [
        "| arm | Hits@1 % | MRR % |",
        "| --- | --- | --- |",
        "| sen | 99.89 ± 0.037 | 50 |",
        "| tfn |  |  |",
    ]
    assert not any(line.startswith("Better is") for line in lines)
    assert lines[2].endswith("prints no numbers for it.")
    assert {"- Seeds: 3", "- Commit: not in a git checkout"} <= set(lines)
    assert lines[-1] == "One seed."


def test_numbers_of_many_digits_are_written_out():
    report = copy.deepcopy(REPORT)
    report["cells"][0]["ours"] |= {"mean": 12345.6, "deviation": 303.3}
    assert "| sen | Hits@1 % | 12346 ± 303 | 83.7 ± 36 | reached |" in pages.page(report)


@pytest.fixture
def folder(tmp_path):
    for name in ("b", "a"):
        (tmp_path / f"{name}.json").write_text(json.dumps(REPORT | {"table": name}))
    return tmp_path


def test_a_folder_has_a_page_per_report_and_an_index(folder):
    rendered = pages.render(folder)
    assert [path.name for path in rendered] == ["a.md", "b.md", "index.md"]
    assert rendered[folder / "a.md"] == pages.page(REPORT | {"table": "a"})
    rows = [line for line in rendered[folder / "index.md"].splitlines() if line.startswith("| [")]
    assert rows[0] == (
        "| [a](a.md) | 3D Blocks | 2 | Hits@1 % | sen 99.89 ± 0.037 (83.7 ± 36); "
        "tfn not measured (4.9) |"
    )
    assert rows[1].startswith("| [b](b.md) |")
