"""Square kernels under the elements of a group: free pixels, or circular harmonics."""

from typing import Any

import keras
import numpy as np
from keras import ops

from sen_tf.groups import FiniteGroup, actions, finite, harmonics
from sen_tf.layers import arguments
from sen_tf.layers.blurring import blurred
from sen_tf.layers.windowed import Windowed
from sen_tf.tensors import Tensor

BASES = ("auto", "pixels", "harmonics")


class TurnedKernel:
    """The pixels of a learnt square kernel after each element of a C_n or D_n has moved it.

    Free pixels are only exchanged, which C1, C2, C4, D1, D2 and D4 do. Sums of circular harmonics
    (`groups.harmonics`) are sampled anew for each element.

    Args:
        group: A `FiniteGroup` C_n or D_n.
        size: Side of the kernel in pixels.
        basis: `"pixels"`, `"harmonics"`, or `"auto"`, pixels for the six groups that have them.
        frequencies: A cap on the frequencies of harmonics beyond that of the pixels, or None.

    Attributes:
        basis, frequencies: As given.
        of_pixels: True if the learnt numbers are pixels.
        positions: The axes of the learnt kernel that stand for the plane: (size, size), or
            (functions,).
        places: Integers of shape (|G|, size, size), the place of each pixel of each turned kernel
            among the `rows`.

    Raises:
        ValueError: For a group or a cap that does not go with the basis.
    """

    def __init__(
        self, group: FiniteGroup, size: int, basis: str, frequencies: int | None = None
    ) -> None:
        self.basis = basis = arguments.choice("basis", basis, BASES)
        self.frequencies = frequencies
        if frequencies is not None:
            self.frequencies = arguments.integer("frequencies", frequencies, least=0)
        _, n = finite.family(group)
        on_grid = n in (1, 2, 4)
        self.of_pixels = basis == "pixels" or (basis == "auto" and on_grid)
        if self.of_pixels and not on_grid:
            raise ValueError(
                "Expected `group` to be one of C1, C2, C4, D1, D2, D4, which map pixels to pixels, "
                f"for basis='pixels'; received group={group}. basis='harmonics' takes it."
            )
        if self.of_pixels and frequencies is not None:
            raise ValueError(
                "Expected `frequencies` to be None for a kernel of pixels; received "
                f"frequencies={frequencies}. It caps those of basis='harmonics'."
            )
        self.positions: tuple[int, ...] = (size, size)
        if self.of_pixels:
            self.places = actions.kernel_indices(group, size)
            return
        turned = harmonics.turned(group, size, self.frequencies)
        self.positions = turned.shape[-1:]
        self.places = np.arange(group.order * size**2).reshape(group.order, size, size)
        self._functions = turned.reshape(-1, turned.shape[-1])

    def rows(self, kernel: Tensor, dtype: str) -> Tensor:
        """The numbers at the `places`.

        Args:
            kernel: Tensor of shape `(*positions, ..., channels, filters)`.
            dtype: The dtype of the result.

        Returns:
            Tensor of shape `(rows, channels, filters)`. Axes between positions and channels are
            counted among the rows, the last of them fastest.
        """
        shape = (-1, *kernel.shape[-2:])
        if self.of_pixels:
            return ops.reshape(ops.cast(kernel, dtype), shape)
        # Sums of few functions in bfloat16 would differ between elements by more than their inputs.
        precise = keras.backend.result_type(kernel.dtype, "float32")
        kernel = ops.reshape(ops.cast(kernel, precise), (*self.positions, -1))
        kernel = ops.matmul(ops.cast(self._functions, precise), kernel)
        return ops.reshape(ops.cast(kernel, dtype), shape)

    def prepared(self, images: Tensor, stride: int) -> Tensor:
        """Images `(batch, rows, columns, channels)` as the kernel wants them before a stride.

        Harmonics turn by any angle, of which a stride would leave little on images that alias.
        """
        return images if self.of_pixels else blurred(images, stride)

    def regular_table(self, group: FiniteGroup) -> np.ndarray:
        """The row of `L_g K(g^-1 h)` at each pixel: integers of shape (size, size, h, g).

        The learnt kernel has an axis of the group after its positions.
        """
        relative = group.product[group.inverse]  # relative[g, h] = g^-1 h
        table = self.places[:, :, :, None] * group.order + relative[:, None, None, :]
        return table.transpose(1, 2, 3, 0)


class WithTurnedKernel(Windowed):
    """A convolution whose kernel is a `TurnedKernel`, with the arguments `basis` and `frequencies`.

    Subclasses have a `group`.
    """

    def set_turned_kernel(self, basis: Any, frequencies: Any) -> None:
        """Makes the kernel, after `set_windows`."""
        self.turned = TurnedKernel(self.group, self.kernel_size, basis, frequencies)
        self.basis, self.frequencies = self.turned.basis, self.turned.frequencies

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "basis": self.basis, "frequencies": self.frequencies}
