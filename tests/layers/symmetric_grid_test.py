"""Where sampling windows may sit, measured by turns that bring no pixel onto another."""

import keras
import numpy as np
import pytest
from scipy import ndimage

from sen_tf import layers
from sen_tf.groups import get
from sen_tf.layers.symmetric_grid import reverses

# Layer, arguments, a number of pixels on which its windows are centred if there is one, another.
WINDOWS = {
    "even same": ("conv", {"kernel_size": 4, "padding": "same"}, None, 33),
    "stride same": ("conv", {"kernel_size": 5, "strides": 2, "padding": "same"}, 33, 32),
    "stride valid": ("conv", {"kernel_size": 5, "strides": 2}, 33, 34),
    "depthwise": ("depthwise", {"kernel_size": 5, "strides": 2}, 33, 34),
    "pooling": ("pooling", {"pool_size": 2, "mode": "mean"}, 32, 33),
}


def bumps(side, degrees):
    """Eight smooth bumps (1, side, side, 1), turned counter-clockwise as they are drawn."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    at = (x - 1j * y) * np.exp(-1j * np.radians(degrees))
    image = np.zeros((side, side))
    for _ in range(8):
        centre, width = rng.uniform(-6, 6) + 1j * rng.uniform(-6, 6), rng.uniform(2.5, 4)
        image += rng.standard_normal() * np.exp(-(np.abs(at - centre) ** 2) / 2 / width**2)
    return image[None, ..., None].astype("float32")


def network(kind, group, arguments):
    """Linear layers from images to images."""
    keras.utils.set_random_seed(0)
    if kind == "pooling":
        return keras.Sequential([layers.SpatialPooling2D(group, **arguments)])
    parts = [layers.LiftingConv2D(group, 4, **arguments)]
    if kind == "depthwise":
        first = layers.LiftingConv2D(group, 4, 5, padding="same")
        parts = [first, layers.DepthwiseGroupConv2D(group, **arguments)]
    return keras.Sequential([*parts, layers.GroupPooling("mean")])


def error(model, side, degrees):
    """The relative difference of a turned output and that of a turned image, away from borders."""
    upright, turned = (np.array(model(bumps(side, angle)))[0] for angle in (0, degrees))
    expected = ndimage.rotate(upright, degrees, reshape=False, order=5)
    y, x = np.mgrid[: len(turned), : len(turned)] - (len(turned) - 1) / 2
    inside = np.hypot(x, y) < len(turned) / 2 - 3
    return np.linalg.norm((expected - turned)[inside]) / np.linalg.norm(turned[inside])


@pytest.mark.parametrize("group, degrees", [("C3", 120), ("D3", 120), ("C5", 72), ("C6", 60)])
@pytest.mark.parametrize("windows", WINDOWS)
def test_sizes_are_taken_where_turns_are_near_and_refused_where_they_are_not(
    group, degrees, windows, monkeypatch
):
    kind, arguments, fitting, other = WINDOWS[windows]
    if fitting is not None:
        assert error(network(kind, group, arguments), fitting, degrees) < 0.005
    with pytest.raises(ValueError, match=f"does not commute with {group} on {other} rows"):
        network(kind, group, arguments)(bumps(other, 0))
    monkeypatch.setattr("sen_tf.layers.symmetric_grid.is_symmetric", lambda *arguments: True)
    assert error(network(kind, group, arguments), other, degrees) > 0.1


@pytest.mark.parametrize(
    "group, rows, columns",
    [("C1", False, False), ("D1", False, True)]
    + [(name, True, True) for name in ("C2", "C3", "C5", "C7", "C8", "D2", "D3", "D5", "D8")],
)
def test_windows_are_centred_along_what_a_group_turns_or_mirrors(group, rows, columns):
    assert [reverses(get(group), axis) for axis in (1, 2)] == [rows, columns]


def test_a_mirror_alone_leaves_rows_free():
    for basis in ("pixels", "harmonics"):
        layer = layers.LiftingConv2D("D1", 2, 3, strides=2, basis=basis)
        assert layer(np.ones((1, 8, 9, 1), "float32")).shape == (1, 3, 4, 2, 2)
