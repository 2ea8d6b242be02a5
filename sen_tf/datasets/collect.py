"""Rolls out a behaviour policy in an environment, with exact transformed twins.

A behaviour policy is a TensorFlow Probability distribution over actions, or any object with its
`sample(shape, seed)`, where the seed is a pair of int32: actions do not depend on the state. A twin
of an episode under a group element g is the same episode with every state transformed by g and
*rendered again*, and with transformed actions; its pixels are never rotated. A finite group gives a
twin per element, a continuous one a twin for each of a few drawn elements, the same for all
episodes.
"""

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import gymnasium
import numpy as np

from sen_tf.datasets.stepping import Stepper
from sen_tf.envs import EnvLike, own

BLOCK = 64  # episodes simulated and rendered together; memory is proportional to it
DRAWN_ELEMENTS = 7  # of a continuous group, as many as D4 has but the identity


class Twin(NamedTuple):
    """Episodes transformed by a group element, as arrays like theirs.

    element: number of the element of a finite group, or a matrix.
    """

    observations: np.ndarray
    actions: np.ndarray
    element: int | np.ndarray


@dataclasses.dataclass(frozen=True)
class EpisodeBlock:
    """B episodes of T steps.

    observations: (B, T + 1, H, W, C) uint8, one frame more than there are steps.
    actions: (B, T) int64, or (B, T, ...) float32 for continuous actions.
    twins: a `Twin` for each group element but the identity, or each drawn one, counted from 1;
        empty if they were not asked for.
    states: the states (B, T + 1, ...) that the frames are of, where the environment has some.
    """

    observations: np.ndarray
    actions: np.ndarray
    twins: dict[int, Twin]
    states: np.ndarray | None = None


def uniform_policy(env: EnvLike, actions: Sequence[str] | None = None) -> Any:
    """The uniform distribution over an environment's actions, or over the named ones.

    Args:
        env: an environment with `sample_actions` or an `action_space` that is Discrete or a Box,
            and with `action_names` if it is to be limited.
        actions: names such as ["up", "right", "down"], each standing for one or more action
            numbers; for a Box, one name, which stands for a smaller box. None for all actions.

    Returns:
        For Discrete actions, a `tfp.distributions.Categorical` over all action numbers, int64;
        those that are not named have probability 0. For a Box, a `tfp.distributions.Uniform`. With
        `sample_actions`, what samples by it.

    Raises:
        ValueError: a name is unknown, no name is given, several are for a Box, or the environment
            has `sample_actions`.
    """
    names = None if actions is None else list(actions)
    known = getattr(env, "action_names", {})
    unknown = [name for name in names or [] if name not in known]
    if unknown or names == []:
        known = ", ".join(known) or "none"
        came = ", ".join(map(repr, unknown)) or "none"
        raise ValueError(f"Expected `actions` to be names out of: {known}; received {came}.")
    if hasattr(env, "sample_actions"):
        if names is not None:
            raise ValueError(
                f"Expected `actions` to be None, as those of `{type(env).__name__}` are drawn by "
                f"its `sample_actions`; received {', '.join(names)}."
            )
        return _DrawnActions(env)
    if isinstance(env.action_space, gymnasium.spaces.Box):
        return _uniform_in_box(env, names)
    if isinstance(env.action_space, gymnasium.spaces.Discrete):
        return _uniform_over_numbers(env, names)
    raise ValueError(
        f"Expected `env` to have actions that are Discrete or a Box; received {env.action_space}."
    )


@dataclasses.dataclass(frozen=True)
class _DrawnActions:
    """The distribution that an environment's `sample_actions` draws from."""

    env: EnvLike

    def sample(self, shape: Sequence[int], seed: Any) -> np.ndarray:
        actions = self.env.sample_actions(np.random.default_rng(seed), math.prod(shape))
        return actions.reshape(*shape, *actions.shape[1:])


def _uniform_over_numbers(env, names):
    import tensorflow as tf
    import tensorflow_probability as tfp

    probabilities = np.zeros(env.action_space.n, np.float32)
    if names is None:
        allowed = np.arange(env.action_space.n)
    else:
        allowed = np.unique([number for name in names for number in own.named(env, name)])
    probabilities[allowed] = 1 / len(allowed)
    return tfp.distributions.Categorical(probs=probabilities, dtype=tf.int64)


def _uniform_in_box(env, names):
    import tensorflow_probability as tfp

    if names is not None and len(names) > 1:
        raise ValueError(
            f"Expected `actions` to be one name, of a box; received {', '.join(names)}."
        )
    space = env.action_space
    if len(space.shape) != 1 or not np.issubdtype(space.dtype, np.floating):
        raise ValueError(
            "Expected actions that are Discrete, or a Box of one axis and of real numbers; "
            f"received {space}."
        )
    lowest, highest = (space.low, space.high) if names is None else env.action_names[names[0]]
    if not (np.isfinite(lowest).all() and np.isfinite(highest).all()):
        raise ValueError(f"Expected actions within bounds, to draw from; received {space}.")
    return tfp.distributions.Uniform(np.float32(lowest), np.float32(highest))


