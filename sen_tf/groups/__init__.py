"""Groups, their actions and their representations. NumPy only."""

from sen_tf.groups import (
    actions,
    circle,
    fields,
    harmonics,
    icosahedral,
    irreps,
    kernels,
    octahedral,
    representations,
    rotations,
)
from sen_tf.groups.fields import Field
from sen_tf.groups.finite import FiniteGroup, GroupLike, cyclic, dihedral, get
from sen_tf.groups.representations import Representation, RepresentationLike

__all__ = [
    "Field",
    "FiniteGroup",
    "GroupLike",
    "Representation",
    "RepresentationLike",
    "actions",
    "circle",
    "cyclic",
    "dihedral",
    "fields",
    "get",
    "harmonics",
    "icosahedral",
    "irreps",
    "kernels",
    "octahedral",
    "representations",
    "rotations",
]
