"""The programs, as a user runs them, on experiments of seconds."""

import importlib
import json
import re
import shutil
import sys

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from sen_tf import datasets, decode, envs, generate, settings
from sen_tf.datasets.cache import SPLITS
from sen_tf.experiments import drawing, training_run, world_models
from sen_tf.experiments.networks import Network
from sen_tf.export import __main__ as export_program
from sen_tf.training import runs

evaluate = importlib.import_module("sen_tf.evaluate")
train = importlib.import_module("sen_tf.train")

PROGRAMS = {
    "train": train,
    "generate": generate,
    "evaluate": evaluate,
    "export": export_program,
}
TINY = [
    *("--env=shapes", "--preset=quick", "--train_episodes=300", "--eval_episodes=40"),
    *("--hidden=8", "--filters=8", "--epochs=3", "--batch_size=32"),
]
SHORT = [
    *("--train_episodes=40", "--train_steps=2", "--eval_episodes=8", "--eval_steps=1"),
    *("--hidden=8", "--filters=4", "--epochs=1", "--batch_size=16", "--preset=quick"),
    "--precision=float32",
]


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """A folder with the datasets of tiny runs, and one finished run."""
    folder = tmp_path_factory.mktemp("work")
    train.main([*TINY, *places(folder, "run")])
    return folder


def places(folder, name):
    return [f"--data_dir={folder}/data", f"--output={folder}/{name}"]


def weights(path):
    return keras.models.load_model(path / runs.MODEL).get_weights()


def test_a_run_leaves_what_it_says(workplace):
    run = workplace / "run"
    summary = json.loads((run / runs.METRICS).read_text())
    for horizon in ("1", "5", "10"):
        for name in ("hits@1", "hits@5", "hits@10", "mrr"):
            assert 0 <= summary["scores"]["steps"][horizon][name] <= 1
    assert set(summary["scores"]["symmetry"]["by_element"]) == {"1", "2", "3"}
    seen = [logs["transitions"] for logs in summary["history"]]
    assert len(seen) == 3 and seen == sorted(set(seen)) and seen[-1] == summary["transitions_seen"]
    assert all(-5 < logs["val_skill"] <= 1 for logs in summary["history"])
    for picture in ("latents", "rollouts", "training"):
        assert (run / "figures" / f"{picture}.png").stat().st_size > 5000
    assert (run / "serving" / "world_model" / "1" / "saved_model.pb").exists()
    assert list((run / "logs").rglob("events.*"))
    logged = b"".join(path.read_bytes() for path in (run / "logs" / "figures").iterdir())
    assert all(picture in logged for picture in (b"latents", b"rollouts", b"training"))
    assert settings.load(run / runs.FLAGS, Network)[0].hidden == 8


@pytest.mark.parametrize("env, arm", [("teapot", "tfn"), ("reacher", "sen")])
def test_every_environment_trains(tmp_path, make_reacher, env, arm):
    if env == "reacher":
        make_reacher()  # or skips
    train.main([f"--env={env}", f"--model={arm}", *SHORT, *places(tmp_path, "run")])
    run = tmp_path / "run"
    scores = json.loads((run / runs.METRICS).read_text())["scores"]
    assert 0 <= scores["steps"]["1"]["hits@10"] <= 1
    assert 0 < scores["symmetry"]["mean"]["ee_embedding"] < 2  # of an untrained embedding
    assert ("hard_hits" in scores) == (env == "teapot")
    assert (run / "figures" / "traversals.png").exists() == (env == "teapot")
    model = keras.models.load_model(run / runs.MODEL)
    images = np.zeros((2, *model.embedding.input_shape[1:]), np.uint8)
    served = tf.saved_model.load(run / "serving" / "world_model" / "1")
    state = served.signatures["encode"](image=tf.constant(images))["state"]
    np.testing.assert_allclose(state, model.encode(images), atol=1e-4)


def test_a_finished_run_is_not_trained_again(workplace, capsys):
    before = (workplace / "run" / runs.MODEL).stat().st_mtime_ns
    train.main([*TINY, *places(workplace, "run")])
    assert "finished" in capsys.readouterr().out
    assert (workplace / "run" / runs.MODEL).stat().st_mtime_ns == before


