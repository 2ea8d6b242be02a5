"""Convolutions of point clouds by tensor products: messages between pairs of points."""

import itertools
import math
import operator
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from sen_tf.groups import irreps
from sen_tf.layers import arguments, output_fields
from sen_tf.layers.inner_dense import Dense
from sen_tf.layers.inputs import precise, require, settle
from sen_tf.layers.irreps_dense import IrrepsMixing, highest_degree
from sen_tf.layers.irreps_parts import group_in_space, parities, parts, split_parts
from sen_tf.layers.neighbours import check_list, edges_of
from sen_tf.layers.plain import constant, plain_call
from sen_tf.tensors import Shape, Tensor

SOFTENING = 0.01
"""Distances are sqrt(|r|^2 + (SOFTENING * radius)^2), whose gradient exists at r = 0."""

FADED = 5.5
"""Gaussians are below 3e-7 this many times their width from their centre."""


@keras.saving.register_keras_serializable("sen_tf")
class TensorFieldConv(IrrepsMixing):
    """Messages between points of a cloud, all or listed pairs, that commute with SO(3) or O(3).

    They commute with translations too.

    The part of degree lo at point i mixes, with one number for each pair of channels, the messages

        `sum over j of R(|r|) * (f_j of degree li x Y(r / |r|) of degree lf, coupled to lo)`

    of all (li, lf, lo) that couple, r = x_j - x_i. Y are the spherical harmonics, of degrees up to
    the larger of the input's and the output's; the couplings are Clebsch-Gordan coefficients. Under
    O(3) the parity of the output is that of the input times (-1)^lf. R is a dense network without
    biases on Gaussians of the distance, with an output for each coupling and input channel; it
    fades out beyond `radius`. A point is its own neighbour too. The layer is smooth where points
    coincide: lengths are softened by a hundredth of `radius`.

    The sum is over all points, and time and memory grow with the square of their number. Given
    `neighbours`, it is over the edges of that list, and they grow with the number of edges.
    R is not cut off at `radius`; beyond the distance `reach` it is below a millionth of what it is
    within. Both forms agree where the list is `neighbour_list(positions, layer.reach)`. Positions,
    harmonics and R are computed in float32 under mixed precision, and edges summed.

    Args:
        filters: Number of output channels.
        degree: Highest degree L' of the output.
        radius: Distance, in the unit of the positions, up to which points see each other.
        gaussians: Number of Gaussians, at least 2, spread from distance 0 to `radius`.
        radial_width: Width of the hidden layer of the radial network.
        group: `"SO3"`, which tells a cloud from its mirror image, or `"O3"`, which takes one to the
            other.
        **kwargs: `use_bias` and `kernel_initializer`, as in `keras.layers.Dense`; the bias is on
            the scalars.

    Call arguments:
        features: `(batch, points, components, channels)`: (L + 1)^2 components for SO3,
            2 (L + 1)^2 for O3.
        positions: `(batch, points, 3)`.
        neighbours: None for all pairs; or `(batch, edges, 2)`, integers, the indices i and j of
            the points of each edge. An edge with a -1 is none, which fills up a shorter list.

    Output shape: `(batch, points, components, filters)`: (L' + 1)^2 components for SO3,
        2 (L' + 1)^2 for O3.

    Raises:
        ValueError: For sizes that are not positive, inputs of other shapes, and indices out of
            range. TensorFlow's graphs raise an InvalidArgumentError for these when they run; what
            XLA or `jax.jit` compiled leaves such edges out.

    Example:
        >>> features, positions = keras.ops.ones((2, 5, 1, 3)), keras.ops.ones((2, 5, 3))
        >>> TensorFieldConv(filters=8, degree=1, radius=2.0)(features, positions).shape
        TensorShape([2, 5, 4, 8])

    Reference: Thomas et al., *Tensor field networks* (2018); Geiger and Smidt, *e3nn: Euclidean
    neural networks* (2022), for parities.
    """

    output_field = output_fields.to_irreps

    def __init__(
        self,
        filters: int,
        degree: int,
        radius: float,
        gaussians: int = 8,
        radial_width: int = 16,
        group: str = "SO3",
        **kwargs: Any,
    ) -> None:
        super().__init__(filters, autocast=False, **kwargs)  # positions stay in float32
        self.degree = arguments.integer("degree", degree, least=0)
        self.radius = arguments.positive("radius", radius)
        self.gaussians = arguments.integer("gaussians", gaussians, least=2)
        self.radial_width = arguments.integer("radial_width", radial_width)
        self.group = group_in_space(group)

    @property
    def reach(self) -> float:
        """The distance beyond which messages have faded; see `FADED`."""
        return self.radius + FADED * self._width

    @property
    def _width(self):
        """The width of the Gaussians, which is the distance between their centres."""
        return self.radius / (self.gaussians - 1)

    def build(
        self, features_shape: Shape, positions_shape: Shape, neighbours_shape: Shape | None = None
    ) -> None:
        self._check_shapes(features_shape, positions_shape)
        if neighbours_shape is not None:
            check_list(self, neighbours_shape, features_shape)
        degree = highest_degree(self, features_shape, self.group)
        self._built_for = dict(enumerate(features_shape[-2:], start=-2))
        channels = features_shape[-1]
        self._parts = parts(self, self.group, features_shape)
        self._couplings = _couplings(self.group, degree, self.degree)
        outputs = [coupling.target for coupling in self._couplings]
        count = (self.degree + 1) * len(parities(self.group))
        self.add_kernels([channels * outputs.count(part) for part in range(count)])
        precise = {"use_bias": False, "dtype": self.variable_dtype}
        self.radial_hidden = Dense(self.radial_width, "silu", **precise)
        self.radial_hidden.build((None, self.gaussians))
        self.radial_output = Dense(len(self._couplings) * channels, **precise)
        self.radial_output.build((None, self.radial_width))

    def _check_shapes(self, features_shape, positions_shape):
        fits = len(features_shape) == 4 and len(positions_shape) == 3 and positions_shape[-1] == 3
        if not fits or len({features_shape[1], positions_shape[1]} - {None}) > 1:
            raise ValueError(
                f"TensorFieldConv `{self.name}` expected features of shape (batch, points, "
                f"components, channels) and positions of shape (batch, points, 3); received "
                f"{tuple(features_shape)} and {tuple(positions_shape)}."
            )

    def call(self, features: Tensor, positions: Tensor, neighbours: Tensor | None = None) -> Tensor:
        features = settle(self, features, self._built_for, ranks=(4,))
        positions = precise(self, positions)
        positions = settle(self, positions, {-1: 3}, ranks=(3,))
        self._check_shapes(features.shape, positions.shape)
        if None in (features.shape[1], positions.shape[1]):
            as_many = ops.shape(features)[1] == ops.shape(positions)[1]
            message = f"TensorFieldConv `{self.name}` expected a position for each feature."
            features = require(features, as_many, message)
        return self.mix(self._messages(features, positions, neighbours, operator.call))

    def plain(
        self, features: Tensor, positions: Tensor, neighbours: Tensor | None = None
    ) -> Tensor:
        """The same messages, mixed by `Dense` layers; see `layers.plain`."""
        positions = precise(self, positions)
        return self.plain_mix(self._messages(features, positions, neighbours, plain_call))

    def _messages(self, features, positions, neighbours, apply):
        """The messages of each point, for each part (batch, points, 2 lo + 1, channels).

        `apply` applies a layer to a tensor.
        """
        features = ops.cast(features, self.compute_dtype)
        if neighbours is None:
            offsets = ops.expand_dims(positions, 1) - ops.expand_dims(positions, 2)
            return self._coupled(ops.expand_dims(features, 1), offsets, apply)
        edges = edges_of(self, neighbours, features)
        # One target and one source in each of as many clouds as there are edges.
        offsets, senders = edges.offsets(positions), edges.at_sources(features)
        offsets, senders = (ops.expand_dims(x, (1, 2)) for x in (offsets, senders))
        messages = self._coupled(senders, offsets, apply, edges.exist)
        return [edges.total(ops.squeeze(part, 1), like=features) for part in messages]

    def _coupled(self, senders, offsets, apply, exist=None):
        """The sums over j of messages (batch, i, j, ...), for each part (batch, i, ...).

        Of senders (batch, i or 1, j, components, channels) and offsets (batch, i, j, 3) from i to
        j; a pair is left out where `exist` (batch,) is False.
        """
        directions, distances = self._smoothed(offsets)
        harmonics = _harmonics(directions, max(c.lf for c in self._couplings))
        harmonics = [ops.cast(y, self.compute_dtype) for y in harmonics]
        weights = self._radial_weights(distances, apply)
        if exist is not None:
            weights *= ops.cast(ops.expand_dims(exist, (1, 2, 3)), weights.dtype)
        weights = ops.split(ops.cast(weights, self.compute_dtype), len(self._couplings), axis=-1)
        senders = split_parts(senders, self._parts)
        messages: list[list[Tensor]] = [[] for _ in self.kernels]
        for coupling, weight in zip(self._couplings, weights, strict=True):
            y = harmonics[coupling.lf]
            sent = senders[coupling.source] * ops.expand_dims(weight, 3)
            coupled = ops.einsum("bijy,xyz->bijxz", y, coupling.coefficients(like=y))
            message = ops.einsum("bijxz,bijxc->bizc", coupled, sent)
            messages[coupling.target].append(message)
        return [ops.concatenate(parts, axis=-1) for parts in messages]

    def _smoothed(self, offsets):
        """Directions (batch, i, j, 3) and distances (batch, i, j, 1), both smooth."""
        square = ops.sum(ops.square(offsets), axis=-1, keepdims=True)
        distances = ops.sqrt(square + (SOFTENING * self.radius) ** 2)
        return offsets / distances, distances

    def _radial_weights(self, distances, apply):
        """One weight for each coupling and channel: (batch, i, j, couplings * channels)."""
        centres = np.linspace(0, self.radius, self.gaussians)
        x = (distances - constant(centres, like=distances)) / float(centres[1])
        return apply(self.radial_output, apply(self.radial_hidden, ops.exp(-ops.square(x) / 2)))

    def compute_output_shape(
        self, features_shape: Shape, positions_shape: Shape, neighbours_shape: Shape | None = None
    ) -> Shape:
        components = len(parities(self.group)) * (self.degree + 1) ** 2
        return (*features_shape[:2], components, self.filters)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "degree": self.degree,
            "radius": self.radius,
            "gaussians": self.gaussians,
            "radial_width": self.radial_width,
            "group": self.group,
        }


