"""tf.data pipelines of transitions (obs, action, next_obs), gathered from frames held once."""

import dataclasses

import numpy as np

from sen_tf.datasets.store import Episodes

PREFETCHED_BATCHES = 2


@dataclasses.dataclass(frozen=True)
class Subset:
    """Some of the episodes of a dataset: their numbers `index`, (n,) int; frames are shared."""

    episodes: Episodes
    index: np.ndarray

    def __len__(self):
        return len(self.index)


def split(episodes: Episodes, fraction: float, seed: int) -> tuple[Subset, Subset]:
    """Divides a dataset by whole episodes, so that no frame of one part is seen in the other.

    Args:
        episodes: the dataset.
        fraction: share of the episodes that goes into the second part, in (0, 1); each part gets
            at least one episode.
        seed: seed of the choice.

    Returns:
        (training, validation) subsets; no frame is copied.

    Raises:
        ValueError: `fraction` is not in (0, 1), or there are fewer than two episodes.
    """
    if not 0 < fraction < 1:
        raise ValueError(f"`fraction` must lie between 0 and 1; got {fraction}.")
    if len(episodes) < 2:
        raise ValueError(f"`episodes` must hold at least 2 to be split; got {len(episodes)}.")
    order = np.random.default_rng(seed).permutation(len(episodes))
    held_out = min(max(round(fraction * len(episodes)), 1), len(episodes) - 1)
    return (
        Subset(episodes, np.sort(order[held_out:])),
        Subset(episodes, np.sort(order[:held_out])),
    )


def transitions(
    data: Episodes | Subset,
    batch_size: int,
    seed: int,
    start_epoch: int = 0,
    shuffle: bool = True,
    drop_remainder: bool = True,
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

    Returns:
        (dataset, steps_per_epoch). A batch is a dict of "obs" and "next_obs", (B, H, W, C) uint8,
        and "action", (B,) int32 or (B, A) float32.

    Raises:
        ValueError: there are fewer transitions than `batch_size` and the remainder is dropped,
            `batch_size` is below 1, or `data` was read with some of its frames only.
    """
    import tensorflow as tf

    subset = data if isinstance(data, Subset) else Subset(data, np.arange(len(data)))
    steps_per_epoch = _steps_per_epoch(subset, batch_size, drop_remainder)
    frames, actions = subset.episodes.observations, _device_actions(subset.episodes.actions)

    def batches():
        epoch = start_epoch
        while True:
            order = _order(subset, [seed, epoch] if shuffle else None)
            for step in range(steps_per_epoch):
                episode, time = order[:, step * batch_size : (step + 1) * batch_size]
                yield {
                    "obs": frames[episode, time],
                    "action": actions[episode, time],
                    "next_obs": frames[episode, time + 1],
                }
            epoch += 1

    size = batch_size if drop_remainder else None
    image = tf.TensorSpec((size, *frames.shape[2:]), tf.uint8)
    action = tf.TensorSpec((size, *actions.shape[2:]), actions.dtype)
    signature = {"obs": image, "action": action, "next_obs": image}
    dataset = tf.data.Dataset.from_generator(batches, output_signature=signature)
    return dataset.prefetch(PREFETCHED_BATCHES), steps_per_epoch


def _steps_per_epoch(subset, batch_size, drop_remainder):
    episodes = subset.episodes
    every_time = tuple(range(episodes.actions.shape[1] + 1))
    if episodes.steps != every_time:
        raise ValueError(
            f"`data` must hold the frames of all times 0 to {every_time[-1]}; "
            f"it was read with steps={episodes.steps}."
        )
    if batch_size < 1:
        raise ValueError(f"`batch_size` must be at least 1; got {batch_size}.")
    count = len(subset) * episodes.actions.shape[1]
    steps = count // batch_size if drop_remainder else -(-count // batch_size)
    if steps == 0:
        raise ValueError(
            f"`batch_size` must be at most the number of transitions, {count}; got {batch_size}."
        )
    return steps


def _device_actions(actions):
    return actions.astype(np.int32) if np.issubdtype(actions.dtype, np.integer) else actions


def _order(subset, seed):
    """(2, n) int: episode and time of every transition, permuted unless `seed` is None."""
    length = subset.episodes.actions.shape[1]
    number = np.arange(len(subset) * length)
    if seed is not None:
        number = np.random.default_rng(seed).permutation(len(number))
    position, time = np.divmod(number, length)
    return np.stack([subset.index[position], time])