def test_a_report_that_could_not_be_written_is_written_later(workplace, tmp_path, capsys):
    """The disk was full, or it was interrupted, after `metrics.json` was there."""
    run = shutil.copytree(workplace / "run", tmp_path / "run")
    before = (run / runs.REPORT).read_text()
    (run / runs.REPORT).unlink()
    train.main([*TINY, f"--output={run}", f"--data_dir={workplace}/data"])
    assert f"wrote\n  {run / runs.REPORT}\n" in capsys.readouterr().out
    assert (run / runs.REPORT).read_text() == before.replace(str(workplace / "run"), str(run))


@pytest.fixture
def bare(unexported, monkeypatch):
    """Leaves out what training ends with, where a test is about something else."""

    def draw_nothing(latents, read, env, directory, unseen=()):
        (directory / "figures").mkdir(exist_ok=True)  # where the curves of training go
        return []

    monkeypatch.setattr(drawing, "draw", draw_nothing)


def test_other_flags_do_not_touch_a_run(workplace):
    with pytest.raises(ValueError, match="--hidden=8, not 9"):
        train.main([*TINY, *places(workplace, "run"), "--hidden=9"])


def test_a_folder_that_is_no_run_is_left_alone(workplace):
    folder = workplace / "mine"
    folder.mkdir()
    (folder / "thesis.txt").write_text("do not overwrite")
    with pytest.raises(ValueError, match="not empty and not a run"):
        train.main([*TINY, *places(workplace, "mine")])
    assert [path.name for path in folder.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    "shape, action, expected",
    [((40, 40, 3), 3, "images are"), ((50, 50, 3), 20, "0..19"), ((50, 50, 3), 0.5, "0..19")],
)
def test_foreign_episodes_are_refused(workplace, tmp_path, shape, action, expected):
    """Files of the published format do not say their environment; their contents do."""
    with h5py.File(tmp_path / "foreign.h5", "w") as file:
        file["obs"] = np.zeros((40, 1, shape[2], *shape[:2]), np.float32)
        file["next_obs"] = np.zeros((40, 1, shape[2], *shape[:2]), np.float32)
        file["action"] = np.full((40, 1), action, np.float32)
    with pytest.raises(ValueError, match=expected):
        train.main([*TINY, f"--dataset={tmp_path}/foreign.h5", *places(tmp_path, "run")])


def test_rotations_beyond_one_are_refused(tmp_path):
    with h5py.File(tmp_path / "foreign.h5", "w") as file:
        file["obs"] = np.zeros((40, 1, 1, 64, 64), np.float32)
        file["next_obs"] = np.zeros((40, 1, 1, 64, 64), np.float32)
        file["action"] = np.full((40, 1, 3, 3), 1.5, np.float32)
    with pytest.raises(ValueError, match=r"not of shape \(3, 3\), from -1.0 to 1.0"):
        train.main(
            [
                *("--env=teapot", "--preset=quick", f"--dataset={tmp_path}/foreign.h5"),
                *places(tmp_path, "run"),
            ]
        )


def test_decode_draws_what_the_model_predicts(workplace, capsys):
    run = workplace / "run"
    decode.main([f"--run={run}", "--epochs=2", "--learning_rate=5e-3"])
    errors = re.findall(r"0\.\d+", capsys.readouterr().out.split("of 1: ")[1].splitlines()[0])
    first_frame, predicted, mean_picture = map(float, errors)
    assert max(first_frame, predicted) < 1.2 * mean_picture < 0.3  # grey is off by 0.48
    decoder = keras.models.load_model(run / "decoder.keras")
    assert decoder.output_shape == (None, 50, 50, 3)
    with Image.open(run / "figures" / "decoded.gif") as animation:
        assert animation.n_frames == 11
    assert (run / "figures" / "decoded.png").stat().st_size > 5000
    noted = json.loads((run / "decoder.json").read_text())["root_mean_square_error"]
    assert noted["first_frame"] == pytest.approx(first_frame, abs=5e-4)
    before = (run / "decoder.keras").read_bytes()
    with pytest.raises(ValueError, match="decoder.keras is there already.*--overwrite"):
        decode.main([f"--run={run}", "--epochs=1", "--learning_rate=5e-3"])
    assert (run / "decoder.keras").read_bytes() == before


