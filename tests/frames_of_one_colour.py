"""Frames that the tests of figures draw, and the pixels of what was drawn."""

import numpy as np
from PIL import Image

IMAGES = {"cubes": (50, 50, 3), "reacher": (129, 129, 6), "teapot": (64, 64, 1)}
STEPS = 2


def pixels(path):
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


def frames(shape, episodes=6, times=STEPS + 1):
    """Frames of one colour each, `(episodes, times, ...)` of a shape; no two are alike."""
    colours = np.arange(episodes * times * shape[-1], dtype=np.uint8)
    return np.broadcast_to(
        colours.reshape(episodes, times, 1, 1, -1), (episodes, times, *shape)
    ).copy()
