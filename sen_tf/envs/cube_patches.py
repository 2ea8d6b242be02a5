"""The table of patches from which frames of cubes are summed.

matplotlib paints the cubes of a board whole, from back to front, so that its full-size image is
an exact composite: a pixel of the cube in cell c shows with the factor V_c, the product of
(1 - alpha_f) over the occupied cells f painted after c. With S_c the image of a white cube on
black, L the downsampling and `floor` the empty board,

    frame = L[floor] + sum over cubes c of  colour_c * L[V_c S_c] - L[V_c alpha_c floor].

At most six cells can hide a part of another, so that all these patches, one per cell, a pattern of
hiding cells and a colour, fit in a table. It is made from one white and one black cube a cell and
kept in the user's cache directory. Summed frames differ from matplotlib's by 0.17 of 255 in the
mean and by at most 17 (2,000 random boards), since Pillow, which downsamples there, rounds and
clips between its horizontal and its vertical pass.

Source of the drawing: Park et al., Learning Symmetric Embeddings for Equivariant World Models (ICML
2022), section 5 and its public code.
"""

import contextlib
import functools
import importlib.metadata
import os
import pathlib
import tempfile
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import platformdirs

BOARD_SIZE = 5  # cells a side
CELLS = BOARD_SIZE**2
IMAGE_SIZE = 50  # pixels a side
FRACTION_BITS = 5  # the table's integers are 1/32 of a grey level
TABLE_VERSION = 1  # part of the cache file's name: count up when the table changes
CROP = (slice(215, 455), slice(80, 570))  # rows and columns of the 480 x 640 figure


class CubesTable(NamedTuple):
    """The patches that frames are composed of, in 1/32 of a grey level. Every image is grey.

    A *pattern* of cell c is a set of occupied cells that hide a part of it, as a number: the sum of
    `covers[c, f]` over these cells f.

    floor: int16 (50, 50): the empty board.
    covers: int16 (25, 25): a power of two where a cube in cell f can hide a part of one in c, or 0.
    boxes: int16 (25, 4): of the pixels a cell's cube touches, first and end row, first and end
        column.
    light, dark: int16, one after another for each cell and pattern the pixels of the cell's box:
        what a white cube adds, and what it takes from the floor.
    """

    floor: np.ndarray
    covers: np.ndarray
    boxes: np.ndarray
    light: np.ndarray
    dark: np.ndarray


def _patterns(covers):
    """Number of patterns (25,) of each cell."""
    return covers.sum(axis=1, dtype=np.int64) + 1


def first_pattern(covers: np.ndarray) -> np.ndarray:
    """Returns the number (25,) of each cell's first pattern, counting the patterns of all cells."""
    return np.cumsum(_patterns(covers)) - _patterns(covers)


def coloured_patches(
    table: CubesTable, colours: np.ndarray
) -> list[tuple[tuple[slice, slice], np.ndarray]]:
    """Returns the patches in colour, ready to be added to a frame.

    Args:
        table: a `CubesTable`.
        colours: uint8 RGB (k, 3).

    Returns:
        List of (rows and columns as slices, int16 (h, w, 3)), ordered by cell, then by pattern,
        then by colour, in 1/32 of a grey level.
    """
    colours = colours[:, None, None, :] / np.float32(255)
    patches, start = [], 0
    for box, count in zip(table.boxes.tolist(), _patterns(table.covers), strict=True):
        rows, columns = slice(*box[:2]), slice(*box[2:])
        shape = (count, 1, box[1] - box[0], box[3] - box[2], 1)
        end = start + int(np.prod(shape))
        light, dark = (plane[start:end].reshape(shape) for plane in (table.light, table.dark))
        start = end
        coloured = np.rint(light * colours).astype(np.int16) - dark
        patches += [((rows, columns), patch) for patch in coloured.reshape(-1, *coloured.shape[2:])]
    return patches


@functools.cache
def cubes_table() -> CubesTable:
    """Returns the table of patches: from the cache where it is sound, else made and cached."""
    path = cubes_table_path()
    with contextlib.suppress(Exception):  # missing or damaged in whatever way: make it again
        return _read_table(path)
    table = make_cubes_table()
    with contextlib.suppress(OSError):  # nowhere to keep it: only the next start is slower
        _write_table(path, table)
    return table


def cubes_table_path() -> pathlib.Path:
    """Returns the cache file of the table; its name carries what the table depends on."""
    version = importlib.metadata.version("matplotlib")
    name = f"cubes-{TABLE_VERSION}-matplotlib-{version}.npz"
    return pathlib.Path(platformdirs.user_cache_dir("sen_tf")) / name


def _read_table(path):
    with np.load(path, allow_pickle=False) as file:
        table = CubesTable(**{name: file[name] for name in CubesTable._fields})
    heights, widths = (table.boxes[:, i + 1] - table.boxes[:, i] for i in (0, 2))
    pixels = int(_patterns(table.covers) @ (heights.astype(np.int64) * widths))
    shapes = ((IMAGE_SIZE, IMAGE_SIZE), (CELLS, CELLS), (CELLS, 4), (pixels,), (pixels,))
    for plane, shape in zip(table, shapes, strict=True):
        if plane.shape != shape or plane.dtype != np.int16:
            raise ValueError(f"Expected int16 {shape}; received {plane.dtype} {plane.shape}")
    return table


def _write_table(path, table):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".tmp", delete=False) as file:
        try:
            np.savez(file, **table._asdict())
            file.close()
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise


