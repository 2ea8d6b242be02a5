"""Dense layers inside layers of ours."""

from typing import Any

import keras
from keras import ops

from sen_tf.layers.bias import add_bias
from sen_tf.tensors import Tensor


class InnerDense(keras.layers.Dense):
    """A `keras.layers.Dense` whose bias has its gradient in bfloat16 too, and which
    `Model.quantize` leaves as it is, with a warning.

    The layer around it makes it anew when it is loaded, which could not read quantized numbers.
    """

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        outputs = ops.matmul(inputs, self.kernel)
        if self.bias is not None:
            outputs = add_bias(outputs, self.bias)
        return outputs if self.activation is None else self.activation(outputs)

    def quantize(self, mode: str, **_: Any) -> None:
        raise NotImplementedError(
            f"A dense layer inside another layer is not quantized to {mode!r}: it stays as it is."
        )
