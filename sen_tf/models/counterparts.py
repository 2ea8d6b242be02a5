"""The layers that take the place of one of Keras' and commute with a group.

`Counterparts.RULES` says which: from the name of a class of Keras to a method that is given a
layer, the arguments that all layers share, and whether the input is a function on the group (or
else an image). It returns the new layers, which are applied one after the other.
"""

import functools
from collections.abc import Callable
from typing import Any, ClassVar

import keras
import numpy as np

from sen_tf import layers
from sen_tf.models import network_parts

ELEMENTWISE = {
    *("Activation", "ReLU", "LeakyReLU", "ELU", "Softmax", "Identity", "Rescaling"),
    *("Add", "Subtract", "Average", "Maximum", "Minimum", "Multiply"),
}
"""Layers of Keras that treat all elements of the group alike."""

OPERATIONS = {"Add", "Subtract", "Maximum", "Minimum", "Multiply", "Softmax"}
"""Those of them of which `keras.ops` has the same under the same name, such as `x + y`."""

NORMALIZATION = (
    *("epsilon", "center", "scale", "beta_initializer", "gamma_initializer", "beta_regularizer"),
    *("gamma_regularizer", "beta_constraint", "gamma_constraint"),
)
"""Arguments of normalizations that ours share with Keras'."""

Usual = dict[str, Any]
Parts = list[Callable[..., Any]]


def base_arguments(layer: keras.Operation, name: str) -> Usual:
    """The arguments of a new layer, under a name, that layers of all classes have."""
    if not isinstance(layer, keras.layers.Layer):
        return {"name": name}
    found = {"name": name, "dtype": layer.dtype_policy, "trainable": layer.trainable}
    if layer.activity_regularizer is not None:
        found["activity_regularizer"] = layer.activity_regularizer
    return found


def copy(layer: keras.Operation, usual: Usual, **changes: Any) -> keras.Operation:
    """A new layer of the same class and arguments, but for a name and what changes."""
    return type(layer).from_config({**layer.get_config(), "name": usual["name"], **changes})


def is_per_channel(numbers: Any, on_group: bool) -> bool:
    """True for numbers that images can be multiplied by: one, or one for each channel.

    Functions on the group have other channels than the images of the plain model, and other numbers
    at each pixel would not turn with the image.
    """
    size = np.size(numbers)
    return size == 1 or (not on_group and size == np.shape(numbers)[-1])


