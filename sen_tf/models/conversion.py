"""The equivariant counterpart of a plain Keras model, layer by layer.

A tensor of the new model is an image `(batch, rows, columns, channels)` up to the first convolution
and a function on the group `(batch, rows, columns, |group|, channels)` after it. The convolutions
that make outputs make images again; pooling over all pixels makes what is invariant, and what
follows stays as it is.
"""

from typing import Any

import keras
import numpy as np

from sen_tf.groups import GroupLike
from sen_tf.layers import GroupPooling
from sen_tf.layers.plain import model_like, set_weights
from sen_tf.models import network_parts
from sen_tf.models.counterparts import Counterparts, base_arguments, copy, is_per_channel
from sen_tf.models.output_makers import makers

HEADS = ("Conv2D", "Conv2DTranspose", "SeparableConv2D")
"""Layers of Keras that make outputs of as many channels as they have filters."""

FEATURES = ("BatchNormalization", "LayerNormalization")
"""Layers of Keras after which outputs are features, with as many channels as our layers have."""

INVARIANTS, IMAGES, FUNCTIONS = "invariants", "images", "functions"
"""The kinds of tensors, which their rank tells: images have 4 axes, functions on the group 5."""


def convert(model: keras.Model, group: GroupLike, match: str = "compute") -> keras.Model:
    """A model with the architecture of a plain one that commutes with a group.

    Convolutions, pooling, up-sampling, normalization and dropout become the layers of this package
    of the same names and arguments; the first convolution of an image lifts it to the group, the
    last one before an output projects it back. Global pooling ends in invariant numbers, and dense
    layers after it stay. Weights are new.

    Args:
        model: A functional or sequential `keras.Model` for images, built.
        group: A C_n or D_n, or its name.
        match: `"compute"`: filters / |group|, so that it costs what the model costs;
            `"parameters"`: filters / sqrt(|group|), so that it has about as many weights.

    Returns:
        A functional `keras.Model` with inputs and outputs of the same names, structure and shapes;
        but an output with a normalization after its last convolution or dense layer, as features
        have, is the maximum over the group, of as many channels as our layers have there, filters /
        |group|.

    Raises:
        ValueError: With the name of the layer at which the symmetry would end, and what to use in
            its place: `Flatten` and dense layers of pixels, images made of invariant numbers,
            one-sided padding, sizes at which a stride does not commute, arguments that no layer of
            this package has, an output made by a `DepthwiseConv2D`, and layers that are not known.

    Example:
        >>> plain = keras.Sequential([
        ...     keras.Input((33, 33, 3)), keras.layers.Conv2D(32, 3, 2, "same"),
        ...     keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(10)])
        >>> convert(plain, "C4").output_shape
        (None, 10)
    """
    _check(model)
    made_by = [list(makers(output)) for output in model.outputs]
    counterparts = Counterparts(network_parts.FiniteParts(group, match), _heads(made_by))
    shapes = [x.shape for x in model.inputs]
    new = _Converter(counterparts).clone(model, shapes, model.name)
    poolings: dict[str, GroupPooling] = {}
    outputs = [
        _without_group(found, output._keras_history.operation.name, poolings)
        for output, found in zip(model.outputs, new.outputs, strict=True)
    ]
    for output, found, layers in zip(model.outputs, outputs, made_by, strict=True):
        _check_output(output, found, layers)
    return model_like(model, new.inputs, outputs, model.name)


def _check(model):
    """Raises a ValueError for what is no model of images."""
    if not isinstance(model, keras.Model) or not getattr(model, "inputs", None):
        raise ValueError(
            "Expected `model` to be a functional or sequential Keras model that is built, whose "
            f"layers are known; received a {type(model).__name__}."
        )
    for x in model.inputs:
        if len(x.shape) > 4:
            raise ValueError(
                "Expected the inputs of `model` to be images (batch, rows, columns, channels) and "
                f"arrays of fewer axes; received {x.name!r} of shape {x.shape}."
            )


