"""Backbones as the embedding or the encoder of a symmetric embedding network."""

import keras
import numpy as np
import pytest

from sen_tf import ContrastiveWorldModel, convert, groups, models
from sen_tf.experiments import networks
from sen_tf.groups import actions
from sen_tf.layers import GlobalPooling2D, GroupDense
from sen_tf.losses import ContrastiveLoss, OtherSamples
from sen_tf.models.encoders import object_encoder
from sen_tf.models.transitions import object_transition, vector_transition


def of_objects(make_embedding):
    """Three objects on images of 16 pixels, whose embedding shows them."""
    embedding = make_embedding((16, 16, 3), 3)
    encoder = object_encoder("C4", (16, 16, 3), hidden=(16,), latent=2)
    return ContrastiveWorldModel(embedding, encoder, object_transition("C4", 3, hidden=8))


def unet(shape, objects):
    return models.unet("C4", shape, objects, filters=8, depth=2, classifier_activation="sigmoid")


def converted(shape, objects):
    plain = keras.Sequential(
        [
            keras.Input(shape),
            keras.layers.Conv2D(16, 3, padding="same", activation="relu"),
            keras.layers.Conv2D(objects, 3, padding="same", activation="sigmoid"),
        ]
    )
    return convert(plain, "C4")


def of_images():
    """A whole image in one state: a Wide ResNet as the embedding, pooling as the encoder."""
    embedding = models.wide_resnet("C4", (17, 17, 3), 10, 1, include_top=False)
    x = features = keras.Input(embedding.output_shape[1:])
    x = GroupDense("C4", 4)(GlobalPooling2D()(x))
    return ContrastiveWorldModel(
        embedding, keras.Model(features, x), vector_transition("C4", "standard", hidden=8)
    )


MAKERS = {
    "unet": lambda: of_objects(unet),
    "converted": lambda: of_objects(converted),
    "resnet": of_images,
}


@pytest.mark.parametrize("name", MAKERS)
def test_states_turn_with_the_image_before_and_after_training(name, tmp_path):
    keras.utils.set_random_seed(0)
    model, rng, group = MAKERS[name](), np.random.default_rng(0), groups.get("C4")
    batch = networks.blank_transitions(model, 8)
    batch = {key: rng.integers(0, 256, x.shape).astype(x.dtype) for key, x in batch.items()}
    if name != "resnet":
        batch["action"] %= 12
    loss = ContrastiveLoss(negatives=[OtherSamples()])
    model.compile(keras.optimizers.Adam(1e-3), loss, run_eagerly=True)  # to trace takes longer
    for _ in range(2):
        states = np.array(model.encode(batch["obs"]))
        for g in group.elements:
            turned = np.ascontiguousarray(actions.rotate_grid(batch["obs"], group, g, axes=(1, 2)))
            found = np.array(model.encode(turned))
            expected = actions.act_on_regular(states, group, g)
            np.testing.assert_allclose(found, expected, atol=2e-5 * np.abs(expected).max())
        losses = model.fit(batch, batch_size=4, epochs=2, verbose=0).history["loss"]
        assert np.isfinite(losses).all()
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.encode(batch["obs"]), model.encode(batch["obs"]))
