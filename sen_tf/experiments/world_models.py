"""A world model of an environment: its settings, and the model and the data that they ask for.

`training_run` trains and scores it.
"""

import contextlib
import dataclasses
import pathlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import gymnasium

from sen_tf import datasets, envs, settings
from sen_tf.datasets import EpisodeStream, Subset, cache
from sen_tf.datasets.cache import Environment, EnvironmentSettings, EvaluationSet, TrainingSet
from sen_tf.datasets.episodes import arguments_told
from sen_tf.datasets.members import available_memory
from sen_tf.distribution import devices
from sen_tf.envs import ENVS
from sen_tf.experiments import networks
from sen_tf.experiments.networks import Network
from sen_tf.losses import (
    ActionContrast,
    Alignment,
    ContrastiveLoss,
    OtherSamples,
    ReversedFrames,
    SameEpisode,
    Uniformity,
)
from sen_tf.models import ContrastiveWorldModel
from sen_tf.settings import UsageError, setting
from sen_tf.training import fitting, runs
from sen_tf.training.fitting import Training

OF_HINGE = {"hinge", "negatives", "variant", "episode_negatives", "object_hinge"}
"""Flags that count with `--negative_part=hinge` alone."""
PRESETS = ("quick", "laptop", "paper")
RECIPES = ("fast", "paper")


@dataclasses.dataclass(frozen=True)
class Preset:
    """Size and recipe, which set the flags below them."""

    preset: str = setting(
        "auto",
        "Size of the experiment: quick (minutes on a CPU), laptop (an hour at most), paper; auto "
        "takes paper on a GPU and quick on a CPU.",
        choices=("auto", *PRESETS),
    )
    recipe: str = setting(
        "auto",
        "How to train: paper, or fast (small batches, a learning rate that falls, at first the "
        "contrast of actions; uniformity in reacher, negatives of the same episode in rush_hour, "
        "an alignment in teapot); auto takes paper under the paper preset, else fast.",
        choices=("auto", *RECIPES),
    )


@dataclasses.dataclass(frozen=True)
class Loss:
    """Contrastive loss."""

    hinge: float = setting(1.0, "Energy beyond which negatives do not count.", at_least=0.0)
    sigma: float = setting(0.5, "Length scale of the energy.", at_least=0.0)
    variant: str = setting(
        "current",
        "What negatives are compared with: current (state, as in C-SWM and the paper's code) or "
        "predicted (as in the paper's equation).",
        choices=("current", "predicted"),
    )
    negative_part: str = setting(
        "hinge",
        "How states are kept apart: hinge (each from some others, up to an energy, as in the "
        "paper) or uniformity (each from all others of its batch, the nearest first).",
        choices=("hinge", "uniformity"),
    )
    negatives: int = setting(
        1, "Other samples that each sample is compared with, under the hinge.", at_least=1
    )
    object_hinge: float = setting(
        0.0,
        "Share of the training, from its start, in which each object has a hinge of its own, so "
        "that none stays unseen.",
        at_least=0.0,
        at_most=1.0,
    )
    action_contrast: float = setting(
        0.0,
        "Share of the training, from its start, in which the loss also contrasts the action taken "
        "with others.",
        at_least=0.0,
        at_most=1.0,
    )
    contrast_moves: bool = setting(
        False,
        "Whether every second contrast is with another move of the same object, so that states "
        "tell which way it heads.",
    )
    alignment: float = setting(
        0.0,
        "Share of the training, from its start, in which vectors are aligned with the rotations "
        "that actions are, in place of the loss: the Teapot's, where the model knows the symmetry.",
        at_least=0.0,
        at_most=1.0,
    )
    reversed_negatives: bool = setting(
        False,
        "Whether the sample's own two frames in reverse order are negatives too, so that states "
        "tell velocities; environments of single frames (all but reacher) have none.",
    )
    episode_negatives: bool = setting(
        False,
        "Whether states of the sample's own episode are negatives too, so that states tell "
        "more than what never changes in an episode: Rush Hour's starts.",
    )


class Settings(NamedTuple):
    """All settings of a run, one dataclass per part."""

    environment: EnvironmentSettings
    preset: Preset
    network: Network
    training_set: TrainingSet
    evaluation_set: EvaluationSet
    training: Training
    loss: Loss


# The class of the environment is made at run time, so that the annotation cannot name it.
GROUPS = (Environment, *list(Settings.__annotations__.values())[1:])


