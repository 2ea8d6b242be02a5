"""Generates a dataset of episodes.

  python -m sen_tf.generate --env=cubes --split=train --episodes=1000 --steps=100 \\
      --actions=up,right,down --seed=1 --output=data/cubes.h5

Evaluation sets (--split=evaluation) also hold the twin of every episode under each element of the
environment's group: the same transitions, transformed and rendered again.
"""

import functools
import pathlib

import gymnasium

from sen_tf import datasets, settings
from sen_tf.envs import ENVS

FLAGS = (
    *("env", "split", "episodes", "steps", "actions", "headings", "sprites", "rotations"),
    *("seed", "output"),
)
# Flags that are arguments of an environment.
ENV_FLAGS = {"shapes": ("sprites",), "teapot": ("rotations",)}


def make_env(options):
    """The environment of `options.env`, with the arguments that flags set."""
    return ENVS[options.env].make(**_env_arguments(options))


def _env_arguments(options):
    return {name: getattr(options, name) for name in ENV_FLAGS.get(options.env, ())}


def generate(options, split, path, episodes, steps, seed, actions=(), headings=()):
    """Collects episodes of `options.env` and writes them to `path`.

    Only the actions and the headings that are named occur; all where none is named.
    """
    env = make_env(options)
    limits = {"headings": headings} if headings else {}
    blocks = datasets.collect(
        env,
        datasets.uniform_policy(env, actions or None),
        episodes,
        steps,
        # Splits of one seed must not share their episodes.
        seed=2 * seed + settings.SPLITS.index(split),
        twins=split == "evaluation",
        first_states=functools.partial(env.sample_states, **limits),
    )
    datasets.write_episodes(
        path,
        blocks,
        episodes=episodes,
        env=options.env,
        split=split,
        seed=seed,
        group=env.group.name,
        settings={
            "steps": steps,
            "actions": list(actions),
            "headings": list(headings),
            **_env_arguments(options),
        },
    )


def training_episodes(options):
    """The episodes to train on: `--dataset`, or those of the flags, generated where need be."""
    actions, headings = options.train_actions, options.train_headings
    limits = "-".join([*(actions or ["all"]), *(["heading", *headings] if headings else [])])
    name = f"train-{limits}-{options.train_episodes}x{options.train_steps}"
    path = options.dataset or _path(options, f"{name}-seed{options.seed}")
    if not options.dataset and not path.exists():
        steps, seed = options.train_steps, options.seed
        generate(options, "train", path, options.train_episodes, steps, seed, actions, headings)
    episodes = datasets.read_episodes(path, env=options.env)
    check_episodes(episodes, make_env(options), path)
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
    path = _path(options, f"evaluation-{options.eval_episodes}x{options.eval_steps}")
    if not path.exists():
        generate(options, "evaluation", path, options.eval_episodes, options.eval_steps, seed=0)
    return path


def _path(options, name):
    parts = [options.env, *_env_arguments(options).values(), name]
    return pathlib.Path(options.data_dir) / f"{'-'.join(parts)}.h5"


def _limit(given, trained_on, training):
    """The names given on the command line; without them, those of the training set, or all."""
    return given if given is not None else trained_on if training else []


def main(arguments):
    options = settings.parse(arguments, FLAGS)
    training = options.split == "train"
    episodes = options.episodes or (options.train_episodes if training else options.eval_episodes)
    steps = options.steps or (options.train_steps if training else options.eval_steps)
    actions = _limit(options.actions, options.train_actions, training)
    headings = _limit(options.headings, options.train_headings, training)
    output = options.output or f"data/{options.env}-{options.split}.h5"
    generate(options, options.split, output, episodes, steps, options.seed, actions, headings)
    size = pathlib.Path(output).stat().st_size
    count = episodes * steps
    print(f"{output}: {count:,} transitions, {size / 2**20:.1f} MiB, {size / count:.0f} B each")


if __name__ == "__main__":
    settings.run(main, __doc__, FLAGS)
