"""Losses of world models, as objects for `compile` and as functions of tensors."""

from sen_tf.losses.contrastive import ContrastiveLoss
from sen_tf.losses.energies import action_contrast, contrastive_hinge, energy, nearness
from sen_tf.losses.negatives import (
    Negatives,
    OtherSamples,
    ReversedFrames,
    SameEpisode,
    Uniformity,
)
from sen_tf.losses.terms import ActionContrast, Alignment, Term

__all__ = [
    "ActionContrast",
    "Alignment",
    "ContrastiveLoss",
    "Negatives",
    "OtherSamples",
    "ReversedFrames",
    "SameEpisode",
    "Term",
    "Uniformity",
    "action_contrast",
    "contrastive_hinge",
    "energy",
    "nearness",
]
