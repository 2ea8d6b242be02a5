"""Checks for your own groups, functions and layers; each raises an AssertionError that says by how
much something is off.

An action is a function `act(x, group, g)` that applies element `g` to an array, such as
`groups.actions.act_on_regular_image`.
"""

from sen_tf.testing.equivariance import assert_equivariant, assert_is_group
from sen_tf.testing.layers import (
    LAYER_CHECKS,
    MIXED_TOLERANCES,
    LayerCase,
    assert_layer_contract,
    randomize_weights,
)

__all__ = [
    "LAYER_CHECKS",
    "MIXED_TOLERANCES",
    "LayerCase",
    "assert_equivariant",
    "assert_is_group",
    "assert_layer_contract",
    "randomize_weights",
]