def test_evaluate_gives_the_scores_of_training(workplace, capsys):
    evaluate.main([f"--run={workplace / 'run'}"])
    assert "Hits@1" in capsys.readouterr().out
    again = json.loads((workplace / "run" / runs.EVALUATION).read_text())
    first = json.loads((workplace / "run" / runs.METRICS).read_text())["scores"]
    assert again.pop("made_with") and again == first
    file = next((workplace / "data").glob("*evaluation-40x*"))
    model = workplace / "elsewhere.keras"
    shutil.copy(workplace / "run" / runs.MODEL, model)
    evaluate.main([f"--model_file={model}", "--env=shapes", f"--dataset={file}"])
    found = json.loads((workplace / runs.EVALUATION).read_text())
    made = found.pop("made_with")
    assert made["model"] == "elsewhere.keras" and found == first and "eval_episodes" not in made


def test_evaluate_says_what_would_do_nothing_and_what_does_not_fit(workplace, tmp_path):
    words = [f"--run={workplace / 'run'}", "--overwrite"]
    file = next((workplace / "data").glob("*evaluation-40x*"))
    with pytest.raises(settings.UsageError, match="--eval_episodes does nothing beside --dataset"):
        evaluate.main([*words, f"--dataset={file}", "--eval_episodes=20"])
    for images, actions in (
        (np.zeros((8, 2, 9, 9, 3)), [[0]]),
        (np.zeros((8, 2, 50, 50, 3)), [[99]]),
    ):
        np.save(tmp_path / "observations.npy", images.astype(np.uint8))
        np.save(tmp_path / "actions.npy", np.repeat(actions, 8, axis=0))
        with pytest.raises(datasets.DatasetError, match=r"its (images are|actions are not)"):
            evaluate.main([*words, f"--dataset={tmp_path}"])


def test_python_scores_episodes_whether_they_have_twins_or_not(workplace, monkeypatch):
    model = keras.models.load_model(workplace / "run" / runs.MODEL)
    file = next((workplace / "data").glob("*evaluation-40x*"))
    whole = training_run.evaluate(model, file)
    in_memory = training_run.evaluate(model, datasets.read_episodes(file))
    assert whole.pop("symmetry") and in_memory.pop("symmetry") == {}
    for row in whole["steps"].values():
        row.pop("die_model")
    assert in_memory == whole
    with pytest.raises(ValueError, match="Did you mean 'shapes'"):
        training_run.evaluate(model, file, env="shape")
    monkeypatch.delitem(envs.ENVS, "shapes")  # nobody knows what its twins are
    assert training_run.evaluate(model, file)["symmetry"] == {}


def test_evaluate_replaces_no_scores_of_other_episodes(workplace, tmp_path):
    run = shutil.copytree(workplace / "run", tmp_path / "run")
    picture = run / "figures" / "latents.png"
    before = picture.read_bytes()
    other = [f"--run={run}", "--eval_episodes=20"]
    with pytest.raises(ValueError, match="is there already and was not made.*--overwrite"):
        evaluate.main(other)
    assert picture.read_bytes() == before
    evaluate.main([*other, "--overwrite"])
    evaluate.main(other)  # now they are its own
    assert json.loads((run / runs.EVALUATION).read_text())["episodes"] == 20


def test_evaluate_replaces_no_file_of_somebody_else(workplace, tmp_path):
    shutil.copy(workplace / "run" / runs.MODEL, tmp_path / "model.keras")
    (tmp_path / runs.EVALUATION).write_text('["mine"]')
    file = next((workplace / "data").glob("*evaluation-40x*"))
    with pytest.raises(ValueError, match="is there already"):
        evaluate.main(
            [f"--model_file={tmp_path / 'model.keras'}", "--env=shapes", f"--dataset={file}"]
        )
    assert (tmp_path / runs.EVALUATION).read_text() == '["mine"]'


@pytest.mark.usefixtures("bare")
def test_saved_flags_repeat_a_run_which_is_scored_on_episodes_of_evaluation(workplace, tmp_path):
    """Whatever it was trained on: the flag `dataset` of a run is that."""
    training = next((workplace / "data").glob("*train*"))
    run, flags = tmp_path / "run", workplace / "run" / runs.FLAGS
    there = [f"--output={run}", f"--data_dir={tmp_path}"]
    train.main([f"--flagfile={flags}", f"--dataset={training}", *there])
    for a, b in zip(weights(workplace / "run"), weights(run), strict=True):
        np.testing.assert_array_equal(a, b)
    evaluate.main([f"--run={run}"])
    found = json.loads((run / runs.EVALUATION).read_text())
    summary = json.loads((run / runs.METRICS).read_text())
    assert found.pop("made_with") == summary["made_with"]
    assert found == summary["scores"] and summary["trained_on"] == str(training)


