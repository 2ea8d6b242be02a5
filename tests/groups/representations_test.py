import copy
import pathlib
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sen_tf.groups import FiniteGroup, Representation, actions, get, representations

GROUPS = ["C1", "C2", "C3", "C4", "C6", "C8", "D1", "D2", "D3", "D4", "D6", "D8"]
KLEIN = FiniteGroup("V", [[0, 1, 2, 3], [1, 0, 3, 2], [2, 3, 0, 1], [3, 2, 1, 0]])
PARITY = pathlib.Path(__file__).parents[1] / "parity"


def _quaternions():
    """The group of 1, i, j, k, -1, -i, -j, -k, and its representation on the quaternions."""
    one, i = np.eye(2), np.array([[0, -1], [1, 0]])
    a, b = np.kron(np.diag([1, -1]), i), np.kron(i, one)
    units = [np.eye(4), a, b, a @ b]
    units = np.array(units + [-unit for unit in units])
    products = np.einsum("gij,hjk->ghik", units, units)
    table = (products[:, :, None] == units).all((-1, -2)).argmax(-1)
    return Representation(FiniteGroup("Q8", table), "quaternions", units)


@settings(deadline=None)
@given(st.sampled_from(GROUPS), st.data())
def test_all_strings_make_homomorphisms_and_print_themselves(name, data):
    group = get(name)
    atoms = ["trivial", "standard", "regular", "quotient(0)"]
    atoms += [repr(irrep) for irrep in representations.irreps(group)]
    terms = data.draw(
        st.lists(st.tuples(st.integers(1, 3), st.sampled_from(atoms)), max_size=3, min_size=1)
    )
    rho = representations.get(" + ".join(f"{count} {atom}" for count, atom in terms), group)
    assert rho.matrices.shape == (group.order, rho.dimension, rho.dimension)
    g, h = (data.draw(st.sampled_from(group.elements)) for _ in range(2))
    np.testing.assert_allclose(
        rho.matrices[g] @ rho.matrices[h], rho.matrices[group.product[g, h]], atol=1e-12
    )
    assert representations.get(repr(rho), group) == rho
    assert rho.dimension == sum(
        count * representations.get(atom, group).dimension for count, atom in terms
    )


