"""Losses of world models, as objects for `compile` and as functions of tensors."""

from sen_tf.losses.contrastive import (
    ActionContrast,
    ContrastiveLoss,
    Negatives,
    OtherSamples,
    ReversedFrames,
    SameEpisode,
    action_contrast,
    contrastive_hinge,
    energy,
    nearness,
)

__all__ = [
    "ActionContrast",
    "ContrastiveLoss",
    "Negatives",
    "OtherSamples",
    "ReversedFrames",
    "SameEpisode",
    "action_contrast",
    "contrastive_hinge",
    "energy",
    "nearness",
]
