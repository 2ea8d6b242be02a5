import keras
import numpy as np
import pytest
import tensorflow as tf

from sen_tf.layers import InvariantHead

MODES = ("max", "mean", "norm", "bispectrum")


def noise(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def invariants(x, group, mode):
    """Those that the dense layer gets, of a head whose dense layer changes nothing."""
    channels, n = x.shape[-1], x.shape[-2]
    count = min(n, 2) + 2 * ((n - 1) // 2) if mode == "bispectrum" else 1
    layer = InvariantHead(group, count * channels, mode, kernel_initializer="identity")
    return np.asarray(layer(x)).reshape(*x.shape[:-2], count, channels)


@pytest.mark.parametrize("mode", ["max", "mean", "norm"])
@pytest.mark.parametrize("shape", [(5, 8, 3), (2, 4, 3, 8, 3)])
def test_one_number_a_channel(mode, shape):
    x = noise(*shape)
    functions = {"max": np.max, "mean": np.mean, "norm": np.linalg.norm}
    expected = functions[mode](x, axis=-2)
    np.testing.assert_allclose(invariants(x, "D4", mode)[..., 0, :], expected, atol=1e-6)


@pytest.mark.parametrize("n", range(1, 10))
def test_the_bispectrum_is_that_of_the_fourier_transform(n):
    x = noise(3, n, 2)
    f = np.fft.fft(x, axis=1) / np.sqrt(n)
    triples = [(0, 0), (0, 1)][: min(n, 2)] + [(1, k) for k in range(1, (n + 1) // 2)]
    expected = []
    for j, k in triples:
        number = f[:, j] * f[:, k] * f[:, (j + k) % n].conj() / (x**2).sum(1)
        expected += [number.real, number.imag] if j else [number.real]
    found = invariants(x, f"C{n}", "bispectrum")
    np.testing.assert_allclose(found, np.stack(expected, 1), atol=2e-6)


@pytest.mark.parametrize("n", [3, 4, 5, 6, 8])
def test_the_bispectrum_tells_a_function_from_its_mirror_image(n):
    x = noise(4, n, 2)
    mirrored = np.roll(x[:, ::-1], 1, axis=1)
    for mode in MODES:
        here, there = (invariants(y, f"C{n}", mode) for y in (x, mirrored))
        if mode == "bispectrum":
            assert np.abs(here - there).max() > 0.05
        else:
            np.testing.assert_allclose(here, there, atol=1e-6)


def spectrum(n):
    """The Fourier transform, at frequencies up to n / 2, of a function all of whose have size 1."""
    phases = np.random.default_rng(n).uniform(0, 2 * np.pi, n // 2 + 1)
    phases[[0, *([-1] if n % 2 == 0 else [])]] = 0
    return np.exp(1j * phases)


def bispectrum(f, n):
    x = np.sqrt(n) * np.fft.irfft(f, n).astype("float32")
    return invariants(x[None, :, None], f"C{n}", "bispectrum")[0, :, 0]


@pytest.mark.parametrize("n", [4, 5, 7, 8])
def test_the_bispectrum_tells_apart_what_has_the_same_power_spectrum(n):
    """The phase of any frequency but the first, moved, makes another function; shifts do not."""
    f = spectrum(n)
    for shift in range(n):
        moved = f * np.exp(-2j * np.pi * shift / n * np.arange(n // 2 + 1))
        np.testing.assert_allclose(bispectrum(moved, n), bispectrum(f, n), atol=1e-6)
    for k in range(2, n // 2 + 1):
        other = f.copy()
        other[k] *= -1 if 2 * k == n else np.exp(0.7j)
        assert np.abs(bispectrum(other, n) - bispectrum(f, n)).max() > 0.5 / n


@pytest.mark.parametrize("n", [3, 5, 7])
def test_turns_by_less_than_an_element_are_seen_by_the_last_number(n):
    """They multiply F[k] by exp(i k a), which for odd n leaves every other number as it is."""
    f = spectrum(n)
    here, there = bispectrum(f, n), bispectrum(f * np.exp(0.3j * np.arange(n // 2 + 1)), n)
    np.testing.assert_allclose(here[:-2], there[:-2], atol=1e-6)
    assert np.abs(here[-2:] - there[-2:]).max() > 0.5 / n


@pytest.mark.parametrize("mode", MODES)
def test_invariants_grow_as_the_input_does(mode):
    x = noise(3, 8, 2)
    small, large = invariants(x, "C8", mode), invariants(100 * x, "C8", mode)
    np.testing.assert_allclose(large, 100 * small, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("mode", MODES)
def test_gradients_at_zero_are_finite(mode):
    layer = InvariantHead("C8", 3, mode)
    x = tf.Variable(np.concatenate([np.zeros((1, 8, 2)), noise(1, 8, 2)]).astype("float32"))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(x))
    gradient = tape.gradient(loss, x).numpy()
    assert np.isfinite(gradient).all() and gradient[1].any()
    if mode in ("norm", "bispectrum"):
        np.testing.assert_array_equal(gradient[0], 0)


@pytest.mark.parametrize("mode", MODES)
def test_nan_stays_in_its_sample(mode):
    x = noise(3, 2, 4, 5)
    x[1, 0, 2, 3] = np.nan
    y = np.isnan(InvariantHead("C4", 2, mode)(x))
    assert y[1, 0].all() and y.sum() == 2


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype, rtol", [("float16", 3e-3), ("bfloat16", 2e-2)])
def test_half_precision_holds_large_numbers(mode, dtype, rtol):
    """Whose squares and cubes it cannot hold."""
    x = keras.ops.cast(1000 * noise(3, 8, 2), dtype)
    wide, half = (InvariantHead("C8", 4, mode, dtype=d) for d in ("float32", f"mixed_{dtype}"))
    expected = np.asarray(wide(keras.ops.cast(x, "float32")))
    half.build(x.shape)
    half.set_weights(wide.get_weights())
    y = half(x)
    assert y.dtype == dtype
    error = np.linalg.norm(np.asarray(y, "float32") - expected) / np.linalg.norm(expected)
    assert error < rtol


@pytest.mark.parametrize("mode", MODES)
def test_batches_of_none_and_points_of_unknown_number(mode):
    layer = InvariantHead("C4", 3, mode, activation="softmax")
    inputs = keras.Input((None, 4, 2))
    model = keras.Model(inputs, layer(inputs))
    for points in (1, 5):
        x = noise(2, points, 4, 2)
        y = model(x)
        assert y.shape == (2, points, 3)
        np.testing.assert_allclose(np.sum(y, -1), 1, atol=1e-6)
        np.testing.assert_allclose(model(x[:1]), y[:1], atol=1e-6)
    assert layer(noise(0, 5, 4, 2)).shape == (0, 5, 3)


def test_arguments_reach_the_dense_layer():
    layer = InvariantHead("C4", 3, use_bias=False, kernel_initializer="ones", activation="relu")
    x = noise(2, 4, 2)
    expected = np.maximum(x.max(1).sum(-1, keepdims=True), 0)
    np.testing.assert_allclose(layer(x), np.tile(expected, (1, 3)), atol=1e-6)
    assert [weight.shape for weight in layer.weights] == [(2, 3)]


@pytest.mark.parametrize("group", ["D1", "D4", "O"])
def test_the_bispectrum_of_another_group_is_refused(group):
    with pytest.raises(ValueError, match=f"`group`.*cyclic.*'bispectrum'.*{group}"):
        InvariantHead(group, 3, "bispectrum")
    InvariantHead(group, 3, "norm")


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"group": "E4"}, "`group`.*E4"),
        ({"units": 0}, "`units`.*0"),
        ({"mode": "median"}, "`mode`.*'bispectrum'.*'median'"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        InvariantHead(**{"group": "C4", "units": 3, **arguments})


@pytest.mark.parametrize("shape", [(2, 8, 3), (4, 3), (2, 4, None)])
def test_other_axes_are_refused(shape):
    with pytest.raises(ValueError, match="InvariantHead `head` expected .*C4"):
        InvariantHead("C4", 3, name="head").build(shape)
    layer = InvariantHead("C4", 3, name="head")
    layer(noise(2, 4, 3))
    with pytest.raises(ValueError, match="InvariantHead `head` was built for 4"):
        layer(noise(2, 8, 3))
