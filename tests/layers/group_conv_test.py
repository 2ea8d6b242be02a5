import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from sen_tf.groups import actions, get
from sen_tf.layers import (
    GroupConv2D,
    LiftingConv2D,
    ProjectionConv2D,
    SpatialPooling2D,
)
from sen_tf.testing import assert_equivariant, randomize_weights

LAYERS = (LiftingConv2D, GroupConv2D, ProjectionConv2D)


def on_pixels(x, group, g):
    return actions.rotate_grid(x, group, g, axes=(1, 2))


def image_shape(layer, rows, columns, channels=2):
    group = (layer.group.order,) if layer.regular_input else ()
    return (2, rows, columns, *group, channels)


def noise(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype("float32")


@pytest.mark.parametrize("group", ["C1", "C2", "C4", "D1", "D2", "D4"])
@pytest.mark.parametrize(
    "side, arguments",
    [
        (5, {"kernel_size": 3, "padding": "same"}),
        (6, {"kernel_size": 2}),
        (7, {"kernel_size": 3, "strides": 2, "padding": "same"}),
        (8, {"kernel_size": 4, "strides": 2}),
        (7, {"kernel_size": 3, "dilation_rate": 2}),
    ],
)
def test_group_conv_commutes_with_every_element(group, side, arguments):
    layer = GroupConv2D(group, 3, **arguments)
    layer.build(image_shape(layer, side, side))
    randomize_weights(layer)
    act = actions.act_on_regular_image
    assert_equivariant(layer, image_shape(layer, side, side), group, act, act)


@pytest.mark.parametrize("group", ["C4", "D1", "D4"])
@pytest.mark.parametrize(
    "rows, columns, arguments",
    [
        (5, 7, {"kernel_size": 3, "padding": "same"}),
        (7, 7, {"kernel_size": 3, "strides": 2, "padding": "same"}),
        (8, 6, {"kernel_size": 4, "strides": 2}),
        (7, 9, {"kernel_size": 3, "dilation_rate": 2, "padding": "same"}),
        (4, 4, {"kernel_size": 1, "strides": 3, "padding": "same"}),
    ],
)
def test_both_forms_agree_and_so_do_their_gradients(group, rows, columns, arguments, monkeypatch):

    layer = GroupConv2D(group, 3, **arguments)
    x = tf.constant(noise(*image_shape(layer, rows, columns)))
    taken = []
    for width in (1, 1000):
        monkeypatch.setattr("sen_tf.layers.block_diagonal.BLOCK_DIAGONAL_FROM", width)
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x)
            loss = tf.reduce_sum(y * noise(*y.shape))
        taken.append([y, *tape.gradient(loss, [x, *layer.trainable_variables])])
    for ours, theirs in zip(*taken, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6 * np.abs(theirs).max(), rtol=1e-5)


@pytest.mark.parametrize("group", ["C4", "D4"])
def test_rectangles_turn_into_upright_rectangles(group):
    layer = GroupConv2D(group, 3, kernel_size=3, strides=2)
    act = actions.act_on_regular_image
    assert_equivariant(layer, image_shape(layer, 9, 7), group, act, act)


@pytest.mark.parametrize("group", ["C4", "D4"])
def test_formulas(group):
    """Each layer against the sum over group elements in its definition."""
    group = get(group)
    k, x, f = noise(3, 3, 2, 4), noise(2, 5, 5, 2), noise(2, 5, 5, group.order, 2)
    kernels = noise(3, 3, group.order, 2, 4)

    def conv(x, kernel):
        return np.array(
            keras.ops.conv(x, np.ascontiguousarray(kernel), data_format="channels_last")
        )

    def turned(kernel, g):
        return actions.rotate_grid(kernel, group, g, axes=(0, 1))

    expected = {
        LiftingConv2D: (x, k, [conv(x, turned(k, g)) for g in group.elements]),
        GroupConv2D: (
            f,
            kernels,
            [
                sum(
                    conv(
                        f[:, :, :, h], turned(kernels, g)[:, :, group.product[group.inverse[g], h]]
                    )
                    for h in group.elements
                )
                for g in group.elements
            ],
        ),
        ProjectionConv2D: (
            f,
            k,
            sum(conv(f[:, :, :, h], turned(k, h)) for h in group.elements),
        ),
    }
    for make, (inputs, kernel, outputs) in expected.items():
        layer = make(group, 4, kernel_size=3, use_bias=False)
        layer.build(inputs.shape)
        layer.set_weights([kernel])
        if make is not ProjectionConv2D:
            outputs = np.stack(outputs, axis=3)
        np.testing.assert_allclose(layer(inputs), outputs, atol=1e-4)


