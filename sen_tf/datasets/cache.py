"""Episodes on disk: read where they are there, made by the settings where they are not."""

import dataclasses
import functools
import inspect
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeAlias

import gymnasium

from sen_tf.datasets.collect import collect, uniform_policy
from sen_tf.datasets.episodes import Episodes, check_episodes
from sen_tf.datasets.members import DatasetError, available_memory
from sen_tf.datasets.minari_format import write_minari
from sen_tf.datasets.pipeline import Subset
from sen_tf.datasets.reading import read_episodes, verify_episodes
from sen_tf.datasets.recorded import Recorded
from sen_tf.datasets.runners import RUNNERS
from sen_tf.datasets.shards import matching_files, shard_paths
from sen_tf.datasets.store import write_episodes
from sen_tf.datasets.streaming import EpisodeStream, open_episodes
from sen_tf.envs import ENVS, EnvLike, gym_id, load
from sen_tf.settings import SEEDS, UsageError, setting

SPLITS = ("train", "evaluation")

EnvironmentSettings: TypeAlias = Any
"""Settings of an environment, of a class that `environment_settings` makes."""


def environment_settings(place: str | None = None) -> type[Any]:
    """The dataclass of an environment and of the arguments of all constructors known by now.

    A class of the user's own is named twice: by its name, and by where it is found.

    Args:
        place: Where the class of an environment is found, by which it may be called too.
    """
    names = setting(
        "cubes",
        "Environment, or package.module:Class for one of your own.",
        choices=(*ENVS, *([place] if place else [])),
    )
    where = setting(None, "Where the class of an environment of your own is; --env sets it.")
    fields = {"env": ("env", str, names), "env_class": ("env_class", str | None, where)}
    for name, env in ENVS.items():
        for argument, (text, choices) in env.arguments.items():
            default = inspect.signature(env).parameters[argument].default
            field = setting(default, f"{name.title()} only: {text}", choices=choices)
            fields[argument] = (argument, type(default), field)
    about = {
        "__doc__": "Environment.",
        "__module__": __name__,
        # Other processes, which make shards, know the user's own environments by this.
        "__reduce__": lambda self: (_environment, (vars(self),)),
    }
    return dataclasses.make_dataclass("Environment", fields.values(), frozen=True, namespace=about)


def _environment(values):
    """The settings of these values, in a process that may not know the environment yet."""
    if values["env"] not in ENVS:
        load(values["env_class"])
    return environment_settings()(**values)


Environment = environment_settings()
"""The settings of the environments that are known when this module is imported."""


@dataclasses.dataclass(frozen=True)
class TrainingSet:
    """Episodes to train on."""

    dataset: str | None = setting(
        None,
        "Episodes to train on, in place of those that the flags below describe, checked as they "
        "are read: an HDF5 file, a pattern of shards such as 'data/cubes-*.h5', minari:NAME, or a "
        "folder of observations.npy and actions.npy. Without --env it is of the environment that "
        "it says, or all there is.",
    )
    trust_dataset: bool = setting(
        False,
        "Take a --dataset that does not say its environment, such as a file of C-SWM, for one of "
        "--env, on whose episodes the model is scored.",
    )
    memory: float | None = setting(
        None,
        "Memory that training episodes may take, in GiB, beyond which they are streamed from disk; "
        "half of what is free if none.",
        at_least=0.0,
    )
    train_episodes: int = setting(1000, "Training episodes.", at_least=2)
    train_steps: int = setting(100, "Steps per training episode.", at_least=1)
    train_actions: list[str] = setting(
        [], "Names of the actions in the training episodes, such as up,right,down; all if empty."
    )
    train_starts: list[str] = setting(
        [],
        "Names of what first states are limited to in the training episodes, such as up, the "
        "headings of Rush Hour; all if empty. Evaluation has all of them.",
    )


@dataclasses.dataclass(frozen=True)
class EvaluationSet:
    """Episodes to score on."""

    eval_episodes: int = setting(10000, "Evaluation episodes.", at_least=2)
    eval_steps: int = setting(10, "Steps per evaluation episode.", at_least=1)
    eval_seed: int = setting(
        4,
        "Seed of the evaluation episodes, for all runs. No choice of a recipe has looked at those "
        "of the default: choose on others, such as those of 0.",
        **SEEDS,
    )
    held_out: float = setting(
        0.1,
        "Share of the episodes of a --dataset of no known environment that is scored on, and never "
        "trained on.",
        at_least=0.0,
        at_most=0.9,
    )
    data_dir: str = setting("data", "Directory of the datasets that programs make.")


def make_env(environment: EnvironmentSettings) -> EnvLike:
    """The environment of the settings `Environment`."""
    return ENVS[environment.env](**arguments_of(environment))


