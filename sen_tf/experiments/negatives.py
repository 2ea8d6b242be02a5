"""The hinge beside uniformity, which keep states apart, at the quick budget of every environment.

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
from matplotlib.lines import Line2D
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
"""The negative parts tried in each environment; the last two recipes contrast no actions."""


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
    histories = {
        env: {part: _histories(directory, f"{env}-{part}") for part in parts}
        for env, parts in TRIED.items()
    }
    shown = {env: of_parts for env, of_parts in histories.items() if any(of_parts.values())}
    figure = Figure(figsize=(1 + 2.4 * len(shown), 5.2), layout="constrained")
    axes = figure.subplots(2, len(shown), sharex="col", squeeze=False)
    for column, (env, of_parts) in enumerate(shown.items()):
        above, below = axes[:, column]
        _draw_curves(above, of_parts, "val_skill")
        _draw_curves(below, of_parts, "val_z_norm")
        above.set(title=env.replace("_", " "), ylim=(-0.2, 1.02))
        below.set(xlabel="transitions seen", ylim=(0, None))
        below.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes[0, 0].set_ylabel("validation skill")
    axes[1, 0].set_ylabel("mean |z|")
    handles = [
        Line2D([], [], color=f"C{number}", label=part.replace("_", " with action "))
        for number, part in enumerate(PARTS)
    ]
    columns = min(len(handles), len(shown))
    figure.legend(handles=handles, loc="outside upper center", ncols=columns, frameon=False)
    path = directory / "negatives.png"
    figure.savefig(path)
    return [path]


def _histories(directory, arm):
    """The numbers of each epoch of the runs of an arm, a list per seed."""
    files = sorted(directory.glob(f"{arm}-seed*/{runs.METRICS}"))
    return [json.loads(file.read_text(encoding="utf-8"))["history"] for file in files]


def _draw_curves(axes, of_parts, name):
    for part, histories in of_parts.items():
        for history in histories:
            seen, values = ([row[key] for row in history] for key in ("transitions", name))
            axes.plot(seen, values, ".-", color=f"C{list(PARTS).index(part)}")
    axes.grid(alpha=0.3)


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
