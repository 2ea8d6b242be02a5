"""A cell of the table, with the weights of a model that is trained already."""

import json
import types

import pytest
from PIL import Image

import sen_tf
from sen_tf import experiments
from sen_tf.experiments import goal_pictures, training_run
from sen_tf.experiments.experiment import RESULT
from sen_tf.settings import UsageError


@pytest.fixture
def found(monkeypatch, tmp_path):
    """What an arm finds with the pretrained model in place of training, into the folder."""

    def run(chosen, directory):
        (directory / "figures").mkdir(parents=True)
        summary = {"transitions_seen": 1, "preset": "quick", "precision": "float32"}
        model = sen_tf.from_pretrained(f"{chosen.environment.env}-sen")
        return types.SimpleNamespace(model=model, summary=summary)

    monkeypatch.setattr(training_run, "run", run)
    experiment = experiments.get("goal-pictures")

    def find(arm, *words):
        settings = experiment.parse(["--tasks=4", "--moves=1,4", *words], *experiment.settings)
        folder = tmp_path / f"{arm}-seed1"
        result = experiment.run(arm, settings, 1, folder)
        (folder / RESULT).write_text(json.dumps({"arm": arm, "found": result}))
        return result

    return find


def test_a_cell_has_success_by_distance_and_by_what_is_needed(found, tmp_path):
    result = found("shapes-sen", "--width=2")
    assert result["success_1"] == result["success_4"] == 100
    assert result["success_needing_unseen_4"] == 100 and "error_8" not in result
    assert set(result) - set(goal_pictures.METRICS) == {
        *("transitions_seen", "preset", "precision", "predictions")
    }
    (path,) = goal_pictures.draw(tmp_path)
    with Image.open(path) as drawn:
        assert min(drawn.size) > 200
    assert (tmp_path / "shapes-sen-seed1" / "figures" / "plan_4.png").exists()


def test_rotations_have_no_board_and_are_turned_to_the_goal(found):
    result = found("teapot-sen", "--moves=1,uniform")
    assert result["success_1"] == 100 and "success_uniform" not in result


def test_distances_that_the_table_has_no_column_for_are_refused(found):
    with pytest.raises(UsageError, match="--moves of this table are of 1, 4, 8, uniform, not 2"):
        found("shapes-sen", "--moves=1,2")
