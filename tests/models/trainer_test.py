"""A world model heeds what Keras' trainer heeds, or refuses it; and what a batch may be."""

import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf

from sen_tf import layers
from sen_tf.losses import (
    ActionContrast,
    ContrastiveLoss,
    OtherSamples,
    SameEpisode,
    Uniformity,
)
from sen_tf.models import ContrastiveWorldModel, encoders, transitions

IMAGE = (16, 16, 3)


def small_embedding(**arguments):
    convolution = keras.layers.Conv2D(2, 3, padding="same", activation="sigmoid", **arguments)
    return keras.Sequential([keras.Input(IMAGE), convolution])


def small_encoder(**arguments):
    return encoders.object_encoder("C4", (16, 16, 2), hidden=(8,), **arguments)


def small_model(embedding=None, loss=None, **arguments):
    transition = transitions.object_transition("C4", 2, hidden=8, moves=transitions.MOVES_CLOCKWISE)
    model = ContrastiveWorldModel(
        embedding or small_embedding(), small_encoder(), transition, **arguments
    )
    model.compile(keras.optimizers.SGD(1e-3), loss, jit_compile=False)
    return model


def varied_loss():
    """A loss with kinds of negatives and a term that paper's has not."""
    return ContrastiveLoss([OtherSamples(2), SameEpisode(), Uniformity()], [ActionContrast(5)])


def data(count):
    frames = np.random.default_rng(0).integers(0, 256, (count + 1, *IMAGE), dtype=np.uint8)
    action = np.arange(count, dtype=np.int32) % 8
    return {"obs": frames[:-1], "action": action, "next_obs": frames[1:]}


def endless():
    while True:
        yield data(8)


ONES, PAIR = np.ones(16), (data(8), np.ones(8))
REFUSED = {
    "compile": {
        "loss": "mse",
        "loss_weights": [1.0],
        "metrics": ["mae"],
        "weighted_metrics": ["mae"],
    },
    "fit": {
        "y": ONES,
        "class_weight": {0: 2.0},
        "sample_weight": ONES,
        "validation_data": PAIR,
    },
    "evaluate": {"y": ONES, "sample_weight": ONES},
    "predict": {},
}
HEEDED = {
    "compile": {
        "optimizer": lambda m: isinstance(m.optimizer.inner_optimizer, keras.optimizers.Adam),
        "run_eagerly": lambda m: m.run_eagerly,
        "steps_per_execution": lambda m: m.steps_per_execution == 2,
        "jit_compile": lambda m: m.jit_compile,
        "auto_scale_loss": lambda m: (
            not isinstance(m.optimizer, keras.optimizers.LossScaleOptimizer)
        ),
    },
    "fit": {
        "x": lambda h, m: h.epoch == [0],
        "batch_size": lambda h, m: int(m.optimizer.iterations) == 4,
        "epochs": lambda h, m: h.epoch == [0, 1, 2],
        "verbose": lambda h, m: h.params["verbose"] == 2,
        "callbacks": lambda h, m: m.stop_training,
        "validation_split": lambda h, m: "val_loss" in h.history,
        "validation_data": lambda h, m: "val_loss" in h.history,
        "shuffle": lambda h, m: h.epoch == [0],
        "initial_epoch": lambda h, m: h.epoch == [],
        "steps_per_epoch": lambda h, m: int(m.optimizer.iterations) == 1,
        "validation_steps": lambda h, m: "val_loss" in h.history,
        "validation_batch_size": lambda h, m: "val_loss" in h.history,
        "validation_freq": lambda h, m: len(h.history["val_loss"]) == 1,
    },
}
VALUES = {
    "compile": {
        "optimizer": "adam",
        "run_eagerly": True,
        "steps_per_execution": 2,
        "jit_compile": True,
        "auto_scale_loss": False,
    },
    "fit": {
        "x": {},
        "batch_size": {"batch_size": 4},
        "epochs": {"epochs": 3},
        "verbose": {"verbose": 2},
        "callbacks": {"callbacks": [keras.callbacks.TerminateOnNaN()]},
        "validation_split": {"validation_split": 0.5},
        "validation_data": {"validation_data": data(3)},
        "shuffle": {"shuffle": False},
        "initial_epoch": {"initial_epoch": 1},
        "steps_per_epoch": {"steps_per_epoch": 1},
        "validation_steps": {"validation_data": data(9), "validation_steps": 1},
        "validation_batch_size": {"validation_data": data(9), "validation_batch_size": 2},
        "validation_freq": {"validation_data": data(3), "epochs": 2, "validation_freq": 2},
    },
}


