"""Agents in their environments: episodes, and learning from them as they come."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import gymnasium
import numpy as np

from sen_tf.agents.replay import Pieces, Replay
from sen_tf.agents.tdmpc import Planner
from sen_tf.planning.discrete import check_sizes


@dataclasses.dataclass(frozen=True)
class Learning:
    """The settings of an agent that learns as it acts.

    Attributes:
        steps: Steps in the environment, in whole episodes.
        random_steps: At first actions are drawn, for so many of them.
        longest: Steps of an episode.
        batch_size: Pieces of episodes per update; there is an update per step.
        explores: The standard deviation of what is added to actions, at first and in the end;
            halfway there it is the latter.
    """

    steps: int = 2000
    random_steps: int = 100
    longest: int = 50
    batch_size: int = 64
    explores: tuple[float, float] = (0.5, 0.05)

    def __post_init__(self) -> None:
        check_sizes(steps=self.steps, longest=self.longest, batch_size=self.batch_size)
        if not 0 <= self.random_steps <= self.steps:
            raise ValueError(
                f"Expected `random_steps` to be from 0 to `steps`, {self.steps}, or nothing is "
                f"learnt; received random_steps={self.random_steps!r}."
            )

    def explores_at(self, step: int) -> float:
        """The standard deviation of what is added to actions at a step."""
        first, last = self.explores
        return max(last, first - (first - last) * step / (self.steps / 2))


def play(
    env: gymnasium.Env,
    act: Callable[[np.ndarray], np.ndarray],
    longest: int,
    options: dict[str, Any] | None = None,
) -> Pieces:
    """An episode of `longest` steps.

    Args:
        env: An environment whose observations are arrays of numbers, flattened here.
        act: Function from an observation `(size,)` to an action `(size,)`, of which the environment
            is given the nearest of its own dtype.
        longest: Its steps; an environment that ends before goes on as if it had not.
        options: What `reset` is given.
    """
    observation, _ = env.reset(options=options)
    # Copies: an environment may write the next observation over the one before.
    seen, done, rewards = [np.array(observation).ravel()], [], []
    space = env.action_space
    for _ in range(longest):
        done.append(np.array(act(seen[-1]), space.dtype))
        observation, reward, *_ = env.step(done[-1])
        seen.append(np.array(observation).ravel())
        rewards.append(float(reward))
    return Pieces(np.array(seen), np.array(done), np.array(rewards))


def learn(
    env: gymnasium.Env,
    planner: Planner,
    replay: Replay,
    learning: Learning,
    rng: np.random.Generator,
) -> Iterator[int]:
    """Learns, an episode at a time; yields the steps taken so far after each.

    Args:
        env: The environment, whose actions are vectors no longer than 1.
        planner: Acts with the agent that learns, which is compiled.
        replay: Where episodes are kept.
        learning: See `Learning`.
        rng: Generator.

    Raises:
        ValueError: If the agent is not compiled, or observations or actions are of another size
            than its representations.
    """
    if not planner.agent.compiled:
        raise ValueError("Expected an agent that is compiled; call `agent.compile(optimizer)`.")

    def random(observation):
        drawn = rng.standard_normal(planner.agent.action.dimension)
        return drawn / max(1.0, float(np.linalg.norm(drawn)))

    observation, _ = env.reset(seed=int(rng.integers(2**31)))
    _check_fits(planner.agent, np.size(observation), env.action_space.sample().size)
    for step in range(0, learning.steps, learning.longest):
        planner.forget()
        explores = learning.explores_at(step)
        draws = step < learning.random_steps
        act = random if draws else lambda seen, e=explores: planner.act(seen, rng, e)
        replay.add(play(env, act, learning.longest))
        taken = step + learning.longest
        if taken < learning.random_steps:
            continue
        updates = taken if draws else learning.longest  # what was drawn is made up for
        for _ in range(updates):
            pieces = replay.sample(rng, learning.batch_size, planner.search.horizon)
            planner.agent.train_on_batch(pieces._asdict())
        yield taken


def _check_fits(agent, *sizes):
    """Raises a ValueError where observations or actions do not fit the agent's representations."""
    for name, size in zip(("observation", "action"), sizes, strict=True):
        if (stated := getattr(agent, name).dimension) != size:
            raise ValueError(
                f"Expected an environment whose {name}s are of size {stated}, as the agent's "
                f"`{name}` is; received {name}s of size {size}."
            )
