"""TD-MPC whose networks commute with a group: a latent model, values, and a planner that uses both.

Observations are encoded as functions on the group; rewards and values are invariant, next states
and the policy's actions turn with the world. With noise that is turned by the group as well (see
`planning.mppi`), whole episodes from turned starts are turned, number for number.

Reference: Hansen et al., Temporal Difference Learning for Model Predictive Control (2022); Zhao et
al., Can Euclidean Symmetry be Leveraged in Reinforcement Learning and Planning? (2023, arXiv
2307.08226), whose code is not public.
"""

import dataclasses
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from sen_tf import groups
from sen_tf.agents.networks import fields, vector_network
from sen_tf.agents.replay import Pieces
from sen_tf.groups import representations
from sen_tf.planning import mppi, noise_orbit
from sen_tf.planning.discrete import check_sizes
from sen_tf.tensors import Tensor

WEIGHTS = {"consistency": 2.0, "reward": 0.5, "value": 0.1}
"""Weights of the terms of the loss."""
LATER = 0.5
"""The weight of a step in the loss, where that of the step before is 1."""


@keras.saving.register_keras_serializable("sen_tf")
class TDMPC(keras.Model):
    """The networks of TD-MPC; called on observations, it gives the policy's actions.

    Actions are vectors no longer than 1. After `compile(optimizer)` it is trained, on one device,
    with `train_on_batch(pieces._asdict())`, pieces as `Replay.sample` draws them; `fit` and
    `evaluate` take them too, alone: their losses are the agent's own.

    Args:
        group: Group that acts, such as `"D4"`; `"C1"` for plain networks.
        observation: Its representation on observations, such as `"2 standard"`.
        action: Its representation on actions.
        latent: Size of a latent state of a plain network; of a group of n elements it has
            `latent / sqrt(n)` regular fields.
        hidden: Width of the two hidden layers of each plain network; see `vector_network`.
        discount: Discount of rewards, at least 0 and below 1.
        kept: The share of themselves that target networks keep per step, from 0 to 1.

    Input shape: `(batch, observation)`.

    Output shape: `(batch, action)`.

    Raises:
        ValueError: For a representation of another group, or numbers out of their range.

    Example:
        >>> agent = TDMPC("D4", "2 standard", "standard")
        >>> agent(keras.ops.ones((1, 4))).shape
        TensorShape([1, 2])
    """

    def __init__(
        self,
        group: groups.GroupLike,
        observation: groups.RepresentationLike,
        action: groups.RepresentationLike,
        latent: int = 32,
        hidden: int = 64,
        discount: float = 0.95,
        kept: float = 0.99,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.group = groups.get(group)
        self.observation = representations.get(observation, self.group)
        self.action = representations.get(action, self.group)
        if not (0 <= discount < 1 and 0 <= kept <= 1):
            raise ValueError(
                "Expected `discount` to be at least 0 and below 1, and `kept` from 0 to 1; "
                f"received discount={discount!r}, kept={kept!r}."
            )
        self.latent, self.hidden = latent, hidden
        self.discount, self.kept = discount, kept
        state, both = fields(latent, self.group), [fields(latent, self.group), self.action]

        def network(inputs, output, name):
            widths = (hidden, hidden)
            return vector_network(self.group, inputs, output, widths, self.dtype_policy, name)

        self.encoder = network([self.observation], state, "encoder")
        self.dynamics = network(both, state, "dynamics")
        self.reward = network(both, "trivial", "reward")
        self.values = [network(both, "trivial", f"value_{k}") for k in range(2)]
        self.policy = network([state], self.action, "policy")
        self.target_encoder = network([self.observation], state, "target_encoder")
        self.target_values = [network(both, "trivial", f"target_value_{k}") for k in range(2)]
        for slow, fast in self._targets():
            slow.trainable = False
            slow.set_weights(fast.get_weights())
        self._means = {
            name: keras.metrics.Mean(name=name, dtype="float32")
            for name in ("loss", *WEIGHTS, "regret")
        }
        self(keras.KerasTensor((None, self.observation.dimension)))  # `export` asks for a call

    def _targets(self):
        slow = [self.target_encoder, *self.target_values]
        return list(zip(slow, [self.encoder, *self.values], strict=True))

    def call(self, inputs: Tensor) -> Tensor:
        return self.act(self.encoder(inputs))

    def act(self, states: Tensor) -> Tensor:
        """The policy's actions (n, action), no longer than 1, at latent states."""
        raw = self.policy(states)
        length = ops.sqrt(ops.sum(ops.square(raw), axis=-1, keepdims=True) + 1e-12)
        return raw * ops.tanh(length) / length

    def step(self, states: Tensor, actions: Tensor) -> Tensor:
        """The latent states that follow."""
        return states + self.dynamics([states, actions])

    def value(self, states: Tensor, actions: Tensor, networks: list[keras.Model]) -> Tensor:
        """The lesser of two values (n,)."""
        return ops.minimum(*(network([states, actions])[:, 0] for network in networks))

    def returns(self, states: Tensor, sequences: Tensor) -> Tensor:
        """Discounted returns (n,) of action sequences (n, horizon, action), the rest as valued."""
        total, factor = 0.0, 1.0
        for actions in tf.unstack(sequences, axis=1):
            total += factor * self.reward([states, actions])[:, 0]
            states, factor = self.step(states, actions), factor * self.discount
        return total + factor * self.value(states, self.act(states), self.values)

    def proposals(self, states: Tensor, noise: Tensor) -> Tensor:
        """Action sequences (n, horizon, action) of the policy, to which noise is added."""
        made = []
        for noise_now in tf.unstack(noise, axis=1):
            actions = tf.clip_by_norm(self.act(states) + noise_now, 1.0, axes=[-1])
            made.append(actions)
            states = self.step(states, actions)
        return tf.stack(made, axis=1)

    def learned(self) -> list[Any]:
        """The weights that the optimizer changes: of networks that predict, then the policy's."""
        predicting = [self.encoder, self.dynamics, self.reward, *self.values]
        return [w for part in [*predicting, self.policy] for w in part.trainable_weights]

    def compile(
        self,
        optimizer: str | keras.Optimizer = "rmsprop",
        loss: None = None,
        loss_weights: None = None,
        metrics: None = None,
        weighted_metrics: None = None,
        **arguments: Any,
    ) -> None:
        """As in Keras, without losses and metrics, of which the agent has its own.

        Raises:
            ValueError: If there are others.
        """
        _refuse(
            "for losses and metrics are the agent's own",
            loss=loss,
            loss_weights=loss_weights,
            metrics=metrics,
            weighted_metrics=weighted_metrics,
        )
        super().compile(optimizer, **arguments)
        self.optimizer.build(self.learned())  # or the first step is traced twice, 8 s each

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compiles a loaded agent as it was when it was saved."""
        self.compile(**keras.saving.deserialize_keras_object(config))

    @property
    def metrics(self) -> list[keras.Metric]:
        return list(self._means.values())

    def train_step(self, data: Any) -> dict[str, Any]:
        """One step of gradient descent on pieces of episodes, and of the target networks."""
        pieces = self._pieces(data)
        with tf.GradientTape() as tape:
            terms, states = self._terms(pieces)
            scaled = self.optimizer.scale_loss(terms["loss"])
        with tf.GradientTape() as second:
            regret = self._regret(pieces, states)
            scaled_regret = self.optimizer.scale_loss(regret)
        learned, actor = self.learned(), self.policy.trainable_weights
        predicting = learned[: len(learned) - len(actor)]
        gradients = tape.gradient(scaled, [w.value for w in predicting])
        gradients += second.gradient(scaled_regret, [w.value for w in actor])
        self.optimizer.apply(gradients, learned)
        for slow, fast in self._targets():
            for old, new in zip(slow.weights, fast.weights, strict=True):
                old.assign(self.kept * old + (1 - self.kept) * new)
        return self._results(pieces, {**terms, "regret": regret})

    def test_step(self, data: Any) -> dict[str, Any]:
        """The numbers of a training step, without learning."""
        pieces = self._pieces(data)
        terms, states = self._terms(pieces)
        return self._results(pieces, {**terms, "regret": self._regret(pieces, states)})

    def _pieces(self, data):
        """The pieces of episodes that a step is given, in the dtype of the weights."""
        given, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        _refuse(
            "for the agent learns from pieces of episodes alone", y=y, sample_weight=sample_weight
        )
        if not isinstance(given, dict) or set(given) != set(Pieces._fields):
            raise ValueError(
                f"Expected `x` to be a dict of {', '.join(Pieces._fields)}; received "
                f"{list(given) if isinstance(given, dict) else type(given).__name__}."
            )
        pieces = Pieces(**{name: ops.cast(x, self.variable_dtype) for name, x in given.items()})
        steps = [x.shape[1] for x in pieces]
        if None in steps:  # Keras traces a second length for all lengths at once
            raise ValueError(
                "Expected pieces of as many steps as before; `compile` the agent again to use "
                "others."
            )
        if steps != [steps[1] + 1, steps[1], steps[1]]:
            raise ValueError(
                "Expected `observations` to be of one step more than `actions` and `rewards`; "
                f"received {steps} steps."
            )
        return pieces

    def _terms(self, pieces):
        """The loss and the terms that it is made of, and states to act at."""
        errors, states = self._errors(pieces)
        terms = {name: self._weighted(pieces, error) for name, error in errors.items()}
        return {"loss": sum(WEIGHTS[name] * term for name, term in terms.items()), **terms}, states

    def _regret(self, pieces, states):
        """The loss of the policy: the negative values of its actions."""
        return -self._weighted(pieces, self.value(states, self.act(states), self.values))

    def _weighted(self, pieces, errors):
        """The sum over steps, later ones weighing less, of means over pieces."""
        count, steps = ops.shape(pieces.rewards)[0], pieces.rewards.shape[1]
        weights = tf.repeat(ops.cast(LATER ** np.arange(steps), errors.dtype), count)
        return ops.sum(weights * errors) / ops.cast(count, errors.dtype)

    def _results(self, pieces, numbers):
        """The means, over pieces, of all batches since the last reset."""
        for name, value in numbers.items():
            self._means[name].update_state(value, sample_weight=ops.shape(pieces.rewards)[0])
        return self.get_metrics_result()

    def _errors(self, pieces):
        """Squared errors (steps * n,), step by step, and predicted states, cut off from them."""
        seen, actions, rewards = (ops.swapaxes(x, 0, 1) for x in pieces)  # steps first
        states = [self.encoder(seen[0])]
        for action in tf.unstack(actions):
            states.append(self.step(states[-1], action))
        z, predicted = ops.concatenate(states[:-1]), ops.concatenate(states[1:])
        after = ops.reshape(seen[1:], (-1, seen.shape[-1]))
        actions = ops.reshape(actions, (-1, actions.shape[-1]))
        rewards = ops.reshape(rewards, (-1,))
        there = self.encoder(after)
        later = self.value(there, self.act(there), self.target_values)
        wanted = tf.stop_gradient(rewards + self.discount * later)
        encoded = tf.stop_gradient(self.target_encoder(after))
        both = [z, actions]
        errors = {
            "consistency": ops.mean(ops.square(predicted - encoded), axis=(1, 2)),
            "reward": ops.square(self.reward(both)[:, 0] - rewards),
            "value": sum(ops.square(network(both)[:, 0] - wanted) for network in self.values),
        }
        return errors, tf.stop_gradient(z)

    def get_config(self) -> dict[str, Any]:
        for network in (self.encoder, self.dynamics):
            network.get_config()  # its doors refuse representations that no name makes
        return {
            **super().get_config(),
            "group": self.group.config,
            "observation": self.observation.name,
            "action": self.action.name,
            "latent": self.latent,
            "hidden": self.hidden,
            "discount": self.discount,
            "kept": self.kept,
        }


def _refuse(reason, **arguments):
    """Raises a ValueError for arguments that are given and would not be heeded."""
    for name, value in arguments.items():
        if value is not None:
            raise ValueError(f"Expected `{name}` to be None, {reason}; received {name}={value!r}.")


@dataclasses.dataclass(frozen=True)
class Search:
    """The settings of a search for actions.

    Attributes:
        horizon: Steps of a plan.
        samples: Sequences per iteration, those of the policy among them.
        proposals: Sequences of the policy.
        iterations: How often the mean is set anew.
        elites: The best sequences, of which the next mean is made.
        noise: Standard deviation of what is added to the policy's actions.
    """

    horizon: int = 5
    samples: int = 72
    proposals: int = 24
    iterations: int = 3
    elites: int = 16
    noise: float = 0.3

    def __post_init__(self) -> None:
        check_sizes(horizon=self.horizon, iterations=self.iterations, elites=self.elites)
        if not 0 <= self.proposals < self.samples:
            raise ValueError(
                "Expected `proposals` to be at least 0 and below `samples`; received "
                f"proposals={self.proposals!r}, samples={self.samples!r}."
            )


class Planner:
    """Acts by planning with a `TDMPC` in one world; each plan begins with what the last one left.

    Noise is turned by the agent's group, in whole orbits: where a number of sequences is no
    multiple of its order, there are more.

    Args:
        agent: The networks.
        search: See `Search`.
    """

    def __init__(self, agent: TDMPC, search: Search | None = None) -> None:
        self.agent, self.search = agent, search or Search()
        self.matrices = agent.action.matrices
        self._returns, self._propose = tf.function(agent.returns), tf.function(agent.proposals)
        self._encode = tf.function(agent.encoder)
        self.forget()

    def _orbits(self, count):
        return -(-count // len(self.matrices))

    def forget(self) -> None:
        """Begins an episode: no plan is known."""
        self._mean = np.zeros((self.search.horizon, self.agent.action.dimension))

    def act(
        self, observation: np.ndarray, rng: np.random.Generator, explores: float = 0.0
    ) -> np.ndarray:
        """The action (size,) for an observation (size,).

        Args:
            observation: The observation.
            rng: Generator.
            explores: Standard deviation of what is added to the action, the least of the search.

        Raises:
            ValueError: For an observation of another size than the agent's.
        """
        search, dtype = self.search, self.agent.variable_dtype
        if np.shape(observation) != (self.agent.observation.dimension,):
            raise ValueError(
                f"Expected `observation` to have shape ({self.agent.observation.dimension},), as "
                f"the agent's representation of it; received shape {np.shape(observation)}."
            )
        state = self._encode(tf.constant(observation[None], dtype))

        def values(sequences):
            tiled = tf.repeat(state, len(sequences), axis=0)
            return self._returns(tiled, tf.constant(sequences, dtype)).numpy()

        shape = (self._orbits(search.proposals), *self._mean.shape)
        noise = noise_orbit(search.noise * rng.standard_normal(shape), self.matrices)
        tiled = tf.repeat(state, len(noise), axis=0)
        proposals = self._propose(tiled, tf.constant(noise, dtype)).numpy()
        plan = mppi(
            values,
            self._mean,
            rng=rng,
            samples=self._orbits(search.samples - search.proposals) * len(self.matrices),
            proposals=proposals,
            iterations=search.iterations,
            elites=search.elites,
            matrices=self.matrices,
            deviations=(0.5, max(0.05, explores)),
        )
        self._mean = np.concatenate([plan.mean[1:], np.zeros_like(plan.mean[:1])])
        action = plan.mean[0] + explores * rng.standard_normal(len(plan.mean[0]))
        return action / max(1.0, float(np.linalg.norm(action)))
