"""The endpoints of an exported world model: its functions by name, and what each takes."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import keras
from keras import ops

from sen_tf.models import ContrastiveWorldModel
from sen_tf.tensors import Tensor


class Endpoint(NamedTuple):
    """A function of tensors to a dict of tensors, and the `keras.InputSpec` of each argument."""

    function: Callable[..., dict[str, Tensor]]
    signature: list[keras.InputSpec]


def endpoints_of(model: ContrastiveWorldModel) -> dict[str, Endpoint]:
    """The endpoints of a world model: a dict from names to `Endpoint`."""
    state, action = model.transition.inputs

    def spec(name, shape, dtype):
        return keras.InputSpec(shape=(None, *shape), dtype=dtype, name=name)

    def encode(image):
        return {"state": model.encode(image)}

    def step(state, action):
        return {"next_state": model.step(state, action)}

    def rollout(state, actions):
        return {"states": _rollout(model, state, actions)}

    image = model.embedding.input_shape[1:]
    before = spec("state", state.shape[1:], state.dtype)
    actions = spec("actions", (None, *action.shape[1:]), action.dtype)
    return {
        "encode": Endpoint(encode, [spec("image", image, "uint8")]),
        "encode_float": Endpoint(encode, [spec("image", image, "float32")]),
        "step": Endpoint(step, [before, spec("action", action.shape[1:], action.dtype)]),
        "rollout": Endpoint(rollout, [before, actions]),
    }


def _rollout(model, state, actions):
    """`model.rollout` for any number of steps, in a loop that every format can hold.

    Each turn writes its state into a tensor of all of them: LiteRT and tf2onnx have no lists of
    tensors of unknown size.
    """
    batch, steps = ops.shape(actions)[:2]
    turns = ops.arange(steps)

    def advance(turn, state, states):
        state = model.step(state, ops.take(actions, turn, axis=1))
        now = ops.reshape(ops.equal(turns, turn), (1, -1, *(1 for _ in state.shape[1:])))
        return turn + 1, state, ops.where(now, ops.expand_dims(state, 1), states)

    blank = ops.zeros((batch, steps, *state.shape[1:]), dtype=state.dtype)
    return ops.while_loop(lambda turn, *_: turn < steps, advance, (0, state, blank))[-1]


def guarded(
    function: Callable[..., dict[str, Tensor]], signature: Sequence[keras.InputSpec]
) -> Callable[..., dict[str, Tensor]]:
    """`function` with a check of its inputs' shapes in the graph.

    TensorFlow Serving feeds the graph without comparing shapes to the signature. Without the check,
    images of nearly the right size are answered, one action goes to all states of some models, and
    an image that lacks the axis of the batch ends the process.
    """
    import tensorflow as tf

    names = [spec.name for spec in signature]

    def checked_first(*tensors):
        checked = [
            tf.ensure_shape(tensor, spec.shape, name=f"{spec.name}_shape")
            for tensor, spec in zip(tensors, signature, strict=True)
        ]
        batches = [tf.shape(tensor)[0] for tensor in checked]
        for name, batch in zip(names[1:], batches[1:], strict=True):
            message = f"`{names[0]}` and `{name}` must have the same batch size"
            tf.debugging.assert_equal(batches[0], batch, message)
        return function(*checked)

    return checked_first
