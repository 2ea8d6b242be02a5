"""The parts of direct sums of irreducible representations, on the axis before the channels."""

import math
from collections.abc import Sequence

import keras
from keras import ops

from sen_tf.groups import circle, irreps
from sen_tf.tensors import Shape, Tensor

SPACE = ("SO3", "O3")
GROUPS = (*SPACE, *circle.NAMES)


def group_name(group: circle.Circle | str) -> str:
    """`"SO3"`, `"O3"`, `"SO2"` or `"O2"`, or a ValueError."""
    name = group.name if isinstance(group, circle.Circle) else group
    if name not in GROUPS:
        raise ValueError(
            f"Expected `group` to be {', '.join(map(repr, GROUPS))}; received group={group!r}."
        )
    return name


def group_in_space(group: str) -> str:
    """`"SO3"` or `"O3"`, or a ValueError."""
    if not isinstance(group, str) or group not in SPACE:
        raise ValueError(f"Expected `group` to be 'SO3' or 'O3'; received group={group!r}.")
    return group


def parities(group: str) -> tuple[int, ...]:
    """The exponents of -1 by which the inversion acts on parts; of SO(3), which has none, 0."""
    return (0, 1) if group == "O3" else (0,)


def parts(layer: keras.layers.Layer, group: str, shape: Shape) -> list[slice]:
    """The components of each part of a feature, the trivial one first.

    Args:
        layer: The layer, which the error names.
        group: `"SO3"`, whose parts are the degrees 0 to L in the order of `groups.irreps`; `"O3"`,
            whose parts are the even degrees 0 to L and the odd ones after them; `"SO2"` or `"O2"`,
            whose parts are those of `groups.circle`, the sign among them.
        shape: `(batch, ..., components, channels)`.

    Raises:
        ValueError: If the axis before the channels holds no such sum.
    """
    components = shape[-2] if len(shape) > 2 and shape[-1] else 0
    if group == "SO3":
        found = _of_degrees(components or 0)
    elif group == "O3":
        found = _of_degrees_and_parities(components or 0)
    else:
        found = circle.get(group).parts(components or 0)
    if not found:
        axis = {"SO3": "(L + 1)^2", "O3": "2 (L + 1)^2", "SO2": "1 + 2 L", "O2": "2 + 2 L"}[group]
        raise ValueError(
            f"{type(layer).__name__} `{layer.name}` expected an input of shape (batch, ..., "
            f"{axis}, channels), parts 0 to L of {group} before a known number of channels; "
            f"received {tuple(shape)}."
        )
    return found


def split_parts(inputs: Tensor, parts: Sequence[slice]) -> list[Tensor]:
    """The tensor (batch, ..., size, channels) of each of the `parts` of a feature.

    By one split: the gradient of a slice is an array of the whole feature's size, padded by zeros.
    """
    ends = [part.stop for part in parts[:-1]]
    return ops.split(inputs, ends, axis=-2) if ends else [inputs]


def _of_degrees(components):
    degrees = math.isqrt(components)
    return [irreps.block(n) for n in range(degrees)] if degrees**2 == components else None


def _of_degrees_and_parities(components):
    even = None if components % 2 else _of_degrees(components // 2)
    half = components // 2
    return even and even + [slice(part.start + half, part.stop + half) for part in even]
