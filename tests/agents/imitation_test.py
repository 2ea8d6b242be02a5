"""Networks that commute, likely Gaussians, traces that lead back, and policies that act."""

import keras
import numpy as np
import pytest

from sen_tf.agents import imitation
from sen_tf.agents.imitation import BackwardModel, ForwardModel, Gaussian, Schedule, Steps, World
from sen_tf.envs.maze import STEP, Maze
from sen_tf.groups import Representation, actions

PLAIN = World("C1", "2 trivial", "2 trivial")
TURNING = World("C4", "standard", "standard")


@pytest.fixture(scope="module")
def env():
    return Maze("pinwheel")


@pytest.fixture(scope="module")
def demonstrations(env):
    return Steps(*env.demonstrations(np.random.default_rng(0), 5))


@pytest.fixture(scope="module")
def backward(demonstrations):
    keras.utils.set_random_seed(0)
    model = BackwardModel(TURNING)
    model.fit(demonstrations, 1000, 64, np.random.default_rng(0))
    return model


@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
def test_optimizers_are_built_before_the_first_step_which_is_traced_once(policy):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        networks = Gaussian("C1", ["trivial"], "trivial").network, imitation.make_policy(PLAIN)
    finally:
        keras.config.set_dtype_policy(before)
    for network in networks:
        scaled = isinstance(network.optimizer, keras.optimizers.LossScaleOptimizer)
        assert network.optimizer.built and scaled == (policy == "mixed_float16")


def test_a_gaussian_learns_mean_and_deviation():
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (2000, 1))
    noisy = np.abs(x) * 0.2
    y = 5 * np.concatenate([2 * x, -x], axis=1) + 5 * noisy * rng.standard_normal((2000, 2))
    gaussian = Gaussian("C1", ["trivial"], "2 trivial")
    gaussian.fit([x], y, 2000, 64, rng)
    for place in (-0.8, 0.4):
        drawn = gaussian.sample([np.full((4000, 1), place)], np.random.default_rng(1))
        np.testing.assert_allclose(drawn.mean(axis=0), [10 * place, -5 * place], atol=0.3)
        np.testing.assert_allclose(drawn.std(axis=0), abs(place), rtol=0.35)
    wide = gaussian.sample([np.full((4000, 1), 0.4)], np.random.default_rng(1), widened=3.0)
    np.testing.assert_allclose(wide.std(axis=0), np.hypot(0.4, 3.0), rtol=0.1)
    again = gaussian.sample([np.full((4000, 1), 0.4)], np.random.default_rng(1), widened=3.0)
    np.testing.assert_array_equal(wide, again)


@pytest.mark.parametrize("g", range(1, 4))
def test_policies_and_gaussians_turn_with_their_inputs(backward, g):
    turn = actions.vector_matrix("C4", g).T
    places = np.random.default_rng(0).normal(size=(50, 2)).astype("float32")
    policy = imitation.make_policy(TURNING)
    np.testing.assert_allclose(
        policy.predict_on_batch(places @ turn), policy.predict_on_batch(places) @ turn, atol=1e-5
    )
    network = backward.actions.network
    made, turned = network.predict_on_batch(places), network.predict_on_batch(places @ turn)
    np.testing.assert_allclose(turned[:, :2], made[:, :2] @ turn, atol=1e-4)
    np.testing.assert_allclose(turned[:, 2], made[:, 2], atol=1e-4)


def test_a_representation_of_ones_own_is_one_of_the_models():
    basis = np.array([[1.0, 1.0], [0.0, 1.0]])  # quarter turns, in slanted coordinates
    turns = np.stack([actions.vector_matrix("C4", g) for g in range(4)])
    own = Representation("C4", "slanted", basis @ turns @ np.linalg.inv(basis))
    model = BackwardModel(World("C4", own, own))
    for weight in model.actions.network.weights:
        weight.assign(np.random.default_rng(0).normal(0, 0.3, weight.shape))
    places = np.random.default_rng(0).normal(size=(50, 2))
    made = model.actions.network.predict_on_batch(places)
    assert made.shape == (50, 3) and np.abs(made).max() > 0.1
    for matrix in own.matrices:
        turned = model.actions.network.predict_on_batch(places @ matrix.T)
        np.testing.assert_allclose(turned[:, :2], made[:, :2] @ matrix.T, atol=1e-4)
        np.testing.assert_allclose(turned[:, 2], made[:, 2], atol=1e-4)


