"""Planners: functions of the step of any model and of arrays, in NumPy."""

from sen_tf.planning.control import GoalPolicy, Memory, reach
from sen_tf.planning.discrete import Plan, beam_search, categorical_cem, random_shooting
from sen_tf.planning.obstacles import Obstacles
from sen_tf.planning.places import Places
from sen_tf.planning.sampling import cem, mppi, noise_orbit

__all__ = [
    "GoalPolicy",
    "Memory",
    "Obstacles",
    "Places",
    "Plan",
    "beam_search",
    "categorical_cem",
    "cem",
    "mppi",
    "noise_orbit",
    "random_shooting",
    "reach",
]
