"""Layers on every channel by itself, of images or volumes with or without the axis of a group."""

import math
from typing import Any, TypeAlias

import keras
from keras import ops

from sen_tf.groups import FiniteGroup, GroupLike, actions, circle, finite
from sen_tf.layers import arguments, output_fields
from sen_tf.layers.inputs import fit, settle
from sen_tf.layers.plain import reshape
from sen_tf.layers.symmetric_grid import PIXELS, VOXELS, Axes
from sen_tf.tensors import Shape, Tensor

PlaneGroup: TypeAlias = GroupLike | circle.Circle
MODES = ("max", "mean")


class Pixelwise(keras.layers.Layer):
    """A layer that moves or joins pixels, and leaves the axis of the group alone.

    Args:
        group: A C_n or D_n, `"SO2"` or `"O2"`, or the name.
    """

    output_field = output_fields.keeps_field
    axes: Axes = PIXELS

    def __init__(self, group: PlaneGroup, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.group, self.on_pixels = self._acting(group)

    def _acting(self, group: PlaneGroup) -> tuple[FiniteGroup | circle.Circle, FiniteGroup]:
        """The group, and its elements that map the grid to itself; or a ValueError."""
        name = group.name if isinstance(group, circle.Circle) else group
        if isinstance(name, str) and name in circle.NAMES:
            whole = circle.get(name)
            return whole, finite.get(whole.on_pixels)
        found = finite.get(name)
        finite.family(found)  # refuses groups that do not act on the plane
        return found, found

    @property
    def _ranks(self):
        return len(self.axes) + 2, len(self.axes) + 3

    def pooling_mode(self, mode: str) -> str:
        """`"max"` or `"mean"`, or a ValueError."""
        mode = arguments.choice("mode", mode, MODES)
        if mode == "max" and isinstance(self.group, circle.Circle):
            raise ValueError(
                f"Expected `mode` to be 'mean' for {self.group}, of whose components, which turns "
                "mix, the largest has no meaning; received mode='max'."
            )
        return mode

    def build(self, input_shape: Shape) -> None:
        if len(input_shape) not in self._ranks:
            raise ValueError(
                f"{type(self).__name__} `{self.name}` expected an input of rank "
                f"{' or '.join(map(str, self._ranks))}; received shape {tuple(input_shape)}."
            )
        self._axis = self._checked_axis(input_shape)

    def _checked_axis(self, input_shape):
        """The axis that later inputs are held to; None where any will do that the group has."""
        axis = input_shape[3] if len(input_shape) == 5 else None
        if axis is not None and not self._fits(axis):
            raise ValueError(
                f"{type(self).__name__} `{self.name}` expected an input of shape (batch, rows, "
                f"columns, {self._expected_axis}, channels) with the group axis of {self.group} "
                f"before the channels; received {tuple(input_shape)}."
            )
        return axis if isinstance(self.group, circle.Circle) else self.group.order

    def _fits(self, length):
        if isinstance(self.group, circle.Circle):
            return self.group.highest(length) is not None
        return length == self.group.order

    @property
    def _expected_axis(self):
        if isinstance(self.group, circle.Circle):
            return "2 + 2 L" if self.group.mirrors else "1 + 2 L"
        return self.group.order

    def resample(self, images: Tensor) -> Tensor:
        """Images of other sizes, from images `(batch, rows, columns, channels)`, or volumes."""
        raise NotImplementedError

    def call(self, inputs: Tensor) -> Tensor:
        x = settle(self, inputs, ranks=self._ranks)
        grid = 1 + len(self.axes)
        if len(x.shape) == self._ranks[1] and self._axis is not None:
            x = fit(x, f"{type(self).__name__} `{self.name}`", {grid: self._axis})
        shape = ops.shape(x)
        x = self.resample(ops.reshape(x, (*shape[:grid], math.prod(shape[grid:]))))
        return ops.reshape(x, (*ops.shape(x)[:grid], *shape[grid:]))

    def plain(self, inputs: Tensor) -> Tensor:
        """The same with the group among the channels; see `layers.plain`."""
        grid = 1 + len(self.axes)
        sizes, fields = inputs.shape[1:grid], inputs.shape[grid:]
        x = self.plain_resample(reshape(inputs, *sizes, math.prod(fields)))
        return reshape(x, *self.compute_output_shape(inputs.shape)[1:])

    def plain_resample(self, images: Tensor) -> Tensor:
        """`resample` by layers and operations of Keras."""
        return self.resample(images)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "group": self.group.config}


class Voxelwise(Pixelwise):
    """A layer that moves or joins voxels, and leaves the axis of their parts alone.

    The axis may have any length, for a group permutes the parts of many fields.

    Args:
        group: A group that acts on voxels, or its name.
    """

    axes = VOXELS

    def _acting(self, group):
        group = finite.get(group)
        actions.reversed_axes(group)  # refuses groups that do not act on voxels
        return group, group

    def _checked_axis(self, input_shape):
        return None
