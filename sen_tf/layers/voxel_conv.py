"""Group convolutions on voxels, exact for the symmetries of a cube.

A field is a function on the parts that a group permutes, on an axis before the channels: on the six
faces of a cube, on its eight corners, on the elements of the group, on cosets. All three layers run
one ordinary convolution, whose kernel commutes with the group if and only if

    K(g p)[g i, g o] = K(p)[i, o]    for voxels p, parts i of the input and o of the output:

one number is learnt for each orbit of (p, i, o), and read through an index table. From elements to
elements these are the K(p, s) of `y(g) = sum_h x(h) * L_g K(g^-1 h)`, as in two dimensions.

The axis of all elements of O or Oh is wide, and a convolution of as many channels costs as much.
Functions on faces have a quarter or an eighth of its length, and a sixteenth or less of the cost.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from sen_tf.groups import FiniteGroup, GroupLike, Representation, kernels, representations
from sen_tf.layers import output_fields
from sen_tf.layers.expanded_kernel import ExpandedKernel
from sen_tf.layers.inputs import settle
from sen_tf.layers.plain import reshape, with_weights
from sen_tf.layers.symmetric_grid import VOXELS
from sen_tf.layers.windowed import Windowed
from sen_tf.tensors import Shape, Tensor


class _VoxelConv3D(Windowed, ExpandedKernel):
    """A convolution whose kernel holds each learnt number at all places of an orbit."""

    output_field = output_fields.to_volumes_of_parts
    axes = VOXELS
    has_input_axis = True
    has_output_axis = True

    def __init__(
        self,
        group: GroupLike,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: str = "valid",
        dilation_rate: int | Sequence[int] = 1,
        data_format: str = "channels_last",
        field: str = "faces",
        **kwargs: Any,
    ) -> None:
        super().__init__(group, filters, **kwargs)
        self.set_windows(kernel_size, strides, padding, data_format, dilation_rate)
        self.field = _parts("field", field, self.group).name
        self._representations = self._input_and_output()
        self._table = kernels.voxel_orbits(self.kernel_size, *self._representations)

    def _input_and_output(self):
        """The representations that permute the parts of the input and of the output."""
        has_axis = (self.has_input_axis, self.has_output_axis)
        names = [self.field if has else "trivial" for has in has_axis]
        return [representations.get(name, self.group) for name in names]

    def build(self, input_shape: Shape) -> None:
        parts = self._table.shape[3]
        axis = (parts,) if self.has_input_axis else ()
        if tuple(input_shape[4:-1]) != axis or len(input_shape) < 5 or not input_shape[-1]:
            field = self._representations[0]
            shape = ("batch", "rows", "columns", "slices", *map(str, axis), "channels")
            reason = f", for {field} of {self.group} has {parts} parts" if axis else ""
            raise ValueError(
                f"{type(self).__name__} `{self.name}` expected volumes of shape "
                f"({', '.join(shape)}){reason}; received {tuple(input_shape)}."
            )
        self.check_grid(self.group, input_shape)
        self.add_kernel((int(self._table.max()) + 1,), input_shape[-1])

    @property
    def output_parts(self) -> int:
        """The number of parts that the output is a function on."""
        return self._table.shape[-1]

    def initial_kernel(self, shape: Shape, dtype: str | None) -> Tensor:
        """The first entry of each orbit of an expanded kernel, whose fans are the true ones.

        White noise keeps its variance. Inputs that are alike at the places of an orbit gain more:
        noise after a ReLU, on faces, 2.4 times the power that He's initializer aims at.
        """
        channels, filters = shape[-2:]
        *positions, inputs, outputs = self._table.shape
        wide = (*positions, inputs * channels, outputs * filters)
        kernel = self.kernel_initializer(wide, dtype=dtype)
        kernel = ops.reshape(kernel, (-1, channels, outputs, filters))
        kernel = ops.reshape(ops.transpose(kernel, (0, 2, 1, 3)), (-1, channels, filters))
        return ops.take(kernel, np.unique(self._table, return_index=True)[1], axis=0)

    def expand(self, kernel: Tensor) -> Tensor:
        """The kernel of the ordinary convolution: (k, k, k, parts * channels, parts * filters)."""
        *positions, inputs, outputs = self._table.shape
        channels = kernel.shape[-2]
        # Flattened first, for the optimizer: see `GroupDense.expand`.
        kernel = ops.reshape(ops.cast(kernel, self.compute_dtype), (kernel.shape[0], -1))
        kernel = ops.take(kernel, self._table, axis=0)
        kernel = ops.reshape(kernel, (*self._table.shape, channels, self.filters))
        kernel = ops.transpose(kernel, (0, 1, 2, 3, 5, 4, 6))
        return ops.reshape(kernel, (*positions, inputs * channels, outputs * self.filters))

    def call(self, inputs: Tensor) -> Tensor:
        parts = self._table.shape[3]
        sizes = {-1: self.kernel.shape[-2], **({-2: parts} if self.has_input_axis else {})}
        inputs = settle(self, inputs, sizes, ranks=(5 + self.has_input_axis,))
        inputs = self.on_grid(self.group, inputs)
        if self.has_input_axis:
            # Convolutions want a number of channels that is known.
            channels = parts * self.kernel.shape[-2]
            inputs = ops.reshape(inputs, (*ops.shape(inputs)[:4], channels))
        x = ops.conv(
            inputs,
            self.expanded_kernel(),
            strides=self.strides,
            padding=self.padding,
            dilation_rate=self.dilation_rate,
            data_format=self.data_format,
        )
        # Before the bias: on CPUs TensorFlow gives an empty batch the shape of its input.
        x = ops.reshape(x, self.compute_output_shape(ops.shape(inputs)))
        return self.activation(self.add_bias(x))

    def plain(self, inputs: Tensor) -> Tensor:
        """A `Conv3D` with the parts among the channels; see `layers.plain`."""
        conv = keras.layers.Conv3D(
            self.output_parts * self.filters,
            self.kernel_size,
            self.strides,
            self.padding,
            data_format=self.data_format,
            dilation_rate=self.dilation_rate,
            **self.plain_arguments(),
        )
        x = inputs
        if self.has_input_axis:
            x = reshape(x, *x.shape[1:4], x.shape[4] * x.shape[5])
        x = with_weights(conv, self.plain_weights(), x)
        return self.plain_activation(reshape(x, *self.compute_output_shape(inputs.shape)[1:]))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        parts = (self.output_parts,) if self.has_output_axis else ()
        return (input_shape[0], *self.output_sizes(input_shape), *parts, self.filters)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "field": self.field}


@keras.saving.register_keras_serializable("sen_tf")
class LiftingConv3D(_VoxelConv3D):
    """Convolution from volumes to functions on the faces of a cube, or on other parts.

    Turning the input by g turns the output in space and sends its part o to part g o.

    Args:
        group: A group that acts on voxels, or its name: `"O"`, the 24 rotations of a cube; `"Oh"`,
            these and mirrors; `"T"`; `"C4"`, `"D4"` and their subgroups, about the z axis; and all
            others that `groups.octahedral.generated` names.
        filters: Number of output channels.
        kernel_size: Side of the cubic kernel in voxels, odd or even, or all three.
        strides: Step of the window in voxels, or all three.
        padding: `"valid"` or `"same"`.
        dilation_rate: Distance between the kernel's samples in voxels.
        data_format: `"channels_last"`, whatever Keras' own default is.
        field: The parts that the output is a function on, by the name of the representation that
            permutes them: `"faces"`, 6; `"corners"`, 8; `"regular"`, the elements of the group;
            `"quotient(...)"`, its cosets; `"permutation(...)"`; or a sum of these.
        **kwargs: `activation`, `use_bias`, `kernel_initializer` and the others of
            `keras.layers.Conv3D`.

    Input shape: `(batch, rows, columns, slices, channels)`.

    Output shape: `(batch, new_rows, new_columns, new_slices, parts, filters)`.

    Raises:
        ValueError: For a size at which the windows do not sit symmetrically on the volume, so that
            the layer would not commute with the group. The message names a size that does.

    Example:
        >>> layer = LiftingConv3D("O", filters=4, kernel_size=3, padding="same")
        >>> layer(keras.ops.ones((1, 5, 5, 5, 1))).shape
        TensorShape([1, 5, 5, 5, 6, 4])

    Reference: Winkels and Cohen, *3D G-CNNs for pulmonary nodule detection* (2018); Worrall and
    Brostow, *CubeNet* (2018).
    """

    has_input_axis = False


@keras.saving.register_keras_serializable("sen_tf")
class GroupConv3D(_VoxelConv3D):
    """Convolution between functions on the faces of a cube, or on other parts.

    Args:
        group: A group that acts on voxels, or its name; see `LiftingConv3D`.
        filters: Number of output channels.
        kernel_size: Side of the cubic kernel in voxels, odd or even, or all three.
        strides: Step of the window in voxels, or all three.
        padding: `"valid"` or `"same"`.
        dilation_rate: Distance between the kernel's samples in voxels.
        data_format: `"channels_last"`, whatever Keras' own default is.
        field: The parts that the output is a function on; see `LiftingConv3D`.
        input_field: The parts that the input is a function on; `None` means those of the output.
        **kwargs: `activation`, `use_bias`, `kernel_initializer` and the others of
            `keras.layers.Conv3D`.

    Input shape: `(batch, rows, columns, slices, input_parts, channels)`.

    Output shape: `(batch, new_rows, new_columns, new_slices, parts, filters)`.

    Raises:
        ValueError: For a size at which the layer would not commute with the group.

    Example:
        >>> on_faces = keras.ops.ones((1, 5, 5, 5, 6, 4))
        >>> GroupConv3D("Oh", 2, 3, field="corners", input_field="faces")(on_faces).shape
        TensorShape([1, 3, 3, 3, 8, 2])

    Reference: Cohen, Geiger and Weiler, *A general theory of equivariant CNNs on homogeneous
    spaces* (2019), for functions on cosets.
    """

    def __init__(self, *args: Any, input_field: str | None = None, **kwargs: Any) -> None:
        self.input_field = input_field
        super().__init__(*args, **kwargs)

    def _input_and_output(self):
        output = representations.get(self.field, self.group)
        if self.input_field is None:
            return [output, output]
        return [_parts("input_field", self.input_field, self.group), output]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "input_field": self.input_field}


@keras.saving.register_keras_serializable("sen_tf")
class ProjectionConv3D(_VoxelConv3D):
    """Convolution from functions on the faces of a cube, or on other parts, to volumes.

    The output channels are trivial features: turning the input turns them in space and does nothing
    else.

    Args:
        group: A group that acts on voxels, or its name; see `LiftingConv3D`.
        filters: Number of output channels.
        kernel_size: Side of the cubic kernel in voxels, odd or even, or all three.
        strides: Step of the window in voxels, or all three.
        padding: `"valid"` or `"same"`.
        dilation_rate: Distance between the kernel's samples in voxels.
        data_format: `"channels_last"`, whatever Keras' own default is.
        field: The parts that the input is a function on; see `LiftingConv3D`.
        **kwargs: `activation`, `use_bias`, `kernel_initializer` and the others of
            `keras.layers.Conv3D`.

    Input shape: `(batch, rows, columns, slices, parts, channels)`.

    Output shape: `(batch, new_rows, new_columns, new_slices, filters)`.

    Raises:
        ValueError: For a size at which the layer would not commute with the group.
    """

    output_field = output_fields.to_volumes
    has_output_axis = False


def _parts(name: str, field: str, group: FiniteGroup) -> Representation:
    """The representation that permutes the parts; a ValueError names the argument."""
    try:
        if not isinstance(field, str):
            raise ValueError("It is no name of a representation")
        representation = representations.get(field, group)
        kernels.permutation(representation)
    except ValueError as error:
        raise ValueError(
            f"Expected `{name}` to be 'faces', 'corners', 'regular' or another permutation of the "
            f"parts of a feature by {group}; received {name}={field!r}. {error}."
        ) from error
    return representation
