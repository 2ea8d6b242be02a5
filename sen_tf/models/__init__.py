"""Symmetric embedding networks: embeddings, encoders, transitions, and the world model."""

from sen_tf.models.world_model import ContrastiveWorldModel

__all__ = ["ContrastiveWorldModel"]
