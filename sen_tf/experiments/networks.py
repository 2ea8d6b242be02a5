"""The paper's models of each environment: which embedding, encoder and transition.

An arm says where the group begins; before it all is plain, which is a network of C1:

- `sen`: a plain embedding whose output is declared to be symmetric; encoder and transition
  commute with the group.
- `nonequivariant`: everything plain, at about the same number of weights.
- `fully_equivariant`: the embedding commutes too, with turning the pixels.

The teapot has `tfn` for the last: an equivariant transition that is learnt.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import gymnasium
import keras
import numpy as np

from sen_tf import groups
from sen_tf.envs import ENVS, EnvLike
from sen_tf.groups import representations
from sen_tf.losses import ContrastiveLoss
from sen_tf.models import (
    ContrastiveWorldModel,
    embeddings,
    encoders,
    rotation_transitions,
    transitions,
)
from sen_tf.settings import setting
from sen_tf.tensors import DTypePolicy

Networks: TypeAlias = tuple[keras.Model, keras.Model, keras.Model]
"""Embedding, encoder and transition."""

ARMS = {
    "sen": (False, True),
    "nonequivariant": (False, False),
    "fully_equivariant": (True, True),
}
"""The arms: whether the embedding commutes with the group, and whether the rest does."""
TEAPOT_ARMS = ("sen", "nonequivariant", "tfn")
VECTORS = 16
"""Vectors of which the Teapot's rotations are made; docs/notes/teapot-small-actions.md."""
PUBLISHED_SIDE = 129
"""Side of Reacher's images, in pixels, that have the published networks."""
CELL = 10
"""Side of a board's cell in pixels."""
SMALLEST = 10
"""Pixels of the longer side at which images that show no objects are not halved any more."""
WHOLE_LATENT = 32
"""Numbers in the state of an image that shows no objects."""
OF_RECTANGLES, OF_SQUARES = ("C1", "C2", "D1", "D2"), ("C4", "D4")
"""Groups whose elements all move the pixels of an image onto pixels; the last ones, of a square."""


@dataclasses.dataclass(frozen=True)
class Network:
    """Network."""

    model: str = setting(
        "auto",
        "Which of the paper's models to train; tfn, a tensor-field transition, is the Teapot's; "
        "auto takes sen where the environment has a symmetry, else nonequivariant.",
        choices=("auto", *ARMS, "tfn"),
    )
    filters: int = setting(
        32,
        "Channels of the embedding's hidden convolutions; where they are group convolutions, half "
        "as many fields.",
        at_least=2,
    )
    hidden: int = setting(
        256,
        "Width of encoder and transition in fields; plain networks are wider by the square root of "
        "the group's order.",
        at_least=1,
    )


class Widths:
    """The widths of an arm's networks, so that all arms have about as many weights.

    A plain network has as many weights as one of a group when it is wider by the square root of the
    group's order.

    Args:
        env: The environment.
        arm: A name of `ARMS`.
        hidden, filters: As in `make_model`.

    Attributes:
        embedding, group: The group of the embedding, and that of encoder and transition.
        filters, hidden: Their widths in fields.
    """

    def __init__(self, env: EnvLike, arm: str, hidden: int, filters: int) -> None:
        if arm not in ARMS:
            raise ValueError(
                f"Expected `arm` of {env.name} to be one of {', '.join(ARMS)}; received "
                f"arm={arm!r}."
            )
        self.embedding, self.group = (env.group if commutes else "C1" for commutes in ARMS[arm])
        root = env.group.order**0.5
        self.filters = int(filters / root) if ARMS[arm][0] else filters
        self.hidden = hidden if ARMS[arm][1] else round(hidden * root)


def check_arm(env: EnvLike, arm: str) -> None:
    """Raises a ValueError unless an arm's networks can commute with the group on such images.

    Args:
        env: An environment of the user's own, which has the usual networks; see `networks_of`.
        arm: A name of `ARMS`.
    """
    rows, columns = env.observation_space.shape[:2]
    takes = OF_RECTANGLES + (OF_SQUARES if rows == columns else ())
    if ARMS.get(arm, (False, False))[1] and env.group.config not in takes:
        raise ValueError(
            f"Expected `group` of `{env.name}` to be one of {', '.join(takes)}, which move the "
            f"pixels of its {rows} x {columns} images onto pixels, for the model {arm}; received "
            f"group={env.group}. The model nonequivariant takes any group."
        )


