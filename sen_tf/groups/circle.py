"""SO(2) and O(2): their representations up to a frequency, and the kernels that join these.

A feature of frequency k is a complex line: turning by an angle a multiplies it by e^{i k a}, and
the mirror phi -> pi - phi sends z to (-1)^k conj(z). Its two components are (cos, sin), the real
and the imaginary part. A direct sum up to frequency L has

    SO2   the trivial component, then two of each frequency 1 .. L:             1 + 2 L
    O2    the trivial component, the sign of the mirror, then the same:         2 + 2 L

All real-linear maps from line k to line l are z -> a z + b conj(z), so that the kernels from k to l
that commute are R(r) times a e^{i (l - k) phi} z + b e^{i (l + k) phi} conj(z), and the mirror
leaves one of 1 and i for each of a and b (Weiler and Cesa, 2019, section 2 and appendix F).
"""

import dataclasses
import difflib
import functools

import numpy as np

from sen_tf.groups import harmonics

NAMES = ("SO2", "O2")

LARGEST = 2**26
"""Bytes of a table of kernels, 64 MiB: a layer holds it beside its weights."""


@dataclasses.dataclass(frozen=True)
class Circle:
    """The rotations of the plane, `"SO2"`, or its rotations and reflections, `"O2"`."""

    name: str

    @property
    def mirrors(self) -> bool:
        return self.name == "O2"

    @property
    def on_pixels(self) -> str:
        """The finite group of the elements that map pixels to pixels, `"C4"` or `"D4"`."""
        return "D4" if self.mirrors else "C4"

    @property
    def config(self) -> str:
        """The value from which `get` makes the group."""
        return self.name

    def frequencies(self, highest: int) -> np.ndarray:
        """The frequency of each component of the sum up to `highest`, integers."""
        zeros = [0, 0] if self.mirrors else [0]
        return np.array([*zeros, *np.repeat(np.arange(1, highest + 1), 2)])

    def highest(self, components: int) -> int | None:
        """The highest frequency of a sum of so many components; None if there is no such sum."""
        beyond = components - len(self.frequencies(0))
        return beyond // 2 if beyond >= 0 and beyond % 2 == 0 else None

    def parts(self, components: int) -> list[slice] | None:
        """The components of each part of such a sum, the trivial one first; None as `highest`."""
        highest = self.highest(components)
        if highest is None:
            return None
        return [block.components for block in _blocks(self.frequencies(highest))]

    def matrix(self, highest: int, angle: float, mirrored: bool = False) -> np.ndarray:
        """The matrix by which an element acts on the sum up to `highest`: float64, orthogonal.

        Args:
            highest: The highest frequency.
            angle: The counter-clockwise turn in radians.
            mirrored: True if the left-right mirror goes before the turn; for O2 alone.

        Raises:
            ValueError: For a mirror of SO2.
        """
        if mirrored and not self.mirrors:
            raise ValueError("Expected `mirrored` to be False for SO2, which has no mirrors.")
        matrix = harmonics.matrix(self.frequencies(highest), angle, mirrored)
        if mirrored:
            matrix[1, 1] = -1
        return matrix

    def __repr__(self) -> str:
        return self.name


def get(group: Circle | str) -> Circle:
    """Returns SO(2) or O(2) by its name; a `Circle` is returned as it is.

    Raises:
        ValueError: for any other name.
    """
    if isinstance(group, Circle):
        return group
    if group not in NAMES:
        nearest = difflib.get_close_matches(str(group).upper().strip("()"), NAMES, n=1)
        hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
        raise ValueError(f"Expected `group` to be 'SO2' or 'O2'; received group={group!r}.{hint}")
    return Circle(group)


