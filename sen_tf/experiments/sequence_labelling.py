"""The smallest symmetric embedding: a dense layer learns how an unknown symmetry acts on data.

  python -m sen_tf.reproduce --table=sequence

A sequence on a circle of 16 positions is observed through a fixed, unknown orthogonal matrix, so
that shifts of the sequence do something to observations that nobody wrote down. The sequence is a
noisy wave, and each position has a label: the quadrant of the wave's phase there (above or below
zero, about to rise or to fall). Training has waves of one half of all phases; shifted by half a
circle, each of them shows every position the other half.

- `sen`: a dense layer, then convolutions over C_16, which commute with shifts exactly.
- `nonequivariant`: the same layers with no weight shared.

To label shifted sequences the dense layer must undo the observation up to a map that commutes with
shifts: layer times observation must be circulant. EE(S) says how nearly it is.

That a dense layer before 1-D convolutions learns this is shown by Park et al. (2022) on labelling
sequences. The observation matrix, the waves, the labels, the limits of the training set and all
sizes are ours: nothing here is to be compared with printed numbers.
"""

import pathlib
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import layers
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from sen_tf import groups, metrics
from sen_tf.experiments.experiment import Experiment, Metric
from sen_tf.groups import actions as act
from sen_tf.layers import GroupDense

POSITIONS = 16
GROUP = groups.get(f"C{POSITIONS}")
LABELS = 4
CHANNELS = 16
NOISE = 0.3
SEQUENCES = 2000
EPOCHS = 40
BATCH = 64
LEARNING_RATE = 0.01


def observation_matrix(rng: np.random.Generator) -> np.ndarray:
    """A random orthogonal matrix, uniform by Haar measure, (POSITIONS, POSITIONS) float64."""
    q, r = np.linalg.qr(rng.normal(size=(POSITIONS, POSITIONS)))
    return q * np.sign(np.diag(r))


def waves(rng: np.random.Generator, count: int) -> np.ndarray:
    """Noisy waves of amplitude 1 that peak in the first half of the circle, (count, POSITIONS)."""
    peak = rng.uniform(0, POSITIONS / 2, (count, 1))
    wave = np.cos(2 * np.pi * (np.arange(POSITIONS) - peak) / POSITIONS)
    return wave + NOISE * rng.normal(size=wave.shape)


def quadrants(sequences: np.ndarray) -> np.ndarray:
    """Labels 0..3 of all positions: 2 above zero, plus 1 where the next value is larger."""
    rises = np.roll(sequences, -1, axis=1) > sequences
    return 2 * (sequences > 0) + rises


def make_labeller(arm: str) -> keras.Model:
    """A model from observations `(batch, POSITIONS)` to logits `(batch, POSITIONS, LABELS)`.

    Its layer `embedding` is the dense one, whose outputs are the values of a function on C_16.
    """
    observation = keras.Input((POSITIONS,), name="observation")
    x = layers.Dense(POSITIONS, use_bias=False, name="embedding")(observation)
    if arm == "sen":
        x = layers.Reshape((POSITIONS, 1))(x)
        x = GroupDense(GROUP, CHANNELS, activation="relu")(x)
        logits = GroupDense(GROUP, LABELS)(x)
    else:
        x = layers.Dense(POSITIONS * CHANNELS, activation="relu")(x)
        logits = layers.Reshape((POSITIONS, LABELS))(layers.Dense(POSITIONS * LABELS)(x))
    return keras.Model(observation, logits, name=arm)


