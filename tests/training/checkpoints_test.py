"""Checkpoints, whatever happens to them; tests/survival_test.py kills whole runs."""

import contextlib
import pathlib
import resource
import shutil

import keras
import numpy as np
import pytest
from keras import ops

from sen_tf.training import checkpoints, runs


@contextlib.contextmanager
def largest_file(size):
    """Lets no file grow beyond `size` bytes, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def make_model():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4), keras.layers.Dense(1)])
    model.seed_generator = keras.random.SeedGenerator(0)
    optimizer = keras.optimizers.LossScaleOptimizer(
        keras.optimizers.SGD(0.1, momentum=0.9), 2.0**10
    )
    model.compile(optimizer, "mse", jit_compile=False)
    return model


def train(directory, losses):
    """Trains a tiny model from its last checkpoint on, a step an epoch; its losses are given.

    Returns the model, its checkpoint, and the epochs that were done before.
    """
    model, checkpoint = make_model(), checkpoints.Checkpoint(directory)
    checkpoint.set_model(model)
    done = checkpoint.restore(model)
    for epoch in range(done, len(losses)):
        checkpoint.on_epoch_begin(epoch)
        gradients = [ops.sin(variable + epoch) for variable in model.trainable_variables]
        model.optimizer.apply(gradients, model.trainable_variables)
        checkpoint.on_epoch_end(epoch, {"loss": 9.0, "val_loss": losses[epoch]})
    return model, checkpoint, done


def state(model):
    return [np.array(variable) for variable in [*model.variables, *model.optimizer.variables]]


def assert_same(a, b):
    for x, y in zip(state(a), state(b), strict=True):
        np.testing.assert_array_equal(x, y)


def files(directory):
    return sorted(path.name for path in (directory / "checkpoint").iterdir())


def of_epochs(*epochs):
    return [f"epoch-{n:04d}.{end}" for n in epochs for end in ("json", "npz")]


LOSSES = [5.0, 1.0, 4.0, 3.0]


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    directory = tmp_path_factory.mktemp("run")
    return directory, *train(directory, LOSSES)[:2]


@pytest.fixture
def trained(original, tmp_path):
    """A copy of a run of four epochs, the model, and the checkpoint that saved it."""
    directory, model, checkpoint = original
    shutil.copytree(directory, tmp_path / "run")
    return tmp_path / "run", model, checkpoint


def test_the_last_two_epochs_and_the_best_are_kept(trained):
    directory, _, checkpoint = trained
    assert files(directory) == of_epochs(2, 3, 4)
    assert checkpoint.load_best(make_model()) == checkpoints.best_epoch(checkpoint.history) == 2
    assert checkpoint.last().name == "epoch-0004.npz"


def test_weights_optimizer_and_loss_scale_come_back(trained):
    directory, model, checkpoint = trained
    again = make_model()
    again.optimizer.build(again.trainable_variables)
    kernel = [weights.path for weights in model.variables].index(model.layers[0].kernel.path)
    assert not np.array_equal(state(again)[kernel], state(model)[kernel])
    loaded = checkpoints.Checkpoint(directory)
    assert loaded.restore(again) == 4
    assert loaded.history == checkpoint.history and len(loaded.history) == 4
    assert_same(again, model)
    assert len(state(model)) > 2 * len(model.trainable_variables)  # momenta among them


def flip(path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


DAMAGES = {
    "flipped bit": lambda weights, manifest: flip(weights, len(weights.read_bytes()) // 2),
    "cut off": lambda weights, manifest: weights.write_bytes(weights.read_bytes()[:-1]),
    "empty": lambda weights, manifest: weights.write_bytes(b""),
    "no weights": lambda weights, manifest: weights.unlink(),
    "another history": lambda weights, manifest: manifest.write_text(
        manifest.read_text().replace('"val_loss": 3.0', '"val_loss": 2.0')
    ),
    "no JSON": lambda weights, manifest: manifest.write_bytes(b"\0" * 100),
    "other JSON": lambda weights, manifest: manifest.write_text("[1, 2]"),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_newest_is_passed_over_with_a_warning(trained, damage, capsys):
    directory, model, checkpoint = trained
    damage(*(directory / "checkpoint" / name for name in reversed(of_epochs(4))))
    again, resumed, done = train(directory, LOSSES)
    assert done == 3
    warning = capsys.readouterr().err.strip().splitlines()
    assert len(warning) == 1 and "epoch-0004.npz is damaged" in warning[0]
    assert resumed.history == checkpoint.history
    assert_same(again, model)
    assert train(directory, LOSSES)[2] == 4  # mended


def test_a_damaged_best_is_replaced_by_the_next(trained, capsys):
    directory, _, _ = trained
    checkpoint = checkpoints.Checkpoint(directory)
    checkpoint.restore(make_model())
    flip(directory / "checkpoint" / "epoch-0002.npz", 1000)
    assert checkpoint.load_best(make_model()) == 4
    assert "epoch-0002.npz is damaged" in capsys.readouterr().err


def test_where_all_are_damaged_training_begins_again(trained, capsys):
    directory, model, _ = trained
    for epoch in (2, 3, 4):
        flip(directory / "checkpoint" / f"epoch-{epoch:04d}.npz", 1000)
    checkpoint = checkpoints.Checkpoint(directory)
    with pytest.raises(ValueError, match="no whole checkpoint"):
        checkpoint.load_best(make_model())
    again, _, done = train(directory, LOSSES)
    assert done == 0 and "epoch-0003.npz is damaged" in capsys.readouterr().err
    assert_same(again, model)


class Killed(BaseException):
    pass


@pytest.mark.parametrize(
    "call, number", [*(("replace", n) for n in range(2)), *(("fsync", n) for n in range(4))]
)
def test_a_stop_between_any_two_operations_loses_at_most_the_epoch(
    trained, call, number, monkeypatch
):
    """Of the files as they lie when the process ends: no clearing up is done."""
    directory, _, _ = trained
    real, count = getattr(runs.os, call), iter(range(100))

    def operate(*arguments):
        if next(count) == number:
            monkeypatch.setattr(pathlib.Path, "unlink", lambda *_, **__: None)
            raise Killed
        return real(*arguments)

    monkeypatch.setattr(runs.os, call, operate)
    losses = [*LOSSES, 0.5]
    with pytest.raises(Killed):
        train(directory, losses)
    monkeypatch.undo()
    model, checkpoint, done = train(directory, losses)
    assert done in (4, 5)
    assert {*of_epochs(4, 5)} <= {*files(directory)}
    (directory.parent / "whole").mkdir()
    whole = train(directory.parent / "whole", losses)
    assert_same(model, whole[0])
    assert checkpoint.history == whole[1].history


@pytest.mark.parametrize("size", [0, 1000])
def test_a_full_disk_is_one_line_and_damages_nothing(trained, size, capsys):
    directory, model, _ = trained
    with largest_file(size), pytest.raises(OSError, match="cannot write .*File too large") as error:
        train(directory, [*LOSSES, 0.5])
    assert "\n" not in str(error.value)
    assert files(directory) == of_epochs(2, 3, 4)
    again, _, done = train(directory, LOSSES)
    assert done == 4 and not capsys.readouterr().err
    assert_same(again, model)


@pytest.mark.parametrize("key", ["loss", "val_loss"])
def test_the_best_epoch_is_of_least_loss_and_never_one_that_is_none(key):
    rows = [{"loss": 9.0, key: value} for value in (float("nan"), 3.0, 2.0, 2.0)]
    assert checkpoints.best_epoch(rows) == 3


def test_weights_in_bfloat16_come_back(tmp_path):
    def make():
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4, dtype="bfloat16")])
        model.compile("adam", "mse", jit_compile=False)
        return model

    model = make()
    checkpoint = checkpoints.Checkpoint(tmp_path)
    x = np.random.default_rng(0).normal(size=(8, 3))
    model.fit(x, np.ones((8, 4)), callbacks=[checkpoint], verbose=0)
    again = make()
    assert checkpoints.Checkpoint(tmp_path).restore(again) == 1
    for ours, theirs in zip(again.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours.astype(float), theirs.astype(float))


@pytest.mark.parametrize("optimizer", ["adam", keras.optimizers.SGD(0.1, momentum=0.9)])
def test_weights_of_another_model_are_refused(trained, optimizer):
    """Loss scaling has variables of its own, so that another precision is another optimizer."""
    directory, _, _ = trained
    other = make_model()
    other.compile(optimizer, "mse", jit_compile=False)
    with pytest.raises(
        ValueError, match="epoch-0004.npz is of another model, optimizer or precision"
    ):
        checkpoints.Checkpoint(directory).restore(other)
