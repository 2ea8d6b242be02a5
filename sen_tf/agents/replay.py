"""Memory of episodes, from which pieces are drawn to learn from."""

from typing import NamedTuple

import numpy as np


class Pieces(NamedTuple):
    """Episodes, or pieces of them.

    Attributes:
        observations: `(..., steps + 1, size)`.
        actions: `(..., steps, size)`.
        rewards: `(..., steps)`.
    """

    observations: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray


class Replay:
    """All episodes that were seen, which are of one length.

    Args:
        matrices: Those of a group on observations and on actions, `(order, size, size)` each: every
            piece that is drawn is turned by an element of it. None leaves pieces as they were seen.
    """

    def __init__(self, matrices: tuple[np.ndarray, np.ndarray] | None = None) -> None:
        self.matrices = matrices
        self._episodes: list[Pieces] = []

    def add(self, episode: Pieces) -> None:
        """Adds an episode.

        Raises:
            ValueError: If it is of another length than the first.
        """
        steps = len((self._episodes or [episode])[0].actions)
        if [len(each) for each in episode] != [steps + 1, steps, steps]:
            raise ValueError(
                f"Expected an episode of {steps} steps, with an observation more than actions and "
                f"rewards; received lengths {[len(each) for each in episode]}."
            )
        self._episodes.append(episode)

    def sample(self, rng: np.random.Generator, n: int, steps: int) -> Pieces:
        """Draws `n` pieces of so many steps.

        Raises:
            ValueError: If there are no episodes, or they are shorter.
        """
        longest = len(self._episodes[0].actions) if self._episodes else 0
        if not 1 <= steps <= longest:
            raise ValueError(
                f"Expected `steps` to be between 1 and {longest}, the length of episodes; received "
                f"steps={steps}."
            )
        rows = rng.integers(len(self._episodes), size=n)
        firsts = rng.integers(longest - steps + 1, size=n)
        drawn = zip(rows, firsts, strict=True)
        cut = [_cut(self._episodes[row], first, steps) for row, first in drawn]
        observations, actions, rewards = (np.stack(each) for each in zip(*cut, strict=True))
        if self.matrices is not None:
            g = rng.integers(len(self.matrices[0]), size=n)
            observations = np.einsum("nij,ntj->nti", self.matrices[0][g], observations)
            actions = np.einsum("nij,ntj->nti", self.matrices[1][g], actions)
        return Pieces(observations, actions, rewards)


def _cut(episode, first, steps):
    return (
        episode.observations[first : first + steps + 1],
        episode.actions[first : first + steps],
        episode.rewards[first : first + steps],
    )
