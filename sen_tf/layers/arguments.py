"""Arguments of layers: read as Keras reads them, and kept as numbers and texts that JSON has."""

import math
import numbers
import operator
from collections.abc import Sequence
from typing import Any

import keras


def integer(name: str, value: Any, least: int = 1) -> int:
    """`value`, also one of NumPy's integers, as an `int`.

    Raises:
        ValueError: For anything else, or an integer below `least`. It names the argument.
    """
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = None
    if number is None or number < least:
        raise ValueError(
            f"Expected `{name}` to be an integer of at least {least}; received {name}={value!r}."
        )
    return number


def side(name: str, value: Any, dimensions: int = 2) -> int:
    """The side of a square or cubic window, given as an integer or as all its sides.

    Raises:
        ValueError: Unless it is one positive integer, or equal ones for the two or three
            dimensions.
    """
    several = isinstance(value, list | tuple) and len(value) == dimensions
    try:
        sides = {integer(name, length) for length in (value if several else [value])}
    except ValueError:
        sides = set()
    if len(sides) != 1:
        equal = {2: "two equal ones, for windows are square", 3: "three, for windows are cubes"}
        raise ValueError(
            f"Expected `{name}` to be one positive integer, or {equal[dimensions]}; "
            f"received {value!r}."
        )
    return sides.pop()


def indices(name: str, values: Any, size: int) -> list[int]:
    """`values`, some places on an axis of `size`, as a list of `int`; or a ValueError."""
    try:
        found = [operator.index(value) for value in values]
    except TypeError:
        found = []
    if not found or not all(0 <= index < size for index in found):
        raise ValueError(
            f"Expected `{name}` to be indices in [0, {size}); received {name}={values!r}."
        )
    return found


def choice(name: str, value: Any, choices: Sequence[str]) -> str:
    """`value` in small letters, as Keras reads "SAME".

    Raises:
        ValueError: For a value that is not one of `choices`. It lists them.
    """
    chosen = value.lower() if isinstance(value, str) else value
    if not isinstance(chosen, str) or chosen not in choices:
        raise ValueError(
            f"Expected `{name}` to be {' or '.join(map(repr, choices))}; received {name}={value!r}."
        )
    return chosen


def padding(value: Any) -> str:
    """`"valid"` or `"same"`, or a ValueError."""
    return choice("padding", value, ("valid", "same"))


def data_format(value: Any) -> str:
    """`"channels_last"`, which None means too, or a ValueError."""
    value = "channels_last" if value is None else value
    return choice("data_format", value, ("channels_last",))


def boolean(name: str, value: Any) -> bool:
    """True or False, or a ValueError."""
    if not isinstance(value, bool):
        raise ValueError(f"Expected `{name}` to be True or False; received {name}={value!r}.")
    return value


def positive(name: str, value: Any) -> float:
    """A positive, finite number as a `float`, or a ValueError."""
    if not isinstance(value, numbers.Real) or not 0 < float(value) < math.inf:
        raise ValueError(f"Expected `{name}` to be positive; received {name}={value!r}.")
    return float(value)


def share(name: str, value: Any) -> float:
    """A number in [0, 1) as a `float`, or a ValueError."""
    if not isinstance(value, numbers.Real) or not 0 <= float(value) < 1:
        raise ValueError(f"Expected `{name}` to be in [0, 1); received {name}={value!r}.")
    return float(value)


def fresh(initializer: Any) -> Any:
    """A copy of an initializer that draws other numbers, where no seed was given."""
    is_keras = isinstance(initializer, keras.initializers.Initializer)
    return initializer.clone() if is_keras else initializer
