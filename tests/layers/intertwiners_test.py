import keras
import numpy as np
import pytest

from sen_tf import groups
from sen_tf.groups import Representation, actions, get, irreps, representations, rotations
from sen_tf.layers import (
    FromIrreps,
    FromRegular,
    GridLifting,
    GroupDense,
    GroupFlatten,
    ToIrreps,
    ToRegular,
)
from sen_tf.testing import assert_equivariant

GROUPS = ["C1", "C2", "C3", "C4", "C6", "D1", "D2", "D3", "D4", "D6"]


def noise(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype("float32")


def on_vectors(x, group, g):
    return x @ representations.get("standard", group).matrices[g].T


@pytest.mark.parametrize("name", GROUPS)
def test_there_and_back_is_the_order_of_the_group(name):
    for representation in [*representations.irreps(name), "regular", "trivial + 2 standard"]:
        rho = representations.get(representation, get(name))
        x = noise(2, 3, rho.dimension)
        back = FromRegular(name, rho)(ToRegular(name, rho)(x))
        np.testing.assert_allclose(back, get(name).order * x, atol=1e-4)


@pytest.mark.parametrize("name", GROUPS)
def test_one_component_of_an_irreducible_keeps_everything(name):
    """Schur's lemma: for one of real kind, the way back is a multiple of the identity."""
    for rho in representations.irreps(name):
        x = noise(2, 3, rho.dimension)
        f = np.array(ToRegular(name, rho, components=[0])(x))
        assert f.shape == (2, 3, get(name).order, 1)
        channels = np.concatenate([f, np.zeros_like(f).repeat(rho.dimension - 1, -1)], axis=-1)
        back = np.array(FromRegular(name, rho)(channels))
        if rho.kind == "real":
            np.testing.assert_allclose(back, get(name).order / rho.dimension * x, atol=1e-4)
        else:  # a turn and a scale
            lengths = np.linalg.norm(x, axis=-1)
            ratio = np.linalg.norm(back, axis=-1) / lengths
            np.testing.assert_allclose(ratio, ratio.mean(), rtol=1e-4)
            assert ratio.mean() > 0.1


def test_to_regular_is_the_inverse_of_each_element_applied():
    rho = representations.get("standard", "D3")
    x = noise(4, 2)
    expected = np.stack([x @ np.linalg.inv(rho.matrices[g]).T for g in range(6)], axis=1)
    np.testing.assert_allclose(ToRegular("D3", "standard")(x), expected, atol=1e-6)
    np.testing.assert_allclose(
        ToRegular("D3", rho, components=[1, 0])(x), expected[..., [1, 0]], atol=1e-6
    )


def test_from_regular_keeps_several_fields_apart():
    x = noise(2, 5, 6, 4)
    both = np.array(FromRegular("D3", "standard")(x))
    assert both.shape == (2, 5, 2, 2)
    for field in range(2):
        alone = FromRegular("D3", "standard")(x[..., 2 * field : 2 * field + 2])
        np.testing.assert_allclose(both[:, :, field], alone, atol=1e-5)


def test_every_map_between_doors_commutes():
    # Of 60 seeds, one gave a sample so near 0 that rounding was 1.4e-5 of it.
    keras.utils.set_random_seed(1)
    layers = [
        ToRegular("D4", "standard"),
        GroupDense("D4", 8, activation="relu"),
        GroupDense("D4", 2),
        FromRegular("D4", "standard"),
    ]
    assert_equivariant(keras.Sequential(layers), (6, 2), "D4", on_vectors, on_vectors)


def test_integers_are_welcome():
    x = np.eye(4, dtype="int32")
    np.testing.assert_array_equal(
        ToRegular("C4", "permutation(3,0,1,2)", [0])(x)[..., 0],
        np.array(ToRegular("C4", "permutation(3,0,1,2)", [0])(x.astype("float32")))[..., 0],
    )


@pytest.mark.parametrize("side", [1, 2, 5, 6])
def test_quadrants_hold_every_pixel(side):
    """A function on C4 has a quadrant for each element, and the centre for all of them."""
    x = np.arange(1, 1 + side * side, dtype=np.float32).reshape(1, side, side, 1)
    f = np.array(GridLifting("C4")(x))
    assert set(f.ravel()) == set(x.ravel())
    assert f.size == side**2 + 3 * (side % 2)
    quadrants = [np.rot90(x[0, :, :, 0], -g)[: side // 2, : (side + 1) // 2] for g in range(4)]
    for g, quadrant in enumerate(quadrants):
        np.testing.assert_array_equal(f[0, 0, g, side % 2 :], quadrant.ravel())


@pytest.mark.parametrize(
    "group, orbits", [("C1", 25), ("C2", 13), ("C4", 7), ("D1", 15), ("D4", 6)]
)
def test_a_lifted_grid_has_one_channel_per_orbit(group, orbits):
    x = noise(2, 5, 5, 3)
    f = np.array(GridLifting(group)(x))
    assert f.shape == (2, 3, groups.get(group).order, orbits)
    for sample, channel in np.ndindex(2, 3):
        assert set(f[sample, channel].ravel()) == set(x[sample, :, :, channel].ravel())
    if group == "C1":  # row by row, as plain networks read an image
        np.testing.assert_array_equal(f[:, :, 0], x.reshape(2, 25, 3).transpose(0, 2, 1))


def test_flattened_slices_are_turned_back():
    x = noise(2, 3, 3, 4, 5)
    f = np.array(GroupFlatten("C4")(x))
    for g in range(4):
        slice_ = np.rot90(x[:, :, :, g], -g, axes=(1, 2))
        np.testing.assert_array_equal(f[:, :, g], slice_.reshape(2, 9, 5).transpose(0, 2, 1))


def test_only_groups_that_act_on_pixels_flatten():
    with pytest.raises(ValueError, match="`group` to be one of C1, C2, C4.*C3"):
        GroupFlatten("C3")


@pytest.mark.parametrize(
    "layer, shape, message",
    [
        (
            ToRegular("D3", "standard", name="door"),
            (2, 3),
            r"ToRegular `door` expected .*, 2\) for standard of D3; received \(2, 3\)",
        ),
        (
            FromRegular("D3", "standard", name="door"),
            (2, 4, 2),
            r"FromRegular `door` expected .*, 6, channels\) for standard of D3; received \(2, 4, "
            r"2\)",
        ),
        (
            FromRegular("D3", "standard", name="door"),
            (2, 6, 3),
            "FromRegular `door` expected a multiple of 2 channels for standard of D3; received 3",
        ),
        (
            FromRegular("D3", "standard", name="door"),
            (2, 6, None),
            "FromRegular `door` expected a multiple of 2 channels for standard of D3; received "
            "None",
        ),
        (
            GridLifting("C4", name="door"),
            (2, 5, 6, 3),
            r"GridLifting `door` expected square images .*\(2, 5, 6, 3\)",
        ),
        (GridLifting("C1", name="door"), (2, None, 4, 3), "GridLifting `door` expected im.*None"),
        (
            GroupFlatten("C4", name="door"),
            (2, 5, 6, 4, 3),
            r"GroupFlatten `door` expected .*side, 4, objects\) for C4; received \(2, 5, 6, 4, 3\)",
        ),
        (GroupFlatten("C4", name="door"), (2, 5, 5, 3, 3), r"GroupFlatten `door` .*5, 3, 3\)"),
        (GroupFlatten("C4", name="door"), (2, 5, 5, 4), r"GroupFlatten `door` .*5, 4\)"),
    ],
)
def test_bad_shapes_name_the_layer(layer, shape, message):
    with pytest.raises(ValueError, match=message):
        layer.build(shape)


@pytest.mark.parametrize("components", [[], [2], [-1]])
def test_bad_components_are_named(components):
    with pytest.raises(ValueError, match=r"`components` to be indices in \[0, 2\)"):
        ToRegular("D3", "standard", components)


@pytest.mark.parametrize("make", [ToRegular, FromRegular])
def test_bad_representations_are_named(make):
    with pytest.raises(ValueError, match="`representation`.*'standart'.*'standard'"):
        make("C4", "standart")
    with pytest.raises(ValueError, match="`representation`.*D3.*D4"):
        make("D3", representations.get("standard", "D4"))


@pytest.mark.parametrize("make", [ToRegular, FromRegular])
def test_a_representation_without_a_string_works(make):
    turned = np.array([[0.6, -0.8], [0.8, 0.6]])
    matrices = turned @ representations.get("standard", "D4").matrices @ turned.T
    rho = Representation("D4", "turned", matrices)
    regular = make is FromRegular

    def on_turned(x, group, g):
        return x @ matrices[g].T

    acts = [on_turned, actions.act_on_regular]
    assert_equivariant(
        make("D4", rho), (3, 8, 2) if regular else (3, 2), "D4", acts[regular], acts[not regular]
    )
    with pytest.raises(ValueError, match="`door` cannot be saved: `representation` 'turned'"):
        make("D4", rho, name="door").get_config()


@pytest.mark.parametrize("rank, axes", [(0, ()), (1, (3,)), (2, (3, 3))])
def test_to_irreps_and_back_is_the_tensor(rank, axes):
    x = noise(2, 4, *axes, 3)
    for degree in range(rank, 4):
        features = ToIrreps(rank, degree)(x)
        assert features.shape == (2, 4, (degree + 1) ** 2, 3)
        np.testing.assert_allclose(FromIrreps(rank)(features), x, atol=1e-6)
        size = np.linalg.norm(x)  # the change of basis is orthogonal
        np.testing.assert_allclose(np.linalg.norm(features), size, rtol=1e-5)


def test_scalars_and_vectors_keep_their_numbers():
    scalars, vectors = noise(2, 3), noise(2, 3, 5)
    np.testing.assert_array_equal(np.array(ToIrreps(0, 1)(scalars))[:, 0], scalars)
    np.testing.assert_allclose(np.array(ToIrreps(1, 2)(vectors))[:, 1:4], vectors, rtol=1e-6)


def test_matrices_turn_by_conjugation():
    m = noise(7, 3, 3, 1)
    for r in rotations.haar(np.random.default_rng(0), 5):
        conjugated = np.einsum("ai,bj,nijc->nabc", r, r, m).astype("float32")
        expected = irreps.representation(2, r) @ np.array(ToIrreps(2, 2)(m))
        np.testing.assert_allclose(ToIrreps(2, 2)(conjugated), expected, atol=1e-5)


def test_tensors_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"ToIrreps `mine` .*\(batch, ..., 3, 3, channels\).*3, 2"):
        ToIrreps(2, 2, name="mine").build((None, 3, 2))
    with pytest.raises(ValueError, match=r"FromIrreps `mine` .*up to 2 or more.*degrees up to 1"):
        FromIrreps(2, name="mine").build((None, 4, 2))


def test_ranks_and_degrees_that_do_not_fit_are_refused():
    with pytest.raises(
        ValueError, match="`degree` to be an integer of at least 2; received degree=1"
    ):
        ToIrreps(2, 1)
    for layer in (lambda: ToIrreps(3, 3), lambda: FromIrreps(3)):
        with pytest.raises(ValueError, match="`rank` to be 0, 1 or 2"):
            layer()
