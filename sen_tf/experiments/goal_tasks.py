"""Tasks of reaching a goal image, in any Gymnasium environment, and how they end.

A task begins where `reset(seed=...)` does, and its goal is the image some moves later, at rest
where an image is of several frames. Whoever acts is shown images alone.
"""

import copy
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import gymnasium
import numpy as np

from sen_tf.datasets.progress import progress
from sen_tf.envs import EnvLike, own
from sen_tf.planning import GoalPolicy, reach
from sen_tf.settings import UsageError

UNIFORM = 200
"""Moves after which a board is as good as drawn anew: its objects' places are so to 2 %."""
MOST = 40
"""Actions that such goals allow; others allow two per move, and four."""
TRIES = 100
"""Random actions, one after the other, of which one must change the image; and as many starts, of
which one must lead to a goal before the episode ends."""
PARTS = {
    "success_needing_unseen": "that need an unseen move",
    "success_needing_seen": "that need none",
}
"""Success where the environment knows which moves a goal needs, and some were not trained."""

MakeEnv: TypeAlias = Callable[[], gymnasium.Env]


@dataclasses.dataclass(frozen=True)
class Task:
    """A start and a goal.

    Attributes:
        seed: The seed of `reset` that leads to the start.
        start, goal: Images.
        start_state, goal_state: What the environment tells as `info["state"]`; None if nothing.
        needs: How often each action is needed at least, as `needed_moves` of the environment; None
            without that.
    """

    seed: int
    start: np.ndarray
    goal: np.ndarray
    start_state: Any
    goal_state: Any
    needs: np.ndarray | None


def distances_of(names: Sequence[str], env: EnvLike) -> dict[str, int]:
    """Moves between start and goal by name: numbers, and `uniform`; the usual ones without names.

    Raises:
        UsageError: For a name that is neither.
    """
    names = names or (("1", "4", "8", "uniform") if env.objects else ("1", "2", "4"))
    if "uniform" in names and not env.objects:
        raise UsageError("--moves=uniform is for boards with objects; give numbers here")
    for name in names:
        if name != "uniform" and not (name.isdigit() and int(name) >= 1):
            raise UsageError(f"--moves takes numbers from 1 on and uniform, not {name!r}")
    return {name: UNIFORM if name == "uniform" else int(name) for name in names}


def unit_of(env: EnvLike) -> str:
    """The unit of errors, as environments tell it in `goal_error`."""
    return getattr(env, "goal_error", "goals missed") if _measures(env) else "goals missed"


def told_state(info: dict[str, Any]) -> Any:
    """A copy of the state that an environment tells, and may change in place; None if nothing."""
    return copy.deepcopy(info.get("state"))


def _measures(env):
    """True if an environment can tell its states, and how far they are from those of goals."""
    return hasattr(env, "goal_errors") and env.reset(seed=0)[1].get("state") is not None


def make_tasks(make_env: MakeEnv, moves: int, count: int, seed: int) -> list[Task]:
    """Tasks whose goals are some moves away, of which each changed the image.

    Args:
        make_env: Makes the environment.
        moves: Moves between start and goal; `UNIFORM` for goals anywhere on a board.
        count: How many tasks.
        seed: Seed; another number of moves has other starts.

    Raises:
        ValueError: If no action changes an image, or episodes end before as many moves.
    """
    env, rng = make_env(), np.random.default_rng([seed, moves])
    env.action_space.seed(int(rng.integers(2**31)))
    return [_make_task(env, moves, rng) for _ in range(count)]


def _make_task(env, moves, rng):
    """The task of the first start from which the episode lasts until the goal."""
    for _ in range(TRIES):
        if task := _task_from(env, moves, int(rng.integers(2**31))):
            return task
    raise ValueError(
        f"Expected `moves` to be as few as an episode of {type(env).__name__} lasts; received "
        f"moves={moves}, and each of {TRIES} episodes ended before."
    )


def _task_from(env, moves, seed):
    """The task of a start; None if the episode ends before its goal."""
    image, info = env.reset(seed=seed)
    image = np.array(image)  # a copy: the next one may be drawn over it
    start, begun = image, told_state(info)
    for left in reversed(range(moves)):
        before = image
        image, info, ended = _move(env, before)
        if ended and (left or np.array_equal(image, before)):
            return None
    states = begun, told_state(info)
    needs = None
    if hasattr(env, "needed_moves") and states[0] is not None:
        needs = env.needed_moves(*(np.asarray(state)[None] for state in states))[0]
    return Task(seed, start, at_rest(image, env), *states, needs)


def at_rest(images: np.ndarray, env: EnvLike) -> np.ndarray:
    """Images `(..., channels)` of a world that stands still: all their frames are the last one."""
    frames = getattr(env, "frames", 1)
    return np.concatenate([np.split(images, frames, axis=-1)[-1]] * frames, axis=-1)


def _move(env, image):
    """The image after an action that changes it or ends the episode, what else the environment
    tells, and whether the episode ended.
    """
    for _ in range(TRIES):
        after, _, terminated, truncated, info = env.step(env.action_space.sample())
        after, ended = np.array(after), terminated or truncated
        if ended or not np.array_equal(after, image):
            return after, info, ended
    raise ValueError(f"{TRIES} random actions of {type(env).__name__} did not change the image")


