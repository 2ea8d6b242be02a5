"""Ranks of true latent states among predicted ones: Hits@k, MRR, hard hits, traversal hits.

Sample i holds a true latent state t_i and a prediction p_i of it. Its rank is the number of *other*
predictions that lie as near to t_i as p_i does: rows are true states, columns are predictions, and
0 is best.

Two readings of a tie exist. *Ties against* counts an equally near prediction as a rival, so that a
collapsed model, for which all states are one point, ranks last. *Ties for* does not count it; the
published code of Park et al. (2022) ranks this way, and gives a collapsed model 100 %.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

TIE_TOLERANCE = 1e-9  # relative difference of squared distances below which two distances are equal
HITS = (1, 5, 10)


class Ranks(NamedTuple):
    """0-based ranks, (N,) int64 each, under the two readings of a tie."""

    ties_against: np.ndarray
    ties_for: np.ndarray


def rank_against(true: npt.ArrayLike, predicted: npt.ArrayLike, block: int = 256) -> Ranks:
    """Ranks every prediction among all predictions, by Euclidean distance to the true state.

    Args:
        true: (N, ...) true latent states; trailing axes are flattened.
        predicted: (N, ...) predictions of the same shape, row i of row i.
        block: number of true states that are compared at once. Beside float64 copies of the two
            arguments, memory is `8 * block * N` bytes (20 MB at N = 10,000), so it does not grow
            with N squared.

    Returns:
        `Ranks`, in [0, N - 1].

    Raises:
        ValueError: shapes differ, there are no samples, or a value is not finite.

    Reference: Kipf, van der Pol, Welling, *Contrastive Learning of Structured World Models* (ICLR
    2020); ties as described in the module's head.
    """
    true, predicted = _as_points(true, predicted)
    count, dimension = true.shape
    true_norm = np.einsum("nd,nd->n", true, true)
    predicted_norm = np.einsum("nd,nd->n", predicted, predicted)
    own = np.einsum("nd,nd->n", true - predicted, true - predicted)
    # Distances come from |p|^2 - 2 t.p, whose rounding error this bounds: what lies within it is a
    # tie as well.
    rounding = 4 * (dimension + 4) * np.finfo(np.float64).eps
    row_slack = TIE_TOLERANCE * own + rounding * true_norm
    column_slack = rounding * predicted_norm
    columns = -2 * predicted.T
    against = np.empty(count, np.int64)
    favour = np.empty(count, np.int64)
    for start in range(0, count, block):
        rows = slice(start, start + block)
        excess = true[rows] @ columns
        excess += predicted_norm - column_slack
        excess -= (own - true_norm)[rows, None]
        against[rows] = (
            np.count_nonzero(excess <= row_slack[rows, None], axis=1) - 1
        )  # without itself
        excess += 2 * column_slack
        favour[rows] = np.count_nonzero(excess < -row_slack[rows, None], axis=1)
    return Ranks(against, favour)


def hits_at(ranks: npt.ArrayLike, k: int) -> float:
    """Fraction of 0-based ranks below `k`: how often the prediction is among the k nearest."""
    return float(np.mean(np.asarray(ranks) < k))


def mrr(ranks: npt.ArrayLike) -> float:
    """Mean reciprocal rank, mean of 1 / (rank + 1) over 0-based ranks, in (0, 1]."""
    return float(np.mean(1.0 / (np.asarray(ranks) + 1.0)))


def ranking_metrics(true: npt.ArrayLike, predicted: npt.ArrayLike) -> dict[str, float]:
    """Hits@1, 5, 10 and MRR of predicted latent states, as fractions in [0, 1].

    Args:
        true: (N, ...) true latent states.
        predicted: (N, ...) their predictions.

    Returns:
        "hits@1", "hits@5", "hits@10" and "mrr" with ties counted against the model, and the same
        names followed by "_ties_for" with ties counted in its favour, as the published code does.

    Raises:
        ValueError: see `rank_against`.
    """
    ranks = rank_against(true, predicted)
    metrics: dict[str, float] = {}
    for suffix, values in (("", ranks.ties_against), ("_ties_for", ranks.ties_for)):
        metrics |= {f"hits@{k}{suffix}": hits_at(values, k) for k in HITS}
        metrics[f"mrr{suffix}"] = mrr(values)
    return metrics


def hard_hits(true: npt.ArrayLike, predicted: npt.ArrayLike, negatives: npt.ArrayLike) -> float:
    """HH@1: how often a prediction lies nearer to its true state than to every hard negative.

    Args:
        true: (N, ...) true latent states.
        predicted: (N, ...) their predictions.
        negatives: (N, M, ...) latent states of M hard negatives of each sample: states that differ
            little from the true one.

    Returns:
        Fraction in [0, 1]; a tie counts against.

    Raises:
        ValueError: shapes do not fit, there are no samples, or a value is not finite.

    Reference: Park et al. (2022), section 5.2.
    """
    negatives = np.asarray(negatives)
    candidates = np.concatenate([np.asarray(true)[:, None], negatives], axis=1)
    return float(np.mean(_nearest(candidates, np.asarray(predicted)[:, None])[:, 0] == 0))


def traversal_hits(views: npt.ArrayLike, predicted: npt.ArrayLike) -> np.ndarray:
    """TH@1: how often the k-th step of a predicted traversal lies nearest to the k-th view.

    Args:
        views: (N, V, ...) latent states of the V views along a closed traversal, which starts at
            view 0 and comes back to it after V steps.
        predicted: (N, K, ...) predicted latent states after 1 to K steps from view 0.

    Returns:
        (K,) float64, one fraction in [0, 1] a step; a tie counts against.

    Raises:
        ValueError: see `hard_hits`.

    Reference: Park et al. (2022), section 5.2.
    """
    nearest = _nearest(np.asarray(views), np.asarray(predicted))
    steps = np.arange(1, nearest.shape[1] + 1)
    return np.mean(nearest == steps % np.shape(views)[1], axis=0)


def _nearest(candidates, predicted):
    """Index of the candidate nearest to each prediction; -1 where several are.

    `candidates` (N, V, ...) and `predicted` (N, K, ...) give integers (N, K).
    """
    if len(candidates) == 0 or len(candidates) != len(predicted):
        raise ValueError(
            "Expected candidates and predictions to be of the same samples, at least one; "
            f"received {len(candidates)} and {len(predicted)}."
        )
    if candidates.shape[2:] != predicted.shape[2:]:
        raise ValueError(
            f"Expected `predicted` to hold states of shape {candidates.shape[2:]}; "
            f"received {predicted.shape[2:]}."
        )
    if not (np.isfinite(candidates).all() and np.isfinite(predicted).all()):
        raise ValueError("Expected latent states to be finite; received NaN or infinity.")
    candidates = candidates.reshape(*candidates.shape[:2], -1).astype(np.float64)
    predicted = predicted.reshape(*predicted.shape[:2], -1).astype(np.float64)
    distance = np.square(predicted[:, :, None] - candidates[:, None]).sum(axis=-1)
    least = distance.min(axis=-1, keepdims=True)
    alone = np.count_nonzero(distance <= least * (1 + TIE_TOLERANCE), axis=-1) == 1
    return np.where(alone, distance.argmin(axis=-1), -1)


def _as_points(true: npt.ArrayLike, predicted: npt.ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Both arguments as (N, D) float64, moved together so that the true states have mean zero."""
    true, predicted = np.asarray(true), np.asarray(predicted)
    if true.shape != predicted.shape:
        raise ValueError(
            f"Expected `predicted` to have the shape of `true`, {true.shape}; received "
            f"{predicted.shape}."
        )
    if true.ndim == 0 or true.size == 0:
        raise ValueError(
            f"Expected `true` to hold at least one sample; received shape {true.shape}."
        )
    true = true.reshape(len(true), -1).astype(np.float64)
    predicted = predicted.reshape(len(predicted), -1).astype(np.float64)
    for name, points in (("true", true), ("predicted", predicted)):
        bad = np.count_nonzero(~np.isfinite(points).all(axis=1))
        if bad:
            raise ValueError(
                f"Expected `{name}` to be finite; received NaN or infinity in {bad} of "
                f"{len(points)} samples."
            )
    centre = true.mean(axis=0)
    true -= centre
    predicted -= centre
    return true, predicted
