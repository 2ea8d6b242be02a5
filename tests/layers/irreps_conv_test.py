import keras
import numpy as np
import pytest
import tensorflow as tf

from sen_tf.groups import actions
from sen_tf.layers import FromIrreps, GatedActivation, IrrepsConv3D, IrrepsDense, ToIrreps
from sen_tf.testing import assert_equivariant, randomize_weights
from tests.conformance_actions import on_irreps_of_voxels, on_parities_of_voxels, on_voxels


def noise(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype("float32")


def places(side):
    """Coordinates x, y and z of the voxels of a cube, from its centre."""
    row, column, place = np.indices((side, side, side)) - (side - 1) / 2
    return column, -row, place


def layer_of_one(input_degree, degree, part, element):
    """A layer 3x3x3 of one channel and one element of the basis, from the part to degree's."""
    layer = IrrepsConv3D(1, degree, 3, use_bias=False)
    layer.build((None, 3, 3, 3, (input_degree + 1) ** 2, 1))
    weights = [np.zeros(kernel.shape) for kernel in layer.kernels]
    weights[part][element] = 1
    layer.set_weights(weights)
    return layer


def test_the_gradient_of_a_ramp():
    """From degree 0 to 1 there is one kernel of side 3: a vector that points uphill."""
    x, y, z = places(3)
    layer = layer_of_one(0, 1, part=1, element=0)
    ramp = (3 + 2 * x - 5 * y + z).astype("float32")
    scalar, *gradient = np.array(layer(ramp[None, ..., None, None])).ravel()
    assert scalar == 0 and gradient[0] > 0
    np.testing.assert_allclose(gradient / gradient[0], [1, -2.5, 0.5], rtol=1e-5)


def test_divergence_and_curl():
    """From degree 1 the elements are, to scalars, (1, J = 1), and to vectors J = 0, 0, 1, 2."""
    x, y, z = places(3)
    source = np.stack([0 * x, x, y, z], axis=-1)[None, ..., None].astype("float32")
    vortex = np.stack([0 * x, -y, x, 0 * z], axis=-1)[None, ..., None].astype("float32")
    divergence = layer_of_one(1, 0, part=0, element=2)
    assert float(divergence(source)[0, 0, 0, 0, 0, 0]) > 1
    np.testing.assert_allclose(divergence(vortex), 0, atol=1e-6)
    curl = layer_of_one(1, 1, part=1, element=3)
    np.testing.assert_allclose(curl(source), 0, atol=1e-6)
    outputs = np.array(curl(vortex)).ravel()
    np.testing.assert_allclose(outputs[:3], 0, atol=1e-6)
    assert outputs[3] < -1  # f x r, summed about a vortex around z, points down


def test_the_curl_of_vectors_is_even():
    """Mirrors reverse the sense of a vortex that they leave in place: its curl is no vector."""
    x, y, z = places(3)
    layer = IrrepsConv3D(1, 1, 3, use_bias=False, group="O3")
    source, vortex = (np.zeros((1, 3, 3, 3, 8, 1), "float32") for _ in range(2))
    source[0, ..., 5:, 0] = np.stack([x, y, z], axis=-1)
    vortex[0, ..., 5:, 0] = np.stack([-y, x, 0 * z], axis=-1)
    layer.build(source.shape)
    randomize_weights(layer)
    parts = [np.split(np.array(layer(field)).ravel(), [1, 4, 5]) for field in (source, vortex)]
    for _, _, odd_scalar, odd_vector in parts:
        np.testing.assert_allclose([odd_scalar[0], *odd_vector], 0, atol=1e-5)
    (divergence, none, *_), (no_divergence, curl, *_) = parts
    assert abs(divergence[0]) > 0.1 and abs(curl[2]) > 0.1
    np.testing.assert_allclose([*none, no_divergence[0], *curl[:2]], 0, atol=1e-5)


def test_a_kernel_of_one_voxel_mixes_channels_as_a_dense_layer():
    x = noise(2, 3, 3, 3, 9, 4)
    convolution, dense = IrrepsConv3D(5, 2, 1), IrrepsDense(5)
    for layer in (convolution, dense):
        layer.build(x.shape)
    randomize_weights(convolution)
    dense.set_weights(convolution.get_weights())
    np.testing.assert_allclose(convolution(x), dense(x), atol=1e-5)


def test_a_network_gives_the_same_score_to_a_turned_field_of_vectors():
    field = keras.Input((7, 7, 7, 3, 2))
    x = GatedActivation()(IrrepsConv3D(4, 2, 3, strides=2)(ToIrreps(1, degree=1)(field)))
    x = IrrepsConv3D(4, 0, 3)(x)
    model = keras.Model(field, keras.layers.Dense(3)(keras.layers.Flatten()(x)))
    randomize_weights(model)

    def act(x, group, g):
        return np.einsum("ij,...jc->...ic", actions.vector_matrix(group, g), on_voxels(x, group, g))

    assert_equivariant(model, noise(2, 7, 7, 7, 3, 2), "O", act, lambda y, group, g: y)


def test_a_network_of_both_parities_gives_the_same_score_to_a_mirrored_field_of_vectors():
    field = keras.Input((5, 5, 5, 3, 2))
    x = ToIrreps(1, degree=1, group="O3")(field)
    x = GatedActivation(group="O3")(IrrepsConv3D(4, 2, 3, group="O3")(x))
    x = FromIrreps(0, group="O3")(IrrepsConv3D(4, 0, 3, group="O3")(x))
    model = keras.Model(field, keras.layers.Dense(3)(keras.layers.Flatten()(x)))
    randomize_weights(model)

    def act(x, group, g):
        return np.einsum("ij,...jc->...ic", actions.vector_matrix(group, g), on_voxels(x, group, g))

    assert_equivariant(model, noise(2, 5, 5, 5, 3, 2), "Oh", act, lambda y, group, g: y)


def test_boxes_turn_into_upright_boxes():
    layer = IrrepsConv3D(2, 1, 3, strides=2, padding="same")
    act = on_irreps_of_voxels
    assert_equivariant(layer, (2, 3, 5, 7, 4, 2), "O", act, act)


def test_white_noise_keeps_its_variance():
    keras.utils.set_random_seed(0)
    layer = IrrepsConv3D(64, 2, 3, kernel_initializer="lecun_normal")
    y = np.array(layer(noise(4, 6, 6, 6, 9, 16)))
    for degree in range(3):
        part = y[..., degree**2 : (degree + 1) ** 2, :]
        assert np.mean(part**2) == pytest.approx(1, rel=0.15)


def test_boxes_mirror_into_upright_boxes():
    layer = IrrepsConv3D(2, 1, 3, strides=2, padding="same", group="O3")
    act = on_parities_of_voxels
    assert_equivariant(layer, (2, 3, 5, 7, 8, 2), "Oh", act, act)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"degree": -1}, "`degree`.*-1"),
        ({"kernel_size": (3, 5, 3)}, "`kernel_size`.*cubes"),
        ({"strides": 0}, "`strides`.*0"),
        ({"padding": "full"}, "`padding`.*'full'"),
        ({"data_format": "channels_first"}, "`data_format`"),
        ({"filters": 0}, "`filters`"),
        ({"group": "SO2"}, "`group`.*'SO3' or 'O3'.*'SO2'"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        IrrepsConv3D(**{"filters": 2, "degree": 1, "kernel_size": 3, **arguments})


@pytest.mark.parametrize(
    "shape, message",
    [
        ((2, 5, 5, 5, 2), r"IrrepsConv3D `conv`.*components, channels\).*\(2, 5, 5, 5, 2\)"),
        ((2, 5, 5, 5, 3, 2), r"IrrepsConv3D `conv`.*\(L \+ 1\)\^2"),
        ((2, 5, 5, 5, 4, None), "IrrepsConv3D `conv`.*known number of channels"),
        ((2, 6, 5, 5, 4, 2), "IrrepsConv3D `conv`.*O on 6 rows.*Use 5 or 7 voxels"),
        ((2, 5, 5, 1, 4, 2), "IrrepsConv3D `conv`.*at least 3 slices"),
    ],
)
def test_bad_shapes_name_the_layer(shape, message):
    with pytest.raises(ValueError, match=message):
        IrrepsConv3D(2, 1, 3, strides=2, name="conv").build(shape)


def test_degrees_that_no_kernel_reaches_are_refused():
    with pytest.raises(ValueError, match="`conv` has no kernel of 1 voxels.*degree 2.*degree=1"):
        IrrepsConv3D(2, 2, 1, name="conv").build((None, 3, 3, 3, 4, 2))
    with pytest.raises(ValueError, match="to degree 3. Use a larger `kernel_size`, or degree=2"):
        IrrepsConv3D(2, 3, 3).build((None, 3, 3, 3, 1, 2))


def test_batches_of_none_and_one_and_numbers_that_are_none():
    layer, x = IrrepsConv3D(2, 1, 3), noise(2, 4, 4, 4, 4, 3)
    both = layer(x)
    assert layer(x[:0]).shape == (0, 2, 2, 2, 4, 2)
    np.testing.assert_allclose(layer(x[:1]), both[:1], atol=1e-6)
    x[0, 0, 0, 0] = np.nan
    spoilt = np.isnan(np.array(layer(x)))
    assert spoilt[0, 0, 0, 0].all() and not spoilt[0, 1:].any() and not spoilt[1].any()


def test_training_keeps_the_symmetry():
    layer, x, target = IrrepsConv3D(2, 2, 3), noise(2, 3, 3, 3, 9, 2), noise(2, 1, 1, 1, 9, 2)
    layer.build(x.shape)
    optimizer = keras.optimizers.Adam(0.1)
    for _ in range(3):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((layer(x) - target) ** 2)
        gradients = tape.gradient(loss, layer.trainable_variables)
        assert all(np.any(np.array(gradient)) for gradient in gradients)
        optimizer.apply(gradients, layer.trainable_variables)
    assert_equivariant(layer, x, "O", on_irreps_of_voxels, on_irreps_of_voxels)
