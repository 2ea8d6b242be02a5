"""Reaching goal images with a saved world model: the settings, and how a model and they are used.

Where an environment has a few actions, plans are searched among them, else they are drawn.
"""

import dataclasses
import functools
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import gymnasium
import numpy as np
import PIL.Image

from sen_tf import planning
from sen_tf.envs import EnvLike, own
from sen_tf.experiments import drawing, goal_tasks
from sen_tf.groups import rotations
from sen_tf.planning import GoalPolicy, Places, Plan
from sen_tf.planning.control import EXECUTED
from sen_tf.planning.places import REACHED
from sen_tf.settings import UsageError, setting
from sen_tf.training.scoring import Latents

ROWS = 2048
"""States that a model predicts at once."""
MEASURED = 2048
"""Moves by which the length of a move and the places of objects are measured."""
APIECE = 4
"""Such moves per episode."""
PAIRED = 512
"""States, of which all pairs are compared, to measure how near to a goal is near enough."""
DRAWN, ITERATIONS = 64, 4
"""Sequences that are drawn at once, and how often."""


@dataclasses.dataclass(frozen=True)
class Planning:
    """Planning."""

    planner: str = setting(
        "beam",
        "How plans are made where there are a few actions: beam; greedy, a beam of one; cem "
        "(categorical) or random, with as many predictions as the beam. Elsewhere by MPPI.",
        choices=("beam", "greedy", "cem", "random"),
    )
    mode: str = setting(
        "mpc",
        "mpc: plan, take three actions, look, and plan again, where what did nothing is not done "
        "again; open: make one plan, and follow it with closed eyes.",
        choices=("mpc", "open"),
    )
    width: int = setting(8, "States that a beam keeps.", at_least=1)
    horizon: int = setting(6, "Actions per plan, in mpc mode.", at_least=1)


