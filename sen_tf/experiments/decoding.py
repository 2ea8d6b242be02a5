"""Decoders of a world model's latent states: how they are trained, and what the model imagines."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from sen_tf.datasets import Episodes, EpisodeStream, Subset
from sen_tf.models import decoders
from sen_tf.training import callbacks, scoring, seeding

BATCH = 32
FRAMES_SEEN = 100_000
"""Frames that a decoder is trained on in all, about, unless `--epochs` says otherwise."""
FRAME_BYTES = 2**30
"""Memory that the frames which it is trained on may take, in bytes."""
MEAN_FRAMES = 1000
"""Frames from which it knows mean and deviation of each pixel, before it is trained."""


def at_most(count: int, frames: np.ndarray, seed: int) -> np.ndarray:
    """All of the frames, or `count` drawn without replacement where there are more."""
    if count >= len(frames):
        return frames
    return frames[np.random.default_rng(seed).choice(len(frames), count, replace=False)]


def frame_batches(states: np.ndarray, frames: np.ndarray, seed: int) -> tf.data.Dataset:
    """Batches of (latent state, image in [0, 1]) of all frames, shuffled."""
    numbers = tf.data.Dataset.range(len(frames)).shuffle(len(frames), seed=seed)

    def gather(number):
        image = tf.cast(tf.gather(images, number), tf.float32) / 255
        return tf.gather(known, number), image

    with tf.device("/CPU:0"):
        images, known = tf.constant(frames), tf.constant(states)
    return numbers.batch(BATCH).map(gather).prefetch(2)


def train_decoder(
    latents: scoring.Latents, episodes: Subset | EpisodeStream, options: Any, by_object: bool
) -> keras.Model:
    """A decoder of the model's latent states, trained on frames of the episodes.

    Args:
        latents: `scoring.Latents` of the model.
        episodes: What it was trained on: a `datasets.Subset` or `datasets.EpisodeStream`.
        options: `learning_rate`, `seed` and `epochs`, passes over the frames; `None` for as many as
            come to about `FRAMES_SEEN` frames.
        by_object: Whether axis 1 of a state counts objects, each of which is drawn by itself.
    """
    frames = episodes.frames(FRAME_BYTES, options.seed)
    states = latents.encode(frames)
    model = latents.model
    make = decoders.object_decoder if by_object else decoders.image_decoder
    with seeding.seeded(options.seed):
        decoder = make(states.shape[1:], frames.shape[1:], dtype=model.dtype_policy)
    decoder.layers[-1].adapt(at_most(MEAN_FRAMES, frames, options.seed) / np.float32(255))
    epochs = options.epochs or max(1, round(FRAMES_SEEN / len(frames)))
    steps = -(-len(frames) // BATCH)
    rate = keras.optimizers.schedules.CosineDecay(options.learning_rate, epochs * steps)
    decoder.compile(keras.optimizers.Adam(rate), loss="mse", jit_compile=False)
    decoder.optimizer.build(decoder.trainable_variables)  # or the first step is traced twice
    decoder.fit(
        frame_batches(states, frames, options.seed),
        epochs=epochs,
        shuffle=False,
        verbose=0,
        callbacks=[callbacks.EpochLines(len(frames))],
    )
    return decoder


def imagine(latents: scoring.Latents, decoder: keras.Model, episodes: Episodes) -> np.ndarray:
    """Decoded images `(N, T + 1, H, W, C)` uint8: the first frame's state, then predicted ones."""
    start = latents.encode(episodes.observations[:, 0])
    predicted = latents.rollout(start, episodes.actions)
    states = np.concatenate([start[:, None], predicted], axis=1)
    images = decoder.predict(states.reshape(-1, *states.shape[2:]), verbose=0)
    images = np.round(255 * images.clip(0, 1)).astype(np.uint8)
    return images.reshape(episodes.observations.shape)


def root_mean_square(difference: np.ndarray) -> np.ndarray:
    """Of differences `(N, T, H, W, C)` of images, as a share of their range 255: `(T,)`."""
    return np.sqrt(np.square(difference / 255).mean(axis=(0, 2, 3, 4)))
