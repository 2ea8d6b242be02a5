"""Scores a trained world model on an evaluation set, and draws its figures.

  python -m sen_tf.evaluate --run=runs/cubes-sen
  python -m sen_tf.evaluate --model_file=model.keras --env=cubes --dataset=data/evaluation.h5

Scores are those of `sen_tf.training.scoring`: Hits@k and MRR after 1, 5 and 10 steps, EE(S),
DIE(S) and DIE(model), and for the Teapot HH@1 and TH@1.
"""

import dataclasses
import pathlib
import time

from sen_tf import settings
from sen_tf.datasets import cache
from sen_tf.datasets.cache import Environment, EvaluationSet
from sen_tf.experiments import drawing, world_models
from sen_tf.settings import setting
from sen_tf.training import runs, scoring


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Model and output."""

    run: str | None = setting(None, "Directory of a run that sen_tf.train wrote.")
    model_file: str | None = setting(None, "A saved model, .keras, instead of a run.")
    dataset: str | None = setting(
        None,
        "Episodes to score on, checked as they are read: an HDF5 file, a pattern of shards such as "
        "'data/cubes-*.h5', or minari:NAME; made where none is given.",
    )
    overwrite: bool = setting(
        False, "Replace scores and figures that were not made with the same settings."
    )


GROUPS = (Evaluation, Environment, EvaluationSet)


def main(arguments):
    asked, environment, evaluation_set = world_models.parse(arguments, *GROUPS)
    model, directory = runs.open_model(asked.run, asked.model_file)
    begun = time.perf_counter()
    name = pathlib.Path(asked.model_file or runs.MODEL).name
    made = world_models.made_with(environment, evaluation_set, asked.dataset, name)
    path = directory / runs.EVALUATION
    runs.check_replaced(
        [path, *(directory / "figures" / name for name in drawing.FIGURES)],
        [path, directory / runs.METRICS],
        made,
        asked.overwrite,
    )
    file = asked.dataset or cache.evaluation_file(environment, evaluation_set)
    latents, env = scoring.Latents(model), cache.make_env(environment)
    scores = scoring.evaluate(latents, file, environment.env, env)
    print(scoring.table(scores))
    runs.write_json(path, {"made_with": made, **scores})
    drawn = drawing.draw(latents, file, environment.env, env, directory)
    print(f"evaluated in {time.perf_counter() - begun:.0f} s; wrote {path}")
    for file in drawn:
        print(f"wrote {file}")


def run():
    """The command line; see the module."""
    settings.run(main, __doc__, *GROUPS, parse=world_models.parse)


if __name__ == "__main__":
    run()
