"""Groups, their actions and their representations. NumPy only."""

from sen_tf.groups import (
    actions,
    circle,
    harmonics,
    icosahedral,
    irreps,
    kernels,
    octahedral,
    representations,
    rotations,
)
from sen_tf.groups.finite import FiniteGroup, GroupLike, cyclic, dihedral, get
from sen_tf.groups.representations import Representation, RepresentationLike

__all__ = [
    "FiniteGroup",
    "GroupLike",
    "Representation",
    "RepresentationLike",
    "actions",
    "circle",
    "cyclic",
    "dihedral",
    "get",
    "harmonics",
    "icosahedral",
    "irreps",
    "kernels",
    "octahedral",
    "representations",
    "rotations",
]
