"""Encoder and transition of the Reacher peer in e2cnn's layers: regular fields of D4.

Sizes are those of `experiments.networks.reacher`, 33x33 or 17x17 features down to one pixel, where
dense layers are 1x1 convolutions. States are `(batch, fields * 8, 1, 1)`: e2cnn keeps the group
inside the channels, its elements in the order of ours.

Reference: Weiler and Cesa (2019); Park et al. (2022), appendix, Reacher.
"""

import numpy as np
import torch
from e2cnn import gspaces
from e2cnn import nn as enn
from e2cnn.kernels import irreps_basis
from torch import nn

EPSILON = 1e-5
SPACE = gspaces.FlipRot2dOnR2(N=4)
ORDER = 8


def _adapt_to_numpy_2():
    """Replaces the two calls of e2cnn 0.2.3 that NumPy 2 refuses by what they meant.

    These are `np.array(number, copy=False)` and `ndarray.tostring`; both are of the building of
    kernels, none of what is timed.
    """
    psichi = irreps_basis.psichi

    def of_arrays(angles, s, k, gamma, out):
        return psichi(angles, s, k, np.asarray(gamma), out)

    def hash_of(basis):
        arrays = (np.asarray(array).tobytes() for array in (basis.mu, basis.gamma))
        return hash((basis.in_irrep, basis.out_irrep, *arrays))

    irreps_basis.psichi = of_arrays
    for name in (
        *("R2FlipsSolution", "R2ContinuousRotationsSolution"),
        *("R2FlipsDiscreteRotationsSolution", "R2FlipsContinuousRotationsSolution"),
    ):
        getattr(irreps_basis, name).__hash__ = hash_of


_adapt_to_numpy_2()


def _fields(representation, count):
    return enn.FieldType(SPACE, count * [representation])


def _regular(count):
    return _fields(SPACE.regular_repr, count)


def _conv_norm_relu(inputs, outputs, kernel_size, **arguments):
    return [
        enn.R2Conv(inputs, outputs, kernel_size, **arguments),
        enn.InnerBatchNorm(outputs, EPSILON),
        enn.ReLU(outputs),
    ]


class Encoder(nn.Module):
    """From maps `(batch, channels, 33, 33)` to states `(batch, latent * 8, 1, 1)`, with pooling.

    Args:
        channels: Maps of the embedding: trivial fields.
        hidden: Width of the hidden layers, in regular fields.
        latent: Regular fields of a state.
    """

    def __init__(self, channels, hidden, latent):
        super().__init__()
        self.maps = _fields(SPACE.trivial_repr, channels)
        fields, halving = _regular(hidden), {"stride": 2, "padding": 1}
        self.layers = enn.SequentialModule(
            *_conv_norm_relu(self.maps, fields, 3, **halving),
            enn.PointwiseMaxPool(fields, 3, **halving),
            *_conv_norm_relu(fields, fields, 3, **halving),
            enn.PointwiseMaxPool(fields, 3, **halving),
            *_at_last_pixels(fields, latent),
        )

    def forward(self, maps):
        return self.layers(enn.GeometricTensor(maps, self.maps)).tensor


class StridedEncoder(Encoder):
    """From maps `(batch, channels, 17, 17)` to states, halved by convolutions alone."""

    def __init__(self, channels, hidden, latent):
        super().__init__(channels, 1, latent)
        fields, halving = _regular(hidden), {"stride": 2, "padding": 1}
        self.layers = enn.SequentialModule(
            *_conv_norm_relu(self.maps, fields, 3, **halving),
            *_conv_norm_relu(fields, fields, 3, **halving),
            *_conv_norm_relu(fields, fields, 3, **halving),
            *_at_last_pixels(fields, latent),
        )


def _at_last_pixels(fields, latent):
    """The layers from 3x3 pixels on: to one pixel, then two hidden ones and the last one at it."""
    return [
        *_conv_norm_relu(fields, fields, 3),
        *_conv_norm_relu(fields, fields, 1),
        *_conv_norm_relu(fields, fields, 1),
        enn.R2Conv(fields, _regular(latent), 1),
    ]


class FieldLayerNorm(enn.EquivariantModule):
    """Layer normalization over the regular fields, at each element of the group by itself."""

    def __init__(self, in_type):
        super().__init__()
        self.in_type = self.out_type = in_type
        self.norm = nn.LayerNorm(len(in_type), EPSILON)

    def forward(self, x):
        y = x.tensor.view(len(x.tensor), -1, ORDER).transpose(1, 2)
        y = self.norm(y).transpose(1, 2).reshape(x.tensor.shape)
        return enn.GeometricTensor(y, self.out_type)

    def evaluate_output_shape(self, input_shape):
        return input_shape


class Transition(nn.Module):
    """From states `(batch, latent * 8, 1, 1)` and torques `(batch, torques)` to their changes.

    Each torque enters as the pair (a, -a), which reflections exchange.

    Args:
        latent: Regular fields of a state.
        torques: Number of joints.
        hidden: Width of the two hidden layers, in regular fields.
    """

    def __init__(self, latent, torques, hidden):
        super().__init__()
        fields = _regular(hidden)
        self.inputs = _regular(latent) + _fields(SPACE.quotient_repr((None, 4)), torques)
        self.layers = enn.SequentialModule(
            enn.R2Conv(self.inputs, fields, 1),
            enn.ReLU(fields),
            enn.R2Conv(fields, fields, 1),
            FieldLayerNorm(fields),
            enn.ReLU(fields),
            enn.R2Conv(fields, _regular(latent), 1),
        )

    def forward(self, state, torques):
        pairs = torch.stack([torques, -torques], dim=-1).flatten(1)[..., None, None]
        inputs = torch.cat([state, pairs], dim=1)
        return self.layers(enn.GeometricTensor(inputs, self.inputs)).tensor
