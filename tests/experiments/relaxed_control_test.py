"""The world and the three networks: what C4 does to them, and that fitting improves them."""

import numpy as np
import pytest

from sen_tf.experiments import relaxed_control
from sen_tf.experiments.relaxed_control import TURNS, RelaxedControl

PLACES = np.random.default_rng(0).uniform(-1, 1, (50, 2))
ACTIONS = np.random.default_rng(1).integers(0, 4, 50)


@pytest.mark.parametrize(("broken", "same"), [(0.0, True), (0.4, False)])
def test_turning_place_and_action_turns_what_happens_unless_it_is_broken(broken, same):
    after, rewards = relaxed_control.step(PLACES, ACTIONS, broken)
    turned, others = relaxed_control.step(PLACES @ TURNS[1].T, (ACTIONS + 1) % 4, broken)
    assert np.allclose(turned, after @ TURNS[1].T) == same
    assert np.allclose(others, rewards) == same


@pytest.mark.parametrize("arm", ["exact", "relaxed", "plain"])
def test_exact_and_relaxed_values_begin_equivariant(arm):
    error = relaxed_control.asymmetry(relaxed_control.make_values(arm))
    assert (error < 1e-5) == (arm != "plain")


def test_fitted_values_act_better_than_new_ones_and_break_what_is_broken():
    asked = RelaxedControl(steps=150)
    new = relaxed_control.discounted_return(relaxed_control.make_values("relaxed"), 1.0)
    model = relaxed_control.fit("relaxed", 1.0, 200, asked, seed=0)
    assert relaxed_control.discounted_return(model, 1.0) > new + 0.5
    assert relaxed_control.asymmetry(model) > 1e-3
    exact = relaxed_control.fit("exact", 1.0, 200, RelaxedControl(steps=20), seed=0)
    assert relaxed_control.asymmetry(exact) < 1e-5
