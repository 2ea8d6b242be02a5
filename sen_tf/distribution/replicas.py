"""Communication between the replicas of a `tf.distribute` strategy; none where there is one.

Gradients flow through all of it.
"""

from collections.abc import Callable

import keras

from sen_tf.tensors import Tensor


def _context():
    """TensorFlow's context of one replica among several; None outside of one."""
    if keras.backend.backend() != "tensorflow":
        return None
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    return context if context is not None and context.num_replicas_in_sync > 1 else None


def count() -> int:
    """The number of replicas that train in step."""
    context = _context()
    return 1 if context is None else context.num_replicas_in_sync


def on_several_machines() -> bool:
    """True if the replicas are those of a MultiWorkerMirroredStrategy."""
    if _context() is None:
        return False
    import tensorflow as tf

    return isinstance(tf.distribute.get_strategy(), tf.distribute.MultiWorkerMirroredStrategy)


def total(x: Tensor) -> Tensor:
    """The sum of `x` over the replicas."""
    context = _context()
    return x if context is None else context.all_reduce("SUM", x)


def gather(x: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """The rows of all replicas' `x`, in order, and what takes this replica's out of as many rows.

    Replicas may have different numbers of rows, also none.
    """
    context = _context()
    if context is None:
        return x, lambda rows: rows
    ops = keras.ops
    own, place = ops.shape(x)[0], context.replica_id_in_sync_group
    places = ops.arange(context.num_replicas_in_sync, dtype="int32")
    counts = total(ops.where(places == place, own, 0))
    start = ops.sum(ops.where(places < place, counts, 0))
    # A sum in which each fills its own part: TensorFlow's all_gather fails on several machines.
    rest = ops.sum(counts) - start - own
    filled = ops.pad(x, [(start, rest), *((0, 0) for _ in x.shape[1:])])
    return total(filled), lambda rows: rows[start : start + own]
