"""The contrastive loss of world models, an object for `compile`."""

from collections.abc import Callable, Sequence
from typing import Any, Self

import keras
from keras import ops
from keras.random import SeedGenerator

from sen_tf.losses.energies import energy, nearness, nearness_by_object
from sen_tf.losses.negatives import Negatives, OtherSamples
from sen_tf.losses.terms import Term
from sen_tf.tensors import Tensor

VARIANTS = ("current", "predicted")


@keras.saving.register_keras_serializable("sen_tf")
class ContrastiveLoss:
    """The contrastive hinge loss of a world model, for its `compile`.

    The sum of the positive part, the mean over kinds of negatives of their parts (see
    `contrastive_hinge`), and the terms. For a sample that has no negative of a kind, the first
    kind's part stands in.

    Args:
        negatives: Kinds of negatives: `OtherSamples`, `ReversedFrames`, `SameEpisode`, or
            `Uniformity`, which has no hinge; by default one other sample. The first counts in
            evaluation too.
        terms: Further terms of the loss in training: `ActionContrast`, `Alignment`.
        hinge: Energy beyond which a negative no longer counts.
        sigma: Length scale of the energy.
        variant: What negatives are compared with: `"current"`, the present state (C-SWM and the
            paper's code), or `"predicted"`, the predicted one (the paper's equation).
        object_axis: Whether axis 1 of a state counts objects, over which energies are averaged.
        object_hinge_steps: Steps of gradient descent, the first, in which each object has a hinge
            of its own. An object that does not show then costs something, however far the others
            take two states apart; one that shows keeps showing. It is not for ever, since two
            states in which an object is the same are to be the same for it.

    Raises:
        ValueError: For an unknown variant, `"predicted"` beside `Uniformity`, a hinge or sigma
            that is not positive, or no negatives.

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
        terms: Sequence[Term] = (),
        hinge: float = 1.0,
        sigma: float = 0.5,
        variant: str = "current",
        object_axis: bool = True,
        object_hinge_steps: int = 0,
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
        if variant == "predicted" and any(hasattr(kind, "part") for kind in self.negatives):
            raise ValueError(
                "Expected `variant` to be 'current' where negatives compare states with each "
                "other, as `Uniformity` does; received variant='predicted'."
            )
        if not (hinge > 0 and sigma > 0):
            raise ValueError(
                f"Expected `hinge` and `sigma` to be positive; received {hinge!r}, {sigma!r}."
            )
        self.terms = list(terms)
        self.hinge = float(hinge)
        self.sigma = float(sigma)
        self.variant = variant
        if object_hinge_steps < 0:
            raise ValueError(
                "Expected `object_hinge_steps` to be at least 0; received "
                f"object_hinge_steps={object_hinge_steps!r}."
            )
        if object_hinge_steps and not object_axis:
            raise ValueError(
                "Expected `object_hinge_steps` to be 0 where states show no objects; received "
                f"object_hinge_steps={object_hinge_steps!r}."
            )
        self.object_axis = bool(object_axis)
        self.object_hinge_steps = int(object_hinge_steps)

    def energy(self, x: Tensor, y: Tensor) -> Tensor:
        """`energy` with the loss's own length scale."""
        return energy(x, y, self.sigma, self.object_axis)

    @property
    def features(self) -> bool:
        """True if the loss looks at the embedding's features in training."""
        return any(term.features for term in self.terms)

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
            states: Dict of `state`, `predicted`, `next_state` and those of `images`; where the loss
                looks at `features`, of `features` and `next_features`, too.
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
            if hasattr(kind, "part"):
                parts.append(kind.part(self, states))
            elif training or not kind.training_only:
                drawn, number = kind(states, seed)
                part = self._nearness(reference, drawn, number, step, training)
                if parts and number is not None:
                    part = ops.where(number > 0, part, parts[0])
                parts.append(part)
        positive = self.energy(predicted, states["next_state"])
        losses = positive + sum(parts) / len(parts)
        for term in self.terms if training else ():
            value = term(self, batch, states, step, predict)
            alone = ops.where(step < term.steps, value, losses)
            losses = alone if term.alone else losses + value
        return losses, positive, parts[0]

    def _nearness(self, reference, drawn, number, step, training):
        """The part of negatives that were drawn."""
        near = nearness(reference, drawn, self.hinge, self.sigma, self.object_axis, number)
        if not (training and self.object_hinge_steps):
            return near
        by_object = nearness_by_object(reference, drawn, self.hinge, self.sigma, number)
        return ops.where(step < self.object_hinge_steps, by_object, near)

    def get_config(self) -> dict[str, Any]:
        listed = {
            name: [keras.saving.serialize_keras_object(each) for each in getattr(self, name)]
            for name in ("negatives", "terms")
        }
        names = ("hinge", "sigma", "variant", "object_axis", "object_hinge_steps")
        return {**listed, **{name: getattr(self, name) for name in names}}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        listed = {
            name: [keras.saving.deserialize_keras_object(each) for each in config[name]]
            for name in ("negatives", "terms")
        }
        return cls(**{**config, **listed})
