"""Symmetric embedding networks and equivariant world models for Keras.

Importing this package registers every layer and model with Keras, so that
`keras.models.load_model` finds them.
"""

from sen_tf.distribution import quiet

quiet.import_keras()

from sen_tf import groups, layers, losses, models  # noqa: E402
from sen_tf.models import ContrastiveWorldModel  # noqa: E402

__version__ = "0.1.0"
__all__ = ["ContrastiveWorldModel", "groups", "layers", "losses", "models"]