def make_cubes_table() -> CubesTable:
    """Makes the table from matplotlib's images of single cubes, in about two seconds."""
    with matplotlib_defaults():
        scene = CubesScene()
        order = scene.painting_order()
        floor = scene.draw([], [])[..., 0].astype(np.float32)
        white, black = (
            np.stack([scene.draw([c], [level])[..., 0] for c in range(CELLS)]).astype(np.float32)
            for level in ((1, 1, 1), (0, 0, 0))
        )
    alpha = 1 - black / np.maximum(floor, 1)
    covers = _covers(order, alpha > 0)
    boxes, light, dark = zip(
        *(_planes(alpha, alpha[c] * floor, white[c] - black[c], covers[c]) for c in range(CELLS)),
        strict=True,
    )
    return CubesTable(
        _fixed(_downsample(floor)),
        covers,
        np.stack(boxes),
        np.concatenate(light),
        np.concatenate(dark),
    )


def _covers(order, touched):
    """`CubesTable.covers` of the order of painting (25,) and the pixels touched (25, h, w)."""
    covers = np.zeros((CELLS, CELLS), np.int16)
    for c in range(CELLS):
        hiding = (order > order[c]) & (touched & touched[c]).any(axis=(1, 2))
        covers[c, hiding] = 1 << np.arange(hiding.sum())
    return covers


def _planes(alpha, floor_hidden, light, covers):
    """Box and flat patches of one cell, from full-size images; see `CubesTable`."""
    hiding = np.flatnonzero(covers)
    visible = [
        np.prod(1 - alpha[hiding[_bits(pattern)]], axis=0) for pattern in range(1 << len(hiding))
    ]
    planes = np.stack([_fixed(_downsample(visible * plane)) for plane in (light, floor_hidden)])
    touched = np.asarray(planes.any(axis=(0, 1)))
    rows, columns = np.flatnonzero(touched.any(axis=1)), np.flatnonzero(touched.any(axis=0))
    box = np.array([rows[0], rows[-1] + 1, columns[0], columns[-1] + 1], np.int16)
    light, dark = planes[:, :, box[0] : box[1], box[2] : box[3]].reshape(2, -1)
    return box, light, dark


def _bits(number):
    """Places of the ones in a binary number."""
    return [place for place in range(number.bit_length()) if number >> place & 1]


def _fixed(x):
    return np.rint(x * (1 << FRACTION_BITS)).astype(np.int16)


def _downsample(images):
    """Pillow's Lanczos filter to 50 x 50 of images (..., h, w), nothing rounded or clipped."""
    rows, columns = (_lanczos(size) for size in images.shape[-2:])
    return rows @ images @ columns.T


@functools.cache
def _lanczos(size):
    """The filter along one axis as a matrix (50, size): the filtered unit vectors."""
    from PIL import Image

    unit = Image.fromarray(np.eye(size, dtype=np.float32))
    return np.asarray(unit.resize((size, IMAGE_SIZE), Image.Resampling.LANCZOS))


@contextlib.contextmanager
def matplotlib_defaults() -> Iterator[None]:
    """Draws in matplotlib's default style, whatever the user's; theirs is restored."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        yield


class CubesScene:
    """matplotlib's 3-D view of the board on a canvas of its own: no pyplot, no window.

    Make and use it under `matplotlib_defaults`.
    """

    def __init__(self) -> None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from mpl_toolkits.mplot3d import Axes3D

        figure = Figure(figsize=(6.4, 4.8), dpi=100)
        self._canvas = FigureCanvasAgg(figure)
        self._axes = figure.add_axes(Axes3D(figure))
        self._axes.set(xticks=[], yticks=[], zticks=[])
        self._axes.xaxis.set_pane_color((1, 1, 1))
        self._axes.yaxis.set_pane_color((1, 1, 1))
        self._axes.zaxis.set_pane_color((0.5, 0.5, 0.5))
        self._axes.zaxis.line.set_linewidth(0)

    def draw(self, cells: Sequence[int] | np.ndarray, colours: npt.ArrayLike) -> np.ndarray:
        """Returns the image, uint8 (240, 490, 3), of cubes in `cells`, colours RGB in [0, 1]."""
        return self._paint(cells, colours)[0]

    def painting_order(self) -> np.ndarray:
        """Returns numbers (25,), the larger the later a cube in that cell is painted."""
        return self._paint(range(CELLS), np.zeros((CELLS, 3)))[1]

    def _paint(self, cells, colours):
        filled = np.zeros((BOARD_SIZE,) * 3, bool)
        faces = np.zeros((*filled.shape, 3))
        places = [(*divmod(int(cell), BOARD_SIZE), 0) for cell in cells]
        for place, colour in zip(places, colours, strict=True):
            filled[place], faces[place] = True, colour
        cubes = self._axes.voxels(filled, facecolors=faces, edgecolor="k")
        # Newer matplotlib fits the limits to every voxel: they have to be set after drawing.
        self._axes.set_xlim(-0.25, 5.25, view_margin=1 / 48)
        self._axes.set_ylim(-0.25, 5.25, view_margin=1 / 48)
        self._axes.set_zlim(0, 5, view_margin=1 / 48)
        self._canvas.draw()
        order = np.array([cubes[place].get_zorder() for place in places])
        for cube in cubes.values():
            cube.remove()
        return np.asarray(self._canvas.buffer_rgba())[(*CROP, slice(3))].copy(), order
