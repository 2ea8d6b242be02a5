"""Symmetric embedding networks, the world model, and backbones for images of any group."""

from sen_tf.models.backbones import convnext, resnet, unet, wide_resnet
from sen_tf.models.conversion import convert
from sen_tf.models.plain_form import to_plain
from sen_tf.models.world_model import ContrastiveWorldModel

__all__ = [
    "ContrastiveWorldModel",
    "convert",
    "convnext",
    "resnet",
    "to_plain",
    "unet",
    "wide_resnet",
]
