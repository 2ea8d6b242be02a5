import keras
import numpy as np
import pytest

from sen_tf import losses
from sen_tf.groups import rotations


def test_energy_on_five_numbers():
    x = np.array([[[1.0, 2.0], [3.0, 4.0]]])
    y = np.array([[[1.0, 1.0], [1.0, 4.0]]])
    assert float(losses.energy(x, y)[0]) == pytest.approx(2 * (1 + 4) / 2)
    assert float(losses.energy(x, y, object_axis=False)[0]) == pytest.approx(2 * (1 + 4))
    assert float(losses.energy(x, y, sigma=1.0)[0]) == pytest.approx(0.5 * (1 + 4) / 2)


def test_the_mean_of_several_negatives_is_taken_before_the_hinge():
    zero, near, far = np.zeros((1, 1)), np.full((1, 1), 0.1), np.full((1, 1), 2.0)
    _, one = losses.contrastive_hinge(zero, zero, zero, [near], object_axis=False)
    _, both = losses.contrastive_hinge(zero, zero, zero, [near, far], object_axis=False)
    assert float(one[0]) == pytest.approx(1 - 2 * 0.01)
    assert float(both[0]) == 0.0  # the mean energy, (0.02 + 8) / 2, is beyond the hinge
    _, same = losses.contrastive_hinge(zero, zero, zero, [near, near], object_axis=False)
    assert float(same[0]) == pytest.approx(1 - 2 * 0.01)


def test_action_contrast_is_log_two_where_actions_do_nothing_and_falls_where_they_tell():
    z, after = np.zeros((2, 1, 1), np.float32), np.float32([[[1]], [[-1]]])
    undecided = losses.action_contrast(z, z, after, 2.0)
    np.testing.assert_allclose(undecided, np.log(2.0), rtol=1e-6)
    right = losses.action_contrast(after, z, after, 2.0)
    np.testing.assert_allclose(right, np.log1p(np.exp(-1.0)), rtol=1e-6)  # one unit nearer


def by_hand(rows, pool, energy, floor=1e-4):
    """The mean over rows of log(floor + the mean kernel of all others), sample by sample."""
    values = []
    for i, x in enumerate(rows):
        near = [np.exp(-energy(x, y)) for j, y in enumerate(pool) if j != i]
        values.append(np.log(floor + np.mean(near)))
    return np.array(values)


def test_uniformity_compares_each_state_with_all_others():
    rng = np.random.default_rng(0)
    state, after = rng.standard_normal((2, 4, 3)).astype("float32") / 2
    loss = losses.ContrastiveLoss([losses.Uniformity()], object_axis=False)
    part = loss.negatives[0].part(loss, {"state": state, "next_state": after})
    rows = np.stack([state, after], axis=1).reshape(-1, 3)
    expected = by_hand(rows, rows, lambda x, y: 2 * np.sum((x - y) ** 2))
    np.testing.assert_allclose(part, expected.reshape(4, 2).mean(axis=1), rtol=1e-5)


def test_uniformity_sees_reversed_images_too_and_each_run_once():
    rng = np.random.default_rng(1)
    run = rng.standard_normal((2, 4, 3)).astype("float32") / 2
    further = rng.standard_normal((3, 3)).astype("float32") / 2
    kind = losses.Uniformity(reversed_frames=True)
    loss = losses.ContrastiveLoss([kind], object_axis=False)
    states = {"state": run[:, :-1], "next_state": run[:, 1:], "run": run, "half_reversed": further}
    rows = run.reshape(-1, 3)
    pool = np.concatenate([rows, further])
    expected = by_hand(rows, pool, lambda x, y: 2 * np.sum((x - y) ** 2)).reshape(2, 4).mean(axis=1)
    np.testing.assert_allclose(kind.part(loss, states), np.repeat(expected, 3), rtol=1e-5)
    images = np.arange(5.0)[:, None, None, None] + np.array([0.0, 0.5])
    exchanged = kind.images(images)["half_reversed"]
    np.testing.assert_array_equal(exchanged, images[:3, ..., ::-1])
    assert losses.Uniformity().images(images) == {}


