"""Dense layers inside layers of ours."""

from typing import Any

import keras
from keras import ops

from sen_tf.layers.bias import add_bias
from sen_tf.layers.plain import with_weights
from sen_tf.tensors import Tensor


class Dense(keras.layers.Dense):
    """A `keras.layers.Dense` whose bias is added by `add_bias`, and which `Model.quantize` leaves
    as it is, with a warning.

    The layer around it makes it anew when it is loaded, which could not read quantized numbers. In
    files it goes by the name of its class, which is that of Keras.
    """

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        outputs = ops.matmul(inputs, self.kernel)
        if self.bias is not None:
            outputs = add_bias(outputs, self.bias)
        return outputs if self.activation is None else self.activation(outputs)

    def plain(self, inputs: Tensor) -> Tensor:
        """Keras' own `Dense`; see `layers.plain`."""
        arguments = {"use_bias": self.use_bias, "dtype": self.dtype_policy}
        dense = keras.layers.Dense(self.units, self.activation, **arguments)
        return with_weights(dense, self.get_weights(), inputs)

    def quantize(self, mode: str, **_: Any) -> None:
        raise NotImplementedError(
            f"A dense layer inside another layer is not quantized to {mode!r}: it stays as it is."
        )
