"""Planners on a line of 9 cells: no model, a few numbers."""

import functools

import keras
import numpy as np
import pytest

from sen_tf import planning
from sen_tf.planning import Places

ACTIONS = np.array([-1.0, 1.0])
LINE = Places.of(np.arange(8.0)[:, None], np.arange(1.0, 9.0)[:, None], objects=1)
PLANNERS = {
    "beam": functools.partial(planning.beam_search, width=2),
    "cem": lambda *given, **options: planning.categorical_cem(
        *given, rng=np.random.default_rng(0), samples=64, elites=8, **options
    ),
    "random": lambda *given, **options: planning.random_shooting(
        *given, rng=np.random.default_rng(0), samples=256, **options
    ),
}


def step(states, actions):
    """A move along the line that drifts by a tenth, and walls at both ends."""
    return np.clip(states + 1.1 * actions[:, None], 0.0, 8.0)


@pytest.mark.parametrize("plan", PLANNERS.values(), ids=PLANNERS)
def test_plans_lead_to_the_goal_by_the_shortest_way(plan):
    starts, goals = np.array([[0.0], [6.0], [3.0]]), np.array([[4.0], [5.0], [3.0]])
    plans = plan(step, LINE, starts, goals, ACTIONS, horizon=5)
    assert [each.reaches for each in plans] == [True] * 3
    np.testing.assert_array_equal(plans[0].actions, np.ones(4))
    np.testing.assert_array_equal(plans[1].actions, [-1.0])
    assert len(plans[2].actions) == 0


@pytest.mark.parametrize("plan", PLANNERS.values(), ids=PLANNERS)
def test_no_plan_begins_with_what_is_forbidden(plan):
    def forbidden(states, tasks):
        return np.tile([False, True], (len(states), 1))

    (found,) = plan(
        step, LINE, np.array([[3.0]]), np.array([[5.0]]), ACTIONS, horizon=4, forbidden=forbidden
    )
    assert (found.actions == -1.0).all()


def test_places_undo_the_drift_of_predictions():
    assert (LINE.unit, len(LINE.known[0])) == (1.0, 9)
    states = LINE.nearest(np.array([[3.4], [2.9], [8.2], [8.9]]))
    np.testing.assert_allclose(states, [[3.0], [3.0], [8.0], [8.9]])  # a place never seen
    keys = LINE.keys(states)
    assert keys[0] == keys[1] and len(set(keys)) == 3


def test_states_that_do_not_move_are_refused():
    with pytest.raises(ValueError, match="Expected `states` that move"):
        Places.of(np.zeros((3, 1)), np.zeros((3, 1)), objects=1)


def test_sizes_and_states_that_mean_nothing_are_refused():
    start, goal = np.array([[3.0]]), np.array([[5.0]])
    for plan in PLANNERS.values():
        with pytest.raises(ValueError, match="Expected `horizon` to be at least 1"):
            plan(step, LINE, start, goal, ACTIONS, horizon=0)
        with pytest.raises(ValueError, match="Expected `goals` to be finite"):
            plan(step, LINE, start, np.nan * goal, ACTIONS)
        with pytest.raises(ValueError, match="Expected `goals` to have the shape of `states`"):
            plan(step, LINE, np.tile(start, (3, 1)), goal, ACTIONS)
        with pytest.raises(ValueError, match="Expected `actions` to hold some"):
            plan(step, LINE, start, goal, np.zeros(0))
    with pytest.raises(ValueError, match="Expected `width` to be at least 1"):
        planning.beam_search(step, LINE, start, goal, ACTIONS, width=0)
    with pytest.raises(ValueError, match="Expected `smoothing` to be from 0 to 1"):
        PLANNERS["cem"](step, LINE, start, goal, ACTIONS, smoothing=1.5)


@pytest.mark.parametrize("places", [LINE, Places(1.0, (), 1)], ids=["known", "unknown"])
@pytest.mark.parametrize("plan", PLANNERS.values(), ids=PLANNERS)
def test_lists_and_steps_that_return_tensors_are_taken(plan, places):
    def exact(states, actions):
        return keras.ops.convert_to_tensor(np.clip(states + actions[:, None], 0, 8), "float32")

    def forbidden(states, tasks):
        return [[0, 0]] * len(states)

    (found,) = plan(exact, places, [[3.0]], [[1.0]], [-1.0, 1.0], horizon=3, forbidden=forbidden)
    assert found.reaches
    np.testing.assert_array_equal(found.actions, [-1.0, -1.0])