@functools.lru_cache(maxsize=256)
def kernel_table(group: Circle, size: int, inputs: int | None, outputs: int) -> np.ndarray:
    """A basis of the kernels that commute with the group, sampled on a window.

    Args:
        group: A `Circle`.
        size: Side of the window in pixels.
        inputs: The highest frequency of the input; None for trivial features.
        outputs: The highest frequency of the output.

    Returns:
        float32 of shape (basis, size * size, components in, components out), read-only, pixels row
        by row from the top. Squared norms are such that weights of variance 1 / (channels * basis)
        keep the variance of white noise, on average over the components of a part.

    Raises:
        ValueError: For a table of more than 64 MiB.
    """
    waves = _waves(size)
    frequencies_in = group.frequencies(inputs or 0)[: 1 if inputs is None else None]
    blocks_in, blocks_out = _blocks(frequencies_in), _blocks(group.frequencies(outputs))
    elements, targets = [], []
    for target, out in enumerate(blocks_out):
        for source in blocks_in:
            for kernel in _kernels(waves, source, out):
                element = np.zeros((size**2, len(frequencies_in), len(group.frequencies(outputs))))
                element[:, source.components, out.components] = kernel.swapaxes(1, 2)
                if not group.mirrors or _survives_the_mirror(element, size, group, inputs, outputs):
                    element *= np.sqrt(out.dimension) / np.linalg.norm(element)
                    elements.append(element)
                    targets.append(target)
                    _check_size(len(elements) * element.size, size, inputs, outputs)
    counts = np.bincount(targets, minlength=len(blocks_out))
    scale = np.sqrt(len(elements) / counts[targets])
    table = (np.stack(elements) * scale[:, None, None, None]).round(12) + 0.0
    table = table.astype(np.float32)
    table.flags.writeable = False
    return table


def _check_size(count, size, inputs, outputs):
    """Raises a ValueError for a table of more float32 numbers than may be."""
    if 4 * count > LARGEST:
        raise ValueError(
            f"Kernels of {size} x {size} pixels from frequencies up to {inputs or 0} to those up "
            f"to {outputs} take more than 64 MiB before they are learnt. Use fewer frequencies, or "
            "a smaller kernel."
        )


@dataclasses.dataclass(frozen=True)
class _Block:
    """A part of a sum: its frequency and its components."""

    frequency: int
    start: int

    @property
    def dimension(self) -> int:
        return 2 if self.frequency else 1

    @property
    def components(self) -> slice:
        return slice(self.start, self.start + self.dimension)


def _blocks(frequencies):
    """The parts of a sum, from the frequency of each component."""
    blocks, start = [], 0
    while start < len(frequencies):
        blocks.append(_Block(int(frequencies[start]), start))
        start += blocks[-1].dimension
    return blocks


def _waves(size):
    """Each ring's profile times e^{i q phi} at the pixels, by frequency q: lists of arrays."""
    sampled = harmonics.sampled(size)
    waves: dict[int, list[np.ndarray]] = {}
    start = 0
    for q in _blocks(harmonics.frequencies_of(size)):
        columns = sampled[:, start : start + q.dimension]
        start += q.dimension
        wave = columns[:, 0] + (1j * columns[:, 1] if q.frequency else 0)
        waves.setdefault(q.frequency, []).append(wave)
    return waves


def _kernels(waves, source, target):
    """Kernels from line k to line l: arrays of shape (pixels, components out, components in)."""
    k, m = source.frequency, target.frequency
    for conjugated, q in ((False, m - k), (True, m + k)):
        if conjugated and not (k and m):
            continue  # conj(z) of a real number, or the real part of it, is no further map
        for wave in waves.get(abs(q), ()):
            for unit in (1, 1j) if k or m else (1,):
                kernel = _as_matrices(unit * (wave if q >= 0 else wave.conj()), conjugated)
                yield kernel[:, : target.dimension, : source.dimension]


def _as_matrices(factor, conjugated):
    """The maps z -> factor z, or factor conj(z), as matrices on (real, imaginary)."""
    sign = -1 if conjugated else 1
    rows = [[factor.real, -sign * factor.imag], [factor.imag, sign * factor.real]]
    return np.moveaxis(np.array(rows), -1, 0)


def _survives_the_mirror(element, size, group, inputs, outputs):
    """True if K(f x) = rho'(f) K(x) rho(f), and not minus that."""
    before = group.matrix(inputs or 0, 0.0, mirrored=True)
    before = before[: element.shape[1], : element.shape[1]]
    after = group.matrix(outputs, 0.0, mirrored=True)
    window = element.reshape(size, size, *element.shape[1:])
    mirrored = window[:, ::-1].reshape(element.shape)
    return np.allclose(mirrored, np.einsum("ab,pbc,cd->pad", before, element, after), atol=1e-9)
