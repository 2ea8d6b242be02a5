"""Control by images: plan, act, look, and plan again.

Nobody here knows the state of a world: an image goes in, an action comes out.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from sen_tf.planning.discrete import Plan
from sen_tf.planning.places import Places

Planner: TypeAlias = Callable[[np.ndarray, np.ndarray, np.ndarray], list[Plan]]
"""Plans from states `(n, ...)` to goals `(n, ...)`, none of which begins with a forbidden action:
booleans `(n, actions)`."""
EXECUTED = 3
"""Actions of a plan that are taken before the next is made."""


@dataclasses.dataclass
class Memory:
    """The memory of a policy: lists and arrays with an entry per world.

    Attributes:
        queues: The actions of the plan that are left.
        last: The image before, as bytes, and the action taken at it; None at first.
        useless: By image, the actions that left it as it was; all as bytes.
        planned: Whether there was a plan yet.
        stopped: Whether the goal is reached, or no action brings it nearer.
        arrived: Whether the goal is reached, as far as the image tells.
    """

    queues: list[list[Any]]
    last: list[tuple[bytes, Any] | None]
    useless: list[dict[bytes, set[bytes]]]
    planned: np.ndarray
    stopped: np.ndarray
    arrived: np.ndarray

    @classmethod
    def blank(cls, count: int) -> "Memory":
        """The memory of `count` worlds of which nothing was seen."""
        return cls(
            [[] for _ in range(count)],
            [None] * count,
            [{} for _ in range(count)],
            *(np.zeros(count, bool) for _ in range(3)),
        )

    def forget(self, rows: np.ndarray) -> None:
        """Begins anew in some worlds, whose numbers are given."""
        for row in rows:
            self.queues[row], self.last[row], self.useless[row] = [], None, {}
        for flags in (self.planned, self.stopped, self.arrived):
            flags[rows] = False


class GoalPolicy:
    """A policy that is to make each of its worlds look like a goal image.

    `predict` is called as that of a policy of stable-baselines3. An action that left an image as it
    was, such as a move against a wall, is not taken at that image again.

    Args:
        plan: See `Planner`.
        encode: Function from images `(n, ...)` to states `(n, ...)`.
        places: What tells whether a state is the goal.
        goals: Goal images, one per world.
        actions: The actions that `plan` chooses from, `(actions, ...)`; empty where it makes them.
        looks: Whether plans are made again from what is seen; else the first one is followed to its
            end with closed eyes.

    Example:
        >>> policy = GoalPolicy(plan, model.encode, places, goals, np.arange(20))
        >>> action, memory = policy.predict(image, memory)
    """

    def __init__(
        self,
        plan: Planner,
        encode: Callable[[np.ndarray], np.ndarray],
        places: Places,
        goals: np.ndarray,
        actions: np.ndarray,
        looks: bool = True,
    ) -> None:
        self.plan, self.encode, self.places = plan, encode, places
        self.actions, self.looks = np.asarray(actions), looks
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
            Actions, one per world, zero where the memory says `stopped`; and the memory.
        """
        images = np.asarray(observation)
        single = images.ndim == self.image_rank
        images = images[None] if single else images
        if len(images) != len(self.goals):
            raise ValueError(
                f"Expected `observation` to hold an image per goal, {len(self.goals)}; received "
                f"{len(images)}."
            )
        memory = Memory.blank(len(images)) if state is None else state
        if episode_start is not None:
            memory.forget(np.flatnonzero(episode_start))
        seen = [image.tobytes() for image in images]
        self._learn(seen, memory)
        self._plan(images, seen, memory)
        actions = [self._take(row, image, memory) for row, image in enumerate(seen)]
        zero = next((0 * action for action in actions if action is not None), 0)
        actions = [zero if action is None else action for action in actions]
        return np.asarray(actions[0] if single else actions), memory

    def _learn(self, seen, memory):
        """Remembers the actions that changed nothing, and drops the plans that had them."""
        for row, last in enumerate(memory.last):
            if self.looks and last and last[0] == seen[row]:
                memory.useless[row].setdefault(seen[row], set()).add(last[1].tobytes())
                memory.queues[row] = []

    def _plan(self, images, seen, memory):
        """Fills the queues that are empty, and stops where the goal is reached."""
        looked = ~memory.stopped & (self.looks | ~memory.planned)
        rows = np.flatnonzero(looked)
        if not len(rows):
            return
        states = self.places.nearest(np.asarray(self.encode(images[rows])))
        there = self.places.near(states, self.goals[rows])
        memory.arrived[rows], memory.stopped[rows] = there, there
        empty = ~there & np.array([not memory.queues[row] for row in rows])
        rows, states = rows[empty], states[empty]
        useless = [memory.useless[row].get(seen[row], ()) for row in rows]
        forbidden = np.array(
            [[action.tobytes() in known for action in self.actions] for known in useless], bool
        ).reshape(len(rows), len(self.actions))
        plans = self.plan(states, self.goals[rows], forbidden) if len(rows) else []
        for row, plan in zip(rows, plans, strict=True):
            memory.queues[row] = list(plan.actions[: EXECUTED if self.looks else None])
            memory.planned[row] = True
            memory.stopped[row] = not memory.queues[row]

    def _take(self, row, image, memory):
        """The next action of a world; None where it stopped."""
        if not memory.stopped[row] and not memory.queues[row]:
            memory.stopped[row] = True  # the only plan is at its end
        if memory.stopped[row]:
            memory.last[row] = None
            return None
        action = memory.queues[row].pop(0)
        memory.last[row] = (image, action)
        return action


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
