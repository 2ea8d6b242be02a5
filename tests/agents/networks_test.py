import keras
import numpy as np
import pytest

from sen_tf import groups
from sen_tf.agents.networks import fields, vector_network
from sen_tf.groups import actions, representations


@pytest.mark.parametrize("group", ["C4", "D4", "D8", "O"])
@pytest.mark.parametrize("output", ["standard + trivial", "2 trivial", 3])
def test_networks_commute_with_every_element(group, output):
    network = vector_network(group, ["2 standard", 2], output, (32, 32))
    for weight in network.weights:
        weight.assign(np.random.default_rng(0).normal(0, 0.3, weight.shape))
    order, rng = groups.get(group).order, np.random.default_rng(1)
    on_vectors = representations.get("2 standard", group).matrices
    x, f = rng.normal(size=(5, len(on_vectors[0]))), rng.normal(size=(5, order, 2))
    made = network.predict_on_batch([x, f])
    assert np.abs(made).max() > 0.1
    for g in range(order):
        turned = network.predict_on_batch(
            [x @ on_vectors[g].T, actions.act_on_regular(f, group, g)]
        )
        if isinstance(output, int):
            expected = actions.act_on_regular(made, group, g)
        else:
            expected = made @ representations.get(output, group).matrices[g].T
        np.testing.assert_allclose(turned, expected, atol=1e-4)


def test_the_network_of_c1_is_plain_and_weighs_as_much_as_others():
    plain = vector_network("C1", ["4 trivial"], "2 trivial", (64, 64))
    assert plain(keras.ops.ones((3, 4))).shape == (3, 2)
    assert plain.count_params() == (4 * 64 + 64) + (64 * 64 + 64) + 2 * 64 + (64 * 2 + 2)
    turning = vector_network("D4", ["2 standard"], "standard", (64, 64))
    assert 0.8 < turning.count_params() / plain.count_params() < 1.25
    assert fields(64, "D4") == 23 and fields(1, "O") == 1
