"""The paper's three models of each environment: which embedding, encoder and transition.

- `sen`: a plain embedding whose output is declared to be symmetric; encoder and transition
  commute with the group.
- `nonequivariant`: everything plain, at about the same number of weights.
- `fully_equivariant`: the embedding commutes too, with turning the pixels.

The teapot has `tfn` for the last: an equivariant transition that is learnt.
"""

import dataclasses
import functools
import math

import numpy as np

from sen_tf.envs import ENVS
from sen_tf.losses import ContrastiveLoss
from sen_tf.models import (
    ContrastiveWorldModel,
    embeddings,
    encoders,
    rotation_transitions,
    transitions,
)
from sen_tf.settings import setting

OBJECTS = 5
IMAGE_SHAPE = (50, 50, 3)
BOARD = 5
HEADINGS = 4
REACHER_IMAGE_SHAPE = (129, 129, 6)
TORQUES = 2
TEAPOT_IMAGE_SHAPE = (64, 64, 1)


@dataclasses.dataclass(frozen=True)
class Network:
    """Network."""

    model: str = setting(
        "sen",
        "Which of the paper's models to train; tfn, a tensor-field transition, is the Teapot's.",
        choices=("sen", "nonequivariant", "fully_equivariant", "tfn"),
    )
    filters: int = setting(
        32,
        "Channels of the embedding's hidden convolutions; where they are group convolutions, half "
        "as many fields.",
        at_least=2,
    )
    hidden: int = setting(
        256,
        "Width of encoder and transition in fields; plain networks are twice as wide.",
        at_least=1,
    )


