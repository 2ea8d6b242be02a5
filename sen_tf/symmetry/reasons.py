"""Reasons why layers do not commute with a group, and fixes, in words."""

import dataclasses
from typing import Any

import keras
import numpy as np

from sen_tf import layers
from sen_tf.groups import Field, FiniteGroup, fields
from sen_tf.layers import irreps_parts
from sen_tf.layers.irreps_dense import IrrepsMixing
from sen_tf.layers.symmetric_grid import PIXELS, VOXELS, exchanged
from sen_tf.symmetry import windows
from sen_tf.symmetry.graph import Step
from sen_tf.tensors import Shape


@dataclasses.dataclass(frozen=True)
class Case:
    """A layer that is not exact.

    Attributes:
        step: the call of the layer.
        group: the group of which it is asked.
        stated: the fields of its inputs and of its output, as rules say them, of whatever group.
        shapes: the shapes of its inputs and of its output.
        together: the names of layers of unknown field before it, whose errors are in its own.
    """

    step: Step
    group: FiniteGroup
    stated: tuple[Field | None, ...]
    shapes: tuple[Shape, ...]
    together: tuple[str, ...] = ()

    @property
    def layer(self) -> Any:
        return self.step.layer

    @property
    def field(self) -> Field | None:
        """The field of the first input."""
        return self.stated[0]

    def is_a(self, *names: str) -> bool:
        """True if the layer is of one of Keras' classes of these names."""
        return any(kind.__name__ in names for kind in type(self.layer).__mro__)


def structural(case: Case) -> tuple[str, str] | None:
    """The reason and the fix of a layer that breaks the group whatever its numbers are; or None."""
    checks = (_of_another_group, _not_of_irreps, _not_square)
    return next((found for check in checks if (found := check(case))), None)


def measured(case: Case) -> tuple[str, str]:
    """The reason and the fix of a layer whose own error is not rounding."""
    checks = (
        _relaxed,
        _flat,
        _sequence,
        _mixes_numbers,
        _kernel,
        _window,
        _cut,
        _statistics,
        _dense,
        _position,
        _order,
    )
    found = next((found for check in checks if (found := check(case))), None)
    reason, fix = found or ("its output does not transform as its field says", "")
    if case.together and not found:
        names = ", ".join(f"`{name}`" for name in case.together)
        return (
            f"{names} and it do not commute together, and of {names} no field is known",
            "state it by `fields`, to know which of them breaks the symmetry",
        )
    return reason, fix


def _of_another_group(case):
    own, made = getattr(case.layer, "group", None), case.stated[-1]
    if not isinstance(own, FiniteGroup):
        return None
    if made is not None and not made.is_trivial and made.group != own:
        return None  # it takes functions on any group as they are, as pooling does
    for field in case.stated[:-1]:
        if field is not None and not field.is_trivial and field.group != own:
            alike = f": both have {own.order} elements" if own.order == field.group.order else ""
            return (
                f"it takes a function on {field.group} for one on {own}{alike}",
                "use one group in all layers",
            )
    if fields.subgroup(case.group, own) is None and not _trivial(made):
        return (
            f"it commutes with {own}, of which {case.group} is no subgroup",
            f"use {type(case.layer).__name__}('{case.group}', ...)",
        )
    return None


def _trivial(field):
    return field is not None and field.is_trivial


def _not_of_irreps(case):
    """A function on a finite group in a layer of a continuous one, which takes as many parts."""
    whole, field = str(getattr(case.layer, "group", "")), case.field
    if isinstance(case.layer, IrrepsMixing):  # of which some say no group
        whole = whole or "SO3"
    if whole not in irreps_parts.GROUPS or field is None or field.is_trivial or field.axis == -1:
        return None
    if not isinstance(case.layer, layers.FromIrreps | IrrepsMixing | TURNING):
        return None  # it moves pixels, and takes any axis
    in_space = whole in irreps_parts.SPACE
    kind = "irreps" if in_space else "frequencies"
    if field.representation.name.startswith(kind):
        return None
    fix = "use layers of one group"
    if in_space:
        volumes = isinstance(case.layer, layers.IrrepsConv3D)
        fix = f"use {'GroupConv3D' if volumes else 'GroupDense'}, or ToIrreps before it"
    return (
        f"it takes a function on {field.group} for parts of {whole}: {field.dimension} components "
        f"are {'degrees' if in_space else 'frequencies'} 0 to L of it as well",
        fix,
    )


