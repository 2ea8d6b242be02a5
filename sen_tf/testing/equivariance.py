"""Checks of groups, and of functions that should commute with one."""

import contextlib
from collections.abc import Callable
from typing import NoReturn, TypeAlias

import keras
import numpy as np
import numpy.typing as npt

from sen_tf import groups, metrics
from sen_tf.groups.actions import Action
from sen_tf.tensors import Tensor

Inputs: TypeAlias = tuple[int, ...] | np.ndarray | list[np.ndarray]
"""The shape of an array, the array itself, or a list of arrays."""

SINGLE = 10
"""Factor by which a single sample or number may be farther off than the mean over samples."""


def assert_is_group(group: groups.FiniteGroup | str | npt.ArrayLike) -> None:
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
        fail(f"expected a square table of integers from 0 to {order - 1}; received {product!r}")
    _no_exception(product[0] != np.arange(order), "identity 0 changes element {} from the left")
    _no_exception(product[:, 0] != np.arange(order), "identity 0 changes element {} from the right")
    _no_exception(~(product == 0).any(axis=1), "element {} has no inverse")
    left = product[product]  # [g, h, k] = (g h) k
    right = product[np.arange(order)[:, None, None], product]  # g (h k)
    _no_exception(left != right, "(g h) k is not g (h k) for g, h, k = {}, {}, {}")


def assert_equivariant(
    function: Callable[..., Tensor],
    inputs: Inputs,
    group: groups.GroupLike,
    act_in: Action | list[Action],
    act_out: Action,
    rtol: float = 1e-5,
) -> float:
    """Checks `function(g x) = g function(x)` for every element g.

    Args:
        function: from one or several arrays to an array; samples along the first axis of each.
        inputs: shape of an array, a tuple of integers, filled with standard normal float32 noise;
            or the array; or a list of arrays.
        group: a `FiniteGroup` or its name.
        act_in: action on an input; a list where the inputs have different ones.
        act_out: action on the output.
        rtol: largest mean |g f(x) - f(g x)| over samples that is allowed, relative to mean |f(x)|.
            A single sample, relative to its own |f(x)|, and a single number, relative to the
            largest one, may be off by ten times as much.

    A Keras layer or model, or a method of one such as `predict`, is also tried with every weight
    moved, as training will move them: weights that differ from place to place are equal when they
    are new. Afterwards they are what they were. For another function call a layer that it uses by
    itself.

    Returns:
        The largest relative error of an element.

    Raises:
        AssertionError: which element is worst, how large its error is and where it is largest. It
            is nan where the output is not finite or zero throughout, which would prove nothing.

    Example:
        >>> from sen_tf.groups import actions
        >>> assert_equivariant(np.tanh, (2, 4, 3), "C4", actions.act_on_regular,
        ...                    actions.act_on_regular)
        0.0
        >>> assert_equivariant(np.cumsum, (2,), "C2", lambda x, group, g: np.roll(x, g),
        ...                    lambda y, group, g: np.roll(y, g))
        Traceback (most recent call last):
        AssertionError: not equivariant under C2: worst is element 1 with relative error 1.1...
    """
    group = groups.get(group)
    arrays = as_arrays(inputs)
    acts = act_in if isinstance(act_in, list) else [act_in] * len(arrays)
    error = _largest_error(function, arrays, group, acts, act_out, rtol)
    layer = getattr(function, "__self__", function)
    if isinstance(layer, keras.layers.Layer) and layer.weights:
        with _moved_weights(layer):
            _largest_error(function, arrays, group, acts, act_out, rtol, " with its weights moved")
    return error


def _largest_error(function, arrays, group, acts, act_out, rtol, when=""):
    """The largest relative error of an element, or an AssertionError that says where it is."""
    outputs = to_numpy(function(*arrays))
    deviations = []
    for g in group.elements:
        moved = [
            np.ascontiguousarray(act(x, group, g), dtype=x.dtype)
            for act, x in zip(acts, arrays, strict=True)
        ]
        expected, actual = act_out(outputs, group, g), to_numpy(function(*moved))
        if expected.shape != actual.shape:
            fail(
                f"element {g} of {group} makes the output's shape {expected.shape}, but the output "
                f"of the transformed input has shape {actual.shape}"
            )
        deviations.append(metrics.deviation(expected, actual))
    sizes = [max(d.mean, d.of_sample / SINGLE, d.of_number / SINGLE) for d in deviations]
    worst = int(np.argmax(sizes))  # the first nan, if there is one
    if not sizes[worst] <= rtol:
        where = f"element {worst} with {deviations[worst]}"
        fail(f"not equivariant under {group}{when}: worst is {where}")
    return max(deviation.mean for deviation in deviations)


@contextlib.contextmanager
def _moved_weights(layer):
    """Adds noise of half its own size, or of 0.1 where that is 0, to each weight, for a while.

    Those that are not trained, such as variances, grow only: they stay positive.
    """
    rng = np.random.default_rng(0)
    weights = [weight for weight in layer.weights if keras.backend.is_float_dtype(weight.dtype)]
    before = [to_numpy(weight) for weight in weights]
    try:
        # Assigned, for a function that was traced before reads nothing but the weights themselves.
        for weight, value in zip(weights, before, strict=True):
            size = 0.5 * np.sqrt(np.mean(value**2)) or 0.1
            weight.assign(value + rng.uniform(-size if weight.trainable else 0, size, value.shape))
        yield
    finally:
        for weight, value in zip(weights, before, strict=True):
            weight.assign(value)


def as_arrays(inputs: Inputs) -> list[np.ndarray]:
    """A shape, an array or a list of arrays as a list of arrays."""
    if isinstance(inputs, tuple):
        inputs = np.random.default_rng(0).standard_normal(inputs).astype("float32")
    return [np.asarray(x) for x in (inputs if isinstance(inputs, list) else [inputs])]


def to_numpy(x: Tensor) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(x), dtype=np.float64)


def _no_exception(wrong, message):
    if wrong.any():
        fail(message.format(*np.argwhere(wrong)[0]))


def fail(message: str) -> NoReturn:
    raise AssertionError(message)
