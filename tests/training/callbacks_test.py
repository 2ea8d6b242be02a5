"""What watches a training; tests/survival_test.py trains whole runs."""

import re
import types

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from sen_tf.datasets import progress
from sen_tf.training import callbacks, checkpoints, records


def make_model(scaled=False):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.seed_generator = keras.random.SeedGenerator(0)
    optimizer = keras.optimizers.SGD(0.1)
    if scaled:
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=4.0)
    model.compile(optimizer, "mse", jit_compile=False)
    return model


def fit(model, directory, bad_batches=(), held_out=None):
    """Trains three epochs of four batches, of which some, counted from 1, are not numbers."""
    checkpoint = checkpoints.Checkpoint(directory)
    x = np.random.default_rng(0).normal(size=(12, 2, 3)).astype("float32")
    y = x[:, :, :1].copy()
    for number in bad_batches:
        y[number - 1] = np.nan
    model.fit(
        ((a, b) for a, b in zip(x, y, strict=True)),
        steps_per_epoch=4,
        epochs=3,
        callbacks=[callbacks.StopAtNonFinite(checkpoint), checkpoint],
        shuffle=False,
        verbose=0,
        validation_data=held_out,
    )
    return checkpoint


def test_training_stops_at_the_batch_whose_loss_is_no_number(tmp_path):
    with pytest.raises(FloatingPointError) as error:
        fit(make_model(), tmp_path, bad_batches=[7])
    text = str(error.value)
    for part in ("is nan in epoch 2, batch 3", "epoch-0001.npz", "--learning_rate than 0.1"):
        assert part in text
    assert "--precision=float32" in text and "\n" not in text
    assert checkpoints.Checkpoint(tmp_path).restore(make_model()) == 1


def test_weights_that_the_last_batch_spoils_are_not_saved(tmp_path):
    model = make_model()
    model.optimizer.learning_rate = 3e38
    checkpoint = checkpoints.Checkpoint(tmp_path)
    with pytest.raises(FloatingPointError, match="is not finite after epoch 1, batch 1"):
        model.fit(
            *(np.ones((2, 3)), 100 * np.ones((2, 1))),
            callbacks=[callbacks.StopAtNonFinite(checkpoint), checkpoint],
            verbose=0,
        )
    assert not (tmp_path / "checkpoint").exists()


def test_a_validation_loss_that_is_no_number_stops_training(tmp_path):
    held_out = np.full((2, 3), np.inf, np.float32), np.zeros((2, 1), np.float32)
    with pytest.raises(FloatingPointError, match="validation loss is .* after epoch 1.*none yet"):
        fit(make_model(), tmp_path, held_out=held_out)


def test_under_loss_scaling_a_step_is_skipped_and_training_goes_on(tmp_path):
    model = make_model(scaled=True)
    checkpoint = fit(model, tmp_path, bad_batches=[7])
    assert len(checkpoint.history) == 3 and np.isfinite(model.get_weights()[0]).all()
    assert checkpoints.best_epoch(checkpoint.history) != 2  # whose loss is not known


def test_training_stops_where_the_scale_of_the_loss_has_fallen_below_one(tmp_path):
    with pytest.raises(FloatingPointError, match=r"scale of the loss has fallen to 0.25 after ep"):
        fit(make_model(scaled=True), tmp_path, bad_batches=[5, 6, 7, 8])


def test_collapse_warns_once_and_not_in_the_first_epoch(capsys):
    watch = callbacks.WarnOfCollapse()
    watch.set_model(types.SimpleNamespace(loss=types.SimpleNamespace(hinge=2.0)))
    well = {"z_spread": 0.03, "z_norm": 7.0, "negative": 1.9}
    near, tied = {**well, "z_spread": 0.003}, {**well, "negative": 1.99}
    watch.on_epoch_end(0, tied)
    watch.on_epoch_end(1, well)
    assert capsys.readouterr().err == ""
    watch.on_epoch_end(2, tied)
    first = capsys.readouterr().err
    assert "collapsed to a point in epoch 3" in first and first.count("\n") == 1
    watch.on_epoch_end(3, near)
    assert capsys.readouterr().err == ""
    for logs in (near, {**well, "z_norm": 0.0, "z_spread": 0.0}):
        again = callbacks.WarnOfCollapse()
        again.set_model(watch.model)
        again.on_epoch_end(1, logs)
        assert "collapsed" in capsys.readouterr().err


def test_an_epoch_is_on_the_disk_when_it_ends(tmp_path):
    image = np.full((4, 6, 3), 7, np.uint8)
    settings = {"epochs": 2, "actions": ["up", "down"], "dataset": None}
    look = lambda: ({"error": 0.25}, {"rollouts": image})  # noqa: E731
    summaries = callbacks.EpochSummaries(tmp_path, settings, look)
    summaries.set_model(make_model())
    summaries.on_train_begin()
    for epoch, loss in enumerate([3.0, 2.0]):
        summaries.on_epoch_end(epoch, {"loss": loss, "val_loss": loss + 1})
    for part, expected in (("train", [3.0, 2.0]), ("validation", [4.0, 3.0])):
        events = EventAccumulator(str(tmp_path / part)).Reload().Tensors("epoch_loss")
        assert [event.step for event in events] == [0, 1]
        assert [tf.make_ndarray(event.tensor_proto) for event in events] == expected
    looked = EventAccumulator(str(tmp_path / "look")).Reload()
    assert [tf.make_ndarray(e.tensor_proto) for e in looked.Tensors("epoch_error")] == [0.25, 0.25]
    encoded = tf.make_ndarray(looked.Tensors("epoch_rollouts")[0].tensor_proto)[2]
    np.testing.assert_array_equal(tf.io.decode_png(encoded), image)
    about = EventAccumulator(str(tmp_path / "train")).Reload()
    (name,) = about.PluginTagToContent("hparams")
    started = HParamsPluginData.FromString(about.PluginTagToContent("hparams")[name])
    values = started.session_start_info.hparams
    assert (values["epochs"].number_value, values["dataset"].string_value) == (2, "None")


