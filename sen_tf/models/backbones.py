"""Networks for images that commute with a group: ResNet, Wide ResNet, U-Net and ConvNeXt.

Functional models with the names of Keras' arguments. `group="C1"` makes the plain network, of the
same layers, to compare with. Image sizes at which a stride or a window would break the symmetry are
refused, with the sizes that do not.
"""

from collections.abc import Sequence

import keras
import numpy as np

from sen_tf import layers
from sen_tf.groups import GroupLike, circle, finite
from sen_tf.layers.symmetric_grid import PIXELS, reverses
from sen_tf.models import network_parts
from sen_tf.models.blocks import conv2d
from sen_tf.models.network_parts import NetworkParts
from sen_tf.tensors import Tensor

Group = GroupLike | circle.Circle
InputShape = Sequence[int | None]

RESNETS = {
    18: ("basic", (2, 2, 2, 2)),
    34: ("basic", (3, 4, 6, 3)),
    50: ("bottleneck", (3, 4, 6, 3)),
    101: ("bottleneck", (3, 4, 23, 3)),
    152: ("bottleneck", (3, 8, 36, 3)),
}
"""Depth of a ResNet: its kind of block, and how many there are in each of four stages."""


def resnet(
    group: Group,
    input_shape: InputShape,
    depth: int = 18,
    width: float = 1.0,
    match: str = "compute",
    include_top: bool = True,
    classes: int = 1000,
    classifier_activation: str | None = "softmax",
    name: str | None = None,
) -> keras.Model:
    """A residual network for images, halved five times.

    Args:
        group: A C_n or D_n, `"SO2"` or `"O2"`; `"C1"` makes the plain network.
        input_shape: Rows, columns and channels, without the batch; 32 n + 1 rows and columns where
            the group turns the image, such as 97, 129 or 225; any number with C1.
        depth: 18, 34, 50, 101 or 152.
        width: Factor of all numbers of filters.
        match: `"compute"`: filters / |group|, so that it costs what the plain network costs;
            `"parameters"`: filters / sqrt(|group|), so that it has about as many weights.
        include_top: Whether to pool to invariant numbers, and classify. Without, the outputs are
            features `(batch, rows, columns, |group|, channels)`.
        classes: Number of classes.
        classifier_activation: Activation of the classifier, None for logits.
        name: Name of the model.

    Raises:
        ValueError: For sizes at which it would not commute with the group, and another depth.

    Reference: He et al. (2016); Weiler and Cesa (2019), section 3.
    """
    if depth not in RESNETS:
        raise ValueError(
            f"Expected `depth` to be {', '.join(map(str, RESNETS))}; received depth={depth!r}."
        )
    parts = network_parts.get(group, match)
    _check_sizes("resnet", parts, input_shape, 32, rest=1)
    kind, blocks = RESNETS[depth]
    block = {"basic": _basic_block, "bottleneck": _bottleneck_block}[kind]
    inputs = keras.Input(input_shape)
    x = _normalized(parts, parts.lift(round(64 * width), 7, 2)(inputs))
    x = parts.pool(3, 2, "same")(x)
    for stage, count in enumerate(blocks):
        for number in range(count):
            strides = 2 if stage and not number else 1
            x = block(parts, x, round(64 * 2**stage * width), strides)
    name = name or f"resnet{depth}_{_named(parts)}"
    return _topped(parts, inputs, x, include_top, classes, classifier_activation, name)