def _paths(degree_in, degree_out):
    """All (li, lf, lo) that couple: degrees of the input, of the harmonics and of the output."""
    return [
        (li, lf, lo)
        for li in range(degree_in + 1)
        for lo in range(degree_out + 1)
        for lf in range(abs(li - lo), min(li + lo, max(degree_in, degree_out)) + 1)
    ]


class _Coupling(NamedTuple):
    """A part of the input, coupled to harmonics of degree lf, as a part of the output."""

    li: int
    lf: int
    lo: int
    source: int
    """Number of the part of the input."""
    target: int
    """Number of the part of the output."""

    def coefficients(self, like: Tensor) -> Tensor:
        """Clebsch-Gordan coefficients, scaled for harmonics of mean square 1 a component."""
        scale = math.sqrt(2 * self.lf + 1)
        return constant(scale * irreps.clebsch_gordan(self.li, self.lf, self.lo), like=like)


def _couplings(group, degree_in, degree_out):
    """All couplings, of each parity of the input that the group knows, even first."""
    found = []
    for (li, lf, lo), parity in itertools.product(_paths(degree_in, degree_out), parities(group)):
        odd = (parity + lf) % len(parities(group))
        source, target = parity * (degree_in + 1) + li, odd * (degree_out + 1) + lo
        found.append(_Coupling(li, lf, lo, source, target))
    return found


def _harmonics(directions, degree):
    """`irreps.spherical_harmonics` of degrees 0 to `degree` on tensors.

    Each is the part of highest degree in the product of the one before with the vector itself.
    """
    harmonics = [ops.ones_like(directions[..., :1])]
    for n in range(1, degree + 1):
        coupling = irreps.clebsch_gordan(n - 1, 1, n)
        coupling = constant(coupling / coupling[n - 1, 1, n], like=directions)
        last = ops.einsum("bijx,bijy,xyz->bijz", harmonics[-1], directions, coupling)
        harmonics.append(last)
    return harmonics
