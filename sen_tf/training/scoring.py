"""Scores of a world model on episodes: ranks, equivariance errors, near states.

Hits@k and MRR rank the true latent state of each episode against the predictions of all, after 1, 5
and 10 steps; ties count against the model. EE(S), DIE(S) of the features and DIE(model) of the
predictions compare with the same episodes transformed by elements of the group and rendered again,
where there are such twins.
For the Teapot, HH@1 compares with states near the true one, TH@1 with the views along a traversal.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from sen_tf import metrics
from sen_tf.datasets import Episodes
from sen_tf.datasets.progress import progress
from sen_tf.envs import EnvLike
from sen_tf.groups import actions as group_actions

BATCH = 256
HORIZONS = (1, 5, 10)
TWIN_EPISODES = 1000
"""Episodes of which twins are compared: the embeddings of 10,000 do not fit in little memory."""
LOOKED_AT = 32
"""Episodes of a quick look."""
HARD_NEGATIVES = (6, 18)
TRAVERSALS = 100
RENDERED = 2048


class Latents:
    """Latent states and features of a model, computed in batches.

    Args:
        model: A world model.
        batch: Rows per batch.
    """

    def __init__(self, model: keras.Model, batch: int = BATCH) -> None:
        self.model, self.batch = model, batch
        self._encode = tf.function(model.encode, reduce_retracing=True)
        self._embed = tf.function(model.embed, reduce_retracing=True)
        self._step = tf.function(model.step, reduce_retracing=True)

    def encode(self, images: np.ndarray) -> np.ndarray:
        return self._in_batches(self._encode, images)

    def embed(self, images: np.ndarray) -> np.ndarray:
        return self._in_batches(self._embed, images)

    def step(self, states: np.ndarray, actions: np.ndarray) -> np.ndarray:
        dtype = self.model.transition.inputs[1].dtype
        return self._in_batches(self._step, states, actions.astype(dtype))

    def rollout(self, states: np.ndarray, actions: np.ndarray) -> np.ndarray:
        predicted = []
        for action in np.moveaxis(actions, 1, 0):
            states = self.step(states, action)
            predicted.append(states)
        return np.stack(predicted, axis=1)

    def _in_batches(self, function, *arrays):
        """The function's values on arrays, batch by batch; a short last batch is filled up."""
        size = min(self.batch, len(arrays[0]))
        parts = []
        for start in range(0, len(arrays[0]), size):
            batch = [array[start : start + size] for array in arrays]
            fill = size - len(batch[0])
            filled = [np.pad(x, [(0, fill), *[(0, 0)] * (x.ndim - 1)]) for x in batch]
            part = tf.cast(function(*map(tf.constant, filled)), tf.float32).numpy()
            parts.append(part[: len(batch[0])])
        return np.concatenate(parts)


def evaluate(latents: Latents, read: Callable[..., Episodes], env: EnvLike) -> dict[str, Any]:
    """Scores of a model on evaluation episodes, and on their twins where they have some.

    Args:
        latents: `Latents` of the model.
        read: Function `(steps, episodes, twin)` to the `Episodes` of these times, as
            `datasets.read_episodes` of a file, or `Episodes.select` of those in memory.
        env: The environment, or its class.

    Returns:
        A dict of numbers, ready for JSON; see the module.
    """
    # One time after the other: 10,000 episodes' frames of all times are a gigabyte.
    first = read(steps=(0,))
    horizons = [horizon for horizon in HORIZONS if horizon <= first.actions.shape[1]]
    with progress(1 + len(horizons) + len(first.twins), "scoring", "passes") as passed:
        start = latents.encode(first.observations[:, 0])
        predicted = latents.rollout(start, first.actions[:, : max(horizons)])
        scores: dict[str, Any] = {}
        for horizon in horizons:
            true = latents.encode(read(steps=(horizon,)).observations[:, 0])
            scores[str(horizon)] = metrics.ranking_metrics(true, predicted[:, horizon - 1])
            passed(1)
        symmetry = _symmetry(latents, read, env.group, horizons, passed)
    for horizon, error in symmetry.pop("die_model", {}).items():
        scores[horizon]["die_model"] = error
    near_states: dict[str, Any] = {}
    if hasattr(env, "hard_negatives"):
        near_states = _near_states(latents, env, len(first), first.attrs.get("seed", 0))
    norms = np.linalg.norm(start.reshape(len(start), -1), axis=1)
    return {
        "episodes": len(first),
        "steps": scores,
        "z_norm": float(norms.mean()),
        "z_spread": metrics.spread(start),
        "collapsed": metrics.is_collapsed(start),
        "symmetry": symmetry,
        **near_states,
        "parameters": int(sum(np.prod(w.shape) for w in latents.model.trainable_variables)),
    }


def _symmetry(latents, read, group, horizons, passed):
    """EE(S), DIE(S) for each twin's group element and on average, DIE(model) at each horizon."""

    def outputs(twin=None):
        passed(1)
        episodes = read(steps=(0,), episodes=TWIN_EPISODES, twin=twin)
        images = episodes.observations[:, 0]
        states = latents.encode(images)
        predicted = latents.rollout(states, episodes.actions[:, : max(horizons)])
        return episodes.twins, _symmetric(latents.embed(images), states), predicted

    twins, features, predicted = outputs()
    table: dict[str, dict[str, float]] = {}
    die_model: dict[str, list[float]] = {str(horizon): [] for horizon in horizons}
    for number, element in twins.items():
        _, turned_features, turned_predicted = outputs(number)
        table[str(number)] = {
            "ee_embedding": metrics.equivariance_error(
                act_on_features(features, group, element), turned_features
            ),
            "die_embedding": _die(features, turned_features),
        }
        for horizon in horizons:
            states = (states[:, horizon - 1] for states in (predicted, turned_predicted))
            die_model[str(horizon)].append(_die(*states))
    if not table:
        return {}
    names = ("ee_embedding", "die_embedding")
    return {
        "episodes": len(features),
        "mean": {name: float(np.mean([row[name] for row in table.values()])) for name in names},
        "by_element": table,
        "die_model": {horizon: float(np.mean(errors)) for horizon, errors in die_model.items()},
    }


