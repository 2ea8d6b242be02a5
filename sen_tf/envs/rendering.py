"""Images of block-pushing boards: batches of layouts to uint8 images, without a plotting library.

A *shapes* frame is sprites stamped on black, later objects over earlier ones. A *rush_hour* frame
is triangles on black that point where their objects head. A *cubes* frame is a perspective view of
coloured blocks on a grey floor: an empty board plus five patches out of the table of
`cube_patches.py`.

Source of the drawings: Park et al., Learning Symmetric Embeddings for Equivariant World Models
(ICML 2022), section 5 and its public code.
"""

import numpy as np

from sen_tf.envs import cube_patches
from sen_tf.envs.cube_patches import BOARD_SIZE, CELLS, FRACTION_BITS, IMAGE_SIZE

OBJECTS = 5
IMAGE_SHAPE = (IMAGE_SIZE, IMAGE_SIZE, 3)
CELL = IMAGE_SIZE // BOARD_SIZE  # pixels, where the board is seen from above
CHUNK = 64  # frames worked on at a time: their int16 sums, 1 MB, stay in a core's cache

# matplotlib's Set1, of which object i has colour i of 9.
SHAPE_COLOURS = np.array(
    [(228, 26, 28), (55, 126, 184), (77, 175, 74), (152, 78, 163), (255, 127, 0)], np.uint8
)
# Purple, green, orange, blue, brown, as CSS defines them.
CUBE_COLOURS = np.array(
    [(128, 0, 128), (0, 128, 0), (255, 165, 0), (0, 0, 255), (165, 42, 42)], np.uint8
)
SPRITES = {
    "paper": ("disc", "triangle", "square", "disc", "triangle"),
    "symmetric": ("disc", "diamond", "square", "disc", "diamond"),
}


def cell_indices(states: np.ndarray) -> np.ndarray:
    """Returns the cell of each object, 5 * row + column.

    Args:
        states: integers (n, 5, 2): each object's (row, column), from 0 to 4.

    Returns:
        int64 array (n, 5).

    Raises:
        ValueError: `states` has another shape or type, or an object is off the board.
    """
    states = _integers(states, 2)
    if states.size and (states.min() < 0 or states.max() >= BOARD_SIZE):
        raise ValueError(
            f"Expected every row and column in `states` to be from 0 to {BOARD_SIZE - 1}; "
            f"received values from {states.min()} to {states.max()}"
        )
    return states[..., 0].astype(np.int64) * BOARD_SIZE + states[..., 1]


