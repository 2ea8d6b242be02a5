"""Small kernels that are expanded in each call: over a finite group, by an index table."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from sen_tf import groups
from sen_tf.layers import arguments, output_fields
from sen_tf.layers.bias import add_bias
from sen_tf.layers.block_diagonal import is_worthwhile
from sen_tf.layers.inputs import settle
from sen_tf.tensors import Shape, Tensor


class KernelAndBias(keras.layers.Layer):
    """A layer with two weights, a kernel and a bias.

    What multiplies the input is made of the kernel in each call and never saved.

    Args:
        use_bias, kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer,
            activity_regularizer, kernel_constraint, bias_constraint: As in `keras.layers.Dense`.
    """

    def __init__(
        self,
        use_bias: bool = True,
        kernel_initializer: str | keras.Initializer = "glorot_uniform",
        bias_initializer: str | keras.Initializer = "zeros",
        kernel_regularizer: str | keras.Regularizer | None = None,
        bias_regularizer: str | keras.Regularizer | None = None,
        activity_regularizer: str | keras.Regularizer | None = None,
        kernel_constraint: str | keras.constraints.Constraint | None = None,
        bias_constraint: str | keras.constraints.Constraint | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.use_bias = use_bias
        if kernel_initializer is None:
            raise ValueError(
                "Expected `kernel_initializer` to be an initializer or its name; received None."
            )
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.bias_regularizer = keras.regularizers.get(bias_regularizer)
        self.kernel_constraint = keras.constraints.get(kernel_constraint)
        self.bias_constraint = keras.constraints.get(bias_constraint)

    def add_kernel_and_bias(
        self,
        shape: Shape,
        channels_out: int,
        initializer: Callable[..., Tensor] | None = None,
    ) -> None:
        """Adds `kernel` of a shape, and `bias` of one number per output channel."""
        self.kernel = self.add_weight(
            name="kernel",
            shape=shape,
            initializer=initializer or self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias",
                shape=(channels_out,),
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )

    def expand(self, kernel: Tensor) -> Tensor:
        """The matrix, or the kernel of a convolution, that a learnt kernel becomes."""
        raise NotImplementedError

    def expanded_kernel(self) -> Tensor:
        """The matrix, or the kernel of a convolution, that multiplies the input."""
        return self.expand(self.kernel)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "use_bias": self.use_bias,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
            "bias_regularizer": keras.regularizers.serialize(self.bias_regularizer),
            "activity_regularizer": keras.regularizers.serialize(self.activity_regularizer),
            "kernel_constraint": keras.constraints.serialize(self.kernel_constraint),
            "bias_constraint": keras.constraints.serialize(self.bias_constraint),
        }


class GroupKernel(KernelAndBias):
    """A layer whose kernel lies on a finite group, and is read through an index table.

    Args:
        group: A `groups.FiniteGroup` or its name, such as `"C4"`.
        activation: As in `keras.layers.Dense`.
        **kwargs: As in `KernelAndBias`. Initializers see fans that count the group axis.
    """

    output_field = output_fields.to_group
    regular_output = True
    """True if the outputs are functions on the group, False if they are trivial features."""

    def __init__(
        self,
        group: groups.GroupLike,
        activation: str | Callable[[Tensor], Tensor] | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.group = groups.get(group)
        self.activation = keras.activations.get(activation)

    def add_bias(self, outputs: Tensor) -> Tensor:
        """Adds the bias; the last axis holds the channels, once or for every element."""
        if self.bias is None:
            return outputs
        return add_bias(outputs, ops.tile(self.bias, [outputs.shape[-1] // self.bias.shape[0]]))

    def plain_arguments(self) -> dict[str, Any]:
        """Arguments of the layer of Keras whose kernel is the expanded one."""
        return {"use_bias": self.use_bias, "dtype": self.dtype_policy}

    def plain_activation(self, outputs: Tensor) -> Tensor:
        """The activation as a layer of Keras: over channels, such as softmax, by each element."""
        if self.activation is keras.activations.linear:
            return outputs
        return keras.layers.Activation(self.activation, dtype=self.dtype_policy)(outputs)

    @property
    def output_parts(self) -> int:
        """The length of the axis before the channels of the output, 1 if it has none."""
        return self.group.order if self.regular_output else 1

    def plain_weights(self) -> list[np.ndarray]:
        """Kernel and bias of that layer, for every element of the group: a list of arrays."""
        weights = [ops.convert_to_numpy(self.expanded_kernel())]
        if self.bias is not None:
            weights.append(np.tile(ops.convert_to_numpy(self.bias), self.output_parts))
        return weights

    def check_group_axis(self, input_shape: Shape, rank: int | None = None) -> None:
        """Raises a ValueError unless the axis before the channels is the group's."""
        if rank is not None and len(input_shape) != rank:
            raise ValueError(
                f"{type(self).__name__} `{self.name}` expected an input of rank {rank}; received "
                f"shape {tuple(input_shape)}."
            )
        if len(input_shape) < 3 or input_shape[-2] != self.group.order:
            raise ValueError(
                f"{type(self).__name__} `{self.name}` expected an input of shape (batch, ..., "
                f"{self.group.order}, channels) with the group axis of {self.group} before the "
                f"channels; received {tuple(input_shape)}."
            )
        if not input_shape[-1]:
            raise ValueError(f"{type(self).__name__} `{self.name}` needs a known channel number.")

    def settle_on_group(self, inputs: Tensor, ranks: Sequence[int] | None = None) -> Tensor:
        """The input of `call`, held to what `check_group_axis` asked for; see `inputs.settle`."""
        sizes = {-2: self.group.order, -1: self.kernel.shape[-2]}
        return settle(self, inputs, sizes, ranks)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "group": self.group.config,
            "activation": keras.activations.serialize(self.activation),
        }


