"""Networks and plans turn with the world, targets follow, and what is learnt is the world."""

import gymnasium
import keras
import numpy as np
import pytest
import tensorflow as tf

from sen_tf import groups
from sen_tf.agents import interaction
from sen_tf.agents.interaction import Learning
from sen_tf.agents.replay import Replay
from sen_tf.agents.tdmpc import TDMPC, Planner, Search
from sen_tf.envs.point_mass import PointMass
from sen_tf.groups import actions, representations

QUICK = Search(horizon=3, samples=48, proposals=24, iterations=2, elites=8)


def make(dimensions=2, **arguments):
    keras.utils.set_random_seed(0)
    env = PointMass(dimensions)
    agent = TDMPC(env.group, env.representation, env.action_representation, 16, 24, **arguments)
    agent.compile(keras.optimizers.Adam(1e-3), jit_compile=False)
    return env, agent


def small(rate=0.1, **arguments):
    """An agent that is not traced, and pieces for it."""
    keras.utils.set_random_seed(0)
    agent = TDMPC("C4", "2 standard", "standard", 8, 8, **arguments)
    agent.compile(keras.optimizers.SGD(rate), run_eagerly=True)
    rng = np.random.default_rng(0)
    shapes = {"observations": (8, 4, 4), "actions": (8, 3, 2), "rewards": (8, 3)}
    return agent, {name: rng.normal(size=shape) for name, shape in shapes.items()}


def experience(env, episodes=4, steps=20):
    rng, replay = np.random.default_rng(0), Replay()
    env.reset(seed=0)
    for _ in range(episodes):
        replay.add(interaction.play(env, lambda _: rng.normal(0, 0.5, env.dimensions), steps))
    return replay


@pytest.fixture(scope="module", params=[2, 3])
def trained(request):
    env, agent = make(request.param)
    replay, rng, losses = experience(env), np.random.default_rng(0), []
    for _ in range(200):
        pieces = replay.sample(rng, 32, 3)._asdict()
        losses.append(float(agent.train_on_batch(pieces, return_dict=True)["loss"]))
    return env, agent, losses


def test_all_networks_turn_with_the_world(trained):
    env, agent, _ = trained
    rng, n = np.random.default_rng(1), 10
    seen = rng.normal(0, 0.3, (n, agent.observation.dimension))
    sequences = rng.normal(0, 0.5, (n, 3, agent.action.dimension)).astype("float32")
    z = agent.encoder(seen)
    returns, moves = agent.returns(z, sequences), agent(seen)
    assert np.std(returns) > 1e-3 and np.abs(moves).max() > 1e-3
    for g in env.group.elements:
        on_actions = agent.action.matrices[g].T.astype("float32")
        turned = agent.encoder(seen @ agent.observation.matrices[g].T)
        np.testing.assert_allclose(turned, actions.act_on_regular(z, env.group, g), atol=1e-4)
        np.testing.assert_allclose(
            agent.returns(turned, sequences @ on_actions), returns, atol=1e-4
        )
        np.testing.assert_allclose(agent.act(turned), moves @ on_actions, atol=1e-4)


def test_it_learns_to_predict_and_targets_follow(trained):
    _, agent, losses = trained
    assert np.mean(losses[-20:]) < 0.3 * np.mean(losses[:20])
    slow, fast = agent.target_encoder.get_weights(), agent.encoder.get_weights()
    apart = max(np.abs(a - b).max() for a, b in zip(slow, fast, strict=True))
    assert 1e-5 < apart < 0.2
    assert np.linalg.norm(agent.act(agent.encoder(np.ones((1, agent.observation.dimension))))) <= 1


