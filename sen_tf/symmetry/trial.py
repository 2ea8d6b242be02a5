"""A network under one move: the error of each layer by itself, so far, and at the output."""

import dataclasses
import math
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from sen_tf import metrics
from sen_tf.symmetry.graph import Graph
from sen_tf.symmetry.moves import Move
from sen_tf.tensors import Tensor

ROUNDING = 0.1
"""Share of a layer's tolerance below which its own effect on the output is not looked at."""


@dataclasses.dataclass(frozen=True)
class Trial:
    """The errors of a network under a move, by the number of the step.

    Attributes:
        own: of each layer, fed the exactly moved outputs of the layers before it.
        accumulated: of all layers up to each.
        effects: of some layers on the output, a number.
        differences: what each of these layers adds to each output: arrays that together are
            f(g x) - g f(x).
        error: of the network, the largest of its outputs.
    """

    move: Move
    own: list[float]
    accumulated: list[float]
    effects: dict[int, float]
    differences: dict[int, list[np.ndarray]]
    error: float


def run(
    graph: Graph,
    reference: Mapping[int, np.ndarray],
    known: Collection[int],
    move: Move,
    tolerances: Sequence[float],
) -> Trial:
    """Measures a move.

    Args:
        reference: all tensors of a pass of the graph.
        known: the tensors that the move acts on; others are computed from those before them, and
            their errors are part of the next layer's.
        tolerances: of each step, the own error that rounding explains.
    """
    exact = {key: move.act(key, reference[key]) for key in graph.inputs}
    so_far, own, accumulated = dict(exact), [], []
    for step in graph.steps:
        made = dict(zip(step.outputs, step.run(exact), strict=True))
        so_far.update(zip(step.outputs, step.run(so_far), strict=True))
        moved = {key: move.act(key, reference[key]) for key in step.outputs if key in known}
        own.append(_largest({key: made[key] for key in moved}, moved) / move.size)
        accumulated.append(_largest({key: so_far[key] for key in moved}, moved) / move.size)
        exact.update({**made, **moved})
    cuts = [
        index
        for index, (error, tolerance) in enumerate(zip(own, tolerances, strict=True))
        if error * move.size > ROUNDING * tolerance
    ]
    differences = _telescoped(graph, so_far, exact, cuts)
    outputs = [key for key in graph.outputs if key in known]
    effects = {
        index: max(
            (_ratio(parts[graph.outputs.index(key)], reference[key]) for key in outputs),
            default=math.nan,
        )
        / move.size
        for index, parts in differences.items()
    }
    error = _largest({key: so_far[key] for key in outputs}, {key: exact[key] for key in outputs})
    return Trial(move, own, accumulated, effects, differences, error / move.size)


def _telescoped(graph, so_far, exact, cuts):
    """The difference that each step makes to the outputs, a list of arrays.

    Where P_k are the outputs if the first k steps are replaced by their exactly moved tensors, step
    k makes P_{k-1} - P_k; all together they make P_0 - P_n. Steps whose own error is rounding are
    taken together with the next that is cut at, so that as many passes are made as there are cuts.
    """
    differences = {}
    before = [so_far[key] for key in graph.outputs]
    last = len(graph.steps) - 1
    for index in sorted({*cuts, last} if last >= 0 else ()):
        available = {**{key: exact[key] for key in graph.inputs}}
        for step in graph.steps[: index + 1]:
            available.update({key: exact[key] for key in step.outputs})
        values = graph.run(available, start=index + 1)
        after = [values[key] for key in graph.outputs]
        differences[index] = [p.astype(np.float64) - q for p, q in zip(before, after, strict=True)]
        before = after
    return differences


def _largest(made: Mapping[int, Tensor], moved: Mapping[int, Tensor]) -> float:
    """The largest relative error of some tensors; nan if there are none."""
    return max((relative_error(moved[key], made[key]) for key in moved), default=math.nan)


def relative_error(expected: np.ndarray, actual: np.ndarray) -> float:
    """`metrics.equivariance_error`; of zeros 0 if they stay zeros, else infinite."""
    if expected.shape != actual.shape:
        return math.inf
    expected, actual = expected.astype(np.float64), actual.astype(np.float64)
    if not expected.any():
        return math.inf if actual.any() else 0.0
    return metrics.equivariance_error(expected, actual)


def _ratio(difference: np.ndarray, output: np.ndarray) -> float:
    size = np.linalg.norm(output.astype(np.float64))
    return float(np.linalg.norm(difference) / size) if size else 0.0
