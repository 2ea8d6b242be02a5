"""Rotations from pairs of vectors."""

from typing import Any

import keras
from keras import ops

from sen_tf.layers import output_fields
from sen_tf.layers.inputs import precise, settle
from sen_tf.tensors import Shape, Tensor

SOFTENING = 1e-6
"""A vector v is divided by sqrt(|v|^2 + SOFTENING^2), whose gradient exists at v = 0."""


@keras.saving.register_keras_serializable("sen_tf")
class GramSchmidt(keras.layers.Layer):
    """The rotation with first column along `u` and second in the half-plane towards `v`.

    It commutes with SO(3), GramSchmidt(g u, g v) = g GramSchmidt(u, v), and reaches every rotation
    from a connected set of inputs, so that a plain network before it can make rotations.

    Where `u` and `v` say no direction, no rotation commutes with SO(3): as `u`, `v` or the sine of
    their angle go to zero, below about 1e-3, so do the columns that depend on it, smoothly, and
    gradients stay finite, up to 1e12: let what makes the vectors compute in float32, for float16
    overflows above 65504. The lengths do not matter otherwise. Computed in float32 under mixed
    precision, and returned in the compute dtype.

    Input shape: `(batch, ..., 2, 3)`, `u` and `v`.

    Output shape: `(batch, ..., 3, 3)`, matrices that act on column vectors.

    Raises:
        ValueError: For an input of another shape.

    Example:
        >>> GramSchmidt()(keras.ops.array([[[2.0, 0.0, 0.0], [5.0, 3.0, 0.0]]]))[0].numpy()
        array([[1., 0., 0.],
               [0., 1., 0.],
               [0., 0., 1.]], dtype=float32)

    Reference: Zhou et al., *On the continuity of rotation representations in neural networks*
    (2019); Park et al. (2022), appendix, 3D Teapot.
    """

    output_field = output_fields.to_matrices

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)  # directions in bfloat16 are 0.2 degrees off

    def build(self, input_shape: Shape) -> None:
        if len(input_shape) < 3 or tuple(input_shape[-2:]) != (2, 3):
            raise ValueError(
                f"GramSchmidt `{self.name}` expected an input of shape (batch, ..., 2, 3), pairs "
                f"of vectors; received {tuple(input_shape)}."
            )

    def call(self, inputs: Tensor) -> Tensor:
        vectors = settle(self, precise(self, inputs), {-2: 2, -1: 3})
        first, second = _unit(vectors[..., 0, :]), _unit(vectors[..., 1, :])
        for _ in range(2):  # the second time removes the rounding errors of the first
            second = second - ops.sum(second * first, axis=-1, keepdims=True) * first
        second = _unit(second)
        columns = ops.stack([first, second, _cross(first, second)], axis=-1)
        return ops.cast(columns, self.compute_dtype)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape[:-2], 3, 3)


def _unit(vectors):
    square = ops.sum(ops.square(vectors), axis=-1, keepdims=True)
    return vectors / ops.sqrt(square + SOFTENING**2)


def _cross(u, v):
    """`u x v`, of products that ONNX has."""
    (u0, u1, u2), (v0, v1, v2) = ([w[..., k] for k in range(3)] for w in (u, v))
    return ops.stack([u1 * v2 - u2 * v1, u2 * v0 - u0 * v2, u0 * v1 - u1 * v0], axis=-1)