@pytest.mark.parametrize(
    "step, training, each", [(0, True, True), (5, True, False), (0, False, False)]
)
def test_at_first_each_object_has_a_hinge_of_its_own(step, training, each):
    """Two objects, of which the second shows nothing: the first alone takes the samples apart."""
    state = np.array([[[[0.0]], [[0.0]]], [[[1.0]], [[0.0]]]], "float32")
    states = {"state": state, "predicted": state, "next_state": state}
    loss = losses.ContrastiveLoss(object_hinge_steps=5)
    seed = keras.random.SeedGenerator(0)
    _, positive, negative = loss({}, states, step, None, seed, training)
    np.testing.assert_allclose(positive, 0.0)
    # Energies are 2 and 0, their mean 1: up to hinges of 1, or to one hinge of 1.
    np.testing.assert_allclose(negative, 0.5 if each else 0.0)
    copied = losses.ContrastiveLoss.from_config(loss.get_config())
    assert copied.object_hinge_steps == 5


def test_every_second_sample_is_contrasted_with_another_move_of_its_object():
    actions = np.array([0, 1, 4, 5, 8, 2, 0, 4])  # objects 0 0 1 1 2 0 0 1, of four moves
    others = np.array(losses.ActionContrast(3, moves=4)._others(actions))
    np.testing.assert_array_equal(others[::2], np.roll(actions, 1)[::2])
    np.testing.assert_array_equal(others[1::2], [0, 4, 0, 5])
    alone = np.array([0, 4, 8, 12])  # nobody else's: as without moves
    np.testing.assert_array_equal(
        losses.ActionContrast(3, moves=4)._others(alone), np.roll(alone, 1)
    )
    np.testing.assert_array_equal(losses.ActionContrast(3)._others(actions), np.roll(actions, 1))
    with pytest.raises(ValueError, match="Expected `moves` to be at least 2"):
        losses.ActionContrast(3, moves=1)


def test_a_hinge_of_each_object_needs_objects():
    with pytest.raises(ValueError, match="Expected `object_hinge_steps` to be 0 where"):
        losses.ContrastiveLoss(object_axis=False, object_hinge_steps=3)


def test_uniformity_averages_energies_over_objects():
    rng = np.random.default_rng(2)
    state, after = rng.standard_normal((2, 3, 2, 4, 1)).astype("float32") / 2  # two objects
    kind = losses.Uniformity(floor=1e-3)
    part = kind.part(losses.ContrastiveLoss([kind]), {"state": state, "next_state": after})
    rows = np.stack([state, after], axis=1).reshape(-1, 2, 4)
    expected = by_hand(rows, rows, lambda x, y: np.sum((x - y) ** 2), 1e-3)  # 2 / 2 objects
    np.testing.assert_allclose(part, expected.reshape(3, 2).mean(axis=1), rtol=1e-4)


def test_uniformity_of_one_transition_and_of_none_is_finite():
    loss = losses.ContrastiveLoss([losses.Uniformity()], object_axis=False)
    for count in (1, 0):
        z = np.ones((count, 3), "float32")
        part = np.array(loss.negatives[0].part(loss, {"state": z, "next_state": z}))
        assert part.shape == (count,)
        np.testing.assert_allclose(part, np.log(1 + 1e-4), rtol=1e-3)


def test_a_floor_that_is_not_positive_is_refused():
    with pytest.raises(ValueError, match="`floor` to be positive; received floor=0"):
        losses.Uniformity(floor=0)


def turned_vectors(batch=200, vectors=5):
    """Bodies in all positions: vectors fixed to them, and actions that turn them by 12 degrees."""
    rng = np.random.default_rng(0)
    z = rotations.haar(rng, batch)
    action = rotations.exp(0.2 * rng.permuted(np.tile([1.0, 0, 0], (batch, 1)), axis=1))
    vectors = z @ rng.standard_normal((3, vectors))
    batch = {"action": action.astype("float32")}
    states = {"features": vectors, "next_features": action @ vectors}
    return batch, {name: array.astype("float32") for name, array in states.items()}


