"""Small labelled images, enlarged and turned by any angle inside a disc.

Images are drawn once, upright, as a set has them; `turned` samples the spline through their pixels
at the places of the turned pixels. Enlarging and turning is one interpolation, whatever the angle:
nothing is blurred twice, and no angle is sharper than others.
"""

import dataclasses
from collections.abc import Iterator

import numpy as np

DIGITS = "digits"
NAMES = (DIGITS, "mnist", "fashion_mnist", "cifar10", "cifar100")
"""The set that scikit-learn brings along, and those that Keras downloads."""
MARGIN = 2
"""Pixels of zeros about an image, so that the spline goes to zero before it ends."""


@dataclasses.dataclass(frozen=True)
class LabelledImages:
    """Upright images, and what they show.

    Attributes:
        images: `(n, rows, columns, channels)` float32 from 0 to 1, rows and columns equal.
        labels: `(n,)` int64 from 0 on.
    """

    images: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, which: slice | np.ndarray) -> "LabelledImages":
        return LabelledImages(self.images[which], self.labels[which])


def load(name: str = DIGITS) -> LabelledImages:
    """All images of a set, those that it calls training images and those for tests.

    Args:
        name: One of `NAMES`.

    Raises:
        ValueError: For another name, and for the digits without scikit-learn.
    """
    if name not in NAMES:
        raise ValueError(f"Expected `name` to be one of {', '.join(NAMES)}; received name={name}.")
    if name == DIGITS:
        images, labels = _digits()
    else:
        import keras

        parts = getattr(keras.datasets, name).load_data()
        images, labels = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        images = images / 255
    images = images.reshape(*images.shape[:3], -1).astype("float32")
    return LabelledImages(images, labels.reshape(-1).astype("int64"))


def _digits():
    """The 1,797 handwritten digits of 8x8 pixels that scikit-learn holds."""
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise ValueError(
            "Expected scikit-learn to be installed, which holds the digits: pip install "
            "scikit-learn."
        ) from error
    bunch = load_digits()
    return bunch.images / 16, bunch.target


def split(
    whole: LabelledImages, test: int, rng: np.random.Generator
) -> tuple[LabelledImages, LabelledImages]:
    """All images in an order drawn: those for training, and `test` others.

    Raises:
        ValueError: If `test` leaves none for training.
    """
    if not 0 < test < len(whole):
        raise ValueError(
            f"Expected `test` to be between 1 and {len(whole) - 1}, as there are {len(whole)} "
            f"images; received test={test}."
        )
    order = rng.permutation(len(whole))
    return whole[order[test:]], whole[order[:test]]


def angles(count: int, rng: np.random.Generator) -> np.ndarray:
    """Angles (count,) in radians, uniform on the circle."""
    return rng.uniform(0, 2 * np.pi, count)


def turned(images: np.ndarray, by: np.ndarray, size: int) -> np.ndarray:
    """Images turned counter-clockwise, each by its own angle, and resized to fill a disc.

    The four outermost pixels of an image come to lie on the edge of the disc, whatever the angle,
    so that nothing is cut off; outside of it all is zero.

    Args:
        images: `(n, side, side, channels)` from 0 to 1.
        by: `(n,)` in radians.
        size: Rows and columns of the turned images, the disc's diameter in pixels.

    Returns:
        `(n, size, size, channels)` float32 from 0 to 1.

    Raises:
        ValueError: Unless images are square and have an angle each, and without SciPy.
    """
    if images.ndim != 4 or images.shape[1] != images.shape[2]:
        raise ValueError(
            "Expected `images` to be of shape (n, side, side, channels); received shape "
            f"{images.shape}."
        )
    if np.shape(by) != images.shape[:1]:
        raise ValueError(
            f"Expected `by` to be an angle per image, {images.shape[:1]}; received shape "
            f"{np.shape(by)}."
        )
    try:
        from scipy import ndimage
    except ImportError as error:
        raise ValueError(
            "Expected SciPy to be installed, which turns images: pip install scipy."
        ) from error
    side, radius = images.shape[1], (size - 1) / 2
    y, x = np.mgrid[:size, :size] - radius
    inside = np.hypot(y, x) <= radius + 0.5
    y, x = y[inside], x[inside]
    pixels = (side - 1) / np.sqrt(2) / radius  # of the image, per pixel of what is returned
    middle = (side - 1) / 2 + MARGIN
    margins = ((MARGIN, MARGIN), (MARGIN, MARGIN))
    found = np.zeros((len(images), size, size, images.shape[3]), "float32")
    for n, (image, angle) in enumerate(zip(images, by, strict=True)):
        cos, sin = pixels * np.cos(angle), pixels * np.sin(angle)
        # Rows run down, so that this is the place that comes to (y, x) by the turn.
        places = np.stack([cos * y + sin * x, cos * x - sin * y]) + middle
        for channel in range(images.shape[3]):
            padded = np.pad(image[..., channel], margins)
            values = ndimage.map_coordinates(padded, places, order=3)
            found[n, inside, channel] = values
    # Splines pass 0 and 1 a little beside strokes.
    return np.clip(found, 0, 1, out=found)


def batches(
    source: LabelledImages,
    by: np.ndarray,
    size: int,
    batch_size: int,
    rng: np.random.Generator,
    anew: bool = False,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Batches of turned images and their labels, epoch after epoch in another order, for ever.

    Args:
        source: Upright images, n of them.
        by: Their angles `(n,)`.
        size: As in `turned`.
        batch_size: Images per batch, n if there are fewer; an epoch's rest is left out.
        rng: Draws the orders, which are the same whether `anew` or not, and the angles if so.
        anew: Whether images are turned by further angles, drawn anew every epoch; otherwise an
            image looks the same each time.
    """
    count = min(batch_size, len(source))
    of_orders, of_angles = rng.spawn(2)
    images = None if anew else turned(source.images, by, size)
    while True:
        order = of_orders.permutation(len(source))
        further = angles(len(source), of_angles)
        for first in range(0, len(source) - count + 1, count):
            chosen = order[first : first + count]
            if images is None:
                seen = turned(source.images[chosen], (by + further)[chosen], size)
            else:
                seen = images[chosen]
            yield seen, source.labels[chosen]