class ExpandedKernel(GroupKernel):
    """A `GroupKernel` of shape `(positions..., channels, filters)`.

    The matrix that multiplies the input holds every entry once for each element of the group, at
    the place the group law sends it to. Subclasses say in `build` what the kernel looks like.

    Args:
        group: A `groups.FiniteGroup` or its name, such as `"C4"`.
        filters: Number of output channels, each a function on the group.
        **kwargs: As in `GroupKernel`.
    """

    def __init__(self, group: groups.GroupLike, filters: int, *args: Any, **kwargs: Any) -> None:
        super().__init__(group, *args, **kwargs)
        self.filters = arguments.integer("filters", filters)

    @property
    def copies(self) -> tuple[int, ...]:
        """Axes of the learnt kernel before the positions, of layers that learn several."""
        return ()

    def has_blocks(self, channels: int) -> bool:
        """True if the layer is computed in the basis in which its kernel is block-diagonal."""
        return is_worthwhile(self.group, channels, self.filters)

    def initial_kernel(self, shape: Shape, dtype: str | None) -> Tensor:
        """The kernel at first, of a shape without `copies`."""
        return self.kernel_initializer(shape, dtype=dtype)

    def add_kernel(
        self, positions: Sequence[int], channels: int, fan_in: int = 1, fan_out: int = 1
    ) -> None:
        """Adds `kernel` of shape `(*positions, channels, filters)` and `bias` `(filters,)`.

        `fan_in` and `fan_out` say how often a channel (a filter) is used at each position of the
        kernel beyond what its shape shows. The initializer draws a kernel with that many channels
        and filters, and the first ones are kept: so any Keras initializer sees the true fans.
        """

        def initializer(shape, dtype=None):
            wide = (*positions, channels * fan_in, self.filters * fan_out)
            return self.initial_kernel(wide, dtype)[..., :channels, : self.filters]

        shape = (*self.copies, *positions, channels, self.filters)
        self.add_kernel_and_bias(shape, self.filters, initializer)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "filters": self.filters}