def test_a_target_keeps_so_much_of_itself():
    env, agent = make(kept=0.75)
    agent.compile("sgd", run_eagerly=True)  # to trace takes longer
    before = agent.target_values[0].get_weights()
    agent.train_on_batch(experience(env).sample(np.random.default_rng(0), 8, 3)._asdict())
    after, now = agent.target_values[0].get_weights(), agent.values[0].get_weights()
    for old, new, fast in zip(before, after, now, strict=True):
        np.testing.assert_allclose(new, 0.75 * old + 0.25 * fast, atol=1e-6)


def test_episodes_from_turned_starts_are_turned():
    env, agent = make(dtype="float64")
    planner = Planner(agent, QUICK)
    start = env.sample_states(np.random.default_rng(0), 1)[0]
    matrices = representations.get("2 standard", env.group).matrices

    def played(state):
        rng = np.random.default_rng(1)
        planner.forget()
        return interaction.play(env, lambda seen: planner.act(seen, rng), 6, {"state": state})

    plain = played(start)
    assert np.abs(plain.actions).max() > 0.05
    for g in env.group.elements:
        turned = played(env.transform(start, g))
        np.testing.assert_allclose(
            turned.observations, plain.observations @ matrices[g].T, atol=1e-9
        )
        np.testing.assert_allclose(turned.rewards, plain.rewards, atol=1e-9)


def test_a_plain_agent_plans_too_and_its_episodes_do_not_turn():
    keras.utils.set_random_seed(0)
    env, planner = PointMass(), Planner(TDMPC("C1", "4 trivial", "2 trivial", 16, 24), QUICK)
    start = env.sample_states(np.random.default_rng(0), 1)[0]
    found = []
    for state in (start, -start):
        planner.forget()
        found.append(planner.act(state.ravel(), np.random.default_rng(1)))
    assert np.abs(found[0] + found[1]).max() > 1e-2


def test_learning_acts_at_random_first_then_plans_and_explores_less_and_less():
    env, agent = make()
    planner, explored = Planner(agent, QUICK), []

    class Watched(Replay):
        def add(self, episode):
            explored.append(np.linalg.norm(episode.actions, axis=-1).max())
            super().add(episode)

    learning = Learning(steps=40, random_steps=20, longest=10, batch_size=8)
    taken = list(interaction.learn(env, planner, Watched(), learning, np.random.default_rng(0)))
    assert taken == [20, 30, 40] and len(explored) == 4 and max(explored) <= 1 + 1e-6
    assert [learning.explores_at(k) for k in (0, 10, 20, 30)] == pytest.approx(
        [0.5, 0.275, 0.05, 0.05]
    )
    assert agent.optimizer.iterations == 20 + 10 + 10


