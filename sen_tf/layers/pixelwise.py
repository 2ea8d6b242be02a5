"""Layers on every channel by itself, of images with the axis of a group or without one."""

import math
from typing import Any, TypeAlias

import keras
from keras import ops

from sen_tf.groups import FiniteGroup, GroupLike, circle, finite
from sen_tf.layers import arguments, output_fields
from sen_tf.layers.inputs import fit, settle
from sen_tf.layers.plain import reshape
from sen_tf.tensors import Shape, Tensor

PlaneGroup: TypeAlias = GroupLike | circle.Circle
MODES = ("max", "mean")


class Pixelwise(keras.layers.Layer):
    """A layer that moves or joins pixels, and leaves the axis of the group alone.

    Args:
        group: A C_n or D_n, `"SO2"` or `"O2"`, or the name.
    """

    output_field = output_fields.keeps_field

    def __init__(self, group: PlaneGroup, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        is_circle = isinstance(group, circle.Circle) or group in circle.NAMES
        self.group: FiniteGroup | circle.Circle = (circle if is_circle else finite).get(group)
        self.on_pixels = finite.get(self.group.on_pixels) if is_circle else self.group
        finite.family(self.on_pixels)  # refuses groups that do not act on the plane

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
        if len(input_shape) not in (4, 5):
            raise ValueError(
                f"{type(self).__name__} `{self.name}` expected an input of rank 4 or 5; received "
                f"shape {tuple(input_shape)}."
            )
        axis = input_shape[3] if len(input_shape) == 5 else None
        # The axis that later inputs are held to; None where any will do that the group has.
        self._axis = axis if isinstance(self.group, circle.Circle) else self.group.order
        if axis is not None and not self._fits(axis):
            raise ValueError(
                f"{type(self).__name__} `{self.name}` expected an input of shape (batch, rows, "
                f"columns, {self._expected_axis}, channels) with the group axis of {self.group} "
                f"before the channels; received {tuple(input_shape)}."
            )

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
        """Images of other sizes, from images `(batch, rows, columns, channels)`."""
        raise NotImplementedError

    def call(self, inputs: Tensor) -> Tensor:
        x = settle(self, inputs, ranks=(4, 5))
        if len(x.shape) == 5 and self._axis is not None:
            x = fit(x, f"{type(self).__name__} `{self.name}`", {3: self._axis})
        shape = ops.shape(x)
        x = self.resample(ops.reshape(x, (*shape[:3], math.prod(shape[3:]))))
        return ops.reshape(x, (*ops.shape(x)[:3], *shape[3:]))

    def plain(self, inputs: Tensor) -> Tensor:
        """The same with the group among the channels; see `layers.plain`."""
        rows, columns, *fields = inputs.shape[1:]
        x = self.plain_resample(reshape(inputs, rows, columns, math.prod(fields)))
        return reshape(x, *self.compute_output_shape(inputs.shape)[1:])

    def plain_resample(self, images: Tensor) -> Tensor:
        """`resample` by layers and operations of Keras."""
        return self.resample(images)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "group": self.group.config}