def cells_and_headings(states: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the cell of each object, 5 * row + column, and its heading.

    Args:
        states: integers (n, 5, 3): each object's (row, column, heading), rows and columns from 0 to
            4, headings from 0 to 3: up, right, down, left.

    Returns:
        Two int64 arrays (n, 5).

    Raises:
        ValueError: as `cell_indices`, or for another heading.
    """
    states = _integers(states, 3)
    headings = states[..., 2].astype(np.int64)
    if headings.size and (headings.min() < 0 or headings.max() > 3):
        raise ValueError(
            "Expected every heading in `states` to be from 0 to 3; "
            f"received values from {headings.min()} to {headings.max()}"
        )
    return cell_indices(states[..., :2]), headings


def _integers(states, numbers):
    """`states` as an array; ValueError unless they are integers (n, 5, numbers)."""
    states = np.asarray(states)
    if states.ndim != 3 or states.shape[1:] != (OBJECTS, numbers) or states.dtype.kind not in "iu":
        raise ValueError(
            f"Expected `states` to be integers of shape (n, {OBJECTS}, {numbers}); "
            f"received {states.dtype} of shape {states.shape}"
        )
    return states


class ShapesRenderer:
    """Draws discs, triangles and squares, or diamonds for the triangles, 10 pixels a cell.

    Args:
        sprites: "paper", where object i is a disc, triangle or square by i % 3, or "symmetric",
            where diamonds replace the triangles, so that every sprite looks the same after a
            quarter turn. Sprites are up to 11 pixels wide and reach into the next cell, as in the
            paper's code, so that a frame turns with its state up to a shift of one pixel.

    Raises:
        ValueError: for other `sprites`.
    """

    def __init__(self, sprites: str = "paper") -> None:
        if sprites not in SPRITES:
            known = " or ".join(map(repr, SPRITES))
            raise ValueError(f"Expected `sprites` to be {known}; received sprites={sprites!r}")
        self._stamps = [
            (_sprite_bytes(name), colour)
            for name, colour in zip(SPRITES[sprites], SHAPE_COLOURS, strict=True)
        ]

    def __call__(self, states: np.ndarray) -> np.ndarray:
        """Returns uint8 images (n, 50, 50, 3) of `states` (n, 5, 2); see `cell_indices`."""
        cells = cell_indices(states)
        images = np.zeros((len(cells), *IMAGE_SHAPE), np.uint8)
        for start in range(0, len(cells), CHUNK):
            chunk = images[start : start + CHUNK]
            first_byte = np.arange(len(chunk))[:, None] * chunk[0].size
            for i, (positions, colour) in enumerate(self._stamps):
                where = positions[cells[start : start + CHUNK, i]] + first_byte
                chunk.reshape(-1)[where] = np.tile(colour, positions.shape[1] // 3)
        return images


def _sprite_bytes(name):
    """Flat positions (25, 3 * pixels) in an image of the bytes of a sprite in each cell.

    Where the border cuts a sprite off, one of its pixels is repeated.
    """
    rows, columns = np.nonzero(_sprite(name))
    positions = []
    for row, column in np.ndindex(BOARD_SIZE, BOARD_SIZE):
        r, c = rows + 10 * row, columns + 10 * column
        pixel = np.where((r < IMAGE_SIZE) & (c < IMAGE_SIZE), r * IMAGE_SIZE + c, -1)
        pixel[pixel < 0] = pixel.max()
        positions.append((3 * pixel[:, None] + np.arange(3)).reshape(-1))
    return np.array(positions)


def _sprite(name):
    """Mask (11, 11) of a sprite; its cell is the first 10 rows and columns."""
    row, column = np.mgrid[:11, :11]
    across, down = abs(column - 5), abs(row - 5)
    return {
        "disc": across**2 + down**2 < 25,
        "triangle": across <= row // 2,
        "square": across <= 5,
        "diamond": across + down <= 5,
    }[name]


class RushHourRenderer:
    """Draws isosceles triangles that fill their cells, apex along the heading, on black.

    Frames turn exactly with their states: a sprite is the quarter turns of the upward one.
    """

    def __init__(self) -> None:
        row, column = np.mgrid[:CELL, :CELL]
        upward = abs(2 * column - (CELL - 1)) <= row + 1
        masks = np.stack([np.rot90(upward, -heading) for heading in range(4)])
        self._sprites = masks[None, ..., None] * SHAPE_COLOURS[:, None, None, None]

    def __call__(self, states: np.ndarray) -> np.ndarray:
        """Returns uint8 images (n, 50, 50, 3) of `states` (n, 5, 3); see `cells_and_headings`."""
        cells, headings = cells_and_headings(states)
        images = np.zeros((len(cells), BOARD_SIZE, CELL, BOARD_SIZE, CELL, 3), np.uint8)
        each = np.arange(len(cells))
        for sprites, cell, heading in zip(self._sprites, cells.T, headings.T, strict=True):
            row, column = np.divmod(cell, BOARD_SIZE)
            images[each, row, :, column] = sprites[heading]
        return images.reshape(-1, *IMAGE_SHAPE)


class CubesRenderer:
    """Draws coloured cubes on a grey floor, seen in perspective, from the table of patches.

    The first renderer on a machine makes the table with matplotlib, in about two seconds, and
    writes it to the user's cache directory; where that cannot be written, it stays in memory.
    """

    def __init__(self) -> None:
        table = cube_patches.cubes_table()
        self._floor = table.floor[..., None] + np.int16(1 << FRACTION_BITS >> 1)  # rounds the >>
        self._covers = table.covers.T.astype(np.float32)
        self._first_patch = OBJECTS * cube_patches.first_pattern(table.covers)
        self._patches = cube_patches.coloured_patches(table, CUBE_COLOURS)

    def __call__(self, states: np.ndarray) -> np.ndarray:
        """Returns uint8 images (n, 50, 50, 3) of `states` (n, 5, 2); see `cell_indices`."""
        cells = cell_indices(states)
        images = np.empty((len(cells), *IMAGE_SHAPE), np.uint8)
        sums = np.empty((min(CHUNK, len(cells)), *IMAGE_SHAPE), np.int16)
        for start in range(0, len(cells), CHUNK):
            numbers = self._patch_numbers(cells[start : start + CHUNK]).tolist()
            chunk = sums[: len(numbers)]
            chunk[...] = self._floor
            for frame, patches in zip(chunk, numbers, strict=True):
                for number in patches:
                    box, patch = self._patches[number]
                    region = frame[box]
                    np.add(region, patch, out=region)
            np.right_shift(chunk, FRACTION_BITS, out=chunk)
            images[start : start + CHUNK] = np.clip(chunk, 0, 255, out=chunk)
        return images

    def _patch_numbers(self, cells):
        """Number of each object's patch (n, 5), given the cells (n, 5) of all."""
        occupied = np.zeros((len(cells), CELLS), np.float32)
        np.put_along_axis(occupied, cells, 1, axis=1)
        patterns = (occupied @ self._covers).astype(np.int64)
        pattern = np.take_along_axis(patterns, cells, axis=1)
        return self._first_patch[cells] + OBJECTS * pattern + np.arange(OBJECTS)


def render_cubes_matplotlib(states: np.ndarray) -> np.ndarray:
    """Draws cubes with matplotlib and Pillow: the slow reference for `CubesRenderer`.

    Args:
        states: integers (n, 5, 2), as for `cell_indices`.

    Returns:
        uint8 images (n, 50, 50, 3), equal to those of the paper's code; about 15 ms each.
    """
    from PIL import Image

    cells = cell_indices(states)
    images = np.empty((len(cells), *IMAGE_SHAPE), np.uint8)
    with cube_patches.matplotlib_defaults():
        scene = cube_patches.CubesScene()
        for image, occupied in zip(images, cells, strict=True):
            drawn = Image.fromarray(scene.draw(occupied, CUBE_COLOURS / 255))
            image[...] = np.asarray(drawn.resize(IMAGE_SHAPE[:2], Image.Resampling.LANCZOS))
    return images