def _without_group(x, name, poolings):
    """Images of an output, by a pooling that has the name of the layer that made it."""
    if _kind(x) != FUNCTIONS:
        return x
    maker = x._keras_history.operation
    if maker.name == name:
        maker.name = f"{name}_on_group"
    return poolings.setdefault(name, GroupPooling(dtype=x.dtype, name=name))(x)


def _are_features(layers):
    """True for an output of which a normalization is among the layers that make it."""
    return any(type(layer).__name__ in FEATURES for layer in layers)


def _heads(made_by):
    """The identities of the convolutions that make the outputs, but for features."""
    return {
        id(layer)
        for layers in made_by
        if not _are_features(layers)
        for layer in layers
        if type(layer).__name__ in HEADS
    }


def _check_output(output, found, layers):
    """Raises a ValueError if an output has lost channels, with the layers that made them."""
    if _are_features(layers) or found.shape == output.shape:
        return
    others = [layer for layer in layers if type(layer).__name__ not in HEADS]
    where = " and ".join(map(_name, others or [output._keras_history.operation]))
    raise ValueError(
        f"`convert` stops at {where}: it makes an output, whose shape {output.shape} would become "
        f"{found.shape}. Let a Conv2D or a Dense go after it."
    )


class _Converter:
    """Applies the counterpart of each layer of a model to the tensors of the new one."""

    def __init__(self, counterparts: Counterparts) -> None:
        self._counterparts = counterparts
        self._made: dict[int, dict[str, Any]] = {}

    def clone(self, model: keras.Model, shapes: list[Any], name: str) -> keras.Model:
        """A functional model of the counterparts, whose inputs have the shapes that are given.

        They differ from those of the model where functions on the group are given to it.
        """
        inputs = [_input(*each) for each in zip(model.inputs, shapes, strict=True)]
        new = keras.models.clone_model(
            keras.Model(model.inputs, model.outputs),
            input_tensors=inputs,
            clone_function=lambda layer: layer,
            call_function=self._call,
        )
        return model_like(model, inputs, new.outputs, name)

    def _call(self, layer, *inputs, **arguments):
        arguments = {name: value for name, value in arguments.items() if value is not None}
        try:
            return self._applied(layer, inputs, arguments)
        except (TypeError, ValueError) as error:
            if str(error).startswith("`convert` stops at"):
                raise
            raise ValueError(f"`convert` stops at {_name(layer)}: {error}") from error

    def _applied(self, layer, inputs, arguments):
        kinds = [_kind(x) for x in _tensors(inputs)]
        if isinstance(layer, keras.Model):
            return self._nested(layer, inputs, kinds)(*inputs, **arguments)
        if {*kinds} <= {INVARIANTS}:
            new = self._reuse(
                layer, INVARIANTS, lambda name: copy(layer, base_arguments(layer, name))
            )
            outputs = _require_invariants(new(*inputs, **arguments))
            if isinstance(layer, keras.layers.Normalization):  # what it was adapted to
                set_weights(new, layer.get_weights())
            return outputs
        if not self._counterparts.knows(layer):
            raise ValueError(
                f"`convert` stops at {_name(layer)}, of which it does not know what commutes in "
                "its place. Give the model a layer of this package there."
            )
        if not {*arguments} <= {"training"}:
            raise ValueError(f"it is called with {', '.join(arguments)}. Leave that out.")
        return self._commuting(layer, _aligned(layer, inputs), arguments)

    def _nested(self, model, inputs, kinds):
        if not getattr(model, "inputs", None):
            raise ValueError("it is a model whose layers are not known. Use a functional one.")
        shapes = [x.shape for x in _tensors(inputs)]
        return self._reuse(model, " and ".join(kinds), lambda name: self.clone(model, shapes, name))

    def _commuting(self, layer, inputs, arguments):
        on_group = FUNCTIONS in map(_kind, _tensors(inputs))
        parts = self._reuse(
            layer,
            FUNCTIONS if on_group else IMAGES,
            lambda name: self._counterparts.of(layer, base_arguments(layer, name), on_group),
        )
        for part in parts:
            more = arguments if isinstance(part, keras.layers.Layer) else {}
            inputs = (part(*inputs, **more),)
        (outputs,) = inputs
        if _kind(outputs) == FUNCTIONS and outputs.shape[-1] == 1 and _is_softmax(layer):
            raise ValueError("one channel is left, of which a softmax is always 1. Use more.")
        return outputs

    def _reuse(self, layer, kind, make):
        """The counterpart of a layer, one for all its calls on tensors of the same kind."""
        made = self._made.setdefault(id(layer), {})
        if kind not in made:
            if made and getattr(layer, "weights", None):
                raise ValueError(
                    f"it is applied to {', to '.join([*made, kind])}, which cannot share weights. "
                    "Make a layer for each."
                )
            made[kind] = make(f"{layer.name}_of_{kind.replace(' ', '_')}" if made else layer.name)
        return made[kind]


