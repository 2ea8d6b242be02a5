"""How long training stays at skill zero, with transitions that start at zero or at random.

Run with: python -m benchmarks.plateau

The slots are given: five one-hot maps of the board instead of images, so that encoder and
transition alone are trained, on moves up, right and down. Skill 0 predicts that nothing moves.
Printed: skill every 100 steps, and Hits@1 after 10 steps among 1,000 episodes with all moves.
"""

import argparse
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf

from sen_tf import envs
from sen_tf.envs.rendering import cell_indices
from sen_tf.metrics import ranking_metrics
from sen_tf.models import ContrastiveWorldModel, encoders, transitions


def maps(states):
    """One-hot maps (n, 5, 5, 5) of states (n, 5, 2): channel k holds object k."""
    one_hot = np.eye(25, dtype=np.float32)[cell_indices(states)]
    return one_hot.reshape(-1, 5, 5, 5).transpose(0, 2, 3, 1)


def make_model(random_start, seed):
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


def train(model, env, arguments, seed):
    """Skill of each hundred steps."""
    rng = np.random.default_rng(seed)
    model.compile(keras.optimizers.Adam(arguments.learning_rate), jit_compile=False)
    step = tf.function(model.train_step)
    allowed = np.flatnonzero(np.arange(20) % 4 < 3)
    skills = []
    for number in range(1, arguments.steps + 1):
        states = env.sample_states(rng, arguments.batch_size)
        actions = rng.choice(allowed, arguments.batch_size)
        after = env.step_states(states, actions)
        batch = {"obs": maps(states), "action": actions.astype("int32"), "next_obs": maps(after)}
        logs = step({name: tf.constant(value) for name, value in batch.items()})
        if number % 100 == 0:
            skills.append(float(logs["skill"]))
            model.reset_metrics()
    return skills


def hits(model, env, steps=10, count=1000):
    rng = np.random.default_rng(0)
    states = env.sample_states(rng, count)
    actions = rng.integers(0, 20, (count, steps))
    predicted = model.rollout(model.encode(maps(states)), actions.astype("int32"))[:, -1]
    for action in actions.T:
        states = env.step_states(states, action)
    return ranking_metrics(model.encode(maps(states)), predicted)["hits@1"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--batch_size", type=int, default=64)
    parser.add_argument("--learning_rate", type=float, default=5e-4)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    env = envs.make("shapes")
    for random_start in (True, False):
        for seed in range(arguments.seeds):
            model = make_model(random_start, seed)
            skills = train(model, env, arguments, seed)
            start = "random" if random_start else "zero"
            shown = " ".join(f"{skill:5.2f}" for skill in skills)
            print(f"{start:7} seed {seed}  {shown}   Hits@1 {hits(model, env):.1%}", flush=True)


if __name__ == "__main__":
    main()
