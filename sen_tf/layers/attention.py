"""Self-attention of functions on the group, at all pixels or in windows."""

import functools
import math
import operator
from typing import Any

import keras
import numpy as np
from keras import ops

from sen_tf.groups import FiniteGroup, GroupLike, actions, get
from sen_tf.layers import arguments, output_fields
from sen_tf.layers.group_dense import GroupDense
from sen_tf.layers.inputs import precise, settle
from sen_tf.layers.plain import constant, plain_call
from sen_tf.tensors import Shape, Tensor

MODES = ("group", "spatial")
FORBIDDEN = -1e9
"""Added to the logit of a pair that may not see each other."""


@keras.saving.register_keras_serializable("sen_tf")
class GroupAttention2D(keras.layers.Layer):
    """Multi-head self-attention with relative positions, which commutes with the group.

    Queries, keys and values are `GroupDense` layers of the input. In the mode `"group"` every
    element at every pixel attends to every element at every pixel, with the logits

        `q(x, g) . k(y, h) / sqrt(key_dim) + B[g^-1 (y - x), g^-1 h]`.

    In the mode `"spatial"` pixels attend to pixels, the logits being summed over the elements: they
    take 1 / |group|^2 of the memory, and 1 / |group| of the multiplications. There B depends on the
    distance alone, up to what the group moves. B, a number per head, is 0
    at first.

    Args:
        group: `"C1"`, `"C2"`, `"C4"`, `"D1"`, `"D2"`, `"D4"` or the `FiniteGroup`.
        num_heads: Number of heads.
        key_dim: Channels of queries, keys and values per head.
        window_size: Side of the square windows within which pixels see each other; None for the
            whole image. It divides the numbers of rows and columns.
        shifted: Whether windows begin half a window further, as in every other layer of a Swin
            Transformer. No other shift maps them to each other.
        mode: `"group"` or `"spatial"`.
        use_bias, kernel_initializer: As in `keras.layers.MultiHeadAttention`.

    Input shape: `(batch, rows, columns, |group|, channels)`, rows and columns known. Images of
        other sizes may follow that the windows divide; without windows, that are as large.

    Output shape: The input's.

    Raises:
        ValueError: For another group's axis, sizes that windows do not divide, and windows that
            cannot be shifted by half their side.

    Example:
        >>> layer = GroupAttention2D("C4", num_heads=2, key_dim=8, window_size=4)
        >>> layer(keras.ops.ones((2, 8, 8, 4, 16))).shape
        TensorShape([2, 8, 8, 4, 16])

    Reference: Romero and Cordonnier (2021), section 4; Liu et al. (2021) for windows.
    """

    output_field = output_fields.keeps_field

    def __init__(
        self,
        group: GroupLike,
        num_heads: int,
        key_dim: int,
        window_size: int | None = None,
        shifted: bool = False,
        mode: str = "group",
        use_bias: bool = True,
        kernel_initializer: str | keras.Initializer = "glorot_uniform",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.group = get(group)
        actions.kernel_indices(self.group, 1)  # refuses groups that do not act on pixels
        self.num_heads = arguments.integer("num_heads", num_heads)
        self.key_dim = arguments.integer("key_dim", key_dim)
        self.window_size = window_size
        if window_size is not None:
            self.window_size = arguments.integer("window_size", window_size)
        self.shifted = shifted
        if shifted and (self.window_size is None or self.window_size % 2):
            raise ValueError(
                "Expected `window_size` to be even for shifted windows, which begin half of it "
                f"further; received window_size={window_size}."
            )
        self.mode = arguments.choice("mode", mode, MODES)
        self.use_bias = use_bias
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape: Shape) -> None:
        order = self.group.order
        if len(input_shape) != 5 or input_shape[3] != order or None in input_shape[1:]:
            raise ValueError(
                f"GroupAttention2D `{self.name}` expected an input of shape (batch, rows, columns, "
                f"{order}, channels) with the group axis of {self.group} and known sizes; "
                f"received {tuple(input_shape)}."
            )
        self._grid, self._channels = tuple(input_shape[1:3]), input_shape[-1]
        self._side = 2 * (self.window_size or max(self._grid)) - 1
        self._check_grid(self._grid)
        fields = self.num_heads * self.key_dim
        names = {"query": fields, "key": fields, "value": fields, "output": self._channels}
        for name, filters in names.items():
            dense = GroupDense(
                self.group,
                filters,
                use_bias=self.use_bias,
                kernel_initializer=arguments.fresh(self.kernel_initializer),
                dtype=self.dtype_policy,
                name=name,
            )
            dense.build((*input_shape[:-1], self._channels if name != "output" else fields))
            setattr(self, f"{name}_dense", dense)
        self.positions = self.add_weight(
            name="positions",
            shape=(self._positions(), self.num_heads),
            initializer="zeros",
            autocast=False,
        )

    def _check_grid(self, grid):
        """Raises a ValueError for numbers of rows and columns that do not fit the windows."""
        who = f"GroupAttention2D `{self.name}`"
        if self.window_size is None and 2 * max(grid) - 1 != self._side:
            raise ValueError(
                f"{who} was built for {max(self._grid)} rows or columns; received {max(grid)}. "
                "With a `window_size` it takes any multiple of that."
            )
        for size, what in zip(grid, ("rows", "columns"), strict=True):
            if self.window_size is not None and size % self.window_size:
                raise ValueError(
                    f"{who} expected a multiple of {self.window_size} {what}, its window; "
                    f"received {size}."
                )

    def _positions(self):
        """The number of relative positions that have a number of their own."""
        if self.mode == "group":
            return self._side**2 * self.group.order
        return int(_orbits(self.group, self._side).max()) + 1

    def call(self, inputs: Tensor) -> Tensor:
        inputs = settle(self, inputs, {-2: self.group.order, -1: self._channels}, ranks=(5,))
        # Sizes that are unknown while a function is traced are taken to be those of `build`.
        free = {axis: self._grid[axis - 1] for axis in (1, 2) if inputs.shape[axis] is None}
        inputs = settle(self, inputs, free)
        return self._attend(inputs, operator.call, precise(self, self.positions))

    def plain(self, inputs: Tensor) -> Tensor:
        """The same with its dense layers written out; see `layers.plain`."""
        return self._attend(inputs, plain_call, ops.convert_to_numpy(self.positions))

    def _attend(self, inputs, apply, positions):
        grid = inputs.shape[1:3]
        if None in grid:
            raise ValueError(
                f"GroupAttention2D `{self.name}` expected known numbers of rows and columns; "
                f"received shape {tuple(inputs.shape)}."
            )
        self._check_grid(grid)
        window = (self.window_size,) * 2 if self.window_size else grid
        shift = window[0] // 2 if self.shifted else 0
        x = ops.roll(inputs, (-shift, -shift), (1, 2)) if shift else inputs
        query, key, value = (
            self._tokens(apply(dense, x), grid, window)
            for dense in (self.query_dense, self.key_dense, self.value_dense)
        )
        # In float32 at least: of long queries and keys the product overflows in float16.
        query, key = (precise(self, x) for x in (query / math.sqrt(query.shape[-1]), key))
        logits = ops.matmul(query, ops.transpose(key, (0, 1, 2, 4, 3)))
        index = _relative_positions(self.group, window, self._side, self.mode)
        # Transposed first: of rows of a variable the gradient is sparse, see `GroupDense.expand`.
        logits += ops.take(ops.transpose(positions), index, axis=1)
        if shift:
            tokens = logits.shape[-1] // math.prod(window)
            logits += constant(_wrapped(grid, window[0], tokens), logits)[:, None]
        weights = ops.cast(ops.softmax(logits, axis=-1), value.dtype)
        x = self._pixels(ops.matmul(weights, value), grid, window)
        x = apply(self.output_dense, x)
        return ops.roll(x, (shift, shift), (1, 2)) if shift else x

    def _tokens(self, x, grid, window):
        """Pixels as (batch, windows, heads, tokens, features)."""
        (rows, columns), (high, wide) = grid, window
        order, heads, key_dim = self.group.order, self.num_heads, self.key_dim
        shape = (rows // high, high, columns // wide, wide, order, heads, key_dim)
        x = ops.transpose(ops.reshape(x, (-1, *shape)), (0, 1, 3, 6, 2, 4, 5, 7))
        features = key_dim if self.mode == "group" else order * key_dim
        windows = (rows // high) * (columns // wide)
        tokens = high * wide * order * key_dim // features
        return ops.reshape(x, (-1, windows, heads, tokens, features))

    def _pixels(self, x, grid, window):
        """The inverse of `_tokens`, heads among the channels."""
        (rows, columns), (high, wide) = grid, window
        order, heads, key_dim = self.group.order, self.num_heads, self.key_dim
        shape = (rows // high, columns // wide, heads, high, wide, order, key_dim)
        x = ops.transpose(ops.reshape(x, (-1, *shape)), (0, 1, 4, 2, 5, 6, 3, 7))
        return ops.reshape(x, (-1, rows, columns, order, heads * key_dim))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "group": self.group.config,
            "num_heads": self.num_heads,
            "key_dim": self.key_dim,
            "window_size": self.window_size,
            "shifted": self.shifted,
            "mode": self.mode,
            "use_bias": self.use_bias,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }


@functools.lru_cache(maxsize=64)
def _relative_positions(
    group: FiniteGroup, window: tuple[int, int], side: int, mode: str
) -> np.ndarray:
    """The row of B for each pair of tokens, integers of shape (tokens, tokens).

    Offsets are pixels of a square of `side`, whose centre is the offset 0.
    """
    rows, columns = np.divmod(np.arange(math.prod(window)), window[1])
    middle = side // 2
    offsets = (rows - rows[:, None] + middle) * side + columns - columns[:, None] + middle
    if mode == "spatial":
        return _orbits(group, side)[offsets]
    turned = actions.kernel_indices(group, side).reshape(group.order, -1)
    relative = group.product[group.inverse]  # relative[g, h] = g^-1 h
    # (x, g, y, h): B_g at y - x is B at g^-1 (y - x).
    table = turned[:, offsets].transpose(1, 0, 2)[..., None] * group.order + relative[:, None]
    return table.reshape(len(offsets) * group.order, -1)


def _orbits(group, side):
    """The number of each pixel's orbit under the group, counted from 0."""
    turned = actions.kernel_indices(group, side).reshape(group.order, -1)
    return np.unique(turned.min(axis=0), return_inverse=True)[1]


@functools.lru_cache(maxsize=64)
def _wrapped(grid: tuple[int, int], window: int, elements: int) -> np.ndarray:
    """`FORBIDDEN` for pairs that only rolling has made neighbours: (windows, tokens, tokens)."""
    far = [np.arange(size) >= size - window // 2 for size in grid]
    region = 2 * far[0][:, None] + far[1]
    rows, columns = grid[0] // window, grid[1] // window
    region = region.reshape(rows, window, columns, window).transpose(0, 2, 1, 3)
    region = np.repeat(region.reshape(rows * columns, -1), elements, axis=1)
    return np.where(region[:, :, None] == region[:, None], 0.0, FORBIDDEN)
