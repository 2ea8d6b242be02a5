"""Normalization per field: one mean, one variance, one scale and one offset a channel."""

from typing import Any

import keras
from keras import ops

from sen_tf.distribution import replicas
from sen_tf.layers import arguments, output_fields
from sen_tf.layers.inputs import precise, settle
from sen_tf.layers.plain import with_weights
from sen_tf.tensors import Shape, Tensor

NARROW = 8
"""Channels up to which batch normalization does without TensorFlow's fused kernel. With 8 elements
at each of 64 x 65 x 65 pixels it took, forward and backward on one CPU core, 0.23, 0.31, 0.55 and
0.66 of the kernel's time at 2, 3, 6 and 8 channels in float32, and 0.21, 0.26, 0.65 and 0.89 in
bfloat16; at 12 channels 1.1 and 1.2."""


def move_average(moving: keras.Variable, batch: Tensor, momentum: float, rows: Tensor) -> None:
    """Moves a statistic towards that of a batch, unless the batch has no rows and thus none.

    Args:
        moving: The statistic.
        batch: That of the batch, of the same shape.
        momentum: Share of the old one that is kept, in [0, 1).
        rows: Number of rows, a scalar.
    """
    mixed = moving * momentum + ops.cast(batch, moving.dtype) * (1 - momentum)
    moving.assign(ops.where(rows > 0, mixed, moving.value))


class FieldNormalization(keras.layers.Layer):
    """Scale and offset of one number per channel, shared by every element of the group."""

    output_field = output_fields.keeps_field

    def __init__(
        self,
        epsilon: float,
        center: bool = True,
        scale: bool = True,
        beta_initializer: str | keras.Initializer = "zeros",
        gamma_initializer: str | keras.Initializer = "ones",
        beta_regularizer: str | keras.Regularizer | None = None,
        gamma_regularizer: str | keras.Regularizer | None = None,
        beta_constraint: str | keras.constraints.Constraint | None = None,
        gamma_constraint: str | keras.constraints.Constraint | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.epsilon = arguments.positive("epsilon", epsilon)
        self.center = center
        self.scale = scale
        self.beta_initializer = keras.initializers.get(beta_initializer)
        self.gamma_initializer = keras.initializers.get(gamma_initializer)
        self.beta_regularizer = keras.regularizers.get(beta_regularizer)
        self.gamma_regularizer = keras.regularizers.get(gamma_regularizer)
        self.beta_constraint = keras.constraints.get(beta_constraint)
        self.gamma_constraint = keras.constraints.get(gamma_constraint)

    def build(self, input_shape: Shape) -> None:
        if len(input_shape) < 2 or not input_shape[-1]:
            raise ValueError(
                f"{type(self).__name__} `{self.name}` expected an input of shape (batch, ..., "
                f"channels) with a known channel number; received {tuple(input_shape)}."
            )
        self._channels = input_shape[-1]
        shape = (self._channels,)
        self.gamma = self.beta = None
        if self.scale:
            self.gamma = self.add_weight(
                name="gamma",
                shape=shape,
                initializer=self.gamma_initializer,
                regularizer=self.gamma_regularizer,
                constraint=self.gamma_constraint,
                autocast=False,
            )
        if self.center:
            self.beta = self.add_weight(
                name="beta",
                shape=shape,
                initializer=self.beta_initializer,
                regularizer=self.beta_regularizer,
                constraint=self.beta_constraint,
                autocast=False,
            )

    def _scale_and_offset(self):
        shape = (self._channels,)
        gamma = ops.ones(shape, self.variable_dtype) if self.gamma is None else self.gamma
        beta = ops.zeros(shape, self.variable_dtype) if self.beta is None else self.beta
        return precise(self, gamma), precise(self, beta)

    def plain_arguments(self) -> dict[str, Any]:
        """Arguments of the layer of Keras that does the same."""
        return {
            "epsilon": self.epsilon,
            "center": self.center,
            "scale": self.scale,
            "dtype": self.dtype_policy,
        }

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "epsilon": self.epsilon,
            "center": self.center,
            "scale": self.scale,
            "beta_initializer": keras.initializers.serialize(self.beta_initializer),
            "gamma_initializer": keras.initializers.serialize(self.gamma_initializer),
            "beta_regularizer": keras.regularizers.serialize(self.beta_regularizer),
            "gamma_regularizer": keras.regularizers.serialize(self.gamma_regularizer),
            "beta_constraint": keras.constraints.serialize(self.beta_constraint),
            "gamma_constraint": keras.constraints.serialize(self.gamma_constraint),
        }


