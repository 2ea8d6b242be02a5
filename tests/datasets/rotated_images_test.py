"""Images turned by any angle: which way, how far, and what comes in a batch."""

import sys
import types

import keras
import numpy as np
import pytest

from sen_tf.datasets import rotated_images
from sen_tf.datasets.rotated_images import LabelledImages

SIZE = 17


@pytest.fixture(scope="module")
def digits():
    return rotated_images.load()


def test_digits_are_upright_images_and_their_labels(digits):
    assert digits.images.shape == (1797, 8, 8, 1) and digits.images.dtype == np.float32
    assert (digits.images.min(), digits.images.max()) == (0, 1)
    assert set(digits.labels) == set(range(10)) and digits.labels.dtype == np.int64


def test_a_set_of_keras_is_loaded_whole(monkeypatch):
    parts = [(np.full((n, 4, 4, 3), 255, "uint8"), np.full((n, 1), n, "uint8")) for n in (3, 2)]
    monkeypatch.setattr(keras.datasets.cifar10, "load_data", lambda: parts)
    found = rotated_images.load("cifar10")
    assert found.images.shape == (5, 4, 4, 3) and (found.images == 1).all()
    assert found.labels.tolist() == [3, 3, 3, 2, 2]


def test_every_name_is_a_set_of_keras():
    for name in set(rotated_images.NAMES) - {rotated_images.DIGITS}:
        assert isinstance(getattr(keras.datasets, name), types.ModuleType)


def test_what_cannot_be_is_named(digits, monkeypatch):
    with pytest.raises(ValueError, match="`name` to be one of digits, .*; received name=minst"):
        rotated_images.load("minst")
    with pytest.raises(ValueError, match="`test` to be between 1 and 1796.* received test=1797"):
        rotated_images.split(digits, 1797, np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"`images` .* received shape \(2, 8, 8\)"):
        rotated_images.turned(np.zeros((2, 8, 8)), np.zeros(2), SIZE)
    with pytest.raises(ValueError, match=r"`by` to be an angle per image, \(2,\)"):
        rotated_images.turned(np.zeros((2, 8, 8, 1)), np.zeros(3), SIZE)
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(ValueError, match="pip install scikit-learn"):
        rotated_images.load()
    monkeypatch.setitem(sys.modules, "scipy", None)
    with pytest.raises(ValueError, match="pip install scipy"):
        rotated_images.turned(digits.images[:1], np.zeros(1), SIZE)


def test_no_image_is_for_training_and_for_the_test(digits):
    marked = LabelledImages(digits.images, np.arange(len(digits)))
    training, test = rotated_images.split(marked, 500, np.random.default_rng(0))
    assert len(test) == 500
    assert sorted([*training.labels, *test.labels]) == list(range(len(digits)))
    for part in (training, test):
        np.testing.assert_array_equal(part.images, digits.images[part.labels])


@pytest.mark.parametrize("k", [0, 1, 2, 3])
def test_quarter_turns_are_those_of_numpy(digits, k):
    images = digits.images[:20]
    upright = rotated_images.turned(images, np.zeros(20), SIZE)
    turned = rotated_images.turned(images, np.full(20, k * np.pi / 2), SIZE)
    np.testing.assert_allclose(turned, np.rot90(upright, k, axes=(1, 2)), atol=1e-6)


def spot(row, column, side=9):
    """An image of a soft spot."""
    y, x = np.mgrid[:side, :side]
    return np.exp(-((y - row) ** 2 + (x - column) ** 2) / 2)[None, :, :, None]


def centre(image):
    """The centre of an image's mass, right of and above its middle, in pixels."""
    y, x = np.mgrid[: len(image), : len(image)] - (len(image) - 1) / 2
    return np.array([(x * image).sum(), -(y * image).sum()]) / image.sum()


@pytest.mark.parametrize("angle", [0.3, 1.0, 2.5, 4.0])
def test_a_spot_goes_counter_clockwise_around_the_middle(angle):
    turned = rotated_images.turned(spot(4, 6), np.array([angle]), 33)[0, ..., 0]
    distance = 2 * 32 / (8 * np.sqrt(2))  # two pixels of nine, enlarged
    expected = distance * np.array([np.cos(angle), np.sin(angle)])
    np.testing.assert_allclose(centre(turned), expected, atol=0.1)


@pytest.mark.parametrize("angle", [0.0, 0.7])
def test_nothing_lies_outside_of_the_disc_and_no_corner_is_lost(angle):
    y, x = np.mgrid[:33, :33] - 16
    white = rotated_images.turned(np.ones((1, 8, 8, 2)), np.array([angle]), 33)[0]
    assert white.shape == (33, 33, 2) and white.dtype == np.float32
    assert (white[np.hypot(y, x) > 16.5] == 0).all()
    assert white.min() >= 0 and white.max() <= 1
    corner = np.zeros((1, 8, 8, 1))
    corner[0, 0, 7] = 1
    turned = rotated_images.turned(corner, np.array([angle]), 33)[0, ..., 0]
    at = np.pi / 4 + angle  # up and to the right, at first
    place = np.round([16 - 16 * np.sin(at), 16 + 16 * np.cos(at)]).astype(int)
    assert turned[tuple(place)] > 0.8


def taken(batches, count):
    return [next(batches) for _ in range(count)]


def make(digits, batch_size=4, seed=3, **more):
    by = rotated_images.angles(10, np.random.default_rng(0))
    rng = np.random.default_rng(seed)
    marked = LabelledImages(digits.images[:10], np.arange(10))
    return by, rotated_images.batches(marked, by, SIZE, batch_size, rng, **more)


def test_an_epoch_has_every_image_once_and_always_the_same(digits):
    by, batches = make(digits, batch_size=5)
    expected = rotated_images.turned(digits.images[:10], by, SIZE)
    for _ in range(2):
        images, labels = (np.concatenate(each) for each in zip(*taken(batches, 2), strict=True))
        assert sorted(labels) == list(range(10))
        np.testing.assert_array_equal(images, expected[labels])


def test_images_turned_anew_come_in_the_same_order(digits):
    _, batches = make(digits)
    _, anew = make(digits, anew=True)
    first, second = taken(batches, 4), taken(anew, 4)
    for (_, labels), (_, others) in zip(first, second, strict=True):
        np.testing.assert_array_equal(labels, others)
    looks = {label: [] for label in range(10)}
    for images, labels in second:
        for image, label in zip(images, labels, strict=True):
            looks[label].append(image)
    twice = [look for look in looks.values() if len(look) == 2]
    assert twice and all(np.abs(a - b).max() > 0.1 for a, b in twice)


def test_a_set_smaller_than_a_batch_is_a_batch(digits):
    _, batches = make(digits, batch_size=64)
    assert sorted(next(batches)[1]) == list(range(10))
