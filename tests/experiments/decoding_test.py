"""What the decoder is trained on and as; tests/train_test.py runs the program."""

import types

import keras
import numpy as np
import pytest

from sen_tf import datasets
from sen_tf.experiments import decoding


class Mean:
    """Latents of a model whose state is the mean colour of an image, for each of its objects."""

    def __init__(self, objects):
        policy = keras.dtype_policies.get("float32")
        self.model = types.SimpleNamespace(dtype_policy=policy)
        self.repeats = (objects, 1) if objects else (1,)

    def encode(self, images):
        colour = images.mean(axis=(1, 2)).astype(np.float32) / 255
        return np.stack([np.tile(each, self.repeats) for each in colour])

    def rollout(self, states, actions):
        return np.repeat(states[:, None], actions.shape[1], axis=1)


def episodes(channels, count=20, side=9):
    """Episodes of plain images, each of its own colour, under random torques."""
    rng = np.random.default_rng(0)
    colours = rng.integers(0, 256, (count, 3, 1, 1, channels), np.uint8)
    frames = np.tile(colours, (1, 1, side, side, 1))
    actions = rng.uniform(-1, 1, (count, 2, 2)).astype(np.float32)
    return datasets.Episodes(frames, actions, {}, None, {}, (0, 1, 2))


@pytest.mark.parametrize(("channels", "objects"), [(1, None), (6, None), (3, 2)])
def test_a_decoder_draws_what_the_state_says(channels, objects, monkeypatch):
    monkeypatch.setattr(decoding, "BATCH", 8)  # enough steps for statistics of batches to settle
    latents, training = Mean(objects), episodes(channels)
    options = types.SimpleNamespace(epochs=40, learning_rate=3e-3, seed=0)
    subset = datasets.Subset.of_all(training)
    decoder = decoding.train_decoder(latents, subset, options, bool(objects))
    drawn_by_object = any(isinstance(layer, keras.layers.Permute) for layer in decoder.layers)
    assert drawn_by_object == bool(objects)
    imagined = decoding.imagine(latents, decoder, training)
    assert imagined.shape == training.observations.shape and imagined.dtype == np.uint8
    error = imagined[:, 0].astype(float) - training.observations[:, 0]
    assert np.square(error).mean() < 0.5 * training.observations.var()


def test_without_epochs_a_decoder_sees_a_fixed_number_of_frames(monkeypatch):
    seen = []
    monkeypatch.setattr(keras.Model, "fit", lambda self, data, epochs, **_: seen.append(epochs))
    monkeypatch.setattr(decoding, "FRAMES_SEEN", 300)
    for count, epochs in ((20, None), (200, None), (20, 3)):
        options = types.SimpleNamespace(epochs=epochs, learning_rate=1e-3, seed=0)
        subset = datasets.Subset.of_all(episodes(3, count))
        decoding.train_decoder(Mean(None), subset, options, by_object=False)
    assert seen == [5, 1, 3]  # passes over 60, 600 and 60 frames


@pytest.mark.parametrize(("decoded", "pixel"), [(1.2, 255), (-0.2, 0), (0.5, 128)])
def test_what_is_brighter_than_white_is_white(decoded, pixel):
    training = episodes(3)
    count = training.observations[..., 0, 0, 0].size
    predicted = np.full((count, *training.observations.shape[2:]), decoded, np.float32)
    decoder = types.SimpleNamespace(predict=lambda states, verbose: predicted)
    assert (decoding.imagine(Mean(None), decoder, training) == pixel).all()


def test_a_decoder_starts_at_the_mean_picture(monkeypatch):
    monkeypatch.setattr(keras.Model, "fit", lambda *args, **_: None)
    options = types.SimpleNamespace(epochs=1, learning_rate=1e-3, seed=0)
    training = episodes(3)
    subset = datasets.Subset.of_all(training)
    decoder = decoding.train_decoder(Mean(None), subset, options, by_object=False)
    frames = training.observations / 255
    mean, deviation = frames.mean(axis=(0, 1)), frames.std(axis=(0, 1)).mean()
    images = decoder.predict(np.full((1, 3), 0.5), verbose=0)
    assert np.abs(images[0] - mean).mean() < 0.5 * deviation < 0.2 < mean.mean()
