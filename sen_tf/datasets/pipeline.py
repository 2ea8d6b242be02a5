"""tf.data pipelines of transitions (obs, action, next_obs), gathered from frames held once.

The pipeline is TensorFlow's alone: no Python runs in its threads, which would compete with the
training loop and, prefetching still, could hang the process at exit.
"""

import dataclasses

import numpy as np

from sen_tf.datasets.episodes import ALIGNMENT, Episodes

PREFETCHED_BATCHES = 2


@dataclasses.dataclass(frozen=True)
class Subset:
    """Some of the episodes of a dataset: their numbers `index`, (n,) int; frames are shared."""

    episodes: Episodes
    index: np.ndarray

    def __len__(self):
        return len(self.index)


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
    if not 0 < fraction < 1:
        raise ValueError(
            f"Expected `fraction` to lie between 0 and 1; received fraction={fraction}."
        )
    if len(data) < 2:
        raise ValueError(
            f"Expected `data` to hold at least 2 episodes to be split; received {len(data)}."
        )
    whole = as_subset(data)
    order = np.random.default_rng(seed).permutation(whole.index)
    held_out = min(max(round(fraction * len(order)), 1), len(order) - 1)
    return (
        Subset(whole.episodes, np.sort(order[held_out:])),
        Subset(whole.episodes, np.sort(order[:held_out])),
    )


def as_subset(data: Episodes | Subset) -> Subset:
    """All episodes of a dataset as a `Subset`; one is returned as it is."""
    return data if isinstance(data, Subset) else Subset(data, np.arange(len(data)))


def steps_per_epoch(subset: Subset, batch_size: int, drop_remainder: bool = True) -> int:
    """Number of batches in an epoch; arguments and errors as in `transitions`."""
    episodes = subset.episodes
    every_time = tuple(range(episodes.actions.shape[1] + 1))
    if episodes.steps != every_time:
        raise ValueError(
            f"Expected `data` to hold the frames of all times 0 to {every_time[-1]}; "
            f"it was read with steps={episodes.steps}."
        )
    if batch_size < 1:
        raise ValueError(
            f"Expected `batch_size` to be at least 1; received batch_size={batch_size}."
        )
    count = len(subset) * episodes.actions.shape[1]
    steps = count // batch_size if drop_remainder else -(-count // batch_size)
    if steps == 0:
        raise ValueError(
            f"Expected `batch_size` to be at most the number of transitions, {count}; received "
            f"batch_size={batch_size}."
        )
    return steps


def transitions(
    data: Episodes | Subset,
    batch_size: int,
    seed: int,
    start_epoch: int = 0,
    shuffle: bool = True,
    drop_remainder: bool = True,
    shares: int = 1,
    own: slice = slice(None),
    pairs: bool = False,
):
    """An endless `tf.data.Dataset` of batches of transitions.

    The order of epoch e is a function of `seed` and e alone, so a training that resumes with
    `start_epoch` sees the batches it would have seen.

    Args:
        data: the dataset, with all its frames, or a subset of it.
        batch_size: number of transitions B in a batch.
        seed: seed of the order, at least 0.
        start_epoch: epoch at which the first batch begins.
        shuffle: whether to permute the transitions in each epoch; else they come in order.
        drop_remainder: whether to leave out the transitions of an epoch that fill no whole batch.
        shares: number of equal shares, one per replica, into which each batch is cut: they are the
            elements of the dataset then.
        own: the shares that are wanted here, such as those of one machine out of several.
        pairs: whether to shuffle so that transitions 2k and 2k + 1 of a share are of one episode;
            where episodes have an odd number of steps, some have one pair with the next. Without
            `shuffle` it does nothing.

    Returns:
        (dataset, steps_per_epoch). A batch is a dict of "obs" and "next_obs", (B, H, W, C) uint8,
        and "action", (B,) int32 or (B, ...) float32.

    Raises:
        ValueError: there are fewer transitions than `batch_size` and the remainder is dropped,
            `batch_size` is below 1 or not a multiple of `shares` (of 2 `shares`, in pairs), or
            `data` was read with some of its frames only.
    """
    import tensorflow as tf

    subset = as_subset(data)
    steps = steps_per_epoch(subset, batch_size, drop_remainder)
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
    episodes, length = subset.episodes, subset.episodes.actions.shape[1]
    with tf.device("/CPU:0"):  # where pipelines run, also beside an accelerator
        frames = _frames_tensor(episodes.observations)
        actions = tf.constant(_device_actions(episodes.actions))
        members = tf.constant(subset.index, tf.int64)
    count = len(subset) * length

    def order(epoch):
        numbers = tf.range(count, dtype=tf.int64)
        if shuffle:
            seeds = tf.stack([tf.constant(seed, tf.int64), epoch])
            numbers = tf.random.experimental.stateless_shuffle(numbers, seeds)
            if pairs:
                by_episode = tf.gather(numbers, tf.argsort(numbers // length, stable=True))
                rows = tf.reshape(by_episode[: count // 2 * 2], (-1, 2))
                rows = tf.random.experimental.stateless_shuffle(rows, -1 - seeds)
                numbers = tf.reshape(rows, (-1,))
        batches = tf.data.Dataset.from_tensor_slices(numbers).batch(batch_size, drop_remainder)
        if shares == 1:
            return batches
        return batches.map(lambda batch: tf.reshape(batch, (shares, -1))[own]).unbatch()

    def gather(number):
        episode, time = tf.gather(members, number // length), number % length
        first = episode * (length + 1) + time
        return {
            "obs": tf.gather(frames, first),
            "action": tf.gather(actions, episode * length + time),
            "next_obs": tf.gather(frames, first + 1),
        }

    epochs = tf.data.Dataset.range(start_epoch, np.iinfo(np.int64).max)
    batches = epochs.flat_map(order).map(gather, num_parallel_calls=PREFETCHED_BATCHES)
    # The optimizer of pipelines has nothing to do here, and it would copy all frames.
    options = tf.data.Options()
    options.experimental_optimization.apply_default_optimizations = False
    return batches.prefetch(PREFETCHED_BATCHES).with_options(options), steps


def _frames_tensor(frames):
    """Frames (E, T + 1, H, W, C) as a tensor (E * (T + 1), H, W, C).

    It lies on the same memory where TensorFlow can use that: what `read_episodes` returns.
    """
    import tensorflow as tf

    flat = np.ascontiguousarray(frames).reshape(-1, *frames.shape[2:])
    if flat.ctypes.data % ALIGNMENT or not flat.flags.writeable:
        return tf.constant(flat)
    return tf.experimental.dlpack.from_dlpack(flat.__dlpack__())


def _device_actions(actions):
    """Actions (E, T, ...) as (E * T, ...), int32 if they are whole numbers."""
    flat = actions.reshape(-1, *actions.shape[2:])
    return flat.astype(np.int32) if np.issubdtype(flat.dtype, np.integer) else flat