def train(labeller: keras.Model, observations: np.ndarray, labels: np.ndarray) -> None:
    """Trains for `EPOCHS` passes, by cross-entropy, with a learning rate that falls to zero."""
    steps = EPOCHS * -(-len(observations) // BATCH)
    rate = keras.optimizers.schedules.CosineDecay(LEARNING_RATE, steps)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    labeller.compile(keras.optimizers.Adam(rate), loss, jit_compile=False)
    labeller.optimizer.build(labeller.trainable_variables)  # or the first step is traced twice
    labeller.fit(observations, labels, batch_size=BATCH, epochs=EPOCHS, verbose=0)


def embedded_sequence(labeller: keras.Model, matrix: np.ndarray) -> np.ndarray:
    """The matrix from sequences to features: the dense layer after the observation `matrix`."""
    return labeller.get_layer("embedding").kernel.numpy().T @ matrix


def equivariance_error(composite: np.ndarray, sequences: np.ndarray) -> float:
    """EE(S) of features `composite x`, averaged over all shifts but the identity."""
    features = sequences @ composite.T
    errors = [
        metrics.equivariance_error(
            act.act_on_regular(features, GROUP, g, axis=1),
            act.act_on_regular(sequences, GROUP, g, axis=1) @ composite.T,
        )
        for g in GROUP.elements[1:]
    ]
    return float(np.mean(errors))


def accuracies(
    labeller: keras.Model, matrix: np.ndarray, sequences: np.ndarray
) -> dict[str, float]:
    """Share of positions labelled rightly, with shifts as in training and with the other half."""
    return {
        name: float(np.mean(predict(labeller, shifted @ matrix.T) == quadrants(shifted)))
        for name, shifted in {
            "seen": sequences,
            "unseen": act.act_on_regular(sequences, GROUP, POSITIONS // 2, axis=1),
        }.items()
    }


def predict(labeller: keras.Model, observations: np.ndarray) -> np.ndarray:
    """Labels `(N, POSITIONS)` of observations."""
    return labeller.predict(observations, batch_size=1000, verbose=0).argmax(-1)


def run(arm: str, seed: int) -> tuple[dict[str, float], np.ndarray, np.ndarray]:
    """Trains an arm; returns its scores and the matrices to features before and after.

    Args:
        arm: `"sen"` or `"nonequivariant"`.
        seed: Seed of the observation matrix, the waves, the weights and the order.
    """
    keras.utils.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    matrix = observation_matrix(rng)
    training, test = waves(rng, SEQUENCES), waves(rng, SEQUENCES)
    labeller = make_labeller(arm)
    before = embedded_sequence(labeller, matrix)
    train(labeller, training @ matrix.T, quadrants(training))
    after = embedded_sequence(labeller, matrix)
    accuracy = accuracies(labeller, matrix, test)
    scores = {
        "accuracy_seen": 100 * accuracy["seen"],
        "accuracy_unseen": 100 * accuracy["unseen"],
        "ee_embedding": equivariance_error(after, test),
        "ee_before_training": equivariance_error(before, test),
        "sequences_seen": EPOCHS * SEQUENCES,
        "test_sequences": len(test),
        "parameters": labeller.count_params(),
    }
    return scores, before, after


def cell(arm: str, settings: Sequence[Any], seed: int, directory: pathlib.Path) -> dict[str, float]:
    """One run and the figure of its matrices; see `Experiment.run`."""
    scores, before, after = run(arm, seed)
    draw_matrices(before, after, directory / "matrices.png")
    return scores


def draw_matrices(before: np.ndarray, after: np.ndarray, path: pathlib.Path) -> pathlib.Path:
    """Draws the matrices from sequences to features before and after training; returns the path."""
    figure = Figure(figsize=(7, 3.6), layout="constrained")
    both = {"before training": before, "after training": after}
    for axes, (title, values) in zip(figure.subplots(1, 2), both.items(), strict=True):
        limit = np.abs(values).max()
        axes.imshow(values, cmap="RdBu", vmin=-limit, vmax=limit)
        axes.set(title=title, xlabel="position in the sequence", ylabel="position in the features")
        axes.set(xticks=[], yticks=[])
    FigureCanvasAgg(figure).print_png(path)
    return path


EXPERIMENTS = {
    "sequence": Experiment(
        "2204.11371",
        "Labels of positions on a circle that is seen through an unknown matrix",
        ("nonequivariant", "sen"),
        {
            "accuracy_unseen": Metric("accuracy, shifts unseen %"),
            "accuracy_seen": Metric("accuracy, shifts seen %"),
            "ee_embedding": Metric("EE(S)", lower_is_better=True),
            "ee_before_training": Metric("EE(S) before training", lower_is_better=True),
        },
        cell,
    )
}