def objects_in_perspective(
    env: EnvLike, arm: str, hidden: int, filters: int, dtype: DTypePolicy
) -> Networks:
    """Embedding, encoder and transition for objects seen in perspective, such as 3D Blocks."""
    check_arm(env, arm)
    width = Widths(env, arm, hidden, filters)
    shape = env.observation_space.shape
    embedding = embeddings.conv_embedding(
        width.embedding, shape, env.objects, (width.filters,) * 3, dtype
    )
    return embedding, *_object_networks(env, width, (*shape[:2], env.objects), dtype)


def shapes(env: EnvLike, arm: str, hidden: int, filters: int, dtype: DTypePolicy) -> Networks:
    """Embedding, encoder and transition for 2D Shapes; see `make_model`.

    The board is seen from above, cell by cell: the plain embedding commutes with quarter turns up
    to the look of the sprites, so that `sen` and `fully_equivariant` are one model.
    """
    filters = filters if arm == "nonequivariant" else filters // 2
    embedding = embeddings.cell_embedding(
        "C1", env.observation_space.shape, env.objects, CELL, filters, dtype=dtype
    )
    width = Widths(env, arm, hidden, filters)
    return embedding, *_object_networks(env, width, embedding.output_shape[1:], dtype)


def rush_hour(env: EnvLike, arm: str, hidden: int, filters: int, dtype: DTypePolicy) -> Networks:
    """Embedding, encoder and transition for Rush Hour; see `make_model`.

    A turn also changes which way objects head. An embedding with one map per object that commutes
    with turns would lose the headings, so that features are regular: one map for each object and
    heading. The plain embedding has to learn that; the equivariant one shares its kernels.

    Relative moves leave the group nothing to do: each field of a state has room for one invariant
    coordinate, and two fields can end as the same one, which tells forward and left apart from the
    others but not from each other. Hence four.
    """
    width = Widths(env, arm, hidden, filters)
    filters = filters if arm == "nonequivariant" else filters // 2
    embedding = embeddings.cell_embedding(
        width.embedding, env.observation_space.shape, env.objects, CELL, filters, env.group, dtype
    )
    return embedding, *_object_networks(env, width, embedding.output_shape[1:], dtype, latent=4)


def _object_networks(env, width, features_shape, dtype, latent=2):
    if not isinstance(env.action_space, gymnasium.spaces.Discrete):
        raise ValueError(
            f"Expected `{env.name}`, which shows objects, to have Discrete actions, as many of "
            f"each object; received {env.action_space}."
        )
    widths = (width.hidden, width.hidden)
    return (
        encoders.object_encoder(width.group, features_shape, widths, latent, dtype),
        transitions.object_transition(
            width.group, env.objects, width.hidden, latent, _actions(env, width.group), dtype
        ),
    )


def _actions(env, group):
    """The group's action on actions, or on those of one object: C1 leaves all as they are."""
    stated = env.action_representation
    if stated is None:  # without a group it need not be: so many moves of each object
        return f"{env.action_space.n // env.objects} trivial"
    if groups.get(group) == env.group:
        return stated
    return f"{representations.get(stated, env.group).dimension} trivial"


