"""Scores a trained world model on an evaluation set, and draws its pictures.

  python -m sen_tf.evaluate --run=runs/cubes-sen
  python -m sen_tf.evaluate --model_file=model.keras --env=cubes --dataset=data/evaluation.h5

Hits@k and MRR rank the true latent state of each episode against the predictions of all, after 1, 5
and 10 steps; ties count against the model. EE(S) and DIE compare with the same episodes transformed
by every element of the group and rendered again.
"""

import time

import numpy as np
import tensorflow as tf

from sen_tf import datasets, figures, generate, metrics, runs, settings
from sen_tf.groups import actions as group_actions

FLAGS = ("run", "model_file", "env", "dataset", "eval_episodes", "eval_steps", "sprites", "seed")
BATCH = 256
HORIZONS = (1, 5, 10)
TWIN_EPISODES = 1000
"""Episodes of which twins are compared: the embeddings of 10,000 do not fit in little memory."""


class Latents:
    """Latent states and features of a model, computed in batches."""

    def __init__(self, model):
        self.model = model
        self._encode = tf.function(model.encode, reduce_retracing=True)
        self._embed = tf.function(model.embed, reduce_retracing=True)
        self._rollout = tf.function(model.rollout, reduce_retracing=True)

    def encode(self, images):
        return _in_batches(self._encode, images)

    def embed(self, images):
        return _in_batches(self._embed, images)

    def rollout(self, states, actions):
        return _in_batches(self._rollout, states, actions.astype(np.int32))


def _in_batches(function, *arrays):
    """The function's values on arrays, batch by batch; a short batch is filled up."""
    parts = []
    for start in range(0, len(arrays[0]), BATCH):
        batch = [array[start : start + BATCH] for array in arrays]
        fill = BATCH - len(batch[0])
        filled = [np.pad(x, [(0, fill), *[(0, 0)] * (x.ndim - 1)]) for x in batch]
        part = tf.cast(function(*map(tf.constant, filled)), tf.float32).numpy()
        parts.append(part[: len(batch[0])])
    return np.concatenate(parts)


def evaluate(latents, path, env, group):
    """Scores of a model on a file of evaluation episodes with twins; see the module.

    Args:
        latents: `Latents` of the model.
        path: File of episodes, as `sen_tf.generate --split=evaluation` writes it.
        env: Name of the environment that the file must be of.
        group: The environment's group.

    Returns:
        A dict of numbers, ready for JSON.
    """

    # One time after the other: 10,000 episodes' frames of all times are a gigabyte.
    def episodes_at(time):
        return datasets.read_episodes(path, env, steps=(time,), twins=False)

    first = episodes_at(0)
    start = latents.encode(first.observations[:, 0])
    horizons = [horizon for horizon in HORIZONS if horizon <= first.actions.shape[1]]
    predicted = latents.rollout(start, first.actions[:, : max(horizons)])
    scores = {}
    for horizon in horizons:
        true = latents.encode(episodes_at(horizon).observations[:, 0])
        scores[str(horizon)] = metrics.ranking_metrics(true, predicted[:, horizon - 1])
    norms = np.linalg.norm(start.reshape(len(start), -1), axis=1)
    return {
        "episodes": len(first),
        "steps": scores,
        "z_norm": float(norms.mean()),
        "z_spread": metrics.spread(start),
        "collapsed": metrics.is_collapsed(start),
        "symmetry": _symmetry(latents, path, env, group),
        "parameters": int(sum(np.prod(w.shape) for w in latents.model.trainable_variables)),
    }


def _symmetry(latents, path, env, group):
    """EE(S), DIE(S) and DIE(model) for each group element but the identity, and their means."""
    episodes = datasets.read_episodes(path, env, steps=(0,), episodes=TWIN_EPISODES)
    images = episodes.observations[:, 0]
    features, states = latents.embed(images), latents.encode(images)
    table = {}
    for g, (turned, _) in episodes.twins.items():
        turned_features = latents.embed(turned[:, 0])
        table[str(g)] = {
            "ee_embedding": metrics.equivariance_error(
                act_on_features(features, group, g), turned_features
            ),
            "die_embedding": _die(features, turned_features),
            "die_model": _die(states, latents.encode(turned[:, 0])),
        }
    names = ("ee_embedding", "die_embedding", "die_model")
    mean = {name: float(np.mean([row[name] for row in table.values()])) for name in names}
    return {"episodes": len(episodes), "mean": mean, "by_element": table} if table else {}


def act_on_features(features, group, g):
    """The full action of g on features: in space, and on the group axis where there is one."""
    if features.ndim == 4:
        return group_actions.rotate_grid(features, group, g, axes=(1, 2))
    return group_actions.act_on_regular_image(features, group, g)


def _die(x, gx):
    """Distance invariance error over pairs of consecutive samples."""
    return metrics.distance_invariance_error(x[1:], x[:-1], gx[1:], gx[:-1])


def table(scores):
    """The scores as a text table."""
    lines = ["  steps   Hits@1   Hits@5  Hits@10      MRR"]
    for horizon, row in scores["steps"].items():
        cells = [100 * row[name] for name in ("hits@1", "hits@5", "hits@10", "mrr")]
        lines.append(f"  {horizon:>5}" + "".join(f"{cell:8.1f}%" for cell in cells))
    lines.append(f"  {scores['episodes']:,} evaluation episodes; ties count against the model")
    if scores["symmetry"]:
        mean = scores["symmetry"]["mean"]
        lines.append(
            f"  EE(S) {mean['ee_embedding']:.3f}   DIE(S) {mean['die_embedding']:.4f}   "
            f"DIE(model) {mean['die_model']:.4f}"
        )
    lines.append(
        f"  |z| {scores['z_norm']:.2f}   spread of z {scores['z_spread']:.3f}   "
        f"{scores['parameters']:,} parameters"
    )
    if scores["collapsed"]:
        lines.append(
            "  WARNING: the latent states have collapsed to a point; the scores mean nothing"
        )
    return "\n".join(lines)


def main(arguments):
    options = settings.parse(arguments, FLAGS)
    model, directory = runs.open_model(options)
    if options.run:
        options = runs.with_flags_of_run(options)
    begun = time.perf_counter()
    file = options.dataset or generate.evaluation_file(options)
    latents = Latents(model)
    scores = evaluate(latents, file, options.env, generate.make_env(options).group)
    print(table(scores))
    path = directory / runs.EVALUATION
    runs.write_json(path, scores)
    drawn = figures.draw_model(latents, file, options.env, directory / "figures")
    runs.log_pictures(directory, drawn)
    print(f"evaluated in {time.perf_counter() - begun:.0f} s; wrote {path}")
    for picture in drawn:
        print(f"wrote {picture}")


if __name__ == "__main__":
    settings.run(main, __doc__, FLAGS)
