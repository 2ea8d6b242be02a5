"""The equivariant counterpart of a plain Keras model, layer by layer.

A tensor of the new model is an image `(batch, rows, columns, channels)` up to the first convolution
and a function on the group `(batch, rows, columns, |group|, channels)` after it; pooling over all
pixels makes it invariant, and what follows stays as it is.
"""

from typing import Any

import keras

from sen_tf import layers
from sen_tf.groups import GroupLike
from sen_tf.models import network_parts
from sen_tf.tensors import Tensor

ELEMENTWISE = {
    *("Activation", "ReLU", "LeakyReLU", "ELU", "Softmax", "Identity", "Rescaling"),
    *("Add", "Subtract", "Average", "Maximum", "Minimum", "Multiply"),
}
"""Layers of Keras that treat all elements of the group alike."""

COMMON = (
    *("activation", "use_bias", "kernel_initializer", "bias_initializer", "kernel_regularizer"),
    *("bias_regularizer", "activity_regularizer", "kernel_constraint", "bias_constraint"),
)
"""Arguments of convolutions that ours share with Keras'."""

NORMALIZATION = (
    *("epsilon", "center", "scale", "beta_initializer", "gamma_initializer", "beta_regularizer"),
    *("gamma_regularizer", "beta_constraint", "gamma_constraint"),
)
"""Arguments of normalizations that ours share with Keras'."""


def convert(model: keras.Model, group: GroupLike, match: str = "compute") -> keras.Model:
    """A model with the architecture of a plain one that commutes with a group.

    Convolutions, pooling, up-sampling, normalization and dropout become the layers of this package
    of the same names and arguments; the first convolution of an image lifts it to the group, the
    last one before an output projects it back. Global pooling ends in invariant numbers, and dense
    layers after it stay. Weights are new.

    Args:
        model: A functional or sequential `keras.Model` for images, built.
        group: A C_n or D_n, or its name.
        match: `"compute"`: filters / |group|, so that it costs what the model costs;
            `"parameters"`: filters / sqrt(|group|), so that it has about as many weights.

    Returns:
        A functional `keras.Model` with inputs and outputs of the same shapes; but an output that
        no convolution or dense layer makes, such as features after a normalization, has as many
        channels as our layers have there, filters / |group|.

    Raises:
        ValueError: With the name of the layer at which the symmetry would end, and what to use in
            its place: `Flatten` and dense layers of pixels, one-sided padding, sizes at which a
            stride does not commute, and layers that are not known.

    Example:
        >>> plain = keras.Sequential([
        ...     keras.Input((33, 33, 3)), keras.layers.Conv2D(32, 3, 2, "same"),
        ...     keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(10)])
        >>> convert(plain, "C4").output_shape
        (None, 10)
    """
    if not isinstance(model, keras.Model) or not getattr(model, "inputs", None):
        raise ValueError(
            "Expected `model` to be a functional or sequential Keras model that is built, whose "
            f"layers are known; received a {type(model).__name__}."
        )
    converter = _Converter(network_parts.FiniteParts(group, match))
    converter.find_heads(model)
    cloned = converter.clone(model, [keras.Input(x.shape[1:], dtype=x.dtype) for x in model.inputs])
    outputs = [converter.invariant(x) for x in cloned.outputs]
    return keras.Model(_single(cloned.inputs), _single(outputs), name=model.name)


