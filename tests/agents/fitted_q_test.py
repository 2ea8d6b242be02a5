import keras
import numpy as np
import pytest

from sen_tf.agents import fitted_q
from sen_tf.agents.fitted_q import Transitions


def table():
    """Values of two actions in three states, one-hot: a linear layer is a table."""
    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, use_bias=False)])


def test_values_are_those_of_the_process():
    # A chain 0 -> 1 -> 2 by action 1, which stays in 2 and earns 1 there; action 0 stays.
    states = np.repeat(np.eye(3), 2, axis=0)
    actions = np.tile([0, 1], 3)
    after = np.eye(3)[[0, 1, 1, 2, 2, 2]]
    rewards = np.array([0.0, 0.0, 0.0, 0.0, 1.0, 1.0])
    values, rng = table(), np.random.default_rng(0)
    fitted_q.fit(
        values,
        table(),
        Transitions(states, actions, rewards, after),
        rng,
        discount=0.5,
        steps=1500,
        batch_size=6,
        learning_rate=1e-2,
    )
    best = [0.5, 1.0, 2.0]  # of each state; staying costs a step
    expected = [[0.25, 0.5], [0.5, 1.0], [2.0, 2.0]]
    found = values.predict_on_batch(np.eye(3))
    np.testing.assert_allclose(found, expected, atol=0.02)
    np.testing.assert_allclose(found.max(axis=1), best, atol=0.02)


def test_no_transitions_are_refused():
    nothing = Transitions(np.zeros((0, 3)), np.zeros(0, int), np.zeros(0), np.zeros((0, 3)))
    with pytest.raises(ValueError, match="`transitions` to hold some; received none"):
        fitted_q.fit(table(), table(), nothing, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("rewards", {"rewards": np.zeros((4, 1))}),  # else spread over the batch
        ("actions", {"actions": np.zeros((4, 1), int)}),
        ("actions", {"actions": np.arange(1, 5) % 3}),  # of three, the models have two
        ("actions", {"actions": np.full(4, -1)}),
        ("actions", {"actions": np.full(4, 0.5)}),
        ("states", {"states": np.zeros((5, 3))}),
        ("next_states", {"next_states": np.zeros((4, 2))}),
        ("rewards", {"rewards": np.full(4, np.nan)}),
        ("discount", {"discount": 1.0}),
        ("batch_size", {"batch_size": 0}),
    ],
)
def test_what_would_teach_nonsense_is_refused(name, change):
    right = Transitions(np.zeros((4, 3)), np.zeros(4, int), np.zeros(4), np.zeros((4, 3)))
    given = {key: change.get(key, value) for key, value in right._asdict().items()}
    options = {key: value for key, value in change.items() if key not in given}
    values = table()
    before = values.get_weights()[0]
    with pytest.raises(ValueError, match=f"Expected `{name}` to"):
        rng = np.random.default_rng(0)
        fitted_q.fit(values, table(), Transitions(**given), rng, steps=1, **options)
    np.testing.assert_array_equal(values.get_weights()[0], before)


def test_nothing_comes_after_an_end():
    states, after = np.eye(3), np.eye(3)[[1, 2, 2]]
    values, target = table(), table()
    ends = np.array([False, True, False])
    given = Transitions(states, np.zeros(3, int), np.ones(3), after, ends)
    options = {"discount": 0.5, "steps": 1500, "batch_size": 6, "learning_rate": 1e-2}
    for network in (values, target):  # the other action is never taken, and worth nothing
        network.set_weights([np.zeros((3, 2))])
    fitted_q.fit(values, target, given, np.random.default_rng(0), **options)
    np.testing.assert_allclose(values.predict_on_batch(states)[:, 0], [1.5, 1, 2], atol=0.02)
    with pytest.raises(ValueError, match=r"`ends` to have shape \(3,\)"):
        fitted_q.fit(values, target, given._replace(ends=ends[:, None]), None)


@pytest.mark.parametrize("kind", ["uint8", "bool", "float32", "list"])
def test_numbers_of_actions_are_of_any_kind_and_models_need_not_be_built(kind):
    actions = [0, 1, 1, 0] if kind == "list" else np.array([0, 1, 1, 0], kind)
    states, rewards = np.eye(4, 3), [0.0, 1.0, 2.0, 3.0]
    found = []
    for given in (np.array([0, 1, 1, 0]), actions):
        keras.utils.set_random_seed(0)
        values, target = (keras.Sequential([keras.layers.Dense(2)]) for _ in range(2))
        transitions = Transitions(states, given, rewards, states)
        fitted_q.fit(values, target, transitions, np.random.default_rng(0), steps=3, batch_size=4)
        found.append(values.get_weights()[0])
    np.testing.assert_array_equal(*found)
