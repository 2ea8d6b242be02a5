"""Group convolutions with kernels of circular harmonics, for any C_n and D_n."""

import pathlib

import keras
import numpy as np
import pytest

from benchmarks import angles
from sen_tf.groups import actions, get, harmonics
from sen_tf.layers import GroupConv2D, GroupPooling, LiftingConv2D, ProjectionConv2D
from sen_tf.layers.plain import plain
from sen_tf.testing import randomize_weights

LAYERS = (LiftingConv2D, GroupConv2D, ProjectionConv2D)
VECTORS = np.load(pathlib.Path(__file__).parents[1] / "parity" / "ix_e2cnn_steerable.npz")


def noise(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype("float32")


def turned_image(x, group, g):
    return actions.rotate_grid(x, group, g, axes=(1, 2))


@pytest.mark.parametrize("name", ["C3", "C6", "C8", "D3", "D6", "D8", "D4"])
@pytest.mark.parametrize("padding, size", [("same", 5), ("valid", 4), ("valid", 2)])
def test_elements_of_the_grid_commute_exactly(name, padding, size):
    """Through lifting, a convolution, and projection or pooling; of D4 the basis is asked for."""
    group = get(name)
    basis = {"basis": "harmonics", "padding": padding}
    x = inputs = keras.Input((11, 11, 2))
    x = LiftingConv2D(group, 3, size, activation="relu", **basis)(x)
    x = GroupConv2D(group, 3, size, activation="tanh", **basis)(x)
    outputs = [x, ProjectionConv2D(group, 2, size, **basis)(x), GroupPooling()(x)]
    model = keras.Model(inputs, outputs)
    randomize_weights(model)
    images = noise(2, 11, 11, 2)
    regular, projected, pooled = map(np.array, model(images))
    assert len(actions.grid_elements(group)) == {"C3": 1, "C8": 4, "D3": 2, "D8": 8}.get(
        name, {"C6": 2, "D6": 4, "D4": 8}.get(name)
    )
    for g in actions.grid_elements(group):
        found = map(np.array, model(turned_image(images, group, g)))
        expected = [actions.act_on_regular_image(regular, group, g)]
        expected += [turned_image(each, group, g) for each in (projected, pooled)]
        for y, reference in zip(found, expected, strict=True):
            np.testing.assert_allclose(y, reference, atol=2e-5 * np.abs(reference).max())


@pytest.mark.parametrize("name", ["C5", "D3", "C8"])
def test_formulas(name):
    """Each layer against the sum over group elements in its definition, of turned functions."""
    group = get(name)
    functions = harmonics.turned(group, 3)

    def conv(x, kernel):
        return np.array(keras.ops.conv(x, kernel, data_format="channels_last"))

    def turned(weights, g):  # (functions, channels, filters) to (3, 3, channels, filters)
        return np.einsum("pq,qcf->pcf", functions[g], weights).reshape(3, 3, *weights.shape[1:])

    def set_up(layer, shape):
        layer.build(shape)
        randomize_weights(layer)
        return np.array(layer.kernel), np.array(layer.bias)

    x, f = noise(2, 5, 5, 2), noise(2, 5, 5, group.order, 2)
    lifting, convolution, projection = (make(group, 4, 3) for make in LAYERS)
    weights, bias = set_up(lifting, x.shape)
    expected = [conv(x, turned(weights, g)) + bias for g in group.elements]
    np.testing.assert_allclose(lifting(x), np.stack(expected, axis=3), atol=1e-5)
    weights, bias = set_up(convolution, f.shape)
    relative = group.product[group.inverse]
    expected = [
        sum(conv(f[:, :, :, h], turned(weights[:, relative[g, h]], g)) for h in group.elements)
        for g in group.elements
    ]
    np.testing.assert_allclose(convolution(f), np.stack(expected, axis=3) + bias, atol=1e-5)
    weights, bias = set_up(projection, f.shape)
    expected = sum(conv(f[:, :, :, h], turned(weights, h)) for h in group.elements)
    np.testing.assert_allclose(projection(f), expected + bias, atol=1e-5)


PUBLISHED = {
    "C4_reg_k3": ("C4", GroupConv2D, 24),
    "C8_lift_k5": ("C8", LiftingConv2D, 11),
    "C8_reg_k5": ("C8", GroupConv2D, 88),
    "D8_reg_k3": ("D8", GroupConv2D, 96),
}


@pytest.mark.parametrize("case", PUBLISHED)
def test_kernels_of_e2cnn_are_kernels_of_ours(case):
    """Theirs lie in our span, and with the weights so found the outputs agree."""
    name, make, dimension = PUBLISHED[case]
    order = get(name).order
    copies = 1 if make is LiftingConv2D else order
    published = {key: VECTORS[f"{case}/{key}"] for key in ("kernel", "x", "y", "bias", "dimension")}
    outputs, inputs, size, _ = published["kernel"].shape
    filters, channels = outputs // order, inputs // copies
    single = make(name, 1, size, basis="harmonics")
    single.build((None, 9, 9, *[order] * (copies > 1), 1))
    count = single.kernel.shape[:-2]
    units = np.eye(np.prod(count), dtype="float32").reshape(-1, *count, 1, 1)
    span = np.stack([np.array(single.expand(unit)).ravel() for unit in units], axis=1)
    assert span.shape[1] == np.linalg.matrix_rank(span) == dimension == published["dimension"]
    # Theirs have the field first: (filters, |G|, channels, |G| or 1, rows, columns).
    theirs = published["kernel"].reshape(filters, order, channels, copies, size, size)
    theirs = theirs.transpose(4, 5, 3, 1, 2, 0).reshape(-1, channels * filters)
    weights, *_ = np.linalg.lstsq(span.astype("float64"), theirs, rcond=None)
    assert np.linalg.norm(span @ weights - theirs) < 1e-6 * np.linalg.norm(theirs)
    layer = make(name, filters, size, basis="harmonics")
    x = published["x"].transpose(0, 2, 3, 1)
    if copies > 1:
        x = x.reshape(*x.shape[:3], channels, copies).swapaxes(3, 4)
    layer.build(x.shape)
    bias = published["bias"].reshape(filters, order)[:, 0]
    layer.set_weights([weights.reshape(*count, channels, filters), bias])
    y = np.array(layer(x)).swapaxes(3, 4).reshape(1, 5, 5, -1).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(y, published["y"], atol=2e-5 * np.abs(published["y"]).max())


@pytest.mark.parametrize("name, degrees, bound", [("C8", 45, 0.1), ("C12", 30, 0.1)])
def test_other_angles_are_as_near_as_sampling_allows(name, degrees, bound):
    """Three layers; a network of kernels that cannot be turned is off by more than 0.3."""
    image, errors = angles.waves(np.random.default_rng(1)), {}
    for group in (name, "C4"):
        found = []
        for seed in range(4):
            keras.utils.set_random_seed(seed)
            model = keras.Sequential(
                [
                    LiftingConv2D(group, 4, 5, padding="same", activation="relu"),
                    GroupConv2D(group, 4, 5, padding="same", activation="relu"),
                    GroupConv2D(group, 4, 5, padding="same"),
                    GroupPooling("mean"),
                ]
            )

            def of_images(images, model=model):
                return np.array(model(images[..., None]))

            found.append(angles.error(of_images, image, degrees))
        errors[group] = np.median(found)
    assert errors[name] < bound and errors["C4"] > 0.3


def test_pixels_are_the_default_where_the_group_has_them():
    for name, shape in (("C4", (3, 3, 4, 2, 5)), ("D4", (3, 3, 8, 2, 5)), ("C8", (6, 8, 2, 5))):
        layer = GroupConv2D(name, 5, 3)
        layer.build((None, 9, 9, get(name).order, 2))
        assert layer.kernel.shape == shape
    layer = GroupConv2D("C4", 5, 5, basis="harmonics", frequencies=1)
    layer.build((None, 9, 9, 4, 2))
    assert layer.kernel.shape == (7, 4, 2, 5)


@pytest.mark.parametrize("make", LAYERS)
@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"group": "C8", "basis": "pixels"}, "C1, C2, C4, D1, D2, D4.*group=C8.*basis='harmonics'"),
        ({"group": "O"}, "cyclic or dihedral.*group=O"),
        ({"group": "C4", "basis": "wavelets"}, "'auto' or 'pixels' or 'harmonics'.*'wavelets'"),
        ({"group": "C4", "frequencies": 1}, "`frequencies` to be None for a kernel of pixels"),
        ({"group": "C8", "frequencies": -1}, "`frequencies`.*at least 0.*-1"),
    ],
)
def test_bad_arguments_are_named(make, arguments, message):
    with pytest.raises(ValueError, match=message):
        make(**{"filters": 2, "kernel_size": 3, **arguments})


