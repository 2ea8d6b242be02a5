"""The paper's recipe and the fast one on the same data: validation skill against samples seen.

  python -m sen_tf.reproduce --table=recipes --fast_epochs=8 --paper_epochs=30

Trains `sen` at the quick preset with each recipe, and draws both curves. Skill 0 predicts that
nothing moves, 1 is perfect.
"""

import dataclasses
import json
import pathlib
from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from sen_tf.envs import ENVS
from sen_tf.experiments import symmetric_embeddings, training_run, world_models
from sen_tf.experiments.experiment import Experiment, Metric
from sen_tf.settings import setting
from sen_tf.training import runs


@dataclasses.dataclass(frozen=True)
class Recipes:
    """Recipes compared."""

    env: str = setting("shapes", "Environment.", choices=tuple(ENVS))
    fast_epochs: int = setting(8, "Passes of the fast recipe.", at_least=1)
    paper_epochs: int = setting(30, "Passes of the paper's recipe.", at_least=1)
    data_dir: str = setting("data", "Directory of the datasets that programs make.")


def run(arm: str, settings: Sequence[Any], seed: int, directory: pathlib.Path) -> dict[str, Any]:
    """Trains with one recipe; see `Experiment.run`."""
    (recipes,) = settings
    epochs = {"fast": recipes.fast_epochs, "paper": recipes.paper_epochs}[arm]
    flags = {"env": recipes.env, "preset": "quick", "recipe": arm, "epochs": epochs, "seed": seed}
    flags["data_dir"] = recipes.data_dir
    chosen = world_models.choose([f"--{name}={value}" for name, value in flags.items()])
    summary = training_run.run(chosen, directory).summary
    return {
        "val_skill": summary["history"][-1]["val_skill"],
        "hits@1": symmetric_embeddings.numbers(summary["scores"])["hits@1"],
        "transitions_seen": summary["transitions_seen"],
        "precision": summary["precision"],
    }


def draw(directory: pathlib.Path) -> list[pathlib.Path]:
    """Draws the validation skill of each run against the transitions it had seen."""
    figure = Figure(figsize=(6, 3.5), layout="constrained")
    axes = figure.subplots()
    for file in sorted(directory.glob(f"*/{runs.METRICS}")):
        history = json.loads(file.read_text(encoding="utf-8"))["history"]
        seen = [row["transitions"] for row in history]
        axes.plot(seen, [row["val_skill"] for row in history], ".-", label=file.parent.name)
    axes.set(xlabel="transitions seen", ylabel="validation skill", ylim=(-0.2, 1.02))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    path = directory / "recipes.png"
    figure.savefig(path)
    return [path]


EXPERIMENTS = {
    "recipes": Experiment(
        "2204.11371",
        "The paper's recipe and the fast one on the same data",
        ("fast", "paper"),
        {
            "val_skill": Metric("validation skill, last epoch"),
            "hits@1": Metric("Hits@1, last step %"),
            "transitions_seen": Metric("transitions seen", lower_is_better=True),
        },
        run,
        (Recipes,),
        draw=draw,
    )
}
