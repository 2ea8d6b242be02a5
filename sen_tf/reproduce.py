"""Reproduces a table of the paper: trains every arm with several seeds, and compares.

  python -m sen_tf.reproduce --table=cubes-limited --preset=laptop --seeds=3

Writes table.md and table.json into the output directory, beside one run an arm and seed. Finished
runs are kept and an interrupted one resumes when the same command is given again. Flags of training
such as --epochs=10 go to every run.
"""

import dataclasses
import json
import pathlib
import re
import subprocess
import sys
import time

import numpy as np

from sen_tf import settings
from sen_tf.experiments import world_models
from sen_tf.published import METRICS, TABLES
from sen_tf.settings import setting
from sen_tf.training import runs

# Flags that the table sets.
SET = ("env", "sprites", "rotations", "model", "dataset", "trust_dataset", "train_actions")
SET += ("train_starts", "reversed_negatives", "episode_negatives")


@dataclasses.dataclass(frozen=True)
class Reproduction:
    """Table and seeds."""

    table: str = setting("cubes-limited", "Table of the paper.", choices=tuple(TABLES))
    seeds: int = setting(3, "How many seeds, counted from --seed on.", at_least=1)
    output: str | None = setting(
        None, "Directory of the runs and of the table. Default: a name in runs/."
    )


GROUPS = (Reproduction, *world_models.GROUPS)
FIRST = ("table", "preset", "seeds", "seed", "output", "data_dir")


def parse(arguments, *groups):
    return world_models.parse(arguments, *groups, default_preset=lambda: "laptop")


def train_all(table, flags, seeds, directory):
    """Trains every arm with every seed; returns the summaries, a list per arm.

    Args:
        table: A `published.Table`.
        flags: Dict of the flags that go to every run, beside those of the table.
        seeds: The seeds.
        directory: Where the runs go.
    """
    jobs = [(arm, seed) for seed in seeds for arm in table.published]
    summaries = {arm: [] for arm in table.published}
    begun, trained = time.perf_counter(), 0
    for number, (arm, seed) in enumerate(jobs):
        run = directory / f"{arm}-seed{seed}"
        _check_kept(run, flags)
        if not (run / runs.METRICS).exists():
            if trained:
                left = (time.perf_counter() - begun) / trained * (len(jobs) - number)
                print(f"about {left / 3600:.1f} h left")
            print(f"run {number + 1} of {len(jobs)}: {arm}, seed {seed}", flush=True)
            _train(table, flags, arm, seed, run)
            trained += 1
        summaries[arm].append(json.loads((run / runs.METRICS).read_text(encoding="utf-8")))
    return summaries


def _check_directory(directory):
    """Raises a UsageError unless a folder is new, or holds runs and their table alone."""
    others = [
        entry.name
        for entry in (directory.iterdir() if directory.is_dir() else ())
        if entry.name not in ("table.json", "table.md") and not re.search(r"-seed\d+$", entry.name)
    ]
    if others:
        raise settings.UsageError(
            f"{directory} holds {others[0]}, which is no run of a table; choose another --output"
        )


def _check_kept(run, flags):
    """Raises a UsageError where a run is there already that was trained with other flags."""
    if not (run / runs.FLAGS).exists():
        return
    saved = settings.load(run / runs.FLAGS, *world_models.GROUPS)
    kept = {name: value for each in saved for name, value in vars(each).items()}
    for name, value in flags.items():
        if name != "data_dir" and kept.get(name, value) != value:
            raise settings.UsageError(
                f"{run} holds a run with --{name}={kept[name]}, not {value}; choose another "
                "--output"
            )


def _train(table, flags, arm, seed, run):
    """One run in a process of its own, so that none inherits the memory of the one before."""
    env = {"env": table.env} if table.env else {}
    flags = {"model": arm, "seed": seed, "output": run, **env, **flags}
    command = [sys.executable, "-m", f"sen_tf.{table.program}", *table.flags]
    result = subprocess.run([*command, *(f"--{name}={value}" for name, value in flags.items())])
    if result.returncode == 130:
        raise KeyboardInterrupt
    if result.returncode:
        raise settings.UsageError(f"training {arm}, seed {seed}, failed; see above")


def measured(summaries, metric, horizon=None):
    """Mean and standard deviation over runs of a metric, in its table's unit.

    Args:
        summaries: What `metrics.json` of each run holds.
        metric: A name of `METRICS`.
        horizon: Steps predicted; the last horizon that was scored if None.
    """
    values = [_score(summary["scores"], metric, horizon) for summary in summaries]
    return float(np.mean(values)), float(np.std(values))


