"""The plateau of training at skill zero, with transitions that start at zero or at random.

  python -m sen_tf.reproduce --table=plateau

The slots are given: five one-hot maps of the board instead of images, so that encoder and
transition alone are trained, on moves up, right and down. Skill 0 predicts that nothing moves.
Reported: skill after some steps, and Hits@1 after 10 steps among 1,000 episodes with all moves.
"""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from sen_tf import envs
from sen_tf.envs.rendering import cell_indices
from sen_tf.experiments.experiment import Experiment, Metric
from sen_tf.metrics import ranking_metrics
from sen_tf.models import ContrastiveWorldModel, encoders, transitions
from sen_tf.settings import setting

SHOWN = (200, 500, 1000)
"""Steps after which skills are reported."""


@dataclasses.dataclass(frozen=True)
class Plateau:
    """Training on perfect slots."""

    steps: int = setting(1000, "Steps of training.", at_least=100)
    batch_size: int = setting(64, "Transitions per step.", at_least=2)
    learning_rate: float = setting(5e-4, "Learning rate of Adam.", at_least=0.0)


def maps(states: np.ndarray) -> np.ndarray:
    """One-hot maps (n, 5, 5, 5) of states (n, 5, 2): channel k holds object k."""
    one_hot = np.eye(25, dtype=np.float32)[cell_indices(states)]
    return one_hot.reshape(-1, 5, 5, 5).transpose(0, 2, 3, 1)


def make_model(random_start: bool, seed: int) -> ContrastiveWorldModel:
    keras.utils.set_random_seed(seed)
    transition = transitions.object_transition(
        "C4", 5, hidden=64, moves=transitions.MOVES_CLOCKWISE
    )
    if random_start:
        graph = transition.get_layer("graph")
        for layer in (graph.readout, graph.node_network.layers[-1]):
            layer.kernel.assign(keras.initializers.GlorotUniform(seed)(layer.kernel.shape))
    encoder = encoders.object_encoder("C4", (5, 5, 5), (64, 64))
    slots = keras.Sequential([keras.Input((5, 5, 5)), keras.layers.Identity()])
    return ContrastiveWorldModel(slots, encoder, transition, seed=seed)


def train(
    model: ContrastiveWorldModel, env: envs.EnvLike, plateau: Plateau, seed: int
) -> list[float]:
    """Skill of each hundred steps."""
    rng = np.random.default_rng(seed)
    model.compile(keras.optimizers.Adam(plateau.learning_rate), jit_compile=False)
    step = tf.function(model.train_step)
    allowed = np.flatnonzero(np.arange(20) % 4 < 3)
    skills = []
    for number in range(1, plateau.steps + 1):
        states = env.sample_states(rng, plateau.batch_size)
        actions = rng.choice(allowed, plateau.batch_size)
        after = env.step_states(states, actions)
        batch = {"obs": maps(states), "action": actions.astype("int32"), "next_obs": maps(after)}
        logs = step({name: tf.constant(value) for name, value in batch.items()})
        if number % 100 == 0:
            skills.append(float(logs["skill"]))
            model.reset_metrics()
    return skills


def hits(
    model: ContrastiveWorldModel, env: envs.EnvLike, steps: int = 10, count: int = 1000
) -> float:
    rng = np.random.default_rng(0)
    states = env.sample_states(rng, count)
    actions = rng.integers(0, 20, (count, steps))
    predicted = model.rollout(model.encode(maps(states)), actions.astype("int32"))[:, -1]
    for action in actions.T:
        states = env.step_states(states, action)
    return ranking_metrics(model.encode(maps(states)), predicted)["hits@1"]


def run(arm: str, settings: Sequence[Any], seed: int, directory: pathlib.Path) -> dict[str, Any]:
    """One model, which starts at random or at zero; see `Experiment.run`."""
    env, (plateau,) = envs.make("shapes"), settings
    model = make_model(arm == "random", seed)
    skills = train(model, env, plateau, seed)
    shown = {f"skill_{at}": skills[at // 100 - 1] for at in SHOWN if at <= plateau.steps}
    return {**shown, "hits@1": 100 * hits(model, env), **dataclasses.asdict(plateau)}


EXPERIMENTS = {
    "plateau": Experiment(
        "2204.11371",
        "How long training stays at skill zero, from transitions that start at random or at zero",
        ("random", "zero"),
        {
            **{f"skill_{at}": Metric(f"skill after {at} steps") for at in SHOWN},
            "hits@1": Metric("Hits@1, 10 steps %"),
        },
        run,
        (Plateau,),
    )
}
