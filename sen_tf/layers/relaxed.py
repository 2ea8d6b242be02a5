"""Layers whose symmetry can be broken, and that begin with it whole (Wang, Walters, Yu, 2022).

Several kernels, banks, are mixed by weights that may differ between the elements of the group:

- dense, group to group: `y(g) = sum_h x(h) sum_l w_l(h) K_l(g^-1 h)`
- lifting: `y(g) = x * sum_l w_l(g) L_g K_l`

With weights that do not depend on the element they are the layers of `group_dense` and
`group_conv` with the kernel `sum_l w_l K_l`. So they begin: `w_l = 1 / banks + r_l`, where the
relaxation r is zero at first.
"""

import copy
from typing import Any

import keras
from keras import ops

from sen_tf.layers import arguments
from sen_tf.layers.expanded_kernel import ExpandedKernel
from sen_tf.layers.group_conv import GroupConv2D, LiftingConv2D
from sen_tf.layers.group_dense import GroupDense
from sen_tf.tensors import Shape, Tensor


class _Relaxed(ExpandedKernel):
    """Banks of kernels in place of one, mixed by weights per element of the group.

    Args:
        banks: Kernels that are mixed; with one, elements differ by a factor alone.
        relaxation_regularizer: Regularizer of the relaxation: what a broken symmetry costs.
        **kwargs: As in the layer that is relaxed.
    """

    mixed_axis = -2
    """Axis of the expanded kernel on which the elements are that the weights belong to."""

    def __init__(
        self,
        *args: Any,
        banks: int = 3,
        relaxation_regularizer: str | keras.Regularizer | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.banks = arguments.integer("banks", banks)
        self.relaxation_regularizer = keras.regularizers.get(relaxation_regularizer)

    @property
    def copies(self) -> tuple[int, ...]:
        return (self.banks,)

    def has_blocks(self, channels: int) -> bool:
        return False

    def initial_kernel(self, shape: Shape, dtype: str | None) -> Tensor:
        """Kernels that differ, else banks would stay equal; their mean has the usual variance."""
        kernels = []
        for bank in range(self.banks):
            initializer = copy.copy(self.kernel_initializer)
            if isinstance(seed := getattr(initializer, "seed", None), int):
                initializer.seed = seed + bank  # one seed gives the same numbers in every call
            kernels.append(initializer(shape, dtype=dtype))
        return self.banks**0.5 * ops.stack(kernels)

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        self.relaxation = self.add_weight(
            name="relaxation",
            shape=(self.banks, self.group.order),
            initializer="zeros",
            regularizer=self.relaxation_regularizer,
        )

    def relaxation_variance(self) -> float:
        """The variance of the relaxation over the group, summed over banks.

        It is 0 where the layer commutes.
        """
        return float(ops.convert_to_numpy(ops.sum(ops.var(self.relaxation, axis=1))))

    def expanded_kernel(self) -> Tensor:
        """The kernel that the ordinary layer has: that of each bank, weighted, and added up."""
        mixture, total = ops.cast(self.relaxation, self.compute_dtype) + 1 / self.banks, 0.0
        for bank in range(self.banks):
            kernel = self.expand(self.kernel[bank])
            copies = kernel.shape[self.mixed_axis] // self.group.order
            weights = ops.repeat(mixture[bank], copies)
            total += kernel * (weights[:, None] if self.mixed_axis == -2 else weights)
        return total

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "banks": self.banks,
            "relaxation_regularizer": keras.regularizers.serialize(self.relaxation_regularizer),
        }


@keras.saving.register_keras_serializable("sen_tf")
class RelaxedGroupDense(_Relaxed, GroupDense):
    """A `GroupDense` whose symmetry can be broken.

    It is `y(g) = sum_h x(h) sum_l w_l(h) K_l(g^-1 h) + b`.

    Args:
        group, filters, **kwargs: As in `GroupDense`.
        banks: Kernels that are mixed. Weights per element mix them; at first all are
            `1 / banks`, and the layer commutes.
        relaxation_regularizer: Regularizer of what is added to these weights, such as `"l2"`.

    Input shape: `(batch, ..., |group|, channels)`.

    Output shape: `(batch, ..., |group|, filters)`.

    Raises:
        ValueError: As `GroupDense`, and for no bank or a negative factor.

    Example:
        >>> layer = RelaxedGroupDense("C4", filters=8)
        >>> layer(keras.ops.ones((2, 4, 3))).shape, layer.relaxation_variance()
        (TensorShape([2, 4, 8]), 0.0)

    Reference: Wang, Walters and Yu (2022), section 4; Park et al. (2025, arXiv 2411.04225).
    """


@keras.saving.register_keras_serializable("sen_tf")
class RelaxedLiftingConv2D(_Relaxed, LiftingConv2D):
    """A `LiftingConv2D` whose symmetry can be broken.

    It is `y(g) = x * sum_l w_l(g) L_g K_l + b`.

    Args:
        group, filters, kernel_size, strides, padding, dilation_rate, data_format, **kwargs: As in
            `LiftingConv2D`.
        banks, relaxation_regularizer: As in `RelaxedGroupDense`.

    Input shape: `(batch, rows, columns, channels)`.

    Output shape: `(batch, new_rows, new_columns, |group|, filters)`.

    Raises:
        ValueError: As `LiftingConv2D` and `RelaxedGroupDense`.

    Reference: Wang, Walters and Yu (2022), section 4.
    """

    mixed_axis = -1


@keras.saving.register_keras_serializable("sen_tf")
class RelaxedGroupConv2D(_Relaxed, GroupConv2D):
    """A `GroupConv2D` whose symmetry can be broken.

    It is `y(g) = sum_h x(h) * sum_l w_l(h) L_g K_l(g^-1 h) + b`.

    Args:
        group, filters, kernel_size, strides, padding, dilation_rate, data_format, **kwargs: As in
            `GroupConv2D`.
        banks, relaxation_regularizer: As in `RelaxedGroupDense`.

    Input shape: `(batch, rows, columns, |group|, channels)`.

    Output shape: `(batch, new_rows, new_columns, |group|, filters)`.

    Raises:
        ValueError: As `GroupConv2D` and `RelaxedGroupDense`.

    Reference: Wang, Walters and Yu (2022), section 4.
    """
