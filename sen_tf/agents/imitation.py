"""Imitation of a few demonstrations: cloning, and cloning of what learned models add to it.

Demonstrations that all begin at one place say nothing about others. A backward model tells which
states and actions lead to a demonstrated state; those are imitated too, so that more starts find
their way back to the demonstrations.

Reference: Park and Wong, Robust Imitation of a Few Demonstrations with a Backwards Model (NeurIPS
2022, arXiv 2210.09337), section 4. Two things differ from its public code: the standard deviation
of widened actions is one, where that takes `-log(variance) * variance` for it; and Gaussians are
isotropic, for a group may mix coordinates.
"""

import dataclasses
from typing import Any, Protocol, Self

import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp
from keras import ops

from sen_tf import groups
from sen_tf.agents.networks import vector_network
from sen_tf.groups import representations

HIDDEN = (128, 128)
LEAST = 1e-3
"""The least standard deviation, in units of the data's."""
EXECUTED = 25
"""Updates per call of TensorFlow."""


@dataclasses.dataclass(frozen=True)
class Steps:
    """Steps of a world: states, actions and next states, arrays `(n, ...)`."""

    states: np.ndarray
    actions: np.ndarray
    next_states: np.ndarray

    def __len__(self) -> int:
        return len(self.states)

    @classmethod
    def joined(cls, parts: list[Self]) -> Self:
        """All steps of some."""
        return cls(
            *(
                np.concatenate([getattr(part, field.name) for part in parts])
                for field in dataclasses.fields(cls)
            )
        )


@dataclasses.dataclass(frozen=True)
class World:
    """The symmetry of a world: a group, and how it acts on states and on actions.

    Attributes:
        group: The group, `"C1"` for plain networks.
        states, actions: Its representations.
        reach: Actions lie between -reach and reach.
    """

    group: groups.GroupLike
    states: groups.RepresentationLike
    actions: groups.RepresentationLike
    reach: float = 1.0


class Model(Protocol):
    """A learned model that makes steps to imitate beside the demonstrated ones."""

    def fit(self, steps: Steps, updates: int, batch_size: int, rng: np.random.Generator) -> None:
        """Learns from steps."""

    def imagine(
        self, policy: keras.Model, steps: Steps, length: int, rng: np.random.Generator
    ) -> Steps:
        """Makes steps of which each is `length` or less away from a demonstrated one."""


class Gaussian:
    """A Gaussian of one vector given others, whose mean and standard deviation are networks.

    It is isotropic, and commutes with the group: that of turned vectors is turned.

    Args:
        group: The group.
        inputs: The representations of the vectors that are given.
        output: The representation of the vector whose Gaussian this is.
        learning_rate: Learning rate of Adam.
    """

    def __init__(
        self,
        group: groups.GroupLike,
        inputs: list[groups.RepresentationLike],
        output: groups.RepresentationLike,
        learning_rate: float = 1e-3,
    ) -> None:
        self.scale = 1.0
        parts = [representations.get(part, group) for part in (output, "trivial")]
        self.network = vector_network(group, inputs, parts[0] + parts[1], HIDDEN)
        _compile(self.network, _surprise, learning_rate)

    def fit(
        self,
        inputs: list[np.ndarray],
        outputs: np.ndarray,
        updates: int,
        batch_size: int,
        rng: np.random.Generator,
    ) -> None:
        """Takes steps of gradient descent on the surprise of outputs `(n, size)` given inputs."""
        self.scale = float(np.sqrt(np.mean(np.square(outputs)))) or 1.0
        rows = rng.integers(0, len(outputs), updates * batch_size)
        _fit(self.network, [x[rows] for x in inputs], outputs[rows] / self.scale, batch_size)

    def sample(
        self, inputs: list[np.ndarray], rng: np.random.Generator, widened: float = 0.0
    ) -> np.ndarray:
        """Samples `(n, size)`, one per input.

        Args:
            inputs: Vectors `(n, ...)`.
            rng: Generator.
            widened: Standard deviation of what is added to a sample.
        """
        given = _gaussian(self.network.predict_on_batch(_few(inputs)))
        deviation = tf.sqrt(tf.square(given.stddev() * self.scale) + widened**2)
        drawn = tfp.distributions.Normal(given.mean() * self.scale, deviation)
        return drawn.sample(seed=tf.constant(rng.integers(0, 2**31, 2), tf.int32)).numpy()


