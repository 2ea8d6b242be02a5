"""The places of sampling windows on images: symmetric or not, and what sizes would be."""

from typing import Any

from sen_tf.groups import FiniteGroup, finite
from sen_tf.layers.symmetric_grid import fitting_sizes, is_symmetric, reverses
from sen_tf.tensors import Shape


def asymmetry(
    layer: Any, group: FiniteGroup, shape: Shape, is_transposed: bool
) -> tuple[str, str] | None:
    """The reason and the fix of windows that a group moves off the grid of their places; or None.

    Args:
        layer: a convolution or pooling of Keras with `strides` and `padding`.
        shape: the shape of its input.
        is_transposed: True for a transposed convolution.
    """
    kernel = getattr(layer, "kernel_size", None) or getattr(layer, "pool_size", (1, 1))
    dilation = _pair(getattr(layer, "dilation_rate", 1))
    spans = [(size - 1) * rate + 1 for size, rate in zip(_pair(kernel), dilation, strict=True)]
    strides, padding = _pair(layer.strides or kernel), getattr(layer, "padding", "valid")
    if finite.family(group)[1] == 4 and (spans[0] != spans[1] or strides[0] != strides[1]):
        return (
            f"its window is {spans[0]} x {spans[1]} with strides {strides[0]} and {strides[1]}",
            "use square windows",
        )
    for axis, what in ((1, "rows"), (2, "columns")):
        if not reverses(group, axis):
            continue
        span, stride, size = spans[axis - 1], strides[axis - 1], shape[axis]
        if is_transposed:
            if padding == "same" and (span - stride) % 2:
                return (
                    f"of a window of {span} with stride {stride} padding='same' cuts more on one "
                    "side",
                    "use padding='valid', or a window and a stride that are both even or both odd",
                )
        elif not is_symmetric(size, span, stride, padding):
            where = f"stride {stride}, window {span} on {size} {what}"
            return f"{where} leaves more on one side", _fix(size, span, stride, padding, what)
    return None


def _fix(size, span, stride, padding, what):
    if padding == "same" and stride == 1:
        return "use a window of an odd number of pixels, or padding='valid'"
    return f"use {fitting_sizes(size, span, stride, padding)} {what}"


def _pair(value):
    return tuple(value) if isinstance(value, list | tuple) else (value, value)
