import keras
import numpy as np
import pytest

from sen_tf.groups import irreps, rotations
from sen_tf.layers import FromIrreps, GatedActivation, IrrepsDense
from sen_tf.testing import randomize_weights

DEGREES = range(4)
ROTATIONS = rotations.haar(np.random.default_rng(1), 5)


def noise(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype("float32")


def turned(features, r):
    degree = int(features.shape[-2] ** 0.5) - 1
    return (irreps.representation(degree, r) @ np.asarray(features)).astype("float32")


@pytest.mark.parametrize("degree", DEGREES)
@pytest.mark.parametrize("make_layer", [lambda: IrrepsDense(4), lambda: GatedActivation("tanh")])
def test_every_rotation_commutes(make_layer, degree):
    layer = make_layer()
    x = noise(2, 6, (degree + 1) ** 2, 5)
    layer(x)
    randomize_weights(layer)
    for r in ROTATIONS:
        np.testing.assert_allclose(layer(turned(x, r)), turned(layer(x), r), atol=1e-5)


def test_dense_mixes_channels_within_a_degree():
    dense = IrrepsDense(3)
    x = noise(2, 9, 4)
    dense(x)
    randomize_weights(dense)
    expected = np.concatenate(
        [x[:, irreps.block(n)] @ np.array(kernel) for n, kernel in enumerate(dense.kernels)], axis=1
    )
    expected[:, 0] += dense.bias
    np.testing.assert_allclose(dense(x), expected, atol=1e-6)
    assert [tuple(w.shape) for w in dense.weights] == [(4, 3)] * 3 + [(3,)]


def test_degrees_start_with_different_kernels():
    dense = IrrepsDense(3)
    dense.build((None, 9, 4))
    first, second, third = (np.array(kernel) for kernel in dense.kernels)
    assert np.abs(first - second).max() > 1e-2
    assert np.abs(second - third).max() > 1e-2


def test_dense_that_starts_at_zero_without_bias():
    dense = IrrepsDense(3, use_bias=False, kernel_initializer="zeros")
    np.testing.assert_array_equal(dense(noise(2, 9, 4)), np.zeros((2, 9, 3)))
    assert len(dense.weights) == 3


def test_an_initializer_may_be_a_function():
    dense = IrrepsDense(
        2, kernel_initializer=lambda shape, dtype=None: keras.ops.ones(shape, dtype)
    )
    np.testing.assert_allclose(dense(np.ones((1, 4, 3), np.float32)), np.full((1, 4, 2), 3.0))


def test_gates_scale_each_part_by_a_number_in_0_1():
    gate = GatedActivation("relu")
    x = noise(2, 9, 4)
    gate(x)
    randomize_weights(gate)
    out = np.array(gate(x))
    np.testing.assert_array_equal(out[:, 0], np.maximum(x[:, 0], 0))
    ratio = out[:, 1:] / x[:, 1:]
    assert ((ratio > 0) & (ratio < 1)).all()
    for degree in (1, 2):
        part = ratio[:, irreps.block(degree).start - 1 : irreps.block(degree).stop - 1]
        np.testing.assert_allclose(part, np.broadcast_to(part[:, :1], part.shape), rtol=1e-4)


def test_gates_are_read_from_the_scalars():
    gate = GatedActivation()
    x = noise(2, 4, 3)
    x[1, 1:] = x[0, 1:]
    out = np.array(gate(x))
    assert np.abs(out[0, 1:] - out[1, 1:]).max() > 1e-3
    x[1, 0] = x[0, 0]
    np.testing.assert_array_equal(*np.array(gate(x))[:, 1:])


@pytest.mark.parametrize("shape", [(2, 3, 4), (9, 4), (2, 0, 4), (2, None, 4), (2, 9, None)])
@pytest.mark.parametrize("layer", [IrrepsDense, GatedActivation, FromIrreps])
def test_features_without_a_sum_of_degrees_are_refused(layer, shape):
    arguments = () if layer is GatedActivation else (1,)
    with pytest.raises(ValueError, match=rf"{layer.__name__} `mine` expected .*\(L \+ 1\)\^2"):
        layer(*arguments, name="mine").build(shape)


def test_bad_numbers_are_named():
    with pytest.raises(
        ValueError, match="`filters` to be an integer of at least 1; received filters=0"
    ):
        IrrepsDense(0)
