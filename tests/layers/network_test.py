"""A whole small network commutes with its group, before and after training."""

import keras
import numpy as np
import pytest
from keras import ops

from sen_tf.groups import actions
from sen_tf.layers import (
    FieldBatchNormalization,
    FieldLayerNormalization,
    FromRegular,
    GroupConv2D,
    GroupDense,
    GroupPooling,
    LiftingConv2D,
    SpatialPooling2D,
)
from sen_tf.testing import assert_equivariant

SIDE = 9


def on_pixels(x, group, g):
    return actions.rotate_grid(x, group, g, axes=(1, 2))


def on_vectors(x, group, g):
    return x @ actions.vector_matrix(group, g).T


def make_network(group):
    """From an image to a class, which turning leaves alone, and a vector, which it turns."""
    image = keras.Input((SIDE, SIDE, 2))
    x = LiftingConv2D(group, 4, 3, padding="same")(image)
    x = FieldBatchNormalization(momentum=0.5)(x)
    x = keras.layers.ReLU()(x)
    x = GroupConv2D(group, 6, 3, strides=2, padding="same", activation="relu")(x)  # 9 to 5
    x = SpatialPooling2D(group, pool_size=3, strides=2)(x)  # 5 to 2
    x = ops.mean(x, axis=(1, 2))
    x = FieldLayerNormalization()(x)
    x = GroupDense(group, 8, activation="tanh")(x)
    label = keras.layers.Dense(3)(GroupPooling("max")(x))
    vector = FromRegular(group, "standard")(GroupDense(group, 2)(x))
    return keras.Model(image, [label, vector])


def assert_network_commutes(model, group):
    """To 1e-4, for ten layers' rounding adds up."""
    acts = (lambda y, group, g: y, on_vectors)
    for output, act in enumerate(acts):
        assert_equivariant(
            lambda x, output=output: model(x)[output],
            (4, SIDE, SIDE, 2),
            group,
            on_pixels,
            act,
            rtol=1e-4,
        )


@pytest.mark.parametrize("group", ["C4", "D1", "D4"])
def test_symmetry_survives_training(group):
    keras.utils.set_random_seed(0)
    model = make_network(group)
    assert_network_commutes(model, group)
    model.compile(keras.optimizers.Adam(0.01), ["mse", "mse"], jit_compile=False)
    rng = np.random.default_rng(0)
    images, labels, vectors = (
        rng.standard_normal((16, *shape)).astype("float32")
        for shape in [(SIDE, SIDE, 2), (3,), (2,)]
    )
    losses = [model.train_on_batch(images, [labels, vectors])[0] for _ in range(8)]
    assert losses[-1] < 0.9 * losses[0]
    assert_network_commutes(model, group)
