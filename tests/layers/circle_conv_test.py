import keras
import numpy as np
import pytest

from benchmarks import angles
from sen_tf.groups import circle
from sen_tf.layers import CircleActivation, CircleConv2D, GatedActivation
from sen_tf.layers.plain import plain
from sen_tf.testing import assert_equivariant, randomize_weights
from tests.conformance_actions import on_circle, on_pixels
from tests.groups.circle_test import VECTORS, published_convention


def noise(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype("float32")


@pytest.mark.parametrize("case", ["SO2_irreps_k5", "O2_irreps_k5"])
def test_outputs_of_e2cnn(case):
    group = circle.get(case[: case.index("_")])
    table = circle.kernel_table(group, 5, 2, 2).astype("float64")
    convention, components = published_convention(group), table.shape[2]
    kernel, x, y = (VECTORS[f"{case}/{key}"] for key in ("kernel", "x", "y"))
    filters = len(kernel) // components
    kernel = kernel.reshape(filters, components, components, 25)
    kernel = np.einsum("ab,fbcp,dc->pdaf", convention, kernel, convention)
    span = table.transpose(1, 2, 3, 0).reshape(-1, len(table))
    weights, *_ = np.linalg.lstsq(span, kernel.reshape(len(span), filters), rcond=None)
    layer = CircleConv2D(group, filters, 5, frequencies=2)
    x = np.einsum("ab,nbij->nija", convention, x)[..., None].astype("float32")
    layer.build(x.shape)
    bias = VECTORS[f"{case}/bias"].reshape(filters, components)
    layer.set_weights([weights[:, None], bias[:, 0]])
    theirs = y.reshape(1, filters, components, 5, 5)
    theirs = np.einsum("ab,nfbij->nijaf", convention, theirs)
    np.testing.assert_allclose(layer(x), theirs, atol=2e-5 * np.abs(y).max())
    # Their bias of parts that are not trivial is zero, as ours, which has none.
    assert np.abs(bias[:, 1:]).max() == 0


def network(group, frequencies=2, filters=4, size=33):
    x = inputs = keras.Input((size, size, 2))
    for _ in range(2):
        x = CircleConv2D(group, filters, 5, frequencies, padding="same")(x)
        x = CircleActivation(group)(x)
    x = GatedActivation("relu", group)(CircleConv2D(group, filters, 3, frequencies)(x))
    return keras.Model(inputs, CircleConv2D(group, filters, 3, frequencies=1, strides=2)(x))


@pytest.mark.parametrize("name, part", [("SO2", "C4"), ("O2", "D4")])
def test_networks_commute_exactly_with_what_maps_pixels_to_pixels(name, part):
    model = network(name, size=13)
    randomize_weights(model)
    assert_equivariant(model, (2, 13, 13, 2), part, on_pixels, on_circle(name))


@pytest.mark.parametrize("name", ["SO2", "O2"])
def test_any_angle_is_as_near_as_sampling_allows(name):
    """Vectors, turned with their pixels by 20 degrees; the networks are new, the disc is inside."""
    size, angle, rng = angles.SIDE, 20, np.random.default_rng(1)
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    inside = np.hypot(x, y) < angles.RADIUS
    image = np.stack([angles.waves(rng) for _ in range(2)], axis=-1)
    pair = np.stack([image, angles.turned(image, angle)]).astype("float32")
    errors = []
    for seed in range(4):
        keras.utils.set_random_seed(seed)
        x = inputs = keras.Input((size, size, 2))
        for _ in range(2):
            x = CircleConv2D(name, 4, 5, frequencies=3, padding="same")(x)
            x = CircleActivation(name)(x)
        outputs = CircleConv2D(name, 4, 5, frequencies=1, padding="same")(x)
        upright, turned = np.array(keras.Model(inputs, outputs)(pair))
        expected = circle.get(name).matrix(1, np.deg2rad(angle)) @ angles.turned(upright, angle)
        errors.append(np.linalg.norm((turned - expected)[inside]) / np.linalg.norm(turned[inside]))
    assert np.median(errors) < 0.06


def test_the_trivial_part_alone_is_a_convolution_with_rings():
    layer = CircleConv2D("SO2", 1, 3, frequencies=0)
    layer(noise(1, 5, 5, 1))
    kernel = np.array(layer.expanded_kernel())[:, :, 0, 0]
    for moved in (np.rot90(kernel), kernel[:, ::-1]):
        np.testing.assert_array_equal(moved, kernel)


def test_new_layers_keep_the_variance_of_white_noise():
    layer = CircleConv2D("SO2", 64, 5, frequencies=3, kernel_initializer="lecun_normal")
    y = np.array(layer(noise(4, 16, 16, 7, 32)))
    for part in circle.get("SO2").parts(7):
        assert y[..., part, :].var() == pytest.approx(1, rel=0.1)


@pytest.mark.parametrize(
    "shape", [(None, 9, 9, 4, 2), (None, 9, 9, 0, 2), (None, 9, 9, None), (None, 9, 9)]
)
def test_bad_shapes_name_the_layer(shape):
    with pytest.raises(ValueError, match=r"CircleConv2D `conv` expected images.*1 \+ 2 K"):
        CircleConv2D("SO2", 2, 3, frequencies=1, name="conv").build(shape)


def test_bad_arguments_and_sizes_are_named():
    with pytest.raises(ValueError, match="'SO2' or 'O2'; received group='C4'"):
        CircleConv2D("C4", 2, 3, frequencies=1)
    with pytest.raises(ValueError, match="`frequencies`.*-1"):
        CircleConv2D("SO2", 2, 3, frequencies=-1)
    with pytest.raises(ValueError, match="CircleConv2D `conv` does not commute with C4 on 8 rows"):
        CircleConv2D("SO2", 2, 3, 1, 2, name="conv").build((None, 8, 9, 1))


def test_the_plain_form_is_a_convolution():
    model = network("O2", size=11)
    randomize_weights(model)
    written, images = plain(model), noise(2, 11, 11, 2)
    kinds = [type(layer).__name__ for layer in written.layers]
    assert kinds.count("Conv2D") == 4
    np.testing.assert_allclose(written(images), model(images), atol=1e-5)


def test_turned_splines_are_no_part_of_the_error():
    """The scale of the bounds above: an image turned there and back differs by less."""
    image = angles.waves(np.random.default_rng(1))
    y, x = np.mgrid[: angles.SIDE, : angles.SIDE] - angles.SIDE // 2
    inside = np.hypot(x, y) < angles.RADIUS
    back = angles.turned(angles.turned(image, 20), -20)
    assert np.linalg.norm((back - image)[inside]) < 0.01 * np.linalg.norm(image[inside])
