"""Checks of layers: what every layer of this package promises."""

import contextlib
import inspect
import pathlib
import tempfile
from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np

from sen_tf import groups
from sen_tf.groups.actions import Action
from sen_tf.tensors import Tensor
from sen_tf.testing.equivariance import Inputs, as_arrays, assert_equivariant, fail, to_numpy

MIXED_TOLERANCES = {"mixed_bfloat16": 2e-2, "mixed_float16": 3e-3}
"""Relative error allowed by dtype policy: a few times half the distance between its numbers."""

_ARGUMENTS_OF_KERAS = {"name", "dtype", "trainable", "autocast", "activity_regularizer"}


class LayerCase(NamedTuple):
    """A layer and what to try it on; see `assert_layer_contract`."""

    make_layer: Callable[[], keras.layers.Layer]
    inputs: Inputs
    group: groups.GroupLike
    act_in: Action | list[Action]
    act_out: Action
    training: bool = False

    @property
    def arrays(self) -> list[np.ndarray]:
        return as_arrays(self.inputs)

    def made(self, policy: str = "float32") -> keras.layers.Layer:
        """A fresh layer whose global dtype policy, when made, was `policy`."""
        with _dtype_policy(policy):
            return self.make_layer()

    def built(self, policy: str = "float32") -> keras.layers.Layer:
        """A fresh layer with weights as `randomize_weights` leaves them."""
        layer = self.made(policy)
        self.call(layer)
        randomize_weights(layer)
        return layer

    def symbolic(self) -> list[keras.KerasTensor]:
        """Inputs of a `keras.Model`, their batch unknown."""
        return [keras.Input(x.shape[1:], dtype=x.dtype.name) for x in self.arrays]

    def call(self, layer: keras.layers.Layer, *arrays: Tensor) -> Tensor:
        """The layer's output on `arrays`, else on this case's own."""
        return layer(*(arrays or self.arrays), training=self.training)


def randomize_weights(layer: keras.layers.Layer, seed: int = 0) -> None:
    """Adds noise, uniform in [-0.2, 0.2), to every weight: zero biases and unit scales hide errors.

    Meant for new weights: a trained variance may be smaller than the noise. Weights called
    `relaxation` stay: a layer commutes as long as they do not differ between elements.
    """
    rng = np.random.default_rng(seed)
    for weight in layer.weights:
        if keras.backend.is_float_dtype(weight.dtype) and weight.name != "relaxation":
            weight.assign_add(rng.uniform(-0.2, 0.2, weight.shape).astype("float32"))


def assert_layer_contract(
    make_layer: Callable[[], keras.layers.Layer],
    inputs: Inputs,
    group: groups.GroupLike,
    act_in: Action | list[Action],
    act_out: Action,
    training: bool = False,
) -> None:
    """Checks all that a layer of this package promises; see `LAYER_CHECKS` for the single ones.

    Args:
        make_layer: function of no arguments that makes the layer.
        inputs, group, act_in, act_out: as in `assert_equivariant`.
        training: whether the layer is called in training.

    Raises:
        AssertionError: if the layer does not commute with the group; if the constructor's arguments
            are not the names in `get_config`, or `from_config` makes another layer; if
            `compute_output_shape` or a symbolic call state a wrong shape; if a saved model is not
            bit-equal when loaded; if the compiled layer differs; or if outputs under mixed
            precision have another dtype, are far from the float32 ones or lose the symmetry.
    """
    case = LayerCase(make_layer, inputs, group, act_in, act_out, training)
    for check in LAYER_CHECKS.values():
        check(case)


def check_equivariance(case: LayerCase) -> None:
    """The layer commutes with every element of the group, to 1e-5 in float32."""
    _assert_commutes(case, case.built(), 1e-5)


def check_config(case: LayerCase) -> None:
    """`get_config` holds the constructor's arguments, and makes an equal layer."""
    layer = case.built()
    config = layer.get_config()
    taken = _constructor_names(type(layer))
    kept = set(config) - (_ARGUMENTS_OF_KERAS - taken)
    if kept != taken:
        fail(f"get_config lacks {sorted(taken - kept)}; not arguments: {sorted(kept - taken)}")
    copy = type(layer).from_config(config)
    if copy.get_config() != config:
        fail(f"from_config gives a layer of config {copy.get_config()} from {config}")
    case.call(copy)
    copy.set_weights(layer.get_weights())
    _assert_equal(case.call(layer), case.call(copy), "layer made by from_config")


