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


def test_fitted_values_act_well_and_break_what_is_broken():
    asked = RelaxedControl(steps=150)
    exact = relaxed_control.fit("exact", 0.0, 200, asked, seed=0)
    found = relaxed_control.discounted_return(exact, 0.0)
    stay = -0.76 * (1 - 0.95**40) / 0.05  # the mean distance, for ever
    assert found > stay / 2.5
    assert relaxed_control.asymmetry(exact) < 1e-5
    relaxed = relaxed_control.fit("relaxed", 1.0, 200, asked, seed=0)
    assert relaxed_control.asymmetry(relaxed) > 1e-3
