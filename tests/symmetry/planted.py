"""Networks of three kinds that commute with C4, and faults to plant in them."""

import keras
import numpy as np
from keras import layers, ops

from sen_tf.layers import (
    FieldBatchNormalization,
    GroupConv2D,
    GroupPooling,
    IrrepsDense,
    LiftingConv2D,
    SpatialPooling2D,
)
from sen_tf.layers.output_fields import keeps_field

CHANNELS = 4
"""As many as C4 has elements, so that axes may be exchanged without a change of shape."""


def keep(x):
    return x


def lifted(side, name="image"):
    image = keras.Input((side, side, 3), name=name)
    return image, LiftingConv2D("C4", CHANNELS, 3, padding="same")(image)


def conv(x, **arguments):
    x = GroupConv2D("C4", CHANNELS, 3, padding="same", **arguments)(x)
    return FieldBatchNormalization()(x)


def chain(features=keep, images=keep, head=layers.GlobalAveragePooling2D):
    """Plants on functions on C4 on 8 x 8 pixels, on images of 8 x 8, and before the last layer."""
    image, x = lifted(17)
    x = layers.ReLU()(FieldBatchNormalization()(x))
    x = features(SpatialPooling2D("C4", 3, 2)(x))
    x = layers.LeakyReLU()(conv(x))
    x = images(GroupPooling()(x))
    return keras.Model(image, layers.Dense(5)(head()(x)), name="chain")


def resnet(features=keep, images=keep):
    """Plants in a branch of the second block, on 9 x 9 pixels, and on images of 9 x 9."""
    image, x = lifted(17)
    for strides, plant in ((1, keep), (2, features)):
        skip = x if strides == 1 else SpatialPooling2D("C4", 1, 2)(x)
        branch = plant(conv(x, strides=strides, activation="tanh"))
        x = layers.ReLU()(layers.Add()([skip, conv(branch)]))
    x = layers.GlobalAveragePooling2D()(images(GroupPooling("mean")(x)))
    return keras.Model(image, layers.Dense(5)(x), name="resnet")


def unet(features=keep, images=keep, skips=keep):
    """Plants at the bottom, 8 x 8 pixels, on images and on the skip connection, 16 x 16."""
    image, x = lifted(16)
    skip = conv(x, activation="tanh")
    x = features(conv(SpatialPooling2D("C4", 2)(skip), activation="tanh"))
    x = layers.UpSampling3D((2, 2, 1))(x)
    x = conv(layers.Concatenate()([x, skips(skip)]), activation="tanh")
    return keras.Model(image, layers.Conv2D(2, 1)(images(GroupPooling()(x))), name="unet")


def randomized(model, seed=0):
    """The model with noise on all weights: untrained biases, scales and statistics hide faults."""
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        if keras.backend.is_float_dtype(weight.dtype):
            least = 0.0 if "variance" in weight.path else -0.2
            weight.assign_add(rng.uniform(least, 0.2, weight.shape).astype(weight.dtype))
    return model


def images(model, batch=2, seed=0):
    shape = model.inputs[0].shape[1:]
    return np.random.default_rng(seed).normal(size=(batch, *shape)).astype("float32")


class Bias(layers.Layer):
    """Adds a number that differs along the axes given."""

    output_field = keeps_field

    def __init__(self, axes, **kwargs):
        super().__init__(**kwargs)
        self.axes = axes

    def build(self, shape):
        sizes = [size if axis in self.axes else 1 for axis, size in enumerate(shape)]
        self.bias = self.add_weight(shape=sizes[1:], name="bias", initializer="random_normal")

    def call(self, x):
        return x + self.bias


class Undeclared(layers.Layer):
    """Multiplies by 1, or by more from column to column, and does not say what field it makes."""

    def __init__(self, power=0, **kwargs):
        super().__init__(**kwargs)
        self.power = power

    def call(self, x):
        columns = np.arange(1.0, x.shape[2] + 1, dtype="float32")
        return x * columns.reshape(1, 1, -1, 1, 1) ** self.power


