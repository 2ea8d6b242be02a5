"""Batches of runs of transitions, whose neighbours share a frame."""

import keras
import numpy as np
import pytest

from sen_tf.losses import ActionContrast, ContrastiveLoss, OtherSamples, Uniformity
from tests.models.trainer_test import IMAGE, small_model

LOSSES = {
    "hinge": ContrastiveLoss([OtherSamples(2)], [ActionContrast(5)]),
    "uniformity": ContrastiveLoss([Uniformity()]),
}


def runs(count=4, steps=3):
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (count, steps + 1, *IMAGE), dtype=np.uint8)
    return {"obs": frames, "action": rng.integers(0, 8, (count, steps), dtype=np.int32)}


def transitions_of(batch):
    frames, action = batch["obs"], batch["action"]
    parts = {"obs": frames[:, :-1], "action": action, "next_obs": frames[:, 1:]}
    return {name: part.reshape(-1, *part.shape[2:]) for name, part in parts.items()}


def test_states_are_those_of_the_transitions():
    model, batch = small_model(), runs()
    found, expected = model(batch), model(transitions_of(batch))
    assert set(found) == {*expected, "run"}
    for name, states in expected.items():
        np.testing.assert_allclose(found[name], states, atol=1e-6)
    run = np.array(found["run"])
    assert run.shape[:2] == (4, 4)
    np.testing.assert_array_equal(
        run[:, 1:].reshape(found["next_state"].shape), found["next_state"]
    )


def test_the_hinge_of_runs_is_that_of_their_transitions():
    model, batch = small_model(), runs()
    losses = [model.evaluate(x, batch_size=4, verbose=0)[1] for x in (batch, transitions_of(batch))]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)  # the positive part, over all batches


@pytest.mark.parametrize(
    "kind, jit_compile",
    [
        *(("hinge", True), ("uniformity", False)),
        pytest.param("uniformity", True, marks=pytest.mark.slow),
    ],
)
def test_runs_train(kind, jit_compile):
    model = small_model(loss=LOSSES[kind])
    model.compile(keras.optimizers.Adam(1e-3), model.loss, jit_compile=jit_compile)
    history = model.fit(runs(6), batch_size=2, epochs=2, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert np.isfinite(model.evaluate(runs(1), verbose=0)).all()


@pytest.mark.parametrize(
    "batch",
    [
        {**runs(), "action": np.zeros((4, 4), np.int32)},
        {**runs(), "action": np.zeros(4, np.int32)},
        {"obs": runs()["obs"][:, :1], "action": np.zeros((4, 0), np.int32)},
    ],
)
def test_actions_that_do_not_fit_a_run_are_refused(batch):
    for take in (small_model(), small_model().check):
        with pytest.raises(
            ValueError, match=r"`obs` of shape \(batch, steps \+ 1, ...\) and `action`"
        ):
            take(batch)


def test_images_and_actions_of_runs_are_looked_at():
    batch = runs()
    with pytest.raises(
        ValueError, match=r"`obs` to be images of shape .*received \(16, 8, 16, 3\)"
    ):
        small_model().check({**batch, "obs": batch["obs"][:, :, :8]})
    with pytest.raises(ValueError, match="actions"):
        small_model().fit({**batch, "action": batch["action"] + 8}, verbose=0)
