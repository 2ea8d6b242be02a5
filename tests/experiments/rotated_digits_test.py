"""Digits under all rotations: the images of each arm, the networks, and the table."""

import json

import keras
import numpy as np
import pytest

from sen_tf import experiments, reproduce
from sen_tf.datasets import rotated_images
from sen_tf.experiments import rotated_digits
from sen_tf.experiments.rotated_digits import COUNTS, TURNS, RotatedDigits
from sen_tf.settings import UsageError

ASKED = RotatedDigits()


def test_images_are_those_of_the_seed():
    first, same, other = (
        rotated_digits.make_task(ASKED, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert first.training.images.shape == (COUNTS[-1], 8, 8, 1)
    assert first.training_angles.shape == (COUNTS[-1],)
    assert first.test_angles.shape == (TURNS, 500)
    np.testing.assert_array_equal(first.training.images, same.training.images)
    np.testing.assert_array_equal(first.training_angles, same.training_angles)
    np.testing.assert_array_equal(first.test_angles, same.test_angles)
    assert not np.array_equal(first.training.images, other.training.images)


@pytest.fixture
def seen(monkeypatch):
    """The batches of each arm, whose networks are not trained: a list per arm."""
    taken = {}

    def fit(model, batches, steps_per_epoch, **_):
        taken.setdefault(model.name, []).extend(next(batches) for _ in range(steps_per_epoch))

    monkeypatch.setattr(keras.Model, "fit", fit)
    return taken


def test_all_arms_see_the_same_images_but_augmented(seen):
    task = rotated_digits.make_task(ASKED, np.random.default_rng(1))
    asked = RotatedDigits(steps=2)
    for arm in rotated_digits.ARMS:
        rotated_digits.train(arm, task, 50, asked, seed=1)
    whole = rotated_images.turned(task.training.images[:50], task.training_angles[:50], 17)
    plain = seen["plain"]
    order = [np.abs(whole - image).max((1, 2, 3)).argmin() for image in plain[0][0]]
    assert sorted(order) == list(range(50))
    np.testing.assert_array_equal(plain[0][0], whole[order])
    np.testing.assert_array_equal(plain[0][1], task.training.labels[order])
    for arm, batches in seen.items():
        for (images, labels), (others, their_labels) in zip(batches, plain, strict=True):
            np.testing.assert_array_equal(labels, their_labels)
            assert np.array_equal(images, others) == (arm != "augmented")


@pytest.mark.parametrize("arm", rotated_digits.ARMS)
def test_equivariant_arms_alone_say_the_same_of_quarter_turns(arm):
    keras.utils.set_random_seed(0)
    model = rotated_digits.make_classifier(arm, (17, 17, 1), 10)
    image = np.random.default_rng(0).random((2, 17, 17, 1), "float32")
    upright = model.predict_on_batch(image)
    turned = model.predict_on_batch(np.rot90(image, axes=(1, 2)).copy())
    assert upright.shape == (2, 10)
    same = np.abs(upright - turned).max() < 1e-4 * np.abs(upright).max()
    assert same == (arm not in ("plain", "augmented"))


def test_accuracy_counts_images_under_every_angle():
    task = rotated_digits.make_task(RotatedDigits(test_images=10), np.random.default_rng(0))
    image = keras.Input((17, 17, 1))
    logits = keras.layers.Dense(10, "linear", False, "zeros")(keras.layers.Flatten()(image))
    always_zero = keras.Model(image, logits)
    expected = 100 * np.mean(task.test.labels == 0)
    assert rotated_digits.accuracy(always_zero, task.test, task.test_angles) == expected


def test_two_arms_are_reproduced_and_drawn(tmp_path, monkeypatch):
    monkeypatch.setattr(rotated_digits, "COUNTS", (20, 50, 1250))
    size = ["--steps=4", "--test_images=40", "--batch_size=16", f"--output={tmp_path}"]
    for arm in ("plain", "C4"):
        reproduce.main(["--table=rotated-digits", f"--only={arm}", "--seeds=1", *size])
        found = json.loads((tmp_path / f"{arm}-seed1" / "result.json").read_text())["found"]
        assert {"accuracy_20", "accuracy_50", "accuracy_1250", "accuracy_upright"} <= set(found)
        assert found["test_images"] == 40 * TURNS and found["steps"] == 4
    (file,) = experiments.get("rotated-digits").draw(tmp_path)
    assert file.name == "accuracies.png" and file.stat().st_size > 5000


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--image_size=18", "`--image_size` to be 4 n .*17 or 21; received --image_size=18"),
        ("--test_images=600", "`--test_images` to be at most 547.*; received --test_images=600"),
        ("--dataset=minst", "digits|mnist"),
        ("--step=3", "--step is not a flag of this program. Did you mean --steps"),
    ],
)
def test_bad_flags_are_named(flag, message, tmp_path):
    with pytest.raises(UsageError, match=message):
        reproduce.main(
            ["--table=rotated-digits", "--only=plain", "--seeds=1", flag, f"--output={tmp_path}"]
        )
    assert not list(tmp_path.rglob("result.json"))
