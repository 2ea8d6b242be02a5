"""The models of 3D Teapot: rotations in and out, and that what should commute with SO(3) does."""

import keras
import numpy as np
import pytest

from sen_tf.envs.teapot import Teapot
from sen_tf.experiments import networks
from sen_tf.groups import rotations
from sen_tf.testing import randomize_weights

ARMS = ("sen", "tfn", "nonequivariant")
LEARNT = ("tfn", "nonequivariant")
ROTATIONS = rotations.haar(np.random.default_rng(1), 10)


def small_model(arm, dtype="float32"):
    keras.utils.set_random_seed(0)
    return networks.make_model("teapot", arm, hidden=32, filters=8, dtype=dtype)


@pytest.fixture(scope="module")
def batch():
    """64 transitions under large actions."""
    env, rng = Teapot("large"), np.random.default_rng(0)
    states, actions = env.sample_states(rng, 64), env.sample_actions(rng, 64)
    return {
        "obs": env.render_states(states),
        "next_obs": env.render_states(env.step_states(states, actions)),
        "action": actions.astype("float32"),
    }


@pytest.fixture(scope="module")
def inputs():
    """Random states and actions."""
    return rotations.haar(np.random.default_rng(0), 40).reshape(2, 20, 3, 3).astype("float32")


def transposed(matrices):
    return np.swapaxes(matrices, -1, -2)


def error(transition, states, actions):
    """The largest |T(g z, g a g^-1) - g T(z, a)| over |T|, which must not be zero."""
    changes = np.array(transition([states, actions]))
    assert changes.dtype == np.float32 and np.abs(changes).max() > 1e-3
    g = ROTATIONS[:, None]
    moved = [(g @ states).reshape(-1, 3, 3), (g @ actions @ transposed(g)).reshape(-1, 3, 3)]
    off = np.array(transition(moved)) - (g @ changes).reshape(-1, 3, 3)
    return np.abs(off).max() / np.abs(changes).max()


def train(model, batch, steps, learning_rate=3e-3):
    """Losses of some steps on one batch."""
    model.compile(keras.optimizers.Adam(learning_rate), jit_compile=False)
    losses = []
    for _ in range(steps):
        losses.append(float(model.train_on_batch(batch, return_dict=True)["loss"]))
        model.reset_metrics()
    return losses


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("arm", ARMS)
def test_states_are_rotations_in_float32(arm, dtype, batch):
    model = small_model(arm, dtype)
    states = np.array(model.encode(batch["obs"]))
    assert states.shape == (64, 3, 3) and states.dtype == np.float32
    products = transposed(states) @ states
    np.testing.assert_allclose(products, np.broadcast_to(np.eye(3), products.shape), atol=1e-5)
    np.testing.assert_allclose(np.linalg.det(states), 1, atol=1e-5)
    assert states.std(axis=0).max() > 1e-3  # not one rotation for all images
    predicted = model.step(states, batch["action"])
    assert predicted.shape == (64, 3, 3) and predicted.dtype == "float32"


def test_the_product_is_exact(inputs, batch):
    states, actions = inputs
    model = small_model("sen")
    np.testing.assert_allclose(model.step(states, actions), actions @ states, atol=1e-6)
    assert not model.transition.weights
    around = np.array(model.rollout(states, np.stack([actions, transposed(actions)], axis=1)))
    np.testing.assert_allclose(around[:, 0], actions @ states, atol=1e-6)
    np.testing.assert_allclose(around[:, 1], states, atol=1e-6)


@pytest.mark.parametrize("arm", LEARNT)
def test_learnt_transitions_start_at_nothing_moves(arm, inputs):
    model = small_model(arm)
    np.testing.assert_array_equal(model.step(*inputs), inputs[0])


@pytest.mark.parametrize("arm", ARMS)
def test_the_loss_goes_down_and_the_symmetry_stays(arm, inputs, batch):
    model = small_model(arm)
    losses = train(model, batch, steps=20)
    assert np.isfinite(losses).all()
    assert np.mean(losses[-5:]) < 0.9 * np.mean(losses[:5])
    if arm != "nonequivariant":
        assert error(model.transition, *inputs) < 1e-5


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("arm", ["sen", "tfn"])
def test_equivariant_transitions_commute(arm, dtype, inputs):
    transition = small_model(arm, dtype).transition
    randomize_weights(transition)
    assert error(transition, *inputs) < 1e-5


def test_the_plain_transition_does_not_commute(inputs):
    model = small_model("nonequivariant")
    randomize_weights(model.transition)
    assert error(model.transition, *inputs) > 0.1


def test_the_tensor_field_transition_can_learn_the_product(inputs):
    states, actions = inputs
    transition = small_model("tfn").transition
    transition.compile(keras.optimizers.Adam(1e-2), "mse", jit_compile=False)
    change = actions @ states - states
    losses = [float(transition.train_on_batch([states, actions], change)) for _ in range(60)]
    assert losses[-1] < 0.1 * losses[0]


def test_weights_stay_finite_on_images_that_show_nothing(batch):
    """The two vectors are equal everywhere, and zero at first."""
    model = small_model("sen")
    *_, last = [layer for layer in model.embedding.layers if isinstance(layer, keras.layers.Dense)]
    last.kernel.assign(np.zeros(last.kernel.shape))
    black = np.zeros_like(batch["obs"])
    train(model, {"obs": black, "next_obs": black, "action": batch["action"]}, steps=3)
    assert all(np.isfinite(weight).all() for weight in model.get_weights())


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("arm", ARMS)
def test_a_saved_model_is_the_same(arm, dtype, batch, tmp_path):
    model = small_model(arm, dtype)
    randomize_weights(model)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    for name, expected in model(batch).items():
        np.testing.assert_array_equal(loaded(batch)[name], expected)


def test_other_arms_are_refused():
    with pytest.raises(ValueError, match="`arm` of teapot .*sen, tfn, nonequivariant.*'fully_equi"):
        networks.make_model("teapot", "fully_equivariant")
