"""Linear maps on each point by itself where features turn under SO(3) or O(3).

Such a feature is a direct sum of irreducible representations on an explicit axis before the
channels, `(batch, ..., (L + 1)^2, channels)`: each channel holds one part of every degree from 0 to
L, in the order and the basis of `groups.irreps`. Component 0 is a scalar and components 1 to 3 are
a vector (x, y, z). `ToIrreps` and `FromIrreps` are the doors.

Under O(3), rotations and reflections, there are `2 (L + 1)^2` components: a sum of parts that the
inversion v -> -v leaves alone, and after it a sum of parts that it reverses. Component 0 is the
scalar; components 1 to 3 of the second half are the vector.
"""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from sen_tf.layers import arguments, output_fields
from sen_tf.layers.inputs import settle
from sen_tf.layers.irreps_parts import group_in_space, parities, parts, split_parts
from sen_tf.layers.plain import with_weights
from sen_tf.tensors import Shape, Tensor


class IrrepsMixing(keras.layers.Layer):
    """Mixes channels, part by part, with a bias on the scalars alone.

    These are all the linear maps of features that commute with rotations: by Schur's lemma, one
    number for each pair of equal degrees, and under O(3) of equal parities.
    """

    def __init__(
        self,
        filters: int,
        use_bias: bool = True,
        kernel_initializer: str | keras.Initializer = "glorot_uniform",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.filters = arguments.integer("filters", filters)
        self.use_bias = use_bias
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def add_kernels(self, channels: Sequence[int]) -> None:
        """Adds a kernel for each part, from the number of channels of each."""
        self.kernels = [
            self.add_weight(
                name=f"kernel_{part}",
                shape=(count, self.filters),
                initializer=arguments.fresh(self.kernel_initializer),
                autocast=False,  # kernels of convolutions are made in float32
            )
            for part, count in enumerate(channels)
        ]
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(name="bias", shape=(self.filters,), initializer="zeros")

    def mix(self, parts: Sequence[Tensor]) -> Tensor:
        """From a tensor (batch, ..., 2 l + 1, channels) for each part to the features."""
        mixed = [
            ops.matmul(part, ops.cast(kernel, part.dtype))
            for part, kernel in zip(parts, self.kernels, strict=True)
        ]
        if self.bias is not None:
            mixed[0] = mixed[0] + ops.cast(self.bias, mixed[0].dtype)
        return ops.concatenate(mixed, axis=-2)

    def plain_mix(self, parts: Sequence[Tensor]) -> Tensor:
        """`mix` in `Dense` layers, one per part; see `layers.plain`."""
        mixed: list[Tensor] = []
        for part, kernel in zip(parts, self.kernels, strict=True):
            weights = [kernel] if mixed or self.bias is None else [kernel, self.bias]
            dense = keras.layers.Dense(
                self.filters, use_bias=len(weights) > 1, dtype=self.dtype_policy
            )
            mixed.append(with_weights(dense, weights, part))
        return ops.concatenate(mixed, axis=-2)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "use_bias": self.use_bias,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }


@keras.saving.register_keras_serializable("sen_tf")
class IrrepsDense(IrrepsMixing):
    """Self-interaction: the linear maps that commute with SO(3) or O(3), at each point by itself.

    Channels are mixed within a degree, with one kernel a degree, and one a parity under O(3); the
    bias is on the scalars, those that reflections leave alone.

    Args:
        filters: Number of output channels.
        use_bias, kernel_initializer: As in `keras.layers.Dense`.
        group: `"SO3"`, rotations, or `"O3"`, rotations and reflections.

    Input shape: `(batch, ..., components, channels)`: (L + 1)^2 components for SO3, 2 (L + 1)^2 for
        O3.

    Output shape: `(batch, ..., components, filters)`.

    Raises:
        ValueError: If the axis before the channels holds no sum of the group.

    Reference: Thomas et al., *Tensor field networks* (2018).
    """

    output_field = output_fields.keeps_field

    def __init__(
        self,
        filters: int,
        use_bias: bool = True,
        kernel_initializer: str | keras.Initializer = "glorot_uniform",
        group: str = "SO3",
        **kwargs: Any,
    ) -> None:
        super().__init__(filters, use_bias, kernel_initializer, **kwargs)
        self.group = group_in_space(group)

    def build(self, input_shape: Shape) -> None:
        self._slices = parts(self, self.group, input_shape)
        self._built_for = {-2: self._slices[-1].stop, -1: input_shape[-1]}
        self.add_kernels([input_shape[-1]] * len(self._slices))

    def call(self, inputs: Tensor) -> Tensor:
        return self.mix(split_parts(settle(self, inputs, self._built_for), self._slices))

    def plain(self, inputs: Tensor) -> Tensor:
        """A `Dense` layer a part; see `layers.plain`."""
        return self.plain_mix(split_parts(inputs, self._slices))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape[:-1], self.filters)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "group": self.group}


def highest_degree(layer: keras.layers.Layer, shape: Shape, group: str = "SO3") -> int:
    """L of features (batch, ..., components, channels) of SO3 or O3, or a ValueError."""
    return len(parts(layer, group, shape)) // len(parities(group)) - 1
