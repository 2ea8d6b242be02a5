"""Pure functions on arrays: scores of latent states, and the symmetry of decision processes."""

from sen_tf.metrics.equivariance import (
    Deviation,
    deviation,
    distance_invariance_error,
    equivariance_error,
    is_collapsed,
    spread,
)
from sen_tf.metrics.mdp_symmetry import MdpSymmetry, mdp_symmetry, optimal_values
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
    "MdpSymmetry",
    "Ranks",
    "deviation",
    "distance_invariance_error",
    "equivariance_error",
    "hard_hits",
    "hits_at",
    "is_collapsed",
    "mdp_symmetry",
    "mrr",
    "optimal_values",
    "rank_against",
    "ranking_metrics",
    "spread",
    "traversal_hits",
]
