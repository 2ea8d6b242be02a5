import keras
import numpy as np
import pytest

from sen_tf.groups import actions, get
from sen_tf.layers import GroupConv2D, GroupConvTranspose2D
from sen_tf.testing import randomize_weights


def noise(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype("float32")


@pytest.mark.parametrize("name", ["C4", "D4", "D1"])
@pytest.mark.parametrize("strides, side", [(1, 6), (2, 7)])
def test_it_is_the_adjoint_of_a_group_convolution(name, strides, side):
    """<conv x, y> = <x, transposed y> where K'(s) = L_s K(s^-1), its channels exchanged."""
    group = get(name)
    conv = GroupConv2D(name, 3, 3, strides, use_bias=False)
    x = noise(2, side, side, group.order, 2)
    y = noise(*conv(x).shape)
    kernel = np.array(conv.kernel)
    adjoint = [
        actions.rotate_grid(kernel[:, :, group.inverse[s]], group, s, axes=(0, 1))
        for s in group.elements
    ]
    transposed = GroupConvTranspose2D(name, 2, 3, strides, use_bias=False)
    transposed.build(y.shape)
    transposed.set_weights([np.stack(adjoint, axis=2).swapaxes(-1, -2)])
    np.testing.assert_allclose(np.vdot(conv(x), y), np.vdot(x, transposed(y)), rtol=1e-4)


@pytest.mark.parametrize(
    "arguments",
    [
        {"kernel_size": 3, "strides": 2, "padding": "same"},
        {"kernel_size": 4, "strides": 2, "padding": "same"},
        {"kernel_size": 3, "strides": 2, "padding": "same", "output_padding": 0},
        {"kernel_size": 2, "strides": 2},
        {"kernel_size": 5},
    ],
)
def test_on_the_trivial_group_it_is_the_layer_of_keras(arguments):
    ours = GroupConvTranspose2D("C1", 3, **arguments)
    theirs = keras.layers.Conv2DTranspose(3, **arguments)
    x = noise(2, 5, 6, 2)
    theirs.build(x.shape)
    ours.build((2, 5, 6, 1, 2))
    randomize_weights(ours)
    kernel, bias = ours.get_weights()
    theirs.set_weights([kernel[:, :, 0].swapaxes(-1, -2), bias])
    found = ours(x[:, :, :, None])
    assert found.shape == ours.compute_output_shape((2, 5, 6, 1, 2))
    np.testing.assert_allclose(found[:, :, :, 0], theirs(x), atol=1e-5)


def test_down_and_up_again_is_the_same_size():
    for size, down, up in (
        (9, {"kernel_size": 3, "strides": 2}, {"kernel_size": 3, "strides": 2}),
        (
            9,
            {"kernel_size": 3, "strides": 2, "padding": "same"},
            {"kernel_size": 3, "strides": 2, "padding": "same", "output_padding": 0},
        ),
        (8, {"kernel_size": 2, "strides": 2}, {"kernel_size": 2, "strides": 2}),
    ):
        x = noise(1, size, size, 4, 2)
        y = GroupConvTranspose2D("C4", 2, **up)(GroupConv2D("C4", 2, **down)(x))
        assert y.shape == x.shape


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"kernel_size": 1, "strides": 2}, "`kernel_size` to be at least the strides"),
        (
            {"kernel_size": 3, "strides": 2, "padding": "same"},
            "1 pixels.*kernel_size=4, out",
        ),
        (
            {"kernel_size": 3, "strides": 2, "padding": "same", "output_padding": 1},
            "cut off.*Use output_padding=0",
        ),
        ({"kernel_size": 3, "output_padding": 0}, "`output_padding` to be None.*'valid'"),
        ({"kernel_size": 3, "padding": "same", "output_padding": -1}, "`output_padding`.*-1"),
    ],
)
def test_what_cannot_commute_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        GroupConvTranspose2D("C4", 2, **arguments)


def test_the_fixes_in_the_messages_work():
    GroupConvTranspose2D("C4", 2, 4, 2, "same")
    GroupConvTranspose2D("C4", 2, 3, 2, "same", 0)
    GroupConvTranspose2D("C4", 2, 3, 2, "valid")


def test_other_groups_are_named():
    with pytest.raises(ValueError, match="GroupConvTranspose2D `up`.*group axis of C4"):
        GroupConvTranspose2D("C4", 2, 3, name="up").build((None, 5, 5, 8, 2))
    with pytest.raises(ValueError, match="GroupConvTranspose2D `up`.*rank 5"):
        GroupConvTranspose2D("C4", 2, 3, name="up").build((None, 5, 4, 2))


def test_more_padding_than_windows_cover_is_refused():
    with pytest.raises(
        ValueError, match="`output_padding` to be at most 2, all that windows cover"
    ):
        GroupConvTranspose2D("C4", 2, 3, 2, "same", output_padding=4)
