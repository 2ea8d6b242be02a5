"""Convolutions of volumes of features of SO(3) or O(3), by kernels of spherical harmonics."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from sen_tf import groups
from sen_tf.groups import kernels
from sen_tf.layers import arguments, output_fields
from sen_tf.layers.inputs import settle
from sen_tf.layers.irreps_dense import IrrepsMixing, highest_degree
from sen_tf.layers.irreps_parts import group_in_space, parities
from sen_tf.layers.plain import constant, reshape, with_weights
from sen_tf.layers.symmetric_grid import VOXELS
from sen_tf.layers.windowed import Windowed
from sen_tf.tensors import Shape, Tensor

CUBE = {"SO3": groups.get("O"), "O3": groups.get("Oh")}
"""The elements of each group for which a convolution on voxels is exact."""


@keras.saving.register_keras_serializable("sen_tf")
class IrrepsConv3D(Windowed, IrrepsMixing):
    """Convolution of volumes between sums of irreducible representations of SO(3) or O(3).

    Its kernels are all the sums of Gaussians of the distance, times spherical harmonics of the
    direction, that couple degrees of the input to degrees of the output: turning the input turns
    the output. Under O(3) the harmonics also couple parities, and mirroring the input mirrors the
    output. On voxels this is exact for the 24 rotations of a cube, under O(3) for all its 48
    symmetries. For all others, and plane waves of up to half of the highest frequency, outputs miss
    by 1.6 to 2.7 % with kernels of side 3 and 5 (root mean square; trilinear interpolation of such
    a volume misses by 14 %).

    `ToIrreps` makes features of scalars, vectors or matrices on voxels; `GatedActivation` is a
    nonlinearity between two of these layers. Kernels are made in float32 under mixed precision.

    Args:
        filters: Number of output channels.
        degree: Highest degree L' of the output.
        kernel_size: Side of the cubic kernel in voxels, odd or even, or all three.
        strides: Step of the window in voxels, or all three.
        padding: `"valid"` or `"same"`.
        data_format: `"channels_last"`, whatever Keras' own default is.
        group: `"SO3"`, which tells a volume from its mirror image, or `"O3"`, which takes one to
            the other.
        **kwargs: `use_bias` and `kernel_initializer`, as in `keras.layers.Dense`; the bias is on
            the scalars. Initializers see the fan of as many channels as there are elements of the
            basis, so that white noise keeps its variance.

    Input shape: `(batch, rows, columns, slices, components, channels)`: (L + 1)^2 components for
        SO3, 2 (L + 1)^2 for O3.

    Output shape: `(batch, new_rows, new_columns, new_slices, components, filters)`: (L' + 1)^2
        components for SO3, 2 (L' + 1)^2 for O3.

    Raises:
        ValueError: If the axis before the channels holds no sum of the group; if no kernel
            of this size couples the input to the output's highest degree; and for a size at which
            the windows do not sit symmetrically on the volume.

    Example:
        >>> scalars = keras.ops.ones((1, 5, 5, 5, 1, 2))  # such as ToIrreps(rank=0) makes
        >>> IrrepsConv3D(filters=4, degree=2, kernel_size=3)(scalars).shape
        TensorShape([1, 3, 3, 3, 9, 4])

    Reference: Weiler et al., *3D steerable CNNs* (2018).
    """

    output_field = output_fields.to_irreps
    axes = VOXELS
    is_dilated = False

    def __init__(
        self,
        filters: int,
        degree: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: str = "valid",
        data_format: str = "channels_last",
        group: str = "SO3",
        **kwargs: Any,
    ) -> None:
        super().__init__(filters, autocast=False, **kwargs)  # kernels are made in float32
        self.degree = arguments.integer("degree", degree, least=0)
        self.group = group_in_space(group)
        self.set_windows(kernel_size, strides, padding, data_format)

    @property
    def _components(self):
        """Components of the output."""
        return len(parities(self.group)) * (self.degree + 1) ** 2

    def build(self, input_shape: Shape) -> None:
        if len(input_shape) != 6:
            raise ValueError(
                f"IrrepsConv3D `{self.name}` expected volumes of shape (batch, rows, columns, "
                f"slices, components, channels); received {tuple(input_shape)}."
            )
        degree, channels = highest_degree(self, input_shape, self.group), input_shape[-1]
        self.check_grid(CUBE[self.group], input_shape)
        self._built_for = {-2: input_shape[-2], -1: channels}
        halves = len(parities(self.group))
        self._basis = kernels.irreps_basis(self.kernel_size, degree, self.degree, halves)
        dead = [lo for lo, elements in enumerate(self._basis) if not len(elements)]
        if dead:
            raise ValueError(
                f"IrrepsConv3D `{self.name}` has no kernel of {self.kernel_size} voxels from "
                f"degrees up to {degree} to degree {dead[0]}. Use a larger `kernel_size`, or "
                f"degree={dead[0] - 1}."
            )
        self.add_kernels([channels * len(elements) for elements in self._basis])

    def expanded_kernel(self) -> Tensor:
        """The ordinary convolution's: (k, k, k, components * channels, components * filters)."""
        components, channels = self._built_for[-2], self._built_for[-1]
        parts = []
        for elements, kernel in zip(self._basis, self.kernels, strict=True):
            table = constant(elements.reshape(len(elements), -1).T, like=kernel)
            weights = ops.reshape(kernel, (len(elements), -1))
            shape = (self.kernel_size**3, components, -1, channels, self.filters)
            parts.append(ops.reshape(ops.matmul(table, weights), shape))
        expanded = ops.transpose(ops.concatenate(parts, axis=2), (0, 1, 3, 2, 4))
        positions = [self.kernel_size] * 3
        outputs = self._components * self.filters
        expanded = ops.reshape(expanded, (*positions, components * channels, outputs))
        return ops.cast(expanded, self.compute_dtype)

    def call(self, inputs: Tensor) -> Tensor:
        inputs = ops.cast(settle(self, inputs, self._built_for, ranks=(6,)), self.compute_dtype)
        inputs = self.on_grid(CUBE[self.group], inputs)
        shape = ops.shape(inputs)
        x = ops.conv(
            ops.reshape(inputs, (*shape[:4], self._built_for[-2] * self._built_for[-1])),
            self.expanded_kernel(),
            strides=self.strides,
            padding=self.padding,
            data_format=self.data_format,
        )
        x = ops.reshape(x, self.compute_output_shape(shape))
        return x if self.bias is None else x + ops.cast(self._padded(self.bias), x.dtype)

    def _padded(self, bias):
        """The bias of the scalars and zeros for all other components, (components, filters)."""
        return ops.pad(ops.expand_dims(bias, 0), [(0, self._components - 1), (0, 0)])

    def plain(self, inputs: Tensor) -> Tensor:
        """A `Conv3D` with the components among the channels; see `layers.plain`."""
        conv = keras.layers.Conv3D(
            self._components * self.filters,
            self.kernel_size,
            self.strides,
            self.padding,
            data_format=self.data_format,
            use_bias=self.use_bias,
            dtype=self.dtype_policy,
        )
        arrays = [self.expanded_kernel()]
        if self.bias is not None:
            arrays.append(ops.reshape(self._padded(self.bias), (-1,)))
        weights = [ops.convert_to_numpy(array) for array in arrays]
        x = reshape(inputs, *inputs.shape[1:4], self._built_for[-2] * self._built_for[-1])
        return reshape(with_weights(conv, weights, x), *self.compute_output_shape(inputs.shape)[1:])

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        sizes = self.output_sizes(input_shape)
        return (input_shape[0], *sizes, self._components, self.filters)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "degree": self.degree, "group": self.group}
