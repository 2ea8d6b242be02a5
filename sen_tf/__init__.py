"""Symmetric embedding networks and equivariant world models for Keras.

Importing this package registers every layer and model with Keras, so that
`keras.models.load_model` finds them. What simulates, trains and scores is imported when it is
first asked for: `train`, `evaluate`, `explain`, `from_pretrained`, `push`, `callbacks`,
`symmetry` and `Episodes`.
"""

import importlib
import sys
import types
import typing

from sen_tf.distribution import quiet

quiet.import_keras()

from sen_tf import groups, layers, losses, models  # noqa: E402
from sen_tf.models import ContrastiveWorldModel, to_plain  # noqa: E402

if typing.TYPE_CHECKING:
    from sen_tf import symmetry
    from sen_tf.datasets import Episodes
    from sen_tf.experiments.training_run import evaluate, train
    from sen_tf.pretrained import from_pretrained, push
    from sen_tf.symmetry import explain
    from sen_tf.training import callbacks

__version__ = "0.1.0"
__all__ = [
    "ContrastiveWorldModel",
    "Episodes",
    "callbacks",
    "evaluate",
    "explain",
    "from_pretrained",
    "groups",
    "layers",
    "losses",
    "models",
    "push",
    "symmetry",
    "to_plain",
    "train",
]

_PLACES = {
    "Episodes": "datasets",
    "callbacks": "training.callbacks",
    "evaluate": "experiments.training_run",
    "explain": "symmetry",
    "from_pretrained": "pretrained",
    "push": "pretrained",
    "symmetry": "symmetry",
    "train": "experiments.training_run",
}


class _Package(types.ModuleType):
    """The package, whose functions `train` and `evaluate` the programs of these names do not hide.

    Else importing `sen_tf.train` anywhere would put the module in the function's place.
    """

    def __setattr__(self, name, value):
        if name not in _PLACES or value is not sys.modules.get(f"{__name__}.{name}"):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __getattr__(name):
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"sen_tf.{_PLACES[name]}")
    return getattr(module, name, module)
