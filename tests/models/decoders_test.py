import keras
import numpy as np
import pytest

from sen_tf.models import decoders


@pytest.mark.parametrize("make", [decoders.image_decoder, decoders.object_decoder])
def test_a_decoder_has_the_shape_of_images_and_is_saved(make, tmp_path):
    decoder = make((5, 4, 2), (50, 50, 3), hidden=(8,), filters=(4, 4))
    rng = np.random.default_rng(0)
    states, known = rng.normal(size=(3, 5, 4, 2)), rng.uniform(size=(7, 50, 50, 3))
    decoder.layers[-1].adapt(known)
    images = decoder.predict(states, verbose=0)
    assert images.shape == (3, 50, 50, 3) and images.dtype == np.float32
    assert 0 < np.abs(images - known.mean(axis=0)).mean() < known.std()
    decoder.save(tmp_path / "decoder.keras")
    again = keras.models.load_model(tmp_path / "decoder.keras")
    np.testing.assert_array_equal(again.predict(states, verbose=0), images)


@pytest.mark.parametrize(
    ("state_shape", "image_shape", "sizes"),
    [
        ((8, 4), (129, 129, 6), [(9, 9), (17, 17), (33, 33), (65, 65), (129, 129)]),
        ((4,), (129, 129, 6), [(9, 9), (17, 17), (33, 33), (65, 65), (129, 129)]),
        ((3, 3), (64, 64, 1), [(4, 4), (8, 8), (16, 16), (32, 32), (64, 64)]),
        ((3,), (51, 50, 3), [(4, 4), (7, 7), (13, 13), (26, 25), (51, 50)]),
    ],
)
def test_images_double_from_layer_to_layer(state_shape, image_shape, sizes):
    decoder = decoders.image_decoder(state_shape, image_shape, dtype="mixed_bfloat16")
    shapes = [layer.output.shape[1:3] for layer in decoder.layers if layer.output.ndim == 4]
    assert list(dict.fromkeys(shapes)) == sizes
    assert decoder.output_shape == (None, *image_shape)
    assert decoder.layers[-1].compute_dtype == "float32"


def test_a_decoder_learns_where_a_spot_is():
    keras.utils.set_random_seed(0)
    places = np.random.default_rng(0).uniform(0, 16, (256, 2))
    rows, columns = np.square(np.arange(17) - places[..., None]).transpose(1, 0, 2)
    images = np.exp(-(rows[:, :, None] + columns[:, None]) / 8)[..., None]
    decoder = decoders.image_decoder((2,), (17, 17, 1), (64,), (16, 16))
    decoder.layers[-1].adapt(images)
    decoder.compile(keras.optimizers.Adam(5e-3), loss="mse")
    decoder.fit(100 * places, images, epochs=80, verbose=0)
    error = np.square(decoder.predict(100 * places, verbose=0) - images).mean()
    assert error < 0.5 * np.var(images, axis=0).mean()  # what the mean image is off by
