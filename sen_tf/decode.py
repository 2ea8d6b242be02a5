"""Trains a decoder on the frozen latent states of a run, and draws what the model imagines.

  python -m sen_tf.decode --run=runs/cubes-sen

The decoder sees states of true training frames only. Decoded rollouts are therefore pictures of the
states that the model predicts, from the first frame and the actions alone. Without --epochs, it is
trained on about 100,000 frames in all.
"""

import dataclasses
import pathlib
import sys

import keras
import numpy as np
import tensorflow as tf

from sen_tf import datasets, figures, settings
from sen_tf.datasets import cache
from sen_tf.envs import ENVS
from sen_tf.experiments import world_models
from sen_tf.models import decoders
from sen_tf.settings import setting
from sen_tf.training import runs, scoring

BATCH = 32
EXAMPLES = 6
FRAMES_SEEN = 100_000
"""About how many frames a decoder is trained on in all, unless `--epochs` says otherwise."""
FRAME_BYTES = 2**30
"""How much memory the frames that it is trained on may take."""
MEAN_FRAMES = 1000
"""From how many frames it knows mean and deviation of each pixel, before it is trained."""


@dataclasses.dataclass(frozen=True)
class Decoding:
    """Model and training."""

    run: str | None = setting(None, "Directory of a run that sen_tf.train wrote.")
    epochs: int | None = setting(
        None, "Passes over the frames; as many as come to about 100,000 frames without.", at_least=1
    )
    learning_rate: float | None = setting(
        None, "Learning rate of Adam; that of the run without.", at_least=0.0
    )
    seed: int | None = setting(None, "Seed of weights and order; that of the run without.")
    overwrite: bool = setting(
        False, "Replace a decoder and pictures that were not made with the same settings."
    )


def sample_frames(episodes, seed):
    """Frames `(n, H, W, C)` of all times of the episodes: all, or as many as memory allows."""
    frames = episodes.observations.reshape(-1, *episodes.observations.shape[2:])
    return at_most(FRAME_BYTES // frames[0].nbytes, frames, seed)


def at_most(count, frames, seed):
    """All of the frames, or `count` drawn without replacement where there are more."""
    if count >= len(frames):
        return frames
    return frames[np.random.default_rng(seed).choice(len(frames), count, replace=False)]


def frame_batches(states, frames, seed):
    """Batches of (latent state, image in [0, 1]) of all frames, shuffled."""
    numbers = tf.data.Dataset.range(len(frames)).shuffle(len(frames), seed=seed)

    def gather(number):
        image = tf.cast(tf.gather(images, number), tf.float32) / 255
        return tf.gather(known, number), image

    with tf.device("/CPU:0"):
        images, known = tf.constant(frames), tf.constant(states)
    return numbers.batch(BATCH).map(gather).prefetch(2)


def train_decoder(latents, episodes, options, by_object):
    """A decoder of the model's latent states, trained on frames of the episodes.

    Args:
        latents: `scoring.Latents` of the model.
        episodes: The `Episodes` it was trained on.
        options: `learning_rate`, `seed` and `epochs`, passes over the frames; `None` for as many as
            come to about `FRAMES_SEEN` frames.
        by_object: Whether axis 1 of a state counts objects, each of which is drawn by itself.
    """
    keras.utils.set_random_seed(options.seed)
    frames = sample_frames(episodes, options.seed)
    states = latents.encode(frames)
    model = latents.model
    make = decoders.object_decoder if by_object else decoders.image_decoder
    decoder = make(states.shape[1:], frames.shape[1:], dtype=model.dtype_policy)
    decoder.layers[-1].adapt(at_most(MEAN_FRAMES, frames, options.seed) / np.float32(255))
    epochs = options.epochs or max(1, round(FRAMES_SEEN / len(frames)))
    steps = -(-len(frames) // BATCH)
    rate = keras.optimizers.schedules.CosineDecay(options.learning_rate, epochs * steps)
    decoder.compile(keras.optimizers.Adam(rate), loss="mse", jit_compile=False)
    decoder.fit(
        frame_batches(states, frames, options.seed),
        epochs=epochs,
        shuffle=False,
        verbose=1 if sys.stdout.isatty() else 2,
    )
    return decoder


def imagine(latents, decoder, episodes):
    """Decoded images `(N, T + 1, H, W, C)` uint8: the first frame's state, then predicted ones."""
    start = latents.encode(episodes.observations[:, 0])
    predicted = latents.rollout(start, episodes.actions)
    states = np.concatenate([start[:, None], predicted], axis=1)
    images = decoder.predict(states.reshape(-1, *states.shape[2:]), verbose=0)
    images = np.round(255 * images.clip(0, 1)).astype(np.uint8)
    return images.reshape(episodes.observations.shape)


def root_mean_square(difference):
    """Of differences `(N, T, H, W, C)` of images, as a share of their range 255: `(T,)`."""
    return np.sqrt(np.square(difference / 255).mean(axis=(0, 2, 3, 4)))


def main(arguments):
    (asked,) = settings.parse(arguments, Decoding)
    model, directory = runs.open_model(asked.run)
    chosen = world_models.Settings(
        *settings.load(pathlib.Path(asked.run) / runs.FLAGS, *world_models.GROUPS)
    )
    unsaid = {
        name: getattr(chosen.training, name)
        for name in ("learning_rate", "seed")
        if getattr(asked, name) is None
    }
    asked = dataclasses.replace(asked, **unsaid)
    path, record = directory / "decoder.keras", directory / "decoder.json"
    drawn = [directory / "figures" / name for name in ("decoded.png", "decoded.gif")]
    made_with = {name: getattr(asked, name) for name in ("epochs", "learning_rate", "seed")}
    runs.check_replaced([path, record, *drawn], [record], made_with, asked.overwrite)
    latents = scoring.Latents(model)
    decoder = train_decoder(
        latents,
        world_models.training_episodes(chosen),
        asked,
        by_object=ENVS[chosen.environment.env].objects is not None,
    )
    with runs.aside(path) as temporary:
        decoder.save(temporary)
    file = cache.evaluation_file(chosen.environment, chosen.evaluation_set)
    episodes = datasets.read_episodes(file, chosen.environment.env, episodes=EXAMPLES)
    imagined = imagine(latents, decoder, episodes)
    start, *_, end = root_mean_square(episodes.observations - imagined.astype(float))
    mean = 255 * keras.ops.convert_to_numpy(decoder.layers[-1].mean)
    of_mean = root_mean_square(episodes.observations - mean).mean()
    steps = episodes.observations.shape[1] - 1
    print(
        f"root mean square error of decoded images, of 1: {start:.3f} at the first frame, "
        f"{end:.3f} after {steps} predicted steps; of the mean picture {of_mean:.3f}"
    )
    errors = {"first_frame": start, f"after_{steps}_steps": end, "mean_picture": of_mean}
    errors = {name: float(error) for name, error in errors.items()}
    runs.write_json(record, {"made_with": made_with, "root_mean_square_error": errors})
    print(f"wrote {path}")
    drawn[0].parent.mkdir(exist_ok=True)
    for draw, picture in zip((figures.draw_decoded, figures.animate), drawn, strict=True):
        print(f"wrote {draw(episodes.observations, imagined, picture)}")
    runs.log_pictures(directory, drawn[:1])


if __name__ == "__main__":
    settings.run(main, __doc__, Decoding)
