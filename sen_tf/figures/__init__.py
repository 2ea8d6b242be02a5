"""Figures of training, latent spaces and rollouts, as files."""

from sen_tf.figures.goals import animate_goals, draw_goals
from sen_tf.figures.latents import (
    draw_frames_along_traversal,
    draw_irreducible_parts,
    draw_latents,
    draw_objects,
)
from sen_tf.figures.rollouts import (
    STRIPS,
    animate,
    draw_comparison,
    draw_decoded,
    draw_history,
    draw_rollouts,
    montage,
    nearest_images,
)

__all__ = [
    "STRIPS",
    "animate",
    "animate_goals",
    "draw_comparison",
    "draw_decoded",
    "draw_frames_along_traversal",
    "draw_goals",
    "draw_history",
    "draw_irreducible_parts",
    "draw_latents",
    "draw_objects",
    "draw_rollouts",
    "montage",
    "nearest_images",
]
