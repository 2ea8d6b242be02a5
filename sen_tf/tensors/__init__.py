"""Names for the types of tensors, shapes and dtype policies, for signatures; nothing here runs."""

from typing import Any, TypeAlias

import keras

Tensor: TypeAlias = Any
"""Anything `keras.ops` take, and the tensor they return.

That is a tensor of the backend, eager or traced, a variable, a `keras.KerasTensor`, or an array of
NumPy. It is `Any`, for these share no class, and neither Keras nor TensorFlow declares types; the
name is for readers, whom docstrings tell the shape.
"""

Shape: TypeAlias = tuple[int | Any, ...]
"""The shape of a tensor; a size that is not known is None.

`Any` stands for that, so that code that needs a size, which layers refuse to be built without, does
not have to rule None out once more.
"""

DTypePolicy: TypeAlias = str | keras.DTypePolicy | None
"""A dtype policy, or its name, such as `"mixed_bfloat16"`; None stands for Keras' global one."""

__all__ = ["DTypePolicy", "Shape", "Tensor"]
