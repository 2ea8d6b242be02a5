"""The field of every tensor of a model, by rules of layers.

A layer that has a method `output_field` says it itself (see `layers.output_fields`); Keras' own
layers and operations are in `RULES`, by the name of their class. A rule is what the layer makes if
it keeps the symmetry, which is measured. For all others the field is not known, None: nothing is
guessed.
"""

import functools
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sen_tf.groups import Field, FiniteGroup, fields
from sen_tf.symmetry import axes
from sen_tf.symmetry.graph import Graph, Step
from sen_tf.tensors import Shape

Rule = Callable[[Any, Sequence[Field | None], Sequence[Shape], Shape], Field | None]
"""A function `rule(layer, fields, shapes, shape)` of the inputs and the shape of the output."""


def all_fields(
    graph: Graph, group: FiniteGroup, given: Mapping[str, Field | Sequence[Field]]
) -> dict[int, Field | None]:
    """The field of each tensor of a graph; None where it is not known.

    Args:
        given: fields that rules do not have to find, by the names of inputs and steps; a sequence
            for a step with several outputs.

    Raises:
        ValueError: for a name that is none, a field of another kind, or an input whose shape does
            not tell its field.
    """
    names = {x.name for x in graph.symbols} | {step.name for step in graph.steps}
    if unknown := sorted(set(given) - names):
        raise ValueError(
            f"Expected `fields` to name inputs or layers, of {', '.join(sorted(names))}; received "
            f"{', '.join(unknown)}."
        )
    found: dict[int, Field | None] = {}
    for symbol, key in zip(graph.symbols, graph.inputs, strict=True):
        found[key] = _given(given, symbol.name, 1)[0] or fields.by_shape(group, symbol.shape)
        if found[key] is None:
            raise ValueError(
                f"Expected `fields` to say how input `{symbol.name}` of shape "
                f"{tuple(symbol.shape)} transforms, as in fields={{'{symbol.name}': "
                f"Field('{group}', 'regular')}}."
            )
    for step in graph.steps:
        stated = _given(given, step.name, len(step.outputs))
        inputs = [found[key] for key in step.inputs]
        for key, shape, said in zip(step.outputs, step.output_shapes, stated, strict=True):
            found[key] = said or _checked(output_field(step, inputs, shape), shape)
    return found


def output_field(step: Step, inputs: Sequence[Field | None], shape: Shape) -> Field | None:
    """The field of an output of a step, by its layer's own method or by `RULES`."""
    if hasattr(step.layer, "output_field"):
        return step.layer.output_field(*inputs)
    fields = [field for field in inputs if field is not None]
    if not fields or len(fields) < len(inputs):
        return None
    if all(field.is_trivial and not field.space_axes for field in fields):
        return fields[0]  # what nothing changes makes what nothing changes
    rule = _rule(step.layer)
    return rule and rule(step.layer, fields, step.input_shapes, shape)


def _given(given, name, outputs):
    stated = given.get(name)
    stated = list(stated) if isinstance(stated, list | tuple) else [stated] * outputs
    if len(stated) != outputs or not all(isinstance(f, Field | None) for f in stated):
        raise ValueError(
            f"Expected `fields` to hold a Field for each output of `{name}`, of which there are "
            f"{outputs}; received {given[name]!r}."
        )
    return stated


def _checked(field, shape):
    """A field, or None if a tensor of this shape cannot be one."""
    known = tuple(1 if size is None else size for size in shape)
    return field if field is not None and field.fits(known) else None


def _rule(layer: Any) -> Rule | None:
    for kind in type(layer).__mro__:
        if kind.__module__.split(".")[0] == "keras" and kind.__name__ in RULES:
            return RULES[kind.__name__]
    return None


def _kept(layer, inputs, shapes, shape):
    """Number by number, or over channels alone."""
    return _blocks(inputs[0], shape)


def _merged(layer, inputs, shapes, shape):
    """Numbers at the same places of several tensors, some of them perhaps broadcast."""
    wide = [field for field in inputs if not field.is_trivial]
    placed = next((field for field in inputs if field.space_axes), inputs[0])
    return (wide or inputs)[0].replace(pixels=placed.pixels, voxels=placed.voxels)


def _joined(layer, inputs, shapes, shape):
    axis = layer.axis % len(shape)
    if axis == len(shape) - 1:
        several = inputs[0].axis == -1 and not inputs[0].is_trivial and len(inputs) > 1
        return None if several else _merged(layer, inputs, shapes, shape)
    if axis == len(shape) - 2 and not any(f.is_trivial or f.axis == -1 for f in inputs):
        if len({field.group for field in inputs}) > 1:
            return None
        parts = [field.representation for field in inputs]
        return inputs[0].replace(representation=functools.reduce(operator.add, parts))
    # Along an axis of pixels none is left; along another one the group does not act on it.
    on_places = axis <= inputs[0].space_axes
    return inputs[0] if on_places else _merged(layer, inputs, shapes, shape)


