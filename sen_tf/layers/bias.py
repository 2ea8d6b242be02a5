"""The addition of a bias."""

import keras
from keras import ops

from sen_tf.tensors import Tensor


def add_bias(x: Tensor, bias: Tensor) -> Tensor:
    """`x + bias` along the last axis; the gradient of the bias is the sum over all others.

    TensorFlow (2.21) adds that sum up in bfloat16 on CPUs, where it stops growing once it is 256
    times a term: of 20,480 rows of noise around .1 half was missing, of 131,072 rows 92 %. A
    product with ones is summed in float32, and took 1.3 ms of a core where that sum took 3.9
    (20,480 rows of 128).

    Args:
        x: Tensor of shape `(..., channels)`.
        bias: Tensor of shape `(channels,)`.

    Returns:
        Tensor of the shape of x.
    """
    dtype = keras.backend.standardize_dtype(x.dtype)
    if keras.backend.backend() != "tensorflow" or dtype != "bfloat16":
        # TensorFlow makes one operation of a convolution or product and what is added right after.
        return ops.add(x, bias)
    import tensorflow as tf

    @tf.custom_gradient
    def add(x, bias):
        def gradients(dy):
            rows = tf.reshape(dy, (-1, bias.shape[0]))
            return dy, tf.reshape(tf.ones((1, tf.shape(rows)[0]), dy.dtype) @ rows, (-1,))

        return tf.nn.bias_add(x, bias), gradients

    return add(x, tf.cast(bias, x.dtype))
