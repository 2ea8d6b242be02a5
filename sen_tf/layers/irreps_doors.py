"""The doors between scalars, vectors and matrices, and irreducible representations in space."""

from typing import Any

import keras
import numpy as np
from keras import ops

from sen_tf.groups import irreps
from sen_tf.layers import arguments, output_fields
from sen_tf.layers.inputs import settle
from sen_tf.layers.irreps_dense import highest_degree
from sen_tf.layers.irreps_parts import group_in_space, parities
from sen_tf.layers.plain import constant, shape_of
from sen_tf.tensors import Shape, Tensor


@keras.saving.register_keras_serializable("sen_tf")
class ToIrreps(keras.layers.Layer):
    """From scalars, vectors or matrices to features with an axis of irreducible representations.

    An orthogonal change of basis: a rotation R acts on a vector as `R v` and on a matrix as
    `R M R^T`, so that a matrix is a part of degree 0 (trace), one of degree 1 (skew) and one of
    degree 2. Of O(3) vectors are an odd part, scalars and matrices even ones.

    Args:
        rank: 0 for scalars, 1 for vectors, 2 for matrices.
        degree: Highest degree of the output, at least `rank`; parts that the input lacks are 0.
        group: `"SO3"`, rotations, or `"O3"`, rotations and reflections.

    Input shape: `(batch, ..., channels)`, `(batch, ..., 3, channels)` or `(batch, ..., 3, 3,
        channels)` for rank 0, 1 or 2.

    Output shape: `(batch, ..., components, channels)`: (degree + 1)^2 components for SO3,
        2 (degree + 1)^2 for O3.

    Raises:
        ValueError: For other ranks and degrees, or an input of another shape.
    """

    output_field = output_fields.to_irreps

    def __init__(self, rank: int, degree: int, group: str = "SO3", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.group = group_in_space(group)
        self.rank = arguments.integer("rank", rank, least=0)
        self._basis = irreps.cartesian_basis(self.rank)  # refuses other ranks
        self.degree = arguments.integer("degree", degree, least=self.rank)

    def build(self, input_shape: Shape) -> None:
        axes = (3,) * self.rank
        if len(input_shape) < self.rank + 2 or tuple(input_shape[-1 - self.rank : -1]) != axes:
            raise ValueError(
                f"ToIrreps `{self.name}` expected an input of shape (batch, ..., "
                f"{'3, ' * self.rank}channels); received {tuple(input_shape)}."
            )

    def call(self, inputs: Tensor) -> Tensor:
        inputs = settle(self, inputs, {-2 - k: 3 for k in range(self.rank)})
        shape = shape_of(inputs)
        flat = ops.reshape(inputs, (*shape[: -1 - self.rank], 3**self.rank, shape[-1]))
        matrix = np.zeros((self._components, 3**self.rank))
        matrix[_components_of(self)] = self._basis.T
        return _times(matrix, flat)

    @property
    def _components(self):
        return len(parities(self.group)) * (self.degree + 1) ** 2

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape[: -1 - self.rank], self._components, input_shape[-1])

    def get_config(self) -> dict[str, Any]:
        own = {"rank": self.rank, "degree": self.degree, "group": self.group}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable("sen_tf")
class FromIrreps(keras.layers.Layer):
    """From features with an axis of irreducible representations to scalars, vectors or matrices.

    It undoes `ToIrreps` of the same rank, and drops the parts that such a tensor lacks.

    Args:
        rank: 0 for scalars, 1 for vectors, 2 for matrices.
        group: `"SO3"`, rotations, or `"O3"`, rotations and reflections.

    Input shape: `(batch, ..., components, channels)`, (L + 1)^2 components for SO3 and 2 (L + 1)^2
        for O3, with L at least `rank`.

    Output shape: `(batch, ..., channels)`, `(batch, ..., 3, channels)` or `(batch, ..., 3, 3,
        channels)` for rank 0, 1 or 2.

    Raises:
        ValueError: For other ranks, or an input of another shape.
    """

    output_field = output_fields.from_irreps

    def __init__(self, rank: int, group: str = "SO3", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.group = group_in_space(group)
        self.rank = arguments.integer("rank", rank, least=0)
        self._basis = irreps.cartesian_basis(self.rank)  # refuses other ranks

    def build(self, input_shape: Shape) -> None:
        self.degree = highest_degree(self, input_shape, self.group)
        if self.degree < self.rank:
            raise ValueError(
                f"FromIrreps `{self.name}` expected degrees up to {self.rank} or more; received an "
                f"input of shape {tuple(input_shape)}, of degrees up to {self.degree}."
            )
        self._built_for = dict(zip((-2, -1), input_shape[-2:], strict=True))

    def call(self, inputs: Tensor) -> Tensor:
        inputs = settle(self, inputs, self._built_for)
        shape = shape_of(inputs)
        parts = inputs[..., _components_of(self), :]
        return ops.reshape(_times(self._basis, parts), self._output_shape(shape))

    def _output_shape(self, shape):
        return (*shape[:-2], *(3,) * self.rank, shape[-1])

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return self._output_shape(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rank": self.rank, "group": self.group}


def _components_of(layer):
    """The components of a tensor of the layer's rank, in the odd half of O(3) for vectors."""
    odd = layer.rank % len(parities(layer.group))
    start = odd * (layer.degree + 1) ** 2
    return slice(start, start + (layer.rank + 1) ** 2)


def _times(matrix, x):
    return ops.matmul(constant(matrix, like=x), x)
