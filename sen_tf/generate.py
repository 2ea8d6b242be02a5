"""Generates a dataset of episodes.

  python -m sen_tf.generate --env=cubes --split=train --episodes=1000 --steps=100 \\
      --actions=up,right,down --seed=1 --output=data/cubes.h5

Evaluation sets (--split=evaluation) also hold the twin of every episode under each element of the
environment's group: the same transitions, transformed and rendered again.

With --shards=8 --workers=4 the same episodes go into eight files, made by four processes; the
command continues where it was killed, and --dataset='data/cubes-*.h5' reads them as one.
--verify=FILE,... checks files, --to_minari=NAME --dataset=FILE writes one for Minari.
"""

import functools
import os
import pathlib
import sys

import gymnasium

from sen_tf import datasets, flag_table, settings
from sen_tf.envs import ENVS

FLAGS = (
    *("env", "split", "episodes", "steps", "actions", "headings", "sprites", "rotations"),
    *("seed", "output", "shards", "runner", "workers", "overwrite"),
    *("verify", "dataset", "to_minari"),
)
# Flags that are arguments of an environment.
ENV_FLAGS = {"shapes": ("sprites",), "teapot": ("rotations",)}


def make_env(options):
    """The environment of `options.env`, with the arguments that flags set."""
    return ENVS[options.env].make(**_env_arguments(options))


def _env_arguments(options):
    return {name: getattr(options, name) for name in ENV_FLAGS.get(options.env, ())}


def generate(
    options,
    split,
    path,
    episodes,
    steps,
    seed,
    actions=(),
    headings=(),
    shard=None,
    shards=None,
    overwrite=False,
):
    """Collects episodes of `options.env` and writes them to `path`.

    Only the actions and the headings that are named occur; all where none is named. With `shard`, a
    number below `shards`, only that part of the episodes is collected. `overwrite` replaces a file
    that was made otherwise.
    """
    env = make_env(options)
    limits = {"headings": headings} if headings else {}
    numbers = _shard_episodes(episodes, shard, shards) if shards else range(episodes)
    blocks = datasets.collect(
        env,
        datasets.uniform_policy(env, actions or None),
        len(numbers),
        steps,
        # Splits of one seed must not share their episodes.
        seed=2 * seed + flag_table.SPLITS.index(split),
        twins=split == "evaluation",
        first_states=functools.partial(env.sample_states, **limits),
        first_episode=numbers.start,
    )
    datasets.write_episodes(
        path,
        blocks,
        episodes=len(numbers),
        env=options.env,
        split=split,
        seed=seed,
        group=env.group.name,
        settings={
            "episodes": episodes,
            "steps": steps,
            "actions": list(actions),
            "headings": list(headings),
            **_env_arguments(options),
            **({"shard": shard, "shards": shards} if shards else {}),
        },
        progress=not shards,
        overwrite=overwrite,
    )


