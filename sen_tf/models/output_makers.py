"""The layers of a plain model that make the channels of its outputs."""

from collections.abc import Iterator
from typing import Any

import keras

from sen_tf.tensors import Tensor


def makers(output: Tensor) -> Iterator[keras.Operation]:
    """The nearest layers before an output of a model that have weights, also in nested models.

    What has none, such as activations, pooling, up-sampling, dropout and sums, has as many channels
    after it as before; so these layers say how many the output has, together with the inputs of the
    model, which are left out.

    Args:
        output: One of `model.outputs`.
    """
    todo: list[tuple[Tensor, tuple[Any, ...]]] = [(output, ())]
    seen = set()
    while todo:
        tensor, calls = todo.pop()
        # A model that is applied twice holds the same tensors in both calls.
        if (id(tensor), calls) in seen:
            continue
        seen.add((id(tensor), calls))
        operation, _, place = tensor._keras_history
        if isinstance(operation, keras.Model) and getattr(operation, "outputs", None):
            todo.append((operation.outputs[place], (*calls, _node(tensor))))
        elif isinstance(operation, keras.layers.InputLayer):
            todo += _outside(tensor, calls)
        elif getattr(operation, "weights", None):
            yield operation
        else:
            todo += [(each, calls) for each in _node(tensor).input_tensors]


def _node(tensor):
    """The call of which a tensor is the result: of a layer that is shared one of several."""
    operation, index, _ = tensor._keras_history
    return operation._inbound_nodes[index]


def _outside(tensor, calls):
    """The tensor that stands for an input of a nested model in its innermost call, if any."""
    if not calls:
        return []
    *calls, node = calls
    place = next(i for i, x in enumerate(node.operation.inputs) if x is tensor)
    return [(node.input_tensors[place], tuple(calls))]