def _score(scores, metric, horizon):
    value = scores
    for name in METRICS[metric].path.split("/"):
        value = value[str(horizon or max(value, key=int)) if name == "horizon" else name]
    return METRICS[metric].unit * value


def verdict(metric, ours, published):
    """`"better"`, `"reached"` or `"not reached"`, of two (mean, standard deviation).

    Better is by more than both deviations, reached is to within the published one (and rounding).
    """
    if published is None:
        return "no published value"
    sign = -1 if METRICS[metric].lower_is_better else 1
    ahead = sign * (ours[0] - published[0])
    rounding = 0.05
    if ahead > max(ours[1], published[1], rounding):
        return "better"
    return "reached" if ahead >= -max(published[1], rounding) else "not reached"


def compare(table, summaries):
    """One dict a cell: arm, metric, ours, published (each mean and deviation) and the verdict."""
    cells = []
    for arm, done in summaries.items():
        for metric in table.metrics:
            ours = measured(done, metric, table.horizon)
            published = table.published[arm].get(metric)
            cells.append(
                {
                    "arm": arm,
                    "metric": metric,
                    "ours": ours,
                    "published": published,
                    "verdict": verdict(metric, ours, published),
                }
            )
    return cells


def markdown(cells, summaries, title):
    """The comparison as Markdown, with seeds, budget and machine."""
    first = next(iter(summaries.values()))[0]
    seeds = ", ".join(str(summary["seed"]) for summary in next(iter(summaries.values())))
    lines = [
        f"# {title}",
        "",
        f"Seeds {seeds}; {_budget(first)}; {first['machine']}. Mean ± standard deviation over "
        "seeds; 0 where none is printed.",
        "",
        "| arm | metric | ours | published | |",
        "|---|---|---|---|---|",
    ]
    for cell in cells:
        ours = "{:.3g} ± {:.2g}".format(*cell["ours"])
        published = "{:.3g} ± {:g}".format(*cell["published"]) if cell["published"] else ""
        name = METRICS[cell["metric"]].title
        lines.append(f"| {cell['arm']} | {name} | {ours} | {published} | {cell['verdict']} |")
    return "\n".join(lines) + "\n"


def _budget(summary):
    """What a world model, or else a labeller of sequences, was trained on and scored with."""
    scores = summary["scores"]
    if "transitions_seen" in summary:
        return (
            f"{summary['transitions_seen']:,} transitions seen, preset {summary['preset']}, "
            f"{scores['episodes']:,} evaluation episodes, {summary['precision']}; ties count "
            "against the model"
        )
    return f"{summary['sequences_seen']:,} sequences seen, {scores['sequences']:,} to test"


def flags_of_runs(table, arguments, preset, evaluation_set, parsed):
    """The flags that go to every run: those typed, and the size where a world model is trained."""
    typed = settings.typed(arguments, *world_models.GROUPS, Reproduction)
    values = {name: value for each in parsed for name, value in vars(each).items()}
    own = {field.name for field in dataclasses.fields(Reproduction)} | {"seed"}
    passed = sorted(typed - own)
    wrong = [name for name in passed if name in SET]
    if wrong:
        raise settings.UsageError(f"--{wrong[0]} is set by the table")
    if not table.env:
        wrong = [name for name in passed if name not in ("preset", "recipe", "data_dir")]
        if wrong:
            raise settings.UsageError(f"--{wrong[0]} is no flag of the runs of this table")
        return {}
    size = {"preset": preset.preset, "recipe": preset.recipe, "data_dir": evaluation_set.data_dir}
    return size | {name: values[name] for name in passed}


def main(arguments):
    asked, *parsed = parse(arguments, *GROUPS)
    chosen = world_models.Settings(*parsed)
    table, preset = TABLES[asked.table], chosen.preset
    flags = flags_of_runs(table, arguments, preset, chosen.evaluation_set, parsed)
    directory = pathlib.Path(asked.output or f"runs/{asked.table}-{preset.preset}")
    _check_directory(directory)
    directory.mkdir(parents=True, exist_ok=True)
    seeds = range(chosen.training.seed, chosen.training.seed + asked.seeds)
    summaries = train_all(table, flags, seeds, directory)
    cells = compare(table, summaries)
    text = markdown(cells, summaries, asked.table)
    runs.write_json(directory / "table.json", cells)
    (directory / "table.md").write_text(text, encoding="utf-8")
    print(text)
    print(f"wrote {directory / 'table.md'} and {directory / 'table.json'}")


if __name__ == "__main__":
    settings.run(main, __doc__, *GROUPS, first=FIRST, parse=parse)
