"""Kinds of negatives: what the states of a batch are pushed away from."""

import math
from typing import Any, Protocol, Self

import keras
from keras import ops
from keras.random import SeedGenerator

from sen_tf.distribution import replicas
from sen_tf.tensors import Tensor


class Negatives(Protocol):
    """A kind of negatives: a registered class with these members, and perhaps two more.

    `images(obs)` gives a dict of further images to encode, whose states come back by their names. A
    call gives the negatives of each state, and how many of them, the first, count; None for all:
    the loss compares each state with them, up to its hinge. In place of a call, `part(loss,
    states)` gives the negative part of the loss itself, `(batch,)`.
    """

    training_only: bool  # whether it counts in training alone

    def __call__(
        self, states: dict[str, Tensor], seed: SeedGenerator
    ) -> tuple[list[Tensor], Tensor | None]: ...


class Saved:
    """An object that Keras saves by the arguments it was made with."""

    def get_config(self) -> dict[str, Any]:
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        return cls(**config)


@keras.saving.register_keras_serializable("sen_tf")
class OtherSamples(Saved):
    """Negatives that are states of other samples: the global batch, shifted by random places.

    The shifts are distinct, so that no sample is drawn twice and none is its own negative. The
    generators of replicas are in step, so that all shift by the same.

    Args:
        count: Negatives per sample.
    """

    training_only = False

    def __init__(self, count: int = 1) -> None:
        if count < 1:
            raise ValueError(f"Expected `count` to be at least 1; received count={count!r}.")
        self.count = int(count)

    def __call__(
        self, states: dict[str, Tensor], seed: SeedGenerator
    ) -> tuple[list[Tensor], Tensor]:
        """A list of `count` tensors `(batch, ...)`, and how many of them, the first, are of other
        samples: a batch of n has n - 1 others."""
        gathered, own = replicas.gather(states["state"])
        rows = ops.shape(gathered)[0]
        # Shifts by 0 stand where there are no others.
        shifts = ops.arange(1, rows, dtype="int32")
        if shifts.shape[0] != 0:
            shifts = keras.random.shuffle(shifts, seed=seed)
        shifts = ops.pad(shifts, [(0, self.count)])
        shifted = [own(ops.roll(gathered, shifts[k], axis=0)) for k in range(self.count)]
        return shifted, ops.minimum(self.count, rows - 1)

    def get_config(self) -> dict[str, Any]:
        return {"count": self.count}


@keras.saving.register_keras_serializable("sen_tf")
class ReversedFrames(Saved):
    """Negatives that are states of the same two frames in reverse order.

    They show the same positions, moving backwards. For images of two stacked frames, whose states
    otherwise leave out the velocities and stay on the plateau.
    """

    training_only = True

    def images(self, obs: Tensor) -> dict[str, Tensor]:
        """The images with their two frames exchanged: a dict of one entry, `reversed`.

        Raises:
            ValueError: For an odd number of channels.
        """
        if obs.shape[-1] is not None and obs.shape[-1] % 2:
            raise ValueError(
                f"`ReversedFrames` needs images of two stacked frames; received {obs.shape[-1]} "
                "channels."
            )
        first, second = ops.split(obs, 2, axis=-1)
        return {"reversed": ops.concatenate([second, first], axis=-1)}

    def __call__(self, states: dict[str, Tensor], seed: SeedGenerator) -> tuple[list[Tensor], None]:
        return [states["reversed"]], None


@keras.saving.register_keras_serializable("sen_tf")
class SameEpisode(Saved):
    """Negatives that are states of the same episode: samples 2k and 2k + 1 of the global batch.

    For episodes that differ in something that never changes, by which alone states could be told
    apart, and stay where they are. The last sample of an odd number has none.
    """

    training_only = True

    def __call__(
        self, states: dict[str, Tensor], seed: SeedGenerator
    ) -> tuple[list[Tensor], Tensor]:
        gathered, own = replicas.gather(states["state"])
        rows = ops.shape(gathered)[0]
        places = ops.arange(rows, dtype="int32")
        partners = places + 1 - 2 * (places % 2)
        paired = partners < rows
        partners = ops.where(paired, partners, places)
        return [own(ops.take(gathered, partners, axis=0))], own(ops.cast(paired, "int32"))


