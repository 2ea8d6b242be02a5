"""Episodes: collected from an environment, stored in HDF5, fed to training as transitions."""

from sen_tf.datasets.collect import EpisodeBlock, Twin, collect, uniform_policy
from sen_tf.datasets.episodes import Episodes
from sen_tf.datasets.members import DatasetError
from sen_tf.datasets.minari_format import write_minari
from sen_tf.datasets.pipeline import Subset, split, steps_per_epoch, transitions
from sen_tf.datasets.reading import read_actions, read_episodes, verify_episodes
from sen_tf.datasets.recorded import RECORDED, Recorded, recorded
from sen_tf.datasets.runners import RUNNERS
from sen_tf.datasets.shards import matching_files, shard_paths
from sen_tf.datasets.store import save_episodes, write_episodes
from sen_tf.datasets.streaming import EpisodeStream, open_episodes

__all__ = [
    "RECORDED",
    "RUNNERS",
    "DatasetError",
    "EpisodeBlock",
    "EpisodeStream",
    "Episodes",
    "Recorded",
    "Subset",
    "Twin",
    "collect",
    "matching_files",
    "open_episodes",
    "read_actions",
    "read_episodes",
    "recorded",
    "save_episodes",
    "shard_paths",
    "split",
    "steps_per_epoch",
    "transitions",
    "uniform_policy",
    "verify_episodes",
    "write_episodes",
    "write_minari",
]
