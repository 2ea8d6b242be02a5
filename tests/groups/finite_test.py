import copy
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sen_tf.groups import FiniteGroup, cyclic, dihedral, finite, get

GROUPS = st.builds(lambda letter, n: get(f"{letter}{n}"), st.sampled_from("CD"), st.integers(1, 12))
KLEIN = [[0, 1, 2, 3], [1, 0, 3, 2], [2, 3, 0, 1], [3, 2, 1, 0]]
# A loop of order 5: a latin square with an identity that is not associative.
LOOP = [[0, 1, 2, 3, 4], [1, 0, 3, 4, 2], [2, 4, 0, 1, 3], [3, 2, 4, 0, 1], [4, 3, 1, 2, 0]]


@settings(deadline=None)
@given(GROUPS, st.data())
def test_group_laws(group, data):
    g, h, k = (data.draw(st.sampled_from(group.elements)) for _ in range(3))
    product, inverse = group.product, group.inverse
    assert product[product[g, h], k] == product[g, product[h, k]]
    assert product[0, g] == product[g, 0] == g
    assert product[g, inverse[g]] == product[inverse[g], g] == 0
    assert inverse[product[g, h]] == product[inverse[h], inverse[g]]


@settings(deadline=None)
@given(GROUPS, st.data())
def test_elements_are_r_to_the_k_then_f_to_the_j(group, data):
    letter, n = finite.family(group)
    g = data.draw(st.sampled_from(group.elements))
    k, j = finite.normal_form(group, g)
    word = 0
    for generator in [1 % n] * k + [n] * j:
        word = group.product[word, generator]
    assert word == g
    assert group.order == {"C": n, "D": 2 * n}[letter]


@pytest.mark.parametrize("n", range(1, 9))
def test_cyclic_adds_and_dihedral_conjugates_r_to_its_inverse(n):
    k = np.arange(n)
    np.testing.assert_array_equal(cyclic(n).product, (k[:, None] + k) % n)
    group, r, f = dihedral(n), 1 % n, n
    assert group.product[group.product[f, r], f] == group.inverse[r]
    assert group.product[r, f] == n + r


def test_a_group_is_a_value():
    d4 = get("D4")
    assert d4 is get("D4") is get(d4)
    assert d4 == FiniteGroup("D4", d4.product.copy()) == dihedral(4)
    assert d4 != get("C8") and d4 != FiniteGroup("other", d4.product) and d4 != "D4"
    assert len({d4, FiniteGroup("D4", d4.product), get("C4")}) == 2
    assert repr(d4) == d4.name == "D4"
    assert list(d4.elements) == list(range(8))
    for clone in (copy.deepcopy(d4), pickle.loads(pickle.dumps(d4))):
        assert clone == d4 and not clone.product.flags.writeable


def test_a_group_is_frozen():
    group = FiniteGroup("V", KLEIN)
    with pytest.raises(AttributeError):
        group.name = "W"
    with pytest.raises(ValueError):
        group.product[0, 0] = 1
    with pytest.raises(ValueError):
        group.inverse[0] = 1


@pytest.mark.parametrize(
    ("product", "message"),
    [
        ([[0, 1]], "square"),
        ([], "square"),
        ([[0.0, 1.0], [1.0, 0.0]], "integers"),
        ([[0, 1], [1, 2]], "from 0 to 1"),
        ([[1, 0], [0, 1]], "identity"),
        ([[0, 1, 2], [1, 1, 2], [2, 2, 1]], "every element once"),
        (LOOP, "associative"),
    ],
)
def test_a_table_that_is_no_group_is_refused(product, message):
    with pytest.raises(ValueError, match=message):
        FiniteGroup("bad", product)


@pytest.mark.parametrize("name", ["C0", "C-1", "c4", "C04", "S5", "", 4, None])
def test_unknown_names_are_refused(name):
    with pytest.raises(ValueError, match="Expected `group`"):
        get(name)


def test_a_wrong_name_gets_the_nearest_one():
    with pytest.raises(ValueError, match="Did you mean 'D4'"):
        get("d4")


@pytest.mark.parametrize("n", [0, -1, 2.5, "4"])
@pytest.mark.parametrize("make", [cyclic, dihedral])
def test_n_below_one_is_refused(make, n):
    with pytest.raises(ValueError, match="Expected `n`"):
        make(n)


@pytest.mark.parametrize("name", ["", None])
def test_a_group_needs_a_name(name):
    with pytest.raises(ValueError, match="Expected `name`"):
        FiniteGroup(name, [[0]])


@pytest.mark.parametrize("g", [-1, 4, 1.0, "r"])
def test_what_is_no_element_is_refused(g):
    with pytest.raises(ValueError, match="element of C4"):
        get("C4").element(g)


@pytest.mark.parametrize("group", [FiniteGroup("V", KLEIN), FiniteGroup("C4", KLEIN)])
def test_family_goes_by_name_and_table(group):
    with pytest.raises(ValueError, match="cyclic or dihedral"):
        finite.family(group)
