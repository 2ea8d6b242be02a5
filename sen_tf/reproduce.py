"""Reproduces a table: runs every arm with every seed, and compares with what is published.

  python -m sen_tf.reproduce --list
  python -m sen_tf.reproduce --table=cubes-limited --preset=laptop --seeds=3
  python -m sen_tf.reproduce --table=cubes-limited --only=sen --seed=2 --seeds=1

Writes table.md and table.json beside a folder per arm and seed, each run in a process of its own.
Finished ones are kept, an interrupted one resumes. --table=NAME --help shows the table's flags.
"""

import dataclasses
import pathlib
import re
import subprocess
import sys
import time

from sen_tf import experiments, settings
from sen_tf.experiments import comparison, pages
from sen_tf.experiments.experiment import RESULT, kept, run_cell
from sen_tf.settings import SEEDS, UsageError, setting
from sen_tf.training import runs


@dataclasses.dataclass(frozen=True)
class Reproduction:
    """Table and runs."""

    table: str = setting("cubes-limited", "Table to reproduce.", choices=tuple(experiments.TABLES))
    only: list[str] = setting([], "Arms to run, such as sen; all without.")
    list: bool = setting(False, "List the tables, and run none.")
    seed: int = setting(1, "First seed.", **SEEDS)
    seeds: int = setting(3, "How many seeds, counted from --seed on.", at_least=1)
    output: str | None = setting(
        None, "Directory of the runs and of the table. Default: a name in runs/."
    )


def parse(arguments, *groups):
    """The settings of the table that the command line names, a `Reproduction` first."""
    named = settings.glance(arguments, "table")
    (first,) = settings.parse([f"--table={name}" for name in named.values()], Reproduction)
    experiment = experiments.get(first.table)
    given = settings.typed(arguments, Reproduction, *experiment.settings)
    own = {word[2:].split("=")[0] for word in experiment.flags} | set(experiment.owned)
    for name in sorted(given & own):
        raise UsageError(f"--{name} is set by the table {first.table}")
    words = [*experiment.flags, *arguments]
    return experiment.parse(words, Reproduction, *experiment.settings)


def typed_of_table(arguments, experiment, chosen):
    """The flags of the table that are typed, and their values."""
    own = {field.name for field in dataclasses.fields(Reproduction)} | {"data_dir"}
    names = settings.typed(arguments, Reproduction, *experiment.settings) - own
    values = {name: value for each in chosen for name, value in vars(each).items()}
    return {name: values[name] for name in sorted(names)}


def run_all(arguments, asked, arms, directory, chosen):
    """Runs every arm with every seed; returns the results, a list per arm."""
    seeds = range(asked.seed, asked.seed + asked.seeds)
    jobs = [(arm, seed) for seed in seeds for arm in arms]
    results: dict[str, list] = {arm: [] for arm in arms}
    begun, done = time.perf_counter(), 0
    for number, (arm, seed) in enumerate(jobs):
        folder = directory / f"{arm}-seed{seed}"
        if not (folder / RESULT).exists():
            if done:
                left = (time.perf_counter() - begun) / done * (len(jobs) - number)
                print(f"about {left / 3600:.1f} h left")
            print(f"run {number + 1} of {len(jobs)}: {arm}, seed {seed}", flush=True)
            _run_apart(arguments, arm, seed, directory)
            done += 1
        results[arm].append(kept(folder, chosen))
    return results


def _run_apart(arguments, arm, seed, directory):
    """One run in a process of its own, so that none inherits the memory of the one before."""
    words = [*arguments, f"--only={arm}", f"--seed={seed}", "--seeds=1", f"--output={directory}"]
    done = subprocess.run([sys.executable, "-m", "sen_tf.reproduce", *words])
    if done.returncode == 130:
        raise KeyboardInterrupt
    if done.returncode:
        raise UsageError(f"{arm}, seed {seed}, failed; see above")


def _check_directory(directory):
    """Raises a UsageError unless a folder is new, or holds runs and their table alone."""
    ours = r"table\.(json|md)|.*\.png|.*-seed\d+"
    for entry in directory.iterdir() if directory.is_dir() else ():
        if not re.fullmatch(ours, entry.name):
            raise UsageError(
                f"{directory} holds {entry.name}, which is no run of a table; choose another "
                "--output"
            )


def main(arguments):
    asked, *chosen = parse(arguments)
    if asked.list:
        print(experiments.gallery())
        return
    experiment = experiments.get(asked.table)
    for arm in asked.only:
        if arm not in experiment.arms:
            known = ", ".join(experiment.arms)
            raise UsageError(f"--only of --table={asked.table} is of {known}, not {arm}")
    arms = asked.only or experiment.arms
    typed = typed_of_table(arguments, experiment, chosen)
    name = "-".join([asked.table, *(f"{flag}={value}" for flag, value in typed.items())])
    directory = pathlib.Path(asked.output or f"runs/{name}")
    _check_directory(directory)
    if len(asked.only) == asked.seeds == 1:
        (arm,) = asked.only
        folder = directory / f"{arm}-seed{asked.seed}"
        made = not (folder / RESULT).exists()
        if made:
            run_cell(experiment, arm, chosen, asked.seed, folder)
        kept(folder, chosen)
        print(f"{'wrote' if made else 'kept'} {folder / RESULT}")
        return
    results = run_all(arguments, asked, arms, directory, chosen)
    report = comparison.report(asked.table, experiment, results, arguments)
    text = pages.page(report)
    runs.write_json(directory / "table.json", report)
    (directory / "table.md").write_text(text, encoding="utf-8")
    written = [directory / "table.md", directory / "table.json"]
    written += experiment.draw(directory) if experiment.draw else []
    print(text)
    print(f"wrote {', '.join(map(str, written))}")


def run():
    """The command line; see the module."""
    settings.run(main, __doc__, Reproduction, parse=parse)


if __name__ == "__main__":
    run()
