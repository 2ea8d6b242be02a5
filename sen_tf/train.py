"""Trains a world model: makes its data, trains, scores, draws and exports.

  python -m sen_tf.train --env=cubes
  python -m sen_tf.train --env=cubes --model=nonequivariant --preset=laptop --seed=2

An interrupted run resumes when the same command is given again.
"""

import dataclasses
import hashlib
import pathlib
import re

from sen_tf import settings
from sen_tf.distribution import devices
from sen_tf.experiments import world_models
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
    return (
        f"{data.train_episodes * data.train_steps:,} transitions ({limits}) x "
        f"{chosen.training.epochs} epochs in batches of {chosen.training.batch_size}, width "
        f"{chosen.network.hidden}, {chosen.evaluation_set.eval_episodes:,} evaluation episodes"
    )


def default_name(chosen):
    """The name of a run's directory: runs whose flags differ have different ones."""
    env, preset = chosen.environment.env, chosen.preset.preset
    model, seed = chosen.network.model, chosen.training.seed
    usual = world_models.choose([f"--env={env}", f"--model={model}", f"--preset={preset}"])
    name = f"{env}-{model}-{preset}-seed{seed}"
    for ours, theirs in zip(chosen, usual, strict=True):
        for flag, value in vars(ours).items():
            if flag not in ("seed", "data_dir", "env_class") and value != getattr(theirs, flag):
                text = ",".join(value) if isinstance(value, list) else str(value)
                name += f"-{flag}={re.sub(r'[^-.,A-Za-z0-9]', '_', text)}"
    if len(name) > 150:  # file systems take 255 bytes
        name = f"{name[:140]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
    return name


def report(summary, written):
    """Prints what a run found and wrote."""
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
    for path in written:
        print(f"  {path}")


def main(arguments):
    *chosen, output = parse(arguments, *GROUPS)
    chosen = world_models.Settings(*chosen)
    directory = pathlib.Path(output.output or f"runs/{default_name(chosen)}")

    def announce(known):
        explain_preset(chosen, any(word.lstrip("-").startswith("preset") for word in arguments))
        print(f"{'resuming' if known else 'writing'} {directory}")

    done = world_models.run(chosen, directory, announce)
    if done and done[1]:
        report(*done)
    elif done:
        print(f"{directory} holds this run, finished; choose another --output to train again")


def run():
    """The command line; see the module."""
    settings.run(main, __doc__, *GROUPS, first=FIRST, parse=parse)


if __name__ == "__main__":
    run()
