"""Inputs of layers: of the compute dtype, and of the shape that the layer was built for.

Layers check shapes when they are built. Another input may follow, in a traced function one whose
sizes are not known yet: it is held to the same conditions here, so that equivariance is not lost in
silence. TensorFlow checks an unknown size when the graph runs; elsewhere it is refused.
"""

from collections.abc import Mapping, Sequence

import keras
import numpy as np
from keras import ops

from sen_tf.tensors import Tensor


def settle(
    layer: keras.layers.Layer,
    x: Tensor,
    sizes: Mapping[int, int | None] | None = None,
    ranks: Sequence[int] | None = None,
) -> Tensor:
    """The input of a layer, in its compute dtype, whose axes have the expected sizes.

    Args:
        layer: The layer, which the error names.
        x: A tensor; integers become numbers of the compute dtype.
        sizes: The size expected of an axis, by axis; unknown ones are taken from here, and
            TensorFlow's graphs check them when they run.
        ranks: The numbers of axes that the input may have.

    Raises:
        ValueError: For another rank or size, or a rank that is not known.
    """
    x = ops.convert_to_tensor(x)
    if not keras.backend.is_float_dtype(keras.backend.standardize_dtype(x.dtype)):
        x = ops.cast(x, layer.compute_dtype)
    return fit(x, f"{type(layer).__name__} `{layer.name}`", sizes, ranks)


def fit(
    x: Tensor,
    who: str,
    sizes: Mapping[int, int | None] | None = None,
    ranks: Sequence[int] | None = None,
) -> Tensor:
    """A tensor whose axes have the expected sizes; see `settle`. `who` begins the error."""
    sizes = {} if sizes is None else sizes
    if getattr(x.shape, "rank", 0) is None:
        raise ValueError(
            f"{who} cannot take a tensor of which not even the rank is known. Give the function "
            f"that is traced an `input_signature`, or the dataset an `output_signature`."
        )
    shape = list(x.shape)
    if ranks is not None and len(shape) not in ranks:
        raise ValueError(
            f"{who} expected an input of rank {' or '.join(map(str, ranks))}; received shape "
            f"{tuple(shape)}."
        )
    unknown = False
    for axis, size in sizes.items():
        unknown |= shape[axis] is None
        if shape[axis] is not None and shape[axis] != size:
            expected = ", ".join(f"{size} on axis {axis}" for axis, size in sizes.items())
            raise ValueError(f"{who} was built for {expected}; received shape {tuple(shape)}.")
        shape[axis] = size
    if not unknown or isinstance(x, keras.KerasTensor):
        return x
    import tensorflow as tf

    return tf.ensure_shape(x, shape)


def require(x: Tensor, condition: Tensor, message: str) -> Tensor:
    """`x`, or an InvalidArgumentError where the graph runs, for sizes unknown while tracing.

    `condition` is a boolean tensor of TensorFlow made of sizes. XLA drops assertions, but knows
    sizes when it compiles, and refuses to reshape to one that does not fit.
    """
    import tensorflow as tf

    x = assert_all(x, condition, message)
    shape = tf.where(condition, tf.shape(x), tf.zeros_like(tf.shape(x)))
    return tf.ensure_shape(tf.reshape(x, shape, name="size_that_is_refused"), x.shape)


def assert_all(x: Tensor, conditions: Tensor, message: str) -> Tensor:
    """`x`; in TensorFlow's graphs, but for XLA, an InvalidArgumentError unless conditions hold."""
    if keras.backend.backend() != "tensorflow" or isinstance(x, keras.KerasTensor):
        return x
    import tensorflow as tf

    with tf.control_dependencies([tf.debugging.Assert(tf.reduce_all(conditions), [message])]):
        return tf.identity(x)


def precise(layer: keras.layers.Layer, x: Tensor) -> Tensor:
    """`x` in the dtype of the layer's variables, float32 at least.

    In float16 the square of 256 is infinite.
    """
    return ops.cast(x, keras.backend.result_type(layer.variable_dtype, "float32"))


def in_int32(x: Tensor, otherwise: int) -> Tensor:
    """`x` in int32, and `otherwise` where that cannot hold its number: 1.5, or 2^32."""
    whole = ops.cast(x, "int32")
    return ops.where(ops.equal(ops.cast(whole, x.dtype), x), whole, otherwise)


def numbers_in(x: Tensor) -> np.ndarray | None:
    """The array of numbers that a tensor holds, or None while a function is traced."""
    if isinstance(x, keras.KerasTensor):
        return None
    try:
        return ops.convert_to_numpy(x)
    except (NotImplementedError, RuntimeError, TypeError):  # of TensorFlow, PyTorch and JAX
        return None
