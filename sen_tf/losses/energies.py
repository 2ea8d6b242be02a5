"""Energies of latent states, and what losses make of them: functions of tensors."""

from collections.abc import Sequence

from keras import ops

from sen_tf.tensors import Tensor


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
    return _up_to_hinge(energies, hinge, number)


def nearness_by_object(
    reference: Tensor,
    negatives: Sequence[Tensor],
    hinge: float = 1.0,
    sigma: float = 0.5,
    number: Tensor | int | None = None,
) -> Tensor:
    """The mean over objects of the negative part, where each has a hinge of its own.

    Args:
        reference: Tensor of shape `(batch, objects, ...)`.
        negatives, hinge, sigma, number: As in `contrastive_hinge`.

    Returns:
        Tensor of shape `(batch,)`.
    """
    by_object = [
        _up_to_hinge(
            [energy(reference[:, k], other[:, k], sigma, False) for other in negatives],
            hinge,
            number,
        )
        for k in range(reference.shape[1])
    ]
    return sum(by_object) / len(by_object)


def _up_to_hinge(energies, hinge, number):
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