def check_shapes(case: LayerCase) -> None:
    """The stated output shape and dtype are the real ones, symbolically and of no sample too."""
    layer = case.made()
    outputs = case.call(layer)
    real = tuple(outputs.shape)
    stated = tuple(case.made().compute_output_shape(*[x.shape for x in case.arrays]))
    if stated != real:
        fail(f"compute_output_shape gives {stated}, the output has shape {real}")
    symbol = case.call(case.made(), *case.symbolic())
    if tuple(symbol.shape) != (None, *real[1:]):
        fail(f"a symbolic call gives shape {symbol.shape}, the output has shape {real}")
    empty = tuple(case.call(layer, *[x[:0] for x in case.arrays]).shape)
    if empty != (0, *real[1:]):
        fail(f"of no sample the output has shape {empty}, expected {(0, *real[1:])}")
    dtype = keras.backend.standardize_dtype(outputs.dtype)
    if symbol.dtype != dtype:
        fail(f"a symbolic call gives dtype {symbol.dtype}, the output has dtype {dtype}")


def check_saving(case: LayerCase) -> None:
    """A model under mixed precision, saved and loaded under float32, is bit-equal."""
    inputs = case.symbolic()
    model = keras.Model(inputs, case.call(case.made("mixed_bfloat16"), *inputs))
    randomize_weights(model)
    with tempfile.TemporaryDirectory() as folder, _dtype_policy("float32"):
        path = pathlib.Path(folder) / "model.keras"
        model.save(path)
        loaded = keras.models.load_model(path)
    arrays = case.arrays
    expected, actual = (each(arrays, training=case.training) for each in (model, loaded))
    _assert_equal(expected, actual, "model saved and loaded")
    for weight, copy in zip(model.weights, loaded.weights, strict=True):
        _assert_equal(weight, copy, f"model saved and loaded, weight {weight.path}")


def check_compilation(case: LayerCase) -> None:
    """XLA compiles the layer, to the same numbers up to rounding (not on PyTorch)."""
    if keras.backend.backend() == "torch":
        return
    layer = case.built()
    compiled = _by_xla(lambda *arrays: case.call(layer, *arrays))
    _assert_near(case.call(layer), compiled(*case.arrays), 1e-5, "compiled layer")


def check_mixed_precision(case: LayerCase) -> None:
    """Outputs have the compute dtype, are near those in float32, and keep the symmetry."""
    reference = case.built()
    for policy, tolerance in MIXED_TOLERANCES.items():
        layer = case.built(policy)
        layer.set_weights(reference.get_weights())
        outputs = case.call(layer)
        dtype = keras.backend.standardize_dtype(outputs.dtype)
        if dtype != layer.compute_dtype:
            fail(f"outputs under {policy} have dtype {dtype}, expected {layer.compute_dtype}")
        _assert_near(case.call(reference), outputs, tolerance, f"layer under {policy}")
        _assert_commutes(case, layer, tolerance)


def check_regularizers(case: LayerCase) -> None:
    """Every regularizer that the constructor takes adds its loss, that of outputs per sample."""
    config = case.made().get_config()
    names = [name for name in config if name.endswith("_regularizer")]
    squares = keras.saving.serialize_keras_object(keras.regularizers.L2(1.0))
    start = {"bias_initializer": "ones"} if "bias_initializer" in config else {}
    layer = type(case.made()).from_config({**config, **dict.fromkeys(names, squares), **start})
    outputs = case.call(layer)
    expected = sum(
        float(np.sum(to_numpy(getattr(layer, name.removesuffix("_regularizer"))) ** 2))
        for name in names
        if getattr(layer, name.removesuffix("_regularizer"), None) is not None
    )
    if "activity_regularizer" in names:
        expected += float(np.sum(to_numpy(outputs) ** 2)) / len(outputs)
    found = sum(map(float, layer.losses))
    if not np.isclose(found, expected, rtol=1e-4):
        fail(f"regularizers {names} give a loss of {found:.6g}, expected {expected:.6g}")


def check_inputs(case: LayerCase) -> None:
    """Inputs of other sizes and ranks are taken, or refused by an error that names the layer."""
    layer = case.built()
    names = [part.name for part in layer._flatten_layers()]
    for shapes, arrays in _other_inputs(case):
        try:
            case.call(layer, *arrays)
        except ValueError as error:
            if not any(name in str(error) for name in names):
                fail(f"inputs of {shapes} raise an error that does not name the layer: {error}")
        except Exception as error:
            fail(f"inputs of {shapes} raise {type(error).__name__}, expected ValueError: {error}")


def check_unknown_sizes(case: LayerCase) -> None:
    """Traced by TensorFlow without known sizes, the layer takes and refuses what it does else."""
    if keras.backend.backend() != "tensorflow":
        return
    import tensorflow as tf

    layer = case.built()
    free = [tf.TensorSpec([None] * x.ndim, x.dtype) for x in case.arrays]
    traced = tf.function(lambda *arrays: case.call(layer, *arrays), input_signature=free)
    _assert_near(case.call(layer), traced(*case.arrays), 1e-5, "layer traced without known sizes")
    for shapes, arrays in _other_inputs(case):
        if any(x.ndim != spec.shape.rank for x, spec in zip(arrays, free, strict=True)):
            continue
        taken, found = _takes(case.call, layer, *arrays), _takes(traced, *arrays)
        if taken != found:
            said = ("refused", "taken")
            fail(f"inputs of {shapes} are {said[taken]}, but {said[found]} in a graph")


