"""Transitions of objects: every move does something of its own, whatever the group is."""

import numpy as np
import pytest

from sen_tf.models import transitions
from sen_tf.testing import randomize_weights


@pytest.mark.parametrize(
    ("group", "moves"),
    [
        ("C4", transitions.MOVES_CLOCKWISE),
        ("D2", "permutation(2,3,0,1;0,3,2,1)"),  # up and down are one orbit, right and left another
        ("C4", "permutation(1,0,3,2)"),
        ("C2", "permutation(0,1)"),
        ("C1", "4 trivial"),
    ],
)
def test_no_two_moves_are_the_same(group, moves):
    transition = transitions.object_transition(group, 2, hidden=8, moves=moves)
    randomize_weights(transition)
    objects, fields = transition.inputs[0].shape[1:3]
    count = 2 * transitions.representations.get(moves, group).dimension
    state = np.random.default_rng(0).normal(size=(1, objects, fields, 2)).astype("float32")
    changes = transition([np.repeat(state, count, axis=0), np.arange(count, dtype="int32")])
    flat = np.reshape(changes, (count, -1))
    apart = np.abs(flat[:, None] - flat).max(axis=-1)
    assert apart[~np.eye(count, dtype=bool)].min() > 1e-3 * apart.max()