def whole_image(env: EnvLike, arm: str, hidden: int, filters: int, dtype: DTypePolicy) -> Networks:
    """Embedding, encoder and transition for images that show no objects, or one world as a whole.

    The image is halved until no side is longer than `SMALLEST` pixels. States have about as many
    numbers whatever the group is.

    Raises:
        ValueError: As `check_arm`.
    """
    check_arm(env, arm)
    width = Widths(env, arm, hidden, filters)
    embedding = embeddings.pooled_embedding(
        width.embedding,
        env.observation_space.shape,
        (width.filters,) * 2,
        width.filters,
        SMALLEST,
        dtype,
    )
    order = groups.get(width.group).order
    latent = max(1, WHOLE_LATENT // order)
    encoder = encoders.features_encoder(
        width.group, embedding.output_shape[1:], (width.hidden,) * 2, latent, dtype
    )
    space = env.action_space
    discrete = isinstance(space, gymnasium.spaces.Discrete)
    size = space.n if discrete else space.shape[0]
    actions = _actions(env, width.group) if env.action_representation else f"{size} trivial"
    transition = transitions.vector_transition(
        width.group, actions, width.hidden, latent, discrete, dtype
    )
    return embedding, encoder, transition


def reacher(env: EnvLike, arm: str, hidden: int, filters: int, dtype: DTypePolicy) -> Networks:
    """Embedding, encoder and transition for Reacher; see `make_model`.

    Images of `PUBLISHED_SIDE` pixels have the published networks. D4 has 8 elements: 512 channels
    for the published 181 fields. The published equivariant embedding has 6 fields where the plain
    one has 32 channels, and regular features. Smaller images have cheaper networks.
    """
    width = Widths(env, arm, hidden, filters)
    shape = env.observation_space.shape
    published = shape[0] == PUBLISHED_SIDE
    embed = embeddings.dilated_embedding if published else embeddings.strided_embedding
    encode = encoders.image_encoder if published else encoders.strided_encoder
    regular = width.embedding == env.group
    embedding = embed(
        width.embedding,
        shape,
        channels=8 if published or regular else 16,
        filters=max(1, 3 * filters // 16) if regular else filters,
        regular=regular,
        dtype=dtype,
    )
    features_shape = embedding.output_shape[1:]
    actions = _actions(env, width.group)
    moved = width.hidden if published else 2 * width.hidden
    return (
        embedding,
        encode(width.group, features_shape, width.hidden, dtype=dtype),
        transitions.vector_transition(width.group, actions, moved, dtype=dtype),
    )


def teapot(env: EnvLike, arm: str, hidden: int, filters: int, dtype: DTypePolicy) -> Networks:
    """Embedding, encoder and transition for 3D Teapot; see `make_model`.

    States are rotations, and the arms differ in the transition: the product a z for `sen`,
    tensor-field layers for `tfn`, plain dense layers for `nonequivariant`.
    """
    makers: dict[str, Callable[..., keras.Model]] = {
        "sen": rotation_transitions.product_transition,
        "tfn": functools.partial(rotation_transitions.tensor_field_transition, hidden // 8),
        "nonequivariant": functools.partial(rotation_transitions.dense_transition, hidden),
    }
    if arm not in makers:
        raise ValueError(
            f"Expected `arm` of teapot to be one of {', '.join(makers)}; received arm={arm!r}."
        )
    embedding = embeddings.vector_embedding(
        env.observation_space.shape, VECTORS, (filters,) * 4, (hidden, hidden), dtype
    )
    encoder = encoders.rotation_encoder(embedding.output_shape[1:], dtype)
    return embedding, encoder, makers[arm](dtype=dtype)


NETWORKS = {
    "cubes": objects_in_perspective,
    "reacher": reacher,
    "rush_hour": rush_hour,
    "shapes": shapes,
    "teapot": teapot,
}
"""The networks of each environment; see `networks_of` for those of another one."""


def networks_of(env: EnvLike | type[EnvLike]) -> Callable[..., Networks]:
    """The function that makes the networks of an environment.

    One of the user's own that shows objects has those of 3D Blocks, else those of a whole image.
    """
    usual = whole_image if env.objects is None else objects_in_perspective
    return NETWORKS.get(env.name, usual)


def arms_of(env: str) -> tuple[str, ...]:
    """The models of an environment, by the names of `make_model`; the usual one first."""
    if env == "teapot":
        return TEAPOT_ARMS
    return tuple(ARMS) if ENVS[env].group.order > 1 else ("nonequivariant",)


def make_model(
    env: str | EnvLike,
    arm: str,
    hidden: int = 256,
    filters: int = 32,
    dtype: DTypePolicy = None,
    seed: int = 0,
) -> ContrastiveWorldModel:
    """A `ContrastiveWorldModel` for an environment, built.

    Args:
        env: Name of the environment, such as `"cubes"`, or the environment itself.
        arm: `"sen"`, `"nonequivariant"` or `"fully_equivariant"`; of the teapot `"sen"`, `"tfn"` or
            `"nonequivariant"`.
        hidden: Width of encoder and transition in fields; plain networks are wider by the square
            root of the group's order. Of the teapot, width of the dense layers.
        filters: Channels of the embedding; where it is equivariant, fewer fields.
        dtype: Dtype policy; `None` takes the global one.
        seed: Seed of the generator that draws negatives.
    """
    made = ENVS[env]() if isinstance(env, str) else env
    embedding, encoder, transition = networks_of(made)(made, arm, hidden, filters, dtype)
    return ContrastiveWorldModel(embedding, encoder, transition, seed=seed, dtype=dtype, name=arm)


def make_loss(
    env: str, negatives: Sequence[Any] | None = None, terms: Sequence[Any] = (), **arguments: Any
) -> ContrastiveLoss:
    """The `ContrastiveLoss` of an environment, whose states have an axis of objects or have none.

    Args:
        env: Name of the environment.
        negatives, terms, **arguments: As in `ContrastiveLoss`.
    """
    return ContrastiveLoss(negatives, terms, object_axis=ENVS[env].objects is not None, **arguments)


def blank_transitions(model: keras.Model, count: int) -> dict[str, np.ndarray]:
    """A batch of `count` transitions of zeros, of the shapes and types that the model takes."""
    image = np.zeros((count, *model.embedding.input_shape[1:]), np.uint8)
    action = model.transition.inputs[1]
    action = np.zeros((count, *action.shape[1:]), action.dtype)
    return {"obs": image, "next_obs": image, "action": action}