def check_integers(case: LayerCase) -> None:
    """Integers are read as the same floats, and the output has the compute dtype."""
    if not all(np.issubdtype(x.dtype, np.floating) for x in case.arrays):
        return
    layer = case.built()
    integers = [np.round(3 * x).astype("int32") for x in case.arrays]
    outputs = case.call(layer, *integers)
    if (dtype := keras.backend.standardize_dtype(outputs.dtype)) != layer.compute_dtype:
        fail(f"integers give outputs of dtype {dtype}, expected {layer.compute_dtype}")
    floats = case.call(layer, *[x.astype("float32") for x in integers])
    _assert_near(floats, outputs, 1e-5, "layer called with integers")


def check_global_settings(case: LayerCase) -> None:
    """The layer computes the same, to the bit, whatever keras.json says."""
    reference = case.built()
    expected = case.call(reference)
    config = keras.config
    for name, value in (
        ("image_data_format", "channels_first"),
        ("floatx", "float64"),
        ("floatx", "float16"),
        ("epsilon", 0.1),
    ):
        previous = getattr(config, name)()
        getattr(config, f"set_{name}")(value)
        try:
            layer = case.built()
            layer.set_weights(reference.get_weights())
            outputs = case.call(layer)
        finally:
            getattr(config, f"set_{name}")(previous)
        _assert_equal(expected, outputs, f"layer made under {name} = {value!r}")


LAYER_CHECKS = {
    "equivariance": check_equivariance,
    "config": check_config,
    "shapes": check_shapes,
    "saving": check_saving,
    "compilation": check_compilation,
    "mixed_precision": check_mixed_precision,
    "regularizers": check_regularizers,
    "inputs": check_inputs,
    "unknown_sizes": check_unknown_sizes,
    "integers": check_integers,
    "global_settings": check_global_settings,
}
"""Every check of `assert_layer_contract`: functions of a `LayerCase`, by name."""


def _assert_commutes(case, layer, rtol):
    def function(*arrays):
        return case.call(layer, *arrays)

    assert_equivariant(function, case.inputs, case.group, case.act_in, case.act_out, rtol)


def _other_inputs(case):
    """The inputs with an axis of one of them longer by one, or with one more or one fewer.

    Yields shapes and arrays. The batch is left alone.
    """
    for index, x in enumerate(case.arrays):
        others = [np.concatenate([x, x.take([0], axis)], axis) for axis in range(1, x.ndim)]
        others += [x[:, None], *([x[:, 0]] if x.ndim > 1 else [])]
        for other in others:
            arrays = [*case.arrays[:index], other, *case.arrays[index + 1 :]]
            yield [array.shape for array in arrays], arrays


def _takes(function, *arrays):
    """True if a function takes arrays, False if it refuses them."""
    import tensorflow as tf

    try:
        function(*arrays)
    except (ValueError, tf.errors.InvalidArgumentError):
        return False
    return True


def _by_xla(function):
    if keras.backend.backend() == "jax":
        import jax

        def stateless(*arrays):
            with keras.StatelessScope():  # moving statistics, updated here, would outlive it
                return function(*arrays)

        return jax.jit(stateless)
    import tensorflow as tf

    return tf.function(function, jit_compile=True)


def _constructor_names(cls):
    """Names that a layer's constructors take: its own, and its parents' that `**kwargs` reach."""
    names = set()
    for parent in cls.__mro__[: cls.__mro__.index(keras.layers.Layer)]:
        if "__init__" not in vars(parent):
            continue
        parameters = list(inspect.signature(parent.__init__).parameters.values())[1:]
        names |= {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            break
    return names - {"name", "dtype", "trainable"}


@contextlib.contextmanager
def _dtype_policy(name):
    previous = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(previous)


def _assert_equal(expected, actual, what):
    if not np.array_equal(to_numpy(expected), to_numpy(actual)):
        difference = np.abs(to_numpy(expected) - to_numpy(actual)).max()
        fail(f"{what}: numbers differ by up to {difference:.2g}, expected equal ones")


def _assert_near(expected, actual, rtol, what):
    expected, actual = to_numpy(expected), to_numpy(actual)
    error = np.linalg.norm(actual - expected) / np.linalg.norm(expected)
    if not error <= rtol:
        fail(f"{what}: outputs have relative error {error:.2g}, expected at most {rtol:.2g}")
