"""The policy in worlds of one number, of which it sees an image alone."""

import functools

import numpy as np
import pytest

from sen_tf import planning
from sen_tf.planning import GoalPolicy, Places, Plan

PLACES = Places.of(np.arange(8.0)[:, None], np.arange(1.0, 9.0)[:, None], objects=1)
ACTIONS = np.array([-1, 1, 2])


def image_of(numbers):
    return np.asarray(numbers, np.uint8).reshape(-1, 1, 1, 1)


def encode(images):
    return images.reshape(len(images), 1).astype(float)


def policy_to(goals, looks=True, **options):
    def step(states, actions):  # it thinks that action 2 works, which it does not
        return np.clip(states + actions[:, None], 0.0, 8.0)

    search = functools.partial(planning.beam_search, step, PLACES, horizon=8)

    def plan(states, wanted, forbidden):
        return search(states, wanted, ACTIONS, forbidden=forbidden)

    return GoalPolicy(plan, encode, step, PLACES, image_of(goals), ACTIONS, looks, **options)


def run(policy, starts, budget=12):
    numbers = np.array(starts)

    def act(rows, actions):
        numbers[rows] = np.clip(numbers[rows] + np.where(actions == 2, 0, actions), 0, 8)
        return image_of(numbers[rows])

    arrived, taken, _ = planning.reach(policy, act, image_of(starts), np.full(len(starts), budget))
    return numbers, arrived, taken


def test_it_learns_which_actions_do_nothing_and_arrives():
    numbers, arrived, taken = run(policy_to([6, 2, 5]), [3, 4, 5], budget=20)
    np.testing.assert_array_equal(numbers, [6, 2, 5])
    assert arrived.all() and taken[2] == 0


def test_a_plan_is_dropped_once_an_action_did_nothing():
    policy = policy_to([7])
    action, memory = policy.predict(image_of([3]))
    assert action[0] == 2 and memory.queues[0]  # the next one of the plan is 2 again
    actions, memory = policy.predict(image_of([3]), memory)
    assert actions[0] == 1
    useless = memory.obstacles[0].forbidden(np.array([[3.0], [4.0]]))
    np.testing.assert_array_equal(useless, [[False, False, True], [False] * 3])


def test_with_closed_eyes_a_wrong_plan_is_followed_to_its_end():
    numbers, arrived, taken = run(policy_to([6], looks=False), [3])
    assert numbers[0] != 6 and not arrived[0] and taken[0] >= 1


def test_one_image_is_one_action_as_stable_baselines_calls_it():
    policy = policy_to([4])
    action, memory = policy.predict(image_of([3])[0])
    assert action == 1 and not memory.stopped[0]
    action, memory = policy.predict(
        image_of([4])[0], memory, episode_start=np.array([True]), deterministic=True
    )
    assert memory.arrived[0]


def test_so_many_actions_of_a_plan_are_taken_before_the_next_is_made():
    for executed, left in ((1, 0), (2, 1), (9, 3)):
        _, memory = policy_to([0], executed=executed).predict(image_of([4]))
        assert len(memory.queues[0]) == left


def policy_of_vectors(goals, actions, dtype="float64"):
    """It makes the vector that leads straight to the goal."""

    def plan(states, wanted, forbidden):
        return [
            Plan((b - a)[None].astype(dtype), True) for a, b in zip(states, wanted, strict=True)
        ]

    def places_of(images):
        return images.reshape(len(images), 2).astype(float)

    def step(states, actions):
        return states + actions

    return GoalPolicy(plan, places_of, step, Places(1.0, (), 1), np.array(goals), actions)


@pytest.mark.parametrize(
    ("actions", "dtype"),
    [(np.zeros((0, 2)), "float64"), (np.eye(2, dtype="float32"), "float32")],
)
def test_where_the_goal_is_reached_actions_are_zeros_of_the_shape_of_one(actions, dtype):
    goals, there = [[0.0, 0.0], [1.0, 0.0]], np.array([[0.0, 0.0], [1.0, 0.0]])
    made, memory = policy_of_vectors(goals, actions).predict(there)
    assert memory.arrived.all() and made.dtype == dtype
    np.testing.assert_array_equal(made, np.zeros((2, 2)))
    made, _ = policy_of_vectors(goals[:1], actions).predict(there[0])
    assert made.dtype == dtype
    np.testing.assert_array_equal(made, np.zeros(2))


def test_a_plan_tells_the_shape_of_an_action_where_none_is_given():
    policy = policy_of_vectors([[0.0, 0.0], [1.0, 0.0]], np.zeros(0), "float32")
    made, memory = policy.predict(np.array([[3.0, 0.0], [1.0, 0.0]]))
    np.testing.assert_array_equal(made, [[-3.0, 0.0], [0.0, 0.0]])
    made, memory = policy.predict(np.array([[0.0, 0.0], [1.0, 0.0]]), memory)
    assert memory.stopped.all() and made.dtype == "float32"
    np.testing.assert_array_equal(made, np.zeros((2, 2)))


def test_numbers_of_actions_are_zero_where_the_goal_is_reached():
    made, _ = policy_to([4, 5]).predict(image_of([4, 5]))
    assert made.dtype == ACTIONS.dtype
    np.testing.assert_array_equal(made, [0, 0])
