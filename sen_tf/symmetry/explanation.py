"""An explanation of a network's symmetry: which layer keeps, approximates or breaks it, and why."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from sen_tf import groups
from sen_tf.groups import Field, FiniteGroup, GroupLike, actions
from sen_tf.symmetry import graph as graphs
from sen_tf.symmetry import moves as all_moves
from sen_tf.symmetry import reasons, rules, trial
from sen_tf.symmetry.report import LayerRecord, Report

TOLERANCES = {"bfloat16": 2e-2, "float16": 3e-3}
"""Own error of a layer that rounding explains, by the dtype that it computes in; 1e-5 in others."""
ROUNDING, BROKEN = 1e-5, 1e-4
"""Own errors up to which a layer is exact, and above which it is broken, in float32."""
MOVES = ("elements", "translation")


def explain(
    model: keras.Model,
    inputs: Any,
    group: GroupLike,
    fields: Mapping[str, Field | Sequence[Field]] | None = None,
    moves: str = "elements",
) -> Report:
    """Says of each layer whether it keeps, approximates or breaks a symmetry, why, and what to do.

    Every layer is given the *exactly transformed* outputs of the layers before it. Its own error is
    max_g |L(g h) - g L(h)| / |L(h)|; its effect is what it alone adds to f(g x) - g f(x), of which
    it is a part: the parts add up to the whole. A layer is exact up to an own error of 1e-5 and
    broken above 1e-4 (2e-2 and 4e-2 if it computes in bfloat16, 3e-3 and 6e-3 in float16); broken
    layers whose effect is below 1e-5 are harmless.

    How a tensor transforms follows from the layer: ours and those of Keras are known, one of yours
    says it by a method `output_field(field)`. Otherwise its field is unknown: its error is measured
    together with the next layer's, unless `fields` states it.

    The model runs at inference, eagerly; its weights, seeds and statistics stay as they are.

    Args:
        model: a functional or sequential Keras model that is built; models may be nested in it,
            layers shared, and inputs and outputs several.
        inputs: an array for each input, in a list, or a dict by the names of the inputs; one sample
            is enough. Images `(batch, rows, columns, channels)`, volumes `(batch, rows, columns,
            slices, channels)`, functions on the group `(batch, ..., |G|, channels)`, or invariant
            vectors `(batch, numbers)`.
        group: the group, or its name: C1, C2, C4, D1, D2 or D4 where there are pixels, these or a
            part of Oh where there are voxels, else any. A layer of a larger group commutes with it
            too.
        fields: a `groups.Field` by the name of an input or a layer, for those that rules do not
            know; a list for a layer with several outputs.
        moves: "elements" of the group; or "translation", small shifts of images or volumes, for
            which errors are per pixel or voxel (Lie derivatives): they rank layers, and convict
            none.

    Returns:
        A `Report`, which prints as a table; its `culprit` is the first layer that breaks the group.

    Raises:
        ValueError: for a model whose layers are not known; a group that does not act on its images
            or volumes, and such as are not square where quarter turns act; inputs of other shapes
            or that are not finite; and outputs that are all zero or not finite.

    Example:
        >>> print(explain(model, images, "C4"))

    Reference: Gruver et al., *The Lie derivative for measuring learned equivariance* (2022), for
    errors by layer.
    """
    measured = measure(model, inputs, group, fields or {}, moves)
    records = tuple(_record(measured, index) for index in range(len(measured.graph.steps)))
    error = max((each.error for each in measured.trials), default=0.0)
    tolerance = max(measured.tolerances, default=ROUNDING)
    return Report(model.name, measured.group.name, moves, error, tolerance, records)


@dataclasses.dataclass(frozen=True)
class Measurement:
    """All that a report is made of.

    Attributes:
        stated: the field of each tensor as rules and the user state it, or None.
        known: those under the explained group, where there are.
        reference: each tensor of the pass whose tensors are moved.
        tolerances: of each step, the own error that rounding explains.
        trials: a `trial.Trial` for each move.
    """

    graph: graphs.Graph
    group: FiniteGroup
    moves: str
    stated: dict[int, Field | None]
    known: dict[int, Field]
    reference: dict[int, np.ndarray]
    tolerances: list[float]
    trials: list[trial.Trial]


def measure(
    model: keras.Model,
    inputs: Any,
    group: GroupLike,
    fields: Mapping[str, Field | Sequence[Field]],
    moves: str,
) -> Measurement:
    """Runs a network under all moves; arguments and errors are those of `explain`."""
    group = groups.get(group)
    if moves not in MOVES:
        raise ValueError(f"Expected `moves` to be one of {MOVES}; received moves={moves!r}.")
    graph = graphs.of(model)
    stated = rules.all_fields(graph, group, fields)
    arrays = as_inputs(graph, inputs, stated, group)
    reference = graph.run(arrays)
    _check_outputs(graph, reference)
    known = restricted(stated, group, reference)
    tolerances = [_tolerance(step) for step in graph.steps]
    if moves == "elements":
        tried = all_moves.elements(group, known)
    else:
        tried = all_moves.translations(graph, known)
    trials = [trial.run(graph, reference, known, move, tolerances) for move in tried]
    return Measurement(graph, group, moves, stated, known, reference, tolerances, trials)


def as_inputs(
    graph: graphs.Graph,
    inputs: Any,
    stated: Mapping[int, Field | None],
    group: FiniteGroup,
) -> dict[int, np.ndarray]:
    """The inputs of a graph as arrays of its dtypes, by the numbers of its tensors.

    Raises:
        ValueError: for another number of arrays, shapes that do not fit or on which the group does
            not act, and numbers that are not finite.
    """
    names = [symbol.name for symbol in graph.symbols]
    if isinstance(inputs, dict) and set(inputs) == set(names):
        inputs = [inputs[name] for name in names]
    given = keras.tree.flatten(inputs) if isinstance(inputs, dict | list | tuple) else [inputs]
    if len(given) != len(names):
        raise ValueError(
            f"Expected `inputs` to hold an array for each input, {', '.join(names)}; received "
            f"{len(given)}."
        )
    arrays = {}
    for symbol, key, array in zip(graph.symbols, graph.inputs, given, strict=True):
        array = keras.ops.convert_to_numpy(keras.ops.convert_to_tensor(array, symbol.dtype))
        fits = len(array.shape) == len(symbol.shape) and all(
            size in (None, actual) for size, actual in zip(symbol.shape, array.shape, strict=True)
        )
        if not fits or not array.size:
            raise ValueError(
                f"Expected `inputs` to be of shape {tuple(symbol.shape)} for `{symbol.name}`; "
                f"received {array.shape}."
            )
        if not np.isfinite(array.astype(np.float64)).all():
            raise ValueError(
                f"Expected `inputs` to be finite; received nan or infinity for `{symbol.name}`."
            )
        arrays[key] = array
    _check_inputs(graph, arrays, restricted(stated, group, arrays), group)
    return arrays


def _check_inputs(graph, arrays, known, group):
    for symbol, key in zip(graph.symbols, graph.inputs, strict=True):
        shape, field = arrays[key].shape, known.get(key)
        if field is None:
            raise ValueError(
                f"Expected `inputs` to be square images or cubic volumes for {group}, whose "
                f"quarter turns exchange their sides; received shape {shape} for `{symbol.name}`. "
                "If these are no sides, state its field by `fields`."
            )
        if field.pixels:
            actions.kernel_indices(group, 1)  # refuses groups that do not map pixels to pixels
        if field.voxels:
            actions.space_matrices(group)  # and voxels to voxels
        if not field.fits(shape):
            raise ValueError(
                f"Expected `inputs` to be a field {field} for `{symbol.name}`; received shape "
                f"{shape}."
            )


def _check_outputs(graph, reference):
    for step in graph.steps:
        for key in step.outputs:
            if not np.isfinite(reference[key].astype(np.float64)).all():
                raise ValueError(
                    f"Expected `model` to make finite numbers of `inputs`; received nan or "
                    f"infinity from layer `{step.name}`."
                )
    if any(reference[key].any() for key in graph.outputs):
        return
    zero = next(
        (s.name for s in graph.steps if not any(reference[k].any() for k in s.outputs)), "inputs"
    )
    raise ValueError(
        "Expected `model` to have outputs that are not all zero, for errors are relative to them; "
        f"received zeros, from `{zero}` on."
    )


def restricted(
    stated: Mapping[int, Field | None], group: FiniteGroup, arrays: Mapping[int, np.ndarray]
) -> dict[int, Field]:
    """The fields under the explained group, by which arrays are transformed, where there are."""
    found = {key: _under(stated[key], group, array.shape) for key, array in arrays.items()}
    return {key: field for key, field in found.items() if field is not None}


def _under(field, group, shape):
    if field is None:
        return None
    if reasons.is_exchanged(field, group, shape):
        return None
    if (known := groups.fields.restricted(field, group)) is not None:
        return known
    # A function on another group of as many elements has been taken for one on this group.
    alike = field.representation.name == "regular" and field.dimension == group.order
    return field.replace(group=group, representation="regular") if alike else None


def _tolerance(step):
    dtype = getattr(step.layer, "compute_dtype", None) or step.dtype
    return TOLERANCES.get(dtype, ROUNDING)


def _record(measured: Measurement, index: int) -> LayerRecord:
    """The record of step number `index`."""
    step, trials, reference = measured.graph.steps[index], measured.trials, measured.reference
    tolerance, shifts = measured.tolerances[index], measured.moves == "translation"
    own = [each.own[index] for each in trials] or [0.0]
    worst = int(np.argmax(own))
    keys = (*step.inputs, *step.outputs[:1])
    shapes = tuple(reference[key].shape for key in keys)
    fields = tuple(measured.stated[key] for key in keys)
    together = _unknown_before(measured.graph, index, measured.known)
    case = reasons.Case(step, measured.group, fields, shapes, together)
    verdict, reason, fix = _verdict(case, own[worst], tolerance, shifts)
    if verdict == "exact" and _is_dead(step, reference):
        verdict, reason = "dead", "its output is the same for all inputs"
        fix = "see whether its weights are zero, or its inputs negative before a ReLU"
    return LayerRecord(
        layer=step.name,
        kind=type(step.layer).__name__,
        shape=shapes[-1][1:],
        field=repr(fields[-1]) if fields[-1] is not None else "unknown",
        verdict=verdict,
        own=own[worst],
        accumulated=max((each.accumulated[index] for each in trials), default=0.0),
        effect=_effect(measured, index, own[0]),
        move=trials[worst].move.name if trials and own[worst] > tolerance else "",
        reason=reason,
        fix=fix,
    )


def _effect(measured, index, own):
    """The largest effect of a step; nan if it is not known, or the outputs are always the same."""
    outputs = [measured.reference[key] for key in measured.graph.outputs]
    if math.isnan(own) or all(map(_is_constant, outputs)):
        return math.nan
    return max((each.effects.get(index, 0.0) for each in measured.trials), default=0.0)


def _verdict(case, own, tolerance, shifts):
    """The verdict of a step, the reason and the fix."""
    if shifts:
        return ("exact" if own <= tolerance / all_moves.SHIFT else "approximate"), "", ""
    if found := reasons.structural(case):
        return "broken", *found
    if math.isnan(own):
        return "unknown", "", ""
    if own <= tolerance:
        return "exact", "", ""
    broken = own > max(BROKEN, 2 * tolerance) and not reasons.is_relaxed(case)
    return "broken" if broken else "approximate", *reasons.measured(case)


def _unknown_before(graph, index, known):
    """The names of the steps of unknown field whose outputs a step takes, one after the other."""
    makers = {key: step for step in graph.steps for key in step.outputs}
    names: list[str] = []
    keys = list(graph.steps[index].inputs)
    while keys:
        step = makers.get(key := keys.pop())
        if step is not None and key not in known and step.name not in names:
            names.insert(0, step.name)
            keys += step.inputs
    return tuple(names)


def _is_dead(step, reference):
    """True if a step makes zeros, or the same of all samples, of inputs that are neither."""
    outputs = [reference[key] for key in step.outputs]
    inputs = [reference[key] for key in step.inputs]
    return all(map(_is_constant, outputs)) and not all(map(_is_constant, inputs))


def _is_constant(x):
    return not x.any() or (len(x) > 1 and bool((x == x[:1]).all()))