def test_a_line_per_epoch_says_what_was_learnt_and_how_long_the_rest_takes(capsys):
    lines = callbacks.EpochLines(transitions=1000)
    lines.set_params({"epochs": 2, "steps": 10})
    lines.on_train_begin()
    lines.on_epoch_begin(0)
    for batch in range(10):
        lines.on_train_batch_end(batch, {"loss": 0.2, "skill": -0.004})
    logs = {"loss": 0.1019, "val_loss": 0.13, "skill": 0.631, "val_skill": 0.61}
    lines.on_epoch_end(0, logs)
    (line,) = capsys.readouterr().out.splitlines()
    assert re.fullmatch(
        r"epoch 1/2  loss .102  val .130  skill .631/.610  \d+/s  ETA 0:00", line
    ), line


def test_a_long_epoch_has_lines_off_a_terminal(capsys, monkeypatch):
    monkeypatch.setattr(progress, "LONG", -1)
    lines = callbacks.EpochLines(transitions=1000)
    lines.set_params({"epochs": 1, "steps": 100})
    lines.on_train_begin()
    lines.on_epoch_begin(0)
    for batch in range(100):
        lines.on_train_batch_end(batch, {"loss": 0.2, "skill": 0.5})
    lines.on_epoch_end(0, {"loss": 0.2, "skill": 0.5})
    *tenths, last = capsys.readouterr().out.splitlines()
    assert len(tenths) == 9 and "30%" in tenths[2] and "\r" not in "".join(tenths)
    assert last.startswith("epoch 1/1  loss .200  skill .500")


def test_a_line_that_is_written_over_fits_the_terminal(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    lines = callbacks.EpochLines(transitions=1000)
    lines.set_params({"epochs": 1, "steps": 3})
    lines.terminal = True
    lines.on_train_begin()
    lines.on_epoch_begin(0)
    for batch in range(3):
        lines.shown = -1e9
        lines.on_train_batch_end(batch, {"loss": 0.2, "val_loss": 0.2, "skill": 0.5})
    lines.on_epoch_end(0, {"loss": 0.2, "val_loss": 0.2, "skill": 0.5})
    *over, last = re.split(r"[\r\n]", capsys.readouterr().out)[:-1]
    assert len(over) == 2 and {len(line) for line in over} == {39}
    assert last.endswith("ETA 0:00")  # whole, though it wraps


def test_numbers_and_times_are_short():
    numbers = {0.1019: ".102", -0.03: "-.030", 12.345: "12.3", 0.9996: "1.000", 1.5: "1.5"}
    assert {x: records.short(x) for x in numbers} == numbers
    assert [records.clock(s) for s in (33.4, 725, 3723)] == ["0:33", "12:05", "1:02:03"]


def test_the_table_of_epochs_goes_on_after_a_restart(tmp_path):
    """Rows of epochs before are those of the checkpoint."""
    checkpoint = checkpoints.Checkpoint(tmp_path)
    file = callbacks.HistoryFile(tmp_path / "history.csv", checkpoint)
    file.on_epoch_end(0, {"loss": 2.0})
    checkpoint.history = [{"loss": 2.0}]
    file.on_epoch_end(1, {"loss": np.float32(0.5)})
    assert (tmp_path / "history.csv").read_text().split() == ["epoch,loss", "1,2.0", "2,0.5"]


def test_epochs_of_unknown_length_are_told(capsys):
    lines = callbacks.EpochLines(transitions=1000)
    lines.set_params({"epochs": 2, "steps": None})
    lines.on_train_begin()
    lines.on_epoch_begin(1)
    lines.on_train_batch_end(0, {"loss": 0.2})
    lines.on_epoch_end(1, {"loss": 0.25})
    assert capsys.readouterr().out == "epoch 2/2  loss .250\n"


def test_epochs_without_validation_do_not_win(tmp_path):
    model, checkpoint = make_model(), checkpoints.Checkpoint(tmp_path)
    file = callbacks.HistoryFile(tmp_path / "history.csv", checkpoint)
    x = np.random.default_rng(0).normal(size=(8, 3)).astype("float32")
    validation = (x, 100 + x[:, :1])
    how = {"validation_data": validation, "validation_freq": 2, "epochs": 5, "verbose": 0}
    model.fit(x, x[:, :1], callbacks=[file, checkpoint], **how)
    validated = [epoch for epoch, row in enumerate(checkpoint.history, 1) if "val_loss" in row]
    assert validated == [2, 4] and checkpoint.load_best(model) in validated
    header, *rows = (tmp_path / "history.csv").read_text().splitlines()
    assert set(header.split(",")) == {"epoch", "loss", "val_loss"} and len(rows) == 5
