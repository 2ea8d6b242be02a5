import pathlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sen_tf.metrics import (
    hard_hits,
    hits_at,
    mrr,
    rank_against,
    ranking_metrics,
    traversal_hits,
)

VECTORS = np.load(pathlib.Path(__file__).parents[1] / "parity" / "v_metrics.npz")


@pytest.mark.parametrize("case", ["rand", "ties", "collapsed"])
def test_ties_for_equals_the_published_ranks(case):
    true, predicted = VECTORS[f"{case}/next_z"], VECTORS[f"{case}/pred_next_z"]
    np.testing.assert_array_equal(rank_against(true, predicted).ties_for, VECTORS[f"{case}/rank"])
    metrics = ranking_metrics(true, predicted)
    np.testing.assert_allclose(
        [metrics[f"hits@{k}_ties_for"] for k in (1, 5, 10)], VECTORS[f"{case}/hits_1_5_10"]
    )
    np.testing.assert_allclose(metrics["mrr_ties_for"], VECTORS[f"{case}/mrr"], rtol=1e-7)


def test_collapsed_model_ranks_last():
    metrics = ranking_metrics(VECTORS["collapsed/next_z"], VECTORS["collapsed/pred_next_z"])
    assert metrics["hits@1"] == metrics["hits@10"] == 0.0
    assert metrics["mrr"] == pytest.approx(1 / 24)
    assert metrics["hits@1_ties_for"] == 1.0


def test_five_numbers_by_hand():
    true = np.array([0.0, 1.0, 2.0, 3.0, 10.0])
    predicted = np.array([0.0, 2.0, 2.0, 1.0, 11.0])
    # Distances of the rows: [0 2 2 1 11], [1 1 1 0 10], [2 0 0 1 9], [3 1 1 2 8], [10 8 8 9 1].
    ranks = rank_against(true, predicted)
    np.testing.assert_array_equal(ranks.ties_against, [0, 3, 1, 2, 0])
    np.testing.assert_array_equal(ranks.ties_for, [0, 1, 0, 2, 0])
    assert hits_at(ranks.ties_against, 1) == pytest.approx(2 / 5)
    assert mrr(ranks.ties_against) == pytest.approx((1 + 1 / 4 + 1 / 2 + 1 / 3 + 1) / 5)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10**6), st.integers(1, 40), st.integers(1, 7), st.integers(1, 50))
def test_equals_the_definition_on_grids_with_ties(seed, count, dimension, block):
    rng = np.random.default_rng(seed)
    true = rng.integers(0, 3, (count, dimension))
    predicted = rng.integers(0, 3, (count, dimension))
    distance = ((true[:, None] - predicted[None]) ** 2).sum(-1)
    own = distance.diagonal()[:, None]
    shift = rng.normal(size=dimension) * 100  # a common shift changes no distance
    ranks = rank_against(true + shift, predicted + shift, block=block)
    np.testing.assert_array_equal(ranks.ties_against, (distance <= own).sum(1) - 1)
    np.testing.assert_array_equal(ranks.ties_for, (distance < own).sum(1))


def test_one_diverged_prediction_leaves_the_other_ranks_alone():
    rng = np.random.default_rng(0)
    true = rng.normal(size=(50, 3))
    predicted = true + 1e-3 * rng.normal(size=(50, 3))
    predicted[7] = 1e8
    ranks = rank_against(true, predicted)
    np.testing.assert_array_equal(np.delete(ranks.ties_against, 7), 0)
    np.testing.assert_array_equal(ranks.ties_for, np.where(np.arange(50) == 7, 49, 0))


@pytest.mark.parametrize(
    "true, predicted, message",
    [
        (np.zeros((3, 2)), np.zeros((4, 2)), "`predicted` to have the shape"),
        (np.zeros((0, 2)), np.zeros((0, 2)), "at least one sample"),
        (np.zeros((3, 2)), np.full((3, 2), np.nan), "`predicted` to be finite"),
    ],
)
def test_errors(true, predicted, message):
    with pytest.raises(ValueError, match=message):
        rank_against(true, predicted)


def test_hard_hits_on_five_numbers():
    true, predicted = np.array([[0.0], [0.0]]), np.array([[0.4], [0.6]])
    assert hard_hits(true, predicted, np.array([[[1.0], [9.0]]] * 2)) == 0.5
    assert hard_hits(true, predicted, np.array([[[0.8], [9.0]]] * 2)) == 0.0  # 0.4 is a tie
    collapsed = np.zeros((4, 3))
    assert hard_hits(collapsed, collapsed, np.zeros((4, 6, 3))) == 0.0


def test_a_perfect_traversal_hits_every_view_and_comes_back_to_the_first():
    angles = 2 * np.pi * np.arange(30) / 30
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=-1)[None]
    perfect = np.roll(circle, -1, axis=1)  # views 1, 2, ..., 29, 0
    np.testing.assert_array_equal(traversal_hits(circle, perfect), np.ones(30))
    np.testing.assert_array_equal(traversal_hits(circle, circle), np.zeros(30))  # one step late
    stopped = np.repeat(circle[:, 3:4], 30, axis=1)
    np.testing.assert_array_equal(traversal_hits(circle, stopped), np.arange(1, 31) == 3)


def test_hard_and_traversal_hits_name_what_does_not_fit():
    with pytest.raises(ValueError, match="same samples"):
        hard_hits(np.zeros((2, 3)), np.zeros((1, 3)), np.zeros((2, 6, 3)))
    with pytest.raises(ValueError, match=r"states of shape \(3,\)"):
        traversal_hits(np.zeros((2, 30, 3)), np.zeros((2, 5, 2)))
    with pytest.raises(ValueError, match="finite"):
        traversal_hits(np.zeros((2, 30, 3)), np.full((2, 5, 3), np.nan))