def parse(
    arguments: Sequence[str],
    *groups: type[Any],
    default_preset: Callable[[], str] = lambda: "paper",
) -> tuple[Any, ...]:
    """`settings.parse` with the flagfiles of the environment, or of `--run` where it is given.

    Args:
        arguments: The command line without the program's name.
        *groups: The dataclasses of the program.
        default_preset: Function from nothing to what the preset `"auto"` means.

    Raises:
        UsageError: As there, and for a flag or a model of another environment.
    """

    def files(values):
        if values.get("run"):
            file = pathlib.Path(values["run"]) / runs.FLAGS
            env = settings.words_of(file).get("env") if file.is_file() else None
            return [file] if file.is_file() else [], _told(values, env, typed)
        values = values | own
        settled = own | _settle(values, default_preset) | _told(values, values["env"], typed)
        paths = settings.flagfiles(values["env"], settled["preset"], settled["recipe"])
        return paths, {name: value for name, value in settled.items() if name in values}

    own = _environment_of(settings.glance(arguments, "env", "env_class", "dataset", "run"))
    # At once: both have the same dataclass then.
    known = _as_known_now([*groups, *GROUPS], own.get("env_class"))
    groups, others = known[: len(groups)], known[len(groups) :]
    typed = settings.typed(arguments, *groups)
    parsed = settings.parse(arguments, *groups, files=files, others=others)
    values = {name: value for each in parsed for name, value in vars(each).items()}
    if not values.get("run"):
        _check_owners(values, typed)
    return parsed


def of_run(run: str | pathlib.Path, dataset: str | None = None) -> Settings:
    """The `Settings` of a run's directory; of episodes alone they are those of `dataset` now."""
    _environment_of({"run": str(run), "dataset": dataset})
    return Settings(*settings.load(pathlib.Path(run) / runs.FLAGS, *_as_known_now(GROUPS)))


def _environment_of(words):
    """Makes the environment of a command line known; returns the flags that are settled by it.

    `--env=package.module:Class` becomes its name and `--env_class`; flags of a `--run`, and a
    flagfile of one, have both. A `--dataset` without `--env` is of the environment that it says; of
    one that it does not say, or that is not known, it is all there is.

    Args:
        words: Dict of the flags `env`, `env_class`, `dataset` and `run` that are given.
    """
    if "run" in words:
        file = pathlib.Path(words["run"]) / runs.FLAGS
        about = settings.words_of(file) if words["run"] and file.is_file() else {}
        if about.get("env_class"):
            _known(about["env_class"], words.get("dataset") or about.get("dataset"), about["env"])
        return {}
    name, place, dataset = (words.get(key) for key in ("env", "env_class", "dataset"))
    if name is None and place is None and dataset:
        name = datasets.read_episodes(dataset, episodes=1).env
        known = name in ENVS and not issubclass(ENVS[name], datasets.Recorded)
        name = name if known else datasets.RECORDED
    if ":" in (name or "") or (name == datasets.RECORDED and (dataset or name not in ENVS)):
        name, place = None, name
    found = _known(place, dataset).name if place else name
    if name in (None, found):
        return {"env": found, "env_class": place} if found else {}
    return {"env_class": None}  # that of a flagfile, whose environment is typed over


def _known(place, dataset, name=None):
    """The class of the environment at a place, which is known by its name from then on."""
    stated = None if place == datasets.RECORDED else envs.find(place)
    if stated is not None and issubclass(stated, gymnasium.Env):
        return _with_free_names(envs.load(place))
    if not dataset:
        raise UsageError(
            f"Expected {place} to be a gymnasium.Env, or its episodes in --dataset=FILE"
        )
    env = datasets.recorded(dataset, stated, name)
    ENVS.pop(env.name, None)  # that of another dataset, in the same process
    return envs.register(env)


def _with_free_names(env):
    """A class of environments, of whose constructor's arguments none is a flag of another kind."""
    flags = {
        field.name
        for group in GROUPS
        if group is not Environment
        for field in dataclasses.fields(group)
    }
    if taken := flags & set(env.arguments):
        ENVS.pop(env.name)
        raise UsageError(
            f"the argument {min(taken)!r} of {env.__name__} would be a flag that programs have "
            "already; give it another name"
        )
    return env


def _as_known_now(groups, place=None):
    """The dataclasses, that of environments with those registered since this was imported.

    The place of an environment of the user's own is another name of it.
    """
    known = cache.environment_settings(place)
    return tuple(known if group is Environment else group for group in groups)


def _told(values, env, typed):
    """The arguments of an environment that a `--dataset` tells: of that world its episodes are."""
    dataset, told = values.get("dataset"), {}
    with contextlib.suppress(datasets.DatasetError):  # it is said where all of it is read
        first = dataset and datasets.read_episodes(dataset, steps=(0,), episodes=1)
        told = arguments_told(first.attrs, env) if first else {}
    for name in sorted(typed & told.keys()):
        if values[name] != told[name]:
            raise UsageError(f"{dataset} is of --{name}={told[name]}, not {values[name]}")
    return told


def _settle(values, default_preset):
    """Preset, recipe and model, where `auto` is what machine, preset and environment say."""
    preset, recipe = values.get("preset", "paper"), values.get("recipe", "auto")
    preset = default_preset() if preset == "auto" else preset
    if recipe == "auto":
        recipe = "paper" if preset == "paper" else "fast"
    model = values.get("model", "auto")
    model = networks.arms_of(values["env"])[0] if model == "auto" else model
    return {"preset": preset, "recipe": recipe, "model": model}


