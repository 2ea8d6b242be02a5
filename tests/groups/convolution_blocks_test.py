import itertools
import pathlib

import numpy as np
import pytest

from sen_tf.groups import convolution_blocks, get

GROUPS = ["C1", "C2", "C3", "C4", "C6", "C8", "D1", "D2", "D3", "D4", "D6", "D8"]
PARITY = pathlib.Path(__file__).parents[1] / "parity"


def _convolved(blocks, kernels, functions):
    """`y(g) = sum_h x(h) K(g^-1 h)` of (batch, |G|, channels), product by product."""
    x_hat = np.einsum("pg,...gc->...pc", blocks.inputs, functions)
    y_hat = []
    for kernel in itertools.chain.from_iterable(blocks.kernels):
        m = len(kernel)
        numbers, x_hat = np.split(x_hat, [m * m], axis=-2)
        numbers = numbers.reshape(*numbers.shape[:-2], m, m, -1)
        product = np.einsum("abj,jco,...bic->...aio", kernel, kernels, numbers)
        y_hat.append(product.reshape(*product.shape[:-3], m * m, -1))
    return np.einsum("gp,...po->...go", blocks.outputs, np.concatenate(y_hat, axis=-2))


@pytest.mark.parametrize("name", GROUPS)
def test_convolution_blocks_convolve(name):
    group = get(name)
    k, x = np.random.default_rng(0).normal(size=(2, group.order))
    g, h = np.indices((group.order, group.order))
    y = k[group.product[group.inverse[g], h]] @ x
    found = _convolved(convolution_blocks.get(group), k[:, None, None], x[None, :, None])
    np.testing.assert_allclose(found[0, :, 0], y, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "sizes"),
    [("C1", [(1, 1)]), ("C3", [(4, 1)]), ("C4", [(5, 1)]), ("C8", [(11, 1)])]
    + [("D1", [(2, 1)]), ("D3", [(2, 1), (1, 2)]), ("D4", [(4, 1), (1, 2)])]
    + [("D8", [(4, 1), (3, 2)])],
)
def test_convolution_takes_few_products(name, sizes):
    blocks = convolution_blocks.get(get(name))
    assert [kernels.shape[:2] for kernels in blocks.kernels] == sizes


def test_published_c4_layer():
    vectors = np.load(PARITY / "i_c4conv.npz")
    kernels = vectors["weights"].transpose(0, 2, 1)
    found = _convolved(convolution_blocks.get(get("C4")), kernels, vectors["x"])
    np.testing.assert_allclose(found, vectors["y"] - vectors["bias"], atol=1e-9)
