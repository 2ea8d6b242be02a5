"""Actions that did nothing in a world, and what may have been the reason."""

import dataclasses

import numpy as np

from sen_tf.planning.places import REACHED, Places


@dataclasses.dataclass
class _Failure:
    """An action that did nothing, the object it is to move, and who was where: those that may be
    the reason, booleans `(objects,)`."""

    action: int
    mover: int
    where: np.ndarray
    perhaps: np.ndarray


class Obstacles:
    """The actions that did nothing in a world, which planners do not try again in the same case.

    A model that was trained briefly knows walls, but not who stands in whose way. What is the same
    case is therefore learnt: after the first failure, that all objects are where they were. Where
    the action fails again from the same place, objects that have moved since were not the reason.

    Args:
        places: What tells objects and places apart.
        actions: How many actions there are.
    """

    def __init__(self, places: Places, actions: int) -> None:
        self.places, self.actions = places, actions
        self._failures: list[_Failure] = []

    def learn(self, state: np.ndarray, action: int, predicted: np.ndarray) -> None:
        """Notes that the action of this number did nothing at a state `(...)`.

        Args:
            state: The state.
            action: The number.
            predicted: The state that was expected: the object that it moves most was to move.
        """
        mover = int(self.places.distances(state[None], predicted[None])[0].argmax())
        for known in self._failures:
            common = known.perhaps & self._near(state[None], known.where)[0]
            if (known.action, known.mover) == (action, mover) and common[mover]:
                known.perhaps = common
                return
        everyone = np.ones(self.places.objects, bool)
        self._failures.append(_Failure(action, mover, np.array(state), everyone))

    def forbidden(self, states: np.ndarray) -> np.ndarray:
        """Actions that are known to do nothing at states `(n, ...)`, booleans `(n, actions)`."""
        useless = np.zeros((len(states), self.actions), bool)
        for known in self._failures:
            same = self._near(states, known.where) | ~known.perhaps
            useless[:, known.action] |= same.all(axis=1)
        return useless

    def _near(self, states, where):
        """True for objects `(n, objects)` of states that are at the same places."""
        return self.places.distances(states, np.broadcast_to(where, states.shape)) < REACHED