class _Converter:
    """Applies the counterpart of each layer of a model to the tensors of the new one."""

    def __init__(self, parts: network_parts.FiniteParts) -> None:
        self.parts, self.group = parts, parts.group
        self._heads: set[str] = set()
        self._made: dict[Any, keras.layers.Layer] = {}

    def find_heads(self, model: keras.Model) -> None:
        """Notes the convolutions from which nothing but activations leads to an output."""
        for tensor in model.outputs:
            operation = tensor._keras_history.operation
            while type(operation).__name__ in ("Activation", "Softmax", "ReLU"):
                operation = operation._inbound_nodes[0].input_tensors[0]._keras_history.operation
            if type(operation).__name__ == "Conv2D":
                self._heads.add(operation.name)

    def clone(self, model: keras.Model, inputs: list[Tensor]) -> keras.Model:
        """A functional model of the counterparts, on inputs that may have an axis of the group."""
        graph = keras.Model(_single(model.inputs), _single(model.outputs), name=model.name)
        return keras.models.clone_model(
            graph,
            input_tensors=_single(inputs),
            clone_function=lambda layer: layer,
            call_function=self._call,
        )

    def invariant(self, x: Tensor) -> Tensor:
        """Images of invariant numbers, of images."""
        return layers.GroupPooling()(x) if self.on_group(x) else x

    def on_group(self, x: Tensor) -> bool:
        """True for images of functions on the group."""
        return len(x.shape) == 5

    def _call(self, layer, *inputs, **arguments):
        kind = type(layer).__name__
        try:
            if isinstance(layer, keras.Model):
                fresh = [keras.Input(x.shape[1:], dtype=x.dtype) for x in _tensors(inputs)]
                return self._reuse(layer, inputs, lambda: self.clone(layer, fresh))(*inputs)
            rule = getattr(self, f"_{kind}", None)
            if rule is not None and isinstance(layer, getattr(keras.layers, kind)):
                return rule(layer, *inputs)
            if kind in ELEMENTWISE or not any(map(self._is_image, _tensors(inputs))):
                return self._kept(layer, *inputs, **arguments)
        except ValueError as error:
            if str(error).startswith("`convert` stops at"):
                raise
            raise ValueError(f"`convert` stops at {kind} `{layer.name}`: {error}") from error
        raise ValueError(
            f"`convert` stops at {kind} `{layer.name}`, of which it does not know what commutes in "
            "its place. Give the model a layer of this package there."
        )

    def _is_image(self, x):
        """True for what the group moves: images, of functions on the group or not."""
        return len(x.shape) in (4, 5)

    def _reuse(self, layer, inputs, make):
        """The counterpart of a layer, one for all its calls on tensors of the same rank."""
        key = (id(layer), *(len(x.shape) for x in _tensors(inputs)))
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]

    def _kept(self, layer, *inputs, **arguments):
        """Applies a new layer of the same class and arguments."""
        new = self._reuse(layer, inputs, lambda: type(layer).from_config(layer.get_config()))
        return new(*inputs, **arguments)

    def _made_of(self, layer, inputs, make, *arguments, **more):
        """Applies `make(...)`, with the name and the dtype of a layer."""
        config = layer.get_config()
        more = {"name": layer.name, "dtype": config["dtype"], **more}
        more = {name: value for name, value in more.items() if value is not None}
        return self._reuse(layer, inputs, lambda: make(*arguments, **more))(*inputs)

    def _Conv2D(self, layer, x):
        config = layer.get_config()
        if config["groups"] != 1:
            groups = config["groups"]
            raise ValueError(f"it has groups={groups}. Use 1, or a DepthwiseConv2D.")
        make = layers.GroupConv2D if self.on_group(x) else layers.LiftingConv2D
        filters = self.parts.channels(config["filters"])
        if layer.name in self._heads:
            filters = config["filters"]
            make = layers.ProjectionConv2D if self.on_group(x) else layers.LiftingConv2D
        return self._convolved(layer, x, make, filters, dilation_rate=config["dilation_rate"])

    def _Conv2DTranspose(self, layer, x):
        config = layer.get_config()
        if not self.on_group(x):
            raise ValueError("it is the first convolution. Let a Conv2D go before it.")
        if tuple(config["dilation_rate"]) != (1, 1):
            raise ValueError(f"it has dilation_rate={config['dilation_rate']}. Use 1.")
        filters, padding = self.parts.channels(config["filters"]), config["output_padding"]
        make = layers.GroupConvTranspose2D
        return self._convolved(layer, x, make, filters, output_padding=padding)

    def _convolved(self, layer, x, make, filters, **more):
        config = layer.get_config()
        return self._made_of(
            layer,
            (x,),
            make,
            self.group,
            filters,
            config["kernel_size"],
            config["strides"],
            config["padding"],
            **{name: config[name] for name in COMMON},
            **more,
        )

    def _DepthwiseConv2D(self, layer, x):
        config = layer.get_config()
        if not self.on_group(x):
            raise ValueError("it is the first convolution. Let a Conv2D go before it.")
        if tuple(config["dilation_rate"]) != (1, 1):
            raise ValueError(f"it has dilation_rate={config['dilation_rate']}. Use 1.")
        own = {name: config[name] for name in COMMON if not name.startswith("kernel")}
        kernel = {
            f"kernel_{name}": config[f"depthwise_{name}"]
            for name in ("initializer", "regularizer", "constraint")
        }
        return self._made_of(
            layer,
            (x,),
            layers.DepthwiseGroupConv2D,
            self.group,
            config["kernel_size"],
            config["strides"],
            config["padding"],
            config["depth_multiplier"],
            **own,
            **kernel,
        )

    def _SeparableConv2D(self, layer, x):
        config = layer.get_config()
        depthwise = keras.layers.DepthwiseConv2D(
            config["kernel_size"],
            config["strides"],
            config["padding"],
            config["depth_multiplier"],
            dilation_rate=config["dilation_rate"],
            use_bias=False,
            depthwise_initializer=config["depthwise_initializer"],
            name=f"{layer.name}_depthwise",
        )
        pointwise = keras.layers.Conv2D(
            config["filters"],
            1,
            activation=config["activation"],
            use_bias=config["use_bias"],
            kernel_initializer=config["pointwise_initializer"],
            name=f"{layer.name}_pointwise",
        )
        return self._Conv2D(pointwise, self._DepthwiseConv2D(depthwise, x))

    def _pooled(self, layer, x, mode):
        config = layer.get_config()
        sizes = config["pool_size"], config["strides"], config["padding"]
        make = layers.SpatialPooling2D
        return self._made_of(layer, (x,), make, self.group, *sizes, mode=mode)

    def _MaxPooling2D(self, layer, x):
        return self._pooled(layer, x, "max")

    def _AveragePooling2D(self, layer, x):
        return self._pooled(layer, x, "mean")

    def _globally_pooled(self, layer, x, mode):
        if layer.get_config()["keepdims"]:
            raise ValueError("it has keepdims=True. Use keepdims=False.")
        on_group = self.on_group(x)
        x = self._made_of(layer, (x,), layers.GlobalPooling2D, mode)
        return layers.GroupPooling()(x) if on_group else x

    def _GlobalAveragePooling2D(self, layer, x):
        return self._globally_pooled(layer, x, "mean")

    def _GlobalMaxPooling2D(self, layer, x):
        return self._globally_pooled(layer, x, "max")

    def _UpSampling2D(self, layer, x):
        config = layer.get_config()
        kind = config["interpolation"]
        return self._made_of(
            layer, (x,), layers.SpatialUpSampling2D, self.group, config["size"], kind
        )

    def _ZeroPadding2D(self, layer, x):
        (top, bottom), (left, right) = layer.get_config()["padding"]
        if (top, left) != (bottom, right):
            raise ValueError(
                f"it adds {top} and {bottom} rows, {left} and {right} columns, more on one side. "
                "Pad both sides alike, or use padding='same'."
            )
        axes = [(0, 0), (top, bottom), (left, right), *[(0, 0)] * (len(x.shape) - 3)]
        return keras.ops.pad(x, axes)

    def _BatchNormalization(self, layer, x):
        names = ("momentum", *NORMALIZATION)
        return self._normalized(layer, x, layers.FieldBatchNormalization, names)

    def _LayerNormalization(self, layer, x):
        return self._normalized(layer, x, layers.FieldLayerNormalization, NORMALIZATION)

    def _normalized(self, layer, x, make, names):
        config = layer.get_config()
        axis = config["axis"] if isinstance(config["axis"], int) else tuple(config["axis"])
        if axis not in (-1, 3, (-1,), (3,)):
            raise ValueError(f"it has axis={axis}. Use the last one.")
        if not self._is_image(x):
            return self._made_of(layer, (x,), type(layer), **{n: config[n] for n in names})
        return self._made_of(layer, (x,), make, **{name: config[name] for name in names})

    def _Dropout(self, layer, x):
        if not self.on_group(x):
            return self._made_of(layer, (x,), keras.layers.Dropout, layer.rate)
        return self._made_of(layer, (x,), layers.FieldDropout, layer.rate, per_pixel=True)

    def _SpatialDropout2D(self, layer, x):
        return self._made_of(layer, (x,), layers.FieldDropout, layer.rate)

    def _Concatenate(self, layer, xs):
        if layer.axis not in (-1, 3) and self._is_image(xs[0]):
            raise ValueError(f"it has axis={layer.axis}. Use -1, the channels.")
        return self._made_of(layer, (xs,), keras.layers.Concatenate, -1)

    def _Dense(self, layer, x):
        if self._is_image(x):
            raise ValueError(
                "its inputs are pixels, which it would mix. Let a GlobalAveragePooling2D go "
                "before it."
            )
        return self._kept(layer, x)

    def _Flatten(self, layer, x):
        if self._is_image(x):
            raise ValueError(
                "it makes channels of pixels, which no group moves. Use GlobalAveragePooling2D, or "
                "GroupFlatten in a model of this package."
            )
        return x


def _tensors(inputs):
    """The tensors among the inputs of a layer, of which some take a list."""
    return [x for each in inputs for x in (each if isinstance(each, list | tuple) else [each])]


def _single(tensors):
    return tensors[0] if len(tensors) == 1 else tensors
