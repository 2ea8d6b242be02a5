"""Checks for your own groups, functions and layers; each raises an AssertionError that says by how
much something is off.

An action is a function `act(x, group, g)` that applies element `g` to an array, such as
`groups.actions.act_on_regular_image`.
"""

import contextlib
import inspect
import pathlib
import tempfile
from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np

from sen_tf import groups, metrics

MIXED_TOLERANCES = {"mixed_bfloat16": 2e-2, "mixed_float16": 3e-3}
"""Relative error allowed by dtype policy: a few times half the distance between its numbers."""

_ARGUMENTS_OF_KERAS = {"name", "dtype", "trainable", "autocast", "activity_regularizer"}


def assert_is_group(group):
    """Checks the axioms: products are elements, associative, with identity 0 and with inverses.

    Args:
        group: a `FiniteGroup`, a name, or a multiplication table: integers (order, order) with
            `product[g, h]` the index of gh.

    Raises:
        AssertionError: which axiom fails, and for which elements.

    Example:
        >>> assert_is_group("D4")
        >>> assert_is_group([[0, 1], [1, 1]])
        Traceback (most recent call last):
        AssertionError: element 1 has no inverse
    """
    if isinstance(group, str | groups.FiniteGroup):
        group = groups.get(group).product
    product = np.asarray(group)
    order = len(product)
    if product.shape != (order, order) or not np.isin(product, np.arange(order)).all():
        _fail(f"expected a square table of integers from 0 to {order - 1}, got {product!r}")
    _no_exception(product[0] != np.arange(order), "identity 0 changes element {} from the left")
    _no_exception(product[:, 0] != np.arange(order), "identity 0 changes element {} from the right")
    _no_exception(~(product == 0).any(axis=1), "element {} has no inverse")
    left = product[product]  # [g, h, k] = (g h) k
    right = product[np.arange(order)[:, None, None], product]  # g (h k)
    _no_exception(left != right, "(g h) k is not g (h k) for g, h, k = {}, {}, {}")


def assert_equivariant(function, inputs, group, act_in, act_out, rtol=1e-5):
    """Checks `function(g x) = g function(x)` for every element g.

    Args:
        function: from one or several arrays to an array; samples along the first axis of each.
        inputs: shape of an array, a tuple of integers, filled with standard normal float32 noise;
            or the array; or a list of arrays.
        group: a `FiniteGroup` or its name.
        act_in: action on an input; a list where the inputs have different ones.
        act_out: action on the output.
        rtol: largest mean |g f(x) - f(g x)| over samples that is allowed, relative to mean |f(x)|.

    Returns:
        The largest relative error of an element.

    Raises:
        AssertionError: which element is worst and how large its error is. It is nan where the
            output is not finite or zero throughout, which would prove nothing.

    Example:
        >>> from sen_tf.groups import actions
        >>> assert_equivariant(np.tanh, (2, 4, 3), "C4", actions.act_on_regular,
        ...                    actions.act_on_regular)
        0.0
        >>> assert_equivariant(np.cumsum, (2,), "C2", lambda x, group, g: np.roll(x, g),
        ...                    lambda y, group, g: np.roll(y, g))
        Traceback (most recent call last):
        AssertionError: not equivariant under C2: worst is element 1 with relative error 1.1
    """
    group = groups.get(group)
    arrays = _arrays(inputs)
    acts = act_in if isinstance(act_in, list) else [act_in] * len(arrays)
    outputs = _to_numpy(function(*arrays))
    errors = []
    for g in group.elements:
        moved = [
            np.ascontiguousarray(act(x, group, g), dtype=x.dtype)
            for act, x in zip(acts, arrays, strict=True)
        ]
        expected, actual = act_out(outputs, group, g), _to_numpy(function(*moved))
        if expected.shape != actual.shape:
            _fail(
                f"element {g} of {group} makes the output's shape {expected.shape}, but the output "
                f"of the transformed input has shape {actual.shape}"
            )
        errors.append(metrics.equivariance_error(expected, actual))
    worst = int(np.argmax(errors))  # the first nan, if there is one
    if not errors[worst] <= rtol:
        _fail(
            f"not equivariant under {group}: worst is element {worst} with relative error "
            f"{errors[worst]:.2g}"
        )
    return errors[worst]


class LayerCase(NamedTuple):
    """A layer and what to try it on; see `assert_layer_contract`."""

    make_layer: Callable[[], keras.layers.Layer]
    inputs: Any
    group: groups.FiniteGroup | str
    act_in: Any
    act_out: Callable
    training: bool = False

    @property
    def arrays(self):
        return _arrays(self.inputs)

    def made(self, policy="float32"):
        """A fresh layer whose global dtype policy, when made, was `policy`."""
        with _dtype_policy(policy):
            return self.make_layer()

    def built(self, policy="float32"):
        """A fresh layer with weights as `randomize_weights` leaves them."""
        layer = self.made(policy)
        self.call(layer)
        randomize_weights(layer)
        return layer

    def symbolic(self):
        """Inputs of a `keras.Model`, their batch unknown."""
        return [keras.Input(x.shape[1:], dtype=x.dtype.name) for x in self.arrays]

    def call(self, layer, *arrays):
        """The layer's output on `arrays`, else on this case's own."""
        return layer(*(arrays or self.arrays), training=self.training)


