"""Pooling over the group, and spatial pooling that keeps equivariance."""

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from sen_tf import groups
from sen_tf.groups import finite
from sen_tf.layers import arguments
from sen_tf.layers.inputs import require, settle
from sen_tf.layers.plain import plain_call, reshape
from sen_tf.layers.symmetric_grid import check_symmetric_grid, symmetric_grid
from sen_tf.tensors import Shape, Tensor

MODES = ("max", "mean")


@keras.saving.register_keras_serializable("sen_tf")
class GroupPooling(keras.layers.Layer):
    """Maximum or mean over the group axis: from a function on the group to a trivial feature.

    Args:
        mode: `"max"` or `"mean"`.

    Input shape: `(batch, ..., |group|, channels)`.

    Output shape: `(batch, ..., channels)`.

    Raises:
        ValueError: If there is no group axis before the channels.

    Reference: Cohen and Welling (2016), section 6.3.
    """

    def __init__(self, mode: str = "max", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.mode = arguments.choice("mode", mode, MODES)

    def build(self, input_shape: Shape) -> None:
        if len(input_shape) < 3 or input_shape[-2] == 0:
            raise ValueError(
                f"GroupPooling `{self.name}` expected an input of shape (batch, ..., |group|, "
                f"channels); received {tuple(input_shape)}."
            )

    def call(self, inputs: Tensor) -> Tensor:
        inputs = settle(self, inputs)
        if inputs.shape[-2] is None and not isinstance(inputs, keras.KerasTensor):
            some = ops.shape(inputs)[-2] > 0
            inputs = require(inputs, some, f"GroupPooling `{self.name}` expected a group axis.")
        if self.mode == "mean":
            return ops.mean(inputs, axis=-2)
        return ops.max(inputs, axis=-2, initial=-math.inf)  # without, it refuses an empty batch

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape[:-2], input_shape[-1])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "mode": self.mode}


@keras.saving.register_keras_serializable("sen_tf")
class SpatialPooling2D(keras.layers.Layer):
    """Maximum or mean over square windows of pixels, refused where it would break equivariance.

    Args:
        group: A `FiniteGroup` C_n or D_n, or its name. Elements that map pixels to pixels commute
            exactly; others as far as the sampling of the image allows.
        pool_size: Side of the window in pixels, or the pair of both sides.
        strides: Step of the window in pixels, or the pair of both; `None` means `pool_size`.
        padding: `"valid"` or `"same"`.
        mode: `"max"` or `"mean"`.
        data_format: `"channels_last"`, whatever Keras' own default is.

    Input shape: `(batch, rows, columns, |group|, channels)`, or `(batch, rows, columns, channels)`.

    Output shape: As the input's, with fewer rows and columns.

    Raises:
        ValueError: For a group that does not act on pixels, and for a size at which the windows do
            not sit symmetrically on the image.
    """

    def __init__(
        self,
        group: groups.GroupLike,
        pool_size: int | Sequence[int] = 2,
        strides: int | Sequence[int] | None = None,
        padding: str = "valid",
        mode: str = "max",
        data_format: str = "channels_last",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.group = groups.get(group)
        finite.family(self.group)  # refuses groups that do not act on the plane
        self.pool_size = arguments.side("pool_size", pool_size)
        self.strides = None if strides is None else arguments.side("strides", strides)
        self.padding = arguments.padding(padding)
        self.mode = arguments.choice("mode", mode, MODES)
        self.data_format = arguments.data_format(data_format)
        pooling = keras.layers.MaxPooling2D if self.mode == "max" else keras.layers.AveragePooling2D
        self._pool = pooling(
            self.pool_size,
            self.strides,
            self.padding,
            data_format=self.data_format,
            dtype=self.dtype_policy,
        )

    def build(self, input_shape: Shape) -> None:
        if len(input_shape) not in (4, 5):
            raise ValueError(
                f"SpatialPooling2D `{self.name}` expected an input of rank 4 or 5; received shape "
                f"{tuple(input_shape)}."
            )
        check_symmetric_grid(self, self.group, input_shape, *self._grid)

    @property
    def _grid(self):
        return self.pool_size, self.strides or self.pool_size, self.padding

    def call(self, inputs: Tensor) -> Tensor:
        inputs = settle(self, inputs, ranks=(4, 5))
        inputs = symmetric_grid(self, inputs, self.group, *self._grid)
        shape = ops.shape(inputs)
        x = self._pool(ops.reshape(inputs, (*shape[:3], math.prod(shape[3:]))))
        return ops.reshape(x, (*ops.shape(x)[:3], *shape[3:]))

    def plain(self, inputs: Tensor) -> Tensor:
        """Pooling with the group among the channels; see `layers.plain`."""
        rows, columns, *fields = inputs.shape[1:]
        x = plain_call(self._pool, reshape(inputs, rows, columns, math.prod(fields)))
        return reshape(x, *self.compute_output_shape(inputs.shape)[1:])

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        pooled = self._pool.compute_output_shape((*input_shape[:3], 1))
        return (*pooled[:3], *input_shape[3:])

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "group": self.group.config,
            "pool_size": self.pool_size,
            "strides": self.strides,
            "padding": self.padding,
            "mode": self.mode,
            "data_format": self.data_format,
        }
