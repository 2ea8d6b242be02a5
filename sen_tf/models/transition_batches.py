"""Batches of transitions: what a world model takes, checked where they come in.

Transitions are a dict of `obs`, `action` and `next_obs`. Runs of them, whose neighbours share a
frame that is encoded once, are a dict of `obs`, `(batch, steps + 1, ...)`, and `action`, `(batch,
steps, ...)`, alone.
"""

import inspect
import itertools
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from sen_tf.groups import FiniteGroup
from sen_tf.layers import OneHotActions
from sen_tf.layers.inputs import fit, numbers_in
from sen_tf.tensors import Shape, Tensor

KEYS = ("obs", "action", "next_obs")
BRIGHTEST = 1.5
"""A float image may go above 1 where it was sharpened or resized; in 0..255 it goes far beyond."""


def in_runs(x: dict[str, Tensor]) -> bool:
    """True for a batch of runs of transitions."""
    return "next_obs" not in x and len(getattr(x.get("obs"), "shape", ())) == 5


def frames_of(x: dict[str, Tensor], expected: Shape) -> Tensor:
    """All images of a batch, each once, `(images, ...)`; see `images_of` for `expected`."""
    if in_runs(x):
        return images_of(_joined(x["obs"]), expected)
    return ops.concatenate([images_of(x[key], expected) for key in ("obs", "next_obs")], axis=0)


def first_frames(x: dict[str, Tensor], expected: Shape) -> Tensor:
    """The images before each transition of a batch, `(batch, ...)`."""
    return images_of(_joined(x["obs"][:, :-1]) if in_runs(x) else x["obs"], expected)


def actions_of(x: dict[str, Tensor]) -> Tensor:
    """The action of each transition of a batch, `(batch, ...)`."""
    return _joined(x["action"]) if in_runs(x) else x["action"]


def states_of(x: dict[str, Tensor], states: Tensor) -> dict[str, Tensor]:
    """The states before and after each transition, of those of `frames_of`.

    Returns:
        Dict of `state` and `next_state`, `(batch, ...)`, and of a batch of runs also `run`, `(runs,
        steps + 1, ...)`.
    """
    if not in_runs(x):
        return dict(zip(("state", "next_state"), ops.split(states, 2, axis=0), strict=True))
    sizes = ops.shape(x["obs"])[:2]
    run = ops.reshape(states, (*sizes, *states.shape[1:]))
    return {"state": _joined(run[:, :-1]), "next_state": _joined(run[:, 1:]), "run": run}


def _joined(x):
    """An array `(runs, times, ...)` as `(runs * times, ...)`."""
    return ops.reshape(x, (ops.shape(x)[0] * x.shape[1], *x.shape[2:]))


def check_keys(x: Any) -> None:
    """Raises a ValueError unless `x` is a dict of the parts of transitions, or of runs of them."""
    keys = ("obs", "action") if isinstance(x, dict) and in_runs(x) else KEYS
    missing = [key for key in keys if key not in x] if isinstance(x, dict) else KEYS
    if missing:
        got = f"a dict of {sorted(x)}" if isinstance(x, dict) else f"a {type(x).__name__}"
        raise ValueError(
            f"Expected transitions to be a dict of `obs`, `action` and `next_obs`; received {got}."
        )
    plain = [key for key in keys if not hasattr(x[key], "dtype")]
    if plain:
        raise ValueError(
            f"Expected `{plain[0]}` to be an array; received a {type(x[plain[0]]).__name__}."
        )
    if in_runs(x):
        steps = x["obs"].shape[1] - 1
        if steps < 1 or len(x["action"].shape) < 2 or x["action"].shape[1] != steps:
            raise ValueError(
                "Expected runs to have `obs` of shape (batch, steps + 1, ...) and `action` of "
                f"shape (batch, steps, ...), of 1 step at least; received {tuple(x['obs'].shape)} "
                f"and {tuple(x['action'].shape)}."
            )
        return
    dtypes = [keras.backend.standardize_dtype(x[key].dtype) for key in ("obs", "next_obs")]
    if len(set(dtypes)) > 1:
        raise ValueError(
            "Expected `obs` and `next_obs` to have one dtype, for it says whether they are in "
            f"0..255 or in [0, 1]; received {' and '.join(dtypes)}."
        )


def images_of(obs: Tensor, expected: Shape) -> Tensor:
    """Images as a tensor of the shape `expected`, whose first size, the batch, may be any.

    Unknown sizes are taken from it.

    Raises:
        ValueError: For other sizes, integers of more than 8 bits or out of 0..255, and floats above
            `BRIGHTEST`. Numbers are looked at outside of traced functions alone.
    """
    given = getattr(obs, "dtype", None)  # PyTorch has integers of other widths instead
    obs = ops.convert_to_tensor(obs)
    dtype = keras.backend.standardize_dtype(obs.dtype if given is None else given)
    shape = tuple(obs.shape) if getattr(obs.shape, "rank", 0) is not None else None
    sizes = {axis: size for axis, size in enumerate(expected) if axis and size is not None}
    known = shape is None or len(shape) == len(expected)
    if not known or any(shape and shape[k] not in (None, size) for k, size in sizes.items()):
        raise ValueError(
            f"Expected `obs` to be images of shape (batch, {', '.join(map(str, expected[1:]))}), "
            f"as the embedding expects; received {shape}."
        )
    if dtype in ("bool", "uint16", "uint32", "uint64"):
        raise ValueError(
            "Expected `obs` to be integers in 0..255 or floats in [0, 1]; received images of "
            f"dtype {dtype}."
        )
    numbers = None if dtype == "uint8" else numbers_in(obs)
    if numbers is not None and numbers.size:
        _check_range(numbers, keras.backend.is_float_dtype(dtype))
    return fit(obs, "`obs`", sizes)


