import keras
import numpy as np
import pytest
from keras import ops

from sen_tf.experiments import networks
from sen_tf.losses import (
    ActionContrast,
    ContrastiveLoss,
    OtherSamples,
    ReversedFrames,
    SameEpisode,
)
from sen_tf.models import ContrastiveWorldModel
from sen_tf.models.world_model import Skill


def small_model(dtype="float32", seed=0):
    keras.utils.set_random_seed(0)
    return networks.make_model("shapes", "sen", hidden=8, filters=8, dtype=dtype, seed=seed)


class Rolled:
    """Negatives that are the states of the sample before, whatever the seed."""

    training_only = False

    def __call__(self, states, seed):
        return [ops.roll(states["state"], 1, axis=0)], None


@pytest.fixture
def batch():
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (2, 16, 50, 50, 3), dtype=np.uint8)
    actions = rng.integers(0, 20, 16).astype(np.int32)
    return {"obs": frames[0], "next_obs": frames[1], "action": actions}


def test_rollout_repeats_step(batch):
    model = small_model()
    state = model.encode(batch["obs"])
    assert state.shape == (16, 5, 4, 2)
    once = model.step(state, batch["action"])
    twice = model.step(once, batch["action"][::-1])
    actions = np.stack([batch["action"], batch["action"][::-1]], axis=1)
    states = model.rollout(state, actions)
    np.testing.assert_array_equal(states, ops.stack([once, twice], axis=1))


def test_integer_images_are_scaled_to_the_unit_interval(batch):
    model = small_model()
    floats = batch["obs"].astype(np.float32) / 255
    np.testing.assert_allclose(model.encode(batch["obs"]), model.encode(floats), atol=1e-6)


def test_negatives_are_other_samples_and_follow_the_seed():
    states, kind = {"state": np.arange(6.0).reshape(6, 1)}, OtherSamples(4)
    draws = []
    for seed in (3, 3, 4):
        generator = small_model(seed=seed).seed_generator
        draws.append(np.stack([kind(states, generator)[0] for _ in range(10)]))
    np.testing.assert_array_equal(draws[0], draws[1])
    assert not np.array_equal(draws[0], draws[2])
    assert (draws[0] != states["state"]).all()
    one_draw = np.concatenate([draws[0][0], states["state"][None]])[:, 0, 0]
    assert len(set(one_draw)) == 5  # four different samples, none the sample itself


def test_variants_differ_in_what_negatives_are_compared_with(batch):
    negative = {}
    for variant in ("current", "predicted"):
        model = small_model()
        model.compile("sgd", ContrastiveLoss([Rolled()], variant=variant, hinge=100.0))
        for weight in model.transition.trainable_variables:
            weight.assign(weight + 0.1)  # it starts at "nothing moves", where the variants agree
        y_pred = model(batch)
        reference = y_pred["state"] if variant == "current" else y_pred["predicted"]
        model.compute_loss(x=batch, y_pred=y_pred)
        energy = 2 * np.square(reference - np.roll(y_pred["state"], 1, axis=0)).sum((1, 2, 3)) / 5
        expected = np.maximum(0, 100 - energy).mean()
        negative[variant] = float(model.get_metrics_result()["negative"])
        assert negative[variant] == pytest.approx(expected, rel=1e-5)
    assert negative["current"] != negative["predicted"]


def test_skill_is_zero_for_nothing_moves_and_one_for_perfection():
    rng = np.random.default_rng(0)
    state, after = rng.normal(size=(2, 8, 3)).astype(np.float32)
    for predicted, expected in ((state, 0.0), (after, 1.0), ((state + after) / 2, 0.75)):
        metric = Skill()
        metric.update_state(state, predicted, after)
        assert float(metric.result()) == pytest.approx(expected, abs=1e-6)


