"""Methods `output_field`, which say what field a layer makes of those that it is given.

`layer.output_field(field, ...)` takes the `groups.Field` of each tensor that the layer is called
on, or None where it is not known, and returns that of the output, or None. It is what the layer
promises, which `sen_tf.explain` measures. A layer has one of these functions as its method in one
line, as in `output_field = output_fields.keeps_field`.
"""

from typing import Any

from sen_tf.groups import Field, fields


def keeps_field(layer: Any, field: Field | None, *others: Field | None) -> Field | None:
    """The field of the first input."""
    return field


def to_group(layer: Any, field: Field | None) -> Field | None:
    """Functions on the group of the layer, at each pixel that there was."""
    return field and field.replace(group=layer.group, representation="regular", axis=-2)


def to_images_on_group(layer: Any, field: Field | None) -> Field | None:
    """Images of functions on the group of the layer, whatever its input."""
    return Field(layer.group, "regular", pixels=True)


def to_images(layer: Any, field: Field | None) -> Field | None:
    """Images whose channels the group leaves alone."""
    return Field(layer.group, pixels=True)


def gathered_on_group(layer: Any, field: Field | None) -> Field | None:
    """Functions on the group of the layer, whose pixels have become channels."""
    return Field(layer.group, "regular")


def to_trivial(layer: Any, field: Field | None) -> Field | None:
    """The field without its representation: channels that the group leaves alone."""
    return field and field.replace(representation="trivial", axis=-2)


def without_places(layer: Any, field: Field | None) -> Field | None:
    """The field of one vector or function, which all pixels or voxels together have become."""
    return field and field.replace(pixels=False, voxels=False)


def to_volumes_of_parts(layer: Any, field: Field | None) -> Field | None:
    """Volumes of functions on the parts of the layer, whatever its input."""
    return Field(layer.group, layer.field, voxels=True)


def to_volumes(layer: Any, field: Field | None) -> Field | None:
    """Volumes whose channels the group leaves alone."""
    return Field(layer.group, voxels=True)


def to_representation(layer: Any, field: Field | None) -> Field | None:
    """Vectors, on the last axis, that the representation of the layer acts on."""
    changes = {"group": layer.group, "representation": layer.representation, "axis": -1}
    return field and field.replace(**changes)


def to_irreps(layer: Any, field: Field | None, *others: Field | None) -> Field | None:
    """Parts of SO(3) or O(3) up to the degree of the layer, under the group of all inputs."""
    if field is None or None in others:
        return None
    rho = fields.of_irreps(field.group, layer.degree, getattr(layer, "group", "SO3"))
    return field.replace(representation=rho, axis=-2) if rho else None


def to_frequencies(layer: Any, field: Field | None) -> Field | None:
    """Parts of SO(2) or O(2) at each pixel, under the group of the input."""
    if field is None:
        return None
    rho = fields.of_frequencies(field.group, layer.group, layer.frequencies)
    return Field(field.group, rho, pixels=True) if rho else None


def from_irreps(layer: Any, field: Field | None) -> Field | None:
    """Scalars or vectors, by the rank of the layer; of matrices, on two axes, there is no field."""
    if field is None or layer.rank == 0:
        return to_trivial(layer, field)
    rho = fields.of_vectors(field.group, getattr(layer, "group", "SO3"))
    return field.replace(representation=rho, axis=-2) if layer.rank == 1 and rho else None


def to_matrices(layer: Any, field: Field | None) -> Field | None:
    """Matrices `(..., 3, 3)` whose columns turn as vectors do, of vectors on the last axis."""
    return field.replace(axis=-2) if field and field.axis == -1 else None
