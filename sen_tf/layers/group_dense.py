"""Dense layers between functions on a finite group."""

import keras
import numpy as np
from keras import ops

from sen_tf.groups import finite, representations
from sen_tf.layers.expanded_kernel import ExpandedKernel

BLOCK_DIAGONAL_FROM = 128
"""Channels and filters from which the block-diagonal form is used. Forward and backward on 2 loaded
CPU cores, widths 32, 64, 181 and 256: float32 gained from 64 on; bfloat16 lost at 64 and gained at
181 and 256. Between 64 and 181 nothing was measured."""


@keras.saving.register_keras_serializable("sen_tf")
class GroupDense(ExpandedKernel):
    """The linear maps that commute with the group: `y(g) = sum_h x(h) K(g^-1 h) + b`.

    Computed as one product with the expanded `|G| channels x |G| filters` matrix, or, where that
    matrix is large, in the basis of the group's irreducible representations, in which it is
    block-diagonal (for C4 blocks of 1, 1 and 2 copies: 6 products instead of 16; for D4 12 instead
    of 64). Both give the same numbers up to rounding.

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

    def build(self, input_shape):
        self.check_group_axis(input_shape)
        self.add_kernel((self.group.order,), input_shape[-1])

    def expanded_kernel(self):
        """The matrix of the layer: (|G| channels, |G| filters)."""
        order, channels = self.group.order, self.kernel.shape[-2]
        table = self.group.product[self.group.inverse].T  # table[h, g] = g^-1 h
        # Flattened first: the gradient of rows taken from a variable itself is sparse, with rows
        # listed more than once, which Keras' optimizers do not add up before they square.
        kernel = ops.reshape(ops.cast(self.kernel, self.compute_dtype), (order, -1))
        kernel = ops.reshape(ops.take(kernel, table, axis=0), (order, order, channels, -1))
        kernel = ops.transpose(kernel, (0, 2, 1, 3))
        return ops.reshape(kernel, (order * channels, order * self.filters))

    def call(self, inputs):
        shape = ops.shape(inputs)
        order = self.group.order
        if self._is_block_diagonal(inputs.shape[-1]):
            x = self._block_diagonal(ops.reshape(inputs, (-1, order, inputs.shape[-1])))
        else:
            x = ops.reshape(inputs, (-1, order * inputs.shape[-1]))
            x = ops.matmul(x, self.expanded_kernel())
        return self.finish(ops.reshape(x, (*shape[:-1], self.filters)))

    def _is_block_diagonal(self, channels):
        wide = min(channels, self.filters) >= BLOCK_DIAGONAL_FROM
        return wide and self.group.order > 1 and _has_known_blocks(self.group)

    def _block_diagonal(self, x):
        """The product by way of the irreducible representations, on (rows, |G|, channels)."""
        order, channels = x.shape[1:]
        bases = representations.fourier_blocks(self.group)
        fourier = np.concatenate([basis.reshape(-1, order) for basis in bases])
        fourier = ops.convert_to_tensor(fourier, dtype=self.compute_dtype)
        kernel = ops.cast(self.kernel, self.compute_dtype)
        x = ops.reshape(ops.transpose(x, (1, 0, 2)), (order, -1))
        x = ops.matmul(fourier, x)
        parts, start = [], 0
        for basis, kernel_block in zip(
            bases, representations.kernel_blocks(self.group), strict=True
        ):
            copies, dimension = basis.shape[:2]
            block = ops.convert_to_tensor(kernel_block, dtype=self.compute_dtype)
            # (copies in, channels, copies out, filters): M[a, b] maps copy b to copy a.
            matrix = ops.transpose(ops.tensordot(block, kernel, axes=1), (1, 2, 0, 3))
            matrix = ops.reshape(matrix, (copies * channels, copies * self.filters))
            end = start + copies * dimension
            part = _swap(ops.reshape(x[start:end], (copies, -1, channels)))
            part = ops.matmul(ops.reshape(part, (-1, copies * channels)), matrix)
            part = _swap(ops.reshape(part, (-1, copies, self.filters)))
            parts.append(ops.reshape(part, (copies * dimension, -1)))
            start = end
        x = ops.matmul(ops.transpose(fourier), ops.concatenate(parts, axis=0))
        return ops.transpose(ops.reshape(x, (order, -1, self.filters)), (1, 0, 2))

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.filters)


def _has_known_blocks(group):
    try:
        finite.family(group)
    except ValueError:
        return False
    return True


def _swap(x):
    return ops.transpose(x, (1, 0, 2))
