"""What a run leaves beside its model; tests/train_test.py looks at whole runs."""

import functools
import io
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from sen_tf import settings
from sen_tf.experiments import naming, networks, world_models
from sen_tf.training import runs


def test_pictures_show_in_tensorboard(tmp_path):
    rng = np.random.default_rng(0)
    pictures = {name: rng.integers(0, 256, (7, 9, 4), np.uint8) for name in ("latents", "rollouts")}
    paths = []
    for name, picture in pictures.items():
        picture[..., 3] = 255  # opaque, as Matplotlib's
        paths.append(tmp_path / f"{name}.png")
        Image.fromarray(picture).save(paths[-1])
    runs.log_figures(tmp_path / "run", paths)
    runs.log_figures(tmp_path / "run", [paths[1]])  # drawn again: the last one counts
    events = EventAccumulator(str(tmp_path / "run" / "logs" / "figures")).Reload()
    assert sorted(events.Tags()["tensors"]) == ["latents", "rollouts"]
    for name, picture in pictures.items():
        *before, event = events.Tensors(name)
        assert len(before) == (name == "rollouts")
        width, height, png = event.tensor_proto.string_val
        assert (width, height) == (b"9", b"7")
        with Image.open(io.BytesIO(png)) as shown:
            np.testing.assert_array_equal(np.asarray(shown), picture[..., :3])


def loaded(directory):
    return world_models.Settings(*settings.load(directory / runs.FLAGS, *world_models.GROUPS))


HOLD = """
import fcntl, sys
file = open(sys.argv[1], "a+")
fcntl.flock(file, fcntl.LOCK_EX)
file.write("process 7 on elsewhere")
file.flush()
print("held", flush=True)
sys.stdin.read()
"""


def test_a_run_in_use_is_left_alone_until_its_process_ends(tmp_path):
    options = world_models.choose([])
    command = [sys.executable, "-c", HOLD, str(tmp_path / runs.LOCK)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        with (
            pytest.raises(ValueError, match="in use by process 7 on elsewhere; wait for it"),
            runs.open_run(tmp_path, *options),
        ):
            pass
        assert [path.name for path in tmp_path.iterdir()] == [runs.LOCK]
        process.kill()
    for known_before in (False, True):
        with runs.open_run(tmp_path, *options) as known:
            assert known == known_before
            with pytest.raises(ValueError, match=f"process {os.getpid()} on "):
                runs.open_run(tmp_path, *options).__enter__()
            (tmp_path / "checkpoint").mkdir(exist_ok=True)


def test_a_start_that_was_killed_early_is_taken_up(tmp_path):
    """Before the flags were whole, there is the lock and a part of them."""
    (tmp_path / runs.LOCK).write_text("process 7 on elsewhere")
    (tmp_path / ".aside-flags.cfg").write_text("--env=cub")
    options = world_models.choose([])
    with runs.open_run(tmp_path, *options) as known:
        assert not known
        assert loaded(tmp_path).environment.env == "cubes"


def test_a_refused_command_leaves_nothing_and_stands_in_nobodys_way(tmp_path):
    wrong, right = (world_models.choose([f"--epochs={n}"]) for n in (3, 4))
    with pytest.raises(OSError), runs.open_run(tmp_path / "run", *wrong):
        raise OSError("the data are not there")
    assert not list(tmp_path.iterdir())
    (tmp_path / "run").mkdir()
    with pytest.raises(OSError), runs.open_run(tmp_path / "run", *wrong):
        raise OSError("the data are not there")
    assert not list((tmp_path / "run").iterdir())  # it was there before
    settings.save(tmp_path / "run" / runs.FLAGS, *wrong)  # as a killed process leaves it
    (tmp_path / "run" / runs.LOCK).touch()
    with runs.open_run(tmp_path / "run", *right) as known:
        assert not known
        assert loaded(tmp_path / "run").training.epochs == 4


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_an_unwritable_directory_is_one_line(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(OSError, match="Permission denied"):
        runs.open_run(tmp_path, *world_models.choose([])).__enter__()
    assert not list(tmp_path.iterdir())


def test_runs_whose_flags_differ_have_different_names():
    def name(*flags):
        return naming.default_name(world_models.choose([*flags, "--preset=quick"]))

    assert name() == "cubes-sen-quick-seed1"
    assert name("--data_dir=y", "--recipe=fast") == name()
    name = functools.partial(name, "--env=cubes")  # of which a dataset is
    flags = ("--epochs=3", "--learning_rate=1e-05", "--dataset=a/b.h5", "--train_actions=up")
    assert name(flags[0]) == "cubes-sen-quick-seed1-epochs=3"
    names = {name(*some) for some in ((), *((flag,) for flag in flags), flags, flags[:3])}
    assert len(names) == 7 and all("/" not in each and len(each) <= 150 for each in names)


def test_a_model_of_an_older_version_is_refused_with_the_command_that_makes_a_new_one(tmp_path):
    """Then the model had the arguments of its loss."""
    model = networks.make_model("shapes", "sen", 8, 4)
    config = model.get_config() | {"hinge": 1.0, "sigma": 0.5, "object_axis": True}
    model.get_config = lambda: config
    model.save(tmp_path / runs.MODEL)
    settings.save(tmp_path / runs.FLAGS, *world_models.choose(["--env=shapes", "--preset=quick"]))
    (tmp_path / runs.METRICS).touch()
    command = "--env=shapes --preset=quick --recipe=fast --model=sen --seed=1"
    with pytest.raises(settings.UsageError, match=f"make a new one with: python -m .*{command}"):
        runs.open_model(tmp_path)


def test_what_somebody_wrote_into_a_folder_stays(tmp_path):
    (tmp_path / runs.FLAGS).write_text("# mine\n--env=shapes\n")
    with (
        pytest.raises(ValueError, match="not empty and not a run; choose another --output"),
        runs.open_run(tmp_path, *world_models.choose([])),
    ):
        pass
    assert [path.name for path in tmp_path.iterdir()] == [runs.FLAGS]
    assert (tmp_path / runs.FLAGS).read_text() == "# mine\n--env=shapes\n"


def test_a_run_without_scores_is_not_finished(tmp_path):
    model = tmp_path / runs.MODEL
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save(model)
    with pytest.raises(settings.UsageError, match="not a finished run: there is no .*json"):
        runs.open_model(tmp_path)
    with pytest.raises(settings.UsageError, match="not a saved world model: it is a Sequential"):
        runs.open_model(None, model)
