"""The weights of a PyTorch peer, given to the model of ours that it is measured against.

This way round it is exact for Reacher too: the kernels of e2cnn are combinations of a band-limited
basis, those of ours any function on the group, each of e2cnn's among them.
"""

import numpy as np
import torch
from torch import nn

from benchmarks import torch_models


def give_weights(peer, model):
    """Sets the weights of a model to those of its peer, layer by layer.

    Args:
        peer: What `torch_models.make_model` returns.
        model: `networks.make_model` of the same environment and widths, in float32.

    Raises:
        ValueError: If the two do not consist of layers of the same sizes.
    """
    for part in ("embedding", "encoder", "transition"):
        arrays = [_arrays(layer) for layer in getattr(peer, part).modules()]
        layers = _layers(getattr(model, part))
        for numbers, layer in zip(filter(None, arrays), layers, strict=True):
            shapes = [weight.shape for weight in layer.weights]
            pairs = zip(numbers, shapes, strict=True)
            layer.set_weights([array.reshape(shape) for array, shape in pairs])
    if isinstance(peer.transition, torch_models.ObjectGraph):
        # The peer adds up the messages after their last layer and its bias, ours before.
        bias = model.transition.get_layer("graph").readout.bias
        bias.assign(bias * (peer.objects - 1))


def randomize(peer, rng):
    """Adds noise, uniform in [-0.2, 0.2), to biases, and to scales and statistics of norms.

    Args:
        peer: What `torch_models.make_model` returns.
        rng: A `numpy.random.Generator`.
    """
    for name, numbers in [*peer.named_parameters(), *peer.named_buffers()]:
        last = name.rpartition(".")[-1]
        if numbers.ndim == 1 and last in ("weight", "bias", "running_mean", "running_var"):
            noise = rng.uniform(-0.2, 0.2, len(numbers)).astype(np.float32)
            numbers.data += torch.from_numpy(noise)


def _layers(model):
    """The layers of a model that have weights, in the order of the peer's."""
    for layer in model.layers:
        if hasattr(layer, "edge_network"):
            yield from _layers(layer.edge_network)
            yield layer.readout
            yield from _layers(layer.node_network)
        elif layer.weights:
            yield layer


def _arrays(layer):
    """The weights of one layer of PyTorch in the order and layout of ours; else an empty list."""
    if isinstance(layer, torch_models.C4Linear):
        return _numpy(layer.kernel.transpose(1, 2), layer.bias)
    if isinstance(layer, nn.Conv2d):
        return _numpy(layer.weight.permute(2, 3, 1, 0), layer.bias)
    if isinstance(layer, nn.BatchNorm2d | nn.BatchNorm3d):
        return _numpy(layer.weight, layer.bias, layer.running_mean, layer.running_var)
    if isinstance(layer, nn.LayerNorm):
        return _numpy(layer.weight, layer.bias)
    if hasattr(layer, "expand_parameters"):
        return kernel_on_group(layer)
    return []


def _numpy(*tensors):
    return [tensor.detach().numpy() for tensor in tensors]


def kernel_on_group(conv):
    """Kernel `(k, k, |G| or 1, channels, filters)` and bias of an `e2cnn.nn.R2Conv` to regular
    fields: the numbers of the expanded kernel that make the output at the identity.

    Trivial fields of the input have no group axis. A field on the cosets of a subgroup, such as the
    pair of a torque, is a function on the group that is constant on them; the kernel is shared out.
    """
    kernel, bias = _numpy(*conv.expand_parameters())
    order = conv.out_type.representations[0].size
    sizes = [representation.size for representation in conv.in_type.representations]
    fields = []
    for field in np.split(kernel[::order], np.cumsum(sizes)[:-1], axis=1):
        copies = order // field.shape[1] if field.shape[1] > 1 else 1
        fields.append(np.repeat(field, copies, axis=1) / copies)
    return [np.stack(fields, axis=2).transpose(3, 4, 1, 2, 0), bias[::order]]
