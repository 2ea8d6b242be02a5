"""Networks of environments that are not ours: images as a whole, and one object."""

import math

import gymnasium
import keras
import numpy as np
import pytest

from sen_tf import groups
from sen_tf.envs import ENVS
from sen_tf.experiments import networks
from sen_tf.groups import actions
from sen_tf.losses import ContrastiveLoss
from sen_tf.models import ContrastiveWorldModel, embeddings
from sen_tf.testing import assert_equivariant, randomize_weights


def world(group="C4", side=18, objects=None, space=None, representation="permutation(3,0,1,2)"):
    """The class of an environment with these facts, which nobody runs; `side` may be both sides."""
    size = side if isinstance(side, tuple) else (side, side)

    class World:
        name, frames = "world", 1
        action_representation = representation

        def __init__(self):
            self.observation_space = gymnasium.spaces.Box(0, 255, (*size, 3), np.uint8)
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
    model.compile(keras.optimizers.Adam(1e-3), loss=loss, run_eagerly=True)  # to trace takes longer
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


@pytest.mark.parametrize(
    "size",
    [
        *((43, 64), (21, 14), (1, 17)),
        *(pytest.param(size, marks=pytest.mark.slow) for size in ((36, 64), (64, 43))),
    ],
)
@pytest.mark.parametrize("arm", ["sen", "nonequivariant", "fully_equivariant"])
def test_images_of_any_size_have_networks_that_commute(size, arm):
    for group in ("C2", "D1", "D2") if arm != "nonequivariant" else ("C1",):
        env = world(group, size, representation=None if group == "C1" else "4 trivial")
        model = make(env, arm)
        rows, columns = model.embedding.output_shape[1:3]
        assert max(rows, columns) == -(-max(size) // 2 ** math.ceil(math.log2(max(size) / 10)))
        images = np.random.default_rng(0).integers(0, 256, (2, *size, 3), np.uint8)
        assert np.isfinite(model.encode(images)).all()
        if arm != "nonequivariant":
            check(model, env, arm == "fully_equivariant")


def test_windows_are_of_two_pixels_on_an_even_side_and_of_three_on_an_odd_one():
    layers = embeddings._halving("C2", (4, 5), 1, "float32")
    x = np.random.default_rng(0).random((1, 4, 5, 2, 1), dtype=np.float32)
    halved = np.array(keras.Sequential([keras.Input(x.shape[1:]), *layers])(x))
    assert halved.shape == (1, 2, 3, 2, 1)
    for row in range(2):
        for column in range(3):
            window = x[:, 2 * row : 2 * row + 2, max(2 * column - 1, 0) : 2 * column + 2]
            np.testing.assert_array_equal(halved[:, row, column], window.max((1, 2)))


@pytest.mark.parametrize(
    ("group", "side", "objects", "takes"),
    [
        ("C8", 18, None, "C1, C2, D1, D2, C4, D4, which move the pixels of its 18 x 18 images"),
        ("O", 18, None, "C1, C2, D1, D2, C4, D4"),
        ("C3", 9, 2, "C1, C2, D1, D2, C4, D4"),
        ("C4", (16, 20), None, "C1, C2, D1, D2, which move the pixels of its 16 x 20 images"),
        ("D4", (43, 64), 2, "C1, C2, D1, D2"),
    ],
)
def test_a_group_that_does_not_move_pixels_onto_pixels_is_refused(group, side, objects, takes):
    env = world(group, side, objects, representation="4 trivial")
    for arm in ("sen", "fully_equivariant"):
        said = f"`group` of `world` to be one of {takes}.* for the model {arm}; received group="
        with pytest.raises(ValueError, match=said + group):
            networks.make_model(env(), arm, 8, 4)
    networks.make_model(env(), "nonequivariant", 8, 4)


def test_objects_need_numbered_moves():
    env = world(objects=2, **PUSHES)
    with pytest.raises(ValueError, match="`world`, which shows objects, to have Discrete actions"):
        make(env, "sen")


def test_environments_of_ours_have_networks_of_their_own():
    assert {networks.networks_of(ENVS[env]) for env in networks.NETWORKS} == {
        *networks.NETWORKS.values()
    }
