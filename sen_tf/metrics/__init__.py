"""Pure functions on arrays that score latent states: ranking, equivariance, collapse."""

from sen_tf.metrics.equivariance import (
    distance_invariance_error,
    equivariance_error,
    is_collapsed,
    spread,
)
from sen_tf.metrics.ranking import Ranks, hits_at, mrr, rank_against, ranking_metrics

__all__ = [
    "Ranks",
    "distance_invariance_error",
    "equivariance_error",
    "hits_at",
    "is_collapsed",
    "mrr",
    "rank_against",
    "ranking_metrics",
    "spread",
]
