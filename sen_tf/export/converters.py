"""From functions on TensorFlow to the formats of other programs.

What cannot be converted is an error that names the format and the endpoint.
"""

import contextlib
import importlib
import logging
import os
import warnings
from collections.abc import Callable, Iterator, Sequence

import keras
import numpy as np

from sen_tf.tensors import Tensor


def to_onnx(
    name: str, function: Callable[..., dict[str, Tensor]], signature: Sequence[keras.InputSpec]
) -> bytes:
    """The bytes of an ONNX file.

    Args:
        name: Name of the endpoint, for messages.
        function: From tensors to a dict of tensors, whose names are those of no input.
        signature: A spec of each argument, with `shape`, `dtype` and `name`.

    Raises:
        ValueError: If tf2onnx is not installed, or the format cannot hold the endpoint.
    """
    import tensorflow as tf

    convert = _needed("tf2onnx", "onnx").convert
    checker = _needed("onnx", "onnx").checker
    specs = [tf.TensorSpec(spec.shape, spec.dtype, spec.name) for spec in signature]
    try:
        with silence():  # it logs what it cannot convert, and writes it all the same
            proto, _ = convert.from_function(
                tf.function(function), specs, custom_op_handlers={"Erfc": (_erfc, [])}
            )
        checker.check_model(proto)
        found = {value.name for value in proto.graph.input}
        if found != {spec.name for spec in signature}:
            raise ValueError(f"the file has the inputs {', '.join(sorted(found))}")
    except Exception as error:
        raise _cannot_hold("onnx", name, error) from error
    return proto.SerializeToString()


def to_litert(saved_model: str | os.PathLike[str], names: Sequence[str]) -> bytes:
    """The bytes of a LiteRT file.

    Args:
        saved_model: Path of a SavedModel.
        names: Its signatures that go into the file.

    Raises:
        ValueError: If the format cannot hold an endpoint.
    """
    import tensorflow as tf

    try:
        made = tf.lite.TFLiteConverter.from_saved_model(str(saved_model), list(names)).convert()
        with warnings.catch_warnings(action="ignore"):  # that the interpreter moves elsewhere
            tf.lite.Interpreter(model_content=made)  # the converter writes what cannot be opened
        return made
    except Exception as error:
        if len(names) > 1:  # which of them?
            for name in names:
                to_litert(saved_model, [name])
        raise _cannot_hold("litert", ", ".join(names), error) from error


def _erfc(graph, node, name, arguments):
    """1 - erf(x), as which tf2onnx, which has no Erfc, is to write TensorFlow's exact GELU."""
    node.type = "Erf"
    output = node.output[0]
    dtype = _needed("tf2onnx", "onnx").utils.map_onnx_to_numpy_type(graph.get_dtype(output))
    one = graph.make_const(f"{name}_one", np.ones((), dtype)).output[0]
    graph.insert_new_node_on_output("Sub", output, f"{name}_of_one", inputs=[one, output])


def _needed(package, form):
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise ValueError(
            f"--format={form} needs the package {package}: pip install {package}"
        ) from error


def _cannot_hold(form, name, error):
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    return ValueError(f"--format={form} cannot hold the endpoint `{name}`: {reason}")


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Keeps back what is logged meanwhile, such as TensorFlow's names of folders that go again."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)