def test_steps_of_the_backward_model_lead_back(env, demonstrations, backward):
    made = backward.imagine(None, demonstrations, 3, np.random.default_rng(0))
    assert len(made) == 3 * len(demonstrations) and np.abs(made.actions).max() <= 1
    reached = env.step_states(made.states, made.actions)
    missed = np.linalg.norm(reached - made.next_states, axis=1)
    assert np.median(missed) < STEP
    first = slice(len(demonstrations))
    np.testing.assert_array_equal(made.next_states[first], demonstrations.states)
    np.testing.assert_array_equal(
        made.next_states[len(demonstrations) :][first], made.states[first]
    )
    # Noise makes a tube about the demonstrations.
    narrow = BackwardModel(TURNING, noise=0.0)
    narrow.actions, narrow.changes = backward.actions, backward.changes
    close = narrow.imagine(None, demonstrations, 3, np.random.default_rng(0))
    away = [
        np.linalg.norm(each.states[:, None] - demonstrations.states, axis=-1).min(axis=1).mean()
        for each in (close, made)
    ]
    assert away[1] > 1.5 * away[0]


def test_a_forward_model_follows_the_policy(env, demonstrations):
    keras.utils.set_random_seed(0)
    model = ForwardModel(PLAIN, noise=0.1)
    model.fit(demonstrations, 1000, 64, np.random.default_rng(0))
    policy = imitation.make_policy(PLAIN)
    made = model.imagine(policy, demonstrations, 2, np.random.default_rng(0))
    np.testing.assert_allclose(made.actions, policy.predict_on_batch(made.states), atol=1e-5)
    missed = np.linalg.norm(env.step_states(made.states, made.actions) - made.next_states, axis=1)
    assert np.median(missed) < STEP


def test_cloning_acts_as_demonstrated_and_models_are_asked_from_the_first_epoch_on(demonstrations):
    class Counting:
        fitted, lengths = 0, []

        def fit(self, steps, updates, batch_size, rng):
            self.fitted += updates

        def imagine(self, policy, steps, length, rng):
            self.lengths.append(length)
            return steps

    keras.utils.set_random_seed(0)
    policy, model = imitation.make_policy(TURNING), Counting()
    schedule = Schedule(epochs=9, updates=20, first=0.2, length=4)
    imitation.imitate(policy, demonstrations, schedule, np.random.default_rng(0), model)
    assert model.fitted == 9 * 20 and model.lengths == [1, 2, 2, 2, 3, 4, 4]
    error = policy.predict_on_batch(demonstrations.states) - demonstrations.actions
    assert np.sqrt(np.mean(error**2)) < 0.35  # .05 is noise; all-zero actions miss by about 1


def test_steps_come_in_however_short_the_training_is():
    lengths = [Schedule(epochs=3, length=2).length_at(epoch) for epoch in range(3)]
    assert lengths == [1, 2, 2]
    assert [Schedule().length_at(epoch) for epoch in (9, 10, 119)] == [0, 1, 8]


def test_a_single_update_is_one_of_each_network(demonstrations):
    model = BackwardModel(PLAIN)
    model.fit(demonstrations, 1, 8, np.random.default_rng(0))
    assert model.actions.network.optimizer.iterations == 1
    assert model.changes.network.optimizer.iterations == 1


def test_no_demonstrations_are_refused():
    nothing = Steps(*(np.zeros((0, 2)) for _ in range(3)))
    with pytest.raises(ValueError, match="`demonstrations` to hold steps; received none"):
        imitation.imitate(imitation.make_policy(PLAIN), nothing, Schedule(), None)


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("actions", np.zeros((5, 2)), r"shape \(6, size\); received shape \(5, 2\)"),
        ("actions", np.zeros(6), r"shape \(6, size\); received shape \(6,\)"),
        ("states", np.full((6, 2), np.nan), "finite; received NaN"),
    ],
)
def test_demonstrations_that_teach_nonsense_are_refused(name, change, said):
    given = {each: np.zeros((6, 2)) for each in ("states", "actions", "next_states")}
    with pytest.raises(ValueError, match=f"Expected `{name}` to .*{said}"):
        imitation.imitate(None, Steps(**(given | {name: change})), Schedule(), None)
