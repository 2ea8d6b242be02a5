"""A few demonstrations imitated, with and without what a model of the way back adds to them.

  python -m sen_tf.reproduce --table=backward-imitation --seeds=5
  python -m sen_tf.reproduce --table=symmetric-imitation --seeds=5

Five walks through a maze begin at one place. Reported is how many of 1,000 starts reach the goal:
near that place, and anywhere in the maze. In a maze that quarter turns map to itself, networks that
commute with them know three more arms of it.
"""

import dataclasses
import functools
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from sen_tf.agents import imitation
from sen_tf.agents.imitation import BackwardModel, ForwardModel, Schedule, World
from sen_tf.envs import maze
from sen_tf.experiments.experiment import Experiment, Metric
from sen_tf.settings import setting

STARTS, STARTS_SEED = 1000, 999
WORLDS = {
    "C1": World("C1", "2 trivial", "2 trivial"),
    "C4": World("C4", "standard", "standard"),
}


@dataclasses.dataclass(frozen=True)
class Imitation:
    """Demonstrations and training."""

    demonstrations: int = setting(5, "Walks of the expert.", at_least=1)
    epochs: int = setting(120, "Epochs of 50 updates of the policy.", at_least=1)
    noise: float = setting(
        1.0, "Standard deviation of what is added to actions that models draw.", at_least=0.0
    )
    length: int = setting(8, "The longest way back, in steps.", at_least=1)


@dataclasses.dataclass(frozen=True)
class Arm:
    """The additions to cloning.

    Attributes:
        model: Makes a model of a world, given the noise; None for none.
        group: The group of all networks.
        longer: How many times as long the policy is trained.
        narrow: Whether noise is 0 and the way back one step, which adds next to nothing.
    """

    model: Callable[..., imitation.Model] | None = None
    group: str = "C1"
    longer: int = 1
    narrow: bool = False


ARMS = {
    "cloning": Arm(),
    "cloning-longer": Arm(longer=2),
    "forward": Arm(ForwardModel),
    "backward": Arm(BackwardModel),
    "backward-narrow": Arm(BackwardModel, narrow=True),
}
SYMMETRIC_ARMS = {
    "cloning": Arm(),
    "backward": Arm(BackwardModel),
    "equivariant-cloning": Arm(group="C4"),
    "equivariant-backward": Arm(BackwardModel, group="C4"),
}


def train(arm: Arm, env: maze.Maze, asked: Imitation, seed: int) -> keras.Model:
    """The policy of an arm, from places about the goal to actions."""
    keras.utils.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    places, actions, after = env.demonstrations(rng, asked.demonstrations)
    steps = imitation.Steps(places - env.goal, actions, after - env.goal)
    world, noise = WORLDS[arm.group], 0.0 if arm.narrow else asked.noise
    policy = imitation.make_policy(world)
    schedule = Schedule(asked.epochs * arm.longer, length=1 if arm.narrow else asked.length)
    model = arm.model and arm.model(world, noise)
    imitation.imitate(policy, steps, schedule, rng, model)
    return policy


def arrives(policy: keras.Model, env: maze.Maze, starts: np.ndarray) -> np.ndarray:
    """Booleans (n,): the policy reaches the goal from starts (n, 2)."""
    places = starts
    for _ in range(maze.LONGEST):
        moved = env.step_states(places, policy.predict_on_batch(places - env.goal))
        places = np.where(env.has_arrived(places)[:, None], places, moved)
    return env.has_arrived(places)


def run(
    layout: str,
    arms: dict[str, Arm],
    arm: str,
    settings: Sequence[Any],
    seed: int,
    directory: pathlib.Path,
) -> dict[str, Any]:
    """Trains and scores an arm in a maze; see `Experiment.run`."""
    (asked,) = settings
    env = maze.Maze(layout)
    policy = train(arms[arm], env, asked, seed)
    rng = np.random.default_rng(STARTS_SEED)
    anywhere = env.sample_states(rng, STARTS)
    near = env.layout.start + rng.uniform(-maze.NEAR, maze.NEAR, (STARTS, 2))
    found = {
        "anywhere": 100 * float(arrives(policy, env, anywhere).mean()),
        "near": 100 * float(arrives(policy, env, near).mean()),
    }
    for g in env.group.elements[1:]:  # where turned walks would begin
        turned = env.transform(near, g)
        found[f"turned_{g}"] = 100 * float(arrives(policy, env, turned).mean())
    return found | {"weights": policy.count_params()}


ANYWHERE = Metric("goal reached from anywhere %")
NEAR = Metric("from where walks began %")

EXPERIMENTS = {
    "backward-imitation": Experiment(
        "2210.09337",
        "Five walks imitated, with models of the way back or ahead",
        tuple(ARMS),
        {"anywhere": ANYWHERE, "near": NEAR},
        functools.partial(run, "u", ARMS),
        (Imitation,),
    ),
    "symmetric-imitation": Experiment(
        "2210.09337",
        "Walks in one arm of a symmetric maze imitated, starts in all four",
        tuple(SYMMETRIC_ARMS),
        {
            "anywhere": ANYWHERE,
            "near": NEAR,
            **{f"turned_{g}": Metric(f"from there, turned {90 * g} degrees %") for g in (1, 2, 3)},
        },
        functools.partial(run, "pinwheel", SYMMETRIC_ARMS),
        (Imitation,),
    ),
}