class Planner:
    """Makes policies with a model, and counts the states that it predicts.

    Args:
        model: A world model.
        env: The environment, or one like it.
        settings: The settings.
        unseen: The numbers of the actions that training did not have; no move is measured by them.
        seed: Seed of what is drawn.

    Attributes:
        places: The length of a move, and the places of objects, as the model sees them.
        predictions: States predicted so far.

    Raises:
        UsageError: If no move of training changes a state, or the environment cannot be acted in.
    """

    def __init__(
        self,
        model: Any,
        env: EnvLike,
        settings: Planning,
        unseen: Sequence[int] = (),
        seed: int = 0,
    ) -> None:
        self.latents, self.env, self.settings = Latents(model, ROWS), env, settings
        self.rng = np.random.default_rng(seed)
        self.choices = choices_of(env)
        self.predictions = 0
        before, after, states = moves_of(env, MEASURED, self.rng, unseen)
        first, then = np.split(self.latents.encode(np.concatenate([before, after])), 2)
        try:
            self.places = Places.of(first, then, env.objects or 1, env.objects is not None)
        except ValueError as error:
            raise UsageError(f"no plan can be made with this model: {error}") from error
        if getattr(env, "goal_tolerance", 0) and not len(self.choices) and states[0] is not None:
            seen = self.latents.encode(goal_tasks.at_rest(before[:PAIRED], env))
            self.places = dataclasses.replace(
                self.places, unit=tolerated(env, states[:PAIRED], seen) / REACHED
            )

    def policy(self, goals: np.ndarray, longest: int) -> GoalPolicy:
        """A policy to goal images `(n, ...)`; in open mode plans have at most `longest` actions.

        Its actions are numbered from 0; `envs.own.as_taken` says what `step` takes.
        """
        looks = self.settings.mode == "mpc"
        plan = self._planning(self.settings.horizon if looks else longest)
        encode, step = self.latents.encode, self.step
        executed = EXECUTED if len(self.choices) else 1  # what is drawn passes a goal by
        return GoalPolicy(plan, encode, step, self.places, goals, self.choices, looks, executed)

    def plan(self, starts: np.ndarray, goals: np.ndarray, longest: int) -> list[Plan]:
        """Plans of at most `longest` actions between images `(n, ...)`."""
        states, ends = (self.places.nearest(self.latents.encode(x)) for x in (starts, goals))
        plans = self._planning(longest)(states, ends, None)
        there = self.places.near(states, ends)
        return [
            Plan(plan.actions[:0], True) if at else plan
            for plan, at in zip(plans, there, strict=True)
        ]

    def step(self, states: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """The model's step, counted."""
        self.predictions += len(states)
        return self.latents.step(states, actions)

    def _planning(self, horizon):
        """A function from states, goals and what is forbidden to plans; see `planning.control`."""
        if len(self.choices):
            return self._search(horizon)
        return self._turns if self._rotates else self._drawing(horizon)

    def _search(self, horizon):
        kind = self.settings.planner
        width = 1 if kind == "greedy" else self.settings.width
        per_action = width * len(self.choices)  # predictions, whichever planner
        drawn: dict[str, Any] = {"samples": per_action, "rng": self.rng}
        planners: dict[str, tuple[Callable[..., list[Plan]], dict[str, Any]]] = {
            "beam": (planning.beam_search, {"width": width}),
            "greedy": (planning.beam_search, {"width": width}),
            "random": (planning.random_shooting, drawn),
            "cem": (planning.categorical_cem, drawn | _of_cem(per_action)),
        }
        function, options = planners[kind]
        search = functools.partial(function, self.step, self.places, horizon=horizon, **options)

        def plan(states, goals, forbidden):
            return search(states, goals, self.choices, forbidden=forbidden)

        return plan

    def _turns(self, states, goals, forbidden):
        """The turns between rotations, where the model agrees that they lead there; else drawn."""
        turns = goals @ np.swapaxes(states, -1, -2)
        agreed = self.places.near(self.step(states, turns), goals)
        return [
            Plan(turn[None], True) if right else self._draw(state, goal, 1)
            for turn, right, state, goal in zip(turns, agreed, states, goals, strict=True)
        ]

    def _drawing(self, horizon):
        def plan(states, goals, forbidden):
            return [self._draw(*each, horizon) for each in zip(states, goals, strict=True)]

        return plan

    def _draw(self, state, goal, horizon):
        """The plan of one task, drawn by MPPI."""
        decode = rotations.exp if self._rotates else self._in_bounds

        def distances(states, goals):
            return self.places.distances(states, goals).sum(axis=1)

        radius, size = (np.pi, 3) if self._rotates else (1.0, self.env.action_space.shape[0])

        def on_the_way(vectors):
            return _on_the_way(self.step, distances, state, goal, decode(vectors))

        drawn = planning.mppi(
            lambda vectors: -on_the_way(vectors).min(axis=0),
            np.zeros((horizon, size)),
            rng=self.rng,
            samples=DRAWN,
            iterations=ITERATIONS,
            limit="ball" if self._rotates else "box",
            radius=radius,
            deviations=(radius / 2, radius / 20),
        )
        passed = on_the_way(drawn.mean[None])[:, 0]
        nearest = int(np.argmin(passed))  # what follows it is noise
        return Plan(decode(drawn.mean[: nearest + 1]), bool(passed[nearest] < REACHED))

    def _in_bounds(self, vectors):
        """Actions within the bounds of the environment, of numbers from -1 to 1."""
        space = self.env.action_space
        actions = space.low + (space.high - space.low) * (vectors + 1) / 2
        return np.clip(actions, space.low, space.high).astype(space.dtype)

    @property
    def _rotates(self):
        return self.env.action_space.shape == (3, 3)


def choices_of(env: EnvLike) -> np.ndarray:
    """The actions of an environment that has a few; else none."""
    if isinstance(env.action_space, gymnasium.spaces.Discrete):
        return np.arange(env.action_space.n)
    return getattr(env, "choices", np.zeros((0, *env.action_space.shape)))


def moves_of(
    env: EnvLike, count: int, rng: np.random.Generator, unseen: Sequence[int] = ()
) -> tuple[np.ndarray, np.ndarray, list[Any]]:
    """Images before and after moves that changed them, and the states before.

    Args:
        env: The environment.
        count: How many moves, at most: as many actions are taken.
        rng: Generator.
        unseen: Numbers of the actions that are not taken.

    Returns:
        Images `(n, ...)` twice, and what the environment told as `info["state"]` of the first, a
        list of None where that is nothing.

    Raises:
        UsageError: If the environment is known by recorded episodes alone, or nothing moves in it.
    """
    if not hasattr(env, "step"):
        raise UsageError(
            f"no one can act in {env.name}, of which there are recorded episodes alone"
        )
    env.action_space.seed(int(rng.integers(2**31)))
    allowed = np.setdiff1d(np.arange(env.action_space.n), unseen) if len(unseen) else None
    before, after, states, ended = [], [], [], False
    for number in range(count):
        if number % APIECE == 0 or ended:
            image, info = env.reset(seed=int(rng.integers(2**31)))
            image = np.array(image)  # a copy: the next one may be drawn over it
        drawn = None if allowed is None else rng.choice(allowed)
        action = env.action_space.sample() if drawn is None else own.as_taken(env, drawn)
        then, _, terminated, truncated, told = env.step(action)
        then = np.array(then)
        ended = terminated or truncated
        if not np.array_equal(then, image):
            before.append(image)
            after.append(then)
            states.append(goal_tasks.told_state(info))
        image, info = then, told
    if not before:
        raise UsageError(f"no plan can be made: {count} actions of {env.name} changed no image")
    return np.stack(before), np.stack(after), states


def tolerated(env: EnvLike, states: Sequence[Any], latents: np.ndarray) -> float:
    """The distance between latent states where an environment's error is what a goal tolerates.

    Args:
        env: An environment with `goal_errors` and a `goal_tolerance`.
        states: States of the environment, n of them.
        latents: The latent states of their images, `(n, ...)`.

    Raises:
        UsageError: If no two states are as near to each other.
    """
    one, other = np.triu_indices(len(states), 1)
    errors = env.goal_errors(np.stack(states)[one], np.stack(states)[other])
    alike = np.abs(errors / env.goal_tolerance - 1) < 0.25
    if not alike.any():
        raise UsageError(
            f"no plan can be made: of {len(states)} states of {env.name} no two are near"
        )
    flat = latents.reshape(len(latents), -1)
    return float(np.median(np.linalg.norm(flat[one[alike]] - flat[other[alike]], axis=1)))


def simulated_errors(
    env: EnvLike, tasks: Sequence[goal_tasks.Task], budget: int, horizon: int, seed: int = 0
) -> np.ndarray:
    """The errors `(n,)` at which MPPI stops that is given the environment itself for a model.

    It knows states and errors, where others see images: a bound on what planning can reach.

    Args:
        env: An environment on batches of states, whose actions are vectors between -1 and 1.
        tasks: The tasks.
        budget: Actions per task.
        horizon: Actions per plan, of which one is taken.
        seed: Seed of what is drawn.
    """
    rng = np.random.default_rng(seed)
    return np.array([_simulated_error(env, task, budget, horizon, rng) for task in tasks])


def _simulated_error(env, task, budget, horizon, rng):
    state, goal = task.start_state, task.goal_state
    mean = np.zeros((horizon, env.action_space.shape[0]))

    def values(sequences):
        return -_on_the_way(env.step_states, env.goal_errors, state, goal, sequences).min(axis=0)

    def error():
        return env.goal_errors(state[None], goal[None])[0]

    for _ in range(budget):
        if error() <= env.goal_tolerance:
            break
        mean = planning.mppi(
            values, mean, rng=rng, samples=DRAWN, iterations=ITERATIONS, limit="box"
        ).mean
        state = env.step_states(state[None], np.clip(mean[:1], -1, 1))[0]  # means are rounded
        mean = np.concatenate([mean[1:], np.zeros_like(mean[:1])])
    return error()


def _on_the_way(step, distances, state, goal, sequences):
    """The distances `(horizon, n)` to a goal on the way of sequences `(n, horizon, ...)`."""
    states, goals = (np.repeat(each[None], len(sequences), axis=0) for each in (state, goal))
    found = []
    for actions in np.moveaxis(sequences, 1, 0):
        states = step(states, actions)
        found.append(distances(states, goals))
    return np.stack(found)


def numbers_of(env: EnvLike, names: Sequence[str]) -> tuple[int, ...]:
    """The numbers of actions with these names; none where actions are not numbered."""
    if not isinstance(env.action_space, gymnasium.spaces.Discrete):
        return ()
    return tuple(n for name in names for n in own.named(env, name))


def read_image(path: str | pathlib.Path, shape: Sequence[int]) -> np.ndarray:
    """An image file as models take it, uint8 of a shape `(rows, columns, channels)`.

    Where images are of several frames, all of them are this one: a world at rest.

    Raises:
        UsageError: For a file that is no image, or one of another size.
    """
    try:
        with PIL.Image.open(path) as image:
            pixels = np.asarray(image.convert("L" if shape[-1] % 3 else "RGB"))
    except OSError as error:
        raise UsageError(f"{path} is no image that can be read: {error}") from error
    if pixels.shape[:2] != tuple(shape[:2]):
        sizes = (" x ".join(map(str, each[:2])) for each in (pixels.shape, shape))
        raise UsageError("{} has {} pixels, and the model takes {}".format(path, *sizes))
    frame = pixels.reshape(*shape[:2], -1)
    return np.tile(frame, shape[-1] // frame.shape[-1])


def words_of(env: EnvLike, action: Any) -> str:
    """An action in words: its number, name and object, or its numbers."""
    if np.ndim(action):
        rows = np.array2string(np.asarray(action), precision=3, suppress_small=True, separator=", ")
        return " ".join(rows.split())
    ((name,),) = drawing.action_names(env, np.array([[action]])) or [[str(action)]]
    number = own.as_taken(env, action)
    if not env.objects:
        return f"{number} ({name})"
    return f"{number} ({name}, object {action * env.objects // env.action_space.n + 1})"


def _of_cem(predictions):
    """Iterations and elites of CEM, and samples: as many predictions per action as these."""
    samples = max(1, predictions // ITERATIONS)
    return {"samples": samples, "iterations": ITERATIONS, "elites": max(1, samples // 8)}
