"""The layers that networks are built of, for each kind of group under one set of names."""

import math
from typing import Any, Protocol

import keras

from sen_tf import layers
from sen_tf.groups import GroupLike, circle, finite
from sen_tf.tensors import Tensor

MATCHES = ("compute", "parameters")
FREQUENCIES = 2
"""The highest frequency of features of SO(2) and O(2): the highest that 3x3 kernels carry."""


class NetworkParts(Protocol):
    """The layers of networks on a group; each returns a layer, but for `invariant`.

    Args of the methods are as in Keras: filters, kernel size and strides. Padding is "same", and
    there are no biases where normalization follows.
    """

    @property
    def group(self) -> finite.FiniteGroup | circle.Circle:
        """The group."""

    @property
    def on_pixels(self) -> finite.FiniteGroup:
        """The finite group of the elements that map pixels to pixels."""

    def channels(self, filters: int) -> int:
        """The channels in place of so many filters of a plain network."""

    def lift(self, filters: int, size: int, strides: int = 1, **more: Any) -> keras.layers.Layer:
        """A convolution from an image."""

    def conv(self, filters: int, size: int, strides: int = 1, **more: Any) -> keras.layers.Layer:
        """A convolution from features."""

    def normalize(self) -> keras.layers.Layer:
        """Batch normalization."""

    def activate(self) -> keras.layers.Layer:
        """A rectifier, or what commutes in its place."""

    def pool(self, size: int, strides: int, padding: str = "valid") -> keras.layers.Layer:
        """Pooling of pixels."""

    def invariant(self, x: Tensor) -> Tensor:
        """Invariant numbers (b, ..., channels) of features (b, ..., axis, channels)."""


class FiniteParts:
    """Layers on a C_n or D_n: functions on the group. With C1 the network is a plain one."""

    def __init__(self, group: GroupLike, match: str = "compute") -> None:
        self.group = self.on_pixels = finite.get(group)
        finite.family(self.group)
        order = self.group.order
        self._copies = order if _checked(match) == "compute" else math.sqrt(order)

    def channels(self, filters: int) -> int:
        return _shared(filters, self._copies)

    def lift(self, filters: int, size: int, strides: int = 1, **more: Any) -> keras.layers.Layer:
        return layers.LiftingConv2D(*self._arguments(filters, size, strides), **_usual(more))

    def conv(self, filters: int, size: int, strides: int = 1, **more: Any) -> keras.layers.Layer:
        return layers.GroupConv2D(*self._arguments(filters, size, strides), **_usual(more))

    def _arguments(self, filters, size, strides):
        return self.group, self.channels(filters), size, strides

    def normalize(self) -> keras.layers.Layer:
        return layers.FieldBatchNormalization(momentum=0.9)

    def activate(self) -> keras.layers.Layer:
        return keras.layers.ReLU()

    def pool(self, size: int, strides: int, padding: str = "valid") -> keras.layers.Layer:
        return layers.SpatialPooling2D(self.group, size, strides, padding)

    def invariant(self, x: Tensor) -> Tensor:
        return layers.GroupPooling()(x)


class CircleParts:
    """Layers on SO(2) or O(2): frequencies up to `FREQUENCIES`."""

    def __init__(self, group: circle.Circle | str, match: str = "compute") -> None:
        self.group = circle.get(group)
        self.on_pixels = finite.get(self.group.on_pixels)
        components = len(self.group.frequencies(FREQUENCIES))
        # Between so many components a 3x3 kernel has these free numbers in place of nine.
        kernels = len(circle.kernel_table(self.group, 3, FREQUENCIES, FREQUENCIES))
        self._copies = components if _checked(match) == "compute" else math.sqrt(kernels / 9)

    def channels(self, filters: int) -> int:
        return _shared(filters, self._copies)

    def conv(self, filters: int, size: int, strides: int = 1, **more: Any) -> keras.layers.Layer:
        return layers.CircleConv2D(
            self.group, self.channels(filters), size, FREQUENCIES, strides, **_usual(more)
        )

    lift = conv

    def normalize(self) -> keras.layers.Layer:
        return layers.IrrepsBatchNormalization(self.group, momentum=0.9)

    def activate(self) -> keras.layers.Layer:
        return layers.CircleActivation(self.group)

    def pool(self, size: int, strides: int, padding: str = "valid") -> keras.layers.Layer:
        # The largest of the numbers that a rotation mixes has no meaning; their mean has.
        return layers.SpatialPooling2D(self.group, size, strides, padding, mode="mean")

    def invariant(self, x: Tensor) -> Tensor:
        return layers.GroupPooling("norm")(x)


def _shared(filters, copies):
    """The channels of which each has so many copies, one at least."""
    if filters < 1:
        raise ValueError(
            f"Expected at least one filter in each convolution; received {filters} filters. Use a "
            "larger width."
        )
    return max(1, round(filters / copies))


def _checked(match):
    if match not in MATCHES:
        raise ValueError(
            f"Expected `match` to be {' or '.join(map(repr, MATCHES))}; received match={match!r}."
        )
    return match


def _usual(more):
    return {
        "padding": "same",
        "use_bias": False,
        "kernel_initializer": "he_normal",
        **more,
    }


def get(group: GroupLike | circle.Circle, match: str = "compute") -> NetworkParts:
    """The layers for a group: a C_n or D_n, `"SO2"` or `"O2"`.

    Args:
        group: The group, or its name.
        match: `"compute"`: as many numbers per pixel as the plain network has, so that both cost
            as much; `"parameters"`: about as many weights.

    Raises:
        ValueError: For another group or match.
    """
    if isinstance(group, circle.Circle) or (isinstance(group, str) and group in circle.NAMES):
        return CircleParts(group, match)
    return FiniteParts(group, match)