def _is_softmax(layer):
    """True for a layer or operation that ends in a softmax over channels."""
    over_channels = getattr(layer, "axis", None) in (-1, 3)
    softmax = getattr(layer, "activation", None) is keras.activations.softmax
    return softmax or (type(layer).__name__ == "Softmax" and over_channels)


def _aligned(layer, inputs):
    """The inputs of a layer, where some are functions on the group all images as such.

    Raises:
        ValueError: For numbers that do not turn with an image, and for tensors that were of equally
            many channels and are no longer, which would be broadcast.
    """
    tensors = _tensors(inputs)
    kinds = [_kind(x) for x in tensors]
    on_group = FUNCTIONS in kinds
    for each in keras.tree.flatten(inputs):
        if not isinstance(each, keras.KerasTensor) and not is_per_channel(each, on_group):
            raise ValueError(f"it takes numbers of shape {np.shape(each)}. Use one number.")
    if any(len(x.shape) == 3 for x in tensors):
        raise ValueError("it joins images and sequences. Use vectors in place of sequences.")
    if type(layer).__name__ != "Concatenate":
        _check_channels(layer, tensors)
    if not on_group:
        return inputs
    order = next(x.shape[3] for x in tensors if _kind(x) == FUNCTIONS)
    return keras.tree.map_structure(lambda x: _as_function(x, order), inputs)


def _as_function(x, order):
    """An image as the function on the group that is the same at each element."""
    if not isinstance(x, keras.KerasTensor) or _kind(x) != IMAGES:
        return x
    return keras.ops.repeat(keras.ops.expand_dims(x, -2), order, axis=-2)


def _check_channels(layer, tensors):
    found = [x.shape[-1] for x in tensors]
    plain = [{x.shape[-1] for x in node.input_tensors} for node in layer._inbound_nodes]
    if len({*found}) > 1 and any(len(channels) == 1 for channels in plain):
        raise ValueError(
            f"its inputs have equally many channels, and their counterparts {found}, which would "
            "be broadcast. Let a Conv2D make each of them."
        )


def _require_invariants(outputs):
    """The outputs of a layer of invariants; a ValueError if they are images of several pixels."""
    for x in _tensors([outputs]):
        if _kind(x) != INVARIANTS and x.shape[1:-1] != (1, 1):
            raise ValueError(
                f"it makes an image of shape {x.shape} of numbers that do not turn with the "
                "inputs. Keep the pixels: let no pooling over all of them go before it."
            )
    return outputs


def _kind(x):
    return {4: IMAGES, 5: FUNCTIONS}.get(len(x.shape), INVARIANTS)


def _tensors(inputs):
    """The tensors among the inputs of a layer, of which some take a list, a dict or numbers."""
    return [x for x in keras.tree.flatten(inputs) if isinstance(x, keras.KerasTensor)]


def _input(tensor, shape):
    """A new input of another shape, and otherwise like that of a model."""
    config = tensor._keras_history.operation.get_config()
    return keras.layers.InputLayer.from_config({**config, "batch_shape": shape}).output


def _name(layer):
    return f"{type(layer).__name__} `{layer.name}`"