def _images(layer, inputs, shapes, shape):
    """Windows on rows and columns."""
    return _blocks(inputs[0], shape) if inputs[0].pixels is True else None


def _cut_out(layer, inputs, shapes, shape):
    """Slices of axes, of which none is dropped; what is cut out of blocks in channels is none."""
    whole = len(shape) == len(shapes[0]) and (inputs[0].is_trivial or inputs[0].axis == -2)
    return inputs[0] if whole else None


def _blocks(field, shape):
    """`field`; where it lies in channels that are no blocks any more, one without them."""
    if field.axis == -1 and not field.is_trivial and (shape[-1] or 1) % field.dimension:
        return field.replace(representation="trivial", axis=-2)
    return field


def _over_space(layer, inputs, shapes, shape):
    """All axes between the batch and the channels at once."""
    between = set(range(1, len(shapes[0]) - 1))
    return axes.reduced(inputs[0], shapes[0], between, layer.keepdims)


def _reduced(layer, inputs, shapes, shape):
    over = range(len(shapes[0])) if layer.axis is None else layer.axis
    over = [over] if isinstance(over, int) else over
    return axes.reduced(
        inputs[0], shapes[0], {axis % len(shapes[0]) for axis in over}, layer.keepdims
    )


def _flat(layer, inputs, shapes, shape):
    """Invariant: for what takes a vector knows no places and no elements."""
    return Field(inputs[0].group)


def _reshaped(layer, inputs, shapes, shape):
    return axes.reshaped(inputs[0], shapes[0], shape)


def _permuted(layer, inputs, shapes, shape):
    return axes.transposed(inputs[0], shapes[0], [0, *layer.dims])


def _transposed(layer, inputs, shapes, shape):
    order = layer.axes or range(len(shape))[::-1]
    return axes.transposed(inputs[0], shapes[0], [axis % len(shape) for axis in order])


def _recurrent(layer, inputs, shapes, shape):
    """A sequence, else its end, which should not depend on the order of pixels or elements."""
    return inputs[0] if len(shape) == len(shapes[0]) else Field(inputs[0].group)


_NAMES: dict[Rule, str] = {
    _kept: """
        Activation ReLU LeakyReLU PReLU ELU Softmax Dropout SpatialDropout1D SpatialDropout2D
        SpatialDropout3D GaussianDropout GaussianNoise AlphaDropout BatchNormalization
        LayerNormalization RMSNormalization GroupNormalization UnitNormalization
        SpectralNormalization Normalization Rescaling ActivityRegularization Identity Masking Dense
        EinsumDense MultiHeadAttention GroupQueryAttention
        Relu Relu6 LeakyRelu Elu Selu Gelu Silu Sigmoid HardSigmoid HardSilu LogSigmoid Softplus
        Softsign LogSoftmax Tanh Exp Expm1 Log Log1p Sqrt Rsqrt Square Absolute Abs Negative Clip
        Cast Sign Sin Cos StopGradient Reciprocal Flip Roll Pad ZerosLike OnesLike ConvertToTensor
        Conv3D Conv3DTranspose MaxPooling3D AveragePooling3D UpSampling3D ZeroPadding3D
        Cropping3D""",
    _merged: """
        Add Subtract Multiply Average Maximum Minimum
        Divide TrueDivide Power Where""",
    _joined: "Concatenate",
    _images: """
        Conv2D DepthwiseConv2D SeparableConv2D Conv2DTranspose MaxPooling2D AveragePooling2D
        UpSampling2D ZeroPadding2D Cropping2D Resizing CenterCrop RandomCrop RandomFlip
        RandomRotation RandomTranslation RandomZoom RandomBrightness RandomContrast""",
    _cut_out: "GetItem Slice",
    _over_space: """
        GlobalAveragePooling1D GlobalMaxPooling1D GlobalAveragePooling2D GlobalMaxPooling2D
        GlobalAveragePooling3D GlobalMaxPooling3D""",
    _reduced: "Max Mean Sum Min Amax Amin Var Std Logsumexp",
    _flat: "Flatten",
    _reshaped: "Reshape ExpandDims Squeeze",
    _permuted: "Permute",
    _transposed: "Transpose",
    _recurrent: "SimpleRNN GRU LSTM Bidirectional RNN",
}
RULES: dict[str, Rule] = {name: rule for rule, names in _NAMES.items() for name in names.split()}
"""The rule of a layer or operation of Keras, by the name of its class."""