TURNING = (
    layers.GatedActivation
    | layers.NormActivation
    | layers.CircleActivation
    | layers.CircleConv2D
    | layers.IrrepsBatchNormalization
    | layers.IrrepsLayerNormalization
)
"""Layers of components that the elements of a continuous group mix."""


def _not_square(case):
    shape, field = case.shapes[-1], case.stated[-1]
    if field is None or not is_exchanged(field, case.group, shape):
        return None
    unit, fix = ("voxels", "volumes cubic") if field.voxels else ("pixels", "images square")
    sides = " x ".join(map(str, _sides(field, shape)))
    return f"its output has {sides} {unit}, which quarter turns exchange", f"keep {fix}"


def is_exchanged(field: Field, group: FiniteGroup, shape: Shape) -> bool:
    """True for images that are not square, and volumes, where a group exchanges their sides."""
    sides = _sides(field, shape)
    if len(set(sides)) < 2:
        return False
    return any(sides[a - 1] != sides[b - 1] for a, b in exchanged(group, _axes(field)))


def _sides(field, shape):
    """The sizes of the image or volume, none where there are no places."""
    return field.tokens or shape[1 : 1 + field.space_axes]


def _axes(field):
    return VOXELS if field.voxels else PIXELS


def _on_grid(field):
    """True if the places of a field are axes of their own, over which windows move."""
    return field is not None and field.space_axes > 1


def is_relaxed(case: Case) -> bool:
    """True for a layer that is meant to break the symmetry as far as data ask for it, and does."""
    return hasattr(case.layer, "relaxation_variance") and case.layer.relaxation_variance() > 0


def _relaxed(case):
    if not is_relaxed(case):
        return None
    variance = case.layer.relaxation_variance()
    return (
        f"its relaxation differs between elements, by a variance of {variance:.2g}",
        "it is there to be broken; a larger `relaxation_regularizer` keeps more",
    )


def _flat(case):
    if not case.is_a("Flatten"):
        return None
    return (
        "it makes channels of pixels or elements, which the group moves",
        "use GroupFlatten, or global pooling and GroupPooling before it",
    )


def _sequence(case):
    if not case.is_a("RNN", "Bidirectional"):
        return None
    return (
        "it reads pixels or elements one after the other, in an order that the group changes",
        "pool over them, or use attention",
    )


def _mixes_numbers(case):
    """A function of single numbers of vectors, which mix."""
    field = case.field
    if field is None or field.is_trivial or not case.is_a(*POINTWISE):
        return None
    matrices = field.representation.matrices
    if np.isin(matrices, (0, 1)).all():
        return None
    turns = field.representation.name.startswith(("irreps", "frequencies"))
    gate, where = ("GatedActivation", "in its place") if turns else ("ToRegular", "before it")
    return (
        f"it changes each number by itself, where the group mixes the numbers of "
        f"{field.representation}",
        f"use {gate} {where}",
    )


POINTWISE = (
    *("Activation", "ReLU", "LeakyReLU", "PReLU", "ELU", "Softmax"),
    *("MaxPooling2D", "MaxPooling3D"),
    *("Relu", "Relu6", "LeakyRelu", "Elu", "Selu", "Gelu", "Silu", "Sigmoid", "Softplus", "Tanh"),
)


def _window(case):
    if not hasattr(case.layer, "strides") or not _on_grid(case.field):
        return None
    transposed, axes = case.is_a("BaseConvTranspose"), _axes(case.field)
    return windows.asymmetry(case.layer, case.group, case.shapes[0], transposed, axes)


def _cut(case):
    for kind, name in (("Cropping", "cropping"), ("ZeroPadding", "padding")):
        if case.is_a(f"{kind}2D", f"{kind}3D"):
            reason = f"its {name} is {getattr(case.layer, name)}, more at one side"
            return reason, "do the same at all sides"
    return None


