"""Training on episodes that are streamed, as users run it."""

import contextlib
import importlib
import random

import h5py
import numpy as np
import pytest
import tensorflow as tf

from sen_tf import decode
from sen_tf.datasets import Episodes, EpisodeStream, Subset
from sen_tf.distribution import devices
from sen_tf.experiments import decoding, training_run, world_models
from sen_tf.training import checkpoints, fitting, runs

train = importlib.import_module("sen_tf.train")
TINY = [
    *("--env=shapes", "--preset=quick", "--train_episodes=40", "--train_steps=5"),
    *("--eval_episodes=10", "--eval_steps=1", "--validation=0.1"),
    *("--hidden=4", "--filters=4", "--batch_size=16", "--epochs=2", "--precision=float32"),
]
EPISODE_BYTES = 6 * 50 * 50 * 3
MEMORY = 14 * EPISODE_BYTES


@pytest.fixture(autouse=True)
def small(unexported, monkeypatch):
    """Files have an episode in a block, and runs are not exported."""
    monkeypatch.setattr("sen_tf.datasets.store.CHUNK_FRAMES", 8)


def places(folder, name):
    return [f"--data_dir={folder}/data", f"--output={folder}/{name}"]


def weights(directory):
    """The arrays of the last checkpoint: weights, moments and statistics."""
    with np.load(max(directory.glob("checkpoint/*.npz"))) as arrays:
        return [arrays[name] for name in arrays]


@contextlib.contextmanager
def interrupted(monkeypatch):
    """Ctrl-C after the first epoch that is saved; gives what patches more for as long."""
    save = checkpoints.Checkpoint.on_epoch_end

    def interrupt(self, epoch, logs=None):
        save(self, epoch, logs)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints.Checkpoint, "on_epoch_end", interrupt)
        yield patch


def test_a_streamed_run_resumes_bit_equal_whatever_is_free_by_then(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(training_run, "finish", lambda *_: None)
    monkeypatch.setattr(world_models, "available_memory", lambda: 2 * MEMORY)
    train.main([*TINY, *places(tmp_path, "whole")])
    assert "streaming 0.00168 GiB of frames from 1 file, 0.000587 GiB" in capsys.readouterr().out
    with interrupted(monkeypatch), pytest.raises(KeyboardInterrupt):
        train.main([*TINY, *places(tmp_path, "parts")])
    monkeypatch.setattr(world_models, "available_memory", lambda: 2**40)
    train.main([*TINY, *places(tmp_path, "parts")])
    whole, parts = (weights(tmp_path / name) for name in ("whole", "parts"))
    assert len(whole) > 50
    for a, b in zip(whole, parts, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_streamed_run_is_decoded_within_its_memory(tmp_path, monkeypatch):
    command = [*TINY, "--epochs=1", f"--memory={MEMORY / 2**30}", *places(tmp_path, "run")]
    train.main(command)
    with pytest.raises(ValueError, match="holds a run with --memory"):
        train.main([*command, "--memory=1"])
    monkeypatch.setattr(decoding, "FRAME_BYTES", 10 * EPISODE_BYTES)
    read, sizes = EpisodeStream.read, []

    def note(self, blocks, room=0):
        frames, actions = read(self, blocks, room)
        sizes.append(frames.nbytes)
        return frames, actions

    monkeypatch.setattr(EpisodeStream, "read", note)
    decode.main([f"--run={tmp_path / 'run'}", "--epochs=1"])
    assert sizes == [10 * EPISODE_BYTES]
    assert (tmp_path / "run" / "decoder.keras").exists()


def test_damage_that_training_comes_upon_is_one_line(tmp_path, monkeypatch, capsys):
    world_models.training_episodes(world_models.choose([*TINY, *places(tmp_path, "run")[:1]]))
    (file,) = (tmp_path / "data").iterdir()
    with h5py.File(file, "a") as opened:
        opened["actions"][30, 2] ^= 1
    command = [*TINY, f"--memory={MEMORY / 2**30}", *places(tmp_path, "run")]
    monkeypatch.setattr("sys.argv", ["train", *command])
    with pytest.raises(SystemExit) as stop:
        train.run()
    error = capsys.readouterr().err
    assert stop.value.code == 2 and "Traceback" not in error
    line = error.strip().splitlines()[-1]
    assert line.startswith(f"error: Cannot use {file}: block 30 of / (episodes 30..30) does not ")
    assert not (tmp_path / "run" / runs.MODEL).exists()


@pytest.mark.parametrize(
    ("held_out", "length", "run", "batch", "replicas", "steps"),
    [
        (3, 7, 4, 64, 1, 1),  # of 21 transitions, 12 are in runs
        (3, 7, 4, 8, 1, 1),
        (5, 7, 3, 12, 2, 2),  # 30 in runs, of which a batch for both replicas holds 12
        (3, 7, 1, 64, 1, 1),
    ],
)
def test_batches_of_what_is_held_out_count_the_steps_of_runs(
    held_out, length, run, batch, replicas, steps
):
    arguments = fitting._validation(
        Strategy(replicas),
        held(held_out, length),
        fitting.Training(batch_size=batch, run_length=run),
        run,
    )
    assert arguments["validation_steps"] == steps
    used = held_out * (length // run) * run
    least = replicas * run
    size = min(batch, used // least * least)
    frames = [share["obs"].shape[0] for share in arguments["validation_data"]]
    assert sum(frames) == steps * size // run and used - steps * size < size


def test_too_little_held_out_is_one_sentence_on_what_was_given():
    said = "`validation` to hold out at least 8 transitions, 4 for each of 2 replicas; received "
    with pytest.raises(ValueError, match=f"{said}validation=0.05, which holds out 4"):
        fitting._validation(Strategy(2), held(1, 7), fitting.Training(run_length=4), 4)


def held(episodes, length):
    frames = np.zeros((episodes, length + 1, 2, 2, 1), np.uint8)
    return Subset.of_all(Episodes.from_arrays(frames, np.zeros((episodes, length), int)))


class Strategy:
    """A `tf.distribute` strategy of so many replicas on this machine."""

    def __init__(self, replicas):
        self.num_replicas_in_sync = replicas

    def distribute_datasets_from_function(self, feed):
        context = tf.distribute.InputContext(1, 0, self.num_replicas_in_sync)
        return feed(context)


def test_a_run_goes_on_in_the_precision_that_it_began_with(tmp_path, monkeypatch, capsys):
    """It was begun on a machine with a GPU."""
    trained = []

    def finish(chosen, directory, latents, *rest):
        trained.append(latents.model.dtype_policy.name)

    monkeypatch.setattr(training_run, "finish", finish)
    # Float16 is slow on a CPU: with 40 episodes this took 117 s, beside other work.
    command = [*TINY, *places(tmp_path, "moved"), "--train_episodes=12", "--filters=2"]
    command += ["--precision=auto"]
    with interrupted(monkeypatch) as patch:
        patch.setattr(devices, "has_gpu", lambda: True)
        patch.setattr("sys.argv", ["/somewhere/sweep.py"])
        with pytest.raises(KeyboardInterrupt):
            train.main(command)
        assert "interrupted; the same call resumes it" in capsys.readouterr().out
    state = random.getstate()
    train.main(command)
    assert random.getstate() == state
    assert (tmp_path / "moved" / "precision.json").read_text() == '"mixed_float16"\n'
    assert trained == ["mixed_float16"]
