"""Decoders: from latent states back to images, to look at what a state says."""

import math

import keras


def object_decoder(
    state_shape, image_shape, hidden=(512, 512), filters=(32, 32, 32), dtype=None, name="decoder"
):
    """Dense layers that draw one map an object, then transposed convolutions over all of them.

    Args:
        state_shape: `(objects, ...)`, the shape of a latent state.
        image_shape: `(rows, columns, channels)`.
        hidden: Widths of the hidden dense layers, the same network for every object.
        filters: Channels of the hidden transposed convolutions.
        dtype: Dtype policy of the layers.
        name: Name of the model.

    Returns:
        A `keras.Model` from states `(batch, objects, ...)` to images `(batch, rows, columns,
        channels)` in [0, 1].

    Reference: Park et al. (2022), appendix, decoder of 3D Blocks.
    """
    objects, rows, columns = state_shape[0], *image_shape[:2]
    layers = [
        keras.Input(state_shape),
        keras.layers.Reshape((objects, math.prod(state_shape[1:])), dtype=dtype),
        # What a latent's scale is, training decides; this makes it one, from the data.
        keras.layers.BatchNormalization(dtype=dtype),
    ]
    for width in hidden:
        layers.append(keras.layers.Dense(width, activation="relu", dtype=dtype))
    layers += [
        keras.layers.Dense(rows * columns, dtype=dtype),
        keras.layers.Permute((2, 1), dtype=dtype),
        keras.layers.Reshape((rows, columns, objects), dtype=dtype),
    ]
    for width in filters:
        layers += [
            keras.layers.Conv2DTranspose(width, 3, padding="same", dtype=dtype),
            keras.layers.BatchNormalization(dtype=dtype),
            keras.layers.ReLU(dtype=dtype),
        ]
    layers.append(
        keras.layers.Conv2DTranspose(
            image_shape[-1], 3, padding="same", activation="sigmoid", dtype="float32"
        )
    )
    return keras.Sequential(layers, name=name)