@keras.saving.register_keras_serializable("sen_tf")
class Uniformity(Saved):
    """Negatives that are all other states of the batch, of which the nearest count most.

    Its part of the loss is the mean over states i of `log(floor + mean_j exp(-energy(z_i, z_j)))`,
    where i runs over all states of the batch, z and z' alike, and j over all others. There is no
    hinge: states spread over as much room as there is, up to where the floor is.

    Args:
        reversed_frames: Whether j also runs over states of half of the images with their two
            frames exchanged, as in `ReversedFrames`.
        floor: Mean of the kernel at which a state is as good as alone.

    Reference: Wang and Isola, Understanding Contrastive Representation Learning through Alignment
    and Uniformity on the Hypersphere (ICML 2020); the positive part of the loss is the alignment.
    """

    training_only = False

    def __init__(self, reversed_frames: bool = False, floor: float = 1e-4) -> None:
        if not floor > 0:
            raise ValueError(f"Expected `floor` to be positive; received floor={floor!r}.")
        self.reversed_frames = bool(reversed_frames)
        self.floor = float(floor)

    def images(self, obs: Tensor) -> dict[str, Tensor]:
        """Half of the images with their frames exchanged: a dict of one entry, or of none."""
        if not self.reversed_frames:
            return {}
        exchanged = ReversedFrames().images(obs[: (ops.shape(obs)[0] + 1) // 2, ...])
        return {"half_reversed": exchanged["reversed"]}

    def part(self, loss: Any, states: dict[str, Tensor]) -> Tensor:
        """The negative part of each sample, `(batch,)`: the mean of those of its states.

        Args:
            loss: The `ContrastiveLoss`, for its energy.
            states: As there; of a batch of runs, the mean is that of the run.
        """
        runs = states.get("run")
        if runs is None:
            runs = ops.stack([states["state"], states["next_state"]], axis=1)
        count, length = ops.shape(runs)[0], runs.shape[1]
        rows = ops.reshape(runs, (count * length, *runs.shape[2:]))
        pool, own = replicas.gather(rows)
        places = ops.arange(ops.shape(pool)[0], dtype="int32")
        apart = own(places)[:, None] != places
        if "half_reversed" in states:
            further, _ = replicas.gather(states["half_reversed"])
            pool = ops.concatenate([pool, further], axis=0)
            apart = ops.pad(apart, [(0, 0), (0, ops.shape(further)[0])], constant_values=True)
        near = ops.exp(-_energies(loss, rows, pool)) * ops.cast(apart, rows.dtype)
        others = ops.cast(ops.maximum(ops.shape(pool)[0] - 1, 1), near.dtype)
        of_states = ops.log(self.floor + ops.sum(near, axis=-1) / others)
        of_runs = ops.mean(ops.reshape(of_states, (count, length)), axis=1)
        return ops.repeat(of_runs, length - 1)

    def get_config(self) -> dict[str, Any]:
        return {"reversed_frames": self.reversed_frames, "floor": self.floor}


def _energies(loss, x, y):
    """Energies `(n, m)` of states `(n, ...)` and `(m, ...)`, as products."""
    averaged = x.shape[1] if loss.object_axis else 1
    centre = ops.stop_gradient(ops.mean(y, axis=0))  # products of long vectors lose digits
    x, y = (ops.reshape(z - centre, (ops.shape(z)[0], math.prod(z.shape[1:]))) for z in (x, y))
    lengths = [ops.sum(ops.square(z), axis=-1) for z in (x, y)]
    squares = lengths[0][:, None] + lengths[1] - 2 * (x @ ops.transpose(y))
    return ops.maximum(squares, 0.0) * (0.5 / loss.sigma**2 / averaged)
