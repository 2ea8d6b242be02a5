"""Results of an experiment beside what is published: means, verdicts, and the report of a table.

A report is the whole of `table.json`, from which `sen_tf.experiments.pages` makes pages.
"""

import re
import shlex
from collections.abc import Sequence
from typing import Any

import numpy as np

from sen_tf.experiments.experiment import Experiment, Metric, published

ROUNDING = 0.05
"""By how much printed numbers are rounded."""


def verdict(metric: Metric, ours: tuple[float, float], theirs: tuple[float, float] | None) -> str:
    """`"better"`, `"reached"` or `"not reached"`, of two (mean, standard deviation).

    Better is by more than both deviations, reached is to within the published one (and rounding).

    Args:
        metric: The `Metric`.
        ours, theirs: What was measured and what is published, or None.
    """
    if theirs is None:
        return "no published value"
    ahead = (ours[0] - theirs[0]) * (-1 if metric.lower_is_better else 1)
    if ahead > max(ours[1], theirs[1], ROUNDING):
        return "better"
    return "reached" if ahead >= -max(theirs[1], ROUNDING) else "not reached"


def cell(
    experiment: Experiment,
    arm: str,
    name: str,
    values: dict[str, float],
    theirs: dict[str, Any] | None,
) -> dict[str, Any]:
    """A cell of a table: a metric of an arm beside its published value.

    Args:
        experiment: The `Experiment`.
        arm: The arm.
        name: Name of the metric.
        values: What was measured, a dict by seed (a string, as in JSON); empty if nothing was.
        theirs: What is published, a dict of mean, deviation and source, or None.

    Returns:
        A dict of arm, metric, title, ours (mean, standard deviation and values, or None),
        published (as given) and verdict.
    """
    metric, numbers = experiment.metrics[name], list(values.values())
    about: dict[str, Any] = {"arm": arm, "metric": name, "title": metric.title}
    if not numbers:
        return about | {"ours": None, "published": theirs, "verdict": "not measured"}
    mean, deviation = float(np.mean(numbers)), float(np.std(numbers))
    printed = (theirs["mean"], theirs["deviation"]) if theirs else None
    return about | {
        "ours": {"mean": mean, "deviation": deviation, "values": values},
        "published": theirs,
        "verdict": verdict(metric, (mean, deviation), printed),
    }


def report(
    table: str,
    experiment: Experiment,
    results: dict[str, list[dict[str, Any]]],
    arguments: Sequence[str],
) -> dict[str, Any]:
    """All that `table.json` says of a table.

    Args:
        table: Name of the table.
        experiment: The `Experiment`.
        results: What the `RESULT` of each run holds, a list per arm.
        arguments: The command line that made it.

    Returns:
        A dict of table, title, paper, command, seeds, budget (a dict per arm), date (of the last
        run), machine, versions, commit, remark (empty, to be written by hand where a reader must
        know more) and cells.
    """
    done, printed = [result for each in results.values() for result in each], published(table)
    cells = [
        cell(experiment, arm, name, _values(results.get(arm, []), name), printed.get((arm, name)))
        for arm in experiment.arms
        for name in experiment.metrics
    ]
    return {
        "table": table,
        "title": experiment.title,
        "paper": experiment.paper,
        "command": _command(arguments),
        "seeds": sorted({result["seed"] for result in done}),
        "budget": {arm: _budget(each, experiment) for arm, each in results.items()},
        "date": max(result["date"] for result in done),
        "machine": _each(result["machine"] for result in done),
        "versions": {
            name: _each(result["versions"][name] for result in done) for name in done[0]["versions"]
        },
        "commit": _each(result["commit"] for result in done),
        "remark": "",
        "cells": cells,
    }


def _values(results, name):
    """A metric by seed; runs that did not measure it are left out."""
    found = {str(result["seed"]): result["found"].get(name) for result in results}
    return {seed: float(value) for seed, value in found.items() if value is not None}


def _budget(results, experiment):
    """The entries of `found` beside the metrics, of all runs of an arm."""
    found = [result["found"] for result in results]
    names = dict.fromkeys(name for each in found for name in each if name not in experiment.metrics)
    return {name: _together([each[name] for each in found if name in each]) for name in names}


def _together(values):
    """A value that all runs have; else all texts, or the range of numbers."""
    if len(set(values)) == 1:
        return values[0]
    texts = any(isinstance(value, str) for value in values)
    return _each(map(str, values)) if texts else f"{min(values):,} to {max(values):,}"


def _each(texts):
    """The different ones of some texts, in one; None if there are none."""
    return ", ".join(dict.fromkeys(text for text in texts if text)) or None


def _command(arguments):
    """The command that repeats a table, wherever its files lie."""
    kept = [word for word in arguments if not re.match(r"--?(output|data_dir)=", word)]
    return shlex.join(["python", "-m", "sen_tf.reproduce", *kept])