def _check_range(numbers, floats):
    least, most = float(numbers.min()), float(numbers.max())
    if floats and BRIGHTEST < most < float("inf"):
        raise ValueError(
            f"Expected float images to be in [0, 1]; received numbers up to {most:.4g}. Divide by "
            "255, or pass integers, which are taken to be in 0..255."
        )
    if not floats and not 0 <= least <= most <= 255:
        raise ValueError(
            f"Expected integer images to be in 0..255; received {least:.0f} to {most:.0f}."
        )


def check_actions(actions: Tensor, transition: keras.Model) -> None:
    """Raises a ValueError for actions out of the range, or of another shape, than it takes."""
    actions = np.asarray(ops.convert_to_numpy(actions))
    expected = getattr(transition, "input_shape", None)
    if isinstance(expected, list) and actions.shape[1:] != tuple(expected[1][1:]):
        each = ", ".join(map(str, expected[1][1:]))
        raise ValueError(
            f"Expected `action` to be of shape (batch, {each}); received {actions.shape}."
        )
    for layer in transition._flatten_layers():
        if isinstance(layer, OneHotActions):
            layer.check_numbers(actions)


def check_transitions(x: Any, model: keras.Model) -> None:
    """Raises a ValueError for a batch of transitions that a world model cannot be trained on."""
    check_keys(x)
    frames_of(x, model.image_shape)
    check_actions(actions_of(x), model.transition)


def looked_at(x: Any, batch_size: int | None, look: Callable[[Any], object]) -> Any:
    """`x`, whose first batch `look` was called with: arrays, a pipeline, or a generator.

    Of arrays all actions are looked at. Datasets of other kinds are taken as they are.
    """
    if isinstance(x, dict):
        counts = {key: len(value) for key, value in x.items()}
        if len({*counts.values()}) > 1:
            raise ValueError(f"Expected as many of each of the arrays; received {counts}.")
        rows = slice(batch_size or 32)
        look({key: value if key == "action" else value[rows] for key, value in x.items()})
        return x
    if inspect.isgenerator(x):
        first = list(itertools.islice(x, 1))
        # Keras asks generators for tuples.
        batches = itertools.chain(first, x)
        x = (batch if isinstance(batch, tuple) else (batch,) for batch in batches)
    elif isinstance(x, keras.utils.PyDataset):
        first = [x[0]]
    elif hasattr(x, "take") and hasattr(x, "element_spec"):  # a tf.data.Dataset
        first = list(x.take(1))
    else:
        first = []
    for batch in first:
        look(keras.utils.unpack_x_y_sample_weight(batch)[0])
    return x


def check_parts(embedding: keras.Model, encoder: keras.Model, transition: keras.Model) -> None:
    """Raises a ValueError where the parts of a world model do not fit each other.

    What a part does not say of itself, such as a subclass of `keras.Model`, is not checked.
    """
    features, states = _shape(embedding, "output_shape"), _shape(encoder, "output_shape")
    _same("encoder", "features", _shape(encoder, "input_shape"), "embedding", features)
    inputs = _shape(transition, "input_shape")
    if inputs is not None and not isinstance(inputs, list):
        raise ValueError(
            f"`transition` must take a state and an action; received one input {inputs}."
        )
    taken = None if inputs is None else inputs[0]
    _same("transition", "states", taken, "encoder", states)
    changes = _shape(transition, "output_shape")
    _same("transition", "states", taken, "transition", changes)
    groups = [
        {layer.group for layer in part._flatten_layers() if _acts(layer)}
        for part in (encoder, transition)
    ]
    if all(groups) and groups[0].isdisjoint(groups[1]):
        ours, theirs = (", ".join(sorted(map(str, group))) for group in groups)
        raise ValueError(
            f"`encoder` makes states on which {ours} acts, but `transition` commutes with {theirs}."
        )


def _shape(part, name):
    """The input or output shape that a model states, or None."""
    return getattr(part, name, None) if getattr(part, "built", False) else None


def _same(taker, what, taken, maker, made):
    if taken is None or made is None:
        return
    fits = len(taken) == len(made)
    if not fits or any(None not in (a, b) and a != b for a, b in zip(taken, made, strict=True)):
        raise ValueError(
            f"`{taker}` takes {what} of shape {tuple(taken)}, but `{maker}` makes {tuple(made)}."
        )


def _acts(layer):
    group = getattr(layer, "group", None)
    return isinstance(group, FiniteGroup) and group.order > 1