def aligned(states, batch, epsilon=1e-3):
    term = losses.Alignment(10, epsilon)
    value = np.array(term(losses.ContrastiveLoss(), batch, states, 0, None))
    assert value.shape == (len(batch["action"]),) and (value == value[0]).all()
    return value[0]


def test_alignment_is_least_where_actions_turn_all_vectors():
    batch, states = turned_vectors()
    assert aligned(states, batch) == pytest.approx(5 * np.log(1e-3), rel=1e-3)
    constant = {name: np.ones_like(array) for name, array in states.items()}
    still = {"features": states["features"], "next_features": states["features"]}
    assert aligned(still, batch) > aligned(states, batch) + 3  # they should have moved
    assert aligned(constant, batch) > aligned(still, batch)  # and it pays for no collapse


def test_alignment_is_what_the_action_leaves_unexplained_whatever_the_basis():
    batch, states = turned_vectors()
    rng = np.random.default_rng(1)
    noisy = {
        name: array + 0.1 * rng.standard_normal(array.shape).astype("float32")
        for name, array in states.items()
    }
    before, after = noisy["features"], noisy["next_features"]
    left = batch["action"] @ before - after
    both = np.concatenate([before, after])
    both = both - both.mean(axis=0)
    m, g = (np.einsum("nic,nid->cd", x, x) / len(x) for x in (left, both))
    expected = sum(
        np.linalg.slogdet((m + 1e-2 * g)[k, k])[1] - np.linalg.slogdet(g[k, k])[1]
        for k in (slice(2), slice(2, 5))  # of the two, and of the others
    )
    assert aligned(noisy, batch, 1e-2) == pytest.approx(expected, rel=1e-3)
    basis = np.eye(5, dtype=np.float32)
    basis[:2, :2], basis[2:, 2:] = [[2, 1], [0, 3]], [[1, 2, 0], [0, 1, 0], [1, 0, 4]]
    mixed = {name: array @ basis for name, array in noisy.items()}
    assert aligned(mixed, batch, 1e-2) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("step, counts", [(0, True), (9, True), (10, False)])
def test_alignment_stands_for_the_loss_while_it_counts(step, counts):
    batch, states = turned_vectors(batch=8)
    states = {"state": states["features"], "next_state": states["next_features"], **states}
    states["predicted"] = states["state"]
    term = losses.Alignment(10)
    loss = losses.ContrastiveLoss([losses.Uniformity()], [term], object_axis=False)
    assert loss.features and not losses.ContrastiveLoss(terms=[losses.ActionContrast(3)]).features
    found, positive, negative = loss(batch, states, step, None, None)
    expected = term(loss, batch, states, step, None) if counts else positive + negative
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("arguments", [{"steps": 0}, {"steps": 3, "epsilon": 0.0}])
def test_an_alignment_that_cannot_count_is_refused(arguments):
    with pytest.raises(ValueError, match="Expected `(steps|epsilon)` to be"):
        losses.Alignment(**arguments)


def test_an_alignment_of_what_is_not_vectors_or_rotations_is_refused():
    batch, states = turned_vectors(batch=4)
    pair = {name: array[..., :2] for name, array in states.items()}
    maps = {name: array[..., None] for name, array in states.items()}
    for wrong in ((batch, pair), (batch, maps), ({"action": np.zeros(4)}, states)):
        with pytest.raises(ValueError, match="`Alignment` needs .* rotations, .*received"):
            losses.Alignment(3)(losses.ContrastiveLoss(), *wrong, 0, None)


def test_uniformity_compares_states_alone():
    with pytest.raises(ValueError, match="`variant` to be 'current'.*received variant='predicted'"):
        losses.ContrastiveLoss([losses.Uniformity()], variant="predicted")
