"""Dense layers between functions on a finite group."""

import keras
from keras import ops

from sen_tf.layers.block_diagonal import block_diagonal_product
from sen_tf.layers.expanded_kernel import ExpandedKernel
from sen_tf.layers.plain import reshape, with_weights
from sen_tf.tensors import Shape, Tensor


@keras.saving.register_keras_serializable("sen_tf")
class GroupDense(ExpandedKernel):
    """The linear maps that commute with the group: `y(g) = sum_h x(h) K(g^-1 h) + b`.

    Computed as one product with the expanded `|G| channels x |G| filters` matrix, or, where that
    matrix is large, in the basis of the group's irreducible representations, in which it is
    block-diagonal (for C4 5 products of channels x filters instead of 16; for D4 12 instead of 64).
    Both give the same numbers up to rounding.

    Args:
        group: A `FiniteGroup` or its name, such as `"C4"` or `"D6"`.
        filters: Number of output channels.
        **kwargs: `activation`, `use_bias`, `kernel_initializer` and the others of
            `keras.layers.Dense`.

    Input shape: `(batch, ..., |group|, channels)`.

    Output shape: `(batch, ..., |group|, filters)`.

    Raises:
        ValueError: If the axis before the channels is not the group's.

    Example:
        >>> GroupDense("C4", filters=8)(keras.ops.ones((2, 5, 4, 3))).shape
        TensorShape([2, 5, 4, 8])

    Reference: Park et al. (2022), section 4; Ravanbakhsh et al. (2017).
    """

    def build(self, input_shape: Shape) -> None:
        self.check_group_axis(input_shape)
        self.add_kernel((self.group.order,), input_shape[-1])

    def expand(self, kernel: Tensor) -> Tensor:
        """The matrix of a kernel: (|G| channels, |G| filters)."""
        order, channels = self.group.order, kernel.shape[-2]
        table = self.group.product[self.group.inverse].T  # table[h, g] = g^-1 h
        # Flattened first: the gradient of rows taken from a variable itself is sparse, with rows
        # listed more than once, which Keras' optimizers do not add up before they square.
        kernel = ops.reshape(ops.cast(kernel, self.compute_dtype), (order, -1))
        kernel = ops.reshape(ops.take(kernel, table, axis=0), (order, order, channels, -1))
        kernel = ops.transpose(kernel, (0, 2, 1, 3))
        return ops.reshape(kernel, (order * channels, order * self.filters))

    def call(self, inputs: Tensor) -> Tensor:
        inputs = self.settle_on_group(inputs)
        order, channels = self.group.order, inputs.shape[-1]
        if self.has_blocks(channels):
            x = ops.transpose(ops.reshape(inputs, (-1, order, channels)), (1, 0, 2))
            kernel = ops.cast(self.kernel, self.compute_dtype)
            x = ops.transpose(block_diagonal_product(self.group, x, kernel), (1, 0, 2))
        else:
            x = ops.reshape(inputs, (-1, order * channels))
            x = ops.matmul(x, self.expanded_kernel())
        x = ops.reshape(self.add_bias(x), (*ops.shape(inputs)[:-1], self.filters))
        return self.activation(x)

    def plain(self, inputs: Tensor) -> Tensor:
        """A `Dense` layer between all numbers of all elements; see `layers.plain`."""
        *points, order, channels = inputs.shape[1:]
        dense = keras.layers.Dense(order * self.filters, **self.plain_arguments())
        x = reshape(inputs, *points, order * channels)
        x = with_weights(dense, self.plain_weights(), x)
        return self.plain_activation(reshape(x, *points, order, self.filters))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape[:-1], self.filters)
