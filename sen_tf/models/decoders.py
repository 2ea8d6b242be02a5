"""Decoders: from latent states back to images, to look at what a state says.

The last layer turns deviations from the mean image, in standard deviations of each pixel, into
images. Once adapted to images, a decoder starts at their mean and has only to draw what differs
from it, such as a thin arm before a wide background.
"""

import math
from collections.abc import Sequence

import keras

from sen_tf.tensors import DTypePolicy


def object_decoder(
    state_shape: Sequence[int],
    image_shape: Sequence[int],
    hidden: Sequence[int] = (512, 512),
    filters: Sequence[int] = (32, 32, 32),
    dtype: DTypePolicy = None,
    name: str = "decoder",
) -> keras.Model:
    """Dense layers that draw one map per object, then transposed convolutions over all of them.

    Args:
        state_shape: `(objects, ...)`, the shape of a latent state.
        image_shape: `(rows, columns, channels)`.
        hidden: Widths of the hidden dense layers, the same network for every object.
        filters: Channels of the hidden transposed convolutions.
        dtype: Dtype policy of the layers.
        name: Name of the model.

    Returns:
        A `keras.Model` from states `(batch, objects, ...)` to images `(batch, rows, columns,
        channels)` in float32, of the scale to which `decoder.layers[-1].adapt(images)` set it.

    Reference: Park et al. (2022), appendix, decoder of 3D Blocks.
    """
    objects, (rows, columns, channels) = state_shape[0], image_shape
    layers = [
        *_dense_layers(state_shape, (objects, math.prod(state_shape[1:])), hidden, dtype),
        keras.layers.Dense(rows * columns, dtype=dtype),
        keras.layers.Permute((2, 1), dtype=dtype),
        keras.layers.Reshape((rows, columns, objects), dtype=dtype),
    ]
    for width in filters:
        layers += _hidden_convolution(width, dtype)
    layers += _output_layers(channels)
    return keras.Sequential(layers, name=name)


def image_decoder(
    state_shape: Sequence[int],
    image_shape: Sequence[int],
    hidden: Sequence[int] = (512, 512),
    filters: Sequence[int] = (64, 64, 32, 32),
    dtype: DTypePolicy = None,
    name: str = "decoder",
) -> keras.Model:
    """Dense layers that draw one small image, then transposed convolutions that double its size.

    Args:
        state_shape: Shape of a latent state, all axes of which are read as one.
        image_shape: `(rows, columns, channels)`; the small image has `rows` and `columns` halved,
            and rounded up, once for each of `filters`.
        hidden: Widths of the hidden dense layers.
        filters: Channels of the small image, and of the hidden transposed convolutions.
        dtype: Dtype policy of the layers.
        name: Name of the model.

    Returns:
        A `keras.Model` from states `(batch, ...)` to images `(batch, rows, columns, channels)` in
        float32, as in `object_decoder`.

    Reference: Park et al. (2022), appendix, decoder of Reacher; the sizes are ours.
    """
    sizes = [tuple(image_shape[:2])]
    for _ in filters:
        sizes.append(tuple((length + 1) // 2 for length in sizes[-1]))
    *larger, smallest = sizes
    layers = [
        *_dense_layers(state_shape, (math.prod(state_shape),), hidden, dtype),
        keras.layers.Dense(math.prod(smallest) * filters[0], activation="relu", dtype=dtype),
        keras.layers.Reshape((*smallest, filters[0]), dtype=dtype),
    ]
    for width, size in zip(filters[1:], larger[:0:-1], strict=True):
        layers += _hidden_convolution(width, dtype, **_doubling(size))
    layers += _output_layers(image_shape[-1], **_doubling(larger[0]))
    return keras.Sequential(layers, name=name)


def _dense_layers(state_shape, flat_shape, hidden, dtype):
    return [
        keras.Input(state_shape, dtype="float32"),
        keras.layers.Reshape(flat_shape, dtype=dtype),
        # What a latent's scale is, training decides; this makes it one, from the data.
        keras.layers.BatchNormalization(dtype=dtype),
        *(keras.layers.Dense(width, activation="relu", dtype=dtype) for width in hidden),
    ]


def _doubling(size):
    """Arguments of a 3x3 transposed convolution from `(size + 1) // 2` pixels to `size`."""
    return {"strides": 2, "output_padding": tuple(1 - length % 2 for length in size)}


def _hidden_convolution(width, dtype, **arguments):
    return [
        _upward(width, dtype=dtype, **arguments),
        keras.layers.BatchNormalization(dtype=dtype),
        keras.layers.ReLU(dtype=dtype),
    ]


def _upward(channels, **arguments):
    return keras.layers.Conv2DTranspose(
        channels, 3, padding="same", data_format="channels_last", **arguments
    )


def _output_layers(channels, **arguments):
    return [
        _upward(channels, dtype="float32", **arguments),
        keras.layers.Normalization(axis=(1, 2, 3), invert=True, dtype="float32"),
    ]