class Counterparts:
    """The layers in place of one of a plain model.

    Args:
        parts: The layers of networks on the group.
        heads: The identities of the layers that make the outputs. In their place come layers that
            make images of as many channels.
    """

    RULES: ClassVar[dict[str, str]] = {
        **dict.fromkeys(ELEMENTWISE, "_elementwise"),
        "AveragePooling2D": "_pooled",
        "BatchNormalization": "_batch_normalized",
        "Concatenate": "_concatenated",
        "Conv2D": "_conv",
        "Conv2DTranspose": "_transposed",
        "Dense": "_dense",
        "DepthwiseConv2D": "_depthwise",
        "Dropout": "_dropout",
        "Flatten": "_flattened",
        "GlobalAveragePooling2D": "_globally_pooled",
        "GlobalMaxPooling2D": "_globally_pooled",
        "LayerNormalization": "_layer_normalized",
        "MaxPooling2D": "_pooled",
        "SeparableConv2D": "_separable",
        "SpatialDropout2D": "_spatial_dropout",
        "UpSampling2D": "_up_sampled",
        "ZeroPadding2D": "_padded",
    }

    def __init__(self, parts: network_parts.FiniteParts, heads: set[int]) -> None:
        self._parts, self._group = parts, parts.group
        self._heads = heads

    def knows(self, layer: keras.Operation) -> bool:
        """True if there are layers that commute in its place."""
        kind = type(layer).__name__
        if not isinstance(layer, keras.layers.Layer):
            return kind in OPERATIONS and type(layer).__module__.startswith("keras.")
        return kind in self.RULES and isinstance(layer, getattr(keras.layers, kind))

    def of(self, layer: keras.Operation, usual: Usual, on_group: bool) -> Parts:
        """The layers in place of one that `knows` knows, to be applied in turn.

        Raises:
            ValueError: For arguments with which it does not commute.
        """
        if getattr(layer, "data_format", None) == "channels_first":
            raise ValueError("it has data_format='channels_first'. Use 'channels_last'.")
        return getattr(self, self.RULES[type(layer).__name__])(layer, usual, on_group)

    def _elementwise(self, layer, usual, on_group):
        for name in ("scale", "offset"):
            numbers = getattr(layer, name, 0)
            if not is_per_channel(numbers, on_group):
                raise ValueError(f"it has {name} of shape {np.shape(numbers)}. Use one number.")
        if type(layer).__name__ == "Softmax":
            return [copy(layer, usual, axis=_moved_axes(layer.axis))]
        return [copy(layer, usual)]

    def _conv(self, layer, usual, on_group):
        config = layer.get_config()
        if config["groups"] != 1:
            raise ValueError(f"it has groups={config['groups']}. Use 1, or a DepthwiseConv2D.")
        windows = {**_windows(config), "dilation_rate": config["dilation_rate"]}
        return self._mixing(layer, usual, on_group, **windows, **_of_kernel(config))

    def _mixing(self, layer, usual, on_group, **arguments):
        """The convolution that makes the filters of a layer of Keras out of all channels."""
        arguments.update(group=self._group, **_of_bias(layer.get_config()))
        if id(layer) in self._heads and not on_group:
            return _projected(layers.LiftingConv2D, "max", layer, usual, **arguments)
        if on_group:
            _require_few_axes(arguments["kernel_constraint"])
        if id(layer) in self._heads:
            make, filters = layers.ProjectionConv2D, layer.filters
        else:
            make = layers.GroupConv2D if on_group else layers.LiftingConv2D
            filters = self._parts.channels(layer.filters)
        return [make(filters=filters, activation=layer.activation, **arguments, **usual)]

    def _transposed(self, layer, usual, on_group):
        _require_group(on_group)
        config = layer.get_config()
        _require_no_dilation(config)
        arguments = {
            "group": self._group,
            "output_padding": _one_number("output_padding", config["output_padding"]),
            **_windows(config),
            **_of_kernel(config),
            **_of_bias(config),
        }
        _require_few_axes(arguments["kernel_constraint"])
        make = layers.GroupConvTranspose2D
        if id(layer) in self._heads:
            # The mean over the group is the adjoint of lifting, as ProjectionConv2D is.
            return _projected(make, "mean", layer, usual, **arguments)
        filters = self._parts.channels(layer.filters)
        return [make(filters=filters, activation=layer.activation, **arguments, **usual)]

    def _depthwise(self, layer, usual, on_group):
        more = {"activation": layer.activation, **_of_bias(layer.get_config())}
        return [self._of_each_channel(layer, usual, on_group, **more)]

    def _of_each_channel(self, layer, usual, on_group, **more):
        _require_group(on_group)
        config = layer.get_config()
        _require_no_dilation(config)
        _require_few_axes(config["depthwise_constraint"])
        return layers.DepthwiseGroupConv2D(
            self._group,
            depth_multiplier=config["depth_multiplier"],
            **_windows(config),
            **_of_kernel(config, "depthwise"),
            **usual,
            **more,
        )

    def _separable(self, layer, usual, on_group):
        inner = _inner(usual, "depthwise")
        kernel = _of_kernel(layer.get_config(), "pointwise")
        return [
            self._of_each_channel(layer, inner, on_group, use_bias=False),
            *self._mixing(layer, usual, on_group, kernel_size=1, **kernel),
        ]

    def _pooled(self, layer, usual, on_group):
        mode = "max" if type(layer).__name__ == "MaxPooling2D" else "mean"
        windows = {name: layer.get_config()[name] for name in ("pool_size", "strides", "padding")}
        return [layers.SpatialPooling2D(self._group, mode=mode, **windows, **usual)]

    def _globally_pooled(self, layer, usual, on_group):
        if layer.keepdims:
            raise ValueError("it has keepdims=True. Use keepdims=False.")
        mode = "max" if type(layer).__name__ == "GlobalMaxPooling2D" else "mean"
        if not on_group:
            return [layers.GlobalPooling2D(mode, **usual)]
        return [
            layers.GlobalPooling2D(mode, **_inner(usual, "on_group")),
            layers.GroupPooling(**usual),
        ]

    def _up_sampled(self, layer, usual, on_group):
        size, interpolation = layer.size, layer.interpolation
        return [layers.SpatialUpSampling2D(self._group, size, interpolation, **usual)]

    def _padded(self, layer, usual, on_group):
        (top, bottom), (left, right) = layer.padding
        if (top, left) != (bottom, right):
            raise ValueError(
                f"it adds {top} and {bottom} rows, {left} and {right} columns, more on one side. "
                "Pad both sides alike, or use padding='same'."
            )
        if top != left:
            raise ValueError(
                f"it adds {top} rows and {left} columns on each side. Add as many of both."
            )
        if not on_group:
            return [copy(layer, usual)]
        sides = ((0, 0), *layer.padding, (0, 0), (0, 0))
        return [functools.partial(keras.ops.pad, pad_width=sides)]

    def _batch_normalized(self, layer, usual, on_group):
        _require_plain(layer, "renorm", False)
        for name, kind in (("mean", "Zeros"), ("variance", "Ones")):
            found = type(getattr(layer, f"moving_{name}_initializer")).__name__
            if found != kind:
                raise ValueError(f"it has moving_{name}_initializer={found}. Use {kind}.")
        make = layers.FieldBatchNormalization
        return [make(layer.momentum, **_of_normalization(layer), **usual)]

    def _layer_normalized(self, layer, usual, on_group):
        _require_plain(layer, "rms_scaling", False)
        return [layers.FieldLayerNormalization(**_of_normalization(layer), **usual)]

    def _dropout(self, layer, usual, on_group):
        if layer.noise_shape is None and on_group:
            return [layers.FieldDropout(layer.rate, per_pixel=True, seed=layer.seed, **usual)]
        if layer.noise_shape is None:
            return [copy(layer, usual)]
        batch, rows, columns, channels = layer.noise_shape
        if (rows == 1) != (columns == 1):
            raise ValueError(
                f"it has noise_shape={layer.noise_shape}. Let rows and columns be alike."
            )
        if not on_group:
            return [copy(layer, usual)]
        # One number for all elements; of channels there are others than in the plain model.
        noise_shape = batch, rows, columns, 1, 1 if channels == 1 else None
        return [copy(layer, usual, noise_shape=noise_shape)]

    def _spatial_dropout(self, layer, usual, on_group):
        return [layers.FieldDropout(layer.rate, seed=layer.seed, **usual)]

    def _concatenated(self, layer, usual, on_group):
        if layer.axis not in (-1, 3):
            raise ValueError(f"it has axis={layer.axis}. Use -1, the channels.")
        return [copy(layer, usual, axis=-1)]

    def _dense(self, layer, usual, on_group):
        raise ValueError(
            "its inputs are pixels, which it would mix. Let a GlobalAveragePooling2D go before it."
        )

    def _flattened(self, layer, usual, on_group):
        raise ValueError(
            "it makes channels of pixels, which no group moves. Use GlobalAveragePooling2D, or "
            "GroupFlatten in a model of this package."
        )


