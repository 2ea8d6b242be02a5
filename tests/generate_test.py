"""The program: shards by processes that are killed, --verify, --to_minari, old files."""

import os
import pathlib
import signal
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest

import sen_tf
from sen_tf import datasets, envs, generate, settings
from sen_tf.datasets import cache
from sen_tf.experiments import training_run, world_models
from sen_tf.training import scoring

ROOT = pathlib.Path(__file__).parents[1]
SMALL = ("--env=shapes", "--episodes=130", "--steps=3", "--seed=4", "--actions=up,left")


@pytest.fixture(scope="module")
def single(tmp_path_factory):
    """The episodes in one file, without shards."""
    path = tmp_path_factory.mktemp("single") / "set.h5"
    generate.main([*SMALL, f"--output={path}"])
    return path


def assert_same(pattern, single, **arguments):
    came, expected = (datasets.read_episodes(path, **arguments) for path in (pattern, single))
    np.testing.assert_array_equal(came.observations, expected.observations)
    np.testing.assert_array_equal(came.actions, expected.actions)


@pytest.fixture
def in_this_process(monkeypatch):
    """Makes shards in this process, one after the other."""

    def run(function, tasks, workers, title):
        for task in tasks:
            function(task)

    monkeypatch.setitem(datasets.RUNNERS, "local", run)


def times(folder):
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


def test_a_generation_goes_on_where_it_stopped(tmp_path, single, in_this_process):
    command = [*SMALL, "--shards=3", f"--output={tmp_path / 'set.h5'}"]
    generate.main(command)
    assert_same(tmp_path / "set-*.h5", single)
    before = times(tmp_path)
    first, second, third = (tmp_path / name for name in sorted(before))
    first.unlink()
    second.write_bytes(second.read_bytes()[:-1])
    with pytest.raises(datasets.DatasetError, match="not made with these settings.*--overwrite"):
        generate.main(command)
    generate.main([*command, "--overwrite"])
    assert_same(tmp_path / "set-*.h5", single)
    after = times(tmp_path)
    assert {name for name in after if after[name] == before[name]} == {third.name}
    generate.main([*command, "--seed=5", "--overwrite"])
    assert not set(times(tmp_path).items()) & set(after.items())


def test_training_and_evaluation_share_no_episode_whatever_their_seeds(tmp_path):
    environment, *_ = world_models.choose(["--env=shapes", "--preset=quick"])
    seen = {}
    for split in ("train", "evaluation"):
        for seed in range(3):
            path = tmp_path / f"{split}-{seed}.h5"
            cache.generate(environment, split, path, episodes=64, steps=2, seed=seed)
            for episode in datasets.read_episodes(path).observations:
                assert seen.setdefault(episode.tobytes(), path) == path
    assert len(seen) > 6 * 60


def test_too_many_shards(tmp_path):
    with pytest.raises(settings.UsageError, match="at most 2, the episodes, not 3"):
        generate.main(["--episodes=2", "--shards=3", f"--output={tmp_path / 'set.h5'}"])


@pytest.mark.slow
@pytest.mark.parametrize("runner", ["local", "ray"])
def test_a_worker_is_killed(tmp_path, single, runner):
    if runner == "ray":
        pytest.importorskip("ray")
    command = [sys.executable, "-m", "sen_tf.generate", *SMALL, f"--output={tmp_path / 'set.h5'}"]
    command += ["--shards=5", f"--runner={runner}", "--workers=2"]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        killed = kill_a_worker(tmp_path, process)
        said = process.communicate()[1]
    assert killed, said
    assert process.returncode == 0, said
    assert len(list(tmp_path.glob("set-*.h5"))) == 5
    assert_same(tmp_path / "set-*.h5", single)


def kill_a_worker(folder, process):
    """Kills the process that writes a file, found by the temporary file's name."""
    while process.poll() is None:
        for path in folder.glob(".set-*.tmp"):
            os.kill(int(path.name.split(".")[-2]), signal.SIGKILL)
            return True
        time.sleep(0.001)
    return False


def verify(patterns):
    with pytest.raises(SystemExit) as caught:
        generate.main([f"--verify={','.join(map(str, patterns))}"])
    return caught.value.code


