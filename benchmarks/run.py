"""Measures us beside our peers, and prints the ratios beside their targets.

Run with: python -m benchmarks.run --suite=step --rounds=5 --output=step.json

Every suite has a process of its own. In each round of it all contenders are measured in turn;
medians are printed, and in parentheses (most - least) / median. PyTorch and e2cnn are compared
where they are installed (benchmarks/requirements.txt).
"""

import argparse
import datetime
import functools
import importlib
import importlib.metadata
import json
import os
import pathlib
import platform

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"  # peers run on the processor; a GPU has benchmarks.gpu

from benchmarks import table
from benchmarks.timing import once_apart

SUITES = (
    *("frames", "generation", "step", "layers", "building", "evaluation", "startup", "pipeline"),
    *("streaming", "growth", "planning", "networks", "angles"),
)
PACKAGES = ("tensorflow", "keras", "numpy", "matplotlib", "torch", "e2cnn")


def measure(suite, rounds):
    """The rows of the module of this name."""
    return list(importlib.import_module(f"benchmarks.{suite}").rows(rounds))


def describe():
    """The machine, what else it is doing, the versions and the date."""
    from sen_tf.distribution import devices

    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = None
    return {
        "machine": devices.describe(),
        "load": os.getloadavg()[0],
        "versions": versions,
        "date": datetime.date.today().isoformat(),
    }


def summary(rows):
    """One line: how many of the targets are reached."""
    verdicts = [row.reached for row in rows if row.reached is not None]
    return f"{sum(verdicts)} of {len(verdicts)} targets reached"


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--suite", choices=("all", *SUITES), default="all")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--output", type=pathlib.Path, help="JSON file to write the rows to")
    parser.add_argument("--figure", type=pathlib.Path, help="PNG file to draw the growth in")
    options = parser.parse_args(arguments)
    if options.figure and options.suite not in ("all", "growth"):
        parser.error("--figure is of --suite=growth, which `all` contains")
    about, rows = describe(), []
    print(", ".join([about["machine"], f"load {about['load']:.1f}", about["date"]]))
    for suite in SUITES if options.suite == "all" else (options.suite,):
        rows += once_apart(functools.partial, measure, suite, options.rounds).result
        print(f"measured {suite}", flush=True)
        if options.output:
            values = {**about, "rows": list(map(table.as_json, rows))}
            options.output.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
    print(f"\n{table.markdown(rows)}\n\n{summary(rows)}")
    if options.figure:
        from benchmarks import growth

        growth.draw(rows, options.figure)


if __name__ == "__main__":
    main()
