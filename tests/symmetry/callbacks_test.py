"""`EquivarianceError` logs the error of a network that is trained."""

import keras
import numpy as np
import pytest
from keras import layers

from sen_tf.symmetry import EquivarianceError, explain
from tests.symmetry import planted


def fit(model, x, **arguments):
    model.compile(keras.optimizers.Adam(0.02), "mse")
    watch = EquivarianceError(x[:4], "C4", **arguments)
    history = model.fit(x, np.ones((len(x), 5)), epochs=2, verbose=0, callbacks=[watch])
    return history.history["equivariance_error"]


def test_it_logs_the_error_of_each_epoch():
    model = planted.chain()
    x = planted.images(model, batch=8)
    errors = fit(model, x)
    assert len(errors) == 2 and max(errors) < 1e-5
    assert errors[-1] == pytest.approx(explain(model, x[:4], "C4").error, abs=1e-6)


def test_a_model_of_a_dict_of_inputs():
    image, size = keras.Input((17, 17, 3), name="image"), keras.Input((5,), name="size")
    x = layers.Conv2D(5, 3)(image)
    y = layers.Add()([layers.GlobalAveragePooling2D()(x), size])
    model = keras.Model({"image": image, "size": size}, y)
    model.compile("sgd", "mse")
    x = {"image": planted.images(planted.chain()), "size": np.ones((2, 5))}
    watch = EquivarianceError(x, "C4")
    history = model.fit(x, np.ones((2, 5)), verbose=0, callbacks=[watch]).history
    assert history["equivariance_error"] == [pytest.approx(explain(model, x, "C4").error, rel=1e-3)]


def test_it_sees_a_symmetry_that_training_breaks():
    bias = planted.Bias((1, 2))
    model = planted.chain(bias)
    bias.bias.assign(np.zeros(bias.bias.shape))
    x = planted.images(model, batch=8)
    errors = fit(model, x)
    assert errors[0] > 1e-4
    assert errors[-1] == pytest.approx(explain(model, x[:4], "C4").error, rel=1e-3)


def test_an_unknown_output_has_no_error():
    image = keras.Input((17, 17, 3))
    x = planted.Undeclared()(keras.ops.expand_dims(image, 3))
    model = keras.Model(image, layers.Dense(5)(layers.GlobalAveragePooling3D()(x)))
    assert np.isnan(fit(model, planted.images(model))).all()


def test_a_subclassed_model_is_refused():
    class Own(keras.Model):
        def call(self, x):
            return x[:, 0, 0]

    with pytest.raises(ValueError, match="pass a part that is functional"):
        fit(Own(), np.zeros((8, 17, 17, 5)))