class Worlds:
    """Worlds in which tasks are worked on: images come out, actions go in.

    Environments that work on batches of states are asked for all tasks at once; of others each task
    has one of its own. A world whose episode ended stays as it is, whatever is done.

    Args:
        make_env: Makes the environment.
        tasks: The tasks, at whose starts all begins.

    Attributes:
        images: The images of now, `(tasks, ...)`.
        tolerance: The error at which a goal is reached.
    """

    def __init__(self, make_env: MakeEnv, tasks: Sequence[Task]) -> None:
        self._env: EnvLike = make_env()
        self._tasks = tasks
        self._states: np.ndarray | None = None
        self._envs: list[gymnasium.Env] = []
        self._ended = np.zeros(len(tasks), bool)
        self._told = [task.start_state for task in tasks]
        if hasattr(self._env, "step_states") and all(state is not None for state in self._told):
            self._states = np.stack(self._told)
        else:
            self._envs = [make_env() for _ in tasks]
            for env, task in zip(self._envs, tasks, strict=True):
                env.reset(seed=task.seed)
        self.images = np.stack([task.start for task in tasks])
        known = all(task.goal_state is not None for task in tasks)
        self._measured = known and _measures(self._env)
        self.tolerance = getattr(self._env, "goal_tolerance", 0) if self._measured else 0

    def act(self, rows: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """The images `(n, ...)` after an action in each of the worlds of these numbers `(n,)`."""
        if self._states is not None:
            self._states[rows] = self._env.step_states(self._states[rows], actions)
            self.images[rows] = self._env.render_states(self._states[rows])
        else:
            for row, action in zip(rows, actions, strict=True):
                if not self._ended[row]:
                    env = self._envs[row]
                    self.images[row], _, *ends, info = env.step(own.as_taken(env, action))
                    self._told[row], self._ended[row] = told_state(info), any(ends)
        return self.images[rows]

    def errors(self) -> np.ndarray:
        """The error of each world, `(tasks,)`, as `goal_errors` of the environment.

        Without that, or states to measure, 0 where the image is that of the goal, else 1.
        """
        if self._measured:
            states = np.stack(self._told) if self._states is None else self._states
            return self._env.goal_errors(states, np.stack([t.goal_state for t in self._tasks]))
        goals = np.stack([task.goal for task in self._tasks])
        return (
            (at_rest(self.images, self._env) != goals)
            .reshape(len(goals), -1)
            .any(axis=1)
            .astype(float)
        )


@dataclasses.dataclass(frozen=True)
class Attempt:
    """Tasks that a policy was given, and how they ended.

    Attributes:
        tasks: The tasks.
        frames: The images of every time, arrays `(tasks, ...)`.
        errors: How far the worlds are from their goals when the policy stops, `(tasks,)`.
        errors_before: The same at the start.
        reached: Whether that is near enough, `(tasks,)`.
        arrived: Whether the policy found so, `(tasks,)`.
        actions: Actions taken, `(tasks,)`.
    """

    tasks: list[Task]
    frames: list[np.ndarray]
    errors: np.ndarray
    errors_before: np.ndarray
    reached: np.ndarray
    arrived: np.ndarray
    actions: np.ndarray

    def numbers(self, unseen: Sequence[int] = ()) -> dict[str, float]:
        """Success with its standard error, in percent, and what else there is to count.

        Args:
            unseen: Numbers of the actions that training did not have. Where the environment knows
                which moves a goal needs, success is also told of goals that need one of these, and
                of goals that need none.
        """
        share = float(self.reached.mean())
        needs = [task.needs[list(unseen)].any() for task in self.tasks if task.needs is not None]
        parts: dict[str, float] = {}
        for key, which in zip(PARTS, (True, False), strict=True):
            if unseen and which in needs:
                chosen = self.reached[np.array(needs) == which]
                parts |= {key: 100 * float(chosen.mean()), f"tasks_{key}": len(chosen)}
        return {
            "tasks": len(self.tasks),
            "success": 100 * share,
            "standard_error": 100 * float(np.sqrt(share * (1 - share) / len(self.reached))),
            **parts,
            "found_so": 100 * float(self.arrived.mean()),
            "error": float(self.errors.mean()),
            "error_before": float(self.errors_before.mean()),
            "actions": float(self.actions.mean()),
        }


def budget_of(moves: int) -> int:
    """The actions that a task allows whose goal is so many moves away."""
    return MOST if moves == UNIFORM else 2 * moves + 4


def attempt(
    make_policy: Callable[[np.ndarray, int], GoalPolicy],
    make_env: MakeEnv,
    moves: int,
    count: int,
    seed: int,
) -> Attempt:
    """Lets a policy work on tasks whose goals are some moves away.

    Args:
        make_policy: Function from goal images and the most actions to a policy.
        make_env, moves, count, seed: As in `make_tasks`.
    """
    tasks = make_tasks(make_env, moves, count, seed)
    worlds = Worlds(make_env, tasks)
    before = worlds.errors()
    budget = budget_of(moves)
    policy = make_policy(np.stack([task.goal for task in tasks]), budget)
    with progress(count, "goals", "tasks at an end") as update:
        ended = 0

        def act(rows, actions):
            nonlocal ended
            update(count - len(rows) - ended)
            ended = count - len(rows)
            return worlds.act(rows, actions)

        arrived, actions, frames = reach(policy, act, worlds.images, np.full(count, budget))
    errors = worlds.errors()
    reached = errors <= worlds.tolerance
    return Attempt(tasks, frames, errors, before, reached, arrived, actions)
