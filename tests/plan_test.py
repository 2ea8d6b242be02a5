"""The program: its table and files, actions between two images, and what it refuses."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

import sen_tf
from sen_tf import envs, plan, pretrained
from sen_tf.settings import UsageError
from sen_tf.training import runs


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The directory of a run of 2D Shapes, with the weights of the pretrained model."""
    directory = tmp_path_factory.mktemp("runs") / "shapes"
    sizes = {"train_episodes": 80, "eval_episodes": 8, "eval_steps": 1, "epochs": 1}
    data = directory.parent / "data"
    sen_tf.train("shapes", preset="quick", output=directory, data_dir=data, **sizes)
    weights = list(pretrained.__path__)[0] + "/shapes-sen/model.keras"
    shutil.copy(weights, directory / runs.MODEL)
    return directory


def test_it_prints_a_table_and_writes_it_and_pictures(run, capsys):
    plan.main([f"--run={run}", "--tasks=4", "--moves=1,3", "--width=2"])
    lines = capsys.readouterr().out.splitlines()
    assert "success, %" in lines[0] and "objects out of place" in lines[0]
    assert [line.split()[:2] for line in lines[1:3]] == [["1", "100.0"], ["3", "100.0"]]
    assert "that need an unseen move" in lines[2]
    made = json.loads((run / "plan.json").read_text())
    assert made["moves"]["3"]["success"] == 100 and made["made_with"]["width"] == 2
    with Image.open(run / "figures" / "plan.gif") as animation:
        assert animation.n_frames >= 4
    assert 'alt="plan"' in (run / runs.REPORT).read_text()
    with pytest.raises(ValueError, match="--overwrite replaces it"):
        plan.main([f"--run={run}", "--tasks=5", "--moves=1", "--width=2"])


@pytest.fixture
def images(tmp_path):
    """Files of an image, and of the one after action 7."""
    env = envs.make("shapes")
    start, _ = env.reset(seed=4)
    goal, *_ = env.step(7)
    for name, image in (("start", start), ("goal", goal)):
        Image.fromarray(image).save(tmp_path / f"{name}.png")
    return tmp_path


def test_it_prints_the_actions_between_two_images(run, images, capsys):
    words = [f"--run={run}", f"--goal={images}/goal.png", f"--start={images}/start.png"]
    plan.main(words)
    assert capsys.readouterr().out.split() == ["7", "(left,", "object", "2)"]
    plan.main([*words[:2], f"--start={images}/goal.png"])
    assert "the start looks like the goal already" in capsys.readouterr().out


def test_images_that_are_none_or_of_another_size_are_refused(run, images):
    start = f"--start={images}/start.png"
    with pytest.raises(UsageError, match="go together"):
        plan.main([f"--run={run}", start])
    with pytest.raises(UsageError, match="missing.png is no image that can be read"):
        plan.main([f"--run={run}", start, f"--goal={images}/missing.png"])
    Image.fromarray(np.zeros((9, 8, 3), np.uint8)).save(images / "small.png")
    with pytest.raises(UsageError, match="small.png has 9 x 8 pixels, and the model takes 50 x 50"):
        plan.main([f"--run={run}", start, f"--goal={images}/small.png"])


def test_a_model_that_sees_nothing_is_refused(run):
    model, _ = runs.open_model(run)
    for weight in model.encoder.trainable_weights:
        weight.assign(np.zeros(weight.shape))
    kept = (run / runs.MODEL).read_bytes()
    try:
        model.save(run / runs.MODEL)
        with pytest.raises(UsageError, match="no plan can be made with this model"):
            plan.main([f"--run={run}", "--overwrite"])
    finally:
        (run / runs.MODEL).write_bytes(kept)