def cubes(arm, hidden, filters, dtype):
    """Embedding, encoder and transition for 3D Blocks; see `make_model`."""
    widths = (filters,) * 3
    if arm == "fully_equivariant":
        embedding = embeddings.group_conv_embedding(
            "C4", IMAGE_SHAPE, OBJECTS, tuple(width // 2 for width in widths), dtype
        )
    else:
        embedding = embeddings.conv_embedding(IMAGE_SHAPE, OBJECTS, widths, dtype)
    return embedding, *_object_networks(arm, (*IMAGE_SHAPE[:2], OBJECTS), hidden, dtype)


def shapes(arm, hidden, filters, dtype):
    """Embedding, encoder and transition for 2D Shapes; see `make_model`.

    The board is seen from above, cell by cell: the plain embedding commutes with quarter turns up
    to the look of the sprites, so that `sen` and `fully_equivariant` are one model.
    """
    filters = filters if arm == "nonequivariant" else filters // 2
    cell = IMAGE_SHAPE[0] // BOARD
    embedding = embeddings.cell_embedding(IMAGE_SHAPE, OBJECTS, cell, filters, dtype=dtype)
    return embedding, *_object_networks(arm, (BOARD, BOARD, OBJECTS), hidden, dtype)


def rush_hour(arm, hidden, filters, dtype):
    """Embedding, encoder and transition for Rush Hour; see `make_model`.

    A turn also changes which way objects head. An embedding with one map an object that commutes
    with turns would lose the headings, so that features are regular: one map for each object and
    heading. The plain embedding has to learn that; the equivariant one shares its kernels.

    Relative moves leave the group nothing to do: what is learnt are invariant states, positions as
    an object sees them, of which each field has room for one coordinate. Two fields can end as one
    coordinate, which tells forward and left apart from the others but not from each other.
    """
    cell = IMAGE_SHAPE[0] // BOARD
    if arm == "fully_equivariant":
        embedding = embeddings.group_cell_embedding(
            "C4", IMAGE_SHAPE, OBJECTS, cell, filters // 2, dtype
        )
    else:
        filters = filters if arm == "nonequivariant" else filters // 2
        embedding = embeddings.cell_embedding(IMAGE_SHAPE, OBJECTS, cell, filters, HEADINGS, dtype)
    features_shape = (BOARD, BOARD, HEADINGS, OBJECTS)
    moves = transitions.RELATIVE_MOVES
    return embedding, *_object_networks(arm, features_shape, hidden, dtype, 4, moves)


def _object_networks(
    arm, features_shape, hidden, dtype, latent=2, moves=transitions.MOVES_CLOCKWISE
):
    if arm == "nonequivariant":
        hidden = 2 * hidden
        return (
            encoders.object_encoder(features_shape, (hidden, hidden), latent, dtype=dtype),
            transitions.object_transition(OBJECTS, hidden, latent, dtype=dtype),
        )
    return (
        encoders.c4_object_encoder(features_shape, (hidden, hidden), latent, dtype=dtype),
        transitions.c4_object_transition(OBJECTS, hidden, latent, moves, dtype=dtype),
    )


def reacher(arm, hidden, filters, dtype):
    """Embedding, encoder and transition for Reacher; see `make_model`.

    A plain network has as many weights as one of D4, of 8 elements, when it is sqrt(8) times as
    wide: 512 channels for the published 181 fields. The published equivariant embedding has 6
    fields where the plain one has 32 channels, and regular features.
    """
    if arm == "fully_equivariant":
        fields = max(1, 3 * filters // 16)
        embedding = embeddings.group_dilated_embedding(
            "D4", REACHER_IMAGE_SHAPE, filters=fields, dtype=dtype
        )
    else:
        embedding = embeddings.dilated_embedding(REACHER_IMAGE_SHAPE, filters=filters, dtype=dtype)
    features_shape = embedding.output_shape[1:]
    if arm == "nonequivariant":
        hidden = round(hidden * math.sqrt(8))
        encoder, transition = encoders.image_encoder, transitions.torque_transition
    else:
        encoder, transition = encoders.d4_image_encoder, transitions.d4_torque_transition
    return (
        embedding,
        encoder(features_shape, hidden, dtype=dtype),
        transition(TORQUES, hidden, dtype=dtype),
    )


def teapot(arm, hidden, filters, dtype):
    """Embedding, encoder and transition for 3D Teapot; see `make_model`.

    The embedding makes rotations, which are the states, and the arms differ in the transition: the
    product a z for `sen`, tensor-field layers for `tfn`, plain dense layers for `nonequivariant`.
    """
    makers = {
        "sen": rotation_transitions.product_transition,
        "tfn": functools.partial(rotation_transitions.tensor_field_transition, hidden // 8),
        "nonequivariant": functools.partial(rotation_transitions.dense_transition, hidden),
    }
    if arm not in makers:
        raise ValueError(f"`arm` of teapot must be one of {', '.join(makers)}, got {arm!r}.")
    embedding = embeddings.rotation_embedding(
        TEAPOT_IMAGE_SHAPE, (filters,) * 4, (hidden, hidden), dtype
    )
    encoder = encoders.identity_encoder(embedding.output_shape[1:], dtype)
    return embedding, encoder, makers[arm](dtype=dtype)


ARMS = {
    "cubes": cubes,
    "reacher": reacher,
    "rush_hour": rush_hour,
    "shapes": shapes,
    "teapot": teapot,
}

TEAPOT_ARMS = ("sen", "nonequivariant", "tfn")


def arms_of(env):
    """The models of an environment, by the names of `make_model`."""
    return TEAPOT_ARMS if env == "teapot" else ("sen", "nonequivariant", "fully_equivariant")


def make_model(env, arm, hidden=256, filters=32, dtype=None, seed=0):
    """A `ContrastiveWorldModel` for an environment, built.

    Args:
        env: Name of the environment, such as `"cubes"`.
        arm: `"sen"`, `"nonequivariant"` or `"fully_equivariant"`; of the teapot `"sen"`, `"tfn"` or
            `"nonequivariant"`.
        hidden: Width of encoder and transition in fields; plain networks are wider by the square
            root of the group's order. Of the teapot, width of the dense layers.
        filters: Channels of the embedding; where it is equivariant, fewer fields.
        dtype: Dtype policy; `None` takes the global one.
        seed: Seed of the generator that draws negatives.
    """
    embedding, encoder, transition = ARMS[env](arm, hidden, filters, dtype)
    return ContrastiveWorldModel(embedding, encoder, transition, seed=seed, dtype=dtype, name=arm)


def make_loss(env, negatives=None, terms=(), **arguments):
    """The `ContrastiveLoss` of an environment, whose states have an axis of objects or have none.

    Args:
        env: Name of the environment.
        negatives, terms, **arguments: As in `ContrastiveLoss`.
    """
    return ContrastiveLoss(negatives, terms, object_axis=ENVS[env].objects is not None, **arguments)


def blank_transitions(model, count):
    """A batch of `count` transitions of zeros, of the shapes and types that the model takes."""
    image = np.zeros((count, *model.embedding.input_shape[1:]), np.uint8)
    action = model.transition.inputs[1]
    action = np.zeros((count, *action.shape[1:]), action.dtype)
    return {"obs": image, "next_obs": image, "action": action}
