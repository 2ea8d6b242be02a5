"""Draws what two trained models of one environment predict, one below the other.

python docs/draw_comparison.py runs/shapes-sen-quick-seed3 runs/shapes-nonequivariant-quick-seed3 \\
    docs/images/rollouts.png
"""

import pathlib
import sys

from sen_tf import figures
from sen_tf.datasets import cache
from sen_tf.experiments import drawing, world_models
from sen_tf.training import runs, scoring

EPISODES = 250
"""Episodes among whose images the nearest to a prediction is looked for."""
STRIPS = 2


def main(path, *directories):
    """Draws the first episodes of the evaluation set of runs of one environment."""
    found = {}
    for directory in directories:
        chosen = world_models.of_run(directory)
        read = cache.evaluation_reader(chosen.environment, chosen.evaluation_set)
        episodes = read(episodes=EPISODES)
        latents = scoring.Latents(runs.open_model(directory)[0])
        states, predicted = drawing.imagine(latents, episodes.observations, episodes.actions)
        found[chosen.network.model] = figures.nearest_images(
            episodes.observations, states, predicted, STRIPS
        )
    names = drawing.action_names(cache.make_env(chosen.environment), episodes.actions)
    unseen = world_models.unseen_actions(chosen)
    return figures.draw_comparison(episodes.observations, found, path, names, unseen)


if __name__ == "__main__":
    *given, target = sys.argv[1:]
    print(f"wrote {main(pathlib.Path(target), *given)}")
