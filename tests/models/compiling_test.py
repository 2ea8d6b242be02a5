"""What of a model is built and compiled when it is trained, saved and loaded."""

import keras

from sen_tf.models import ContrastiveWorldModel
from tests.models.trainer_test import data, small_model


def test_parts_that_build_themselves_in_the_first_step_train():
    convolution = keras.layers.Conv2D(2, 3, padding="same", activation="sigmoid")
    model = small_model(keras.Sequential([convolution]))
    assert not model.embedding.built
    model.fit(data(16), batch_size=8, epochs=2, verbose=0)
    assert int(model.optimizer.iterations) == 4 and convolution.built


def test_a_model_that_is_not_compiled_is_loaded_so(tmp_path):
    compiled = small_model()
    parts = (compiled.embedding, compiled.encoder, compiled.transition)
    ContrastiveWorldModel(*parts).save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert not loaded.compiled
    loaded.compile("adam")
    loaded.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.compiled and isinstance(again.optimizer, keras.optimizers.Adam)