@keras.saving.register_keras_serializable("sen_tf")
class FieldBatchNormalization(FieldNormalization):
    """Batch normalization with statistics per field: over the batch, space and the group axis.

    Sharing mean and variance over the group axis is what makes the layer commute with the group. On
    an image without a group axis it is ordinary batch normalization. On TensorFlow it runs the
    fused kernel, of more than 8 channels and where XLA does not compile it; under a strategy of
    several replicas the statistics are those of the global batch. The moving variance is the
    unbiased one (n / (n - 1)), as in PyTorch.

    Args:
        momentum: Share of the old moving statistics kept in a training step, in [0, 1).
        epsilon: Added to the variance.
        **kwargs: `center`, `scale`, `beta_initializer` and the others of
            `keras.layers.BatchNormalization`.

    Input shape: `(batch, ..., channels)`, with or without a group axis before the channels.

    Output shape: The input's.

    Reference: Ioffe and Szegedy (2015); Cohen and Welling (2016), section 6.3.
    """

    def __init__(self, momentum: float = 0.99, epsilon: float = 1e-3, **kwargs: Any) -> None:
        super().__init__(epsilon, **kwargs)
        self.momentum = arguments.share("momentum", momentum)

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        for name, initializer in [("moving_mean", "zeros"), ("moving_variance", "ones")]:
            weight = self.add_weight(
                name=name,
                shape=(input_shape[-1],),
                initializer=initializer,
                trainable=False,
                autocast=False,
            )
            setattr(self, name, weight)

    def call(self, inputs: Tensor, training: bool | None = False) -> Tensor:
        inputs = settle(self, inputs, {-1: self._channels})
        gamma, beta = self._scale_and_offset()
        if training and self.trainable:
            # Each replica counts by its rows, which may be none.
            rows = replicas.total(ops.cast(ops.size(inputs) // self._channels, gamma.dtype))
            outputs, mean, variance = _batch_normalize(inputs, gamma, beta, self.epsilon, rows)
            move_average(self.moving_mean, mean, self.momentum, rows)
            move_average(self.moving_variance, variance, self.momentum, rows)
            return outputs
        # TensorFlow's convolutions on CPUs give an empty batch the channels of their input; here it
        # gets its own.
        x = ops.reshape(inputs, (-1, 1, 1, self._channels))
        mean, variance = (precise(self, w) for w in (self.moving_mean, self.moving_variance))
        x = _scale(x, gamma, beta, mean, variance, self.epsilon)
        return ops.reshape(x, ops.shape(inputs))

    def plain(self, inputs: Tensor) -> Tensor:
        """A `BatchNormalization` over the last axis; see `layers.plain`."""
        layer = keras.layers.BatchNormalization(momentum=self.momentum, **self.plain_arguments())
        return with_weights(layer, self.get_weights(), inputs)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "momentum": self.momentum}


def _batch_normalize(x, gamma, beta, epsilon, count):
    """Normalized x, the mean and the unbiased variance, over all axes of x but the last.

    `count` is the number of rows of all replicas.
    """
    count = ops.maximum(count, 1)
    if keras.backend.backend() == "tensorflow" and x.dtype != "float64" and replicas.count() == 1:
        if x.shape[-1] <= NARROW:
            return _normalize_narrow(x, gamma, beta, epsilon, count)
        if not _is_compiled():
            return _normalize_fused(x, gamma, beta, epsilon, count)
    wide = ops.cast(x, gamma.dtype)
    axes = tuple(range(len(x.shape) - 1))
    mean = replicas.total(ops.sum(wide, axis=axes)) / count
    variance = replicas.total(ops.sum(ops.square(wide - mean), axis=axes)) / count
    y = (wide - mean) * ops.rsqrt(variance + epsilon) * gamma + beta
    return ops.cast(y, x.dtype), mean, _unbiased(variance, count)


def _scale(x, gamma, beta, mean, variance, epsilon):
    """`(x - mean) gamma / sqrt(variance + epsilon) + beta` in the dtype of the variables.

    The mean goes first: of two large products that nearly cancel, little would be left. Of 10^7
    numbers of 16 channels in bfloat16 TensorFlow's kernel took 9 ms on two CPU cores where three
    operations and two casts took 27; in float32 both took as long.
    """
    if keras.backend.backend() == "tensorflow" and x.dtype in ("bfloat16", "float16"):
        import tensorflow as tf

        return tf.raw_ops.FusedBatchNormV3(
            x=x,
            scale=gamma,
            offset=beta,
            mean=mean,
            variance=variance,
            epsilon=epsilon,
            is_training=False,
        )[0]
    scaled = (ops.cast(x, mean.dtype) - mean) * (gamma * ops.rsqrt(variance + epsilon)) + beta
    return ops.cast(scaled, x.dtype)


def _is_compiled():
    """True in what XLA compiles, of which the variance of the fused kernel is E[x^2] - E[x]^2.

    Of 70,000 numbers of 1000.7 that is -0.5.
    """
    from tensorflow.python.framework import ops as graphs
    from tensorflow.python.ops import control_flow_util

    return control_flow_util.GraphOrParentsInXlaContext(graphs.get_default_graph())


def _unbiased(variance, count):
    return variance * count / ops.maximum(count - 1, 1)


def _normalize_fused(x, gamma, beta, epsilon, count):
    """`_batch_normalize` by TensorFlow's kernel."""
    import tensorflow as tf

    # On CPUs the kernel is several times slower but for whole vectors of channels.
    channels, shape = x.shape[-1], ops.shape(x)
    x = ops.reshape(x, (shape[0], -1, 1, channels))
    x, gamma, beta = (_whole_vectors(tensor) for tensor in (x, gamma, beta))
    outputs = tf.raw_ops.FusedBatchNormV3(
        x=x, scale=gamma, offset=beta, mean=[], variance=[], epsilon=epsilon, is_training=True
    )[:3]
    if x.shape[-1] > channels:
        outputs = [ops.split(y, [channels], axis=-1)[0] for y in outputs]
    y, mean, variance = outputs
    return ops.reshape(y, shape), mean, variance


def _normalize_narrow(x, gamma, beta, epsilon, count):
    """`_batch_normalize` of few channels by TensorFlow, with a gradient of its own.

    Pixels, or the elements of the group, stand beside each other in a row, so that rows fill the
    processor's vectors; sums over rows are products with ones.
    """
    import tensorflow as tf

    channels, shape = x.shape[-1], ops.shape(x)
    copies = (x.shape[-2] or 1) if len(x.shape) > 2 else 1

    def rows(tensor):
        return tf.cast(tf.reshape(tensor, (-1, copies * channels)), gamma.dtype)

    def total(tensor):
        """The sums of rows of copies, a number per channel."""
        sums = tf.matmul(tf.ones((1, tf.shape(tensor)[0]), tensor.dtype), tensor)
        return tf.reduce_sum(tf.reshape(sums, (copies, channels)), axis=0)

    def row(vector):
        return tf.tile(vector, [copies])

    def like_input(tensor):
        return tf.cast(tf.reshape(tensor, shape), x.dtype)

    @tf.custom_gradient
    def normalize(x, gamma, beta):
        mean = total(rows(x)) / count
        centred = rows(x) - row(mean)
        variance = total(tf.square(centred)) / count
        rate = tf.math.rsqrt(variance + epsilon)

        def gradients(dy, *_):
            dy, centred = rows(dy), rows(x) - row(mean)
            d_beta = total(dy)
            d_gamma = total(dy * centred) * rate
            scale = gamma * rate
            dx = dy * row(scale) - centred * row(scale * rate * d_gamma / count)
            return like_input(dx - row(scale * d_beta / count)), d_gamma, d_beta

        y = like_input(centred * row(gamma * rate) + row(beta))
        return (y, mean, _unbiased(variance, count)), gradients

    y, mean, variance = normalize(x, tf.convert_to_tensor(gamma), tf.convert_to_tensor(beta))
    return y, tf.stop_gradient(mean), tf.stop_gradient(variance)


def _normalize_rows(x, gamma, beta, epsilon):
    """x with each row, along the last axis, normalized, in the dtype of gamma."""
    centred, rate = _centred(x, gamma.dtype, epsilon)
    return centred * rate * gamma + beta


def _centred(x, dtype, epsilon):
    """Rows less their means, and one over their deviations, in a dtype."""
    x = ops.cast(x, dtype)
    x = x - ops.mean(x, axis=-1, keepdims=True)
    return x, ops.rsqrt(ops.mean(ops.square(x), axis=-1, keepdims=True) + epsilon)


def _normalize_rows_with_gradient(x, gamma, beta, epsilon):
    """`_normalize_rows` by TensorFlow, with a gradient of its own.

    Its sums are products with vectors. Of 20,480 rows of 128 numbers, forward and backward, it took
    19.2 ms of a Xeon's core where the gradients of the operations took 28.5, in bfloat16 21.7 and
    32.1.
    """
    import tensorflow as tf

    channels = x.shape[-1]

    @tf.custom_gradient
    def normalize(x, gamma, beta):
        centred, rate = _centred(x, gamma.dtype, epsilon)

        def gradients(dy):
            dy, normal = (tf.reshape(rows, (-1, channels)) for rows in (dy, centred * rate))
            product = dy * normal
            ones = tf.ones((1, tf.shape(dy)[0]), dy.dtype)
            d_gamma, d_beta = (tf.reshape(ones @ rows, (channels,)) for rows in (product, dy))
            column = tf.reshape(gamma, (channels, 1)) / channels
            dx = dy * gamma - dy @ column - normal * (product @ column)
            dx = tf.reshape(dx, tf.shape(x)) * rate
            return tf.cast(dx, x.dtype), d_gamma, d_beta

        return centred * rate * gamma + beta, gradients

    return normalize(x, tf.convert_to_tensor(gamma), tf.convert_to_tensor(beta))


def _whole_vectors(x):
    """`x` with channels of zeros up to a multiple of 16, the numbers in a processor's vector."""
    missing = -x.shape[-1] % 16
    return ops.pad(x, [(0, 0)] * (len(x.shape) - 1) + [(0, missing)]) if missing else x


@keras.saving.register_keras_serializable("sen_tf")
class FieldLayerNormalization(FieldNormalization):
    """Layer normalization over the channels, at each element of the group by itself.

    Args:
        epsilon: Added to the variance.
        **kwargs: `center`, `scale`, `beta_initializer` and the others of
            `keras.layers.LayerNormalization`.

    Input shape: `(batch, ..., channels)`, with or without a group axis before the channels, of
        which there are two at least.

    Output shape: The input's.

    Reference: Ba et al. (2016).
    """

    def __init__(self, epsilon: float = 1e-3, **kwargs: Any) -> None:
        super().__init__(epsilon, **kwargs)

    def build(self, input_shape: Shape) -> None:
        if tuple(input_shape[-1:]) == (1,):
            raise ValueError(
                f"FieldLayerNormalization `{self.name}` expected several channels, of which it "
                "subtracts the mean; received one, of which that leaves nothing."
            )
        super().build(input_shape)

    def call(self, inputs: Tensor) -> Tensor:
        inputs = settle(self, inputs, {-1: self._channels})
        gamma, beta = self._scale_and_offset()
        normalize = _normalize_rows
        if keras.backend.backend() == "tensorflow":
            normalize = _normalize_rows_with_gradient
        return ops.cast(normalize(inputs, gamma, beta, self.epsilon), self.compute_dtype)

    def plain(self, inputs: Tensor) -> Tensor:
        """A `LayerNormalization` over the last axis; see `layers.plain`."""
        layer = keras.layers.LayerNormalization(**self.plain_arguments())
        return with_weights(layer, self.get_weights(), inputs)
