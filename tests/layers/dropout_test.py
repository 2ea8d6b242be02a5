import keras
import numpy as np
import pytest

from sen_tf.groups import actions
from sen_tf.layers import FieldDropout
from sen_tf.testing import assert_equivariant


def noise(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype("float32")


def masks(layer, *shape):
    return np.asarray(layer(np.ones(shape, "float32"), training=True))


def test_a_channel_is_kept_or_dropped_for_all_elements_and_pixels():
    mask = masks(FieldDropout(0.25, seed=0), 50, 3, 4, 8, 6)
    assert (mask == mask[:, :1, :1, :1]).all()
    np.testing.assert_allclose(np.unique(mask), [0, 1 / 0.75], rtol=1e-6)
    channels = mask[:, 0, 0, 0]
    assert len(np.unique(channels, axis=0)) > 10 and len(np.unique(channels, axis=1)) > 5
    assert abs((channels > 0).mean() - 0.75) < 0.1


def test_spatial_noise_is_shared_over_elements_alone():
    mask = masks(FieldDropout(0.5, per_pixel=True, seed=0), 20, 3, 4, 8, 6)
    assert (mask == mask[..., :1, :]).all()
    pixels = mask[..., 0, :].reshape(20, 12, 6)
    assert (pixels != pixels[:, :1]).mean() > 0.3
    assert abs((pixels > 0).mean() - 0.5) < 0.06


@pytest.mark.parametrize("per_pixel", [False, True])
@pytest.mark.parametrize("shape", [(5, 8, 6), (5, 3, 8, 6)])
def test_vectors(shape, per_pixel):
    mask = masks(FieldDropout(0.5, per_pixel, seed=0), *shape)
    assert (mask == mask[..., :1, :]).all() and 0 < mask.mean() < 2
    if len(shape) == 4:
        assert (mask == mask[:, :1]).all() != per_pixel


@pytest.mark.parametrize("per_pixel", [False, True])
def test_training_commutes_when_the_noise_does(per_pixel):
    """With equal noise, of one number at all pixels or, at each, one that all elements share."""
    layer = FieldDropout(0.5, per_pixel, seed=3)
    act = actions.act_on_regular if per_pixel else actions.act_on_regular_image
    layer.build((4, 5, 5, 8, 3))
    state = np.array(layer.seed_generator.state)

    def function(x):
        layer.seed_generator.state.assign(state)
        return layer(x, training=True)

    assert assert_equivariant(function, noise(4, 5, 5, 8, 3), "D4", act, act) == 0


def test_each_call_draws_again_and_a_seed_draws_the_same():
    draws = [[masks(layer, 4, 8, 30) for _ in range(2)] for layer in map(seeded, (1, 1, 2))]
    assert (draws[0][0] != draws[0][1]).any() and (draws[0][0] != draws[2][0]).any()
    np.testing.assert_array_equal(draws[0], draws[1])


def seeded(seed):
    return FieldDropout(0.5, seed=seed)


def test_no_seed_is_another_one_each_time():
    first, second = (masks(FieldDropout(0.5), 10, 8, 30) for _ in range(2))
    assert (first != second).any()


@pytest.mark.parametrize("training", [None, False])
def test_inference_changes_nothing(training):
    x = noise(3, 5, 5, 4, 2)
    np.testing.assert_array_equal(FieldDropout(0.9)(x, training=training), x)
    np.testing.assert_array_equal(FieldDropout(0)(x, training=True), x)


def test_the_mean_stays():
    x = np.full((2000, 4, 4), 3, "float32")
    assert abs(float(keras.ops.mean(FieldDropout(0.3, seed=0)(x, training=True))) - 3) < 0.1


def test_nan_stays_where_it_was_and_other_numbers_stay_finite():
    x = noise(40, 4, 3)
    x[:, 2, 1] = np.nan
    y = FieldDropout(0.5, seed=0)(x, training=True)
    np.testing.assert_array_equal(np.isnan(y), np.isnan(x))


def test_half_precision():
    x = keras.ops.cast(noise(1000, 4, 3), "bfloat16")
    y = FieldDropout(0.001, seed=0, dtype="bfloat16")(x, training=True)
    assert y.dtype == "bfloat16"
    assert 0 < np.mean(np.asarray(y, "float32") == 0) < 0.01


def test_batches_of_none_and_of_unknown_size():
    layer = FieldDropout(0.5, per_pixel=True)
    assert layer(noise(0, 5, 5, 4, 2), training=True).shape == (0, 5, 5, 4, 2)
    inputs = keras.Input((None, None, 4, 2))
    model = keras.Model(inputs, layer(inputs, training=True))
    assert model(noise(2, 3, 5, 4, 2)).shape == (2, 3, 5, 4, 2)


def test_fit_drops_and_predict_does_not(tmp_path):
    model = keras.Sequential([keras.Input((4, 2)), FieldDropout(0.5, seed=0)])
    model.compile("sgd", "mse")
    x = noise(32, 4, 2)
    assert model.fit(x, x, verbose=0).history["loss"][0] > 0.1
    np.testing.assert_array_equal(model.predict(x, verbose=0), x)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    fresh = FieldDropout(0.5, seed=0)  # as layers of Keras, a loaded one starts from its seed
    np.testing.assert_array_equal(loaded(x, training=True), fresh(x, training=True))


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"rate": 1}, r"`rate`.*\[0, 1\).*rate=1"),
        ({"rate": -0.1}, "`rate`.*-0.1"),
        ({"rate": 0.5, "per_pixel": "no"}, "`per_pixel`.*True or False.*'no'"),
        ({"rate": 0.5, "seed": -1}, "`seed`.*-1"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        FieldDropout(**arguments)


def test_other_ranks_are_refused():
    with pytest.raises(ValueError, match=r"FieldDropout `drop` expected .*\(3, 4\)"):
        FieldDropout(0.5, name="drop")(noise(3, 4))
