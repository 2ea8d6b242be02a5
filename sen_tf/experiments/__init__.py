"""Experiments: the tables of papers as values, and what their arms are made of.

`TABLES` names the file of each table; a new paper is one file and a line per table.
"""

import importlib
import typing

if typing.TYPE_CHECKING:
    from sen_tf.experiments.experiment import Experiment

TABLES = {
    "shapes-limited": "symmetric_embeddings",
    "cubes": "symmetric_embeddings",
    "cubes-limited": "symmetric_embeddings",
    "rush_hour": "symmetric_embeddings",
    "rush_hour-limited": "symmetric_embeddings",
    "reacher": "symmetric_embeddings",
    "reacher-limited": "symmetric_embeddings",
    "teapot-large": "symmetric_embeddings",
    "teapot-small": "symmetric_embeddings",
    "goal-pictures": "goal_pictures",
    "exact-sampling": "exact_sampling",
    "symmetry-bounds": "symmetry_bounds",
    "relaxed-control": "relaxed_control",
    "backward-imitation": "backward_imitation",
    "symmetric-imitation": "backward_imitation",
    "equivariant-planning": "equivariant_planning",
    "equivariant-planning-3d": "equivariant_planning",
    "rotated-digits": "rotated_digits",
    "sequence": "sequence_labelling",
    "plateau": "plateau",
    "recipes": "recipes",
    "negatives": "recipes",
}


def get(table: str) -> "Experiment":
    """The `Experiment` of a table, by its name in `TABLES`."""
    module = importlib.import_module(f"sen_tf.experiments.{TABLES[table]}")
    return module.EXPERIMENTS[table]


def gallery() -> str:
    """A line per table: its name, its paper, what it compares."""
    lines = []
    for name in TABLES:
        experiment = get(name)
        arms = ", ".join(experiment.arms)
        lines.append(f"{name:18} arXiv {experiment.paper}  {experiment.title}: {arms}")
    return "\n".join(lines)
