"""Groups, their actions and their representations. NumPy only."""

from sen_tf.groups import actions, irreps, representations, rotations
from sen_tf.groups.finite import FiniteGroup, cyclic, dihedral, get
from sen_tf.groups.representations import Representation

__all__ = [
    "FiniteGroup",
    "Representation",
    "actions",
    "cyclic",
    "dihedral",
    "get",
    "irreps",
    "representations",
    "rotations",
]