class Stops(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        self.model.stop_training = True


@pytest.mark.parametrize(
    "method, name", [(m, name) for m, names in REFUSED.items() for name in names]
)
def test_what_would_not_be_heeded_is_refused(method, name):
    arguments = {name: REFUSED[method][name]}
    if method != "compile":
        arguments["x"] = data(16)
    with pytest.raises(ValueError, match=f"`{name}.*(cannot be given|to be a C)"):
        getattr(small_model(), method)(**arguments)


@pytest.mark.parametrize("name", HEEDED["compile"])
def test_other_arguments_of_compile_are_heeded(name):
    model = small_model(dtype="mixed_float16")
    model.compile(**{"optimizer": "sgd", name: VALUES["compile"][name]})
    assert HEEDED["compile"][name](model)


@pytest.mark.parametrize("name", HEEDED["fit"])
def test_other_arguments_of_fit_are_heeded(name):
    model = small_model()
    arguments = {"batch_size": 8, "verbose": 0, **VALUES["fit"][name]}
    if name == "callbacks":
        arguments["callbacks"] = [Stops()]
    history = model.fit(data(16), **arguments)
    assert HEEDED["fit"][name](history, model)


def test_evaluate_and_predict_heed_theirs():
    model, seen = small_model(), []
    callback = keras.callbacks.LambdaCallback()
    callback.on_test_batch_end = callback.on_predict_batch_end = lambda *a, **k: seen.append(a)
    scores = model.evaluate(
        data(9), batch_size=2, steps=3, verbose=0, callbacks=[callback], return_dict=True
    )
    assert set(scores) == {metric.name for metric in model.metrics} and len(seen) == 3
    assert len(model.evaluate(data(9), verbose=0)) == len(scores)
    found = model.predict(data(9), batch_size=2, steps=2, verbose=0, callbacks=[callback])
    assert len(found["state"]) == 4 and len(seen) == 5


def test_no_argument_of_keras_is_left_out_of_this_table():
    for method in ("compile", "fit"):
        names = set(inspect.signature(getattr(keras.Model, method)).parameters) - {"self"}
        assert names == {*HEEDED[method], *REFUSED[method]}
    for method, others in {
        "evaluate": {"x", "batch_size", "verbose", "steps", "callbacks", "return_dict"},
        "predict": {"x", "batch_size", "verbose", "steps", "callbacks"},
    }.items():
        names = set(inspect.signature(getattr(keras.Model, method)).parameters)
        assert names - {"self", "kwargs"} == {*others, *REFUSED[method]}


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("kind", ["kernel", "bias"])
def test_a_regularizer_shrinks_its_weights(kind, jit_compile):
    embedding = small_embedding(
        **{f"{kind}_regularizer": keras.regularizers.L2(100.0)}, bias_initializer="ones"
    )
    model = small_model(embedding)
    model.compile(keras.optimizers.SGD(1e-3), jit_compile=jit_compile)
    weight = getattr(embedding.layers[0], kind)
    before = np.linalg.norm(weight)
    model.fit(data(64), batch_size=16, epochs=5, verbose=0)
    assert np.linalg.norm(weight) < 0.1 * before


def test_an_activity_regularizer_of_any_part_is_descended_once():
    """The loss is the contrastive one and the means over samples, also while actions contrast."""
    batch, found, weights = data(8), [], None
    for share in (0.0, 1.0):
        model = small_model(small_embedding(activity_regularizer=keras.regularizers.L2(share)))
        weights = weights or model.get_weights()
        model.set_weights(weights)
        outputs = model(batch, training=True)
        found.append(float(model.compute_loss(batch, y_pred=outputs)))
    frames = np.concatenate([batch["obs"], batch["next_obs"]]) / np.float32(255)
    expected = np.sum(np.square(model.embedding(frames))) / len(frames)
    assert found[1] - found[0] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_activities_in_a_contrast_of_actions_train(jit_compile):
    state, action = keras.Input((2, 4, 2)), keras.Input((), dtype="int32")
    moves = layers.ToRegular("C4", transitions.MOVES_CLOCKWISE)(layers.OneHotActions(2)(action))
    change = layers.GroupDense("C4", 2, activity_regularizer="l2")(
        keras.layers.Concatenate()([state, moves])
    )
    transition = keras.Model([state, action], change)
    model = ContrastiveWorldModel(small_embedding(), small_encoder(), transition)
    loss = ContrastiveLoss(terms=[ActionContrast(3)])
    model.compile("adam", loss, jit_compile=jit_compile)
    assert np.isfinite(model.fit(data(16), batch_size=4, verbose=0).history["loss"]).all()


@pytest.mark.parametrize(
    "loss, jit_compile",
    [(ContrastiveLoss([OtherSamples(4)]), True), (varied_loss(), False)],
)
def test_the_last_batch_may_be_of_any_size(loss, jit_compile):
    model = small_model()
    model.compile("adam", loss, jit_compile=jit_compile)
    for count, size in ((7, 3), (1, 1)):
        losses = model.fit(data(count), batch_size=size, verbose=0).history["loss"]
        assert np.isfinite(
            [*losses, *model.evaluate(data(count), batch_size=size, verbose=0)]
        ).all()


def test_a_batch_of_n_has_n_minus_one_negatives():
    states = {"state": keras.ops.reshape(keras.ops.arange(3.0), (3, 1))}
    drawn, number = OtherSamples(4)(states, keras.random.SeedGenerator(0))
    assert number == 2
    others = np.concatenate([np.asarray(x) for x in drawn[:2]], axis=1)
    assert [sorted({*row}) for row in others] == [[1, 2], [0, 2], [0, 1]]


def test_a_single_transition_has_no_negative():
    model, batch = small_model(loss=ContrastiveLoss([OtherSamples(2)])), data(1)
    outputs = model(batch)
    loss = float(model.compute_loss(batch, y_pred=outputs, training=False))
    error = np.square(outputs["predicted"] - outputs["next_state"]).sum() * 2 / 2
    assert loss == pytest.approx(error, rel=1e-5)


class Rolled:
    """Negatives that are the states of the sample before, whatever the seed."""

    training_only = False

    def __call__(self, states, seed):
        return [keras.ops.roll(states["state"], 1, axis=0)], None


def test_the_odd_one_out_has_no_partner():
    """Of three samples, two are each other's partners; the third has its other negative alone."""
    batch = data(3)
    model = small_model(loss=ContrastiveLoss([Rolled(), SameEpisode()], hinge=10.0))
    states = model(batch)
    z, predicted, after = (np.asarray(states[k]) for k in ("state", "predicted", "next_state"))

    def energy(x, y):
        return np.square(x - y).sum((1, 2, 3)) * 2 / 2

    rolled = np.maximum(0, 10 - energy(z, np.roll(z, 1, axis=0)))
    paired = np.maximum(0, 10 - energy(z, z[[1, 0, 2]]))
    paired[2] = rolled[2]
    expected = np.mean(energy(predicted, after) + (rolled + paired) / 2)
    found = float(model.compute_loss(batch, y_pred=states))
    assert found == pytest.approx(expected, rel=1e-5)


# Without oneDNN: with it, TensorFlow 2.21 fails in the gradient of any convolution with a bias
# where a replica has no row, on processors whose kernels take both at a time, Keras' Conv2D alike.
TWO_REPLICAS = """
    import os
    os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
    import numpy as np, tensorflow as tf, keras
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    from sen_tf.layers import FieldBatchNormalization
    from tests.models.trainer_test import data, small_embedding, small_model, varied_loss

    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    with strategy.scope():
        layer = FieldBatchNormalization(momentum=0.0)
        layer.build((None, 1))
    shares = [[[0.0], [0.0]], [[3.0]]]
    values = strategy.experimental_distribute_values_from_function(
        lambda context: tf.constant(shares[context.replica_id_in_sync_group])
    )
    strategy.run(tf.function(lambda x: layer(x, training=True)), args=(values,))
    np.testing.assert_allclose([layer.moving_mean, layer.moving_variance], [[1.0], [3.0]])

    for rows in (5, 1):  # 4 + 1, and none on the second
        found = []
        for scope in (tf.distribute.get_strategy(), strategy):
            keras.utils.set_random_seed(0)
            with scope.scope():
                model = small_model(small_embedding(kernel_regularizer="l2"))
                model.compile(keras.optimizers.SGD(0.01), varied_loss(), jit_compile=False)
            batches = tf.data.Dataset.from_tensor_slices(data(rows)).batch(8).repeat(3)
            history = model.fit(batches, verbose=0).history
            found.append([*model.get_weights(), *(np.array(v) for v in history.values())])
        for one, two in zip(*found, strict=True):
            np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-4)

    with strategy.scope():
        unbuilt = small_model(keras.Sequential([keras.layers.Conv2D(2, 3, padding="same")]))
    try:
        unbuilt.fit(data(8), batch_size=8, verbose=0)
        raise AssertionError("it trained")
    except ValueError as error:
        assert "needs built parts on several replicas" in str(error)
    with strategy.scope():
        unbuilt(data(2))
    unbuilt.fit(data(8), batch_size=8, verbose=0)
    print("both replicas count by their rows")
"""


def test_replicas_with_unequal_shares_train_as_one(run_program):
    assert "both replicas count by their rows" in run_program(TWO_REPLICAS)


@pytest.mark.parametrize("form", ["tf_saved_model", "onnx"])
def test_keras_exports_what_calling_the_model_does(form, tmp_path):
    model, batch = small_model(), data(3)
    path = str(tmp_path / "exported.onnx")
    model.export(path, format=form, verbose=False)
    if form == "onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(path)
        names = [output.name for output in session.get_outputs()]
        keys = {f"args_0_{key}": key for key in batch}
        arrays = {item.name: batch[keys[item.name]] for item in session.get_inputs()}
        found = dict(zip(names, session.run(None, arrays), strict=True))
    else:
        exported = tf.saved_model.load(path)
        found = exported.serve(batch)
    assert len(found) == 3
    expected = {float(np.abs(x).sum().round(3)) for x in map(np.asarray, model(batch).values())}
    assert {float(np.abs(x).sum().round(3)) for x in map(np.asarray, found.values())} == expected


def test_free_sizes_are_those_of_the_embedding():
    free = tf.TensorSpec((None, None, None, None), tf.uint8)
    spec = {"obs": free, "action": tf.TensorSpec((None,), tf.int32), "next_obs": free}
    batches = tf.data.Dataset.from_generator(endless, output_signature=spec)
    small_model().fit(batches, steps_per_epoch=2, verbose=0)
    spec["obs"] = tf.TensorSpec(None, tf.uint8)
    batches = tf.data.Dataset.from_generator(endless, output_signature=spec)
    with pytest.raises(ValueError, match="not even the rank is known"):
        small_model().fit(batches, steps_per_epoch=2, verbose=0)


def test_quantization_says_which_layers_stay_float():
    transition = transitions.object_transition("C1", 2, hidden=8)
    encoder = encoders.object_encoder("C1", (16, 16, 2), hidden=(8,))
    model = ContrastiveWorldModel(small_embedding(), encoder, transition)
    before = np.asarray(model(data(3))["predicted"])
    with pytest.warns(UserWarning) as caught:
        model.quantize("int8")
    (warning,) = caught
    said = str(warning.message)
    assert "'int8'" in said and "conv2d" in said and "field_layer_normalization" in said
    assert "/dense" not in said
    after = np.asarray(model(data(3))["predicted"])
    assert np.linalg.norm(after - before) < 0.1 * np.linalg.norm(before)


def test_tracing_says_nothing(caplog):
    """AutoGraph, by which exports are traced, reads all that is called."""
    model = small_model()
    tf.get_logger().propagate = True
    encode = tf.function(lambda obs, action: model.step(model.encode(obs), action))
    encode(data(2)["obs"], data(2)["action"])
    encode(data(2)["obs"] / np.float32(255), data(2)["action"])
    assert "AutoGraph" not in caplog.text