def _check_owners(values, typed):
    """Raises a UsageError for a flag, a model or a start that the environment does not have."""
    env = values["env"]
    for name in sorted(typed):
        owners = _owners(name)
        if env not in owners:
            raise UsageError(f"--{name} is for --env={' or '.join(owners)}, not for {env}")
    part = values.get("negative_part", "hinge")
    if part != "hinge" and (unheeded := sorted(typed & OF_HINGE)):
        raise UsageError(f"--{unheeded[0]} does nothing under --negative_part={part}")
    arms = networks.arms_of(env)
    if values.get("model", arms[0]) not in arms:
        why = "" if len(arms) > 1 else ", since its class states no `group`"
        raise UsageError(
            f"--model of --env={env} is one of {', '.join(arms)}{why}, not {values['model']}"
        )
    known = ENVS[env].start_names
    for name in ("starts", "train_starts"):
        if unknown := [each for each in values.get(name) or [] if each not in known]:
            raise UsageError(f"--{name} takes names out of {', '.join(known)}, not {unknown[0]!r}")


def _owners(flag):
    """The environments that a flag is for."""
    if any(flag in env.arguments for env in ENVS.values()):
        return [name for name, env in ENVS.items() if flag in env.arguments]
    if flag in ("starts", "train_starts", "episode_negatives"):
        return [name for name, env in ENVS.items() if env.start_names]
    if flag in ("contrast_moves", "object_hinge"):
        return [name for name, env in ENVS.items() if env.objects is not None]
    if flag == "alignment":
        return [name for name, env in ENVS.items() if hasattr(env.group, "sample")]
    if flag == "reversed_negatives":
        return [name for name, env in ENVS.items() if env.frames == 2]
    return list(ENVS)


def default_preset() -> str:
    return "paper" if devices.has_gpu() else "quick"


def build(chosen: Settings, precision: str, steps: int) -> ContrastiveWorldModel:
    """The compiled model of `Settings`, to be trained for a number of steps."""
    network, training = chosen.network, chosen.training
    model = networks.make_model(
        cache.make_env(chosen.environment),
        network.model,
        network.hidden,
        network.filters,
        precision,
        training.seed,
    )
    model.compile(
        fitting.make_optimizer(training, steps),
        loss=make_loss(chosen, steps),
        jit_compile=devices.xla_pays(),
    )
    model.optimizer.build(model.trainable_variables)
    return model


def make_loss(chosen: Settings, steps: int) -> ContrastiveLoss:
    """The loss of `Settings`, of a training of a number of steps."""
    env, loss = ENVS[chosen.environment.env], chosen.loss
    negatives: list[Any] = [OtherSamples(loss.negatives)]
    reverse = loss.reversed_negatives and env.frames == 2
    if loss.negative_part == "uniformity":
        negatives = [Uniformity(reverse)]
    elif reverse:
        negatives.append(ReversedFrames())
    if in_pairs(chosen):
        negatives.append(SameEpisode())
    knows = hasattr(env.group, "sample") and chosen.network.model != "nonequivariant"
    terms: list[Any] = []
    if contrasted := round(loss.action_contrast * steps):
        terms.append(ActionContrast(contrasted, _moves_per_object(chosen)))
    if aligned := round(loss.alignment * steps if knows else 0):
        terms.append(Alignment(aligned))
    sizes: dict[str, Any] = {"hinge": loss.hinge, "sigma": loss.sigma, "variant": loss.variant}
    sizes["object_hinge_steps"] = round(loss.object_hinge * steps)
    return networks.make_loss(env.name, negatives, terms, **sizes)


def _moves_per_object(chosen):
    """Moves per object where they are contrasted with each other, else None."""
    env = cache.make_env(chosen.environment)
    return int(env.action_space.n) // env.objects if chosen.loss.contrast_moves else None


def in_pairs(chosen: Settings) -> bool:
    """True if batches come in pairs of one episode, each sample the other's negative."""
    asked = chosen.loss.episode_negatives and chosen.loss.negative_part == "hinge"
    return asked and bool(ENVS[chosen.environment.env].start_names)


def training_episodes(
    chosen: Settings, memory: int | None = None, workers: int = 1
) -> Subset | EpisodeStream:
    """The episodes that `Settings` ask to train on; see `cache.training_episodes`."""
    return cache.training_episodes(
        chosen.environment,
        chosen.training_set,
        chosen.evaluation_set,
        chosen.training.seed,
        memory,
        workers,
    )


def memory_for(chosen: Settings) -> int:
    """Bytes that the training episodes of `Settings` may take now."""
    asked = chosen.training_set.memory
    return available_memory() // 2 if asked is None else int(asked * 2**30)


def choose(
    arguments: Sequence[str], default_preset: Callable[[], str] = lambda: "paper"
) -> Settings:
    """The `Settings` of a command line that has flags of theirs alone."""
    return Settings(*parse(arguments, *GROUPS, default_preset=default_preset))


def unseen_actions(chosen: Settings) -> tuple[str, ...]:
    """The names of the actions that `Settings` leave out of training; none of a `--dataset`."""
    limited, dataset = chosen.training_set.train_actions, chosen.training_set.dataset
    if dataset or not limited:
        return ()
    return tuple(name for name in ENVS[chosen.environment.env].action_names if name not in limited)
