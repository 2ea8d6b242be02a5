"""A callback that watches the symmetry of a network while it is trained."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from sen_tf import groups
from sen_tf.groups import Field, GroupLike
from sen_tf.symmetry import graph as graphs
from sen_tf.symmetry import rules
from sen_tf.symmetry.explanation import as_inputs, restricted
from sen_tf.symmetry.trial import relative_error


class EquivarianceError(keras.callbacks.Callback):
    """Logs the equivariance error of the whole network at the end of each epoch.

    It is the largest over elements of |f(g x) - g f(x)| / |f(x)|, as `equivariance_error` in the
    logs; nan where the field of no output is known. It costs a forward pass of the inputs for each
    element of the group. `explain` says which layer an error comes from.

    Args:
        inputs, group, fields: as in `explain`.

    Raises:
        ValueError: from `fit`, as `explain`.

    Example:
        >>> model.fit(x, y, callbacks=[EquivarianceError(x[:16], "C4")])
    """

    def __init__(
        self,
        inputs: Any,
        group: GroupLike,
        fields: Mapping[str, Field | Sequence[Field]] | None = None,
    ) -> None:
        super().__init__()
        self.inputs = inputs
        self.group = groups.get(group)
        self.fields = dict(fields or {})

    def on_train_begin(self, logs: Any = None) -> None:
        graph = graphs.of(self.model)
        self._stated = rules.all_fields(graph, self.group, self.fields)
        self._arrays = as_inputs(graph, self.inputs, self._stated, self.group)
        self._keys = graph.inputs, graph.outputs

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if logs is not None:
            logs["equivariance_error"] = self.error()

    def error(self) -> float:
        """The error of the model as it is now, a number."""
        inputs, outputs = self._keys
        reference = {**self._arrays, **self._outputs(self._arrays)}
        known = restricted(self._stated, self.group, reference)
        errors = []
        for g in self.group.elements[1:]:
            moved = self._outputs({key: known[key].act(self._arrays[key], g) for key in inputs})
            for key in set(outputs) & set(known):
                errors.append(relative_error(known[key].act(reference[key], g), moved[key]))
        return max(errors, default=0.0 if self.group.order == 1 else float("nan"))

    def _outputs(self, arrays):
        inputs, outputs = self._keys
        tensors = [keras.ops.convert_to_tensor(np.ascontiguousarray(arrays[key])) for key in inputs]
        symbols = getattr(self.model, "input", self.model.inputs)  # in the structure of the call
        made = self.model(keras.tree.pack_sequence_as(symbols, tensors), training=False)
        made = keras.tree.flatten(made)
        return dict(zip(outputs, map(keras.ops.convert_to_numpy, made), strict=True))
