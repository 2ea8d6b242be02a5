import keras
import numpy as np
import pytest

from sen_tf.groups import FiniteGroup, actions, get
from sen_tf.layers import GroupDense
from sen_tf.testing import assert_equivariant

NAMES = ["C1", "C2", "C3", "C4", "C5", "C8", "D1", "D2", "D3", "D4", "D6"]
KLEIN = FiniteGroup("Cartesian", [[0, 1, 2, 3], [1, 0, 3, 2], [2, 3, 0, 1], [3, 2, 1, 0]])


def noise(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype("float32")


@pytest.fixture
def block_diagonal_from(monkeypatch):
    def set_(width):
        monkeypatch.setattr("sen_tf.layers.block_diagonal.BLOCK_DIAGONAL_FROM", width)

    return set_


@pytest.mark.parametrize("form", ["one_product", "block_diagonal"])
@pytest.mark.parametrize("name", NAMES)
def test_formula(name, form, block_diagonal_from):
    """y(g) = sum_h x(h) K(g^-1 h) + b, in both forms."""
    block_diagonal_from(1 if form == "block_diagonal" else 1000)
    group = get(name)
    x, bias = noise(2, 3, group.order, 5), noise(4)
    kernel = noise(group.order, 5, 4)
    relative = group.product[group.inverse]  # [g, h] = g^-1 h
    expected = np.einsum("nohc,ghcf->nogf", x, kernel[relative]) + bias
    layer = GroupDense(group, 4)
    layer.build(x.shape)
    layer.set_weights([kernel, bias])
    np.testing.assert_allclose(layer(x), expected, atol=2e-5)


def test_both_forms_have_the_same_gradients(block_diagonal_from):
    import tensorflow as tf

    layer = GroupDense("D4", 6)
    layer.build((None, 8, 5))
    x, weights = tf.constant(noise(3, 8, 5)), noise(3, 8, 6)
    gradients = []
    for width in (1, 1000):
        block_diagonal_from(width)
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(layer(x) * weights)
        gradients.append(tape.gradient(loss, [x, *layer.trainable_variables]))
    for ours, theirs in zip(*gradients, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-5)


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_adam_takes_the_same_steps_with_both_forms(block_diagonal_from, dtype):
    """A sparse gradient, as of rows taken from a variable, would be squared row by row."""
    kernels = []
    for width in (1, 1000):
        block_diagonal_from(width)
        layer = GroupDense("C4", 6, kernel_initializer="zeros", dtype=dtype)
        model = keras.Sequential([keras.Input((4, 5)), layer])
        model.compile(keras.optimizers.Adam(0.1), "mse", jit_compile=False)
        for _ in range(3):
            model.train_on_batch(noise(16, 4, 5), noise(16, 4, 6) + 1)
        kernels.append(np.array(layer.kernel))
    error = np.abs(kernels[0] - kernels[1]).max() / np.abs(kernels[0]).max()
    assert error < {"float32": 1e-4, "mixed_bfloat16": 3e-2}[dtype]


def test_the_form_is_chosen_by_width(block_diagonal_from):
    block_diagonal_from(4)
    taken = []
    for channels, filters in ((3, 8), (8, 3), (4, 4)):
        layer = GroupDense("C4", filters)
        one_product = layer.expanded_kernel
        layer.expanded_kernel = lambda f=one_product, size=(channels, filters): (
            taken.append(size) or f()
        )
        layer(noise(2, 4, channels))
    assert taken == [(3, 8), (8, 3)]


def test_any_finite_group_will_do_at_any_width(block_diagonal_from):
    """Without blocks that are known, whatever the name, there is the one product."""
    block_diagonal_from(1)
    act = actions.act_on_regular
    assert_equivariant(GroupDense(KLEIN, 3), (2, 4, 2), KLEIN, act, act)


def test_every_kernel_position_matters():
    """The layer is the whole space of commuting maps: |G| free matrices, none redundant."""
    layer = GroupDense("D3", 1, use_bias=False)
    layer.build((None, 6, 1))
    maps = []
    for position in range(6):
        kernel = np.zeros((6, 1, 1), np.float32)
        kernel[position] = 1
        layer.set_weights([kernel])
        maps.append(np.array(layer(np.eye(6, dtype=np.float32)[..., None])).ravel())
    assert np.linalg.matrix_rank(maps) == 6


@pytest.mark.parametrize("distribution", ["normal", "uniform"])
def test_initializers_see_fans_that_count_the_group(distribution):
    fan_in, fan_out = 6 * 96, 6 * 160
    for scheme, variance in {"glorot": 2 / (fan_in + fan_out), "he": 2 / fan_in}.items():
        layer = GroupDense("D3", 160, kernel_initializer=f"{scheme}_{distribution}")
        layer.build((None, 6, 96))
        assert np.array(layer.kernel).std() == pytest.approx(np.sqrt(variance), rel=0.03)


def test_arguments_of_keras_are_honoured():
    layer = GroupDense(
        "C3",
        4,
        activation="relu",
        bias_initializer=keras.initializers.Constant(-0.5),
        kernel_regularizer=keras.regularizers.L2(0.1),
        bias_regularizer=keras.regularizers.L1(0.1),
        activity_regularizer=keras.regularizers.L1(0.01),
        kernel_constraint="non_neg",
        bias_constraint=keras.constraints.MaxNorm(0.1),
    )
    x = noise(2, 3, 5)
    y = np.array(layer(x))
    kernel, bias = map(np.array, layer.get_weights())
    plain = GroupDense("C3", 4, use_bias=False)
    plain.build(x.shape)
    plain.set_weights([kernel])
    assert len(plain.weights) == 1
    np.testing.assert_allclose(y, np.maximum(np.array(plain(x)) - 0.5, 0), atol=1e-5)
    activity, *weights = [float(loss) for loss in layer.losses]
    assert activity == pytest.approx(0.01 * y.sum() / len(y), rel=1e-5)
    assert sorted(weights) == pytest.approx(
        sorted([0.1 * (kernel**2).sum(), 0.1 * np.abs(bias).sum()]), rel=1e-5
    )
    variables = layer.trainable_variables
    keras.optimizers.SGD(1e-3).apply([keras.ops.ones_like(w) for w in variables], variables)
    assert np.array(layer.kernel).min() == 0
    assert np.linalg.norm(layer.bias) == pytest.approx(0.1, rel=1e-3)


@pytest.mark.parametrize(
    "shape, message",
    [
        ((2, 4), r"GroupDense `dense` expected .* 3, channels\).*C3.*\(2, 4\)"),
        ((2, 4, 3), r"GroupDense `dense` expected .* 3, channels\).*C3.*\(2, 4, 3\)"),
        ((2, 3, None), "GroupDense `dense` needs a known channel number"),
    ],
)
def test_bad_shapes_name_the_layer(shape, message):
    with pytest.raises(ValueError, match=message):
        GroupDense("C3", 2, name="dense").build(shape)


@pytest.mark.parametrize("filters", [0, -1, 2.0, True, None])
def test_bad_filters_are_named(filters):
    with pytest.raises(ValueError, match=f"`filters`.*{filters}"):
        GroupDense("C4", filters)


def test_a_group_of_your_own_is_saved_with_its_table():
    layer = GroupDense(KLEIN, 3)
    assert GroupDense.from_config(layer.get_config()).group == KLEIN
