"""Losses of world models, as objects for `compile` and as functions of tensors."""

from sen_tf.losses.contrastive import ActionContrast, ContrastiveLoss
from sen_tf.losses.energies import action_contrast, contrastive_hinge, energy, nearness
from sen_tf.losses.negatives import (
    Negatives,
    OtherSamples,
    ReversedFrames,
    SameEpisode,
    Uniformity,
)

__all__ = [
    "ActionContrast",
    "ContrastiveLoss",
    "Negatives",
    "OtherSamples",
    "ReversedFrames",
    "SameEpisode",
    "Uniformity",
    "action_contrast",
    "contrastive_hinge",
    "energy",
    "nearness",
]
