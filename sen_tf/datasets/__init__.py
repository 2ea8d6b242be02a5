"""Episodes: collected from an environment, stored in HDF5, fed to training as transitions."""

from sen_tf.datasets.collect import EpisodeBlock, Twin, collect, uniform_policy
from sen_tf.datasets.pipeline import Subset, split, steps_per_epoch, transitions
from sen_tf.datasets.store import DatasetError, Episodes, read_episodes, write_episodes

__all__ = [
    "DatasetError",
    "EpisodeBlock",
    "Episodes",
    "Subset",
    "Twin",
    "collect",
    "read_episodes",
    "split",
    "steps_per_epoch",
    "transitions",
    "uniform_policy",
    "write_episodes",
]
