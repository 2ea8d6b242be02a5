"""tf.data pipelines of transitions (obs, action, next_obs), gathered from frames held once.

The pipeline is TensorFlow's alone: no Python runs in its threads, which would compete with the
training loop and, prefetching still, could hang the process at exit.
"""

import dataclasses
import typing
from collections.abc import Iterator
from typing import Any

import numpy as np

from sen_tf.datasets.episodes import ALIGNMENT, Episodes

if typing.TYPE_CHECKING:
    import tensorflow as tf

PREFETCHED_BATCHES = 2
ENDLESS = np.iinfo(np.int64).max
LEAST_SCORED = 2  # episodes


@dataclasses.dataclass(frozen=True)
class Subset:
    """Some of the episodes of a dataset in memory: their numbers `index`, (n,) int.

    Frames are shared. It has what `streaming.EpisodeStream` has, so that a training takes either.
    """

    episodes: Episodes
    index: np.ndarray
    failures = ()  # nothing is read any more

    @classmethod
    def of_all(cls, episodes: Episodes) -> "Subset":
        """The subset of all episodes."""
        return cls(episodes, np.arange(len(episodes)))

    def __len__(self) -> int:
        return len(self.index)

    @property
    def env(self) -> str | None:
        """Name of the environment; None if the file does not say."""
        return self.episodes.env

    @property
    def steps(self) -> int:
        """Number of steps T of an episode."""
        return self.episodes.actions.shape[1]

    @property
    def count(self) -> int:
        """Number of transitions in an epoch."""
        return len(self) * self.steps

    def split(self, fraction: float, seed: int) -> tuple["Subset", "Subset"]:
        """`split` of these episodes."""
        return split(self, fraction, seed)

    def divided(self, fraction: float) -> Iterator["Subset"]:
        """The first episodes, and the last ones, which are this share of all; see `last_of`."""
        first = len(self) - last_of(len(self), fraction)
        return (Subset(self.episodes, part) for part in (self.index[:first], self.index[first:]))

    def load(self, most: int) -> Episodes:
        """A copy of the first `Episodes`: as many as `most` bytes of frames hold, one at least."""
        size = self.episodes.observations[0].nbytes
        return self.episodes.take(self.index[: max(1, most // size)])

    def steps_per_epoch(self, batch_size: int, run: int = 1) -> int:
        """`steps_per_epoch` of whole batches."""
        return steps_per_epoch(self, batch_size, run=run)

    def transitions(
        self, batch_size: int, seed: int, **order: Any
    ) -> "tuple[tf.data.Dataset, int]":
        """`transitions` of these episodes."""
        return transitions(self, batch_size, seed, **order)

    def frames(self, most: int, seed: int) -> np.ndarray:
        """Frames (n, H, W, C), at most `most` bytes of them, drawn where there are more."""
        times = self.episodes.observations.shape[1]
        flat = self.episodes.observations.reshape(-1, *self.episodes.observations.shape[2:])
        count, wanted = len(self) * times, most // flat[0].nbytes
        if wanted >= len(flat) == count:
            return flat
        numbers = np.arange(count)
        if wanted < count:
            numbers = np.random.default_rng(seed).choice(count, wanted, replace=False)
        return flat[self.index[numbers // times] * times + numbers % times]


def split(data: Episodes | Subset, fraction: float, seed: int) -> tuple[Subset, Subset]:
    """Divides a dataset by whole episodes, so that no frame of one part is seen in the other.

    Args:
        data: the dataset, or a part of it.
        fraction: share of the episodes that goes into the second part, in (0, 1); each part gets
            at least one episode.
        seed: seed of the choice.

    Returns:
        (training, validation) subsets; no frame is copied.

    Raises:
        ValueError: `fraction` is not in (0, 1), or there are fewer than two episodes.
    """
    subset = data if isinstance(data, Subset) else Subset.of_all(data)
    first, second = split_numbers(len(subset), fraction, seed, "episodes")
    return (
        Subset(subset.episodes, subset.index[first]),
        Subset(subset.episodes, subset.index[second]),
    )


def split_numbers(
    count: int, fraction: float, seed: int, what: str
) -> tuple[np.ndarray, np.ndarray]:
    """Divides the numbers 0, ..., count - 1 of `what` as `split` does; each part ascends."""
    if not 0 < fraction < 1:
        raise ValueError(
            f"Expected `fraction` to lie between 0 and 1; received fraction={fraction}."
        )
    if count < 2:
        raise ValueError(f"Expected `{what}` to hold at least 2 to be split; received {count}.")
    order = np.random.default_rng(seed).permutation(count)
    held_out = held_out_of(count, fraction)
    return np.sort(order[held_out:]), np.sort(order[:held_out])


def held_out_of(count: int, fraction: float, least: int = 1) -> int:
    """The number that a share of `count` is: so many at least, and so many are left."""
    return min(max(round(fraction * count), least), count - least)


def last_of(count: int, fraction: float) -> int:
    """The number of episodes that are scored on, a share of `count`: as `held_out_of`.

    A score ranks each of them among all, and of a single one it would say nothing.

    Raises:
        ValueError: there are too few.
    """
    if count < 2 * LEAST_SCORED:
        raise ValueError(
            f"Expected the dataset to hold at least {2 * LEAST_SCORED} episodes, {LEAST_SCORED} "
            f"to train on and {LEAST_SCORED} to score on; received {count}."
        )
    return held_out_of(count, fraction, LEAST_SCORED)


def steps_per_epoch(
    subset: Subset, batch_size: int, drop_remainder: bool = True, run: int = 1
) -> int:
    """Number of batches in an epoch; arguments and errors as in `transitions`."""
    episodes, length = subset.episodes, subset.episodes.actions.shape[1]
    every_time = tuple(range(length + 1))
    if episodes.steps != every_time:
        raise ValueError(
            f"Expected `data` to hold the frames of all times 0 to {every_time[-1]}; "
            f"it was read with steps={episodes.steps}."
        )
    check_run(run, length, batch_size)
    return whole_batches(len(subset) * (length // run) * run, batch_size, drop_remainder)


def check_run(run: int, length: int, batch_size: int) -> None:
    """Raises a ValueError unless episodes of `length` steps, and batches, can be cut into runs."""
    if not 1 <= run <= length:
        raise ValueError(
            f"Expected `run` to be at least 1 and at most the {length} steps of an episode; "
            f"received run={run}."
        )
    if batch_size % run:
        raise ValueError(
            f"Expected `batch_size` to be a multiple of the run of {run} transitions; received "
            f"batch_size={batch_size}."
        )


def whole_batches(count: int, batch_size: int, drop_remainder: bool = True) -> int:
    """Number of batches of so many transitions; a ValueError if there is none."""
    if batch_size < 1:
        raise ValueError(
            f"Expected `batch_size` to be at least 1; received batch_size={batch_size}."
        )
    steps = count // batch_size if drop_remainder else -(-count // batch_size)
    if steps == 0:
        raise ValueError(
            f"Expected `batch_size` to be at most the number of transitions, {count}; received "
            f"batch_size={batch_size}."
        )
    return steps


def check_shares(batch_size: int, shares: int, pairs: bool) -> None:
    """Raises a ValueError unless a batch can be cut into equal shares, of pairs if so."""
    if batch_size % shares:
        raise ValueError(
            f"Expected `batch_size` to be a multiple of the {shares} replicas; received "
            f"batch_size={batch_size}."
        )
    if pairs and batch_size // shares % 2:
        raise ValueError(
            f"Expected `batch_size` to be an even number for each of {shares} replicas, for pairs "
            f"of transitions of one episode; received batch_size={batch_size}."
        )


def transitions(
    data: Episodes | Subset,
    batch_size: int,
    seed: int,
    start_epoch: int = 0,
    stop_epoch: int = ENDLESS,
    shuffle: bool = True,
    drop_remainder: bool = True,
    shares: int = 1,
    own: slice = slice(None),
    pairs: bool = False,
    run: int = 1,
) -> "tuple[tf.data.Dataset, int]":
    """A `tf.data.Dataset` of batches of transitions, epoch after epoch.

    The order of epoch e is a function of `seed` and e alone, so a training that resumes with
    `start_epoch` sees the batches it would have seen.

    Args:
        data: the dataset, with all its frames, or a subset of it.
        batch_size: number of transitions B in a batch.
        seed: seed of the order, at least 0.
        start_epoch: epoch at which the first batch begins.
        stop_epoch: epoch before which the last one ends; endless without.
        shuffle: whether to permute the transitions in each epoch; else they come in order.
        drop_remainder: whether to leave out the transitions of an epoch that fill no whole batch.
        shares: number of equal shares, one per replica, into which each batch is cut: they are the
            elements of the dataset then.
        own: the shares that are wanted here, such as those of one machine out of several.
        pairs: whether to shuffle so that transitions 2k and 2k + 1 of a share are of one episode;
            where episodes have an odd number of steps, some have one pair with the next. Without
            `shuffle` it does nothing.
        run: number R of steps in a row of which batches are made; above 1 their frames come once.
            Where an episode is no multiple of it, each epoch leaves out other steps.

    Returns:
        (dataset, steps_per_epoch). A batch is a dict of "obs" and "next_obs", (B, H, W, C) uint8,
        and "action", (B,) int32 or (B, ...) float32. In runs it is a dict of "obs", (B / R, R + 1,
        H, W, C), and "action", (B / R, R, ...).

    Raises:
        ValueError: there are fewer transitions than `batch_size` and the remainder is dropped,
            `batch_size` is below 1 or not a multiple of `shares` (of 2 `shares`, in pairs, or of
            `run`), `run` is longer than an episode, or `data` was read with some of its frames
            only.
    """
    import tensorflow as tf

    subset = data if isinstance(data, Subset) else Subset.of_all(data)
    steps = steps_per_epoch(subset, batch_size, drop_remainder, run)
    check_shares(batch_size // run, shares, pairs)
    episodes, length = subset.episodes, subset.episodes.actions.shape[1]
    each, spare = divmod(length, run)  # runs of an episode, and steps that are left
    with tf.device("/CPU:0"):  # where pipelines run, also beside an accelerator
        frames = _frames_tensor(episodes.observations)
        actions = tf.constant(device_actions(episodes.actions))
        members = tf.constant(subset.index, tf.int64)
    count = len(subset) * each

    def order(epoch):
        numbers, begin = tf.range(count, dtype=tf.int64), tf.constant(0, tf.int64)
        if shuffle:
            seeds = tf.stack([tf.constant(seed, tf.int64), epoch])
            numbers = tf.random.experimental.stateless_shuffle(numbers, seeds)
            if pairs:
                by_episode = tf.gather(numbers, tf.argsort(numbers // each, stable=True))
                rows = tf.reshape(by_episode[: count // 2 * 2], (-1, 2))
                rows = tf.random.experimental.stateless_shuffle(rows, -1 - seeds)
                numbers = tf.reshape(rows, (-1,))
            begin = tf.random.stateless_uniform((), seeds, 0, spare + 1, tf.int64)
        numbers = numbers // each * length + numbers % each * run + begin
        batches = tf.data.Dataset.from_tensor_slices(numbers).batch(
            batch_size // run, drop_remainder
        )
        if shares == 1:
            return batches
        return batches.map(lambda batch: tf.reshape(batch, (shares, -1))[own]).unbatch()

    def gather(number):
        episode, time = tf.gather(members, number // length), number % length
        first, action = episode * (length + 1) + time, episode * length + time
        if run > 1:
            return {
                "obs": tf.gather(frames, first[:, None] + tf.range(run + 1, dtype=tf.int64)),
                "action": tf.gather(actions, action[:, None] + tf.range(run, dtype=tf.int64)),
            }
        return {
            "obs": tf.gather(frames, first),
            "action": tf.gather(actions, action),
            "next_obs": tf.gather(frames, first + 1),
        }

    epochs = tf.data.Dataset.range(start_epoch, stop_epoch)
    batches = epochs.flat_map(order).map(gather, num_parallel_calls=PREFETCHED_BATCHES)
    return batches.prefetch(PREFETCHED_BATCHES).with_options(plain_options()), steps


def plain_options() -> "tf.data.Options":
    """Options of a pipeline that runs as it is written.

    The optimizer of pipelines has nothing to do in ours, and it would copy all frames.
    """
    import tensorflow as tf

    options = tf.data.Options()
    options.experimental_optimization.apply_default_optimizations = False
    return options


def _frames_tensor(frames):
    """Frames (E, T + 1, H, W, C) as a tensor (E * (T + 1), H, W, C).

    It lies on the same memory where TensorFlow can use that: what `read_episodes` returns.
    """
    import tensorflow as tf

    flat = np.ascontiguousarray(frames).reshape(-1, *frames.shape[2:])
    if flat.ctypes.data % ALIGNMENT or not flat.flags.writeable:
        return tf.constant(flat)
    return tf.experimental.dlpack.from_dlpack(flat.__dlpack__())


def device_actions(actions: np.ndarray) -> np.ndarray:
    """Actions (E, T, ...) as (E * T, ...), int32 if they are whole numbers."""
    flat = actions.reshape(-1, *actions.shape[2:])
    return flat.astype(np.int32) if np.issubdtype(flat.dtype, np.integer) else flat