def test_a_collapsed_model_has_no_skill():
    metric = Skill()
    collapsed = np.full((64, 5, 4, 2), 0.3, np.float32)
    metric.update_state(collapsed, collapsed, collapsed + np.float32(1e-7))
    assert float(metric.result()) == 0.0


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "mixed_float16"])
def test_first_step_under_mixed_precision_is_that_of_float32(batch, dtype):
    """Without a scaled loss the float16 step would be 30,000 times too small."""
    moves = []
    for policy in ("float32", dtype):
        model = small_model(policy)
        optimizer = keras.optimizers.SGD(1e-3)
        if policy == "mixed_float16":  # its first scale, 32,768, may overflow and skip the step
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=256)
        model.compile(optimizer, jit_compile=False)
        before = [np.array(w) for w in model.trainable_variables]
        model.train_on_batch(batch)
        after = [np.array(w) for w in model.trainable_variables]
        moves.append(np.concatenate([(b - a).ravel() for a, b in zip(before, after, strict=True)]))
    difference = np.linalg.norm(moves[1] - moves[0]) / np.linalg.norm(moves[0])
    assert difference < 0.2


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_loaded_model_is_bit_equal_under_any_global_policy(batch, dtype, tmp_path):
    model = small_model(dtype, seed=7)
    loss = ContrastiveLoss(
        [OtherSamples(3), SameEpisode()], [ActionContrast(3)], 2.0, 0.3, variant="predicted"
    )
    model.compile("adam", loss, run_eagerly=True)  # to trace takes longer
    model.fit(batch, epochs=2, batch_size=8, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.get_config()["seed"] == 7
    assert loaded.loss.get_config() == loss.get_config()
    for ours, theirs in zip(model(batch).values(), loaded(batch).values(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    for each in (model, loaded):  # it trains on as if it had never been saved
        each.seed_generator.state.assign([1, 2])
        each.fit(batch, epochs=1, batch_size=8, shuffle=False, verbose=0)
    for ours, theirs in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_reversed_frames_of_one_frame_are_refused():
    with pytest.raises(
        ValueError, match="`ReversedFrames` needs images of two .*received 3 channels"
    ):
        small_model().compile("sgd", ContrastiveLoss([OtherSamples(), ReversedFrames()]))


def test_before_it_is_compiled_a_model_has_states_and_no_loss(batch):
    model = small_model()
    states = model(batch, training=True)
    assert set(states) == {"state", "predicted", "next_state"}
    with pytest.raises(ValueError, match="Expected a compiled model.*`compile` first"):
        model.compute_loss(x=batch, y_pred=states)


def test_actions_are_contrasted_in_the_first_steps_only(batch):
    """Two steps with it, then the paper's: the third is that of a model without the contrast."""

    def moves(steps, model):
        before = [np.array(w) for w in model.trainable_variables]
        for _ in range(steps):
            model.train_on_batch(batch)
        return [np.array(w) - b for w, b in zip(model.trainable_variables, before, strict=True)]

    with_contrast, without = small_model(), small_model()
    for model, terms in ((with_contrast, [ActionContrast(2)]), (without, [])):
        model.compile(keras.optimizers.SGD(1e-2), ContrastiveLoss(terms=terms), jit_compile=False)
    first = zip(moves(2, with_contrast), moves(2, without), strict=True)
    assert any(np.abs(a - b).max() > 1e-4 for a, b in first)
    without.set_weights(with_contrast.get_weights())
    for a, b in zip(moves(1, with_contrast), moves(1, without), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-7)


def test_half_of_the_negatives_are_the_two_frames_in_reverse_order():
    """In training, where the loss is then positive + (negative + hinge of the reversed) / 2."""
    keras.utils.set_random_seed(0)
    image = keras.Input((4, 4, 2))
    embedding = keras.Model(image, keras.layers.Dense(3, use_bias=False)(image[:, 0, 0]))
    identity = keras.Sequential([keras.Input((3,)), keras.layers.Identity()])
    arguments = [keras.Input((3,)), keras.Input(())]
    transition = keras.Model(arguments, 0.1 * arguments[0])
    frames = np.random.default_rng(0).random((2, 8, 4, 4, 2), dtype=np.float32)
    batch = {"obs": frames[0], "next_obs": frames[1], "action": np.zeros(8, np.int32)}

    def losses_of(*negatives):
        model = ContrastiveWorldModel(embedding, identity, transition)
        model.compile("sgd", ContrastiveLoss(negatives, object_axis=False))
        outputs = model(batch, training=True)
        return outputs, float(model.compute_loss(x=batch, y_pred=outputs, training=True)), model

    outputs, loss, model = losses_of(OtherSamples(), ReversedFrames())
    backwards = model.encode(frames[0][..., ::-1])
    np.testing.assert_allclose(outputs["reversed"], backwards, atol=1e-6)
    distance = 2 * np.sum((np.array(outputs["state"]) - np.array(backwards)) ** 2, axis=-1)
    parts = {name: float(value) for name, value in model.get_metrics_result().items()}
    expected = parts["positive"] + (parts["negative"] + np.maximum(0, 1 - distance).mean()) / 2
    assert loss == pytest.approx(expected, rel=1e-5)
    outputs, loss, _ = losses_of(OtherSamples())
    assert set(outputs) == {"state", "next_state", "predicted"}
    assert loss == pytest.approx(parts["positive"] + parts["negative"], rel=1e-5)
    assert set(model(batch)) == set(outputs)


def test_half_of_the_negatives_are_of_the_same_episode(batch):
    """In training: samples 2k and 2k + 1 of a batch, each the other's negative."""
    model = small_model()
    model.compile("sgd", ContrastiveLoss([OtherSamples(), SameEpisode()], hinge=100.0))
    y_pred = model(batch)
    state = np.array(y_pred["state"])
    partners = state.reshape(-1, 2, *state.shape[1:])[:, ::-1].reshape(state.shape)
    apart = np.maximum(0, 100 - 2 * np.square(state - partners).sum((1, 2, 3)) / 5).mean()
    loss = float(model.compute_loss(x=batch, y_pred=y_pred, training=True))
    parts = {name: float(value) for name, value in model.get_metrics_result().items()}
    expected = parts["positive"] + (parts["negative"] + apart) / 2
    assert loss == pytest.approx(expected, rel=1e-5)
    model.reset_metrics()
    loss = float(model.compute_loss(x=batch, y_pred=y_pred, training=False))
    parts = {name: float(value) for name, value in model.get_metrics_result().items()}
    assert loss == pytest.approx(parts["positive"] + parts["negative"], rel=1e-5)


TWO_REPLICAS = """
    import numpy as np, tensorflow as tf, keras
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    keras.utils.set_random_seed(0)
    from sen_tf import losses
    from sen_tf.experiments import networks
    with strategy.scope():
        model = networks.make_model("shapes", "sen", hidden=8, filters=8, dtype="mixed_float16")
        loss = losses.ContrastiveLoss(terms=[losses.ActionContrast(20)], hinge=100.0)
        model.compile(keras.optimizers.Adam(1e-3), loss, jit_compile=False)
    rng = np.random.default_rng(0)
    obs, after = rng.random((2, 8, 50, 50, 3), dtype=np.float32)
    obs[4:] = np.inf  # the second replica's share
    batch = {"obs": obs, "next_obs": after, "action": rng.integers(0, 20, 8).astype("int32")}
    data = tf.data.Dataset.from_tensor_slices(batch).batch(8).repeat()
    before = [np.array(w) for w in model.trainable_variables]
    model.fit(data, steps_per_epoch=2, verbose=0)
    for old, new in zip(before, model.trainable_variables, strict=True):
        np.testing.assert_array_equal(old, np.array(new))
    good = {**batch, "obs": after}
    model.fit(tf.data.Dataset.from_tensor_slices(good).batch(8).repeat(), steps_per_epoch=40,
              verbose=0)
    assert all(np.isfinite(w).all() for w in model.trainable_variables)
    assert any((a != np.array(b)).any() for a, b in zip(before, model.trainable_variables))
    print("both replicas agree")
"""


def test_an_overflow_on_one_replica_never_reaches_the_weights(run_program):
    assert "both replicas agree" in run_program(TWO_REPLICAS)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_states_of_anybody_s_parts_are_in_float32(policy):
    made = {"dtype": policy}
    image, features = keras.Input((8, 8, 3)), keras.Input((6, 6, 4))
    embedding = keras.Model(image, keras.layers.Conv2D(4, 3, **made)(image))
    flat = keras.layers.Flatten(**made)(features)
    encoder = keras.Model(features, keras.layers.Dense(8, **made)(flat))
    state, action = keras.Input((8,)), keras.Input((2,))
    both = keras.layers.Concatenate(**made)([state, action])
    transition = keras.Model([state, action], keras.layers.Dense(8, **made)(both))
    model = ContrastiveWorldModel(embedding, encoder, transition)
    images = np.zeros((4, 8, 8, 3), "uint8")
    inputs = {"obs": images, "next_obs": images, "action": np.zeros((4, 2), "float32")}
    outputs = [*model(inputs).values(), model.encode(images)]
    outputs.append(model.step(outputs[-1], inputs["action"]))
    assert {keras.backend.standardize_dtype(x.dtype) for x in outputs} == {"float32"}


def test_actions_without_steps_are_refused():
    model = small_model()
    state = np.zeros((3, 5, 4, 2), "float32")
    for actions in (np.zeros(3, int), np.zeros((3, 0), int)):
        with pytest.raises(
            ValueError, match=r"`actions` of shape \(batch, steps, \.\.\.\), of one"
        ):
            model.rollout(state, actions)