def arguments_of(environment: EnvironmentSettings) -> dict[str, Any]:
    """The arguments with which the environment is made, a dict."""
    return {name: getattr(environment, name) for name in ENVS[environment.env].arguments}


def generate(
    environment: EnvironmentSettings,
    split: str,
    path: str | pathlib.Path,
    episodes: int,
    steps: int,
    seed: int,
    actions: Sequence[str] = (),
    starts: Sequence[str] = (),
    shard: int | None = None,
    shards: int | None = None,
    overwrite: bool = False,
) -> None:
    """Collects episodes of the environment and writes them to `path`.

    Only the actions and the starts that are named occur; all where none is named. With `shard`, a
    number below `shards`, only that part of the episodes is collected. `overwrite` replaces a file
    that was made otherwise.
    """
    env = make_env(environment)
    numbers = _shard_episodes(episodes, shard, shards) if shards else range(episodes)
    blocks = collect(
        env,
        uniform_policy(env, actions or None),
        episodes=len(numbers),
        steps=steps,
        # Splits of one seed must not share their episodes.
        seed=2 * seed + SPLITS.index(split),
        twins=split == "evaluation" and hasattr(env, "step_states"),
        first_states=functools.partial(env.sample_states, starts=starts) if starts else None,
        first_episode=numbers.start,
    )
    write_episodes(
        path,
        blocks,
        episodes=len(numbers),
        env=environment.env,
        split=split,
        seed=seed,
        group=env.group.name,
        settings={
            "episodes": episodes,
            "steps": steps,
            "actions": list(actions),
            "starts": list(starts),
            **arguments_of(environment),
            **({"shard": shard, "shards": shards} if shards else {}),
        },
        show_progress=not shards,
        overwrite=overwrite,
    )


