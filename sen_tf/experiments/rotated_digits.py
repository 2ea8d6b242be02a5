"""Handwritten digits under all rotations: plain and equivariant networks, by number of images.

  python -m sen_tf.reproduce --table=rotated-digits --seeds=3
  python -m sen_tf.reproduce --table=rotated-digits --dataset=mnist --image_size=41

Each image is turned by an angle drawn, as in rotated MNIST, both for training and for the test.
Every arm sees the same training images, turned by the same angles; `augmented`, the plain network,
sees them turned anew every epoch. All arms are one architecture that costs as much, one number of
steps and one learning rate. The digits come with scikit-learn; --dataset=mnist is downloaded.
"""

import dataclasses
import json
import pathlib
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from matplotlib.figure import Figure

from sen_tf import layers, settings
from sen_tf.datasets import rotated_images
from sen_tf.datasets.rotated_images import LabelledImages
from sen_tf.experiments.experiment import RESULT, Experiment, Metric
from sen_tf.models import network_parts
from sen_tf.settings import UsageError, setting

ARMS = {"plain": "C1", "augmented": "C1", "C4": "C4", "C8": "C8", "D8": "D8", "SO2": "SO2"}
"""The group of each arm's network."""
COUNTS = (50, 250, 1250)
"""Numbers of training images; smaller sets are parts of larger ones."""
TURNS = 4
"""Angles by which each test image is turned."""
CONVOLUTIONS = ((32, 5, 2), (64, 3, 1), (128, 3, 2), (256, 1, 1))
"""Filters of the plain network, kernel size and strides. Arms that cost as much have filters /
|group|, and of these the classifier sees the invariant parts alone: hence so many at the end."""


@dataclasses.dataclass(frozen=True)
class RotatedDigits:
    """Images and training."""

    dataset: str = setting(
        rotated_images.DIGITS,
        "Set of images; all but digits are downloaded.",
        choices=rotated_images.NAMES,
    )
    image_size: int = setting(17, "Rows and columns of turned images, 4 n + 1.", at_least=9)
    test_images: int = setting(500, "Images left out for the test.", at_least=1)
    steps: int = setting(200, "Steps of gradient descent, for each number of images.", at_least=1)
    batch_size: int = setting(64, "Images per step, all if there are fewer.", at_least=1)
    learning_rate: float = setting(0.01, "Learning rate of Adam, which falls to 0.", at_least=0.0)


def parse(arguments: Sequence[str], *groups: type[Any], **more: Any) -> tuple[Any, ...]:
    """The settings, as `settings.parse`; refuses sizes at which strides break the symmetry."""
    found = settings.parse(arguments, *groups, **more)
    (size,) = (each.image_size for each in found if isinstance(each, RotatedDigits))
    if size % 4 != 1:
        raise UsageError(
            f"Expected `--image_size` to be 4 n + 1, such as {size // 4 * 4 + 1} or "
            f"{size // 4 * 4 + 5}; received --image_size={size}"
        )
    return found


@dataclasses.dataclass(frozen=True)
class Task:
    """The images of a seed, the same for all arms.

    Attributes:
        training, test: Upright images.
        training_angles: `(training images,)` in radians.
        test_angles: `(TURNS, test images)`.
    """

    training: LabelledImages
    test: LabelledImages
    training_angles: np.ndarray
    test_angles: np.ndarray


def make_task(asked: RotatedDigits, rng: np.random.Generator) -> Task:
    """Images split, and their angles drawn."""
    whole = rotated_images.load(asked.dataset)
    most = len(whole) - COUNTS[-1]
    if asked.test_images > most:
        raise UsageError(
            f"Expected `--test_images` to be at most {most}, which leaves {COUNTS[-1]} of "
            f"{len(whole)} images for training; received --test_images={asked.test_images}"
        )
    training, test = rotated_images.split(whole, asked.test_images, rng)
    training = training[: COUNTS[-1]]
    at = rotated_images.angles(len(training), rng)
    test_at = rotated_images.angles(TURNS * len(test), rng).reshape(TURNS, -1)
    return Task(training, test, at, test_at)


