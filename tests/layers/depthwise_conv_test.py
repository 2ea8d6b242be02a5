import keras
import numpy as np
import pytest

from sen_tf.groups import actions, get, harmonics
from sen_tf.layers import DepthwiseGroupConv2D, GroupDense, LiftingConv2D
from sen_tf.testing import assert_equivariant, randomize_weights


def noise(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype("float32")


@pytest.mark.parametrize("name", ["C4", "D2", "C8", "D3"])
@pytest.mark.parametrize("multiplier", [1, 2])
def test_each_element_sees_the_kernel_turned_for_it(name, multiplier):
    group = get(name)
    layer = DepthwiseGroupConv2D(name, 3, depth_multiplier=multiplier)
    x = noise(2, 5, 5, group.order, 4)
    y = np.array(layer(x))
    kernel = np.array(layer.kernel)
    assert y.shape == (2, 3, 3, group.order, 4 * multiplier)
    for g in group.elements:
        if name in ("C8", "D3"):
            turned = np.tensordot(harmonics.turned(group, 3)[g], kernel, 1).reshape(3, 3, 4, -1)
        else:
            turned = actions.rotate_grid(kernel, group, g, axes=(0, 1))
        conv = keras.layers.DepthwiseConv2D(3, depth_multiplier=multiplier, use_bias=False)
        conv.build((2, 5, 5, 4))
        conv.set_weights([turned])
        np.testing.assert_allclose(y[:, :, :, g], conv(x[:, :, :, g]), atol=1e-5)


def test_a_convnext_block_commutes_as_a_whole():
    x = inputs = keras.Input((9, 9, 3))
    x = y = LiftingConv2D("D4", 4, 3, padding="same")(x)
    y = DepthwiseGroupConv2D("D4", 7, padding="same")(y)
    y = GroupDense("D4", 4)(GroupDense("D4", 16, activation="gelu")(y))
    model = keras.Model(inputs, keras.layers.Add()([x, y]))
    randomize_weights(model)

    def on_pixels(x, group, g):
        return actions.rotate_grid(x, group, g, axes=(1, 2))

    assert_equivariant(model, (2, 9, 9, 3), "D4", on_pixels, actions.act_on_regular_image)


def test_initializers_see_one_channel_per_filter():
    layer = DepthwiseGroupConv2D("C4", 7, kernel_initializer="lecun_normal")
    layer.build((None, 9, 9, 4, 256))
    assert np.array(layer.kernel).std() == pytest.approx(1 / 7, rel=0.03)


def test_bad_arguments_and_sizes_are_named():
    with pytest.raises(ValueError, match="`depth_multiplier`.*0"):
        DepthwiseGroupConv2D("C4", 3, depth_multiplier=0)
    with pytest.raises(ValueError, match="DepthwiseGroupConv2D `d` does not commute with C4 on 8"):
        DepthwiseGroupConv2D("C4", 3, 2, name="d").build((None, 8, 8, 4, 2))
    with pytest.raises(ValueError, match="DepthwiseGroupConv2D `d`.*group axis of C4"):
        DepthwiseGroupConv2D("C4", 3, name="d").build((None, 9, 9, 8, 2))