def _statistics(case):
    """Normalization over too few axes, with numbers for each element or pixel."""
    if not case.is_a("BatchNormalization", "LayerNormalization", "Normalization"):
        return None
    axis = case.layer.axis
    for number in axis if isinstance(axis, list | tuple) else [axis]:
        if what := _moved_axis(case, number):
            batch = "Batch" if case.is_a("BatchNormalization") else "Layer"
            return (
                f"its statistics or scales differ between {what}",
                f"use Field{batch}Normalization",
            )
    return None


def _moved_axis(case, number):
    """The things that the group moves on an axis of the output, or an empty text."""
    field, shape = case.stated[-1], case.shapes[-1]
    if field is None:
        return ""
    number %= len(shape)
    if 1 <= number <= field.space_axes:
        return "voxels" if field.voxels else "pixels"
    if not field.is_trivial and number == len(shape) + field.axis:
        return "elements of the group"
    return ""


def _position(case):
    """Numbers of a layer, or of an operation, that have an axis which the group moves."""
    shape = case.shapes[-1]
    for name, array in _numbers(case):
        if "kernel" in name or array.ndim > len(shape):
            continue
        for number in range(len(shape) - array.ndim, len(shape)):
            size = array.shape[number - len(shape)]
            what = _moved_axis(case, number) if number and size == shape[number] > 1 else ""
            if what and np.ptp(array, axis=number - len(shape)).any():
                shared = "set `shared_axes`" if case.is_a("PReLU") else "use one number a channel"
                return f"its {name} differs between {what}", shared
    return None


def _numbers(case):
    """The weights of a layer and the constants of an operation: names and arrays."""
    weights = getattr(case.layer, "weights", [])
    named = [(f"`{weight.name}`", keras.ops.convert_to_numpy(weight)) for weight in weights]
    return named + [("constant", array) for array in case.step.constants()]


def _kernel(case):
    if not case.is_a("BaseConv", "BaseDepthwiseConv", "BaseSeparableConv", "BaseConvTranspose"):
        return None
    if _trivial(case.field) and _is_symmetric(case):
        return None
    turned = "mirrored" if case.group.name == "D1" else "turned"
    d = case.field.space_dimensions if _on_grid(case.field) else 2
    first = f"GroupConv{d}D"
    if _trivial(case.field):
        first = f"LiftingConv{d}D and {first}{', or `convert`' if d == 2 else ''}"
    reason, fix = f"its kernel is not the same when it is {turned}", f"use {first}"
    window = _window(case)
    return (f"{reason}, and {window[0]}", f"{fix}; {window[1]}") if window else (reason, fix)


def _is_symmetric(case):
    """True if the kernels of a convolution are the same under the group."""
    if not _on_grid(case.field):
        return True
    field = case.field.replace(group=case.group, representation=fields.TRIVIAL)
    for name, kernel in _numbers(case):
        sides = kernel.shape[:-2]
        if "kernel" in name and len(sides) == field.space_axes and max(sides) > 1:
            for g in case.group.elements:
                moved = field.act(kernel[None], g)[0]
                if moved.shape != kernel.shape or not np.allclose(moved, kernel, atol=1e-6):
                    return False
    return True


def _order(case):
    if case.is_a("Permute", "Transpose"):
        return "it exchanges axes, which the group tells apart", "leave the axes in their places"
    if case.is_a("GetItem", "Slice", "Pad"):
        return "it cuts or adds more at one side", "do the same at all sides"
    if case.is_a("Flip", "Roll"):
        return "it moves pixels or elements as no element that commutes does", "leave it out"
    if case.is_a("Concatenate") and (what := _moved_axis(case, case.layer.axis)):
        return f"it joins along the axis of {what}", "join channels, axis=-1"
    return None


def _dense(case):
    field = case.field
    if field is None or field.is_trivial or not case.is_a("Dense", "EinsumDense"):
        return None
    if field.axis == -2 and not case.is_a("EinsumDense"):
        return None
    return (
        f"it mixes the elements of {field.group} with weights of their own",
        "use GroupDense, or GroupPooling before it",
    )