def collect(
    env: EnvLike,
    policy: Any = None,
    *,
    episodes: int,
    steps: int,
    seed: int,
    twins: bool = False,
    first_states: Callable | None = None,
    first_episode: int = 0,
) -> Iterator[EpisodeBlock]:
    """Rolls out episodes from randomly drawn first states, in blocks of bounded memory.

    An episode depends on `seed` and its own number alone, whatever others are collected with it:
    where the environment works on batches of states, each block has generators of its own, and
    else each episode.

    Args:
        env: a `gymnasium.Env` that observes images or draws them by `render`. With the batch
            methods of `sen_tf.envs` it is many times faster, and there can be twins.
        policy: distribution over actions, see the module's head; `uniform_policy(env)` if None. It
            also warms up the environment, for `env.warm_up_steps`, which are left out, unless
            `env.warm_up` is "all": then the uniform policy does.
        episodes: number of episodes in all.
        steps: number of steps of each episode.
        seed: seed of first states and actions.
        twins: whether to add the twin of every episode under each group element but the identity.
        first_states: draws the states that episodes start from, called as `env.sample_states`:
            with a `numpy.random.Generator` and a number; None for `env.sample_states` itself.
        first_episode: number of the first episode; those before it are left out.

    Yields:
        `EpisodeBlock`s of at most `BLOCK` episodes.

    Raises:
        ValueError: `episodes` or `steps` is below 1, or `seed` or `first_episode` is negative;
            twins or first states are asked of an environment without batch methods; or, from the
            iteration, such an environment ends all episodes before their last step.
    """
    counts = (("episodes", episodes, 1), ("steps", steps, 1))
    for name, value, least in (*counts, ("seed", seed, 0), ("first_episode", first_episode, 0)):
        if value < least:
            raise ValueError(f"Expected `{name}` to be at least {least}; received {name}={value}.")
    numbers = range(first_episode, first_episode + episodes)
    policy = policy or uniform_policy(env)
    if not hasattr(env, "step_states"):
        if twins or first_states:
            raise ValueError(
                "Expected `env` to have `step_states` and the other batch methods of "
                f"`sen_tf.envs`, for twins and first states; received {type(env).__name__}."
            )
        return _stepped_blocks(Stepper(env, policy, steps, seed), numbers)
    return _blocks(env, policy, numbers, steps, seed, twins, first_states or env.sample_states)


def _blocks(env, policy, numbers, steps, seed, twins, first_states):
    warm_up = getattr(env, "warm_up_steps", 0)
    elements = _elements(env.group, seed) if twins else {}
    for block in range(numbers.start // BLOCK, -(-numbers.stop // BLOCK)):
        start = block * BLOCK
        rows = slice(max(numbers.start - start, 0), min(numbers.stop - start, BLOCK))
        seed_sequence = np.random.SeedSequence(seed, spawn_key=(block,))
        first, actions = _draw(first_states, policy, warm_up + steps, seed_sequence)
        if getattr(env, "warm_up", "policy") == "all":
            _, others = _draw(first_states, uniform_policy(env), warm_up + steps, seed_sequence)
            actions[:, :warm_up] = others[:, :warm_up]
        states = _simulate(env, first[rows], actions[rows])
        yield _render(env, states[:, warm_up:], actions[rows, warm_up:], elements)


def _stepped_blocks(stepper, numbers):
    for start in range(numbers.start, numbers.stop, BLOCK):
        rows = range(start, min(start + BLOCK, numbers.stop))
        frames, actions = zip(*map(stepper.episode, rows), strict=True)
        yield EpisodeBlock(np.stack(frames), np.stack(actions), {})


def _elements(group, seed):
    """The group elements of the twins: all of a finite group but the identity, or drawn ones."""
    if hasattr(group, "elements"):
        return {g: g for g in group.elements if g}
    drawn = group.sample(np.random.default_rng(seed), DRAWN_ELEMENTS)
    return dict(enumerate(drawn, start=1))


def _draw(first_states, policy, steps, seed_sequence):
    """First states (BLOCK, ...) and actions (BLOCK, steps, ...) of a whole block."""
    state_seed, action_seed = seed_sequence.spawn(2)
    first = first_states(np.random.default_rng(state_seed), BLOCK)
    seed_pair = (action_seed.generate_state(2) >> 1).astype(np.int32)  # at least 0
    actions = np.asarray(policy.sample((BLOCK, steps), seed=seed_pair))
    kind = np.int64 if np.issubdtype(actions.dtype, np.integer) else np.float32
    return first, actions.astype(kind)


def _simulate(env, first, actions):
    """States (B, T + 1, ...) visited from the first states (B, ...) by actions (B, T, ...)."""
    states = [first]
    for step in range(actions.shape[1]):
        states.append(env.step_states(states[-1], actions[:, step]))
    return np.stack(states, axis=1)


def _render(env, states, actions, elements):
    twins = {
        number: Twin(
            _frames(env, env.transform(states, g)),
            env.transform_action(actions, g).astype(actions.dtype),
            g,
        )
        for number, g in elements.items()
    }
    return EpisodeBlock(_frames(env, states), actions, twins, states)


def _frames(env, states):
    """Frames (B, T + 1, H, W, C) uint8 of states (B, T + 1, ...)."""
    flat = env.render_states(states.reshape(-1, *states.shape[2:]))
    return flat.reshape(*states.shape[:2], *flat.shape[1:])