@pytest.mark.parametrize("name", GROUPS)
def test_irreps_are_all_there_and_differ(name):
    group = get(name)
    irreps = representations.irreps(group)
    size = {"real": 1, "complex": 2}
    assert sum(rho.dimension**2 // size[rho.kind] for rho in irreps) == group.order
    characters = np.array([np.trace(rho.matrices, axis1=1, axis2=2) for rho in irreps])
    np.testing.assert_allclose(
        characters @ characters.T / group.order,
        np.diag([size[rho.kind] for rho in irreps]),
        atol=1e-12,
    )


def test_kinds():
    assert [rho.kind for rho in representations.irreps("C4")] == ["real", "real", "complex"]
    assert {rho.kind for rho in representations.irreps("D4")} == {"real"}
    assert representations.get("regular", "C4").kind == "reducible"
    assert representations.get("sign + trivial", "D3").kind == "reducible"
    assert _quaternions().kind == "quaternionic"


@pytest.mark.parametrize("name", GROUPS)
def test_irreducible_parts_turn_by_their_representations(name):
    group = get(name)
    parts = representations.irreducible_parts(group)
    every = np.concatenate([basis for _, basis in parts])
    np.testing.assert_allclose(every @ every.T, np.eye(group.order), atol=1e-12)
    x = np.random.default_rng(0).normal(size=group.order)
    for g in group.elements:
        turned = actions.act_on_regular(x, group, g, axis=0)
        for irrep, basis in parts:
            np.testing.assert_allclose(basis @ turned, irrep.matrices[g] @ (basis @ x), atol=1e-12)


def test_irreducible_parts_are_lines_and_planes():
    def parts(name):
        return [(repr(irrep), len(b)) for irrep, b in representations.irreducible_parts(name)]

    lines = [("trivial", 1), ("sign", 1)]
    assert parts("C4") == [*lines, ("rotation(1)", 2)]
    assert parts("D4") == [*lines, ("sign_r", 1), ("sign_rf", 1), *[("rotation(1)", 2)] * 2]
    with pytest.raises(ValueError, match="cyclic or dihedral"):
        representations.irreducible_parts(KLEIN)


def test_published_regular_matrices():
    published = np.load(PARITY / "vii_e2cnn_C4.npz")["regular"]
    np.testing.assert_allclose(representations.get("regular", "C4").matrices, published, atol=1e-6)


@pytest.mark.parametrize("name", GROUPS)
def test_regular_is_the_action_on_functions(name):
    f = np.random.default_rng(0).normal(size=get(name).order)
    rho = representations.get("regular", name).matrices
    for g in get(name).elements:
        np.testing.assert_array_equal(rho[g] @ f, actions.act_on_regular(f, name, g, axis=0))


@pytest.mark.parametrize("name", GROUPS)
def test_standard_is_the_action_on_vectors_and_sign_of_d_its_determinant(name):
    standard = representations.get("standard", name).matrices
    for g in get(name).elements:
        np.testing.assert_array_equal(standard[g], actions.vector_matrix(name, g))
    if name.startswith("D"):
        sign = representations.get("sign", name).matrices
        np.testing.assert_allclose(np.linalg.det(standard), sign[:, 0, 0], atol=1e-12)


def test_signs_of_c():
    assert representations.get("sign", "C4").matrices.ravel().tolist() == [1, -1, 1, -1]


def test_quotients():
    def matrices(string, group):
        return representations.get(string, group).matrices

    np.testing.assert_array_equal(matrices("quotient(0)", "D3"), matrices("regular", "D3"))
    np.testing.assert_array_equal(matrices("quotient(0,1,2,3)", "C4"), matrices("trivial", "C4"))
    swap = [np.eye(2), np.eye(2)[::-1]] * 2
    np.testing.assert_array_equal(matrices("quotient(0,2)", "C4"), swap)
    # The corners of a square: D4 over the mirror f.
    assert representations.get("quotient(0,4)", "D4").dimension == 4


def test_permutation_sends_e_i_to_e_p_i():
    rho = representations.get("permutation( 3, 0, 1, 2 )", "C4")
    assert repr(rho) == "permutation(3,0,1,2)"
    np.testing.assert_array_equal(rho.matrices[1] @ np.eye(4)[0], np.eye(4)[3])
    rho = representations.get("permutation(1,2,3,0;0,3,2,1)", "D4").matrices
    np.testing.assert_array_equal(rho[4] @ np.eye(4)[1], np.eye(4)[3])
    np.testing.assert_array_equal(rho[5], rho[1] @ rho[4])


def test_direct_sums():
    sign, standard = (representations.get(string, "D4") for string in ("sign", "standard"))
    rho = sign + standard + standard
    assert repr(rho) == "sign + 2 standard"
    assert rho == representations.get("sign+2 standard", "D4") != standard + sign + standard
    np.testing.assert_array_equal(rho.matrices[:, 3:, 3:], standard.matrices)
    np.testing.assert_array_equal(rho.matrices[:, 0, 1:], 0)
    with pytest.raises(ValueError, match="representations of D4"):
        sign + representations.get("sign", "C4")
    with pytest.raises(TypeError):
        sign + "sign"


def test_a_representation_is_a_value():
    rho = representations.get("standard", "D4")
    assert representations.get(rho, "D4") is rho
    assert rho != representations.get("standard", "D3") and rho != "standard"
    assert rho != Representation("D4", "standard", np.eye(2)[None].repeat(8, 0))
    assert hash(rho) == hash(representations.get("standard", "D4"))
    for clone in (copy.deepcopy(rho), pickle.loads(pickle.dumps(rho))):
        assert clone == rho and not clone.matrices.flags.writeable
    with pytest.raises(ValueError):
        rho.matrices[0] = 0
    with pytest.raises(AttributeError):
        rho.name = "other"


def test_any_group_has_regular_and_quotients():
    assert representations.get("regular + quotient(0,3)", KLEIN).dimension == 6
    with pytest.raises(ValueError, match="cyclic or dihedral"):
        representations.get("standard", KLEIN)


@pytest.mark.parametrize(
    ("string", "group", "message"),
    [
        ("regulr", "C4", "Did you mean 'regular'"),
        ("", "C4", "to be a sum of"),
        ("trivial +", "C4", "to be a sum of"),
        ("0 trivial", "C4", "to be a sum of"),
        ("trivial(1)", "C4", "written like"),
        ("quotient", "C4", "written like"),
        ("sign", "C3", "r\\^3 = 1"),
        ("sign_r", "D3", "r\\^3 = 1"),
        ("sign_r", "C4", "dihedral"),
        ("rotation(2)", "C4", "0 < k < 4/2"),
        ("rotation(0)", "C4", "0 < k < 4/2"),
        ("rotation(1,2)", "C8", "0 < k < 8/2"),
        ("quotient(0,1)", "C4", "subgroup of C4"),
        ("quotient(0,0)", "C4", "subgroup of C4"),
        ("quotient(4)", "C4", "subgroup of C4"),
        ("quotient(0;0)", "C4", "subgroup of C4"),
        ("permutation(1,2,0)", "C4", "r\\^4 = 1"),
        ("permutation(1,0)", "C1", "r\\^1 = 1"),
        ("permutation(1,1)", "C2", "each of 0 .. d - 1 once"),
        ("permutation(1,0;0,1,2)", "D2", "each of 0 .. d - 1 once"),
        ("permutation(1,0)", "D2", "each generator of D2"),
        ("permutation(1,0;0,1)", "C2", "each generator of C2"),
        ("permutation(1,2,3,0;0,1,2,3)", "D4", "representation of D4"),
        (3, "C4", "Representation or a string"),
        (representations.get("sign", "D4"), "C4", "one of C4"),
    ],
)
def test_wrong_strings_are_refused(string, group, message):
    with pytest.raises(ValueError, match=message):
        representations.get(string, group)


@pytest.mark.parametrize(
    ("matrices", "message"),
    [
        (np.ones((3, 1, 1)), "shape"),
        (np.ones((2, 1, 2)), "shape"),
        (np.ones((2, 0, 0)), "shape"),
        (np.ones((2,)), "shape"),
        (np.zeros((2, 1, 1)), "representation of C2"),
        (np.array([[[1.0]], [[2.0]]]), "representation of C2"),
        (np.full((2, 1, 1), np.nan), "representation of C2"),
    ],
)
def test_matrices_that_are_no_representation_are_refused(matrices, message):
    with pytest.raises(ValueError, match=message):
        Representation("C2", "bad", matrices)
