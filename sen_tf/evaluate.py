"""Scores a trained world model on an evaluation set, and draws its figures.

  python -m sen_tf.evaluate --run=runs/cubes-sen
  python -m sen_tf.evaluate --model_file=model.keras --env=cubes --dataset=data/evaluation.h5

Scores are those of `sen_tf.training.scoring`: Hits@k and MRR after 1, 5 and 10 steps, EE(S),
DIE(S) and DIE(model), and for the Teapot HH@1 and TH@1.
"""

import dataclasses
import functools
import pathlib
import time
from collections.abc import Callable

from sen_tf import datasets, settings
from sen_tf.datasets import cache
from sen_tf.datasets.cache import Environment, EvaluationSet
from sen_tf.datasets.episodes import check_episodes
from sen_tf.experiments import drawing, training_run, world_models
from sen_tf.settings import UsageError, setting
from sen_tf.training import runs, scoring


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Model and output."""

    run: str | None = setting(None, "Directory of a run that sen_tf.train wrote.")
    model_file: str | None = setting(None, "A saved model, .keras, instead of a run.")
    dataset: str | None = setting(
        None,
        "Episodes to score on, checked as they are read: an HDF5 file, a pattern of shards such as "
        "'data/cubes-*.h5', minari:NAME, or a folder of NumPy files; made where none is given.",
    )
    overwrite: bool = setting(
        False, "Replace scores and figures that were not made with the same settings."
    )


GROUPS = (Evaluation, Environment, EvaluationSet)


def main(arguments):
    asked, environment, evaluation_set = world_models.parse(arguments, *GROUPS)
    _check_episodes_asked_for(asked, environment, evaluation_set, arguments)
    model, directory = runs.open_model(asked.run, asked.model_file)
    begun = time.perf_counter()
    name = pathlib.Path(asked.model_file or runs.MODEL).name
    made = training_run.made_with(environment, evaluation_set, asked.dataset, name)
    path = directory / runs.EVALUATION
    runs.check_replaced(
        [path, *(directory / "figures" / name for name in drawing.FIGURES)],
        [path, directory / runs.METRICS],
        made,
        asked.overwrite,
    )
    latents, env = scoring.Latents(model), cache.make_env(environment)
    chosen = world_models.of_run(asked.run, asked.dataset) if asked.run else None
    if asked.dataset:
        read: Callable[..., datasets.Episodes] = functools.partial(
            _read, env, asked.dataset, _name_of(environment)
        )
    else:
        trained = chosen.training_set.dataset if chosen else None
        read = cache.evaluation_reader(environment, evaluation_set, trained)
    scores = scoring.evaluate(latents, read, env)
    print(scoring.table(scores))
    runs.write_json(path, {"made_with": made, **scores})
    unseen = world_models.unseen_actions(chosen) if chosen else ()
    drawn = drawing.draw(latents, read, env, directory, unseen)
    print(f"evaluated in {time.perf_counter() - begun:.0f} s; wrote {path}")
    for file in drawn:
        print(f"wrote {file}")


def _check_episodes_asked_for(asked, environment, evaluation_set, arguments):
    """Raises a UsageError for flags of other episodes than those that would be scored."""
    typed = settings.typed(arguments, *GROUPS)
    sizes = {field.name for field in dataclasses.fields(EvaluationSet)} - {"data_dir"}
    if asked.dataset and (unheeded := sorted(typed & sizes)):
        raise UsageError(f"--{unheeded[0]} does nothing beside --dataset, all of which is scored")
    if asked.run and not asked.dataset and cache.is_recorded(environment):
        held_out = world_models.of_run(asked.run).evaluation_set.held_out
        if evaluation_set.held_out > held_out:
            raise UsageError(
                f"--held_out is at most {held_out}, which the run held out: it was trained on the "
                "other episodes"
            )


def _read(env, path, name, **chosen):
    """Episodes of a dataset, as `read_episodes`, of which each part is checked."""
    episodes = datasets.read_episodes(path, name, **chosen)
    check_episodes(episodes, env, path)
    return episodes


def _name_of(environment):
    """The name that a dataset must have; of an environment known by a dataset alone, any."""
    return None if cache.is_recorded(environment) else environment.env


def run():
    """The command line; see the module."""
    settings.run(main, __doc__, *GROUPS, parse=world_models.parse)


if __name__ == "__main__":
    run()