@pytest.mark.parametrize("make", LAYERS)
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_stride_2_is_refused_on_8_and_exact_on_7(make, padding):
    layer = make("C4", 2, kernel_size=3, strides=2, padding=padding, name="down")
    with pytest.raises(ValueError, match=rf"{make.__name__} `down`.*C4.* 8 .*Use 7 or 9 pixels"):
        layer.build(image_shape(layer, 8, 8))
    act_in = actions.act_on_regular_image if layer.regular_input else on_pixels
    act_out = actions.act_on_regular_image if layer.regular_output else on_pixels
    assert_equivariant(layer, image_shape(layer, 7, 7), "C4", act_in, act_out)
    with pytest.raises(ValueError, match="Use 7 or 9 pixels"):
        layer(noise(*image_shape(layer, 8, 8)))


def test_what_is_refused_would_be_far_off():
    """The unchecked convolution on 8 x 8 misses by about its own size."""
    layer = GroupConv2D("C4", 2, kernel_size=3, strides=2, padding="same")
    layer.build((None, 7, 7, 4, 2))
    act = actions.act_on_regular_image
    with pytest.raises(AssertionError) as error:
        assert_equivariant(layer._convolve, (2, 8, 8, 4, 2), "C4", act, act)
    assert float(re.search(r"relative error ([.0-9]+)", str(error.value))[1]) > 0.5


def test_an_even_kernel_with_same_padding_is_refused():
    layer = LiftingConv2D("C4", 2, kernel_size=4, padding="same")
    with pytest.raises(ValueError, match="odd.*padding='valid'"):
        layer.build((None, 8, 8, 3))


def test_a_mirror_leaves_rows_alone():
    layer = LiftingConv2D("D1", 2, kernel_size=3, strides=2)
    layer.build((None, 8, 7, 3))
    assert_equivariant(layer, (2, 8, 7, 3), "D1", on_pixels, actions.act_on_regular_image)
    with pytest.raises(ValueError, match="7 columns|8 columns"):
        LiftingConv2D("D1", 2, kernel_size=3, strides=2).build((None, 7, 8, 3))


def test_without_a_symmetry_every_size_will_do():
    assert GroupConv2D("C1", 2, kernel_size=2, strides=3, padding="same")(
        noise(2, 8, 8, 1, 3)
    ).shape


SIZES = {
    "size": st.integers(1, 20),
    "kernel": st.integers(1, 6),
    "stride": st.integers(1, 5),
    "dilation": st.integers(1, 3),
    "padding": st.sampled_from(["same", "valid"]),
    "group": st.sampled_from(["C2", "C4", "D1", "D2", "D4"]),
}


@settings(max_examples=60)
@given(**SIZES)
def test_the_fix_that_the_message_names_works(size, kernel, stride, dilation, padding, group):
    dilation = 1 if stride > 1 else dilation

    def build(size, kernel_size=kernel, padding=padding):
        arguments = {"strides": stride, "dilation_rate": dilation, "padding": padding}
        layer = LiftingConv2D(group, 1, kernel_size, **arguments)
        layer.build((None, size, size, 1))
        return layer

    try:
        layer = build(size)
    except ValueError as error:
        message = str(error)
    else:
        randomize_weights(layer)
        image = noise(1, size, size, 1)
        assert_equivariant(layer, image, group, on_pixels, actions.act_on_regular_image)
        return
    if "at least" in message:
        window = int(re.search("at least ([0-9]+) rows", message)[1])
        assert size < window == (kernel - 1) * dilation + 1
        return
    fix = message.split(". ")[-1]
    sizes = re.findall(r"\d+", fix)
    assert sizes or "odd" in fix
    for other in map(int, sizes):
        assert build(other).compute_output_shape((None, other, other, 1))[1] >= 1
    if not sizes:
        build(size, kernel_size=kernel + 1)
    if "'valid'" in fix:
        build(size, padding="valid")


@pytest.mark.parametrize("make", LAYERS)
@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"kernel_size": 0}, "`kernel_size`.* 0"),
        ({"kernel_size": (3, 5)}, r"`kernel_size`.*square.*\(3, 5\)"),
        ({"kernel_size": (3, 3, 3)}, r"`kernel_size`.*square.*\(3, 3, 3\)"),
        ({"data_format": "channels_first"}, "`data_format`.*'channels_last'.*'channels_first'"),
        ({"strides": 1.5}, "`strides`.*1.5"),
        ({"dilation_rate": True}, "`dilation_rate`.*True"),
        ({"padding": "full"}, "`padding`.*'valid' or 'same'.*'full'"),
        ({"strides": 2, "dilation_rate": 2}, "`strides`.*`dilation_rate`"),
        ({"filters": 0}, "`filters`.*0"),
        ({"filters": 2.0}, "`filters`.*2.0"),
        ({"group": "c4"}, "`group`.*'c4'.*'C4'"),
    ],
)
def test_bad_arguments_are_named(make, arguments, message):
    with pytest.raises(ValueError, match=message):
        make(**{"group": "C4", "filters": 2, "kernel_size": 3, **arguments})


