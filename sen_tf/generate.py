"""Generates a dataset of episodes.

  python -m sen_tf.generate --env=cubes --split=train --episodes=1000 --steps=100 \\
      --actions=up,right,down --seed=1 --output=data/cubes.h5

Evaluation sets (--split=evaluation) also hold the twin of every episode under each element of the
environment's group: the same transitions, transformed and rendered again.

With --shards=8 --workers=4 the same episodes go into eight files, made by four processes; the
command continues where it was killed, and --dataset='data/cubes-*.h5' reads them as one.
--verify=FILE,... checks files, --to_minari=NAME --dataset=FILE writes one for Minari.
"""

import dataclasses
import pathlib
import sys

from sen_tf import datasets, settings
from sen_tf.datasets import cache
from sen_tf.datasets.cache import Environment, EvaluationSet, TrainingSet
from sen_tf.experiments import world_models
from sen_tf.settings import SEEDS, UsageError, setting


@dataclasses.dataclass(frozen=True)
class Generation:
    """Episodes to generate."""

    split: str = setting("train", "What the episodes are for.", choices=cache.SPLITS)
    episodes: int | None = setting(None, "Episodes; default: the environment's.", at_least=1)
    steps: int | None = setting(None, "Steps per episode; default: the environment's.", at_least=1)
    actions: list[str] | None = setting(
        None, "Names of the actions that the policy takes, such as up,right,down; all if empty."
    )
    starts: list[str] | None = setting(
        None, "Names of what first states are limited to, such as up in Rush Hour; all if empty."
    )
    seed: int = setting(1, "Seed of the first states and of the actions.", **SEEDS)
    output: str | None = setting(
        None, "File to write. Default: a name in data/ made of environment and split."
    )
    overwrite: bool = setting(
        False, "Replace a file that is there and was not made with the same settings."
    )


@dataclasses.dataclass(frozen=True)
class Shards:
    """Many files at a time."""

    shards: int | None = setting(
        None,
        "Write so many files name-00000-of-0000N.h5 in place of one; those that are there already "
        "and whole are kept.",
        at_least=1,
        at_most=99999,
    )
    runner: str = setting(
        "local",
        "What makes shards: processes of this machine, or Ray (those of RAY_ADDRESS, if set).",
        choices=tuple(datasets.RUNNERS),
    )
    workers: int = setting(1, "Shards that are made at a time.", at_least=1)


@dataclasses.dataclass(frozen=True)
class Files:
    """Files that are there, of which none is made."""

    verify: list[str] = setting(
        [],
        "Check these files of episodes, or patterns of them: exit code 1 if something is wrong.",
    )
    dataset: str | None = setting(
        None, "Episodes to convert: an HDF5 file, or a pattern of shards such as 'data/cubes-*.h5'."
    )
    to_minari: str | None = setting(
        None,
        "Write the episodes of --dataset as the Minari dataset of this name, such as "
        "cubes/random-v0.",
    )


GROUPS = (Environment, Generation, Shards, Files)


def sizes(environment, generation):
    """Episodes, steps and limits, those of the environment's flagfile where none are given."""
    _, training, evaluation = world_models.parse(
        [f"--env={environment.env}"], Environment, TrainingSet, EvaluationSet
    )
    names = ("episodes", "steps", "actions", "starts")
    if generation.split == "train":
        usual = {name: getattr(training, f"train_{name}") for name in names}
    else:
        usual = {
            "episodes": evaluation.eval_episodes,
            "steps": evaluation.eval_steps,
            "actions": [],
            "starts": [],
        }
    given = {name: getattr(generation, name) for name in names}
    return {name: usual[name] if value is None else value for name, value in given.items()}


def main(arguments):
    environment, generation, shards, files = world_models.parse(arguments, *GROUPS)
    if bool(files.to_minari) != bool(files.dataset):
        raise UsageError("--to_minari and --dataset belong together")
    if files.verify:
        right = True
        for line, fine in cache.verify(files.verify):
            print(line)
            right &= fine
        sys.exit(0 if right else 1)
    if files.to_minari:
        written = cache.to_minari(environment, files.dataset, files.to_minari)
        print(f"wrote {written}")
        return
    sized = sizes(environment, generation)
    made = {name: getattr(generation, name) for name in ("split", "seed", "overwrite")} | sized
    output = generation.output or f"data/{environment.env}-{generation.split}.h5"
    if shards.shards:
        where = {"runner": shards.runner, "workers": shards.workers}
        paths = cache.generate_shards(environment, output, shards.shards, **made, **where)
        name = f"{output} in {len(paths)} shards"
    else:
        paths, name = [pathlib.Path(output)], output
        cache.generate(environment, path=output, **made)
    size = sum(path.stat().st_size for path in paths)
    count = sized["episodes"] * sized["steps"]
    print(f"{name}: {count:,} transitions, {size / 2**20:.1f} MiB, {size / count:.0f} B each")


def run():
    """The command line; see the module."""
    settings.run(main, __doc__, *GROUPS, parse=world_models.parse)


if __name__ == "__main__":
    run()