def in_channels(layer):
    """A layer on images whose channels are those of all elements of C4."""

    def plant(x):
        rows, columns, order, channels = x.shape[1:]
        y = layer(layers.Reshape((rows, columns, order * channels))(x))
        return layers.Reshape((*y.shape[1:3], order, y.shape[3] // order))(y)

    return plant


def ramp(x):
    rows, columns = x.shape[1:3]
    values = np.linspace(0, 1, rows * columns, dtype="float32").reshape(rows, columns, 1, 1)
    return ops.add(x, values)


def transformer_head():
    def head(x):
        x = layers.Reshape((-1, x.shape[-1]))(x)
        x = Bias((1,), name="guilty")(x)
        return layers.GlobalAveragePooling1D()(layers.MultiHeadAttention(2, 4)(x, x))

    return head


def sequence_head():
    return lambda x: layers.GRU(6, name="guilty")(layers.Reshape((-1, x.shape[-1]))(x))


NAME = {"name": "guilty"}
SAME = {"padding": "same", **NAME}
WIDE = 4 * CHANNELS
CROP = ((1, 0), (0, 1))

# Name: the network with a fault, and a word of the reason.
FAULTS = {
    "position_bias": (lambda: chain(Bias((1, 2), **NAME)), "pixels"),
    "element_bias": (lambda: chain(Bias((3,), **NAME)), "elements"),
    "batch_norm_per_element": (
        lambda: chain(layers.BatchNormalization(axis=-2, **NAME)),
        "statistics",
    ),
    "pooling_2_on_9": (lambda: resnet(images=layers.MaxPooling2D(2, **NAME)), "stride 2"),
    "pooling_3_2_same_on_8": (
        lambda: chain(images=layers.AveragePooling2D(3, 2, **SAME)),
        "window 3 on 8",
    ),
    "flatten": (lambda: chain(head=lambda: layers.Flatten(**NAME)), "channels of pixels"),
    "plain_conv": (lambda: chain(images=layers.Conv2D(4, 3, **SAME)), "kernel"),
    "plain_conv_on_functions": (
        lambda: resnet(in_channels(layers.Conv2D(WIDE, 3, **SAME))),
        "kernel",
    ),
    "conv_of_d2": (lambda: resnet(GroupConv2D("D2", CHANNELS, 3, **SAME)), "C4 for one on D2"),
    "irreps_of_functions": (lambda: chain(IrrepsDense(CHANNELS, **NAME)), r"parts of SO3"),
    "transposed_group": (lambda: resnet(layers.Permute((1, 2, 4, 3), **NAME)), "axes"),
    "transposed_pixels": (lambda: unet(skips=layers.Permute((2, 1, 3, 4), **NAME)), "axes"),
    "batch_norm_in_channels": (
        lambda: resnet(in_channels(layers.BatchNormalization(**NAME))),
        "statistics",
    ),
    "layer_norm_of_functions": (
        lambda: resnet(layers.LayerNormalization(axis=[-2, -1], **NAME)),
        "scales",
    ),
    "cropping": (lambda: chain(images=layers.Cropping2D(CROP, **NAME)), "cropping"),
    "padding": (lambda: unet(images=layers.ZeroPadding2D(CROP, **NAME)), "padding"),
    "gru_over_pixels": (lambda: chain(head=sequence_head), "one after the other"),
    "position_embedding": (lambda: chain(head=transformer_head), "pixels"),
    "slice": (lambda: chain(images=lambda x: x[:, 1:, :-1]), "at one side"),
    "transposed_conv": (lambda: unet(images=layers.Conv2DTranspose(3, 3, **SAME)), "kernel"),
    "prelu_per_pixel": (
        lambda: unet(layers.PReLU("random_uniform", **NAME)),
        "alpha",
    ),
    "mirrored_skip": (lambda: unet(skips=lambda x: ops.flip(x, axis=2)), "moves pixels"),
    "free_dense_on_elements": (
        lambda: resnet(layers.EinsumDense("...gc,gchd->...hd", (4, CHANNELS), **NAME)),
        "elements",
    ),
    "dense_in_channels": (lambda: resnet(in_channels(layers.Dense(WIDE, **NAME))), "of their own"),
    "depthwise_conv": (lambda: unet(images=layers.DepthwiseConv2D(3, **SAME)), "kernel"),
    "constant_ramp": (lambda: chain(ramp), "constant"),
}
OTHER_NAMES = {"mirrored_skip": "flip", "constant_ramp": "add", "slice": "get_item"}
"""The layers that cannot be named "guilty"."""

CLEAN = {"chain": chain, "resnet": resnet, "unet": unet}