class BackwardModel:
    """A model of the action that led to a state, p(a | s'), and of where from, p(s | s', a).

    Args:
        world: The `World`.
        noise: Standard deviation of what is added to actions drawn, so that they lead to a tube
            about the demonstrations.
        learning_rate: Learning rate of Adam.

    Reference: Park and Wong (2022), section 4.1.
    """

    def __init__(self, world: World, noise: float = 1.0, learning_rate: float = 1e-3) -> None:
        self.world, self.noise = world, noise
        self.actions = Gaussian(world.group, [world.states], world.actions, learning_rate)
        both = [world.states, world.actions]
        self.changes = Gaussian(world.group, both, world.states, learning_rate)

    def fit(self, steps: Steps, updates: int, batch_size: int, rng: np.random.Generator) -> None:
        """Learns from steps, half the updates for each of the two Gaussians."""
        after, change = steps.next_states, steps.states - steps.next_states
        first = max(1, updates // 2)
        self.actions.fit([after], steps.actions, first, batch_size, rng)
        self.changes.fit([after, steps.actions], change, max(1, updates - first), batch_size, rng)

    def imagine(
        self, policy: keras.Model, steps: Steps, length: int, rng: np.random.Generator
    ) -> Steps:
        """Goes back from every demonstrated state, `length` times; the policy is not asked."""
        made, after = [], steps.states
        for _ in range(length):
            actions = self.actions.sample([after], rng, self.noise)
            actions = np.clip(actions, -self.world.reach, self.world.reach)
            before = after + self.changes.sample([after, actions], rng)
            made.append(Steps(before, actions, after))
            after = before
        return Steps.joined(made)


class ForwardModel:
    """A model of where a step leads, p(s' | s, a), with which a backward one is compared.

    Args:
        world: The `World`.
        noise: Standard deviation of what is added to the policy's actions.
        learning_rate: Learning rate of Adam.
    """

    def __init__(self, world: World, noise: float = 1.0, learning_rate: float = 1e-3) -> None:
        self.world, self.noise = world, noise
        both = [world.states, world.actions]
        self.changes = Gaussian(world.group, both, world.states, learning_rate)

    def fit(self, steps: Steps, updates: int, batch_size: int, rng: np.random.Generator) -> None:
        """Learns from steps."""
        change = steps.next_states - steps.states
        self.changes.fit([steps.states, steps.actions], change, updates, batch_size, rng)

    def imagine(
        self, policy: keras.Model, steps: Steps, length: int, rng: np.random.Generator
    ) -> Steps:
        """Follows the policy, with noise, from every demonstrated state, `length` times."""
        made, states = [], steps.states
        for _ in range(length):
            actions = policy.predict_on_batch(states)
            tried = actions + self.noise * rng.standard_normal(actions.shape)
            tried = np.clip(tried, -self.world.reach, self.world.reach)
            after = states + self.changes.sample([states, tried], rng)
            made.append(Steps(states, actions, after))
            states = after
        return Steps.joined(made)


@dataclasses.dataclass(frozen=True)
class Schedule:
    """The length of a training, and of what it is fed with.

    Attributes:
        epochs: Epochs, of each of which the model's steps are made anew.
        updates: Updates of the policy per epoch, and of the model, where there is one.
        batch_size: Demonstrated steps per update; the model adds as many.
        first: The share of the epochs after which the model's steps come in.
        length: The longest traces; they grow from 1 to it from then on.
    """

    epochs: int = 120
    updates: int = 50
    batch_size: int = 64
    first: float = 1 / 12
    length: int = 8

    def length_at(self, epoch: int) -> int:
        """The length of traces in an epoch, 0 before the first."""
        first = round(self.first * self.epochs)
        if epoch < first:
            return 0
        progress = (epoch - first) / max(1, self.epochs - 1 - first)
        return round(1 + progress * (self.length - 1))


def make_policy(world: World, learning_rate: float = 1e-3) -> keras.Model:
    """A network from states `(n, size)` to actions `(n, size)`, compiled."""
    policy = vector_network(world.group, [world.states], world.actions, HIDDEN, name="policy")
    _compile(policy, "mse", learning_rate)
    return policy


def imitate(
    policy: keras.Model,
    demonstrations: Steps,
    schedule: Schedule,
    rng: np.random.Generator,
    model: Model | None = None,
) -> None:
    """Trains a policy to act as demonstrated.

    Args:
        policy: A compiled model from states to actions.
        demonstrations: Steps of an expert.
        schedule: See `Schedule`.
        rng: Generator.
        model: What makes steps to imitate as well, fitted to the demonstrations in every epoch;
            None for behaviour cloning.

    Raises:
        ValueError: If there are no demonstrations, or they are not vectors, finite and as many of
            each.
    """
    _check(demonstrations)
    for epoch in range(schedule.epochs):
        parts = [demonstrations]
        if model is not None:
            model.fit(demonstrations, schedule.updates, schedule.batch_size, rng)
            if length := schedule.length_at(epoch):
                parts.append(model.imagine(policy, demonstrations, length, rng))
        rows = [
            rng.integers(0, len(part), (schedule.updates, schedule.batch_size)) for part in parts
        ]
        pairs = [(p.states[r], p.actions[r]) for p, r in zip(parts, rows, strict=True)]
        states, actions = (np.concatenate(each, axis=1) for each in zip(*pairs, strict=True))
        size = schedule.batch_size * len(parts)
        _fit(policy, [_flat(states)], _flat(actions), size)


def _check(steps):
    if not len(steps):
        raise ValueError("Expected `demonstrations` to hold steps; received none.")
    for name, given in vars(steps).items():
        if np.ndim(given) != 2 or len(given) != len(steps):
            raise ValueError(
                f"Expected `{name}` to have shape ({len(steps)}, size); received shape "
                f"{np.shape(given)}."
            )
        if not np.isfinite(given).all():
            raise ValueError(f"Expected `{name}` to be finite; received NaN or infinity.")


def _flat(x):
    return x.reshape(-1, *x.shape[2:])


def _compile(network, loss, learning_rate):
    adam = keras.optimizers.Adam(learning_rate)
    network.compile(adam, loss=loss, steps_per_execution=EXECUTED)
    # Or the first step is traced twice. Under mixed_float16 it is that of loss scaling.
    network.optimizer.build(network.trainable_variables)


def _fit(network, inputs, outputs, batch_size):
    """One epoch over batches that are already drawn."""
    network.fit(_few(inputs), outputs, batch_size=batch_size, shuffle=False, verbose=0)


def _few(inputs):
    """A list of arrays as a network takes it; the array alone if it is one."""
    return inputs if len(inputs) > 1 else inputs[0]


def _gaussian(outputs: Any) -> tfp.distributions.Normal:
    """Independent Gaussians, of one standard deviation, of a network's outputs `(n, size + 1)`."""
    deviation = LEAST + ops.softplus(outputs[:, -1:])
    mean = outputs[:, :-1]
    return tfp.distributions.Normal(mean, deviation * ops.ones_like(mean))


def _surprise(truth, outputs):
    """The negative log-likelihood `(n,)` of vectors."""
    return -tf.reduce_sum(_gaussian(outputs).log_prob(truth), axis=-1)
