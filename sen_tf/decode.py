"""Trains a decoder on the frozen latent states of a run, and draws what the model imagines.

  python -m sen_tf.decode --run=runs/cubes-sen

The decoder sees states of true training frames only. Decoded rollouts are therefore images of the
states that the model predicts, from the first frame and the actions alone. Without --epochs, it is
trained on about 100,000 frames in all.
"""

import dataclasses

import keras

from sen_tf import figures, settings
from sen_tf.datasets import cache
from sen_tf.envs import ENVS
from sen_tf.experiments import decoding, drawing, world_models
from sen_tf.settings import setting
from sen_tf.training import report, runs, scoring

EXAMPLES = 6


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
        False, "Replace a decoder and figures that were not made with the same settings."
    )


def main(arguments):
    (asked,) = settings.parse(arguments, Decoding)
    model, directory = runs.open_model(asked.run)
    chosen = world_models.of_run(asked.run)
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
    decoder = decoding.train_decoder(
        latents,
        world_models.training_episodes(chosen, world_models.memory_for(chosen)),
        asked,
        by_object=ENVS[chosen.environment.env].objects is not None,
    )
    environment, dataset = chosen.environment, chosen.training_set.dataset
    read = cache.evaluation_reader(environment, chosen.evaluation_set, dataset)
    episodes = read(episodes=EXAMPLES)
    imagined = decoding.imagine(latents, decoder, episodes)
    start, *_, end = decoding.root_mean_square(episodes.observations - imagined.astype(float))
    mean = 255 * keras.ops.convert_to_numpy(decoder.layers[-1].mean)
    of_mean = decoding.root_mean_square(episodes.observations - mean).mean()
    steps = episodes.observations.shape[1] - 1
    print(
        f"root mean square error of decoded images, of 1: {start:.3f} at the first frame, "
        f"{end:.3f} after {steps} predicted steps; of the mean image {of_mean:.3f}"
    )
    errors = {"first_frame": start, f"after_{steps}_steps": end, "mean_image": of_mean}
    errors = {name: float(error) for name, error in errors.items()}
    runs.write_json(record, {"made_with": made_with, "root_mean_square_error": errors})
    with runs.aside(path) as temporary:
        decoder.save(temporary)
    print(f"wrote {path}")
    drawn[0].parent.mkdir(exist_ok=True)
    names = drawing.action_names(cache.make_env(environment), episodes.actions)
    true, decoded = (x[:, : drawing.LONGEST + 1] for x in (episodes.observations, imagined))
    for draw, file in zip((figures.draw_decoded, figures.animate), drawn, strict=True):
        unseen = world_models.unseen_actions(chosen)
        print(f"wrote {draw(true, decoded, file, names, unseen)}")
    runs.log_figures(directory, drawn[:1])
    print(f"wrote {report.write_report(directory)}")


def run():
    """The command line; see the module."""
    settings.run(main, __doc__, Decoding)


if __name__ == "__main__":
    run()
