"""Runs of steps in a row, streamed from disk."""

import numpy as np
import pytest

from tests.datasets.streaming_test import open_stream, write  # noqa: F401, a fixture


@pytest.mark.parametrize("steps", [4, 5])
def test_runs_are_steps_in_a_row_of_which_each_frame_comes_once(write, steps):  # noqa: F811
    stream = open_stream(write(steps=steps))
    how = {"batch_size": 8, "seed": 1, "run": 2, "stop_epoch": 4}
    dataset, count = stream.transitions(**how)
    assert count == stream.steps_per_epoch(8, run=2) == 15
    batches = list(dataset.as_numpy_iterator())
    assert len(batches) == 4 * count
    begun = set()
    for epoch in range(4):
        seen = []
        for batch in batches[epoch * count : (epoch + 1) * count]:
            first = batch["action"][:, :1]
            np.testing.assert_array_equal(batch["action"], first + [0, 1])
            np.testing.assert_array_equal(batch["obs"][..., 0, 0, 0], first + [0, 1, 2])
            seen += batch["action"].ravel().tolist()
        assert len(set(seen)) == len(seen) == 120
        begun.add(min(seen))
    assert begun == ({0} if steps == 4 else {0, 1})
    rest, _ = stream.transitions(start_epoch=2, start_step=3, **how)
    for batch, again in zip(batches[2 * count + 3 :], rest.as_numpy_iterator(), strict=True):
        np.testing.assert_array_equal(batch["action"], again["action"])
        np.testing.assert_array_equal(batch["obs"], again["obs"])
