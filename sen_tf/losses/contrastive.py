"""The contrastive hinge loss of world models, its kinds of negatives, and its further terms."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, Self

import keras
from keras import ops
from keras.random import SeedGenerator

from sen_tf.distribution import replicas
from sen_tf.tensors import Tensor

VARIANTS = ("current", "predicted")


def energy(x: Tensor, y: Tensor, sigma: float = 0.5, object_axis: bool = True) -> Tensor:
    """`|x - y|^2 / (2 sigma^2)` of each sample, averaged over objects.

    Args:
        x, y: Tensors of shape `(batch, objects, ...)`, or `(batch, ...)` without objects.
        sigma: Length scale of the latent space, in its own units.
        object_axis: Whether axis 1 counts objects: the energy is summed over all other axes.

    Returns:
        Tensor of shape `(batch,)`.

    Reference: Kipf, van der Pol and Welling (2020), section 2.3.
    """
    axes = tuple(range(1, len(x.shape)))
    total = ops.sum(ops.square(x - y), axis=axes) * (0.5 / sigma**2)
    return total / x.shape[1] if object_axis else total


def contrastive_hinge(
    predicted: Tensor,
    next_state: Tensor,
    reference: Tensor,
    negatives: Sequence[Tensor],
    hinge: float = 1.0,
    sigma: float = 0.5,
    object_axis: bool = True,
    number: Tensor | int | None = None,
) -> tuple[Tensor, Tensor]:
    """The positive and the negative part of the loss, one number per sample.

    `energy(predicted, next_state)` and `max(0, hinge - mean_k energy(reference, negatives[k]))`.

    Args:
        predicted: z + T(z, a), shape `(batch, ...)`.
        next_state: z', shape `(batch, ...)`.
        reference: What the negatives are pushed away from: z (variant `current`, as in C-SWM and
            the paper's code) or z + T(z, a) (variant `predicted`, as in the paper's equation).
        negatives: List of tensors `(batch, ...)`: states of other samples.
        number: How many of them count, the first: a number, or one per sample `(batch,)`; None
            counts all. Where none does, the negative part is 0.
        hinge: Energy beyond which a negative no longer counts.
        sigma, object_axis: As in `energy`.

    Returns:
        Two tensors of shape `(batch,)`; the loss is the mean of their sum.

    Reference: Park et al. (2022), section 4.3; Kipf et al. (2020), equation 4.
    """
    positive = energy(predicted, next_state, sigma, object_axis)
    return positive, nearness(reference, negatives, hinge, sigma, object_axis, number)


def nearness(
    reference: Tensor,
    negatives: Sequence[Tensor],
    hinge: float = 1.0,
    sigma: float = 0.5,
    object_axis: bool = True,
    number: Tensor | int | None = None,
) -> Tensor:
    """The negative part of `contrastive_hinge`, with its arguments; shape `(batch,)`."""
    energies = [energy(reference, negative, sigma, object_axis) for negative in negatives]
    if number is None:
        return ops.maximum(0.0, hinge - sum(energies) / len(energies))
    number = ops.cast(number, energies[0].dtype)
    away = sum(ops.where(k < number, e, 0.0) for k, e in enumerate(energies))
    near = ops.maximum(0.0, hinge - away / ops.maximum(number, 1.0))
    return ops.where(number > 0, near, 0.0)


def action_contrast(
    predicted: Tensor,
    wrong: Tensor,
    next_state: Tensor,
    unit: Tensor,
    sigma: float = 0.5,
    object_axis: bool = True,
) -> Tensor:
    """The contrast of the prediction for the action taken with that for another one.

    `log(1 + exp((energy(predicted, next_state) - energy(wrong, next_state)) / unit))`: log 2 where
    the action makes no difference. It rewards states in which the move of an object shows where its
    action enters, long before the contrastive loss does.

    Args:
        predicted: z + T(z, a), shape `(batch, ...)`.
        wrong: z + T(z, b) for another action b.
        next_state: z'.
        unit: An energy, such as the mean one of the moves from z to z'; a constant in gradients.
        sigma, object_axis: As in `energy`.

    Returns:
        Tensor of shape `(batch,)`.
    """
    right = energy(predicted, next_state, sigma, object_axis)
    other = energy(wrong, next_state, sigma, object_axis)
    return ops.softplus((right - other) / ops.maximum(ops.stop_gradient(unit), 1e-6))


class Negatives(Protocol):
    """A kind of negatives: a registered class with these members, and perhaps `images(obs)`.

    That gives a dict of further images to encode, whose states come back by their names. A call
    gives the negatives of each state, and how many of them, the first, count; None for all.
    """

    training_only: bool  # whether it counts in training alone

    def __call__(
        self, states: dict[str, Tensor], seed: SeedGenerator
    ) -> tuple[list[Tensor], Tensor | None]: ...


class _Saved:
    """An object that Keras saves by the arguments it was made with."""

    def get_config(self) -> dict[str, Any]:
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        return cls(**config)


@keras.saving.register_keras_serializable("sen_tf")
class OtherSamples(_Saved):
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
class ReversedFrames(_Saved):
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
class SameEpisode(_Saved):
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
class ActionContrast(_Saved):
    """`action_contrast` with the actions of other samples, in the first steps of training.

    It ends the plateau on which the model predicts that nothing moves.

    Args:
        steps: Steps of gradient descent in which it counts.
    """

    def __init__(self, steps: int) -> None:
        if steps < 1:
            raise ValueError(f"Expected `steps` to be at least 1; received steps={steps!r}.")
        self.steps = int(steps)

    def __call__(
        self,
        loss: "ContrastiveLoss",
        batch: dict[str, Tensor],
        states: dict[str, Tensor],
        step: Tensor,
        predict: Callable[[Tensor, Tensor], Tensor],
    ) -> Tensor:
        """The term of each sample, `(batch,)`; 0 from step `steps` on.

        Args:
            loss: The `ContrastiveLoss`, for its energy.
            batch, states, step, predict: As there.
        """
        state, next_state = states["state"], states["next_state"]
        # Replicas cannot speak to each other inside of a condition.
        actions, own = replicas.gather(batch["action"])
        other = own(ops.roll(actions, 1, axis=0))
        moved = loss.energy(state, next_state)
        rows = replicas.total(ops.cast(ops.shape(state)[0], moved.dtype))
        unit = replicas.total(ops.sum(moved)) / rows

        def contrast():
            wrong = predict(state, other)
            return action_contrast(
                states["predicted"], wrong, next_state, unit, loss.sigma, loss.object_axis
            )

        return ops.cond(step < self.steps, contrast, lambda: ops.zeros_like(moved))

    def get_config(self) -> dict[str, Any]:
        return {"steps": self.steps}


@keras.saving.register_keras_serializable("sen_tf")
class ContrastiveLoss:
    """The contrastive hinge loss of a world model, for its `compile`.

    The sum of the positive part, the mean over kinds of negatives of their parts (see
    `contrastive_hinge`), and the terms. For a sample that has no negative of a kind, the first
    kind's part stands in.

    Args:
        negatives: Kinds of negatives: `OtherSamples`, `ReversedFrames`, `SameEpisode`; by default
            one other sample. The first counts in evaluation too.
        terms: Further terms of the loss in training, such as `ActionContrast`.
        hinge: Energy beyond which a negative no longer counts.
        sigma: Length scale of the energy.
        variant: What negatives are compared with: `"current"`, the present state (C-SWM and the
            paper's code), or `"predicted"`, the predicted one (the paper's equation).
        object_axis: Whether axis 1 of a state counts objects, over which energies are averaged.

    Raises:
        ValueError: For an unknown variant, a hinge or sigma that is not positive, or no negatives.

    Example:
        >>> model.compile(
        ...     keras.optimizers.Adam(1e-3),
        ...     loss=ContrastiveLoss([OtherSamples(), ReversedFrames()], [ActionContrast(740)]),
        ... )

    Reference: Park et al. (2022), section 4.3; Kipf et al. (2020), equation 4.
    """

    def __init__(
        self,
        negatives: Sequence[Negatives] | None = None,
        terms: Sequence[Callable[..., Tensor]] = (),
        hinge: float = 1.0,
        sigma: float = 0.5,
        variant: str = "current",
        object_axis: bool = True,
    ) -> None:
        self.negatives = [OtherSamples()] if negatives is None else list(negatives)
        if not self.negatives or self.negatives[0].training_only:
            raise ValueError(
                "Expected `negatives` to begin with a kind that evaluation has, such as "
                f"`OtherSamples()`; received {negatives!r}."
            )
        if variant not in VARIANTS:
            raise ValueError(
                f"Expected `variant` to be one of {VARIANTS}; received variant={variant!r}."
            )
        if not (hinge > 0 and sigma > 0):
            raise ValueError(
                f"Expected `hinge` and `sigma` to be positive; received {hinge!r}, {sigma!r}."
            )
        self.terms = list(terms)
        self.hinge = float(hinge)
        self.sigma = float(sigma)
        self.variant = variant
        self.object_axis = bool(object_axis)

    def energy(self, x: Tensor, y: Tensor) -> Tensor:
        """`energy` with the loss's own length scale."""
        return energy(x, y, self.sigma, self.object_axis)

    def images(self, obs: Tensor) -> dict[str, Tensor]:
        """The images that training encodes beside `obs`, a dict."""
        images: dict[str, Tensor] = {}
        for kind in self.negatives:
            if hasattr(kind, "images"):
                images |= kind.images(obs)
        return images

    def __call__(
        self,
        batch: dict[str, Tensor],
        states: dict[str, Tensor],
        step: Tensor,
        predict: Callable[[Tensor, Tensor], Tensor],
        seed: SeedGenerator,
        training: bool = True,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The loss of each sample.

        Args:
            batch: The transitions.
            states: Dict of `state`, `predicted`, `next_state` and those of `images`.
            step: Steps of gradient descent so far.
            predict: Function from states and actions to predicted next states.
            seed: `keras.random.SeedGenerator` that negatives are drawn with.
            training: Whether terms and all kinds of negatives count.

        Returns:
            The loss, its positive part and the part of the first kind of negatives, `(batch,)`.
        """
        predicted = states["predicted"]
        reference = states["state"] if self.variant == "current" else predicted
        parts: list[Tensor] = []
        for kind in self.negatives:
            if training or not kind.training_only:
                drawn, number = kind(states, seed)
                part = nearness(reference, drawn, self.hinge, self.sigma, self.object_axis, number)
                if parts and number is not None:
                    part = ops.where(number > 0, part, parts[0])
                parts.append(part)
        positive = self.energy(predicted, states["next_state"])
        losses = positive + sum(parts) / len(parts)
        for term in self.terms if training else ():
            losses += term(self, batch, states, step, predict)
        return losses, positive, parts[0]

    def get_config(self) -> dict[str, Any]:
        listed = {
            name: [keras.saving.serialize_keras_object(each) for each in getattr(self, name)]
            for name in ("negatives", "terms")
        }
        names = ("hinge", "sigma", "variant", "object_axis")
        return {**listed, **{name: getattr(self, name) for name in names}}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        listed = {
            name: [keras.saving.deserialize_keras_object(each) for each in config[name]]
            for name in ("negatives", "terms")
        }
        return cls(**{**config, **listed})
