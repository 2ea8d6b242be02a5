"""Dropout of whole fields: noise that commutes with the group."""

from typing import Any

import keras
from keras import ops

from sen_tf.layers import arguments, output_fields
from sen_tf.layers.inputs import settle
from sen_tf.tensors import Shape, Tensor


@keras.saving.register_keras_serializable("sen_tf")
class FieldDropout(keras.layers.Layer):
    """Dropout of a channel at all elements of the group together.

    Noise of its own at each element would break the symmetry of every training step. One number per
    sample and channel decides here, for all elements and, unless `per_pixel`, all pixels: what
    `keras.layers.SpatialDropout2D` does, with the group as one more axis of space. What is left is
    divided by `1 - rate`. Where the layer is not training it does nothing.

    Args:
        rate: Share of the channels that are dropped, in [0, 1).
        per_pixel: True to decide at each pixel by itself, though still for all elements together.
            Inputs must then have a group axis.
        seed: Integer of at least 0 that the noise starts from, or None for another one each time.

    Input shape: `(batch, ..., |group|, channels)`; unless `per_pixel`, also without a group axis.

    Output shape: The input's.

    Raises:
        ValueError: For an input without an axis between the batch and the channels.

    Reference: Srivastava et al. (2014); Tompson et al. (2015), section 3.2.
    """

    output_field = output_fields.keeps_field

    def __init__(
        self, rate: float, per_pixel: bool = False, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.rate = arguments.share("rate", rate)
        self.per_pixel = arguments.boolean("per_pixel", per_pixel)
        self.seed = None if seed is None else arguments.integer("seed", seed, least=0)
        self.seed_generator = keras.random.SeedGenerator(self.seed)

    def build(self, input_shape: Shape) -> None:
        self._check_rank(input_shape)

    def _check_rank(self, shape):
        if len(shape) < 3:
            raise ValueError(
                f"FieldDropout `{self.name}` expected an input of shape (batch, ..., |group|, "
                f"channels); received {tuple(shape)}."
            )

    def call(self, inputs: Tensor, training: bool | None = False) -> Tensor:
        x = settle(self, inputs)
        self._check_rank(x.shape)
        if not training or not self.rate:
            return x
        batch, *axes, channels = ops.shape(x)
        axes = [*axes[:-1], 1] if self.per_pixel else [1] * len(axes)
        # In float32: numbers of bfloat16 between 0 and 1 are too few.
        noise = keras.random.uniform(
            (batch, *axes, channels), dtype="float32", seed=self.seed_generator
        )
        kept = ops.cast(noise >= self.rate, "float32") / (1 - self.rate)
        return x * ops.cast(kept, x.dtype)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "rate": self.rate,
            "per_pixel": self.per_pixel,
            "seed": self.seed,
        }
