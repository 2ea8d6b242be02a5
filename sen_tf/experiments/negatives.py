"""What keeps states apart, the hinge or uniformity, at the quick budget of every environment.

  python -m sen_tf.reproduce --table=negatives
  python -m sen_tf.reproduce --table=negatives --only=cubes-uniformity --seeds=1

An arm is an environment and a negative part of its loss; all else is the fast recipe. Where that
contrasts actions, uniformity is tried with the contrast and without it. `sen` is trained.
"""

import dataclasses
import json
import pathlib
from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from sen_tf.experiments import symmetric_embeddings, training_run, world_models
from sen_tf.experiments.experiment import Experiment, Metric
from sen_tf.settings import setting
from sen_tf.training import runs

PARTS: dict[str, dict[str, Any]] = {
    "hinge": {"negative_part": "hinge"},
    "uniformity": {"negative_part": "uniformity", "action_contrast": 0},
    "uniformity_contrast": {"negative_part": "uniformity"},
}
"""The flags of each negative part; the contrast of actions is the recipe's where none is said."""

TRIED = {
    "shapes": ("hinge", "uniformity", "uniformity_contrast"),
    "cubes": ("hinge", "uniformity", "uniformity_contrast"),
    "rush_hour": ("hinge", "uniformity", "uniformity_contrast"),
    "reacher": ("hinge", "uniformity"),
    "teapot": ("hinge", "uniformity"),
}
"""What is tried in each environment; the recipes of the last two contrast no actions."""


@dataclasses.dataclass(frozen=True)
class Compared:
    """Runs compared."""

    preset: str = setting("quick", "Size of the training.", choices=world_models.PRESETS)
    data_dir: str = setting("data", "Directory of the datasets that programs make.")


def run(arm: str, settings: Sequence[Any], seed: int, directory: pathlib.Path) -> dict[str, Any]:
    """Trains `sen` with a negative part; see `Experiment.run`."""
    (compared,) = settings
    env, part = arm.split("-")
    flags = {"env": env, "recipe": "fast", "seed": seed, **vars(compared), **PARTS[part]}
    chosen = world_models.choose([f"--{name}={value}" for name, value in flags.items()])
    summary = training_run.run(chosen, directory).summary
    found = symmetric_embeddings.numbers(summary["scores"])
    return {
        "hits@1": found["hits@1"],
        "mrr": found["mrr"],
        "val_skill": summary["history"][-1]["val_skill"],
        "z_norm": max(row["val_z_norm"] for row in summary["history"]),
        "transitions_seen": summary["transitions_seen"],
        "preset": summary["preset"],
        "precision": summary["precision"],
    }


def draw(directory: pathlib.Path) -> list[pathlib.Path]:
    """Draws validation skill, and below it the size of states, against the transitions seen."""
    figure = Figure(figsize=(2.6 * len(TRIED), 5), layout="constrained")
    axes = figure.subplots(2, len(TRIED), sharex="col", squeeze=False)
    for column, (env, parts) in enumerate(TRIED.items()):
        for colour, part in enumerate(parts):
            histories = [
                json.loads(file.read_text(encoding="utf-8"))["history"]
                for file in sorted(directory.glob(f"{env}-{part}-seed*/{runs.METRICS}"))
            ]
            for number, history in enumerate(histories):
                seen = [row["transitions"] for row in history]
                label = None if number else part.replace("_", " with ")
                for row, name in enumerate(("val_skill", "val_z_norm")):
                    values = [each[name] for each in history]
                    axes[row, column].plot(seen, values, ".-", color=f"C{colour}", label=label)
        axes[0, column].set(title=env.replace("_", " "), ylim=(-0.2, 1.02))
        axes[1, column].set(xlabel="transitions seen", ylim=(0, None))
        axes[1, column].xaxis.set_major_formatter(EngFormatter(sep=""))
    axes[0, 0].set_ylabel("validation skill")
    axes[1, 0].set_ylabel("|z|")
    for axis in axes.flat:
        axis.grid(alpha=0.3)
    axes[0, 0].legend(frameon=False)
    path = directory / "negatives.png"
    figure.savefig(path)
    return [path]


EXPERIMENTS = {
    "negatives": Experiment(
        "2204.11371",
        "What keeps states apart, at the quick budget: the hinge, or uniformity",
        tuple(f"{env}-{part}" for env, parts in TRIED.items() for part in parts),
        {
            "hits@1": Metric("Hits@1, last step %"),
            "mrr": Metric("MRR, last step %"),
            "val_skill": Metric("validation skill, last epoch"),
            "z_norm": Metric("largest mean |z| after an epoch", lower_is_better=True),
        },
        run,
        (Compared,),
        draw=draw,
    )
}
