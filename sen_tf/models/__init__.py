"""Symmetric embedding networks: embeddings, encoders, transitions, and the world model."""

from sen_tf.models.plain_form import to_plain
from sen_tf.models.world_model import ContrastiveWorldModel

__all__ = ["ContrastiveWorldModel", "to_plain"]
