"""Recipes of training on the same data: validation skill against the transitions seen.

  python -m sen_tf.reproduce --table=recipes --fast_epochs=8 --paper_epochs=30
  python -m sen_tf.reproduce --table=negatives --only=cubes-uniformity --seeds=1

`recipes` has the paper's recipe beside the fast one. In `negatives` an arm is an environment and a
negative part of its loss, the hinge or uniformity; all else is the fast recipe. Where that
contrasts actions, uniformity is tried with the contrast and without it. Both train `sen`, and draw
curves. Skill 0 predicts that nothing moves, 1 is perfect.
"""

import dataclasses
import json
import pathlib
from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter

from sen_tf.envs import ENVS
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

METRICS = {
    "val_skill": Metric("validation skill, last epoch"),
    "hits@1": Metric("Hits@1, last step %"),
}


@dataclasses.dataclass(frozen=True)
class Recipes:
    """Recipes compared."""

    env: str = setting("shapes", "Environment.", choices=tuple(ENVS))
    fast_epochs: int = setting(8, "Passes of the fast recipe.", at_least=1)
    paper_epochs: int = setting(30, "Passes of the paper's recipe.", at_least=1)
    data_dir: str = setting("data", "Directory of the datasets that programs make.")


@dataclasses.dataclass(frozen=True)
class NegativeParts:
    """Negative parts compared."""

    preset: str = setting("quick", "Size of the training.", choices=world_models.PRESETS)
    data_dir: str = setting("data", "Directory of the datasets that programs make.")


def run_recipe(
    arm: str, settings: Sequence[Any], seed: int, directory: pathlib.Path
) -> dict[str, Any]:
    """Trains with one recipe; see `Experiment.run`."""
    (recipes,) = settings
    epochs = {"fast": recipes.fast_epochs, "paper": recipes.paper_epochs}[arm]
    about = {"preset": "quick", "data_dir": recipes.data_dir, "seed": seed}
    return _train(recipes.env, directory, recipe=arm, epochs=epochs, **about)


def run_part(
    arm: str, settings: Sequence[Any], seed: int, directory: pathlib.Path
) -> dict[str, Any]:
    """Trains with one negative part; see `Experiment.run`."""
    (compared,) = settings
    env, part = arm.split("-")
    return _train(env, directory, recipe="fast", seed=seed, **vars(compared), **PARTS[part])


def _train(env, directory, **flags):
    """Trains with some flags; returns the numbers of both tables and what they cost."""
    summary = training_run.train(env, output=directory, **flags).summary
    found = symmetric_embeddings.numbers(summary["scores"])
    return {
        "val_skill": summary["history"][-1]["val_skill"],
        "z_norm": max(row["val_z_norm"] for row in summary["history"]),
        **{name: found[name] for name in ("hits@1", "mrr")},
        **{name: summary[name] for name in ("transitions_seen", "preset", "precision")},
    }


def draw_recipes(directory: pathlib.Path) -> list[pathlib.Path]:
    """Draws the validation skill of each run against the transitions it had seen."""
    figure = Figure(figsize=(6, 3.5), layout="constrained")
    axes = figure.subplots()
    for name, history in _histories(directory, "*").items():
        _draw_curve(axes, history, "val_skill", label=name)
    axes.set(xlabel="transitions seen", ylabel="validation skill", ylim=(-0.2, 1.02))
    axes.legend(frameon=False)
    path = directory / "recipes.png"
    figure.savefig(path)
    return [path]


def draw_parts(directory: pathlib.Path) -> list[pathlib.Path]:
    """Draws validation skill, and the size of states below it, of each environment that was run."""
    ran = [env for env in TRIED if _histories(directory, f"{env}-*")]
    figure = Figure(figsize=(1 + 2.4 * len(ran), 5.2), layout="constrained")
    axes = figure.subplots(2, len(ran), sharex="col", squeeze=False)
    for (above, below), env in zip(axes.T, ran, strict=True):
        for number, part in enumerate(PARTS):
            for history in _histories(directory, f"{env}-{part}-seed*").values():
                _draw_curve(above, history, "val_skill", color=f"C{number}")
                _draw_curve(below, history, "val_z_norm", color=f"C{number}")
        above.set(title=env.replace("_", " "), ylim=(-0.2, 1.02))
        below.set(xlabel="transitions seen", ylim=(0, None))
    axes[0, 0].set_ylabel("validation skill")
    axes[1, 0].set_ylabel("mean |z|")
    handles = [
        Line2D([], [], color=f"C{number}", label=part.replace("_", " with action "))
        for number, part in enumerate(PARTS)
    ]
    columns = min(len(handles), len(ran))
    figure.legend(handles=handles, loc="outside upper center", ncols=columns, frameon=False)
    path = directory / "negatives.png"
    figure.savefig(path)
    return [path]


def _histories(directory, pattern):
    """The numbers of each epoch of finished runs, by the names of their folders."""
    return {
        file.parent.name: json.loads(file.read_text(encoding="utf-8"))["history"]
        for file in sorted(directory.glob(f"{pattern}/{runs.METRICS}"))
    }


def _draw_curve(axes, history, name, **style):
    seen = [row["transitions"] for row in history]
    axes.plot(seen, [row[name] for row in history], ".-", **style)
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.grid(alpha=0.3)


EXPERIMENTS = {
    "recipes": Experiment(
        "2204.11371",
        "The paper's recipe and the fast one on the same data",
        ("fast", "paper"),
        {**METRICS, "transitions_seen": Metric("transitions seen", lower_is_better=True)},
        run_recipe,
        (Recipes,),
        draw=draw_recipes,
    ),
    "negatives": Experiment(
        "2204.11371",
        "What keeps states apart, at the quick budget: the hinge, or uniformity",
        tuple(f"{env}-{part}" for env, parts in TRIED.items() for part in parts),
        {
            **METRICS,
            "mrr": Metric("MRR, last step %"),
            "z_norm": Metric("largest mean |z| after an epoch"),
        },
        run_part,
        (NegativeParts,),
        draw=draw_parts,
    ),
}
