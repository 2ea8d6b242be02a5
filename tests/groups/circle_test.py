import pathlib
import time

import numpy as np
import pytest

from sen_tf.groups import circle

VECTORS = np.load(pathlib.Path(__file__).parents[1] / "parity" / "ix_e2cnn_steerable.npz")


def test_groups_are_values_with_names():
    assert circle.get("SO2") == circle.get(circle.get("SO2")) != circle.get("O2")
    assert (circle.get("O2").config, str(circle.get("O2"))) == ("O2", "O2")
    assert (circle.get("SO2").on_pixels, circle.get("O2").on_pixels) == ("C4", "D4")
    with pytest.raises(ValueError, match=r"'SO2' or 'O2'; received group='SO\(2\)'.*'SO2'"):
        circle.get("SO(2)")


@pytest.mark.parametrize("name, components", [("SO2", [0, 1, 1, 2, 2]), ("O2", [0, 0, 1, 1, 2, 2])])
def test_components(name, components):
    group = circle.get(name)
    assert group.frequencies(2).tolist() == components
    assert [group.highest(n) for n in range(1, 7)] == (
        [0, None, 1, None, 2, None] if name == "SO2" else [None, 0, None, 1, None, 2]
    )
    sizes = [part.stop - part.start for part in group.parts(len(components))]
    assert sizes == ([1, 2, 2] if name == "SO2" else [1, 1, 2, 2])
    assert group.parts(0) is None


def test_matrices_are_a_representation():
    group, rng = circle.get("O2"), np.random.default_rng(0)
    for first, second in rng.integers(0, 2, (8, 2)).astype(bool):
        a, b = rng.uniform(0, 2 * np.pi, 2)
        product = group.matrix(3, a, first) @ group.matrix(3, b, second)
        # f r = r^-1 f
        together = group.matrix(3, a - b if first else a + b, first != second)
        np.testing.assert_allclose(product, together, atol=1e-12)
        np.testing.assert_allclose(product @ product.T, np.eye(8), atol=1e-12)
    with pytest.raises(ValueError, match="SO2, which has no mirrors"):
        circle.get("SO2").matrix(1, 0.0, mirrored=True)


def test_a_vector_is_frequency_one():
    """(cos, sin) of frequency 1 are the x and the y of a vector."""
    turn, mirror = circle.get("O2").matrix(1, 0.3)[2:, 2:], circle.get("O2").matrix(1, 0.0, True)
    np.testing.assert_allclose(turn, [[np.cos(0.3), -np.sin(0.3)], [np.sin(0.3), np.cos(0.3)]])
    np.testing.assert_array_equal(mirror[2:, 2:], np.diag([-1.0, 1.0]))


@pytest.mark.parametrize("name", ["SO2", "O2"])
@pytest.mark.parametrize("size", [2, 3, 4, 5])
@pytest.mark.parametrize("inputs, outputs", [(None, 2), (0, 1), (2, 0), (2, 3)])
def test_kernels_commute_with_what_maps_pixels_to_pixels(name, size, inputs, outputs):
    """K(g^-1 x) = rho'(g)^-1 K(x) rho(g), and no kernel is a combination of others."""
    group = circle.get(name)
    table = circle.kernel_table(group, size, inputs, outputs).astype("float64")
    assert np.linalg.matrix_rank(table.reshape(len(table), -1)) == len(table)
    window = table.reshape(len(table), size, size, *table.shape[2:])
    for mirrored in (False, True) if name == "O2" else (False,):
        for turns in range(4):
            before = group.matrix(inputs or 0, turns * np.pi / 2, mirrored)
            before = before[: table.shape[2], : table.shape[2]]
            after = group.matrix(outputs, turns * np.pi / 2, mirrored)
            moved = np.rot90(window[:, :, ::-1] if mirrored else window, turns, (1, 2))
            expected = np.einsum("ji,brsjp,po->brsio", before, window, after)
            np.testing.assert_allclose(moved, expected, atol=1e-6)


@pytest.mark.parametrize("name", ["SO2", "O2"])
@pytest.mark.parametrize("inputs, outputs", [(None, 2), (1, 3), (3, 1)])
def test_white_noise_keeps_its_variance_in_every_component(name, inputs, outputs):
    table = circle.kernel_table(circle.get(name), 5, inputs, outputs).astype("float64")
    power = np.sum(table**2, axis=(0, 1, 2)) / len(table)
    parts = circle.get(name).parts(table.shape[3])
    means = [power[part].mean() for part in parts]
    # No kernel of a trivial feature changes its sign under the mirror and none under turns.
    dead = [1] if (name, inputs) == ("O2", None) else []
    np.testing.assert_allclose(means, [0 if n in dead else 1 for n in range(len(parts))], rtol=1e-5)


@pytest.mark.parametrize("case, dimension", [("SO2_irreps_k5", 43), ("O2_irreps_k5", 34)])
def test_kernels_of_e2cnn_lie_in_the_span(case, dimension):
    group = circle.get(case[: case.index("_")])
    table = circle.kernel_table(group, 5, 2, 2).astype("float64")
    components = table.shape[2]
    assert len(table) == dimension == VECTORS[f"{case}/dimension"]
    theirs = VECTORS[f"{case}/kernel"].reshape(-1, components, components, 25)
    convention = published_convention(group)
    theirs = np.einsum("ab,fbcp,dc->pdaf", convention, theirs, convention)
    span = table.transpose(1, 2, 3, 0).reshape(-1, dimension)
    weights, *_ = np.linalg.lstsq(span, theirs.reshape(len(span), -1), rcond=None)
    residual = span @ weights - theirs.reshape(len(span), -1)
    assert np.linalg.norm(residual) < 1e-6 * np.linalg.norm(theirs)


def published_convention(group):
    """The matrix from e2cnn's components to ours: their lines of O(2), times i^k."""
    matrix = np.eye(len(group.frequencies(2)))
    for k in (1, 2) if group.mirrors else ():
        unit = 1j**k
        block = slice(2 * k, 2 * k + 2)
        matrix[block, block] = [[unit.real, -unit.imag], [unit.imag, unit.real]]
    return matrix


def test_tables_are_made_fast_and_once():
    circle.kernel_table.cache_clear()
    begun = time.perf_counter()
    first = circle.kernel_table(circle.get("O2"), 5, 2, 2)
    assert time.perf_counter() - begun < 1
    assert circle.kernel_table(circle.get("O2"), 5, 2, 2) is first and not first.flags.writeable


def test_tables_that_would_fill_the_memory_are_refused():
    with pytest.raises(ValueError, match="64 MiB.*frequencies"):
        circle.kernel_table(circle.get("SO2"), 15, 12, 12)
