"""The doors: between images, representations of a finite group, and functions on it."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from sen_tf import groups
from sen_tf.groups import GroupLike, RepresentationLike, actions, finite, representations
from sen_tf.layers import arguments, output_fields
from sen_tf.layers.inputs import settle
from sen_tf.layers.plain import constant, shape_of
from sen_tf.tensors import Shape, Tensor


class _Door(keras.layers.Layer):
    """Keeps a group and one of its representations."""

    def __init__(self, group: GroupLike, representation: RepresentationLike, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.group = groups.get(group)
        self.representation = representations.get(representation, self.group)

    def _expect(self, input_shape, *ending):
        """Raises a ValueError unless the shape ends so; a string names a size that may be any."""
        last = input_shape[-len(ending) :]
        fits = len(last) == len(ending) and all(
            isinstance(end, str) or size == end for size, end in zip(last, ending, strict=True)
        )
        if not fits:
            raise ValueError(
                f"{type(self).__name__} `{self.name}` expected an input of shape (batch, ..., "
                f"{', '.join(map(str, ending))}) for {self.representation} of {self.group}; "
                f"received {tuple(input_shape)}."
            )

    def get_config(self) -> dict[str, Any]:
        name = self.representation.name
        try:
            found = representations.get(name, self.group)
        except ValueError:
            found = None
        if found != self.representation:
            raise ValueError(
                f"{type(self).__name__} `{self.name}` cannot be saved: `representation` {name!r} "
                f"is not what that name makes; write it as a permutation or a sum of named ones."
            )
        return {
            **super().get_config(),
            "group": self.group.config,
            "representation": self.representation.name,
        }


@keras.saving.register_keras_serializable("sen_tf")
class ToRegular(_Door):
    """From a vector that a representation acts on to a function on the group.

    `f(g) = rho(g)^-1 x`, so that acting on x with h sends `f(g)` to `f(hg)`. The components of
    `f(g)` become channels.

    Args:
        group: A `FiniteGroup` or its name.
        representation: How the group acts on the last axis: a `Representation` of the group or its
            name, such as `"sign"`, `"standard"` or `"2 trivial + sign"`.
        components: Which components of `rho(g)^-1 x` are kept as channels; `None` keeps all. One
            is enough for a permutation of points that the group moves about freely, such as the
            four moves of a block: the others are its shifts.

    Input shape: `(batch, ..., dimension)`.

    Output shape: `(batch, ..., |group|, components)`.

    Raises:
        ValueError: If the last axis is not the representation's dimension.

    Reference: Frobenius reciprocity; Park et al. (2022), section 4.
    """

    output_field = output_fields.to_group

    def __init__(
        self,
        group: GroupLike,
        representation: RepresentationLike,
        components: Sequence[int] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(group, representation, **kwargs)
        dimension = self.representation.dimension
        if components is not None:
            components = arguments.indices("components", components, dimension)
        self.components = components

    def _matrix(self):
        """(dimension, |G| * components): all `rho(g)^-1`, rows kept, side by side."""
        inverse = self.representation.matrices[self.group.inverse]
        if self.components is not None:
            inverse = inverse[:, self.components]
        return inverse.reshape(-1, self.representation.dimension).T

    def build(self, input_shape: Shape) -> None:
        self._expect(input_shape, self.representation.dimension)

    def call(self, inputs: Tensor) -> Tensor:
        inputs = settle(self, inputs, {-1: self.representation.dimension})
        out = ops.matmul(inputs, constant(self._matrix(), like=inputs))
        return ops.reshape(out, (*shape_of(inputs)[:-1], self.group.order, self._channels()))

    def _channels(self):
        return len(self.components or range(self.representation.dimension))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape[:-1], self.group.order, self._channels())

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "components": self.components}


@keras.saving.register_keras_serializable("sen_tf")
class FromRegular(_Door):
    """From a function on the group to a vector that a representation acts on.

    `x = sum_g rho(g) f(g)` for each group of `dimension` channels, the adjoint of `ToRegular`.

    Args:
        group: A `FiniteGroup` or its name.
        representation: How the group acts on the output: a `Representation` or its name.

    Input shape: `(batch, ..., |group|, channels)`, channels a multiple of the dimension.

    Output shape: `(batch, ..., channels / dimension, dimension)`; the axis of length one is
        dropped where channels equal the dimension.

    Raises:
        ValueError: If the group axis is missing or the channels are no multiple of the dimension.

    Reference: Frobenius reciprocity.
    """

    output_field = output_fields.to_representation

    def build(self, input_shape: Shape) -> None:
        self._expect(input_shape, self.group.order, "channels")
        dimension, channels = self.representation.dimension, input_shape[-1]
        if channels is None or channels % dimension:
            raise ValueError(
                f"FromRegular `{self.name}` expected a multiple of {dimension} channels for "
                f"{self.representation} of {self.group}; received {channels}."
            )
        self._channels = channels

    def call(self, inputs: Tensor) -> Tensor:
        inputs = settle(self, inputs, {-2: self.group.order, -1: self._channels})
        dimension = self.representation.dimension
        shape = shape_of(inputs)
        fields = ops.reshape(inputs, (*shape[:-1], shape[-1] // dimension, dimension))
        out = ops.einsum(
            "...gcd,ged->...ce", fields, constant(self.representation.matrices, like=fields)
        )
        return ops.reshape(out, self._output_shape(shape))

    def _output_shape(self, shape):
        fields = shape[-1] // self.representation.dimension
        copies = () if fields == 1 else (fields,)
        return (*shape[:-2], *copies, self.representation.dimension)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return self._output_shape(input_shape)


@keras.saving.register_keras_serializable("sen_tf")
class GridLifting(keras.layers.Layer):
    """From an image to a function on the group: `f(g)` is one pixel per orbit of `g^-1 x`.

    The images of these pixels under the group are all pixels, so nothing is lost; the pixels become
    channels. For C4 on an even side they are a quadrant. A pixel that some elements leave in place,
    such as the centre, is kept for each of them. Each channel of the image becomes an object of its
    own.

    Args:
        group: `"C1"`, `"C2"`, `"C4"`, `"D1"`, `"D2"`, `"D4"` or the `FiniteGroup`.

    Input shape: `(batch, rows, columns, objects)`; square for C4 and D4.

    Output shape: `(batch, objects, |group|, orbits)`; first the orbits of fewest pixels, then row
        by row. C4 has (side / 2)^2 of them, or 1 + c (c + 1) where c = (side - 1) / 2; C1 has
        rows * columns.

    Raises:
        ValueError: For another group, or if quarter turns are to act on an image that is not
            square.

    Reference: Park et al. (2022), appendix (encoder of 2D Shapes and 3D Blocks), for C4.
    """

    output_field = output_fields.gathered_on_group

    def __init__(self, group: GroupLike, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.group = groups.get(group)
        self._places(1, 1)  # refuses groups that do not map pixels to pixels

    def build(self, input_shape: Shape) -> None:
        grid = tuple(input_shape[1:3])
        turns = self.group.order > 1 and finite.family(self.group)[1] == 4
        if len(input_shape) != 4 or not all(grid) or (turns and grid[0] != grid[1]):
            square = "square " if turns else ""
            raise ValueError(
                f"GridLifting `{self.name}` expected {square}images of shape (batch, rows, "
                f"columns, objects) for {self.group}; received {tuple(input_shape)}."
            )
        self._built_for = dict(enumerate(input_shape[1:], 1))

    def _places(self, rows, columns):
        """The places of the pixels of f(g) in the image: (|G|, orbits), numbered row by row."""
        image = np.arange(rows * columns).reshape(rows, columns)
        turned = [actions.rotate_grid(image, self.group, g).ravel() for g in self.group.elements]
        orbits = np.sort(np.stack(turned, axis=1), axis=1)  # of each pixel, its images
        row, column = np.divmod(orbits, columns)
        # Of each orbit a pixel of the first quadrant, where it has one.
        outside = 2 * (row >= rows // 2) + (column >= (columns + 1) // 2)
        pixels = orbits[np.arange(len(orbits)), (outside * rows * columns + orbits).argmin(axis=1)]
        sizes = (np.diff(orbits, axis=1) > 0).sum(axis=1)
        chosen = np.unique(np.stack([sizes, pixels], axis=1), axis=0)[:, 1]
        return np.stack([turned[self.group.inverse[g]][chosen] for g in self.group.elements])

    def call(self, inputs: Tensor) -> Tensor:
        inputs = settle(self, inputs, self._built_for, ranks=(4,))
        rows, columns, objects = inputs.shape[1:]
        # By pixels first: a gather of rows, whose gradient is one too.
        flat = ops.transpose(ops.reshape(inputs, (-1, rows * columns, objects)), (1, 0, 2))
        return ops.transpose(ops.take(flat, self._places(rows, columns), axis=0), (2, 3, 0, 1))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        orbits = self._places(*input_shape[1:3]).shape[1]
        return (input_shape[0], input_shape[3], self.group.order, orbits)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "group": self.group.config}


@keras.saving.register_keras_serializable("sen_tf")
class GroupFlatten(keras.layers.Layer):
    """From a function on the group at each pixel to one function: `f(g)` is `g^-1 x(g)`.

    The slice of each element, turned back, holds every number once, so nothing is lost and the
    pixels of a slice become channels. Each channel of the input becomes an object of its own.

    Args:
        group: `"C1"`, `"C2"`, `"C4"`, `"D1"`, `"D2"`, `"D4"` or the `FiniteGroup`.

    Input shape: `(batch, side, side, |group|, objects)`.

    Output shape: `(batch, objects, |group|, side^2)`.

    Raises:
        ValueError: For another group, or if the images are not square or lack the group axis.
    """

    output_field = output_fields.gathered_on_group

    def __init__(self, group: GroupLike, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.group = groups.get(group)
        self._places(side=1)  # refuses groups that do not map pixels to pixels

    def build(self, input_shape: Shape) -> None:
        _, *grid, order, _ = input_shape if len(input_shape) == 5 else (None,) * 5
        if order != self.group.order or grid[0] != grid[1] or not grid[0]:
            raise ValueError(
                f"GroupFlatten `{self.name}` expected square images of shape (batch, side, side, "
                f"{self.group.order}, objects) for {self.group}; received {tuple(input_shape)}."
            )
        self._built_for = dict(enumerate(input_shape[1:], 1))

    def _places(self, side):
        """The place of entry (g, pixel) of the output among (pixel, group) of the input."""
        pixels = actions.kernel_indices(self.group, side).reshape(self.group.order, -1)
        elements = np.arange(self.group.order)
        return pixels[self.group.inverse] * self.group.order + elements[:, None]

    def call(self, inputs: Tensor) -> Tensor:
        inputs = settle(self, inputs, self._built_for, ranks=(5,))
        side, objects = inputs.shape[1], inputs.shape[4]
        flat = ops.reshape(inputs, (-1, side * side * self.group.order, objects))
        return ops.transpose(ops.take(flat, self._places(side), axis=1), (0, 3, 1, 2))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (input_shape[0], input_shape[4], self.group.order, input_shape[1] ** 2)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "group": self.group.config}
