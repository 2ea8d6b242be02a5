import numpy as np
import pytest

from sen_tf import experiments
from sen_tf.envs.maze import Maze
from sen_tf.experiments import backward_imitation
from sen_tf.experiments.backward_imitation import Imitation

QUICK = Imitation(epochs=3, length=2)


def test_a_policy_that_walks_straight_arrives_where_no_wall_stands_in_its_way():
    class Straight:
        def predict_on_batch(self, places):
            return -places / 0.05

    env = Maze("u")
    starts = np.array([[0.0, 1.2], [0.0, 0.0], [1.2, 0.9]])
    assert backward_imitation.arrives(Straight(), env, starts).tolist() == [True, False, True]


@pytest.mark.parametrize("table", ["backward-imitation", "symmetric-imitation"])
def test_every_arm_is_trained_and_scored(table, tmp_path):
    experiment = experiments.get(table)
    for arm in experiment.arms:
        found = experiment.run(arm, (QUICK,), 0, tmp_path)
        assert set(experiment.metrics) <= set(found)
        assert all(0 <= found[name] <= 100 for name in experiment.metrics)
        if arm.startswith("equivariant"):  # turned starts are as good as the others
            assert {found[f"turned_{g}"] for g in (1, 2, 3)} == {found["near"]}