def test_exports_are_versioned(workplace, tmp_path):
    for version in ("1", "2"):
        export_program.main([f"--run={workplace / 'run'}", f"--output={tmp_path / 'encoder'}"])
        assert (tmp_path / "encoder" / version / "saved_model.pb").exists()
    assert sorted(path.name for path in (tmp_path / "encoder").iterdir()) == [
        "1",
        "2",
        "models.config",
    ]


def test_generate_writes_what_was_asked(tmp_path):
    path = tmp_path / "cubes.h5"
    generate.main(
        ["--env=cubes", "--episodes=5", "--steps=4", "--actions=up,left", f"--output={path}"]
    )
    with h5py.File(path) as file:
        assert file["observations"].shape == (5, 5, 50, 50, 3)
        assert set(np.unique(file["actions"][:] % 4)) <= {0, 3}
        assert json.loads(file.attrs["settings"])["actions"] == ["up", "left"]


@pytest.mark.usefixtures("unexported")
def test_rush_hour_trains_on_limited_headings(tmp_path):
    train.main(["--env=rush_hour", "--train_starts=up", *SHORT, *places(tmp_path, "run")])
    sets = {path.name: datasets.read_episodes(path) for path in (tmp_path / "data").iterdir()}
    training = sets["rush_hour-train-all-start-up-40x2-seed1.h5"]
    assert training.attrs["settings"]["starts"] == ["up"]
    evaluation = sets["rush_hour-evaluation-8x1-seed4.h5"]
    assert evaluation.attrs["settings"]["starts"] == []
    for episodes, limited in ((training, True), (evaluation, False)):
        # Mirrored, a triangle that heads up is itself, one that heads right is not.
        cells = episodes.observations.reshape(-1, 5, 10, 5, 10, 3)
        assert np.array_equal(cells, np.flip(cells, axis=4)) == limited
    summary = json.loads((tmp_path / "run" / runs.METRICS).read_text())
    assert 0 < summary["scores"]["symmetry"]["mean"]["ee_embedding"] < 2  # it is untrained
    assert set(summary["scores"]["symmetry"]["by_element"]) == {"1", "2", "3"}
    for picture in ("latents", "rollouts", "training"):
        assert (tmp_path / "run" / "figures" / f"{picture}.png").stat().st_size > 5000


def test_training_and_evaluation_of_one_seed_share_no_episode(tmp_path):
    frames = []
    for split in SPLITS:
        path = tmp_path / f"{split}.h5"
        generate.main(["--episodes=20", "--steps=1", f"--split={split}", f"--output={path}"])
        with h5py.File(path) as file:
            frames.append({frame.tobytes() for frame in file["observations"][:, 0]})
    assert not frames[0] & frames[1]


@pytest.mark.parametrize(
    "program, arguments, expected",
    [
        ("train", ["--env=cube"], "cubes"),
        ("train", ["--epoch=3"], "Did you mean --epochs"),
        ("train", ["--env=shapes", "--output=/proc/no/such"], "/proc/no"),
        ("train", ["--preset=quick", "--dataset=missing.h5"], "there is no such file"),
        ("generate", ["--actions=sideways", "--output=x.h5"], "up, right, down, left"),
        ("generate", ["--episodes=2", "--output=/proc/x.h5"], "/proc/x.h5"),
        ("evaluate", [], "--run=DIR"),
        ("evaluate", ["--run=nowhere"], "not a finished run"),
        ("export", ["--model_file=missing.keras"], "no such file"),
    ],
)
def test_a_wrong_command_is_one_line_and_an_exit_code(
    program, arguments, expected, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [program, *arguments])
    module = PROGRAMS[program]
    with pytest.raises(SystemExit) as stop:
        settings.run(module.main, module.__doc__)
    assert stop.value.code == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("error: ") and expected in error
    left = [path for path in tmp_path.rglob("*") if path.suffix in (".h5", ".keras", ".tmp")]
    assert left == []


def test_what_tensorflow_finds_no_room_for_is_one_line(tmp_path, monkeypatch):
    def write(*_):
        raise tf.errors.ResourceExhaustedError(None, None, "a.pb; No space left on device\nmore")

    monkeypatch.setattr(world_models, "training_episodes", write)
    with pytest.raises(OSError, match="a.pb; No space left on device$"):
        train.main([*TINY, *places(tmp_path, "run")])
