"""One run of a world model: makes its data, trains, scores, draws, exports and reports.

`train` and `evaluate` are what Python calls; programs call `run`.
"""

import contextlib
import dataclasses
import functools
import json
import pathlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import gymnasium
import keras
import tensorflow as tf

from sen_tf import datasets, envs, export, figures, settings
from sen_tf.datasets import Episodes, cache
from sen_tf.datasets.episodes import arguments_told
from sen_tf.distribution import devices
from sen_tf.envs import ENVS, EnvLike
from sen_tf.experiments import drawing, naming, networks, world_models
from sen_tf.models import ContrastiveWorldModel
from sen_tf.settings import UsageError
from sen_tf.training import callbacks, fitting, report, runs, scoring, seeding


@dataclasses.dataclass(frozen=True)
class Run:
    """A run that is finished.

    Attributes:
        directory: Its directory.
        summary: What its `metrics.json` holds, a dict.
        written: The files that it wrote now; none if it was finished before.
    """

    directory: pathlib.Path
    summary: dict = dataclasses.field(repr=False)
    written: list = dataclasses.field(repr=False)

    @property
    def scores(self) -> dict:
        """The scores, as `training.scoring.evaluate` returns them."""
        return self.summary["scores"]

    @property
    def model(self) -> keras.Model:
        """The model with its best weights, loaded anew."""
        return runs.open_model(self.directory)[0]


def train(
    env: str | None = None,
    *,
    episodes: Episodes | None = None,
    output: str | pathlib.Path | None = None,
    **flags: Any,
) -> Run:
    """Trains a world model as `python -m sen_tf.train` does; takes up a run that was begun.

    Args:
        env: Name of the environment, or `"package.module:Class"`; with episodes it may be left out.
        episodes: `Episodes` to train on, which are saved beside the run; by default those that the
            flags ask for. Those that name no environment are taken for some of `env`.
        output: Directory of the run; by default a name in `runs` made of the flags.
        **flags: Any flags of that program, such as `preset="quick", epochs=3, seed=2`.

    Returns:
        The `Run`.

    Raises:
        UsageError: For flags or values that the program would refuse.
        ValueError: If the directory holds another run, and for arguments of another kind.

    Example:
        >>> run = train("shapes", preset="quick", hidden=32, output="runs/narrow")
        >>> run.scores["steps"]["10"]["hits@1"]
    """
    _check_kind("env", env, "a name, or 'package.module:Class' of a class", str, type(None))
    _check_kind("episodes", episodes, "`sen_tf.Episodes`", Episodes, type(None))
    words = [_word(name, value) for name, value in flags.items() if value is not None]
    words += [] if env is None else [_word("env", env)]
    if episodes is None:
        chosen = world_models.choose(words, world_models.default_preset)
        return run(chosen, pathlib.Path(output or f"runs/{naming.default_name(chosen)}"))
    if output is None:
        raise UsageError("give the run an `output`, where its episodes are saved too")
    with _saved(episodes, pathlib.Path(output), env) as file:
        words.append(_word("dataset", file))
        return run(world_models.choose(words, world_models.default_preset), pathlib.Path(output))


@contextlib.contextmanager
def _saved(episodes, output, env):
    """The file of episodes beside a run; it goes again where no run is begun."""
    file = output.with_name(f"{output.name}.h5")
    is_new = not file.exists()
    own = envs.find(env) if ":" in (env or "") else None
    if own and issubclass(own, gymnasium.Env):
        own = envs.load(env)  # whose version the file notes
    name = getattr(own, "name", own.__name__.lower()) if own else env or datasets.RECORDED
    datasets.save_episodes(file, episodes, name)
    try:
        yield file
    finally:
        if is_new and not output.exists():
            file.unlink()


def _check_kind(name, value, wanted, *kinds):
    """Raises a ValueError, which does not print arrays, for a value of another kind."""
    if not isinstance(value, kinds):
        raise ValueError(f"Expected `{name}` to be {wanted}; received a {type(value).__name__}.")


def _word(name, value):
    return f"--{name}={','.join(map(str, value)) if isinstance(value, list | tuple) else value}"


