"""Networks of environments that are not ours: images as a whole, and one object."""

import gymnasium
import keras
import numpy as np
import pytest

from sen_tf import groups
from sen_tf.envs import ENVS
from sen_tf.experiments import networks
from sen_tf.groups import actions
from sen_tf.losses import ContrastiveLoss
from sen_tf.models import ContrastiveWorldModel
from sen_tf.testing import assert_equivariant, randomize_weights


def world(group="C4", side=18, objects=None, space=None, representation="permutation(3,0,1,2)"):
    """The class of an environment with these facts, which nobody runs."""

    class World:
        name, frames = "world", 1
        action_representation = representation

        def __init__(self):
            self.observation_space = gymnasium.spaces.Box(0, 255, (side, side, 3), np.uint8)
            self.action_space = space or gymnasium.spaces.Discrete(4)

    World.group, World.objects = groups.get(group), objects
    return World


def make(env, arm):
    keras.utils.set_random_seed(0)
    model = ContrastiveWorldModel(*networks.networks_of(env)(env(), arm, 8, 4, "float32"))
    randomize_weights(model)
    return model


def on_pixels(x, group, g):
    return actions.rotate_grid(x, group, g, axes=(1, 2))


def on_numbers(env):
    """The action of the group on numbers of actions: as on their one-hot vectors."""

    def act(x, group, g):
        matrix = networks.representations.get(env.action_representation, group).matrices[g]
        return (np.eye(len(matrix))[x] @ matrix.T).argmax(-1).astype(x.dtype)

    return act


def check(model, env, embeds):
    """Encoder and transition commute, and the embedding if it `embeds`."""
    group, rng = env.group, np.random.default_rng(0)
    assert_equivariant(
        model.encoder,
        (3, *model.embedding.output_shape[1:]),
        group,
        on_pixels,
        actions.act_on_regular,
    )
    states = rng.standard_normal((8, *model.encoder.output_shape[1:])).astype("float32")
    if isinstance(env().action_space, gymnasium.spaces.Discrete):
        moves, act = np.arange(8, dtype="int32") % 4, on_numbers(env)
    else:
        moves = rng.standard_normal((8, 2)).astype("float32")
        matrices = networks.representations.get(env.action_representation, group).matrices
        act = lambda x, group, g: (x @ matrices[g].T).astype("float32")  # noqa: E731
    regular = actions.act_on_regular
    assert_equivariant(model.step, [states, moves], group, [regular, act], regular)
    if embeds:
        images = rng.random((2, *model.embedding.input_shape[1:]), dtype=np.float32)
        assert_equivariant(model.encode, images, group, on_pixels, regular)


def train(model, env):
    """A few steps on noise."""
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (2, 16, *model.embedding.input_shape[1:]), dtype=np.uint8)
    action = model.transition.inputs[1]
    moves = rng.integers(0, 4, (16, *action.shape[1:])).astype(action.dtype)
    loss = ContrastiveLoss(object_axis=env.objects is not None)
    model.compile(keras.optimizers.Adam(1e-3), loss=loss, jit_compile=False)
    model.fit({"obs": images[0], "action": moves, "next_obs": images[1]}, batch_size=8, verbose=0)


PUSHES = {
    "space": gymnasium.spaces.Box(-1, 1, (2,), np.float32),
    "representation": "standard",
}
WORLDS = {
    "even": {},
    "odd": {"side": 25},
    "reflections": {"group": "D4", "side": 21, "representation": "4 trivial"},
    "vectors": {"group": "D4", **PUSHES},
    "one object": {"objects": 1, "side": 9},
    "two objects": {"objects": 2, "side": 9, "space": gymnasium.spaces.Discrete(8)},
}


@pytest.mark.parametrize("arm", ["sen", "fully_equivariant"])
@pytest.mark.parametrize("facts", WORLDS.values(), ids=WORLDS)
def test_what_should_commute_does_before_and_after_training(facts, arm):
    env = world(**facts)
    model = make(env, arm)
    whole = arm == "fully_equivariant"
    if env.objects and env.objects > 1:
        # Actions of several objects: numbers 4 * object + move.
        act = on_numbers(env)
        env_act = lambda x, group, g: x // 4 * 4 + act(x % 4, group, g)  # noqa: E731
        states = np.random.default_rng(0).standard_normal((8, 2, 4, 2)).astype("float32")
        inputs = [states, np.arange(8, dtype="int32")]
        regular = actions.act_on_regular
        assert_equivariant(model.step, inputs, "C4", [regular, env_act], regular)
        return
    check(model, env, whole)
    train(model, env)
    check(model, env, whole)


@pytest.mark.parametrize("objects", [None, 1])
def test_without_a_symmetry_the_plain_arm_is_made(objects):
    env = world("C1", objects=objects, representation=None)
    model = make(env, "nonequivariant")
    train(model, env)
    assert model.encoder.output_shape[-2:] == ((1, 32) if objects is None else (1, 2))


def test_the_arms_have_about_as_many_weights():
    env = world()
    sizes = [
        sum(np.prod(w.shape) for w in make(env, arm).trainable_variables)
        for arm in ("sen", "nonequivariant")
    ]
    assert sizes[0] < sizes[1] < 2 * sizes[0]  # at most: dense layers after pixels


def test_a_rectangle_has_no_quarter_turns():
    env = world()
    env.__init__ = lambda self: vars(self).update(
        observation_space=gymnasium.spaces.Box(0, 255, (16, 20, 3), np.uint8),
        action_space=gymnasium.spaces.Discrete(4),
    )
    with pytest.raises(ValueError, match="square"):
        make(env, "fully_equivariant")


def test_objects_need_numbered_moves():
    env = world(objects=2, **PUSHES)
    with pytest.raises(ValueError, match="`world`, which shows objects, to have Discrete actions"):
        make(env, "sen")


def test_environments_of_ours_have_networks_of_their_own():
    assert {networks.networks_of(ENVS[env]) for env in networks.NETWORKS} == {
        *networks.NETWORKS.values()
    }
