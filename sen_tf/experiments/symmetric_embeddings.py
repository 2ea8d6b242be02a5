"""The tables of the paper on symmetric embeddings, and the cell that all of them share.

Park, Biza, Zhao, van de Meent, Walters, *Learning Symmetric Embeddings for Equivariant World
Models*, ICML 2022 (arXiv 2204.11371), and the version of it that was submitted to ICLR.

Of the printed numbers in `published.csv`, EE of rotations is divided by sqrt(3): the paper prints
mean |g S(o) - S(g o)| itself, 2.41 for unrelated rotations, 16 sqrt(2) / (3 pi), and we divide by
mean |S(o)|. The DIE of both Reacher tables is left out, since its unit is unclear. `cubes` is not
published: its printed row repeats that of another environment. Nor is `rush_hour-limited`: limited
headings are our reading of the experiment.
"""

import dataclasses
import functools
import pathlib
from collections.abc import Sequence
from typing import Any

from sen_tf.experiments import networks, training_run, world_models
from sen_tf.experiments.experiment import Experiment, Metric

PAPER = "2204.11371"
METRICS = {
    "hits@1": Metric("Hits@1 %"),
    "hits@10": Metric("Hits@10 %"),
    "mrr": Metric("MRR %"),
    "hard_hits@6": Metric("HH@1, 6 negatives %"),
    "hard_hits@18": Metric("HH@1, 18 negatives %"),
    "traversal_yaw": Metric("TH@1 yaw %"),
    "traversal_pitch": Metric("TH@1 pitch %"),
    "traversal_roll": Metric("TH@1 roll %"),
    "ee_embedding": Metric("EE(S)", lower_is_better=True),
    "die_model": Metric("DIE(model) x 1e-2", lower_is_better=True),
    "skill": Metric("skill, episodes held out"),
}
BLOCKS = ("hits@1", "hits@10", "mrr", "ee_embedding", "die_model")
OWNED: tuple[str, ...] = ("model", "dataset", "trust_dataset", "train_actions", "train_starts")
OWNED += ("sprites", "rotations", "warm_up")
"""Flags that the tables set, or leave as the paper has them."""


def numbers(scores: dict[str, Any], horizon: int | None = None) -> dict[str, Any]:
    """Scores of `scoring.evaluate` as the paper's tables print them, a flat dict.

    Args:
        scores: The scores.
        horizon: Steps predicted for ranks and DIE; the last that was scored if None.
    """
    steps = scores["steps"]
    last = steps[str(horizon or max(steps, key=int))]
    found = {name: 100 * last[name] for name in ("hits@1", "hits@10", "mrr")}
    if scores["symmetry"]:
        found["ee_embedding"] = scores["symmetry"]["mean"]["ee_embedding"]
        found["die_model"] = 100 * last["die_model"]
    for number, value in scores.get("hard_hits", {}).items():
        found[f"hard_hits@{number}"] = 100 * value
    for axis, value in scores.get("traversal_hits", {}).items():
        found[f"traversal_{axis}"] = 100 * value
    return found


def run(
    arm: str,
    settings: Sequence[Any],
    seed: int,
    directory: pathlib.Path,
    metrics: Sequence[str],
    horizon: int | None = None,
) -> dict[str, Any]:
    """Trains a model of an arm and scores it by some of `METRICS`; see `Experiment.run`."""
    chosen = world_models.Settings(*settings)
    chosen = chosen._replace(
        network=dataclasses.replace(chosen.network, model=arm),
        training=dataclasses.replace(chosen.training, seed=seed),
    )
    summary = training_run.run(chosen, directory).summary
    found = numbers(summary["scores"], horizon)
    if "val_skill" in (best := summary["history"][summary["best_epoch"] - 1]):
        found["skill"] = best["val_skill"]
    cost = {name: summary[name] for name in ("transitions_seen", "preset", "precision")}
    cost["evaluation_episodes"] = summary["scores"]["episodes"]
    return {name: found[name] for name in metrics if name in found} | cost


def parse(arguments: Sequence[str], *groups: type[Any]) -> tuple[Any, ...]:
    """`world_models.parse`, where the preset is laptop unless it is said."""
    return world_models.parse(arguments, *groups, default_preset=lambda: "laptop")


def table(
    env: str,
    title: str,
    metrics: Sequence[str],
    *flags: str,
    arms: tuple[str, ...] = tuple(networks.ARMS),
    horizon: int | None = None,
) -> Experiment:
    """A table of an environment; see `Experiment`."""
    return Experiment(
        PAPER,
        title,
        arms,
        {name: METRICS[name] for name in metrics},
        functools.partial(run, metrics=metrics, horizon=horizon),
        world_models.GROUPS,
        (f"--env={env}", *flags),
        OWNED,
        parse,
    )


RANKS = ("hits@1", "mrr", "ee_embedding", "die_model")
FROM_ONE_STEP = ("hits@10", "mrr", "ee_embedding")
TRAVERSALS = ("traversal_yaw", "traversal_pitch", "traversal_roll")
NEAR = ("hard_hits@18", "hard_hits@6", *TRAVERSALS, "ee_embedding", "die_model")
ALL = ("--train_actions=", "--train_episodes=1000", "--train_steps=100")

EXPERIMENTS = {
    "shapes-limited": table(
        "shapes",
        "2D Shapes, trained on moves up",
        ("hits@10", "mrr", "ee_embedding", "die_model"),
        arms=("nonequivariant", "sen"),
    ),
    "cubes": table("cubes", "3D Blocks, trained on all moves", BLOCKS, *ALL),
    "cubes-limited": table("cubes", "3D Blocks, trained on moves up, right and down", RANKS),
    "rush_hour": table("rush_hour", "Rush Hour, trained on all headings", (*RANKS, "skill")),
    "rush_hour-limited": table(
        "rush_hour", "Rush Hour, trained on objects that head up", BLOCKS, "--train_starts=up"
    ),
    "reacher": table("reacher", "Reacher, trained on all torques", FROM_ONE_STEP, horizon=1),
    "reacher-limited": table(
        "reacher",
        "Reacher, trained where the second torque is not negative",
        FROM_ONE_STEP,
        "--train_actions=second_nonnegative",
        horizon=1,
    ),
    "teapot-large": table(
        "teapot", "Teapot, under uniform rotations", NEAR, arms=networks.TEAPOT_ARMS
    ),
    "teapot-small": table(
        "teapot",
        "Teapot, under small turns about the axes",
        ("hard_hits@6", *TRAVERSALS, "ee_embedding"),
        "--rotations=small",
        arms=networks.TEAPOT_ARMS,
    ),
}