def test_verify(tmp_path, single, capsys):
    assert verify([single]) == 0
    assert f"{single}: 130 episodes of shapes, checksums right\n" == capsys.readouterr().out
    damaged = tmp_path / "damaged.h5"
    content = bytearray(single.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    assert verify([tmp_path / "*.h5", single, tmp_path / "none.h5"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[0].startswith(f"Cannot use {damaged}: block ")
    assert "--env=shapes --split=train --seed=4 --episodes=130 --steps=3" in lines[0]
    assert lines[1].startswith(f"{single}: 130 episodes")
    assert lines[2].startswith(f"Cannot use {tmp_path / 'none.h5'}: there is no such file")
    assert verify([tmp_path / "none-*.h5"]) == 1


def test_training_refuses_episodes_of_another_version(single, monkeypatch):
    monkeypatch.setattr(envs.ENVS["shapes"], "version", 2)
    chosen = world_models.choose(["--env=shapes", f"--dataset={single}"])
    with pytest.raises(datasets.DatasetError, match="version 1 of 'shapes', which is now 2"):
        world_models.training_episodes(chosen)


def test_a_broken_evaluation_set_is_found_before_training(tmp_path, single):
    command = ["--env=shapes", f"--dataset={single}", f"--data_dir={tmp_path}"]
    chosen = world_models.choose([*command, "--eval_episodes=5"])
    assert len(world_models.training_episodes(chosen)) == 130
    content = single.read_bytes()
    (tmp_path / "shapes-paper-evaluation-5x10-seed4.h5").write_bytes(content[: len(content) // 2])
    with pytest.raises(datasets.DatasetError, match="5x10-seed4.h5: it cannot be read as a whole"):
        world_models.training_episodes(chosen)


def test_minari(tmp_path, single, monkeypatch, capsys):
    pytest.importorskip("minari")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    generate.main(["--env=shapes", f"--dataset={single}", "--to_minari=shapes/random-v0"])
    assert str(tmp_path / "shapes" / "random-v0") in capsys.readouterr().out
    assert_same("minari:shapes/random-v0", single)
    chosen = world_models.choose(["--env=shapes", "--dataset=minari:shapes/random-v0"])
    assert len(world_models.training_episodes(chosen)) == 130


@pytest.mark.parametrize("argument", ["--to_minari=a-v0", "--dataset=a.h5"])
def test_flags_that_belong_together(argument):
    with pytest.raises(settings.UsageError, match="--to_minari and --dataset belong together"):
        generate.main(["--env=shapes", argument])


def test_somebody_elses_file_is_never_replaced_and_no_message_says_to(tmp_path):
    path, frames = tmp_path / "mine.h5", np.zeros((5, 3, 50, 50), "float32")
    with h5py.File(path, "w") as file:
        for number in range(2):
            episode = file.create_group(f"episode_{number}")
            episode["obs"], episode["next_obs"] = frames[:-1], frames[1:]
            episode["action"] = np.zeros(4, int)
    with pytest.raises(datasets.DatasetError, match="episode_0.*expected observations") as caught:
        datasets.read_episodes(path)
    assert "--output" not in str(caught.value)
    before = path.read_bytes()
    command = ["--env=shapes", "--episodes=2", "--steps=3", f"--output={path}"]
    with pytest.raises(datasets.DatasetError, match="there already.*--overwrite"):
        generate.main(command)
    assert path.read_bytes() == before
    generate.main([*command, "--overwrite"])
    made = datasets.read_episodes(path).attrs
    generate.main(command)  # the same again takes nothing away
    assert datasets.read_episodes(path).attrs == made
    with pytest.raises(datasets.DatasetError, match="not made with these settings"):
        generate.main([*command, "--seed=2"])


def test_a_world_that_does_not_say_its_name_is_not_scored_as_ours(tmp_path):
    with h5py.File(tmp_path / "dot.h5", "w") as file:
        file["obs"] = file["next_obs"] = np.zeros((40, 1, 3, 50, 50), np.float32)
        file["action"] = np.full((40, 1), 3)
    command = ["--env=shapes", f"--dataset={tmp_path}/dot.h5"]
    with pytest.raises(datasets.DatasetError, match="does not say its env.*--trust_dataset"):
        world_models.training_episodes(world_models.choose(command))
    trusted = world_models.choose([*command, "--trust_dataset"])
    assert len(world_models.training_episodes(trusted)) == 40


def test_a_dataset_tells_the_world_that_it_is_of(tmp_path, monkeypatch):
    words = ["--env=shapes", "--sprites=symmetric", "--episodes=20", "--steps=1"]
    generate.main([*words, f"--output={tmp_path}/s.h5"])
    for more in ([], ["--env=shapes"], ["--sprites=symmetric"]):
        chosen = world_models.choose([f"--dataset={tmp_path}/s.h5", *more])
        assert chosen.environment.sprites == "symmetric"
    with pytest.raises(settings.UsageError, match="s.h5 is of --sprites=symmetric, not paper"):
        world_models.choose([f"--dataset={tmp_path}/s.h5", "--sprites=paper"])
    made = []
    monkeypatch.setattr(scoring, "evaluate", lambda latents, read, env: made.append(env))
    model = sen_tf.from_pretrained("shapes-sen")
    episodes = datasets.read_episodes(tmp_path / "s.h5")
    for dataset in (tmp_path / "s.h5", episodes):
        training_run.evaluate(model, dataset)
    expected = envs.make("shapes", sprites="symmetric")
    states = expected.sample_states(np.random.default_rng(0), 1)
    for env in made:
        np.testing.assert_array_equal(env.render_states(states), expected.render_states(states))
    assert len(made) == 2