def _shard_episodes(episodes, shard, shards):
    return range(shard * episodes // shards, (shard + 1) * episodes // shards)


def generate_shards(
    environment: EnvironmentSettings,
    path: str | pathlib.Path,
    count: int,
    episodes: int,
    runner: str = "local",
    workers: int = 1,
    overwrite: bool = False,
    **arguments: Any,
) -> list[pathlib.Path]:
    """Writes the episodes that `generate` would to `path` into `count` files; returns their paths.

    Args:
        environment: Settings of the environment.
        path: Name that the files' names are made of.
        count: How many files, at most as many as episodes.
        episodes: How many episodes in all.
        runner: A name of `RUNNERS`.
        workers: Files that are made at a time.
        overwrite: Whether to replace files that were made otherwise.
        **arguments: Those of `generate`.
    """
    if count > episodes:
        raise UsageError(f"--shards must be at most {episodes}, the episodes, not {count}")
    # Ray's workers may stand in other folders.
    paths = [each.absolute() for each in shard_paths(path, count)]
    size = {"episodes": episodes, "shards": count}
    tasks = [
        (environment, each, overwrite, {**arguments, **size, "shard": shard})
        for shard, each in enumerate(paths)
    ]
    RUNNERS[runner](_generate_shard, tasks, workers, f"{environment.env} shards")
    return paths


def _generate_shard(task):
    """Writes a shard, unless it is there as it should be."""
    environment, path, overwrite, arguments = task
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"  # or each process would take the whole accelerator
    if not _is_there(path, environment, arguments):
        generate(environment, path=path, overwrite=overwrite, **arguments)


def _is_there(path, environment, arguments):
    try:
        verify_episodes(path)
        episodes = read_episodes(path, environment.env, steps=(0,), episodes=1)
    except DatasetError:
        return False
    settings = {name: value for name, value in arguments.items() if name not in ("split", "seed")}
    expected = (arguments["split"], arguments["seed"], settings | arguments_of(environment))
    return tuple(episodes.attrs.get(name) for name in ("split", "seed", "settings")) == expected


def verify(patterns: Iterable[str | pathlib.Path]) -> Iterator[tuple[str, bool]]:
    """Checks files of episodes; yields a line on each, and whether it is right.

    Args:
        patterns: Paths, or patterns of shards.
    """
    for pattern in patterns:
        try:
            files = matching_files(pattern)
        except DatasetError as error:
            yield str(error), False
            continue
        for file in files:
            try:
                yield f"{file}: {verify_episodes(file)}", True
            except DatasetError as error:
                yield str(error), False


def to_minari(
    environment: EnvironmentSettings, dataset: str | pathlib.Path, name: str
) -> pathlib.Path:
    """Writes episodes, of a file or a pattern, as the Minari dataset `name`; returns its folder."""
    if is_recorded(environment):
        raise UsageError(
            f"--to_minari needs an environment that can be made: of {environment.env} there are "
            "recorded episodes alone"
        )
    env = gymnasium.make(gym_id(environment.env), **arguments_of(environment))
    episodes = read_episodes(dataset, environment.env)
    check_episodes(episodes, make_env(environment), dataset)
    return write_minari(name, episodes, env)


def training_episodes(
    environment: EnvironmentSettings,
    training_set: TrainingSet,
    evaluation_set: EvaluationSet,
    seed: int,
    memory: int | None = None,
    workers: int = 1,
) -> Subset | EpisodeStream:
    """The episodes to train on: `dataset`, or those of the settings, generated where need be.

    They are in memory, or streamed where they would take more than `memory` bytes of it; `workers`
    processes then read a part each.

    If those that a run is scored on are there already, they are opened, too, so that what is wrong
    with them is said before the training and not after it. Of a dataset that is all there is of
    its environment, those to be scored on are left out.

    Returns:
        A `Subset` or an `EpisodeStream`.
    """
    name = environment.env
    if is_recorded(environment):
        whole = _recorded(environment, training_set.dataset, memory, workers)
        return next(whole.divided(evaluation_set.held_out))
    scored = _evaluation_path(environment, evaluation_set)
    if scored.exists():
        read_episodes(scored, name, steps=(0,), episodes=1)
    path = training_set.dataset or _made_for(environment, training_set, evaluation_set, seed)
    check = functools.partial(check_episodes, env=make_env(environment), path=path)
    episodes = open_episodes(path, name, check, memory, workers)
    if episodes.env is None and not training_set.trust_dataset:
        raise DatasetError(
            f"Cannot use {path}: it does not say its environment, and what is trained on it would "
            f"be scored on episodes of {name}. If it is of {name}, say so with --trust_dataset; "
            "without --env, some of its own episodes are held out and scored on."
        )
    return episodes


def is_recorded(environment: EnvironmentSettings) -> bool:
    """True where there are episodes of the environment alone, and nothing can be simulated."""
    return issubclass(ENVS[environment.env], Recorded)


def _recorded(environment, dataset, memory, workers=1):
    """All episodes of a dataset, as `open_episodes` gives them."""
    check = functools.partial(check_episodes, env=make_env(environment), path=dataset)
    return open_episodes(dataset, None, check, memory, workers)


def evaluation_reader(
    environment: EnvironmentSettings,
    evaluation_set: EvaluationSet,
    dataset: str | pathlib.Path | None = None,
) -> Callable[..., Episodes]:
    """The episodes to score on, as a function `(steps, episodes, twin)` to `Episodes`.

    Args:
        environment, evaluation_set: Their settings; episodes are generated where need be.
        dataset: The dataset that is all there is of the environment, where that is so: the last of
            its episodes, as many as half of the free memory holds.
    """
    if is_recorded(environment):
        memory = available_memory() // 2
        _, last = _recorded(environment, dataset, memory).divided(evaluation_set.held_out)
        return last.load(memory).select
    return functools.partial(
        read_episodes, evaluation_file(environment, evaluation_set), environment.env
    )


def _made_for(environment, training_set, evaluation_set, seed):
    """The file of the episodes that the settings describe, generated where need be."""
    actions, starts = training_set.train_actions, training_set.train_starts
    episodes, steps = training_set.train_episodes, training_set.train_steps
    limits = "-".join([*(actions or ["all"]), *(["start", *starts] if starts else [])])
    name = f"train-{limits}-{episodes}x{steps}-seed{seed}"
    path = _path(environment, evaluation_set, name)
    if not path.exists():
        generate(environment, "train", path, episodes, steps, seed, actions, starts)
    return path


def evaluation_file(
    environment: EnvironmentSettings, evaluation_set: EvaluationSet
) -> pathlib.Path:
    """The file of episodes to score on, generated where need be.

    Every run of an environment is scored on the same ones, whatever its seed.
    """
    path = _evaluation_path(environment, evaluation_set)
    if not path.exists():
        episodes, steps = evaluation_set.eval_episodes, evaluation_set.eval_steps
        generate(environment, "evaluation", path, episodes, steps, evaluation_set.eval_seed)
    return path


def _evaluation_path(environment, evaluation_set):
    size = f"{evaluation_set.eval_episodes}x{evaluation_set.eval_steps}"
    name = f"evaluation-{size}-seed{evaluation_set.eval_seed}"
    return _path(environment, evaluation_set, name)


def _path(environment, evaluation_set, name):
    parts = [environment.env, *map(str, arguments_of(environment).values()), name]
    return pathlib.Path(evaluation_set.data_dir) / f"{'-'.join(parts)}.h5"
