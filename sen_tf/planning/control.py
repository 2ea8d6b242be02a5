"""Control by images: plan, act, look, and plan again.

Nobody here knows the state of a world: an image goes in, an action comes out.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from sen_tf.planning.discrete import Forbidden, Plan, Step, check_sizes
from sen_tf.planning.obstacles import Obstacles
from sen_tf.planning.places import Places

Planner: TypeAlias = Callable[[np.ndarray, np.ndarray, Forbidden], list[Plan]]
"""Plans from states `(n, ...)` to goals `(n, ...)` without forbidden actions."""
EXECUTED = 3
"""Actions of a plan that are taken before the next is made, where nothing else is said."""


@dataclasses.dataclass
class Memory:
    """The memory of a policy: lists and arrays with an entry per world.

    Attributes:
        queues: The actions of the plan that are left.
        last: The image before, and the number of the action taken at it; None at first.
        obstacles: What did nothing.
        planned: Whether there was a plan yet.
        stopped: Whether the goal is reached, or no action brings it nearer.
        arrived: Whether the goal is reached, as far as the image tells.
    """

    queues: list[list[Any]]
    last: list[tuple[np.ndarray, int] | None]
    obstacles: list[Obstacles]
    planned: np.ndarray
    stopped: np.ndarray
    arrived: np.ndarray

    @classmethod
    def blank(cls, count: int, places: Places, actions: int) -> "Memory":
        """The memory of `count` worlds of which nothing was seen."""
        return cls(
            [[] for _ in range(count)],
            [None] * count,
            [Obstacles(places, actions) for _ in range(count)],
            *(np.zeros(count, bool) for _ in range(3)),
        )

    def forget(self, rows: np.ndarray) -> None:
        """Begins anew in some worlds, whose numbers are given."""
        for row in rows:
            self.queues[row], self.last[row] = [], None
            self.obstacles[row] = Obstacles(self.obstacles[row].places, self.obstacles[row].actions)
        for flags in (self.planned, self.stopped, self.arrived):
            flags[rows] = False


class GoalPolicy:
    """A policy that is to make each of its worlds look like a goal image.

    `predict` is called as that of a policy of stable-baselines3. From actions that left an image as
    it was, such as a move against a wall, it learns what not to try again; see `Obstacles`.

    Args:
        plan: See `Planner`.
        encode: Function from images `(n, ...)` to states `(n, ...)`.
        step: Function from states and actions to predicted states.
        places: What tells whether a state is the goal.
        goals: Goal images, one per world.
        actions: The actions that `plan` chooses from, `(actions, ...)`; where it makes them, none,
            `(0, ...)`, which say of what shape one is.
        looks: Whether plans are made again from what is seen; else the first one is followed to its
            end with closed eyes.
        executed: Actions of a plan that are taken before the next is made.

    Example:
        >>> policy = GoalPolicy(plan, model.encode, model.step, places, goals, np.arange(20))
        >>> action, memory = policy.predict(image, memory)
    """

    def __init__(
        self,
        plan: Planner,
        encode: Callable[[np.ndarray], np.ndarray],
        step: Step,
        places: Places,
        goals: np.ndarray,
        actions: np.ndarray,
        looks: bool = True,
        executed: int = EXECUTED,
    ) -> None:
        check_sizes(executed=executed)
        self.plan, self.encode, self.step, self.places = plan, encode, step, places
        self.actions, self.looks, self.executed = np.asarray(actions), looks, executed
        self._idle = np.zeros(self.actions.shape[1:], self.actions.dtype)
        self.image_rank = np.ndim(goals) - 1
        self.goals = places.nearest(np.asarray(encode(goals)))

    def predict(
        self,
        observation: np.ndarray,
        state: Memory | None = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = True,
    ) -> tuple[np.ndarray, Memory]:
        """Actions for the images of now.

        Args:
            observation: Images `(worlds, ...)`, or the image of a single world.
            state: The memory that the call before returned; None at first.
            episode_start: Booleans `(worlds,)`: where an episode begins, memory is cleared.
            deterministic: Heeded by no planner; as others have it.

        Returns:
            Actions, one per world, zeros where the memory says `stopped`; and the memory.
        """
        images = np.asarray(observation)
        single = images.ndim == self.image_rank
        images = images[None] if single else images
        if len(images) != len(self.goals):
            raise ValueError(
                f"Expected `observation` to hold an image per goal, {len(self.goals)}; received "
                f"{len(images)}."
            )
        memory = state
        if memory is None:
            memory = Memory.blank(len(images), self.places, len(self.actions))
        if episode_start is not None:
            memory.forget(np.flatnonzero(episode_start))
        looked = np.flatnonzero(~memory.stopped & (self.looks | ~memory.planned))
        if len(looked):
            states = self.places.nearest(np.asarray(self.encode(images[looked])))
            self._learn(looked, images, states, memory)
            self._plan(looked, states, memory)
        actions = [self._take(row, image, memory) for row, image in enumerate(images)]
        actions = [self._idle if action is None else action for action in actions]
        return np.asarray(actions[0] if single else actions), memory

    def _learn(self, rows, images, states, memory):
        """Drops the plans whose last action changed nothing, and learns that it does not."""
        failed = [k for k, row in enumerate(rows) if _is_as_before(memory.last[row], images[row])]
        for k in failed:
            memory.queues[rows[k]] = []
        if not (failed and len(self.actions)):
            return
        numbers = np.array([memory.last[rows[k]][1] for k in failed])
        expected = self.places.nearest(self.step(states[failed], self.actions[numbers]))
        for k, number, state in zip(failed, numbers, expected, strict=True):
            memory.obstacles[rows[k]].learn(states[k], number, state)

    def _plan(self, rows, states, memory):
        """Fills the queues that are empty, and stops where the goal is reached."""
        there = self.places.near(states, self.goals[rows])
        memory.arrived[rows], memory.stopped[rows] = there, there
        empty = ~there & np.array([not memory.queues[row] for row in rows])
        rows, states = rows[empty], states[empty]
        if not len(rows):
            return

        def forbidden(states, tasks):
            useless = np.zeros((len(states), len(self.actions)), bool)
            for task in np.unique(tasks):
                of_task = tasks == task
                useless[of_task] = memory.obstacles[rows[task]].forbidden(states[of_task])
            return useless

        plans = self.plan(states, self.goals[rows], forbidden)
        for row, plan in zip(rows, plans, strict=True):
            memory.queues[row] = list(plan.actions[: self.executed if self.looks else None])
            memory.planned[row] = True
            memory.stopped[row] = not memory.queues[row]
            if not len(self.actions):
                self._idle = np.zeros_like(plan.actions, shape=np.shape(plan.actions)[1:])

    def _take(self, row, image, memory):
        """The next action of a world; None where it stopped."""
        if not memory.stopped[row] and not memory.queues[row]:
            memory.stopped[row] = True  # the only plan is at its end
        if memory.stopped[row]:
            memory.last[row] = None
            return None
        action = memory.queues[row].pop(0)
        number = next((n for n, each in enumerate(self.actions) if np.array_equal(each, action)), 0)
        memory.last[row] = (np.array(image), number)
        return action


def _is_as_before(last, image):
    return last is not None and np.array_equal(last[0], image)


def reach(
    policy: GoalPolicy,
    act: Callable[[np.ndarray, np.ndarray], np.ndarray],
    images: np.ndarray,
    budget: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """Lets a policy act until it stops, or its budget is spent.

    Args:
        policy: The policy.
        act: Function from the numbers `(n,)` of worlds and an action for each to the images after.
        images: The first images, one per world.
        budget: Actions that each world allows, `(worlds,)`.

    Returns:
        Whether each world's policy found that it arrived; actions taken, integers; and the images
        of every time, a list.
    """
    images, memory = np.array(images), None
    taken = np.zeros(len(images), int)
    frames = [images.copy()]
    while True:
        actions, memory = policy.predict(images, memory)
        memory.stopped |= taken >= budget
        rows = np.flatnonzero(~memory.stopped)
        if not len(rows):
            return memory.arrived, taken, frames
        images[rows] = act(rows, actions[rows])
        taken[rows] += 1
        frames.append(images.copy())