def wide_resnet(
    group: Group,
    input_shape: InputShape,
    depth: int = 28,
    width: float = 10,
    match: str = "compute",
    include_top: bool = True,
    classes: int = 10,
    classifier_activation: str | None = "softmax",
    name: str | None = None,
) -> keras.Model:
    """A wide residual network for small images, halved twice, normalized before convolutions.

    Args:
        group, match, include_top, classes, classifier_activation, name: As in `resnet`.
        input_shape: Rows, columns and channels; 4 n + 1 rows and columns where the group turns the
            image, such as 29 or 33.
        depth: 6 n + 4, such as 10, 16 or 28.
        width: Factor of the numbers of filters, which are 16, 32 and 64 times it.

    Raises:
        ValueError: As `resnet`.

    Reference: Zagoruyko and Komodakis (2016).
    """
    if depth < 10 or depth % 6 != 4:
        raise ValueError(f"Expected `depth` to be 6 n + 4, as 10 or 28; received depth={depth!r}.")
    parts = network_parts.get(group, match)
    _check_sizes("wide_resnet", parts, input_shape, 4, rest=1)
    inputs = keras.Input(input_shape)
    x = parts.lift(16, 3)(inputs)
    for stage in range(3):
        for number in range((depth - 4) // 6):
            strides = 2 if stage and not number else 1
            x = _wide_block(parts, x, round(16 * 2**stage * width), strides)
    x = parts.activate()(parts.normalize()(x))
    name = name or f"wide_resnet{depth}_{_named(parts)}"
    return _topped(parts, inputs, x, include_top, classes, classifier_activation, name)


def unet(
    group: Group,
    input_shape: InputShape,
    classes: int,
    filters: int = 64,
    depth: int = 4,
    match: str = "compute",
    classifier_activation: str | None = "softmax",
    name: str | None = None,
) -> keras.Model:
    """A U-Net: from an image to numbers per class at every pixel, which turn with it.

    Args:
        group, match, name: As in `resnet`.
        input_shape: Rows, columns and channels, multiples of 2^depth rows and columns.
        classes: Number of classes.
        filters: Filters at the full resolution; they double at each halving.
        depth: How often the image is halved.
        classifier_activation: Activation over the classes, None for logits.

    Raises:
        ValueError: As `resnet`.

    Reference: Ronneberger et al. (2015).
    """
    parts = network_parts.get(group, match)
    _check_sizes("unet", parts, input_shape, 2**depth, rest=0, whole=True)
    inputs = keras.Input(input_shape)
    x = _normalized(parts, parts.lift(filters, 3)(inputs))
    x = _normalized(parts, parts.conv(filters, 3)(x))
    passed = []
    for level in range(1, depth + 1):
        passed.append(x)
        x = parts.pool(2, 2)(x)
        x = _twice(parts, x, filters * 2**level)
    for level in reversed(range(depth)):
        x = layers.SpatialUpSampling2D(parts.group)(x)
        x = _normalized(parts, parts.conv(filters * 2**level, 3)(x))
        x = keras.layers.Concatenate()([passed.pop(), x])
        x = _twice(parts, x, filters * 2**level)
    x = conv2d(classes, 1, activation=classifier_activation, name="classes")(parts.invariant(x))
    return keras.Model(inputs, x, name=name or f"unet_{_named(parts)}")


def convnext(
    group: GroupLike,
    input_shape: InputShape,
    depths: Sequence[int] = (3, 3, 9, 3),
    filters: Sequence[int] = (96, 192, 384, 768),
    match: str = "compute",
    include_top: bool = True,
    classes: int = 1000,
    classifier_activation: str | None = "softmax",
    name: str | None = None,
) -> keras.Model:
    """A ConvNeXt for images, by default of the size "tiny".

    Args:
        group: A C_n or D_n.
        input_shape: Rows, columns and channels, multiples of 4 * 2^(stages - 1) rows and columns
            where the group turns the image.
        depths: Blocks per stage.
        filters: Filters per stage.
        match, include_top, classes, classifier_activation, name: As in `resnet`.

    Raises:
        ValueError: As `resnet`, and for SO2 and O2.

    Reference: Liu et al. (2022).
    """
    if len(depths) != len(filters):
        raise ValueError(
            f"Expected `depths` and `filters` to be of equal length; received {len(depths)} and "
            f"{len(filters)}."
        )
    parts = network_parts.FiniteParts(finite.get(group), match)
    _check_sizes("convnext", parts, input_shape, 4 * 2 ** (len(depths) - 1), rest=0)
    inputs = keras.Input(input_shape)
    x = parts.lift(filters[0], 4, 4, padding="valid", use_bias=True)(inputs)
    x = layers.FieldLayerNormalization(epsilon=1e-6)(x)
    for stage, (count, width) in enumerate(zip(depths, filters, strict=True)):
        if stage:
            x = layers.FieldLayerNormalization(epsilon=1e-6)(x)
            x = parts.conv(width, 2, 2, padding="valid", use_bias=True)(x)
        for _ in range(count):
            x = _convnext_block(parts, x, width)
    name = name or f"convnext_{_named(parts)}"
    return _topped(parts, inputs, x, include_top, classes, classifier_activation, name)


def _topped(parts, inputs, x, include_top, classes, activation, name):
    """The model, with a classifier of invariant numbers or without."""
    if include_top:
        x = layers.GlobalPooling2D()(x)
        x = keras.layers.Dense(classes, activation=activation, name="classes")(parts.invariant(x))
    return keras.Model(inputs, x, name=name)


def _normalized(parts: NetworkParts, x: Tensor) -> Tensor:
    return parts.activate()(parts.normalize()(x))


def _twice(parts, x, filters):
    for _ in range(2):
        x = _normalized(parts, parts.conv(filters, 3)(x))
    return x


def _basic_block(parts, x, filters, strides):
    y = _normalized(parts, parts.conv(filters, 3, strides)(x))
    y = parts.normalize()(parts.conv(filters, 3)(y))
    return parts.activate()(keras.layers.Add()([_shortcut(parts, x, filters, strides), y]))


def _bottleneck_block(parts, x, filters, strides):
    y = _normalized(parts, parts.conv(filters, 1)(x))
    y = _normalized(parts, parts.conv(filters, 3, strides)(y))
    y = parts.normalize()(parts.conv(4 * filters, 1)(y))
    return parts.activate()(keras.layers.Add()([_shortcut(parts, x, 4 * filters, strides), y]))


def _shortcut(parts, x, filters, strides):
    if strides == 1 and x.shape[-1] == parts.channels(filters):
        return x
    return parts.normalize()(parts.conv(filters, 1, strides)(x))


def _wide_block(parts, x, filters, strides):
    y = _normalized(parts, x)
    if strides > 1 or x.shape[-1] != parts.channels(filters):
        x = parts.conv(filters, 1, strides)(y)
    y = _normalized(parts, parts.conv(filters, 3, strides)(y))
    return keras.layers.Add()([x, parts.conv(filters, 3)(y)])


def _convnext_block(parts, x, filters):
    channels = parts.channels(filters)
    y = layers.DepthwiseGroupConv2D(parts.group, 7, padding="same")(x)
    y = layers.FieldLayerNormalization(epsilon=1e-6)(y)
    y = layers.GroupDense(parts.group, 4 * channels, activation="gelu")(y)
    return keras.layers.Add()([x, layers.GroupDense(parts.group, channels)(y)])


def _check_sizes(what, parts, input_shape, step, rest, whole=False):
    """Raises a ValueError unless rows and columns leave `rest` when divided by `step`.

    Args:
        whole: True where sizes that do not fit cannot be computed at all, whatever the group is.
    """
    if np.shape(input_shape) != (3,) or not input_shape[-1]:
        raise ValueError(
            "Expected `input_shape` to be rows, columns and a known number of channels; received "
            f"{input_shape!r}."
        )
    for axis, name in enumerate(PIXELS, start=1):
        size = input_shape[axis - 1]
        checked = whole or reverses(parts.on_pixels, axis)
        if size is None or not checked or size % step == rest % step:
            continue
        below = max((size - rest) // step, 1) * step + rest
        plus = f" + {rest}" if rest else ""
        raise ValueError(
            f"Expected `input_shape` of {what} to have {step} n{plus} {name}, such as {below} or "
            f"{below + step}, at which every stride commutes with {parts.on_pixels}; received "
            f"{size}."
        )


def _named(parts):
    return str(parts.group).lower()
