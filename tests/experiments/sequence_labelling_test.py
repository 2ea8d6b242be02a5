"""The smallest symmetric embedding, trained for a little less: what each arm learns and writes."""

import numpy as np
import pytest
from PIL import Image

from sen_tf import experiments
from sen_tf.experiments import sequence_labelling as sequences
from sen_tf.groups import actions as act


@pytest.fixture(scope="module")
def scores(tmp_path_factory):
    """The scores of each arm."""
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sequences, "EPOCHS", 30)
        for arm in experiments.get("sequence").arms:
            directory = tmp_path_factory.mktemp(arm)
            found[arm] = experiments.get("sequence").run(arm, (), 2, directory)
            with Image.open(directory / "matrices.png") as picture:
                assert len(picture.convert("RGB").getcolors(maxcolors=10**6)) > 100
    return found


def test_symmetric_arm_labels_unseen_shifts(scores):
    sen = scores["sen"]
    assert sen["accuracy_unseen"] > 90
    assert sen["accuracy_unseen"] > sen["accuracy_seen"] - 3


def test_plain_arm_does_not(scores):
    plain = scores["nonequivariant"]
    assert plain["accuracy_seen"] > 90
    assert plain["accuracy_unseen"] < plain["accuracy_seen"] - 8


def test_dense_layer_becomes_circulant_before_convolutions_only(scores):
    errors = {
        arm: [found[name] for name in ("ee_before_training", "ee_embedding")]
        for arm, found in scores.items()
    }
    assert errors["sen"][0] > 1.2 and errors["sen"][1] < 0.3
    assert min(errors["nonequivariant"]) > 1.2


def test_labels_move_with_the_sequence():
    x = sequences.waves(np.random.default_rng(0), 5)
    labels = sequences.quadrants(x)
    assert set(labels.flat) == {0, 1, 2, 3}
    for g in sequences.GROUP.elements:
        shifted = act.act_on_regular(x, sequences.GROUP, g, axis=1)
        moved = act.act_on_regular(labels, sequences.GROUP, g, axis=1)
        np.testing.assert_array_equal(sequences.quadrants(shifted), moved)


def test_a_shift_of_half_a_circle_is_not_in_the_training_set():
    x = sequences.waves(np.random.default_rng(0), 1000)
    share = np.mean(sequences.quadrants(x) >= 2, axis=0)  # of waves above zero, at each position
    quarter = sequences.POSITIONS // 4
    assert share[quarter] > 0.9 and share[3 * quarter] < 0.1


def test_observation_is_orthogonal():
    matrix = sequences.observation_matrix(np.random.default_rng(0))
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(sequences.POSITIONS), atol=1e-12)


def test_circulant_matrices_have_no_equivariance_error():
    rng = np.random.default_rng(0)
    first = rng.normal(size=sequences.POSITIONS)
    circulant = np.stack([np.roll(first, k) for k in range(sequences.POSITIONS)])
    x = sequences.waves(rng, 20)
    assert sequences.equivariance_error(circulant, x) < 1e-12
    assert sequences.equivariance_error(sequences.observation_matrix(rng), x) > 1