def test_a_saved_agent_acts_as_before(tmp_path):
    _, agent = make()
    agent.save(tmp_path / "agent.keras")
    loaded = keras.models.load_model(tmp_path / "agent.keras")
    seen = np.random.default_rng(0).normal(size=(5, 4))
    np.testing.assert_array_equal(loaded(seen), agent(seen))
    for old, new in zip(agent.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(new, old)


def test_training_goes_on_after_loading_as_it_would_have(tmp_path):
    agent, pieces = small()
    agent.compile(keras.optimizers.Adam(1e-2), run_eagerly=True)
    agent.train_on_batch(pieces)
    agent.save(tmp_path / "agent.keras")
    loaded = keras.models.load_model(tmp_path / "agent.keras")
    for each in (agent, loaded):
        each.train_on_batch(pieces)
    assert loaded.optimizer.iterations == 2
    for old, new in zip(agent.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(new, old)


def test_losses_are_means_over_all_pieces_and_evaluation_learns_nothing():
    agent, pieces = small(rate=0.0, kept=1.0)  # training leaves it as it is
    once = agent.train_on_batch(pieces, return_dict=True)
    parts = [
        agent.test_on_batch({name: x[rows] for name, x in pieces.items()}, return_dict=True)
        for rows in (slice(0, 5), slice(5, 8))
    ]
    assert np.ptp([part["loss"] for part in parts]) > 0.1
    by_hand = {name: np.average([p[name] for p in parts], weights=[5, 3]) for name in once}
    history = agent.fit(pieces, batch_size=5, verbose=0, validation_data=pieces).history
    moving, _ = small(kept=0.5)
    before = moving.get_weights()
    evaluated = moving.evaluate(pieces, batch_size=5, return_dict=True, verbose=0)
    for name in ("loss", "consistency", "reward", "value", "regret"):
        for found in (by_hand, evaluated):
            assert found[name] == pytest.approx(once[name], rel=1e-5)
        assert [*history[name], *history[f"val_{name}"]] == pytest.approx(
            [once[name]] * 2, rel=1e-5
        )
    for old, new in zip(before, moving.get_weights(), strict=True):
        np.testing.assert_array_equal(new, old)
    assert once["loss"] == pytest.approx(
        2 * once["consistency"] + 0.5 * once["reward"] + 0.1 * once["value"], rel=1e-5
    )


def test_a_frozen_policy_stays_and_all_else_learns():
    agent, pieces = small()
    agent.policy.trainable = False
    agent.compile("sgd", run_eagerly=True)
    networks = [agent.policy, agent.encoder, agent.dynamics, agent.reward, *agent.values]
    before = [network.get_weights() for network in networks]
    agent.train_on_batch(pieces)
    changed = [
        not any(np.array_equal(a, b) for a, b in zip(old, network.get_weights(), strict=True))
        for old, network in zip(before, networks, strict=True)
    ]
    assert changed == [False, *[True] * 5]


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_it_learns_in_mixed_precision(policy):
    """Halves leave out some steps, until their loss is scaled so that no gradient overflows.

    By plain descent, since Adam would not tell a loss that is scaled from one that is not.
    """
    env, agent = make(dtype=policy)
    agent.compile(keras.optimizers.SGD(1e-2, global_clipnorm=1.0), jit_compile=False)
    pieces = experience(env).sample(np.random.default_rng(0), 16, 1)._asdict()
    losses = [float(agent.train_on_batch(pieces, return_dict=True)["loss"]) for _ in range(40)]
    assert 0 < losses[-1] < 0.7 * losses[0]


@pytest.mark.parametrize(("group", "orbits"), [("D5", (5, 3)), ("D16", (2, 1))])
def test_noise_comes_in_whole_orbits_whatever_the_order(group, orbits):
    planner = Planner(TDMPC(group, "2 standard", "standard", 16, 24))
    assert tuple(planner._orbits(count) for count in (48, 24)) == orbits
    action = planner.act(np.ones(4), np.random.default_rng(0))
    assert action.shape == (2,) and np.linalg.norm(action) <= 1


def test_what_cannot_be_is_refused():
    env = PointMass()
    agent = TDMPC("C1", "4 trivial", "2 trivial")
    with pytest.raises(ValueError, match=r"compiled; call `agent.compile\(optimizer\)`"):
        next(interaction.learn(env, Planner(agent), Replay(), Learning(), np.random.default_rng(0)))
    with pytest.raises(ValueError, match="`discount` to be at least 0 and below 1.*discount=1"):
        TDMPC("C1", "4 trivial", "2 trivial", discount=1)
    with pytest.raises(ValueError, match="an integer of at least 1; received width=0"):
        TDMPC("C1", "4 trivial", "2 trivial", latent=0)
    for name, value in (("loss", "mse"), ("loss_weights", [3.0]), ("metrics", ["mae"])):
        with pytest.raises(ValueError, match=f"Expected `{name}` to be None.*the agent's own"):
            agent.compile("sgd", **{name: value})
    own = groups.Representation("C2", "mine", [[[1.0]], [[-1.0]]])
    with pytest.raises(ValueError, match="`representation` 'mine' is not"):
        TDMPC("C2", own, "sign").get_config()


def test_what_a_step_would_not_heed_is_refused():
    agent, pieces = small()
    before, zeros = agent.get_weights(), np.zeros(8)
    for call, message in (
        (lambda: agent.train_on_batch(pieces, sample_weight=zeros), "`sample_weight` to be None"),
        (lambda: agent.fit(pieces, zeros, verbose=0), "`y` to be None, for the agent learns from"),
        (lambda: agent.evaluate(pieces, zeros, verbose=0), "`y` to be None"),
        (lambda: agent.test_step((pieces, None, zeros)), "`sample_weight` to be None"),
        (
            lambda: agent.train_step({"actions": zeros}),
            r"`x` to be a dict .*received \['actions'\]",
        ),
        (
            lambda: agent.train_step(pieces | {"observations": np.zeros((8, 3, 4))}),
            r"one step more than `actions` and `rewards`; received \[3, 3, 3\] steps",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    for old, new in zip(before, agent.get_weights(), strict=True):
        np.testing.assert_array_equal(new, old)


def test_observations_are_kept_of_worlds_that_write_over_them():
    class Buffer(gymnasium.Env):
        action_space = gymnasium.spaces.Box(-9, 9, (2,), np.float64)
        seen = np.zeros(2)

        def reset(self, *, seed=None, options=None):
            self.seen[:] = 0
            return self.seen, {}

        def step(self, action):
            self.seen += action
            return self.seen, 0.0, False, False, {}

    force = np.zeros(2)

    def act(observation):
        force[:] = observation + 1
        return force

    played = interaction.play(Buffer(), act, 3)
    np.testing.assert_array_equal(played.observations, [[0, 0], [1, 1], [3, 3], [7, 7]])
    np.testing.assert_array_equal(played.actions, [[1, 1], [2, 2], [4, 4]])


def test_pieces_of_another_length_are_learnt_from_once_compiled_again():
    agent, pieces = small()
    agent.compile(agent.optimizer, jit_compile=False)
    agent.train_on_batch(pieces)
    shorter = {name: x[:, :-1] for name, x in pieces.items()}
    with pytest.raises(ValueError, match="as many steps as before; `compile` the agent again"):
        agent.train_on_batch(shorter)
    agent.compile(agent.optimizer, jit_compile=False)
    agent.train_on_batch(shorter)
    assert agent.optimizer.iterations == 2


def test_an_agent_is_exported(tmp_path):
    _, agent = make()
    agent.export(tmp_path / "agent", verbose=False)
    seen = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")
    loaded = tf.saved_model.load(tmp_path / "agent")
    np.testing.assert_allclose(loaded.serve(seen), agent(seen), rtol=1e-5, atol=1e-6)


def test_an_environment_is_given_actions_of_its_own_dtype():
    env = PointMass()
    env.action_space = gymnasium.spaces.Box(-1, 1, (2,))  # float32
    played = interaction.play(env, lambda _: np.full(2, 0.1), 2)
    assert played.actions.dtype == np.float32 and played.actions[0] in env.action_space


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda: Learning(longest=0), "`longest` to be at least 1"),
        (lambda: Learning(batch_size=0), "`batch_size` to be at least 1"),
        (lambda: Learning(steps=20), "`random_steps` to be from 0 to `steps`, 20"),
        (lambda: Search(horizon=0), "`horizon` to be at least 1"),
        (lambda: Search(samples=24), "below `samples`; received proposals=24, samples=24"),
        (
            lambda: Planner(small()[0], QUICK).act(np.zeros(3), None),
            r"shape \(4,\), as the agent's representation of it; received shape \(3,\)",
        ),
        (
            lambda: next(
                interaction.learn(
                    PointMass(3), Planner(small()[0]), None, Learning(), np.random.default_rng(0)
                )
            ),
            "observations are of size 4, as the agent's `observation` is; .* of size 6",
        ),
    ],
)
def test_settings_and_sizes_that_do_not_fit_are_one_sentence(made, said):
    with pytest.raises(ValueError, match=said):
        made()
