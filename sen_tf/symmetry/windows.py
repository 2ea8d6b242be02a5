"""The places of sampling windows on images and volumes: symmetric or not, and what would be."""

from typing import Any

from sen_tf.groups import FiniteGroup
from sen_tf.layers.symmetric_grid import (
    PIXELS,
    Axes,
    exchanged,
    fitting_sizes,
    is_symmetric,
    reverses,
)
from sen_tf.tensors import Shape


def asymmetry(
    layer: Any, group: FiniteGroup, shape: Shape, is_transposed: bool, axes: Axes = PIXELS
) -> tuple[str, str] | None:
    """The reason and the fix of windows that a group moves off the grid of their places; or None.

    Args:
        layer: a convolution or pooling of Keras with `strides` and `padding`.
        shape: the shape of its input.
        is_transposed: True for a transposed convolution.
        axes: `PIXELS` or `VOXELS`, which the group moves.
    """
    kernel = getattr(layer, "kernel_size", None) or getattr(layer, "pool_size", 1)
    dilation = _tuple(getattr(layer, "dilation_rate", 1), axes)
    sizes = zip(_tuple(kernel, axes), dilation, strict=True)
    spans = [(size - 1) * rate + 1 for size, rate in sizes]
    strides, padding = _tuple(layer.strides or kernel, axes), getattr(layer, "padding", "valid")
    for a, b in exchanged(group, axes):
        if (spans[a - 1], strides[a - 1]) != (spans[b - 1], strides[b - 1]):
            window, steps = " x ".join(map(str, spans)), " and ".join(map(str, strides))
            return (
                f"its window is {window} with strides {steps}",
                "use square windows" if axes == PIXELS else "use cubic windows",
            )
    for axis, what in enumerate(axes, start=1):
        if not reverses(group, axis, axes):
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
            return f"{where} leaves more on one side", _fix(size, span, stride, padding, what, axes)
    return None


def _fix(size, span, stride, padding, what, axes):
    if padding == "same" and stride == 1:
        unit = "pixels" if axes == PIXELS else "voxels"
        return f"use a window of an odd number of {unit}, or padding='valid'"
    return f"use {fitting_sizes(size, span, stride, padding)} {what}"


def _tuple(value, axes):
    return tuple(value) if isinstance(value, list | tuple) else (value,) * len(axes)
