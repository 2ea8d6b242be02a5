"""An experiment: a table of arms, each run with several seeds and scored by the same metrics."""

import csv
import dataclasses
import json
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

from sen_tf.experiments import provenance
from sen_tf.settings import UsageError
from sen_tf.settings import parse as parse_settings
from sen_tf.training import runs

PUBLISHED = pathlib.Path(__file__).parent / "published.csv"
"""The numbers that papers print: table, arm, metric, mean, deviation (0 if none), source."""


RESULT = "result.json"
"""The file of a run: arm, seed, date, machine, versions, commit, settings, and what was found."""


@dataclasses.dataclass(frozen=True)
class Metric:
    """A column of a table: its title with its unit, and whether less is better."""

    title: str
    lower_is_better: bool = False


@dataclasses.dataclass(frozen=True)
class Experiment:
    """A table: arms, each run with several seeds and scored by the same metrics.

    Attributes:
        paper: The arXiv number of the paper that it is of, such as `"2204.11371"`.
        title: What it compares, one line.
        arms: Names of what is compared.
        metrics: The columns by name, the main one first.
        run: Function `(arm, settings, seed, directory) -> {name: number}`, which leaves what else
            it makes in the directory and goes on with what it finds there. Names that are no
            metrics say what it cost; they may be strings.
        settings: Dataclasses whose fields are the flags of this table.
        flags: What differs from the flagfiles, which nobody may type.
        owned: Names of further flags that the table sets itself, such as that of the arm.
        parse: Function as `settings.parse`, which knows the flagfiles.
        draw: Function `(directory) -> [files]` that draws what all runs made; or None.
    """

    paper: str
    title: str
    arms: tuple[str, ...]
    metrics: dict[str, Metric]
    run: Callable
    settings: tuple[type, ...] = ()
    flags: tuple[str, ...] = ()
    owned: tuple[str, ...] = ()
    parse: Callable = parse_settings
    draw: Callable | None = None


def published(table: str) -> dict[tuple[str, str], dict[str, Any]]:
    """The printed numbers of a table: dicts of mean, deviation and source by (arm, metric)."""
    with open(PUBLISHED, encoding="utf-8", newline="") as file:
        return {
            (row["arm"], row["metric"]): {
                "mean": float(row["mean"]),
                "deviation": float(row["deviation"]),
                "source": row["source"],
            }
            for row in csv.DictReader(file)
            if row["table"] == table
        }


def run_cell(
    experiment: Experiment, arm: str, settings: Sequence[Any], seed: int, directory: pathlib.Path
) -> None:
    """Runs an arm with a seed in this process, and writes its `RESULT` into the directory."""
    directory.mkdir(parents=True, exist_ok=True)
    values = {name: value for each in settings for name, value in vars(each).items()}
    # Before the run: its code is that of now, whatever is committed while it trains.
    about = {"arm": arm, "seed": seed, **provenance.describe(), "settings": values}
    found = experiment.run(arm, settings, seed, directory)
    runs.write_json(directory / RESULT, about | {"found": found})


FREE = {"data_dir", "seed"}
"""Settings in which a run that is kept may differ: the seed is the directory's."""


def kept(directory: pathlib.Path, settings: Sequence[Any]) -> dict[str, Any]:
    """The `RESULT` of a run that is there.

    Raises:
        UsageError: If it was made with other settings.
    """
    result = json.loads((directory / RESULT).read_text(encoding="utf-8"))
    values = {name: value for each in settings for name, value in vars(each).items()}
    for name in sorted(values.keys() - FREE):
        before = result["settings"].get(name, values[name])
        if before != values[name]:
            raise UsageError(
                f"{directory} holds a run with --{name}={before}, not {values[name]}; choose "
                "another --output"
            )
    return result
