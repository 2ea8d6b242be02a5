"""Trains a decoder on the frozen latent states of a run, and draws what the model imagines.

  python -m sen_tf.decode --run=runs/cubes-sen

The decoder sees states of true training frames only. Decoded rollouts are therefore pictures of the
states that the model predicts, from the first frame and the actions alone.
"""

import sys

import keras
import numpy as np
import tensorflow as tf

from sen_tf import datasets, evaluate, figures, generate, runs, settings
from sen_tf.models import decoders

FLAGS = ("run", "epochs", "learning_rate", "seed")
BATCH = 64
EXAMPLES = 6


def frame_batches(latents, episodes, seed):
    """Batches of (latent state, image in [0, 1]) of all frames, shuffled, and their number."""
    frames = episodes.observations.reshape(-1, *episodes.observations.shape[2:])
    states = latents.encode(frames)
    numbers = tf.data.Dataset.range(len(frames)).shuffle(len(frames), seed=seed)

    def gather(number):
        image = tf.cast(tf.gather(images, number), tf.float32) / 255
        return tf.gather(known, number), image

    with tf.device("/CPU:0"):
        images, known = tf.constant(frames), tf.constant(states)
    batches = numbers.batch(BATCH).map(gather).prefetch(2)
    return batches, -(-len(frames) // BATCH)


def train_decoder(latents, episodes, options):
    """A decoder, trained for `options.epochs` passes over the frames of the episodes."""
    keras.utils.set_random_seed(options.seed)
    model = latents.model
    batches, steps = frame_batches(latents, episodes, options.seed)
    decoder = decoders.object_decoder(
        model.encoder.output_shape[1:], model.embedding.input_shape[1:], dtype=model.dtype_policy
    )
    rate = keras.optimizers.schedules.CosineDecay(options.learning_rate, options.epochs * steps)
    decoder.compile(keras.optimizers.Adam(rate), loss="mse", jit_compile=False)
    verbose = 1 if sys.stdout.isatty() else 2
    decoder.fit(batches, epochs=options.epochs, shuffle=False, verbose=verbose)
    return decoder


def imagine(latents, decoder, episodes):
    """Decoded images `(N, T + 1, H, W, C)` uint8: the first frame's state, then predicted ones."""
    start = latents.encode(episodes.observations[:, 0])
    predicted = latents.rollout(start, episodes.actions)
    states = np.concatenate([start[:, None], predicted], axis=1)
    images = decoder.predict(states.reshape(-1, *states.shape[2:]), verbose=0)
    return np.round(255 * images).astype(np.uint8).reshape(episodes.observations.shape)


def main(arguments):
    options = settings.parse(arguments, FLAGS)
    model, directory = runs.open_model(options)
    options = runs.with_flags_of_run(options)
    latents = evaluate.Latents(model)
    decoder = train_decoder(latents, generate.training_episodes(options), options)
    path = directory / "decoder.keras"
    decoder.save(path)
    file = generate.evaluation_file(options)
    episodes = datasets.read_episodes(file, options.env, episodes=EXAMPLES)
    imagined = imagine(latents, decoder, episodes)
    difference = episodes.observations.astype(float) - imagined
    error = np.sqrt(np.square(difference / 255).mean(axis=(0, 2, 3, 4)))
    print(
        f"root mean square error of decoded images, of 1: {error[0]:.3f} at the first frame, "
        f"{error[-1]:.3f} after {len(error) - 1} predicted steps"
    )
    print(f"wrote {path}")
    (directory / "figures").mkdir(exist_ok=True)
    for draw, name in ((figures.draw_decoded, "decoded.png"), (figures.animate, "decoded.gif")):
        picture = draw(episodes.observations, imagined, directory / "figures" / name)
        print(f"wrote {picture}")


if __name__ == "__main__":
    settings.run(main, __doc__, FLAGS)