def evaluate(
    model: keras.Model, episodes: Episodes | str | pathlib.Path, env: EnvLike | str | None = None
) -> dict:
    """Scores of a world model on episodes, as `python -m sen_tf.evaluate` makes them.

    Args:
        model: A `ContrastiveWorldModel`.
        episodes: `Episodes` with the frames of all times, or the file or pattern that holds them,
            with twins or without.
        env: The environment, or its name: its group acts on the twins. By default the one that the
            episodes name, made as it was for them; where it is not known, twins are left out.

    Returns:
        A dict; `training.scoring.table` makes a table of it.

    Raises:
        ValueError: For the name of no environment, and for arguments of another kind.
    """
    _check_kind("model", model, "a world model, as `load_model` returns", ContrastiveWorldModel)
    wanted = "`sen_tf.Episodes`, or the file of some"
    _check_kind("episodes", episodes, wanted, Episodes, str, pathlib.Path)
    if isinstance(episodes, Episodes):
        read, first = episodes.select, episodes
    else:
        read = functools.partial(datasets.read_episodes, episodes)
        first = read(episodes=1, steps=(0,))
    if env is None and first.env not in ENVS:
        read, env = _without_twins(read), datasets.Recorded
    if isinstance(env, str | None):
        name = env or first.env
        env = envs.make(name, **arguments_told(first.attrs, name))
    return scoring.evaluate(scoring.Latents(model), read, env)


def _without_twins(read):
    return lambda **chosen: dataclasses.replace(read(**chosen), twins={})


