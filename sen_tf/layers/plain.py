"""The plain form of a network: every layer of ours written out in layers and operations of Keras.

A layer with weights of its own says in its method `plain` which layers of Keras do its work, with
which numbers: `GroupDense` is a `Dense` whose kernel is the expanded one. All others do what their
`call` says, which on symbolic tensors records operations of Keras.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from sen_tf.tensors import Tensor


def plain(model: keras.Model) -> keras.Model:
    """A model that computes the same, made of Keras' own layers and `keras.ops` alone.

    Saved, it loads where only Keras is installed. It shares no weights with the model that it was
    made from, and it is for inference: what it would learn commutes with nothing.

    Args:
        model: A functional or sequential `keras.Model`, built.

    Raises:
        ValueError: For a layer that has weights and is neither Keras' own nor has a method `plain`,
            for one in a wrapper other than `TimeDistributed`, and for features of unknown size.
    """
    return _rewritten(model, model.name)


def plain_call(
    layer: keras.Operation, *inputs: Tensor, training: bool | None = None, **arguments: Any
) -> Tensor:
    """Applies the plain form of a layer, a model or an operation to symbolic tensors."""
    if hasattr(layer, "plain"):
        return layer.plain(*inputs, **arguments)
    if isinstance(layer, keras.Model):
        return _rewritten(layer, name=None)(*inputs)
    if isinstance(layer, keras.layers.Wrapper) and not _is_of_keras(layer):
        return _wrapped(layer, inputs[0])(*inputs, **arguments)
    if _is_of_keras(layer):
        # Anew, under a name that is free: names that come out of a file may be taken.
        copy = type(layer).from_config({**layer.get_config(), "name": None})
        weights = layer.get_weights() if isinstance(layer, keras.layers.Layer) else []
        return with_weights(copy, weights, *inputs, **arguments)
    if layer.weights:
        raise ValueError(
            f"`plain` expected layers of Keras or with a method `plain`, which says what layers of "
            f"Keras do their work; received {type(layer).__name__} `{layer.name}`, which has "
            "weights."
        )
    return layer.call(*inputs, **arguments)


def _is_of_keras(layer):
    """True for a layer or operation of Keras' own, and all that it holds."""
    held = layer._flatten_layers() if isinstance(layer, keras.layers.Layer) else [layer]
    return all(type(each).__module__.split(".")[0] == "keras" for each in held)


def _wrapped(layer, x):
    """A wrapper of Keras around the plain form of its layer."""
    if not isinstance(layer, keras.layers.TimeDistributed):
        raise ValueError(
            f"`plain` expected layers of Keras alone in a {type(layer).__name__}; received others "
            f"in `{layer.name}`."
        )
    inputs = keras.Input(x.shape[2:], dtype=x.dtype)
    return keras.layers.TimeDistributed(keras.Model(inputs, plain_call(layer.layer, inputs)))


def with_weights(
    layer: keras.layers.Layer, weights: Sequence[Any], *inputs: Tensor, **arguments: Any
) -> Tensor:
    """Applies a new layer of Keras, which is built by that, and gives it its numbers."""
    outputs = layer(*inputs, **arguments)
    if weights:
        set_weights(layer, weights)
    return outputs


def set_weights(layer: keras.layers.Layer, weights: Sequence[Any]) -> None:
    """Gives a built layer its numbers, also a `Normalization`, which computes with copies."""
    layer.set_weights(weights)
    for each in layer._flatten_layers():
        if isinstance(each, keras.layers.Normalization):
            each.finalize_state()


def reshape(x: Tensor, *shape: int | None) -> Tensor:
    """A symbolic tensor of shape `(batch, *shape)`, all known.

    Raises:
        ValueError: For a size that is not known.
    """
    if None in shape:
        raise ValueError(
            f"`plain` expected features of known sizes; received a tensor of {x.shape}."
        )
    return ops.reshape(x, (-1, *shape))


def shape_of(x: Tensor) -> tuple[Any, ...]:
    """`ops.shape`, with -1 for what a symbolic tensor does not know: its batch."""
    return tuple(-1 if size is None else size for size in ops.shape(x))


def constant(array: npt.ArrayLike, like: Tensor) -> Tensor:
    """An array as a constant of the dtype of a tensor.

    Recorded operations keep an array as numbers; a tensor would be an input of the graph, which
    tf2onnx does not fill in.
    """
    if isinstance(like, keras.KerasTensor):
        return np.asarray(array, like.dtype)
    return ops.convert_to_tensor(array, like.dtype)


def _rewritten(model, name):
    graph = model_like(model, model.inputs, model.outputs, name)
    return keras.models.clone_model(
        graph, clone_function=lambda layer: layer, call_function=plain_call
    )


def model_like(
    model: keras.Model, inputs: Sequence[Tensor], outputs: Sequence[Tensor], name: str | None
) -> keras.Model:
    """A functional model that takes and returns tensors in the lists and dicts of another."""
    if isinstance(model, keras.Sequential):
        return keras.Model(inputs[0], outputs[0], name=name)
    pack = keras.tree.pack_sequence_as
    return keras.Model(pack(model.input, inputs), pack(model.output, outputs), name=name)
