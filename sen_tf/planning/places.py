"""Distances of latent states in moves, and the places where objects were seen.

Functions of arrays alone. States are `(n, ...)`, of which each is taken apart into as many vectors
as it shows objects, into one where it is a whole.
"""

import dataclasses
import itertools
import math
from typing import Self

import numpy as np

REACHED = 0.5
"""Moves by which an object may miss its goal."""
APART = 0.25
"""Moves between two places of an object, at least, where encodings are not precise."""
HALVINGS = 3
"""Halvings of it that are tried, as places may lie closer together."""
BLOCK = 4096
"""States whose distances to all places are in memory at once."""


@dataclasses.dataclass(frozen=True)
class Places:
    """The length of a move in a latent space, and the places of each object in it.

    Predictions drift: step after step their errors add up. Objects that move in steps have few
    places, and where these are known every predicted state is moved to the nearest ones.

    Attributes:
        unit: The length of a move of one object.
        known: The places of each object, arrays `(count, size)`; empty where an object can be
            anywhere, and then nothing is moved.
        objects: Objects per state, 1 where it is a whole.
    """

    unit: float
    known: tuple[np.ndarray, ...]
    objects: int

    @classmethod
    def of(
        cls, states: np.ndarray, next_states: np.ndarray, objects: int, in_steps: bool = True
    ) -> Self:
        """The length of a move, and the places, of encoded images before and after a move.

        Args:
            states, next_states: States `(n, ...)` between which something moved.
            objects: Objects per state, 1 where it is a whole.
            in_steps: Whether objects have few places, which are then kept.

        Raises:
            ValueError: If nothing moves, or there are no states.
        """
        before, after = (_by_object(each, objects) for each in (states, next_states))
        moved = np.linalg.norm(after - before, axis=-1).max(axis=1)
        unit = float(np.median(moved)) if len(moved) else 0.0
        if not unit > 1e-6:
            raise ValueError(
                f"Expected `states` that move, to measure a move; received {len(moved)}, whose "
                f"moves have length {unit:g}."
            )
        both = np.concatenate([before, after])
        counted = range(objects if in_steps else 0)
        return cls(unit, tuple(_clusters(both[:, k], unit) for k in counted), objects)

    def distances(self, states: np.ndarray, others: np.ndarray) -> np.ndarray:
        """Moves `(n, objects)` between states `(n, ...)`, object by object."""
        states, others = (_by_object(each, self.objects) for each in (states, others))
        return np.linalg.norm(states - others, axis=-1) / self.unit

    def near(self, states: np.ndarray, others: np.ndarray) -> np.ndarray:
        """Booleans `(n,)`: states are one, all objects at the same place, or half a move off."""
        return self.distances(states, others).max(axis=1) < (APART if self.known else REACHED)

    def nearest(self, states: np.ndarray) -> np.ndarray:
        """The states `(n, ...)`, each object at the nearest of its places.

        One that is farther from all of them than `REACHED` stays where it is: not every place need
        have been seen.
        """
        states = np.asarray(states)
        if not self.known:
            return states
        moved = _by_object(states, self.objects).copy()
        for k, places in enumerate(self.known):
            candidates = places[_nearest(moved[:, k], places)]
            off = np.linalg.norm(candidates - moved[:, k], axis=-1)
            moved[:, k] = np.where((off < REACHED * self.unit)[:, None], candidates, moved[:, k])
        return moved.reshape(states.shape)

    def keys(self, states: np.ndarray) -> np.ndarray:
        """Integers `(n,)`, the same for states that are the same; others differ almost surely.

        Args:
            states: States `(n, ...)`, as `nearest` returns them. Where no places are known, those
                are the same that are in one cell of a grid of `REACHED`.
        """
        numbers = np.asarray(states, np.float32).reshape(len(states), -1)
        if not self.known:
            numbers = np.rint(numbers / (REACHED * self.unit)) + np.float32(0)  # no -0
        bits = numbers.view(np.uint32).astype(np.uint64)
        odd = np.random.default_rng(0).integers(1, 2**62, bits.shape[1], np.uint64) * 2 + 1
        return (bits * odd).sum(axis=1, dtype=np.uint64)  # modulo 2^64


def _by_object(states, objects):
    states = np.asarray(states, np.float32)
    return states.reshape(len(states), objects, math.prod(states.shape[1:]) // objects)


def _nearest(vectors, places):
    """The number `(n,)` of the place nearest to each vector `(n, size)`."""
    centre = places.mean(axis=0)  # far from 0, squares in float32 tell near places not apart
    vectors, places = vectors - centre, places - centre
    half_squares = np.square(places).sum(axis=1) / 2
    return np.concatenate(
        [
            np.argmin(half_squares - vectors[start : start + BLOCK] @ places.T, axis=1)
            for start in range(0, max(1, len(vectors)), BLOCK)
        ]
    )


def _clusters(vectors, unit):
    """Means of the vectors `(n, size)` about leaders.

    Two places of an object with different headings may be seen as nearer than `APART`: leaders are
    as close together as tells as many places apart as half of that distance does. Where none does,
    since encodings of one place differ by as much as places do, they are `APART`.
    """
    found = [_leaders(vectors, APART * unit / 2**halved) for halved in range(HALVINGS + 1)]
    precise = (a for a, b in itertools.pairwise(found) if len(a) == len(b))
    leaders = next(precise, found[0])
    index = _nearest(vectors, leaders)
    return np.stack([vectors[index == k].mean(axis=0) for k in range(len(leaders))])


def _leaders(vectors, apart):
    """Vectors such that all others are as near to one, and no two of them are near."""
    leaders = vectors[:1]
    for vector in vectors[1:]:
        if np.linalg.norm(leaders - vector, axis=1).min() > apart:
            leaders = np.concatenate([leaders, vector[None]])
    return leaders
