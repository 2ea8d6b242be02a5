"""Further terms of the contrastive loss, which count in the first steps of training."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import keras
from keras import ops

from sen_tf.distribution import replicas
from sen_tf.losses.energies import action_contrast
from sen_tf.losses.negatives import Saved
from sen_tf.tensors import Tensor

if TYPE_CHECKING:
    from sen_tf.losses.contrastive import ContrastiveLoss


class Term(Protocol):
    """A further term of the loss: a registered class with these members."""

    features: bool  # whether `states` are to hold the embedding's features, too
    alone: bool  # whether the term stands for the loss while it counts, or is added to it
    steps: int  # steps of gradient descent in which it counts

    def __call__(
        self,
        loss: "ContrastiveLoss",
        batch: dict[str, Tensor],
        states: dict[str, Tensor],
        step: Tensor,
        predict: Callable[[Tensor, Tensor], Tensor],
    ) -> Tensor: ...


class _Early(Saved):
    """A term of the first steps."""

    features, alone = False, False

    def __init__(self, steps: int) -> None:
        if steps < 1:
            raise ValueError(f"Expected `steps` to be at least 1; received steps={steps!r}.")
        self.steps = int(steps)

    def get_config(self) -> dict[str, Any]:
        return {"steps": self.steps}


@keras.saving.register_keras_serializable("sen_tf")
class ActionContrast(_Early):
    """`action_contrast` with the actions of other samples, in the first steps of training.

    It ends the plateau on which the model predicts that nothing moves.

    Args:
        steps: Steps of gradient descent in which it counts.
        moves: Moves per object, where actions are numbers `moves * object + move`: every second
            sample is then contrasted with another move of the same object, which other samples
            take. What a move does, by the heading of its object, is so asked for as much as who
            moves. None contrasts with any actions.

    Raises:
        ValueError: For fewer than one step, or fewer than two moves.
    """

    def __init__(self, steps: int, moves: int | None = None) -> None:
        super().__init__(steps)
        if moves is not None and moves < 2:
            raise ValueError(f"Expected `moves` to be at least 2; received moves={moves!r}.")
        self.moves = moves

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
        other = own(self._others(actions))
        moved = loss.energy(state, next_state)
        rows = replicas.total(ops.cast(ops.shape(state)[0], moved.dtype))
        unit = replicas.total(ops.sum(moved)) / rows

        def contrast():
            wrong = predict(state, other)
            return action_contrast(
                states["predicted"], wrong, next_state, unit, loss.sigma, loss.object_axis
            )

        return ops.cond(step < self.steps, contrast, lambda: ops.zeros_like(moved))

    def _others(self, actions):
        """The action of another sample for each of the global batch."""
        if self.moves is not None and len(actions.shape) != 1:
            raise ValueError(
                "Expected actions to be numbers where `moves` is given; received shape "
                f"{tuple(actions.shape)}."
            )
        any_other = ops.roll(actions, 1, axis=0)
        if self.moves is None:
            return any_other
        objects = actions // self.moves
        usable = (objects[:, None] == objects) & (actions[:, None] != actions)
        first = ops.take(actions, ops.argmax(ops.cast(usable, "int32"), axis=1))
        every_second = ops.arange(ops.shape(actions)[0]) % 2 == 1
        return ops.where(every_second & ops.any(usable, axis=1), first, any_other)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "moves": self.moves}


@keras.saving.register_keras_serializable("sen_tf")
class Alignment(_Early):
    """The alignment of features that are vectors with actions that are rotations.

    Of K vectors v before and v' after an action a it is

        log det(M + epsilon G) - log det G,

    where M holds the means of (a v_i - v'_i) (a v_j - v'_j), and G the covariances of v_i and v_j
    over both: the part of the variance of every combination of them that the action does not
    explain. No two vectors can become one, and it needs no negatives. It is that of the first two,
    of which a rotation is made, and that of all others, of which the two are sums: a direction that
    is hard to see, and that the two would do without, is learnt there from the start.

    While it counts, it stands for the whole loss. The contrastive loss begins at constant
    rotations, which could become the right ones only by tearing; vectors get there step by step.

    Args:
        steps: Steps of gradient descent in which it counts.
        epsilon: Part of the variance below which what is not explained counts no more.

    Reference: docs/notes/teapot-small-actions.md.
    """

    features, alone = True, True

    def __init__(self, steps: int, epsilon: float = 1e-3) -> None:
        super().__init__(steps)
        if not epsilon > 0:
            raise ValueError(f"Expected `epsilon` to be positive; received epsilon={epsilon!r}.")
        self.epsilon = float(epsilon)

    def __call__(
        self,
        loss: "ContrastiveLoss",
        batch: dict[str, Tensor],
        states: dict[str, Tensor],
        step: Tensor,
        predict: Callable[[Tensor, Tensor], Tensor],
    ) -> Tensor:
        """The same number for each sample, `(batch,)`.

        Args:
            loss, step, predict: Unused here.
            batch: Dict of `action`, rotations `(batch, 3, 3)`.
            states: Dict of `features` and `next_features`, vectors `(batch, 3, 2 + K)`.

        Raises:
            ValueError: For features or actions of other shapes.
        """
        shapes = [tuple(x.shape[1:]) for x in (states["features"], batch["action"])]
        if shapes[0][:-1] != (3,) or shapes[0][-1] <= FRAME or shapes[1] != (3, 3):
            raise ValueError(
                "`Alignment` needs features that are three vectors or more, (batch, 3, vectors), "
                f"and actions that are rotations, (batch, 3, 3); received {shapes[0]} and "
                f"{shapes[1]} per sample."
            )
        before, after = (
            ops.cast(states[name], "float32") for name in ("features", "next_features")
        )
        rows = ops.cast(ops.shape(before)[0], "float32")
        count = replicas.total(rows)
        left = ops.cast(batch["action"], "float32") @ before - after
        unexplained = replicas.total(_products(left)) / count
        mean = replicas.total(ops.sum(before + after, axis=0)) / (2 * count)
        variance = replicas.total(_products(before - mean) + _products(after - mean)) / (2 * count)
        unexplained, variance = _invertible(unexplained), _invertible(variance)
        value = sum(
            _log_det(unexplained[part, part] + self.epsilon * variance[part, part])
            - _log_det(variance[part, part])
            for part in (slice(None, FRAME), slice(FRAME, None))
        )
        return ops.zeros_like(before[:, 0, 0]) + value

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "epsilon": self.epsilon}


FRAME = 2
"""Vectors of which a rotation is made."""
FLATTEST = 1e-5
"""Part of the mean of a diagonal that is added to it, so that float32 can tell it from zero."""


def _products(vectors):
    """The sums of products of vectors `(batch, 3, K)`, `(K, K)`."""
    flat = ops.reshape(vectors, (ops.shape(vectors)[0] * 3, vectors.shape[-1]))
    return ops.transpose(flat) @ flat


def _invertible(matrix):
    size = matrix.shape[0]
    return matrix + (FLATTEST * ops.trace(matrix) / size + 1e-9) * ops.eye(size)


def _log_det(matrix):
    """The logarithm of the determinant of a positive definite matrix."""
    return 2 * ops.sum(ops.log(ops.diagonal(ops.cholesky(matrix))))
