"""Networks on clouds of points that commute with reflections as well as rotations."""

import keras
import numpy as np
import pytest
from keras import ops

from sen_tf.groups import irreps, rotations
from sen_tf.layers import (
    FromIrreps,
    GatedActivation,
    IrrepsDense,
    IrrepsLayerNormalization,
    NormActivation,
    TensorFieldConv,
    ToIrreps,
    neighbour_list,
    tensor_product,
)
from sen_tf.testing import randomize_weights

ROTATIONS = rotations.haar(np.random.default_rng(1), 4)
ORTHOGONAL = np.concatenate([ROTATIONS, -ROTATIONS, [-np.eye(3), np.diag([1, 1, -1])]])


def noise(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def assert_near(actual, expected, rtol=2e-5):
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert np.abs(actual - expected).max() <= rtol * np.abs(expected).max()


def network(group, points=6):
    """From marks, velocities and positions to an energy of the cloud and a force at each point."""
    marks, velocities = keras.Input((points, 2)), keras.Input((points, 3, 2))
    positions = keras.Input((points, 3))
    edges = keras.Input((None, 2), dtype="int32")
    inputs = [ToIrreps(0, 2, group)(marks), ToIrreps(1, 2, group)(velocities)]
    x = IrrepsDense(8, group=group)(ops.concatenate(inputs, axis=-1))
    x = TensorFieldConv(8, 2, radius=2.0, group=group)(x, positions, edges)
    x = IrrepsLayerNormalization(group)(GatedActivation(group=group)(x))
    x = TensorFieldConv(8, 2, radius=2.0, group=group)(x, positions, edges)
    x = IrrepsDense(2, group=group)(NormActivation("silu", group=group)(x))
    energy, forces = ops.sum(FromIrreps(0, group)(x), axis=1), FromIrreps(1, group)(x)
    return keras.Model([marks, velocities, positions, edges], [energy, forces])


def molecule(batch=4, points=6):
    positions = noise(batch, points, 3, seed=2)
    edges = neighbour_list(positions, 2.5)
    return [noise(batch, points, 2), noise(batch, points, 3, 2, seed=1), positions, edges]


def moved(data, r):
    marks, velocities, positions, edges = data
    return [marks, (r @ velocities).astype("float32"), (positions @ r.T).astype("float32"), edges]


def assert_commutes(model, data, matrices):
    energy, forces = (np.array(output) for output in model(data))
    for r in matrices:
        turned_energy, turned_forces = model(moved(data, r))
        assert_near(turned_energy, energy)
        assert_near(turned_forces, r @ forces)


def test_a_network_commutes_with_reflections_before_and_after_training():
    keras.utils.set_random_seed(0)
    model, data = network("O3"), molecule()
    randomize_weights(model)
    assert_commutes(model, data, ORTHOGONAL)
    model.compile(keras.optimizers.Adam(0.01), "mse", run_eagerly=True)  # to trace takes longer
    targets = [noise(4, 2, seed=3), noise(4, 6, 3, 2, seed=4)]
    before = [np.array(weight) for weight in model.trainable_weights]
    losses = [model.train_on_batch(data, targets)[0] for _ in range(10)]
    assert losses[-1] < 0.8 * losses[0]
    assert any(np.abs(a - b).max() > 0.01 for a, b in zip(before, model.weights, strict=True))
    assert_commutes(model, data, ORTHOGONAL)


def test_so3_tells_a_molecule_from_its_mirror_image_and_o3_does_not():
    mirror, data = np.diag([1.0, 1.0, -1.0]), molecule()
    for group, tells in (("SO3", True), ("O3", False)):
        keras.utils.set_random_seed(0)
        model = network(group)
        randomize_weights(model)
        (energy, _), (mirrored, _) = model(data), model(moved(data, mirror))
        difference = np.abs(np.array(energy) - mirrored).max() / np.abs(energy).max()
        assert (difference > 0.01) == tells, (group, difference)


def test_a_number_that_reflections_reverse_tells_hands_apart():
    """Component 0 of the odd half: the sign of a triple product, which needs three points."""
    keras.utils.set_random_seed(0)
    x, positions = noise(2, 4, 2, 3), noise(2, 4, 3, seed=1)
    x[:, :, 1] = 0  # no odd numbers at first
    layers = [TensorFieldConv(4, 1, radius=2.0, group="O3") for _ in range(3)]

    def odd(positions):
        y = x
        for layer in layers:
            y = layer(y, positions)
        return np.array(y)[:, :, 4]

    found = odd(positions)
    assert np.abs(found).max() > 1e-4
    assert_near(odd(-positions), -found)


@pytest.mark.parametrize("degrees", [(0, 0), (1, 2), (3, 1)], ids=str)
def test_couplings_are_those_whose_parities_multiply(degrees):
    found = tensor_product._couplings("O3", *degrees)
    assert len(found) == 2 * len(tensor_product._paths(*degrees))
    for coupling in found:
        source = -1 if coupling.source > degrees[0] else 1
        target = -1 if coupling.target > degrees[1] else 1
        assert source * target == (-1) ** coupling.lf


def test_scalars_alone_are_as_under_so3():
    """From degree 0 to degree 0 nothing couples but distances, and odd numbers stay 0."""
    scalars, positions = noise(2, 5, 1, 3), noise(2, 5, 3, seed=1)
    both = np.concatenate([scalars, 0 * scalars], axis=2)
    one, other = (TensorFieldConv(4, 0, radius=2.0, group=group) for group in ("SO3", "O3"))
    one(scalars, positions), other(both, positions)
    other.kernels[0].assign(one.kernels[0])
    other.radial_hidden.kernel.assign(one.radial_hidden.kernel)
    other.radial_output.kernel.assign(np.tile(one.radial_output.kernel, (1, 2)))
    found = np.array(other(both, positions))
    assert_near(found[:, :, :1], one(scalars, positions))
    assert not found[:, :, 1:].any()


def test_old_configs_mean_rotations():
    for layer in (IrrepsDense(2), TensorFieldConv(2, 1, 1.0), ToIrreps(0, 1), FromIrreps(0)):
        config = layer.get_config()
        assert config.pop("group") == "SO3"
        assert type(layer).from_config(config).group == "SO3"


@pytest.mark.parametrize(
    "make",
    [
        lambda group: IrrepsDense(2, group=group),
        lambda group: TensorFieldConv(2, 1, 1.0, group=group),
        lambda group: ToIrreps(0, 1, group),
        lambda group: FromIrreps(0, group),
    ],
)
@pytest.mark.parametrize("group", ["O2", "o3", None])
def test_other_groups_are_refused(make, group):
    with pytest.raises(ValueError, match="Expected `group` to be 'SO3' or 'O3'; received group="):
        make(group)


@pytest.mark.parametrize("components", [1, 4, 9, 16])
def test_sums_without_parities_are_refused(components):
    with pytest.raises(ValueError, match=r"`mine` expected .*2 \(L \+ 1\)\^2, channels\)"):
        IrrepsDense(2, group="O3", name="mine").build((None, components, 2))


def test_parts_of_the_representation():
    for r in ORTHOGONAL:
        d = irreps.parity_representation(1, r)
        np.testing.assert_allclose(d @ d.T, np.eye(8), atol=1e-12)
        np.testing.assert_allclose(d[5:, 5:], r, atol=1e-12)  # vectors
        np.testing.assert_allclose(d[1:4, 1:4], np.linalg.det(r) * r, atol=1e-12)  # cross products
        np.testing.assert_allclose([d[0, 0], d[4, 4]], [1, np.linalg.det(r)])
    products = irreps.parity_representation(2, ORTHOGONAL) @ irreps.parity_representation(
        2, ORTHOGONAL[::-1]
    )
    expected = irreps.parity_representation(2, ORTHOGONAL @ ORTHOGONAL[::-1])
    np.testing.assert_allclose(products, expected, atol=1e-10)
