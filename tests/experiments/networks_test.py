"""The paper's models with objects: their sizes, and that what should commute with C4 does."""

import keras
import numpy as np
import pytest

from sen_tf.envs import ENVS
from sen_tf.envs.block_pushing import BlockPushing
from sen_tf.envs.rush_hour import RushHour
from sen_tf.experiments import networks
from sen_tf.groups import actions
from sen_tf.models import embeddings
from sen_tf.testing import assert_equivariant, randomize_weights

# Trainable parameters of embedding, encoder and transition at the paper's widths. The published
# code's fully equivariant model has 1,978,521: its kernels are band-limited, ours are full.
SIZES = {
    ("cubes", "sen"): (21_029, 905_218, 1_060_098),
    ("cubes", "nonequivariant"): (21_029, 1_545_218, 1_059_330),
    ("cubes", "fully_equivariant"): (19_733, 905_218, 1_060_098),
}
TOTALS = {
    ("cubes", "sen"): 1_986_345,
    ("cubes", "nonequivariant"): 2_625_577,
    ("cubes", "fully_equivariant"): 1_985_049,
}


def on_pixels(x, group, g):
    return actions.rotate_grid(x, group, g, axes=(1, 2))


def on_states(x, group, g):
    return actions.act_on_regular(x, group, g)


def on_actions(x, group, g):
    return BlockPushing(renderer=None).transform_action(x, g)


def on_relative_actions(x, group, g):
    return RushHour().transform_action(x, g)


def on_features(env):
    """How the group acts on an embedding's output, and on actions."""
    if env == "rush_hour":
        return actions.act_on_regular_image, on_relative_actions
    return on_pixels, on_actions


def parts(model):
    return model.embedding, model.encoder, model.transition


def size(model):
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_variables)


@pytest.fixture(params=[env for env in ENVS if ENVS[env].objects])
def env(request):
    return request.param


def small_model(env, arm, dtype="float32"):
    keras.utils.set_random_seed(0)
    model = networks.make_model(env, arm, hidden=8, filters=4, dtype=dtype)
    randomize_weights(model)  # transitions start at zero, which would prove nothing
    return model


@pytest.mark.parametrize("env, arm", SIZES)
def test_sizes_are_the_papers(env, arm):
    model = networks.make_model(env, arm)
    assert tuple(map(size, parts(model))) == SIZES[env, arm]
    assert size(model) == TOTALS[env, arm]


def test_the_arms_of_an_environment_are_of_like_size(env):
    sizes = [size(networks.make_model(env, arm)) for arm in ("sen", "nonequivariant")]
    assert sizes[0] < sizes[1] < 1.5 * sizes[0]


@pytest.mark.parametrize("arm", ["sen", "fully_equivariant"])
def test_encoder_and_transition_commute(env, arm):
    model = small_model(env, arm)
    features = (4, *model.embedding.output_shape[1:])
    act_on_features, act_on_actions = on_features(env)
    assert_equivariant(model.encoder, features, "C4", act_on_features, on_states)
    rng = np.random.default_rng(0)
    states = rng.standard_normal((20, *model.encoder.output_shape[1:])).astype("float32")
    inputs = [states, np.arange(20, dtype="int32")]
    for step in (model.step, lambda *inputs: model.transition(list(inputs))):
        assert_equivariant(step, inputs, "C4", [on_states, act_on_actions], on_states)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("env", ["cubes", "rush_hour"])
def test_only_the_fully_equivariant_embedding_commutes(env, training):
    def commutes(arm):
        model = small_model(env, arm)
        for function, act_out in ((model.embed, on_features(env)[0]), (model.encode, on_states)):
            assert_equivariant(
                lambda x, function=function: function(x, training=training),
                np.random.default_rng(0).random((4, 50, 50, 3), dtype=np.float32),
                "C4",
                on_pixels,
                act_out,
            )

    commutes("fully_equivariant")
    with pytest.raises(AssertionError, match="not equivariant under C4"):
        commutes("sen")


def test_the_plain_transition_does_not_commute():
    model = small_model("cubes", "nonequivariant")
    rng = np.random.default_rng(0)
    inputs = [rng.standard_normal((20, 5, 1, 2)).astype("float32"), np.arange(20, dtype="int32")]

    def turned(x, group, g):
        return x @ actions.vector_matrix(group, g).T

    with pytest.raises(AssertionError, match="not equivariant under C4"):
        assert_equivariant(model.step, inputs, "C4", [turned, on_actions], turned)


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "mixed_float16"])
def test_states_keep_their_symmetry_under_mixed_precision(dtype):
    model = small_model("shapes", "sen", dtype)
    state = np.random.default_rng(0).standard_normal((20, 5, 4, 2)).astype("float32")
    inputs = [state, np.arange(20, dtype="int32")]
    acts = [on_states, on_actions]
    assert_equivariant(model.step, inputs, "C4", acts, on_states, rtol=2e-2)


def test_objects_with_headings_are_seen_once_and_each_heading_is_encoded_by_itself():
    model = small_model("rush_hour", "sen")
    images = np.random.default_rng(0).integers(0, 256, (3, 50, 50, 3), np.uint8)
    features = np.array(model.embed(images))
    assert features.shape == (3, 5, 5, 4, 5) and features.min() >= 0.0
    np.testing.assert_allclose(features.sum(axis=(1, 2, 3)), embeddings.MASS, rtol=1e-5)
    other = features.copy()
    other[:, 1, 2, 3, 4] += 1.0  # in the slice of heading 3, of the last object
    changed = np.abs(np.array(model.encoder(other)) - np.array(model.encoder(features)))
    assert changed[:, 4, 3].max() > 1e-3
    changed[:, 4, 3] = 0.0
    assert changed.max() == 0.0
