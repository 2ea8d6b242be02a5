"""The layers of a functional model one after the other, those of nested models among them."""

import dataclasses
import inspect
import itertools
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from sen_tf.tensors import Shape, Tensor


@dataclasses.dataclass(frozen=True, eq=False)
class Step:
    """A call of a layer: a layer that is shared has several.

    Attributes:
        name: the layer's name, after those of the models that it is nested in; "(2)" stands for a
            second call.
        layer: a Keras layer, or an operation of `keras.ops`.
        inputs, outputs: numbers of the tensors that it takes and makes.
        input_shapes, output_shapes: their shapes; None where a size is not known.
    """

    name: str
    layer: Any
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    input_shapes: tuple[Shape, ...]
    output_shapes: tuple[Shape, ...]
    _node: Any = dataclasses.field(repr=False)

    @property
    def dtype(self) -> str:
        """The dtype of its first output."""
        return self._node.outputs[0].dtype

    def run(self, values: dict[int, Tensor]) -> list[Tensor]:
        """The outputs at inference, as arrays; no variable, seed or statistic of it changes."""
        tensors = zip(self._node.input_tensors, self.inputs, strict=True)
        filled = {id(symbol): _tensor(values[key], symbol.dtype) for symbol, key in tensors}
        args, kwargs = self._node.arguments.fill_in(filled)
        if _has_training(self.layer):
            kwargs = {**kwargs, "training": False}
        with keras.StatelessScope():  # what a layer assigns is forgotten
            outputs = self.layer(*args, **kwargs)
        return [keras.ops.convert_to_numpy(y) for y in keras.tree.flatten(outputs)]

    def constants(self) -> list[np.ndarray]:
        """The arrays among the arguments that are no tensors of the graph."""
        arguments = keras.tree.flatten((self._node.arguments.args, self._node.arguments.kwargs))
        given = [x for x in arguments if not isinstance(x, keras.KerasTensor)]
        return [keras.ops.convert_to_numpy(x) for x in given if hasattr(x, "shape")]


@dataclasses.dataclass(frozen=True, eq=False)
class Graph:
    """The steps of a model in topological order; tensors are numbers.

    Attributes:
        steps: a tuple of `Step`.
        inputs, outputs: numbers of the model's tensors.
        symbols: the symbolic tensors of the inputs.
    """

    steps: tuple[Step, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    symbols: tuple[Any, ...]

    def run(self, values: dict[int, Tensor], start: int = 0) -> dict[int, Tensor]:
        """All tensors as arrays, from those that the steps from number `start` on need."""
        values = dict(values)
        for step in self.steps[start:]:
            values.update(zip(step.outputs, step.run(values), strict=True))
        return values


def of(model: keras.Model) -> Graph:
    """The graph of a model.

    Raises:
        ValueError: unless it is a functional or sequential model that is built.
    """
    _check(model)
    numbers: dict[int, int] = {}
    symbols = tuple(model.inputs)
    inputs = tuple(numbers.setdefault(id(x), len(numbers)) for x in symbols)
    counter = itertools.count(len(numbers))
    raw = list(_steps(model, numbers, counter, ""))
    outputs = tuple(numbers[id(x)] for x in model.outputs)
    return Graph(tuple(_numbered(raw)), inputs, outputs, symbols)


def _check(model):
    is_model = isinstance(model, keras.Model)
    if is_model and getattr(model, "inputs", None) and getattr(model, "outputs", None):
        return
    if isinstance(model, keras.Sequential):
        fix = "call it on data, or begin it with keras.Input"
    elif is_model:
        fix = (
            "of one with code of its own, pass a part that is functional, or "
            "keras.Model(x, model(x)) of symbolic inputs x"
        )
    else:
        fix = "wrap a layer as keras.Sequential([keras.Input(shape), layer])"
    raise ValueError(
        "Expected `model` to be a functional or sequential Keras model that is built, whose layers "
        f"are known; received a {type(model).__name__}: {fix}."
    )


def _steps(model, numbers, counter, prefix) -> Iterator[Step]:
    """The steps of a model whose input tensors have numbers; gives numbers to all others."""
    # Keras' own order of execution. A model made of the tensors holds the nodes of this one alone,
    # also of layers that others share, and of a sequential model.
    graph = keras.Model(model.inputs, model.outputs, name=model.name)
    for depth in sorted(graph._nodes_by_depth, reverse=True):
        for node in graph._nodes_by_depth[depth]:
            if node.is_input:
                continue
            name = prefix + node.operation.name
            taken = tuple(numbers[id(x)] for x in node.input_tensors)
            if _is_graph(node.operation):
                inner = node.operation
                own = dict(zip(map(id, inner.inputs), _in_order(inner, node, taken), strict=True))
                yield from _steps(inner, own, counter, f"{name}/")
                made = tuple(own[id(x)] for x in inner.outputs)
            else:
                made = tuple(next(counter) for _ in node.outputs)
                yield Step(
                    name,
                    node.operation,
                    taken,
                    made,
                    _shapes(node.input_tensors),
                    _shapes(node.outputs),
                    node,
                )
            numbers.update(zip(map(id, node.outputs), made, strict=True))


def _is_graph(layer):
    return isinstance(layer, keras.Model) and bool(getattr(layer, "inputs", None))


def _in_order(inner, node, taken):
    """The numbers of a nested model's inputs, in the order of its own."""
    by_symbol = dict(zip(map(id, node.input_tensors), taken, strict=True))
    arguments = keras.tree.flatten((node.arguments.args, node.arguments.kwargs))
    given = [by_symbol[id(x)] for x in arguments if id(x) in by_symbol]
    if len(given) != len(inner.inputs):
        raise ValueError(
            f"Expected the nested model `{inner.name}` to be called on its {len(inner.inputs)} "
            f"inputs; received {len(given)}."
        )
    return given


def _shapes(tensors):
    return tuple(tuple(x.shape) for x in tensors)


def _numbered(steps):
    """The steps, of which no two have the same name."""
    seen: dict[str, int] = {}
    for step in steps:
        seen[step.name] = count = seen.get(step.name, 0) + 1
        yield step if count == 1 else dataclasses.replace(step, name=f"{step.name} ({count})")


def _tensor(array, dtype):
    """An array as a tensor of a dtype; where that is of integers, fractions stay what they are."""
    own = keras.backend.standardize_dtype(array.dtype)
    is_float = keras.backend.is_float_dtype
    return keras.ops.convert_to_tensor(array, own if is_float(own) > is_float(dtype) else dtype)


def _has_training(layer):
    return isinstance(layer, keras.layers.Layer) and (
        "training" in inspect.signature(layer.call).parameters
    )