@pytest.mark.parametrize(
    "make, shape, message",
    [
        (
            LiftingConv2D,
            (2, 5, 5, 4, 3),
            r"LiftingConv2D `conv`.*\(batch, rows, .*\(2, 5, 5, 4, 3\)",
        ),
        (LiftingConv2D, (2, 5, 5, None), "LiftingConv2D `conv`"),
        (GroupConv2D, (2, 5, 5, 3), "GroupConv2D `conv`.*rank 5"),
        (GroupConv2D, (2, 5, 5, 8, 3), "GroupConv2D `conv`.*4, channels.*group axis of C4"),
        (ProjectionConv2D, (2, 5, 5, 4, None), "ProjectionConv2D `conv`.*known channel number"),
    ],
)
def test_bad_shapes_name_the_layer(make, shape, message):
    with pytest.raises(ValueError, match=message):
        make("C4", 2, 3, name="conv").build(shape)


def test_an_image_smaller_than_the_kernel_is_refused():
    with pytest.raises(ValueError, match="LiftingConv2D `conv`.*at least 5 rows.*received 3"):
        LiftingConv2D("C4", 2, 5, strides=2, name="conv")(noise(2, 3, 3, 1))


def test_sizes_may_be_unknown_until_the_call():
    image = keras.Input((None, None, 2))
    x = LiftingConv2D("C4", 3, 3, strides=2)(image)
    x = GroupConv2D("C4", 4, 3, padding="same")(x)
    x = SpatialPooling2D("C4", 3, 2)(x)
    x = ProjectionConv2D("C4", 5, 1)(x)
    assert x.shape == (None, None, None, 5)
    model = keras.Model(image, x)
    assert model(noise(2, 11, 15, 2)).shape == (2, 2, 3, 5)
    assert_equivariant(model, noise(2, 11, 15, 2), "C4", on_pixels, on_pixels)
    with pytest.raises(ValueError, match="not placed symmetrically"):
        model(noise(2, 12, 12, 2))


FANS = [
    (LiftingConv2D, (None, 9, 9, 96), 9 * 96, 9 * 4 * 32),
    (GroupConv2D, (None, 9, 9, 4, 48), 9 * 4 * 48, 9 * 4 * 32),
    (ProjectionConv2D, (None, 9, 9, 4, 96), 9 * 4 * 96, 9 * 32),
]


@pytest.mark.parametrize("make, shape, fan_in, fan_out", FANS)
@pytest.mark.parametrize("distribution", ["normal", "uniform"])
def test_initializers_see_fans_that_count_the_group(make, shape, fan_in, fan_out, distribution):
    variances = {"glorot": 2 / (fan_in + fan_out), "he": 2 / fan_in, "lecun": 1 / fan_in}
    for scheme, variance in variances.items():
        layer = make("C4", 32, 3, kernel_initializer=f"{scheme}_{distribution}")
        layer.build(shape)
        kernel = np.array(layer.kernel)
        assert kernel.std() == pytest.approx(np.sqrt(variance), rel=0.03)
        assert abs(kernel.mean()) < 0.03 * kernel.std()


def test_he_initialization_keeps_the_scale_through_a_relu():
    keras.utils.set_random_seed(0)
    x = np.maximum(noise(8, 9, 9, 8, 16), 0)
    layer = GroupConv2D("D4", 64, 3, kernel_initializer="he_normal")
    y = np.array(layer(x))
    assert np.mean(np.maximum(y, 0) ** 2) == pytest.approx(np.mean(x**2), rel=0.2)


@pytest.mark.parametrize("make", LAYERS)
def test_arguments_of_keras_are_honoured(make):
    layer = make(
        "C4",
        3,
        3,
        activation="relu",
        bias_initializer=keras.initializers.Constant(0.5),
        kernel_regularizer=keras.regularizers.L2(0.1),
        bias_regularizer=keras.regularizers.L1(0.1),
        activity_regularizer=keras.regularizers.L1(0.01),
        kernel_constraint="non_neg",
        bias_constraint=keras.constraints.MaxNorm(0.1),
    )
    x = noise(*image_shape(layer, 5, 5))
    y = np.array(layer(x))
    plain = make("C4", 3, 3, use_bias=False)
    plain.build(x.shape)
    plain.set_weights([layer.kernel])
    np.testing.assert_allclose(y, np.maximum(np.array(plain(x)) + 0.5, 0), atol=1e-5)
    assert len(plain.weights) == 1
    activity, *weights = [float(loss) for loss in layer.losses]
    assert activity == pytest.approx(0.01 * np.abs(y).sum() / len(y), rel=1e-5)
    kernel, bias = map(np.array, layer.get_weights())
    assert sorted(weights) == pytest.approx(
        sorted([0.1 * (kernel**2).sum(), 0.1 * np.abs(bias).sum()]), rel=1e-5
    )
    optimizer = keras.optimizers.SGD(1e-3)
    optimizer.apply(
        [keras.ops.ones_like(w) for w in layer.trainable_variables], layer.trainable_variables
    )
    assert np.array(layer.kernel).min() == 0
    assert np.linalg.norm(layer.bias) == pytest.approx(0.1, rel=1e-3)
