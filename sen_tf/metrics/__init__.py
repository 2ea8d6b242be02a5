"""Pure functions on arrays that score latent states: ranking, equivariance, collapse."""

from sen_tf.metrics.equivariance import (
    Deviation,
    deviation,
    distance_invariance_error,
    equivariance_error,
    is_collapsed,
    spread,
)
from sen_tf.metrics.ranking import (
    Ranks,
    hard_hits,
    hits_at,
    mrr,
    rank_against,
    ranking_metrics,
    traversal_hits,
)

__all__ = [
    "Deviation",
    "Ranks",
    "deviation",
    "distance_invariance_error",
    "equivariance_error",
    "hard_hits",
    "hits_at",
    "is_collapsed",
    "mrr",
    "rank_against",
    "ranking_metrics",
    "spread",
    "traversal_hits",
]