def make_classifier(arm: str, input_shape: Sequence[int], classes: int) -> keras.Model:
    """A network from images `(n, rows, columns, channels)` to logits `(n, classes)`."""
    parts = network_parts.get(ARMS[arm], match="compute")
    image = keras.Input(input_shape)
    (filters, size, strides), *others = CONVOLUTIONS
    x = parts.lift(filters, size, strides)(image)
    for filters, size, strides in others:
        x = parts.activate()(parts.normalize()(x))
        x = parts.conv(filters, size, strides)(x)
    x = parts.activate()(parts.normalize()(x))
    x = parts.invariant(layers.GlobalPooling2D()(x))
    return keras.Model(image, keras.layers.Dense(classes)(x), name=arm)


def train(arm: str, task: Task, count: int, asked: RotatedDigits, seed: int) -> keras.Model:
    """A classifier that is trained on the first `count` images."""
    keras.utils.set_random_seed(seed)
    images, labels = task.training.images, task.training.labels
    shape = (asked.image_size, asked.image_size, images.shape[-1])
    model = make_classifier(arm, shape, int(labels.max()) + 1)
    rate = keras.optimizers.schedules.CosineDecay(asked.learning_rate, asked.steps)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(rate), loss, jit_compile=False)
    model.optimizer.build(model.trainable_variables)  # or the first step is traced twice
    batches = rotated_images.batches(
        task.training[:count],
        task.training_angles[:count],
        asked.image_size,
        asked.batch_size,
        np.random.default_rng(seed),
        anew=arm == "augmented",
    )
    model.fit(batches, steps_per_epoch=asked.steps, shuffle=False, verbose=0)
    return model


def accuracy(model: keras.Model, test: LabelledImages, angles: np.ndarray) -> float:
    """Percentage of images that are classified rightly when turned by angles (turns, images)."""
    size, right = model.input_shape[1], []
    for by in angles:
        turned = rotated_images.turned(test.images, by, size)
        logits = model.predict(turned, batch_size=500, verbose=0)
        right.append(logits.argmax(-1) == test.labels)
    return 100 * float(np.mean(right))


def run(arm: str, settings: Sequence[Any], seed: int, directory: pathlib.Path) -> dict[str, Any]:
    """Trains and scores an arm with each number of images; see `Experiment.run`."""
    (asked,) = settings
    task = make_task(asked, np.random.default_rng(seed))
    found: dict[str, Any] = {}
    for count in COUNTS:
        model = train(arm, task, count, asked, seed)
        found[f"accuracy_{count}"] = accuracy(model, task.test, task.test_angles)
        print(f"{count:,} images  accuracy {found[f'accuracy_{count}']:.1f} %", flush=True)
    upright = np.zeros((1, len(task.test)))
    found["accuracy_upright"] = accuracy(model, task.test, upright)
    return found | {
        "weights": sum(int(np.prod(w.shape)) for w in model.trainable_weights),
        "steps": asked.steps,
        "test_images": TURNS * len(task.test),
    }


def draw(directory: pathlib.Path) -> list[pathlib.Path]:
    """Draws accuracies by number of images: the seeds' mean, and all that lies between them."""
    figure = Figure(figsize=(4.5, 3), layout="constrained")
    axes = figure.subplots()
    for arm in ARMS:
        paths = sorted(directory.glob(f"{arm}-seed*/{RESULT}"))
        results = [json.loads(path.read_text(encoding="utf-8"))["found"] for path in paths]
        if not results:
            continue
        values = np.array([[found[f"accuracy_{n}"] for n in COUNTS] for found in results])
        (line,) = axes.plot(COUNTS, values.mean(axis=0), marker="o", markersize=3, label=arm)
        low, high = values.min(axis=0), values.max(axis=0)
        axes.fill_between(COUNTS, low, high, color=line.get_color(), alpha=0.2, linewidth=0)
    axes.set_xscale("log")
    axes.set_xticks(COUNTS, [f"{count:,}" for count in COUNTS])
    axes.minorticks_off()
    axes.set(xlabel="training images", ylabel="accuracy under all rotations %")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, loc="lower right", ncols=2)
    path = directory / "accuracies.png"
    figure.savefig(path, dpi=150)
    return [path]


EXPERIMENTS = {
    "rotated-digits": Experiment(
        "1911.08251",
        "Handwritten digits under all rotations, by number of training images",
        tuple(ARMS),
        {
            **{
                f"accuracy_{count}": Metric(f"accuracy, {count:,} images %")
                for count in reversed(COUNTS)
            },
            "accuracy_upright": Metric(f"accuracy, {COUNTS[-1]:,} images, upright test %"),
        },
        run,
        (RotatedDigits,),
        parse=parse,
        draw=draw,
    )
}
