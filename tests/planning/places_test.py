import numpy as np
import pytest

from sen_tf.planning import Places


def moves_along(lines, noise):
    """Encodings before and after a step along lines at heights; others in the image add noise."""
    rng = np.random.default_rng(0)
    x, line = rng.integers(0, 7, 600), rng.integers(0, len(lines), 600)
    before = np.stack([x, np.take(lines, line)], axis=1)
    after = before + [1.0, 0.0]
    return (each + noise * rng.standard_normal(each.shape) for each in (before, after))


@pytest.mark.parametrize(
    "lines, noise, count",
    [([0.0], 0.0, 8), ([0.0], 0.03, 8), ([0.0, 0.2], 0.0, 16), ([0.0, 0.2], 0.005, 16)],
)
def test_places_are_told_apart_as_finely_as_encodings_are_precise(lines, noise, count):
    places = Places.of(*moves_along(lines, noise), objects=1)
    assert [len(known) for known in places.known] == [count]
    here = np.array([[3.0, lines[-1]]])
    np.testing.assert_allclose(places.nearest(here + 0.02), here, atol=0.03)


@pytest.mark.parametrize("far", [0.0, 1000.0, 3000.0])
def test_places_far_from_zero_are_told_apart(far):
    before, after = (np.repeat(each, 8, axis=1) / 8**0.5 for each in moves_along([0.0, 3.0], 0.0))
    places = Places.of(before + far, after + far, objects=1)
    (known,) = places.known
    assert len(known) == 16 and np.isfinite(known).all()
    assert places.unit == pytest.approx(1.0, abs=1e-3)
    np.testing.assert_allclose(places.nearest(before + far + 0.1), before + far, atol=5e-3)
