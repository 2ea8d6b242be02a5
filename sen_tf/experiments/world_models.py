"""A world model of an environment: its settings, and one run that makes, trains and scores it."""

import contextlib
import dataclasses
import json
import pathlib
import time
from typing import NamedTuple

import keras
import tensorflow as tf

from sen_tf import export, figures, settings
from sen_tf.datasets import cache
from sen_tf.datasets.cache import Environment, EvaluationSet, TrainingSet
from sen_tf.datasets.members import available_memory
from sen_tf.distribution import devices
from sen_tf.envs import ENVS, load
from sen_tf.experiments import drawing, networks
from sen_tf.experiments.networks import Network
from sen_tf.losses import ActionContrast, OtherSamples, ReversedFrames, SameEpisode
from sen_tf.settings import UsageError, setting
from sen_tf.training import fitting, runs, scoring
from sen_tf.training.fitting import Training

PRESETS = ("quick", "laptop", "paper")
RECIPES = ("fast", "paper")


@dataclasses.dataclass(frozen=True)
class Preset:
    """Size and recipe, which set the flags below them."""

    preset: str = setting(
        "auto",
        "Size of the experiment: quick (minutes on a CPU), laptop (an hour at most; reacher's "
        "fully_equivariant one and a half), paper; auto takes paper on a GPU and quick on a CPU.",
        choices=("auto", *PRESETS),
    )
    recipe: str = setting(
        "auto",
        "How to train: paper, or fast (small batches, a learning rate that falls, at first the "
        "contrast of actions, reversed negatives in reacher and those of the same episode in "
        "rush_hour); auto takes paper under the paper preset, else fast.",
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
    negatives: int = setting(1, "Other samples that each sample is compared with.", at_least=1)
    action_contrast: float = setting(
        0.0,
        "Share of the training, from its start, in which the loss also contrasts the action taken "
        "with others.",
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

    environment: Environment
    preset: Preset
    network: Network
    training_set: TrainingSet
    evaluation_set: EvaluationSet
    training: Training
    loss: Loss


GROUPS = tuple(Settings.__annotations__.values())


def parse(arguments, *groups, default_preset=lambda: "paper"):
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
            return [file] if file.is_file() else [], {}
        settled.update(_settle(values, default_preset))
        paths = settings.flagfiles(values["env"], settled["preset"], settled["recipe"])
        return paths, {name: value for name, value in settled.items() if name in values}

    settled = {}
    arguments = _with_own_environment(arguments)
    known = _as_known_now([*groups, *GROUPS])  # at once: both have the same dataclass then
    groups, others = known[: len(groups)], known[len(groups) :]
    parsed = settings.parse(arguments, *groups, files=files, others=others)
    values = {name: value for each in parsed for name, value in vars(each).items()}
    if not values.get("run"):
        _check_owners(values, settings.typed(arguments, *groups))
    return parsed


def of_run(run):
    """The `Settings` of a run's directory."""
    _with_own_environment([f"--run={run}"])
    return Settings(*settings.load(pathlib.Path(run) / runs.FLAGS, *_as_known_now(GROUPS)))


def _with_own_environment(arguments):
    """The command line with the name of an environment of the user's own, which is then known.

    `--env=package.module:Class` becomes its name and `--env_class`; flags of a `--run` have both.
    """
    words = []
    for word in arguments:
        flag, _, value = word.lstrip("-").partition("=")
        if flag == "env" and ":" in value:
            words += [f"--env={load(value).name}", f"--env_class={value}"]
            continue
        words.append(word)
        file = pathlib.Path(value) / runs.FLAGS
        if flag == "run" and value and file.is_file():
            for line in file.read_text(encoding="utf-8").splitlines():
                if line.startswith("--env_class="):
                    load(line.partition("=")[2])
    return words


def _as_known_now(groups):
    """The dataclasses, that of environments with those registered since this was imported."""
    known = cache.environment_settings()
    return tuple(known if group is Environment else group for group in groups)


def _settle(values, default_preset):
    """Preset and recipe, where `auto` is what the machine and the preset say."""
    preset, recipe = values.get("preset", "paper"), values.get("recipe", "auto")
    preset = default_preset() if preset == "auto" else preset
    if recipe == "auto":
        recipe = "paper" if preset == "paper" else "fast"
    return {"preset": preset, "recipe": recipe}


def _check_owners(values, typed):
    """Raises a UsageError for a flag, a model or a start that the environment does not have."""
    env = values["env"]
    for name in sorted(typed):
        owners = _owners(name)
        if env not in owners:
            raise UsageError(f"--{name} is for --env={' or '.join(owners)}, not for {env}")
    arms = networks.arms_of(env)
    if values.get("model", arms[0]) not in arms:
        known = ", ".join(arms)
        raise UsageError(f"--model of --env={env} is one of {known}, not {values['model']}")
    known = ENVS[env].start_names
    for name in ("starts", "train_starts"):
        unknown = [each for each in values.get(name) or [] if each not in known]
        if unknown:
            raise UsageError(f"--{name} takes names out of {', '.join(known)}, not {unknown[0]!r}")


def _owners(flag):
    """The environments that a flag is for."""
    if any(flag in env.arguments for env in ENVS.values()):
        return [name for name, env in ENVS.items() if flag in env.arguments]
    if flag in ("starts", "train_starts", "episode_negatives"):
        return [name for name, env in ENVS.items() if env.start_names]
    if flag == "reversed_negatives":
        return [name for name, env in ENVS.items() if env.frames == 2]
    return list(ENVS)


def default_preset():
    return "paper" if devices.has_gpu() else "quick"


def build(chosen, precision, steps):
    """The compiled model of `Settings`, to be trained for a number of steps."""
    network, training = chosen.network, chosen.training
    model = networks.make_model(
        chosen.environment.env,
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


def make_loss(chosen, steps):
    """The loss of `Settings`, of a training of a number of steps."""
    env, loss = ENVS[chosen.environment.env], chosen.loss
    negatives = [OtherSamples(loss.negatives)]
    if loss.reversed_negatives and env.frames == 2:
        negatives.append(ReversedFrames())
    if in_pairs(chosen):
        negatives.append(SameEpisode())
    contrasted = round(loss.action_contrast * steps)
    terms = [ActionContrast(contrasted)] if contrasted else []
    sizes = {"hinge": loss.hinge, "sigma": loss.sigma, "variant": loss.variant}
    return networks.make_loss(env.name, negatives, terms, **sizes)


def in_pairs(chosen):
    """True if batches come in pairs of one episode, each sample the other's negative."""
    return chosen.loss.episode_negatives and bool(ENVS[chosen.environment.env].start_names)


def training_episodes(chosen, memory=None, workers=1):
    """The episodes that `Settings` ask to train on; see `cache.training_episodes`."""
    return cache.training_episodes(
        chosen.environment,
        chosen.training_set,
        chosen.evaluation_set,
        chosen.training.seed,
        memory,
        workers,
    )


def memory_for(chosen):
    """Bytes that the training episodes of `Settings` may take now."""
    asked = chosen.training_set.memory
    return available_memory() // 2 if asked is None else int(asked * 2**30)


def _memory_of_run(chosen, directory, workers):
    """Bytes as `memory_for`, those that the run began with; None where no limit was agreed on."""
    if chosen.training_set.memory is not None:
        return memory_for(chosen)
    # Each of several machines has some other amount free, and all must decide alike.
    return runs.keep_memory(directory, memory_for(chosen)) if workers == 1 else None


def choose(arguments, default_preset=lambda: "paper"):
    """The `Settings` of a command line that has flags of theirs alone."""
    return Settings(*parse(arguments, *GROUPS, default_preset=default_preset))


def run(chosen, directory, announce=lambda known: None):
    """Makes, trains and scores the model of `Settings`, or goes on where it was left.

    Args:
        chosen: The `Settings`.
        directory: The run's directory.
        announce: Called before anything is made, with whether the run was begun before.

    Returns:
        What `metrics.json` holds and the files written, none where the run was finished before;
        None for a process that is not the chief.

    Raises:
        ValueError: As `runs.open_run`.
        OSError: For a lack of memory or disk.
        UsageError: For a worker that was lost.
    """
    begun = time.perf_counter()
    strategy = devices.make_strategy(chosen.training.strategy)
    # The chief alone writes, and holds the lock.
    chief = devices.is_chief(strategy)
    opened = runs.open_run(directory, *chosen) if chief else contextlib.nullcontext(True)
    with opened as known:
        if known and (directory / runs.METRICS).exists():
            return json.loads((directory / runs.METRICS).read_text(encoding="utf-8")), []
        announce(known)
        try:
            return _train(chosen, directory, strategy, begun)
        except KeyboardInterrupt:
            print(f"\ninterrupted; resume with: {settings.command_line()}")
            raise
        except tf.errors.ResourceExhaustedError as error:  # memory, or the disk
            raise OSError(error.message.splitlines()[0]) from error
        except tf.errors.UnavailableError as error:
            raise UsageError(
                "another worker was lost; start all of them again with the same commands, and they "
                "resume after the last checkpoint"
            ) from error


def _train(chosen, directory, strategy, begun):
    training, seconds = chosen.training, {}
    keras.utils.set_random_seed(training.seed)
    with stage("data", seconds):
        workers = devices.workers(strategy)
        episodes = training_episodes(chosen, _memory_of_run(chosen, directory, workers), workers)
        subset, held_out = fitting.hold_out(episodes, training)
    steps = training.epochs * subset.steps_per_epoch(training.batch_size)
    precision = devices.resolve_precision(training.precision)
    with strategy.scope():
        model = build(chosen, precision, steps)
    with stage("training", seconds):
        checkpoint = fitting.fit(
            model, training, directory, subset, held_out, strategy, in_pairs(chosen)
        )
    if not devices.is_chief(strategy):
        return None
    # Outside of the strategy: the other machines have no part in it.
    alone = build(chosen, precision, steps)
    return finish(alone, chosen, directory, checkpoint, begun, seconds)


@contextlib.contextmanager
def stage(name, seconds):
    """Prints how long a part of a run took, and notes it in a dict of seconds."""
    begun = time.perf_counter()
    yield
    seconds[name] = time.perf_counter() - begun
    print(f"{name}: {seconds[name]:.1f} s", flush=True)


def finish(model, chosen, directory, checkpoint, begun, seconds):
    """Scores, draws, saves and exports the best weights; see `run`."""
    best = checkpoint.load_best(model)
    latents = scoring.Latents(model)
    env, name = cache.make_env(chosen.environment), chosen.environment.env
    with stage("evaluation data", seconds):
        file = cache.evaluation_file(chosen.environment, chosen.evaluation_set)
    with stage("scoring", seconds):
        scores = scoring.evaluate(latents, file, name, env)
    written = [directory / runs.MODEL]
    with runs.aside(directory / runs.MODEL) as path:
        model.save(path)
    with stage("exporting", seconds):
        written.append(export.export_model(model, directory / "serving" / "world_model"))
    with stage("drawing", seconds):
        written += drawing.draw(latents, file, name, env, directory)
        curves = figures.draw_history(checkpoint.history, directory / "figures" / "training.png")
        runs.log_figures(directory, [curves])
    summary = {
        "env": name,
        "model": chosen.network.model,
        "seed": chosen.training.seed,
        "preset": chosen.preset.preset,
        "precision": model.dtype_policy.name,
        "machine": devices.describe(),
        "transitions_seen": int(checkpoint.history[-1]["transitions"]),
        "training_seconds": sum(row["seconds"] for row in checkpoint.history),
        "seconds_by_stage": seconds,
        "wall_seconds_of_last_start": time.perf_counter() - begun,
        "best_epoch": best,
        "trained_on": chosen.training_set.dataset,
        "made_with": made_with(chosen.environment, chosen.evaluation_set),
        "scores": scores,
        "history": checkpoint.history,
    }
    runs.write_json(directory / runs.METRICS, summary)
    written += [curves, directory / runs.METRICS, directory / runs.FLAGS, directory / "logs"]
    return summary, written


def made_with(environment, evaluation_set, dataset=None, model=runs.MODEL):
    """The settings that scores and figures depend on: the model's file and the episodes."""
    sizes = vars(evaluation_set) | vars(environment)
    del sizes["data_dir"]
    return {"model": model, "dataset": dataset, **sizes}
