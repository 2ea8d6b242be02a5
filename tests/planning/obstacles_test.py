"""Two objects on lines of nine places, and a third that is in nobody's way."""

import numpy as np
import pytest

from sen_tf.planning import Obstacles, Places

BEFORE = np.repeat(np.arange(8.0)[:, None, None], 3, axis=1)
PLACES = Places.of(BEFORE, BEFORE + 1, objects=3)


def state(*places):
    return np.array(places, float)[:, None]


@pytest.fixture
def obstacles():
    """Action 1, which is to move object 0 from 3 to 4, did nothing; object 1 is at 4."""
    known = Obstacles(PLACES, actions=2)
    known.learn(state(3, 4, 7), 1, predicted=state(4, 4, 7))
    return known


def forbidden(obstacles, *places):
    return obstacles.forbidden(state(*places)[None])[0].tolist()


def test_after_one_failure_it_is_the_same_case_alone(obstacles):
    assert forbidden(obstacles, 3, 4, 7) == [False, True]
    for other in ((2, 4, 7), (3, 5, 7), (3, 4, 6)):
        assert forbidden(obstacles, *other) == [False, False]


def test_who_has_moved_since_was_not_the_reason(obstacles):
    obstacles.learn(state(3, 4, 6), 1, predicted=state(4, 4, 6))
    assert forbidden(obstacles, 3, 4, 0) == [False, True]
    assert forbidden(obstacles, 3, 5, 7) == [False, False]


def test_a_failure_elsewhere_or_of_another_action_is_another_case(obstacles):
    obstacles.learn(state(2, 4, 7), 1, predicted=state(3, 4, 7))
    obstacles.learn(state(3, 4, 7), 0, predicted=state(2, 4, 7))
    assert forbidden(obstacles, 2, 4, 7) == [False, True]
    assert forbidden(obstacles, 3, 4, 7) == [True, True]
    assert forbidden(obstacles, 3, 4, 6) == [False, False]
