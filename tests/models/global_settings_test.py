"""A network is the same whatever keras.json says."""

import contextlib

import keras
import numpy as np
import pytest

from sen_tf.experiments import networks
from sen_tf.models import backbones, decoders

ODD = {"image_data_format": "channels_first", "floatx": "float16", "epsilon": 0.1}
ARMS = [
    (env, arm)
    for env in networks.NETWORKS
    for arm in ("sen", "nonequivariant", "tfn" if env == "teapot" else "fully_equivariant")
]


@contextlib.contextmanager
def odd_settings():
    before = {name: getattr(keras.config, name)() for name in ODD}
    try:
        for name, value in ODD.items():
            getattr(keras.config, f"set_{name}")(value)
        yield
    finally:
        for name, value in before.items():
            getattr(keras.config, f"set_{name}")(value)


def outputs(model, batch, env):
    """All states of transitions, and the metrics of the loss."""
    model.compile(loss=networks.make_loss(env))
    states = model(batch)
    model.compute_loss(batch, y_pred=states, training=False)
    return [*map(np.asarray, states.values()), *map(float, model.get_metrics_result().values())]


@pytest.mark.parametrize("env, arm", ARMS)
def test_every_arm_is_the_same_network(env, arm):
    model = networks.make_model(env, arm, 8, 4, dtype="float32")
    batch = networks.blank_transitions(model, 2)
    rng = np.random.default_rng(0)
    batch |= {k: rng.random(batch[k].shape, "float32") for k in ("obs", "next_obs")}
    expected = outputs(model, batch, env)
    with odd_settings():
        other = networks.make_model(env, arm, 8, 4, dtype="float32")
        other.set_weights(model.get_weights())
        found = outputs(other, batch, env)
    for ours, theirs in zip(expected, found, strict=True):
        np.testing.assert_array_equal(theirs, ours)


@pytest.mark.parametrize("decode", [decoders.object_decoder, decoders.image_decoder])
def test_every_decoder_is_the_same_network(decode):
    shape = {"state_shape": (3, 4), "image_shape": (16, 16, 3), "hidden": (8,), "dtype": "float32"}
    states = np.random.default_rng(0).random((2, 3, 4), "float32")
    model = decode(**shape)
    with odd_settings():
        other = decode(**shape)
        other.set_weights(model.get_weights())
        found = other(states)
    np.testing.assert_array_equal(found, model(states))


@pytest.mark.parametrize("group", ["C1", "C4", "SO2"])
def test_a_backbone_is_the_same_network(group):
    def make():
        return backbones.unet(group, (16, 16, 3), 5, filters=8, depth=1)

    x = np.random.default_rng(0).random((2, 16, 16, 3), "float32")
    model = make()
    with odd_settings():
        keras.config.set_floatx("float32")
        keras.config.set_epsilon(1e-7)
        other = make()
        other.set_weights(model.get_weights())
        found = other(x)
    np.testing.assert_array_equal(found, model(x))