def _shard_episodes(episodes, shard, shards):
    return range(shard * episodes // shards, (shard + 1) * episodes // shards)


def generate_shards(options, path, count, episodes, **arguments):
    """Writes the episodes that `generate` would to `path` into `count` files; returns their paths.

    Args:
        options: Flags; `runner` and `workers` say where.
        path: Name that the files' names are made of.
        count: How many files, at most as many as episodes.
        episodes: How many episodes in all.
        **arguments: Those of `generate`.
    """
    if count > episodes:
        raise settings.UsageError(f"--shards must be at most {episodes}, the episodes, not {count}")
    # Ray's workers may stand in other folders.
    paths = [each.absolute() for each in datasets.shard_paths(path, count)]
    tasks = [
        (options, each, {**arguments, "episodes": episodes, "shard": shard, "shards": count})
        for shard, each in enumerate(paths)
    ]
    run = datasets.RUNNERS[options.runner]
    run(_generate_shard, tasks, options.workers, f"{options.env} shards")
    return paths


def _generate_shard(task):
    """Writes a shard, unless it is there as it should be."""
    options, path, arguments = task
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"  # or each process would take the whole accelerator
    if not _is_there(path, options, arguments):
        generate(options, path=path, overwrite=options.overwrite, **arguments)


def _is_there(path, options, arguments):
    try:
        datasets.verify_episodes(path)
        episodes = datasets.read_episodes(path, options.env, steps=(0,), episodes=1)
    except datasets.DatasetError:
        return False
    settings_ = {name: value for name, value in arguments.items() if name not in ("split", "seed")}
    expected = (arguments["split"], arguments["seed"], settings_ | _env_arguments(options))
    return tuple(episodes.attrs.get(name) for name in ("split", "seed", "settings")) == expected


def training_episodes(options):
    """The episodes to train on: `--dataset`, or those of the flags, generated where need be.

    If those that a run is scored on are there already, they are opened, too, so that what is wrong
    with them is said before the training and not after it.
    """
    scored = _evaluation_path(options)
    if scored.exists():
        datasets.read_episodes(scored, options.env, steps=(0,), episodes=1)
    actions, headings = options.train_actions, options.train_headings
    limits = "-".join([*(actions or ["all"]), *(["heading", *headings] if headings else [])])
    name = f"train-{limits}-{options.train_episodes}x{options.train_steps}"
    path = options.dataset or _path(options, f"{name}-seed{options.seed}")
    if not options.dataset and not path.exists():
        steps, seed = options.train_steps, options.seed
        generate(options, "train", path, options.train_episodes, steps, seed, actions, headings)
    episodes = datasets.read_episodes(path, env=options.env)
    check_episodes(episodes, make_env(options), path)
    if episodes.env is None and not options.trust_dataset:
        raise datasets.DatasetError(
            f"Cannot use {path}: it does not say its environment, and what is trained on it would "
            f"be scored on episodes of {options.env}. If it is of {options.env}, say so with "
            f"--trust_dataset."
        )
    return episodes


def check_episodes(episodes, env, path):
    """Raises a `DatasetError` unless images and actions are those of the environment."""
    expected, came = env.observation_space.shape, episodes.observations.shape[2:]
    if came != expected:
        raise datasets.DatasetError(f"Cannot use {path}: its images are {came}, not {expected}.")
    space, actions = env.action_space, episodes.actions
    if isinstance(space, gymnasium.spaces.Discrete):
        kind, lowest, highest = "i", 0, space.n - 1
        expected = f"numbers {lowest}..{highest}"
    else:
        kind, lowest, highest = "f", space.low, space.high
        expected = f"of shape {space.shape}, from {lowest.min()} to {highest.max()}"
    like = actions.dtype.kind == kind and actions.shape[2:] == space.shape
    if not (like and ((lowest <= actions) & (actions <= highest)).all()):
        raise datasets.DatasetError(f"Cannot use {path}: its actions are not {expected}.")


def evaluation_file(options):
    """The file of episodes to score on, generated where need be.

    Every run of an environment is scored on the same ones, whatever its seed.
    """
    path = _evaluation_path(options)
    if not path.exists():
        generate(options, "evaluation", path, options.eval_episodes, options.eval_steps, seed=0)
    return path


def _evaluation_path(options):
    return _path(options, f"evaluation-{options.eval_episodes}x{options.eval_steps}")


def _path(options, name):
    parts = [options.env, *_env_arguments(options).values(), name]
    return pathlib.Path(options.data_dir) / f"{'-'.join(parts)}.h5"


def _limit(given, trained_on, training):
    """The names given on the command line; without them, those of the training set, or all."""
    return given if given is not None else trained_on if training else []


def verify(patterns):
    """Checks files, prints a line for each; returns whether all are right."""
    right = True
    for pattern in patterns:
        try:
            files = datasets.matching_files(pattern)
        except datasets.DatasetError as error:
            files, right = [], False
            print(error)
        for file in files:
            try:
                print(f"{file}: {datasets.verify_episodes(file)}")
            except datasets.DatasetError as error:
                right = False
                print(error)
    return right


def convert(options):
    """Writes the episodes of `--dataset` as a Minari dataset; returns its folder."""
    env = gymnasium.make(ENVS[options.env].gym_id, **_env_arguments(options))
    episodes = datasets.read_episodes(options.dataset, options.env)
    check_episodes(episodes, env.unwrapped, options.dataset)
    return datasets.write_minari(options.to_minari, episodes, env)


def main(arguments):
    options = settings.parse(arguments, FLAGS)
    if bool(options.to_minari) != bool(options.dataset):
        raise settings.UsageError("--to_minari and --dataset belong together")
    if options.verify:
        sys.exit(0 if verify(options.verify) else 1)
    if options.to_minari:
        print(f"wrote {convert(options)}")
        return
    training = options.split == "train"
    episodes = options.episodes or (options.train_episodes if training else options.eval_episodes)
    steps = options.steps or (options.train_steps if training else options.eval_steps)
    arguments = {
        "split": options.split,
        "episodes": episodes,
        "steps": steps,
        "seed": options.seed,
        "actions": _limit(options.actions, options.train_actions, training),
        "headings": _limit(options.headings, options.train_headings, training),
    }
    output = options.output or f"data/{options.env}-{options.split}.h5"
    if options.shards:
        paths = generate_shards(options, output, options.shards, **arguments)
    else:
        paths = [pathlib.Path(output)]
        generate(options, path=output, overwrite=options.overwrite, **arguments)
    size = sum(path.stat().st_size for path in paths)
    count = episodes * steps
    name = f"{output} in {len(paths)} shards" if options.shards else output
    print(f"{name}: {count:,} transitions, {size / 2**20:.1f} MiB, {size / count:.0f} B each")


if __name__ == "__main__":
    settings.run(main, __doc__, FLAGS)
