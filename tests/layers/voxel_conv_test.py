import keras
import numpy as np
import pytest
import tensorflow as tf

from sen_tf import layers
from sen_tf.groups import actions, get, kernels, octahedral, representations
from sen_tf.layers import GroupConv2D, GroupConv3D, LiftingConv3D, ProjectionConv3D
from sen_tf.testing import assert_equivariant, randomize_weights
from tests.conformance_actions import on_parts, on_voxels

LAYERS = (LiftingConv3D, GroupConv3D, ProjectionConv3D)
ABOUT_X = octahedral.generated(octahedral.turn("x"))


def noise(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype("float32")


def volume_shape(layer, *sides, channels=2):
    parts = representations.get(layer.field, layer.group).dimension
    axis = (parts,) if layer.has_input_axis else ()
    return (2, *sides, *axis, channels)


def naive_conv(x, kernel):
    """The cross-correlation of (batch, rows, columns, slices, channels), without padding."""
    windows = np.lib.stride_tricks.sliding_window_view(x, kernel.shape[:3], axis=(1, 2, 3))
    return np.einsum("brstcxyz,xyzcf->brstf", windows, kernel)


@pytest.mark.parametrize("group, size", [("C4", 3), ("D4", 2), ("O", 2), (ABOUT_X, 3)])
def test_formulas(group, size):
    """Each layer on functions on the group against the sum in its definition, in NumPy."""
    group = get(group)
    k, x, f = noise(size, size, size, 2, 3), noise(2, 3, 4, 5, 2), noise(2, 3, 4, 5, group.order, 2)
    kernels = noise(size, size, size, group.order, 2, 3)

    def turned(kernel, g):
        return actions.rotate_voxels(kernel, group, g, axes=(0, 1, 2))

    def between(g):
        return sum(
            naive_conv(
                f[..., h, :], turned(kernels[:, :, :, group.product[group.inverse[g], h]], g)
            )
            for h in group.elements
        )

    expected = {
        LiftingConv3D: (x, k, [naive_conv(x, turned(k, g)) for g in group.elements]),
        GroupConv3D: (f, kernels, [between(g) for g in group.elements]),
        ProjectionConv3D: (
            f,
            k,
            sum(naive_conv(f[..., h, :], turned(k, h)) for h in group.elements),
        ),
    }
    for make, (inputs, kernel, outputs) in expected.items():
        layer = make(group, 3, size, field="regular", use_bias=False)
        layer.build(inputs.shape)
        learnt = kernel.reshape(-1, 2, 3)
        if make is ProjectionConv3D:  # its orbits are numbered by the entries (p, h)
            table = layer._table[..., 0, 0]
            learnt = np.empty_like(learnt)
            learnt[table.reshape(-1)] = kernel.reshape(-1, 2, 3)
        layer.set_weights([learnt])
        if make is not ProjectionConv3D:
            outputs = np.stack(outputs, axis=4)
        np.testing.assert_allclose(layer(inputs), outputs, atol=1e-4)


def test_slices_are_images_for_groups_about_the_z_axis():
    """A kernel of one voxel does on every slice what one of one pixel does on an image."""
    x = noise(2, 3, 4, 5, 8, 2)
    volumes, images = GroupConv3D("D4", 3, 1, field="regular"), GroupConv2D("D4", 3, 1)
    volumes.build(x.shape)
    images.build((None, 3, 4, 8, 2))
    kernel = noise(8, 2, 3)
    volumes.set_weights([kernel, np.ones(3)])
    images.set_weights([kernel[None, None], np.ones(3)])
    expected = np.stack([images(x[:, :, :, z]) for z in range(5)], axis=3)
    np.testing.assert_allclose(volumes(x), expected, atol=1e-5)


FACES = {"x": 0, "-x": 1, "y": 2, "-y": 3, "z": 4, "-z": 5}


def test_a_derivative_towards_each_face():
    """One number before the face and its opposite behind it: six derivatives of a volume."""
    layer = LiftingConv3D("O", 1, 3, use_bias=False)
    layer.build((None, 5, 5, 5, 1))
    kernel = np.zeros(layer.kernel.shape)
    before, behind = layer._table[1, 2, 1, 0, 0], layer._table[1, 0, 1, 0, 0]  # seen from face x
    kernel[before], kernel[behind] = 1, -1
    layer.set_weights([kernel])
    y, x, z = np.meshgrid(np.arange(5)[::-1], np.arange(5), np.arange(5), indexing="ij")
    outputs = np.array(layer((x + 10 * y + 100 * z)[None, ..., None].astype("float32")))
    np.testing.assert_array_equal(outputs[0, 1, 1, 1, :, 0], [2, -2, 20, -20, 200, -200])
    assert outputs.shape == (1, 3, 3, 3, 6, 1) and np.ptp(outputs, axis=(1, 2, 3)).max() == 0


def test_opposite_faces_can_be_exchanged():
    """A kernel of one voxel has three numbers: a face itself, its opposite, and the four others."""
    layer = GroupConv3D("Oh", 1, 1, use_bias=False)
    x = noise(1, 2, 2, 2, 6, 1)
    layer.build(x.shape)
    itself, opposite, side = (layer._table[0, 0, 0, i, FACES["x"]] for i in (0, 1, 4))
    assert sorted([itself, opposite, side]) == [0, 1, 2]
    kernel = np.zeros((3, 1, 1))
    kernel[opposite] = 2
    kernel[side] = 10
    layer.set_weights([kernel])
    swapped = x[..., [1, 0, 3, 2, 5, 4], :]
    expected = 2 * swapped + 10 * (x.sum(axis=-2, keepdims=True) - x - swapped)
    np.testing.assert_allclose(layer(x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("group", ["O", "Oh", ABOUT_X])
@pytest.mark.parametrize("make", LAYERS)
def test_boxes_turn_into_upright_boxes(group, make):
    layer = make(group, 3, kernel_size=3, strides=2)
    act_in = on_parts("faces") if layer.has_input_axis else on_voxels
    act_out = on_parts("faces") if layer.has_output_axis else on_voxels
    assert_equivariant(layer, volume_shape(layer, 5, 7, 3), group, act_in, act_out)


def test_a_network_gives_the_same_score_to_a_turned_volume():
    volume = keras.Input((7, 7, 7, 1))
    x = LiftingConv3D("Oh", 4, 3, strides=2)(volume)
    x = keras.layers.ReLU()(layers.FieldBatchNormalization()(x))
    x = GroupConv3D("Oh", 4, 3, field="corners", input_field="faces", activation="relu")(x)
    x = keras.layers.GlobalAveragePooling3D()(layers.GroupPooling()(x))
    model = keras.Model(volume, keras.layers.Dense(3)(x))
    randomize_weights(model)
    assert_equivariant(model, noise(2, 7, 7, 7, 1), "Oh", on_voxels, lambda y, group, g: y)


@pytest.mark.parametrize("make", LAYERS)
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_stride_2_is_refused_on_8_voxels(make, padding):
    layer = make("O", 2, kernel_size=3, strides=2, padding=padding, name="down")
    message = rf"{make.__name__} `down`.* O on 8 slices: .*3 voxels.*Use 7 or 9 voxels"
    with pytest.raises(ValueError, match=message):
        layer.build(volume_shape(layer, 7, 7, 8))
    layer.build(volume_shape(layer, 7, 7, 7))
    with pytest.raises(ValueError, match="on 8 rows.*Use 7 or 9 voxels"):
        layer(noise(*volume_shape(layer, 8, 7, 7)))
    with pytest.raises(ValueError, match="`down` expected at least 3 columns|7 or 9|1 or 3"):
        layer(noise(*volume_shape(layer, 7, 2, 7)))


def test_axes_that_the_group_leaves_alone_may_have_any_size():
    layer = LiftingConv3D("C4", 2, kernel_size=3, strides=2, field="regular")
    assert_equivariant(layer, (2, 5, 5, 8, 2), "C4", on_voxels, actions.act_on_regular_volume)
    with pytest.raises(ValueError, match="C4 on 8 rows"):
        LiftingConv3D("C4", 2, kernel_size=3, strides=2).build((2, 8, 5, 5, 2))


def test_what_is_refused_would_be_far_off():
    layer = GroupConv3D("O", 2, kernel_size=3, strides=2)
    layer.build((None, 5, 5, 5, 6, 2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sen_tf.layers.windowed.symmetric_grid", lambda layer, x, *grid, axes: x)
        with pytest.raises(AssertionError, match=r"relative error (0\.[5-9]|[1-9])"):
            assert_equivariant(layer, (2, 6, 6, 6, 6, 2), "O", on_parts("faces"), on_parts("faces"))


@pytest.mark.parametrize("make", LAYERS)
@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"kernel_size": 0}, "`kernel_size`.* 0"),
        ({"kernel_size": (3, 3, 5)}, r"`kernel_size`.*cubes.*\(3, 3, 5\)"),
        ({"kernel_size": (3, 3)}, r"`kernel_size`.*cubes.*\(3, 3\)"),
        ({"strides": 1.5}, "`strides`.*1.5"),
        ({"dilation_rate": True}, "`dilation_rate`.*True"),
        ({"strides": 2, "dilation_rate": 2}, "`strides`.*`dilation_rate`"),
        ({"padding": "full"}, "`padding`.*'valid' or 'same'.*'full'"),
        ({"data_format": "channels_first"}, "`data_format`.*'channels_last'"),
        ({"filters": 0}, "`filters`.*0"),
        ({"group": "C3"}, "`group`.*C1, C2, C4, D1, D2, D4, T, O and Oh.*C3"),
        ({"group": "o"}, "`group`.*'o'.*'O'"),
        ({"field": "standard"}, "`field`.*'faces'.*field='standard'.*exchange basis vectors"),
        ({"field": "edges"}, "`field`.*field='edges'.*faces"),
        ({"field": "quotient(0,9)"}, "`field`.*subgroup of O"),
        ({"field": representations.get("faces", "O")}, "`field`.*no name"),
    ],
)
def test_bad_arguments_are_named(make, arguments, message):
    with pytest.raises(ValueError, match=message):
        make(**{"group": "O", "filters": 2, "kernel_size": 3, **arguments})


def test_a_bad_input_field_is_named():
    with pytest.raises(ValueError, match="`input_field`.*input_field='standard'"):
        GroupConv3D("O", 2, 3, input_field="standard")


@pytest.mark.parametrize(
    "make, shape, message",
    [
        (LiftingConv3D, (2, 5, 5, 3), r"LiftingConv3D `conv`.*slices, channels\).*\(2, 5, 5, 3\)"),
        (LiftingConv3D, (2, 5, 5, 5, 6, 3), r"LiftingConv3D `conv`.*\(2, 5, 5, 5, 6, 3\)"),
        (LiftingConv3D, (2, 5, 5, 5, None), "LiftingConv3D `conv`"),
        (GroupConv3D, (2, 5, 5, 5, 3), r"slices, 6, channels\), for faces of O has 6 parts"),
        (GroupConv3D, (2, 5, 5, 5, 24, 3), "GroupConv3D `conv`.*for faces of O has 6 parts.* 24"),
        (ProjectionConv3D, (2, 5, 5, 5, 6, None), "ProjectionConv3D `conv`.*None"),
        (ProjectionConv3D, (2, 5, 5, 6, 2), "ProjectionConv3D `conv`"),
    ],
)
def test_bad_shapes_name_the_layer(make, shape, message):
    with pytest.raises(ValueError, match=message):
        make("O", 2, 3, name="conv").build(shape)


def test_the_input_may_have_another_field():
    layer = GroupConv3D("O", 2, 3, field="corners", input_field="regular", name="conv")
    with pytest.raises(ValueError, match="`conv`.*for regular of O has 24 parts"):
        layer.build((2, 5, 5, 5, 8, 3))
    assert layer(noise(1, 5, 5, 5, 24, 3)).shape == (1, 3, 3, 3, 8, 2)


def test_sizes_may_be_unknown_until_the_call():
    volume = keras.Input((None, None, None, 2))
    x = LiftingConv3D("O", 3, 3, strides=2)(volume)
    x = GroupConv3D("O", 4, 3, padding="same")(x)
    x = ProjectionConv3D("O", 5, 1)(x)
    assert x.shape == (None, None, None, None, 5)
    model = keras.Model(volume, x)
    assert_equivariant(model, noise(2, 5, 7, 9, 2), "O", on_voxels, on_voxels)
    with pytest.raises(ValueError, match="not placed symmetrically"):
        model(noise(2, 7, 7, 8, 2))


@pytest.mark.parametrize("make", LAYERS)
def test_batches_of_none_and_one(make):
    layer = make("O", 2, 3)
    shape = volume_shape(layer, 4, 4, 4)
    both = layer(noise(*shape))
    assert layer(np.zeros((0, *shape[1:]), "float32")).shape == (0, *both.shape[1:])
    np.testing.assert_allclose(layer(noise(*shape)[:1]), both[:1], atol=1e-6)


def test_a_voxel_that_is_no_number_spoils_the_windows_that_see_it():
    x = noise(1, 5, 5, 5, 6, 2)
    x[0, 0, 0, 0] = np.nan
    y = np.array(GroupConv3D("O", 2, 3)(x))
    assert np.isnan(y[0, 0, 0, 0]).all() and np.isfinite(y[0, 1:]).all()


FANS = [
    (LiftingConv3D, {}, (None, 3, 3, 3, 96), 27 * 96, 27 * 6 * 32),
    (GroupConv3D, {}, (None, 3, 3, 3, 6, 32), 27 * 6 * 32, 27 * 6 * 32),
    (GroupConv3D, {"input_field": "corners"}, (None, 3, 3, 3, 8, 32), 27 * 8 * 32, 27 * 6 * 32),
    (ProjectionConv3D, {}, (None, 3, 3, 3, 6, 96), 27 * 6 * 96, 27 * 32),
]


@pytest.mark.parametrize("make, arguments, shape, fan_in, fan_out", FANS)
def test_initializers_see_the_fans_of_the_convolution(make, arguments, shape, fan_in, fan_out):
    variances = {"glorot": 2 / (fan_in + fan_out), "he": 2 / fan_in}
    for scheme, variance in variances.items():
        keras.utils.set_random_seed(0)
        layer = make("O", 32, 3, kernel_initializer=f"{scheme}_normal", **arguments)
        layer.build(shape)
        assert np.array(layer.kernel).std() == pytest.approx(np.sqrt(variance), rel=0.03)


def test_initial_numbers_are_the_first_entries_of_their_orbits():
    """A kernel that commutes, as the initializer's, is found again."""
    first = GroupConv3D("O", 2, 3, input_field="corners")
    first.build((None, 3, 3, 3, 8, 4))
    kernel = first.expanded_kernel()
    second = GroupConv3D(
        "O", 2, 3, input_field="corners", kernel_initializer=lambda shape, dtype: kernel
    )
    second.build((None, 3, 3, 3, 8, 4))
    np.testing.assert_array_equal(second.kernel, first.kernel)


def test_he_initialization_keeps_the_scale_of_noise_through_a_relu():
    keras.utils.set_random_seed(0)
    x = noise(4, 5, 5, 5, 6, 16)
    y = np.array(GroupConv3D("O", 64, 3, kernel_initializer="he_normal")(x))
    assert np.mean(np.maximum(y, 0) ** 2) == pytest.approx(np.mean(x**2), rel=0.2)


def test_arguments_of_keras_are_honoured():
    layer = GroupConv3D(
        "O",
        3,
        2,
        activation="relu",
        bias_initializer=keras.initializers.Constant(0.5),
        kernel_regularizer=keras.regularizers.L2(0.1),
        kernel_constraint="non_neg",
    )
    x = noise(2, 3, 3, 3, 6, 2)
    y = np.array(layer(x))
    plain = GroupConv3D("O", 3, 2, use_bias=False)
    plain.build(x.shape)
    plain.set_weights([layer.kernel])
    np.testing.assert_allclose(y, np.maximum(np.array(plain(x)) + 0.5, 0), atol=1e-5)
    assert len(plain.weights) == 1
    loss = 0.1 * np.sum(np.array(layer.kernel) ** 2)
    assert float(layer.losses[0]) == pytest.approx(loss, rel=1e-5)


def test_training_keeps_the_symmetry_and_gradients_are_right():
    """Adam for a few steps; and each learnt number's gradient against a difference quotient."""
    layer, x, target = GroupConv3D("O", 2, 2), noise(2, 3, 3, 3, 6, 2), noise(2, 2, 2, 2, 6, 2)
    layer.build(x.shape)
    optimizer = keras.optimizers.Adam(0.1)
    for _ in range(3):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((layer(x) - target) ** 2)
        gradients = tape.gradient(loss, layer.trainable_variables)
        optimizer.apply(gradients, layer.trainable_variables)
    act = on_parts("faces")
    assert_equivariant(layer, x, "O", act, act)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(x) * target)
    gradient = tf.convert_to_tensor(tape.gradient(loss, layer.kernel))
    one = np.zeros(layer.kernel.shape, "float32")
    one[3, 1, 0] = 1
    before = float(loss)
    layer.kernel.assign_add(one)
    after = float(tf.reduce_sum(layer(x) * target))  # linear in the kernel
    assert after - before == pytest.approx(float(gradient[3, 1, 0]), rel=1e-3, abs=1e-3)


def test_equal_layers_share_their_table():
    first, second = (GroupConv3D("O", filters, 3) for filters in (2, 3))
    assert first._table is second._table is kernels.voxel_orbits(3, *first._representations)
