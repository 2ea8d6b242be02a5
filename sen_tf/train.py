"""Trains a world model: makes its data, trains, scores, draws and exports.

  python -m sen_tf.train --env=cubes
  python -m sen_tf.train --env=cubes --model=nonequivariant --preset=laptop --seed=2

An interrupted run resumes when the same command is given again.
"""

import contextlib
import hashlib
import os
import pathlib
import re
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf

from sen_tf import (
    arms,
    callbacks,
    checkpoints,
    datasets,
    devices,
    evaluate,
    export,
    figures,
    flag_table,
    generate,
    runs,
    settings,
)

FLAGS = (
    *("env", "preset", "recipe", "model", "seed", "output", "data_dir", "dataset"),
    "trust_dataset",
    *("train_episodes", "train_steps", "train_actions", "train_headings"),
    *("eval_episodes", "eval_steps", "sprites", "rotations"),
    *("filters", "hidden", "epochs", "batch_size", "learning_rate", "schedule", "action_contrast"),
    *("hinge", "sigma", "variant", "negatives", "reversed_negatives"),
    *("episode_negatives", "validation"),
    *("precision", "strategy"),
)


def default_preset():
    return "paper" if devices.has_gpu() else "quick"


def build_model(options, precision, steps):
    """The compiled model of the flags, to be trained for a number of steps."""
    model = arms.make_model(
        options.env,
        options.model,
        options.hidden,
        options.filters,
        dtype=precision,
        hinge=options.hinge,
        sigma=options.sigma,
        variant=options.variant,
        negatives=options.negatives,
        action_contrast_steps=round(options.action_contrast * steps),
        reversed_negatives=options.reversed_negatives and options.env in arms.WITH_TWO_FRAMES,
        episode_negatives=_in_pairs(options),
        seed=options.seed,
    )
    rate = options.learning_rate
    if options.schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(rate, steps, alpha=0.02)
    model.compile(keras.optimizers.Adam(rate), jit_compile=devices.xla_pays())
    model.optimizer.build(model.trainable_variables)
    return model


def _in_pairs(options):
    """Whether batches come in pairs of one episode, each sample the other's negative."""
    return options.episode_negatives and options.env in arms.WITH_HEADINGS


def explain_preset(options):
    """Prints which preset was taken, and what the others are and would cost here."""
    if "preset" in options.given:
        print(f"preset {options.preset}: {_size(options)}")
        return
    found = "a GPU" if devices.has_gpu() else "no GPU"
    print(f"preset {options.preset}, since {found} was found (--preset chooses another):")
    rates = {}
    for preset in flag_table.PRESETS:
        if preset == options.preset:
            print(f" -> {preset}: {_size(options)}")
            continue
        other = settings.parse(
            [f"--env={options.env}", f"--model={options.model}", f"--preset={preset}"], FLAGS
        )
        width = (other.hidden, other.filters)
        if width not in rates:
            rates[width] = measure_rate(other)
        count = other.train_episodes * other.train_steps * other.epochs
        print(f"    {preset}: {_size(other)}; about {count / rates[width] / 3600:.1f} h here")


def measure_rate(options, batch_size=32):
    """Transitions a second in training the model of the flags on this machine."""
    model = build_model(options, devices.resolve_precision(options.precision), steps=2)
    batch = arms.blank_transitions(model, batch_size)
    model.train_on_batch(batch)
    begun = time.perf_counter()
    model.train_on_batch(batch)
    return batch_size / (time.perf_counter() - begun)


def _size(options):
    count = options.train_episodes * options.train_steps
    limits = f"actions {','.join(options.train_actions) or 'all'}"
    if options.train_headings:
        limits += f", headings {','.join(options.train_headings)}"
    return (
        f"{count:,} transitions ({limits}) x {options.epochs} epochs in batches of "
        f"{options.batch_size}, width {options.hidden}, {options.eval_episodes:,} evaluation "
        "episodes"
    )


def open_data(options):
    """The training episodes and those held out for validation: two `Subset`s, or one and None."""
    episodes = generate.training_episodes(options)
    if options.validation:
        return datasets.split(episodes, options.validation, options.seed)
    return datasets.Subset(episodes, np.arange(len(episodes))), None


