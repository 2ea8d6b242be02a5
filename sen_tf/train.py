"""Trains a world model: makes its data, trains, scores, draws, exports and reports.

  python -m sen_tf.train --env=cubes
  python -m sen_tf.train --env=cubes --model=nonequivariant --preset=laptop --seed=2
  python -m sen_tf.train --env=my_package.my_module:MyEnvironment
  python -m sen_tf.train --dataset=episodes.h5

An interrupted run resumes when the same command is given again.
"""

import dataclasses
import pathlib

from sen_tf import settings
from sen_tf.datasets import cache
from sen_tf.distribution import devices
from sen_tf.envs import ENVS
from sen_tf.experiments import naming, training_run, world_models
from sen_tf.settings import setting
from sen_tf.training import scoring


@dataclasses.dataclass(frozen=True)
class Output:
    """Output."""

    output: str | None = setting(
        None, "Directory of the run. Default: a name in runs/ made of the flags."
    )


GROUPS = (*world_models.GROUPS, Output)
FIRST = (
    *("env", "preset", "model", "seed", "output", "dataset"),
    *("train_episodes", "epochs", "learning_rate", "precision"),
)


def parse(arguments, *groups):
    return world_models.parse(arguments, *groups, default_preset=world_models.default_preset)


def explain_preset(chosen, typed):
    """Prints which preset was taken, and what the others are."""
    preset = chosen.preset.preset
    if typed:
        print(f"preset {preset}: {_size(chosen)}")
        return
    found = "a GPU" if devices.has_gpu() else "no GPU"
    print(f"preset {preset}, since {found} was found (--preset chooses another):")
    for other in world_models.PRESETS:
        alike = (f"--env={chosen.environment.env}", f"--model={chosen.network.model}")
        sized = chosen if other == preset else world_models.choose([*alike, f"--preset={other}"])
        print(f"{' -> ' if other == preset else '    '}{other}: {_size(sized)}")


def _size(chosen):
    data = chosen.training_set
    limits = f"actions {','.join(data.train_actions) or 'all'}"
    if data.train_starts:
        limits += f", starts {','.join(data.train_starts)}"
    episodes = data.dataset or f"{data.train_episodes * data.train_steps:,} transitions ({limits})"
    return (
        f"{episodes} x {chosen.training.epochs} epochs in batches of "
        f"{chosen.training.batch_size}, width {chosen.network.hidden}"
    )


def explain_environment(environment):
    """Prints what is taken for granted of an environment of the user's own."""
    env = ENVS[environment.env]
    if environment.env_class is None:
        return
    symmetry = f"symmetry {env.group}" if env.group.order > 1 else "no symmetry"
    objects = "images as a whole" if env.objects is None else f"{env.objects} objects"
    print(f"{env.name}: {symmetry}, {objects} (a class may state `group` and `objects`)")
    if cache.is_recorded(environment):
        print("it is scored on the last episodes, which are not trained on (--held_out)")


def report(run):
    """Prints what a run found and wrote."""
    summary = run.summary
    source = f", trained on {summary['trained_on']}" if summary["trained_on"] else ""
    epochs = f"weights of epoch {summary['best_epoch']} of {len(summary['history'])}"
    name = f"{summary['env']}, {summary['model']}, seed {summary['seed']}"
    print(f"\n{name}, {epochs}{source}")
    print(scoring.table(summary["scores"]))
    seen, seconds = summary["transitions_seen"], summary["training_seconds"]
    print(
        f"  {seen:,} transitions seen in {seconds:.0f} s ({seen / seconds:.0f}/s, "
        f"{summary['precision']}); {summary['wall_seconds_of_last_start']:.0f} s in all"
    )
    print("wrote")
    for path in run.written:
        print(f"  {path}")


def main(arguments):
    *chosen, output = parse(arguments, *GROUPS)
    chosen = world_models.Settings(*chosen)
    directory = pathlib.Path(output.output or f"runs/{naming.default_name(chosen)}")

    def announce(known):
        explain_environment(chosen.environment)
        explain_preset(chosen, any(word.lstrip("-").startswith("preset") for word in arguments))
        print(f"{'resuming' if known else 'writing'} {directory}")

    done = training_run.run(chosen, directory, announce)
    if done and done.written:
        report(done)
    elif done:
        print(f"{directory} holds this run, finished; choose another --output to train again")


def run():
    """The command line; see the module."""
    settings.run(main, __doc__, *GROUPS, first=FIRST, parse=parse)


if __name__ == "__main__":
    run()