@pytest.mark.parametrize("refused", ["C3", "C6", "C8", "D3"])
def test_sizes_are_checked_for_turns_by_any_angle(refused):
    for shape, what in (((9, 8), "columns"), ((8, 9), "rows")):
        with pytest.raises(ValueError, match=f"does not commute with {refused} on 8 {what}"):
            LiftingConv2D(refused, 2, 3, strides=2).build((None, *shape, 1))


def test_turns_survive_bfloat16():
    """Turned kernels are sums in float32: in bfloat16 elements would differ by 4e-3 each."""
    layer = LiftingConv2D("C8", 64, 5, dtype="bfloat16")
    layer.build((None, 9, 9, 1))
    kernel = np.array(keras.ops.cast(layer.expanded_kernel(), "float32")).reshape(25, 8, 64)
    weights = np.array(keras.ops.cast(layer.kernel, "float32"))[:, 0]
    exact = np.einsum("gpq,qf->pgf", harmonics.turned(get("C8"), 5), weights)
    rounded = np.array(keras.ops.cast(keras.ops.cast(exact, "bfloat16"), "float32"))
    np.testing.assert_array_equal(kernel, rounded)


def test_the_plain_form_is_one_convolution():
    inputs = keras.Input((9, 9, 2))
    model = keras.Model(inputs, GroupConv2D("D3", 3, 3)(LiftingConv2D("D3", 4, 3)(inputs)))
    written, images = plain(model), noise(2, 9, 9, 2)
    kinds = [type(layer).__name__ for layer in written.layers]
    assert kinds.count("Conv2D") == 2
    np.testing.assert_allclose(written(images), model(images), atol=1e-5)