def look(latents: Latents, read: Callable[..., Episodes], env: EnvLike) -> dict[str, float]:
    """A quick look at a model in training: numbers of few episodes.

    Args:
        latents, read, env: As in `evaluate`; a few episodes are read.

    Returns:
        Dict of EE(S), where the episodes have twins.
    """

    def outputs(twin=None):
        episodes = read(steps=(0,), episodes=LOOKED_AT, twin=twin)
        images = episodes.observations[:, 0]
        return episodes.twins, _symmetric(latents.embed(images), latents.encode(images))

    twins, features = outputs()
    errors = []
    for number, element in twins.items():
        _, turned = outputs(number)
        errors.append(
            metrics.equivariance_error(act_on_features(features, env.group, element), turned)
        )
    return {"equivariance_error": float(np.mean(errors))} if errors else {}


def _symmetric(features, states):
    """The output of S: the features, or where they are vectors the rotation made of them."""
    return states if features.ndim == 3 else features


def act_on_features(features: np.ndarray, group: Any, g: Any) -> np.ndarray:
    """The full action of g on features: in space, and on the group axis where there is one."""
    if features.ndim == 3:  # a rotation
        return g @ features
    if features.ndim == 4:
        return group_actions.rotate_grid(features, group, g, axes=(1, 2))
    return group_actions.act_on_regular_image(features, group, g)


def _near_states(latents, env, count, seed):
    """HH@1 after one step, and TH@1 along a traversal about each axis; see `metrics.ranking`."""
    rng = np.random.default_rng(seed)
    states, actions = env.sample_states(rng, count), env.sample_actions(rng, count)
    reached = env.step_states(states, actions)
    predicted = latents.rollout(_encode_states(latents, env, states), actions[:, None])[:, 0]
    near = env.hard_negatives(reached, max(HARD_NEGATIVES))
    true, near = (_encode_states(latents, env, each) for each in (reached, near))
    hard_hits = {str(n): metrics.hard_hits(true, predicted, near[:, :n]) for n in HARD_NEGATIVES}
    traversal_hits = {
        axis: float(
            metrics.traversal_hits(*traverse(latents, env, states[:TRAVERSALS], axis)).mean()
        )
        for axis in env.traversal_axes
    }
    return {"hard_hits": hard_hits, "traversal_hits": traversal_hits}


def traverse(
    latents: Latents, env: EnvLike, starts: np.ndarray, axis: str
) -> tuple[np.ndarray, np.ndarray]:
    """Encoded views (n, V, ...) of traversals about an axis, and predictions from the first."""
    views = _encode_states(latents, env, env.traversal(starts, axis))
    turn = env.traversal_action(axis)
    turns = np.broadcast_to(turn, (*views.shape[:2], *turn.shape))
    return views, latents.rollout(views[:, 0], turns)


def _encode_states(latents, env, states):
    """Latent states of the teapot's states (..., 3, 3), rendered a batch at a time."""
    flat = states.reshape(-1, 3, 3)
    batches = np.array_split(flat, -(-len(flat) // RENDERED))
    encoded = np.concatenate([latents.encode(env.render_states(batch)) for batch in batches])
    return encoded.reshape(*states.shape[:-2], *encoded.shape[1:])


def _die(x, gx):
    """Distance invariance error over pairs of consecutive samples."""
    return metrics.distance_invariance_error(x[1:], x[:-1], gx[1:], gx[:-1])


def table(scores: dict[str, Any]) -> str:
    """The scores as a text table."""
    lines = ["  steps   Hits@1   Hits@5  Hits@10      MRR  DIE(model)"]
    for horizon, row in scores["steps"].items():
        cells = [100 * row[name] for name in ("hits@1", "hits@5", "hits@10", "mrr")]
        error = f"{row['die_model']:12.4f}" if "die_model" in row else ""
        lines.append(f"  {horizon:>5}" + "".join(f"{cell:8.1f}%" for cell in cells) + error)
    lines.append(f"  {scores['episodes']:,} evaluation episodes; ties count against the model")
    if scores["symmetry"]:
        mean = scores["symmetry"]["mean"]
        lines.append(f"  EE(S) {mean['ee_embedding']:.3f}   DIE(S) {mean['die_embedding']:.4f}")
    for title, name in (("HH@1 among", "hard_hits"), ("TH@1", "traversal_hits")):
        if name in scores:
            cells = [f"{key} {100 * value:.1f}%" for key, value in scores[name].items()]
            lines.append(f"  {title} " + "   ".join(cells))
    lines.append(
        f"  |z| {scores['z_norm']:.2f}   spread of z {scores['z_spread']:.3f}   "
        f"{scores['parameters']:,} parameters"
    )
    if scores["collapsed"]:
        lines.append(
            "  WARNING: the latent states have collapsed to a point; the scores mean nothing"
        )
    return "\n".join(lines)