def run(
    chosen: world_models.Settings,
    directory: pathlib.Path,
    announce: Callable[[bool], object] = lambda known: None,
) -> Run | Any:
    """Makes, trains and scores the model of `Settings`, or goes on where it was left.

    Args:
        chosen: The `Settings`.
        directory: The run's directory.
        announce: Called before anything is made, with whether the run was begun before.

    Returns:
        The `Run`; None for a process that is not the chief.

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
            summary = json.loads((directory / runs.METRICS).read_text(encoding="utf-8"))
            # The last of its files may be missing: the disk was full, or it was interrupted there.
            whole = (directory / runs.REPORT).exists()
            return Run(directory, summary, [] if whole else [report.write_report(directory)])
        announce(known)
        try:
            with seeding.seeded(chosen.training.seed):
                return _train(chosen, directory, strategy, begun)
        except KeyboardInterrupt:
            print(f"\ninterrupted; {settings.command_line() or 'the same call'} resumes it")
            raise
        except tf.errors.ResourceExhaustedError as error:  # memory, or the disk
            raise OSError(error.message.splitlines()[0]) from error
        except tf.errors.UnavailableError as error:
            raise UsageError(
                "another worker was lost; start all of them again with the same commands, and they "
                "resume after the last checkpoint"
            ) from error


def _train(chosen, directory, strategy, begun):
    training = chosen.training
    seconds: dict[str, float] = {}
    chief, alone = devices.is_chief(strategy), strategy.cluster_resolver is None
    env = cache.make_env(chosen.environment)
    if env.name not in networks.NETWORKS:
        networks.check_arm(env, chosen.network.model)
    with stage("data", seconds):
        workers = devices.workers(strategy)
        memory = _memory(chosen, directory, workers)
        episodes = world_models.training_episodes(chosen, memory, workers)
        subset, held_out = fitting.hold_out(episodes, training)
        read = cache.evaluation_reader(*_evaluation(chosen)) if chief else None
    steps = training.epochs * fitting.steps_per_epoch(subset, training)
    precision = _precision(chosen, directory, workers)
    with strategy.scope():
        model = world_models.build(chosen, precision, steps)
    latents = scoring.Latents(model)
    with stage("training", seconds):
        checkpoint = fitting.fit(
            model,
            training,
            directory,
            subset,
            held_out,
            strategy,
            world_models.in_pairs(chosen),
            settings={name: value for part in chosen for name, value in vars(part).items()},
            # Of several machines the chief cannot compute anything alone.
            look=functools.partial(drawing.look, latents, read, env) if alone else None,
        )
    if not chief:
        return None
    if not alone:  # outside of the strategy: the other machines have no part in it
        model = world_models.build(chosen, precision, steps)
        latents = scoring.Latents(model)
    return finish(chosen, directory, latents, checkpoint, read, env, begun, seconds)


def _memory(chosen, directory, workers):
    """Bytes of training episodes, those that the run began with; None if no limit was agreed on."""
    memory = world_models.memory_for(chosen)
    if chosen.training_set.memory is not None:
        return memory
    # Each of several machines has some other amount free, and all must decide alike.
    return runs.keep(directory / runs.MEMORY, memory) if workers == 1 else None


def _precision(chosen, directory, workers):
    """The dtype policy; where the machine is to say, that of the machine where the run began."""
    precision = devices.resolve_precision(chosen.training.precision)
    return runs.keep(directory / runs.PRECISION, precision) if workers == 1 else precision


def finish(
    chosen: world_models.Settings,
    directory: pathlib.Path,
    latents: scoring.Latents,
    checkpoint: callbacks.Checkpoint,
    read: Callable[..., Episodes],
    env: EnvLike,
    begun: float,
    seconds: dict[str, float],
) -> Run:
    """Scores, draws, saves and exports the best weights; see `run`."""
    best = checkpoint.load_best(latents.model)
    with stage("scoring", seconds):
        scores = scoring.evaluate(latents, read, env)
    written = _write(chosen, directory, latents, read, env, checkpoint.history, seconds)
    summary = {
        **_about(chosen, latents.model),
        "transitions_seen": int(checkpoint.history[-1]["transitions"]),
        "training_seconds": sum(row["seconds"] for row in checkpoint.history),
        "seconds_by_stage": seconds,
        "wall_seconds_of_last_start": time.perf_counter() - begun,
        "best_epoch": best,
        "scores": scores,
        "history": checkpoint.history,
    }
    runs.write_json(directory / runs.METRICS, summary)
    written += [directory / name for name in (runs.METRICS, runs.HISTORY, runs.FLAGS, "logs")]
    return Run(directory, summary, [*written, report.write_report(directory)])


def _write(chosen, directory, latents, read, env, history, seconds):
    """Saves the model, exports it and draws its figures; returns the files."""
    written = [directory / runs.MODEL]
    with runs.aside(directory / runs.MODEL) as path:
        latents.model.save(path)
    with stage("exporting", seconds):
        written.append(export.export_model(latents.model, directory / "serving" / "world_model"))
    with stage("drawing", seconds):
        written += drawing.draw(latents, read, env, directory, world_models.unseen_actions(chosen))
        curves = figures.draw_history(history, directory / "figures" / "training.png")
        runs.log_figures(directory, [curves])
    return [*written, curves]


def _about(chosen, model):
    """The part of `metrics.json` that says which run it is, and where it ran."""
    return {
        "env": chosen.environment.env,
        "model": chosen.network.model,
        "seed": chosen.training.seed,
        "preset": chosen.preset.preset,
        "precision": model.dtype_policy.name,
        "machine": devices.describe(),
        "trained_on": chosen.training_set.dataset,
        "made_with": made_with(chosen.environment, chosen.evaluation_set),
    }


@contextlib.contextmanager
def stage(name: str, seconds: dict[str, float]) -> Iterator[None]:
    """Prints how long a part of a run took, and notes it in a dict of seconds."""
    begun = time.perf_counter()
    yield
    seconds[name] = time.perf_counter() - begun
    print(f"{name}: {seconds[name]:.1f} s", flush=True)


def _evaluation(chosen):
    return chosen.environment, chosen.evaluation_set, chosen.training_set.dataset


def made_with(
    environment: cache.EnvironmentSettings,
    evaluation_set: cache.EvaluationSet,
    dataset: str | None = None,
    model: str = runs.MODEL,
) -> dict[str, Any]:
    """The settings that scores and figures depend on: the model's file and the episodes."""
    sizes = {} if dataset else {k: v for k, v in vars(evaluation_set).items() if k != "data_dir"}
    return {"model": model, "dataset": dataset, **sizes, **vars(environment)}
