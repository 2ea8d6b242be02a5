import keras
import numpy as np
import pytest

from sen_tf.groups import actions, get
from sen_tf.layers import GroupAttention2D
from sen_tf.testing import assert_equivariant, randomize_weights


def noise(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype("float32")


def made(shape, **arguments):
    layer = GroupAttention2D(**{"group": "C4", "num_heads": 2, "key_dim": 3, **arguments})
    layer.build(shape)
    randomize_weights(layer)
    return layer


def test_on_the_trivial_group_it_is_the_attention_of_keras():
    layer = made((2, 3, 3, 1, 5), group="C1")
    layer.positions.assign(keras.ops.zeros_like(layer.positions))
    theirs = keras.layers.MultiHeadAttention(2, 3)
    x = noise(2, 3, 3, 1, 5)
    flat = x.reshape(2, 9, 5)
    theirs.build(flat.shape, flat.shape)
    weights = []
    for name in ("query", "key", "value", "output"):
        kernel, bias = getattr(layer, f"{name}_dense").get_weights()
        if name == "output":
            weights += [kernel.reshape(2, 3, 5), bias]
        else:
            weights += [kernel.reshape(5, 2, 3), bias.reshape(2, 3)]
    theirs.set_weights(weights)
    np.testing.assert_allclose(np.array(layer(x)).reshape(2, 9, 5), theirs(flat, flat), atol=1e-5)


@pytest.mark.parametrize("name", ["C4", "D2"])
@pytest.mark.parametrize("mode", ["group", "spatial"])
def test_formula(name, mode):
    """One head on 3 x 3 pixels, against sums over pixels and elements."""
    group = get(name)
    order, side = group.order, 3
    x = noise(1, side, side, order, 2)
    layer = made(x.shape, group=name, num_heads=1, mode=mode)
    q, k, v = (
        np.array(dense(x))[0].reshape(9, order, 3)
        for dense in (layer.query_dense, layer.key_dense, layer.value_dense)
    )
    table = np.array(layer.positions)[:, 0]
    pixels = np.stack(np.divmod(np.arange(9), 3), axis=1)
    offsets = pixels - pixels[:, None] + 2  # of y from x, on 5 x 5
    if mode == "group":
        bias = table.reshape(5, 5, order)
        logits = np.einsum("xgd,yhd->xgyh", q, k) / np.sqrt(3)
        for g in group.elements:
            turned = actions.rotate_grid(bias, group, g, axes=(0, 1))
            for h in group.elements:
                relative = group.product[group.inverse[g], h]
                logits[:, g, :, h] += turned[offsets[..., 0], offsets[..., 1], relative]
        weights = np.exp(logits)
        weights /= weights.sum(axis=(2, 3), keepdims=True)
        found = np.einsum("xgyh,yhd->xgd", weights, v)
    else:
        numbers = np.arange(25).reshape(5, 5)
        orbits = np.min([actions.rotate_grid(numbers, group, g) for g in group.elements], axis=0)
        rows = np.searchsorted(np.unique(orbits), orbits)
        assert len(table) == len(np.unique(orbits))
        logits = np.einsum("xgd,ygd->xy", q, k) / np.sqrt(3 * order)
        logits += table[rows[offsets[..., 0], offsets[..., 1]]]
        weights = np.exp(logits)
        found = np.einsum("xy,ygd->xgd", weights / weights.sum(axis=1, keepdims=True), v)
    expected = layer.output_dense(found.reshape(1, 3, 3, order, 3).astype("float32"))
    np.testing.assert_allclose(layer(x), expected, atol=1e-5)


@pytest.mark.parametrize("shifted", [False, True])
def test_windows_see_themselves_alone(shifted):
    """A change of one pixel reaches its window, and no pixel that rolling made a neighbour."""
    layer = made((1, 8, 8, 4, 2), window_size=4, shifted=shifted)
    x = noise(1, 8, 8, 4, 2)
    changed = x.copy()
    changed[0, 0, 0] += 1
    reached = np.abs(np.array(layer(changed)) - np.array(layer(x)))[0].max(axis=(2, 3)) > 1e-6
    expected = np.zeros((8, 8), bool)
    side = 2 if shifted else 4
    expected[:side, :side] = True
    np.testing.assert_array_equal(reached, expected)


def test_images_of_other_sizes_and_rectangles():
    layer = made((1, 4, 4, 8, 2), group="D4", window_size=2)
    act = actions.act_on_regular_image
    assert_equivariant(layer, (2, 6, 4, 8, 2), "D4", act, act)
    whole = made((1, 2, 4, 4, 2))
    assert_equivariant(whole, (2, 2, 4, 4, 2), "C4", act, act)
    with pytest.raises(ValueError, match="was built for 4 rows or columns; received 5"):
        whole(noise(1, 5, 4, 4, 2))


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"group": "C8"}, "one of C1, C2, C4, D1, D2, D4; received group=C8"),
        ({"shifted": True}, "`window_size` to be even.*None"),
        ({"shifted": True, "window_size": 3}, "`window_size` to be even.*3"),
        ({"mode": "full"}, "`mode`.*'group' or 'spatial'.*'full'"),
        ({"num_heads": 0}, "`num_heads`.*0"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        GroupAttention2D(**{"group": "C4", "num_heads": 2, "key_dim": 3, **arguments})


@pytest.mark.parametrize(
    "shape, message",
    [
        ((None, 8, 8, 8, 2), "group axis of C4"),
        ((None, None, 8, 4, 2), "known sizes"),
        ((None, 6, 8, 4, 2), "GroupAttention2D `look` expected a multiple of 4 rows.*received 6"),
    ],
)
def test_bad_shapes_are_named(shape, message):
    with pytest.raises(ValueError, match=message):
        GroupAttention2D("C4", 2, 3, window_size=4, name="look").build(shape)


@pytest.mark.parametrize("mode", ["group", "spatial"])
def test_long_queries_do_not_overflow_in_half_precision(mode):
    """Each of two pixels looks at itself alone: logits of 9e4 and 16e4 are none of float16."""
    layer = GroupAttention2D("C1", 1, 2, mode=mode, use_bias=False, dtype="mixed_float16")
    x = np.array([[300.0, 0], [0, 400]], "float16").reshape(1, 1, 2, 1, 2)
    layer.build(x.shape)
    for name in ("query", "key", "value", "output"):
        getattr(layer, f"{name}_dense").set_weights([np.eye(2)[None]])
    y = layer(x)
    assert y.dtype == "float16"
    np.testing.assert_array_equal(np.array(y), x)


@pytest.mark.parametrize("mode", ["group", "spatial"])
def test_double_precision_is_double_throughout(mode):
    layer = made((2, 4, 4, 4, 2), mode=mode, window_size=2, shifted=True, dtype="float64")
    x = np.random.default_rng(0).standard_normal((2, 4, 4, 4, 2))
    act = actions.act_on_regular_image
    assert_equivariant(layer, x, "C4", act, act, rtol=1e-13)