def _projected(make, mode, layer, usual, **arguments):
    """A convolution to the group in place of a head, and images of all its filters.

    The activation comes after the pooling: of softmaxes at each element the maximum is none.
    """
    return [
        make(filters=layer.filters, **arguments, **_inner(usual, "on_group")),
        layers.GroupPooling(mode, **_inner(usual, "pooling")),
        keras.layers.Activation(layer.activation, **usual),
    ]


def _inner(usual, suffix):
    """The usual arguments of a layer whose output is not yet that of the plain one."""
    found = {name: value for name, value in usual.items() if name != "activity_regularizer"}
    return {**found, "name": f"{usual['name']}_{suffix}"}


def _windows(config):
    return {name: config[name] for name in ("kernel_size", "strides", "padding")}


def _of_kernel(config, kernel="kernel"):
    """The arguments of the kernel, which Keras gives other names in some layers."""
    kinds = ("initializer", "regularizer", "constraint")
    return {f"kernel_{kind}": config[f"{kernel}_{kind}"] for kind in kinds}


def _require_few_axes(constraint):
    """Raises a ValueError for a constraint over more axes than rows and columns."""
    axis = (constraint or {}).get("config", {}).get("axis", 0)
    if not set(np.ravel(axis).tolist()) <= {0, 1}:
        raise ValueError(
            f"its constraint is over the axes {axis} of the kernel, whose axis 2 is that of the "
            "group here. Leave it out, and give the new layer one."
        )


def _of_bias(config):
    names = ("use_bias", "bias_initializer", "bias_regularizer", "bias_constraint")
    return {name: config[name] for name in names}


def _of_normalization(layer):
    """The arguments of a normalization of images, which must be one of channels."""
    axes = [layer.axis] if isinstance(layer.axis, int) else list(layer.axis)
    if axes not in ([-1], [3]):
        raise ValueError(f"it has axis={layer.axis}. Use the last one.")
    config = layer.get_config()
    return {name: config[name] for name in NORMALIZATION}


def _moved_axes(axis):
    """Axes of images that are the same axes of functions on the group: channels from the end."""
    axes = [each % 4 for each in ([axis] if isinstance(axis, int) else axis)]
    if (1 in axes) != (2 in axes):
        raise ValueError(f"it has axis={axis}. Use -1, the channels.")
    moved = tuple(-1 if each == 3 else each for each in axes)
    return moved[0] if isinstance(axis, int) else moved


def _one_number(name, value):
    if isinstance(value, int) or value is None:
        return value
    if len(set(value)) != 1:
        raise ValueError(f"it has {name}={value}. Use equal ones.")
    return value[0]


def _require_group(on_group):
    if not on_group:
        raise ValueError(
            "its input is an image, as that of the first convolution is. Let a Conv2D go before it."
        )


def _require_no_dilation(config):
    if tuple(config["dilation_rate"]) != (1, 1):
        raise ValueError(f"it has dilation_rate={config['dilation_rate']}. Use 1.")


def _require_plain(layer, name, value):
    found = layer.get_config().get(name, value)
    if found != value:
        raise ValueError(f"it has {name}={found}. Use {value}.")