def randomize_weights(layer, seed=0):
    """Adds noise, uniform in [-0.2, 0.2), to every weight: zero biases and unit scales hide errors.

    Meant for new weights: a trained variance may be smaller than the noise.
    """
    rng = np.random.default_rng(seed)
    for weight in layer.weights:
        if keras.backend.is_float_dtype(weight.dtype):
            weight.assign_add(rng.uniform(-0.2, 0.2, weight.shape).astype("float32"))


def assert_layer_contract(make_layer, inputs, group, act_in, act_out, training=False):
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


def check_equivariance(case):
    """The layer commutes with every element of the group, to 1e-5 in float32."""
    _assert_commutes(case, case.built(), 1e-5)


def check_config(case):
    """`get_config` holds the constructor's arguments, and makes an equal layer."""
    layer = case.built()
    config = layer.get_config()
    taken = _constructor_names(type(layer))
    kept = set(config) - (_ARGUMENTS_OF_KERAS - taken)
    if kept != taken:
        _fail(f"get_config lacks {sorted(taken - kept)}; not arguments: {sorted(kept - taken)}")
    copy = type(layer).from_config(config)
    if copy.get_config() != config:
        _fail(f"from_config gives a layer of config {copy.get_config()} from {config}")
    case.call(copy)
    copy.set_weights(layer.get_weights())
    _assert_equal(case.call(layer), case.call(copy), "layer made by from_config")


def check_shapes(case):
    """The stated output shape and dtype are the real ones, symbolically too."""
    outputs = case.call(case.made())
    real = tuple(outputs.shape)
    stated = tuple(case.made().compute_output_shape(*[x.shape for x in case.arrays]))
    if stated != real:
        _fail(f"compute_output_shape gives {stated}, the output has shape {real}")
    symbol = case.call(case.made(), *case.symbolic())
    if tuple(symbol.shape) != (None, *real[1:]):
        _fail(f"a symbolic call gives shape {symbol.shape}, the output has shape {real}")
    dtype = keras.backend.standardize_dtype(outputs.dtype)
    if symbol.dtype != dtype:
        _fail(f"a symbolic call gives dtype {symbol.dtype}, the output has dtype {dtype}")


def check_saving(case):
    """A model under mixed precision, saved and loaded under float32, is bit-equal."""
    inputs = case.symbolic()
    model = keras.Model(inputs, case.call(case.made("mixed_bfloat16"), *inputs))
    randomize_weights(model)
    with tempfile.TemporaryDirectory() as folder, _dtype_policy("float32"):
        path = pathlib.Path(folder) / "model.keras"
        model.save(path)
        loaded = keras.models.load_model(path)
    arrays = case.arrays
    outputs = [m(arrays, training=case.training) for m in (model, loaded)]
    _assert_equal(*outputs, "model saved and loaded")
    for weight, copy in zip(model.weights, loaded.weights, strict=True):
        _assert_equal(weight, copy, f"model saved and loaded, weight {weight.path}")


def check_compilation(case):
    """XLA compiles the layer, to the same numbers up to rounding (not on PyTorch)."""
    if keras.backend.backend() == "torch":
        return
    layer = case.built()
    compiled = _by_xla(lambda *arrays: case.call(layer, *arrays))
    _assert_near(case.call(layer), compiled(*case.arrays), 1e-5, "compiled layer")


def check_mixed_precision(case):
    """Outputs have the compute dtype, are near those in float32, and keep the symmetry."""
    reference = case.built()
    for policy, tolerance in MIXED_TOLERANCES.items():
        layer = case.built(policy)
        layer.set_weights(reference.get_weights())
        outputs = case.call(layer)
        dtype = keras.backend.standardize_dtype(outputs.dtype)
        if dtype != layer.compute_dtype:
            _fail(f"outputs under {policy} have dtype {dtype}, expected {layer.compute_dtype}")
        _assert_near(case.call(reference), outputs, tolerance, f"layer under {policy}")
        _assert_commutes(case, layer, tolerance)


LAYER_CHECKS = {
    "equivariance": check_equivariance,
    "config": check_config,
    "shapes": check_shapes,
    "saving": check_saving,
    "compilation": check_compilation,
    "mixed_precision": check_mixed_precision,
}
"""Every check of `assert_layer_contract`: functions of a `LayerCase`, by name."""


def _assert_commutes(case, layer, rtol):
    def function(*arrays):
        return case.call(layer, *arrays)

    assert_equivariant(function, case.inputs, case.group, case.act_in, case.act_out, rtol)


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


def _arrays(inputs):
    """A shape, an array or a list of arrays as a list of arrays."""
    if isinstance(inputs, tuple):
        inputs = np.random.default_rng(0).standard_normal(inputs).astype("float32")
    return [np.asarray(x) for x in (inputs if isinstance(inputs, list) else [inputs])]


def _to_numpy(x):
    return np.asarray(keras.ops.convert_to_numpy(x), dtype=np.float64)


def _assert_equal(expected, actual, what):
    if not np.array_equal(_to_numpy(expected), _to_numpy(actual)):
        difference = np.abs(_to_numpy(expected) - _to_numpy(actual)).max()
        _fail(f"{what}: numbers differ by up to {difference:.2g}, expected equal ones")


def _assert_near(expected, actual, rtol, what):
    expected, actual = _to_numpy(expected), _to_numpy(actual)
    error = np.linalg.norm(actual - expected) / np.linalg.norm(expected)
    if not error <= rtol:
        _fail(f"{what}: outputs have relative error {error:.2g}, expected at most {rtol:.2g}")


def _no_exception(wrong, message):
    if wrong.any():
        _fail(message.format(*np.argwhere(wrong)[0]))


def _fail(message):
    raise AssertionError(message)