def train(model, options, directory, training, held_out, strategy):
    """Fits the model, from where its last checkpoint left off; returns the `Checkpoint`."""
    writes = devices.is_chief(strategy)
    checkpoint = checkpoints.Checkpoint(directory, options.seed, writes)
    done = checkpoint.restore(model)
    if done:
        print(f"resuming after epoch {done} of {options.epochs}")
    if done >= options.epochs:
        return checkpoint
    size = options.batch_size
    order = {"start_epoch": done, "pairs": _in_pairs(options)}
    batches, steps = share_batches(strategy, training, size, options.seed, **order)
    validation = {}
    if held_out is not None:
        replicas = strategy.num_replicas_in_sync
        size = min(size, len(held_out) * training.episodes.actions.shape[1] // replicas * replicas)
        checks, check_steps = share_batches(strategy, held_out, size, options.seed, shuffle=False)
        validation = {"validation_data": checks, "validation_steps": check_steps}
    count = steps * options.batch_size
    print(f"training {options.model} on {count:,} transitions an epoch, {steps} steps each")
    model.fit(
        batches,
        epochs=options.epochs,
        initial_epoch=done,
        steps_per_epoch=steps,
        shuffle=False,  # the pipeline shuffles
        verbose=0 if not writes else 1 if sys.stdout.isatty() else 2,
        callbacks=[
            callbacks.Recorder(count),
            callbacks.StopAtNonFinite(checkpoint),
            callbacks.WarnOfCollapse(),
            *([callbacks.EpochSummaries(directory / "logs")] if writes else []),
            checkpoint,
        ],
        **validation,
    )
    return checkpoint


def share_batches(strategy, subset, batch_size, seed, **order):
    """`datasets.transitions`, each batch cut into a share a replica; and the steps of an epoch."""
    steps = datasets.steps_per_epoch(subset, batch_size)

    def feed(context):
        shares = context.num_replicas_in_sync
        here = shares // context.num_input_pipelines
        own = slice(context.input_pipeline_id * here, (context.input_pipeline_id + 1) * here)
        return datasets.transitions(subset, batch_size, seed, shares=shares, own=own, **order)[0]

    return strategy.distribute_datasets_from_function(feed), steps


def finish(model, options, directory, checkpoint, begun):
    """Scores, draws, saves and exports the best weights; prints what was found and written."""
    best = checkpoint.load_best(model)
    latents = evaluate.Latents(model)
    file = generate.evaluation_file(options)
    env = generate.make_env(options)
    scores = evaluate.evaluate(latents, file, options.env, env)
    written = [directory / runs.MODEL]
    with runs.aside(directory / runs.MODEL) as path:
        model.save(path)
    written.append(export.export_model(model, directory / "serving" / "world_model"))
    written += evaluate.draw(latents, file, options.env, env, directory)
    curves = figures.draw_history(checkpoint.history, directory / "figures" / "training.png")
    runs.log_pictures(directory, [curves])
    written.append(curves)
    last = checkpoint.history[-1]
    summary = {
        "env": options.env,
        "model": options.model,
        "seed": options.seed,
        "preset": options.preset,
        "precision": model.dtype_policy.name,
        "machine": devices.describe(),
        "transitions_seen": int(last["transitions"]),
        "training_seconds": sum(row["seconds"] for row in checkpoint.history),
        "wall_seconds_of_last_start": time.perf_counter() - begun,
        "best_epoch": best,
        "trained_on": options.dataset,
        "made_with": evaluate.made_with(options),
        "scores": scores,
        "history": checkpoint.history,
    }
    runs.write_json(directory / runs.METRICS, summary)
    written += [directory / runs.METRICS, directory / runs.FLAGS, directory / "logs"]
    epochs = f"weights of epoch {best} of {len(checkpoint.history)}"
    source = f", trained on {options.dataset}" if options.dataset else ""
    print(f"\n{options.env}, {options.model}, seed {options.seed}, {epochs}{source}")
    print(evaluate.table(scores))
    rate = last["transitions"] / summary["training_seconds"]
    seen, seconds = summary["transitions_seen"], summary["training_seconds"]
    print(
        f"  {seen:,} transitions seen in {seconds:.0f} s ({rate:.0f}/s, "
        f"{model.dtype_policy.name}); {time.perf_counter() - begun:.0f} s in all"
    )
    print("wrote")
    for path in written:
        print(f"  {path}")


def default_name(options):
    """The name of a run's directory: runs whose flags differ have different ones."""
    name = f"{options.env}-{options.model}-{options.preset}-seed{options.seed}"
    chosen = ("env", "model", "preset")
    usual = settings.parse([f"--{flag}={getattr(options, flag)}" for flag in chosen], FLAGS)
    for flag in FLAGS:
        value = getattr(options, flag)
        if flag not in ("seed", "output", "data_dir") and value != getattr(usual, flag):
            text = ",".join(value) if isinstance(value, list) else str(value)
            name += f"-{flag}={re.sub(r'[^-.,A-Za-z0-9]', '_', text)}"
    if len(name) > 150:  # file systems take 255 bytes
        name = f"{name[:140]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
    return name


def main(arguments):
    begun = time.perf_counter()
    options = settings.parse(arguments, FLAGS, default_preset)
    strategy = devices.make_strategy(options.strategy)
    directory = pathlib.Path(options.output or f"runs/{default_name(options)}")
    chief = devices.is_chief(strategy)
    # The chief alone writes, and holds the lock.
    opened = runs.open_run(directory, options) if chief else contextlib.nullcontext(True)
    with opened as known:
        if known and (directory / runs.METRICS).exists():
            print(f"{directory} holds this run, finished; choose another --output to train again")
            return
        explain_preset(options)
        print(f"{'resuming' if known else 'writing'} {directory}")
        keras.utils.set_random_seed(options.seed)
        try:
            training, held_out = open_data(options)
            steps = options.epochs * datasets.steps_per_epoch(training, options.batch_size)
            precision = devices.resolve_precision(options.precision)
            with strategy.scope():
                model = build_model(options, precision, steps)
            checkpoint = train(model, options, directory, training, held_out, strategy)
            if chief:
                # Outside of the strategy: the other machines have no part in it.
                alone = build_model(options, precision, steps)
                finish(alone, options, directory, checkpoint, begun)
        except KeyboardInterrupt:
            print(f"\ninterrupted; resume with: {settings.command_line()}")
            raise
        except tf.errors.ResourceExhaustedError as error:  # memory, or the disk
            raise OSError(error.message.splitlines()[0]) from error
        except tf.errors.UnavailableError as error:
            raise settings.UsageError(
                "another worker was lost; start all of them again with the same commands, and they "
                "resume after the last checkpoint"
            ) from error


if __name__ == "__main__":
    settings.run(main, __doc__, FLAGS)
