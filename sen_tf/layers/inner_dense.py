"""Dense layers inside layers of ours."""

from typing import Any

import keras


def inner_dense(*args: Any, **kwargs: Any) -> keras.layers.Dense:
    """A `keras.layers.Dense` that `Model.quantize` leaves as it is, with a warning.

    The layer around it makes it anew when it is loaded, which could not read quantized numbers.
    """
    layer = keras.layers.Dense(*args, **kwargs)
    layer.quantize = _is_not_quantized
    return layer


def _is_not_quantized(mode, **_):
    raise NotImplementedError(
        f"A dense layer inside another layer is not quantized to {mode!r}: it stays as it is."
    )
