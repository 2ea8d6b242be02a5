"""The models of Reacher: their sizes, and that what should commute with D4 does, trained or not."""

import keras
import numpy as np
import pytest

from sen_tf.envs.reacher import Reacher
from sen_tf.experiments import networks
from sen_tf.groups import actions
from sen_tf.models import embeddings, encoders
from sen_tf.testing import assert_equivariant, randomize_weights

ARMS = ("sen", "nonequivariant", "fully_equivariant")

# Trainable parameters of embedding, encoder and transition at the paper's widths. The published
# code's `sen` has 4,011,889: its 3x3 kernels are band-limited to 6 of 9 dimensions, ours are full
# (1,576,872 more), its torques enter as pairs (2,172 fewer there), without LayerNorm (362 fewer).
SIZES = {
    "sen": (50_696, 5_263_303, 277_296),
    "nonequivariant": (50_696, 5_289_476, 269_316),
    "fully_equivariant": (16_856, 5_354_527, 277_296),
}


def on_pixels(x, group, g):
    return actions.rotate_grid(x, group, g, axes=(1, 2))


def on_states(x, group, g):
    return actions.act_on_regular(x, group, g)


def on_torques(x, group, g):
    """As the environment does, which needs no simulator for it."""
    return Reacher.transform_action(Reacher, x, g)


def noise(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def images(seed, batch=2, size=129):
    return np.random.default_rng(seed).integers(0, 256, (batch, size, size, 6), dtype=np.uint8)


def torques(batch):
    return np.random.default_rng(0).uniform(-1, 1, (batch, 2)).astype("float32")


def small_model(arm, dtype="float32", size=129):
    keras.utils.set_random_seed(0)
    return networks.make_model(Reacher(size=size), arm, hidden=4, filters=16, dtype=dtype)


def train(model, steps=3):
    model.compile(keras.optimizers.Adam(1e-3), run_eagerly=True)  # to trace takes longer
    size = model.image_shape[1]
    batch = {"obs": images(1, size=size), "next_obs": images(2, size=size), "action": torques(2)}
    for _ in range(steps):
        logs = model.train_on_batch(batch, return_dict=True)
    return logs


@pytest.fixture(
    scope="module",
    params=[
        *((129, "new"), (65, "new"), (65, "trained")),
        pytest.param((129, "trained"), marks=pytest.mark.slow),
    ],
)
def models(request):
    """The two arms that commute, by name, of both sizes, before and after training."""
    size, state = request.param
    made = {arm: small_model(arm, size=size) for arm in ("sen", "fully_equivariant")}
    for model in made.values():
        if state == "trained":
            train(model)
        else:
            randomize_weights(model)  # transitions start at zero, which would prove nothing
    return made


@pytest.mark.parametrize("arm", ARMS)
def test_sizes(arm):
    model = networks.make_model("reacher", arm, hidden=181)
    parts = (model.embedding, model.encoder, model.transition)
    assert (
        tuple(
            sum(int(np.prod(weight.shape)) for weight in part.trainable_variables) for part in parts
        )
        == SIZES[arm]
    )


def test_the_arms_are_of_like_size():
    totals = {arm: sum(parts) for arm, parts in SIZES.items()}
    assert totals["nonequivariant"] == 5_609_488  # as published
    for total in totals.values():
        assert abs(total / totals["nonequivariant"] - 1) < 0.01


def test_small_images_have_cheaper_networks_of_like_size():
    totals = {}
    for arm in ARMS:
        model = networks.make_model(Reacher(size=65), arm, hidden=16, filters=16)
        assert model.embedding.output_shape[1:3] == (17, 17)
        totals[arm] = model.count_params()
    assert max(totals.values()) < 1.25 * min(totals.values()) < 150_000


def test_the_encoder_commutes_with_d4(models):
    for arm, act in (("sen", on_pixels), ("fully_equivariant", actions.act_on_regular_image)):
        model = models[arm]
        features = noise(0, 2, *model.embedding.output_shape[1:])
        for training in (False, True):
            assert_equivariant(
                lambda x, model=model, training=training: model.encoder(x, training=training),
                features,
                "D4",
                act,
                on_states,
            )


def test_the_transition_commutes_with_d4(models):
    for model in models.values():
        inputs = [noise(0, 20, 8, 4), torques(20)]
        for step in (model.step, lambda *inputs, model=model: model.transition(list(inputs))):
            assert_equivariant(step, inputs, "D4", [on_states, on_torques], on_states)


def test_only_the_fully_equivariant_embedding_commutes(models):
    model = models["fully_equivariant"]
    x = images(3, size=model.image_shape[1])
    assert_equivariant(model.embed, x, "D4", on_pixels, actions.act_on_regular_image)
    assert_equivariant(model.encode, x, "D4", on_pixels, on_states)
    with pytest.raises(AssertionError, match="not equivariant under D4"):
        assert_equivariant(models["sen"].embed, x, "D4", on_pixels, on_pixels)


@pytest.mark.parametrize("arm", ARMS)
def test_images_of_another_size_are_refused(arm):
    with pytest.raises(ValueError, match=r"`obs`.*\(batch, 129, 129, 6\).*\(2, 128, 128, 6\)"):
        small_model(arm).encode(images(0, size=128))


def test_networks_of_another_size_are_refused():
    with pytest.raises(ValueError, match="D4 on 128 rows.*Use 127 or 129 pixels"):
        embeddings.dilated_embedding("D4", (128, 128, 6))
    for group in ("D4", "C1"):
        with pytest.raises(ValueError, match=r"33 x 33 pixels.*129 x 129; received \(32, 32, 8\)"):
            encoders.image_encoder(group, (32, 32, 8))
        for size in ((16, 16, 8), (17, 9, 8), (2, 2, 8)):
            with pytest.raises(ValueError, match=r"2\^k \+ 1 rows.*received \(" + str(size[0])):
                encoders.strided_encoder(group, size)
    with pytest.raises(ValueError, match="D4 on 64 rows.*Use 63 or 65 pixels"):
        embeddings.strided_embedding("D4", (64, 64, 6))


@pytest.mark.parametrize("arm", ARMS)
def test_every_arm_trains_with_states_in_float32_under_mixed_precision(arm):
    model = small_model(arm, "mixed_bfloat16")
    state = model.encode(images(0))
    assert state.dtype == "float32"
    assert state.shape == (2, 1 if arm == "nonequivariant" else 8, 4)
    np.testing.assert_array_equal(model.step(state, torques(2)), state)  # it starts at rest
    assert np.isfinite(train(model)["loss"])
    after = model.step(state, torques(2))
    assert after.dtype == "float32"
    assert (np.array(after) != np.array(state)).any()


def test_energies_are_summed_over_the_whole_state():
    assert not networks.make_loss("reacher").object_axis
