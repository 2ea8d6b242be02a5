import numpy as np
import pytest

from benchmarks.teapot_peer import draw_slowly
from sen_tf.envs import teapot_rendering
from sen_tf.envs.teapot_mesh import teapot_mesh
from sen_tf.envs.teapot_rendering import TeapotRenderer, as_rotations
from sen_tf.groups import rotations

MESH = teapot_mesh(teapot_rendering.SEGMENTS)


@pytest.fixture(scope="module")
def draw():
    return TeapotRenderer()


def test_pictures_are_those_of_the_slow_way(draw):
    turns = rotations.exp(np.array([(0, 0, 0), (0.5, 0.6, 0), (-1.2, 0, 0.3), (0, 2.5, 0)]))
    states = np.concatenate([turns, rotations.haar(np.random.default_rng(0), 12)])
    expected = np.stack([draw_slowly(state) for state in states])[..., None]
    off = abs(draw(states).astype(int) - expected)
    assert (expected > 0).mean() > 0.2
    assert off[4:].max() <= 1  # of 255
    # Where edges and rows, or two sides of the pot, coincide, rounding decides.
    assert (off > 1).mean() < 1e-3


def test_levels_and_background(draw):
    images = draw(rotations.haar(np.random.default_rng(1), 100))
    lit = images[images > 0]
    assert lit.min() == 70 and 195 < lit.max() <= 200
    covered = (images > 0).mean(axis=(1, 2, 3))
    assert covered.min() > 0.15 and covered.max() < 0.4


def test_the_bottom_is_lit_from_right_above_in_front(draw):
    """Its normal is (0, 1, 0) in the state 1; the level follows its cosine with the light."""
    light = np.array([1, -1, -1]) / 3**0.5
    for towards in ([0, 0, -1], [0.3, 0.2, -1], [0.5, -0.5, -1], [-0.6, 0.4, -1], light):
        towards = np.array(towards) / np.linalg.norm(towards)
        # A state whose second column is `towards`: it takes the bottom's normal there.
        state = np.roll(rotations.gram_schmidt(towards, np.array([0.1, 0.9, 0.2])), 1, axis=1)
        bottom = state @ [0, MESH.vertices[:, 1].max(), 0]
        column, row = np.rint(31.5 + 31.5 * bottom[:2] / (1 + bottom[2] / 20)).astype(int)
        level = draw(state[None])[0, row, column, 0]
        assert level == pytest.approx(70 + 130 * max(towards @ light, 0), abs=2)


def test_the_upright_teapot(draw):
    image = draw(np.eye(3)[None])[0, ..., 0].astype(int)
    rows, columns = np.nonzero(image)
    assert columns.min() <= 3 and columns.max() >= 60  # handle and spout
    assert (rows.min(), rows.max()) == (17, 46)  # knob and bottom, as high as 0.49 of the length
    assert (image[26:45, 22:40] > 0).all()  # no holes in the body
    assert rows[columns >= 56].min() < rows[columns <= 8].min()  # the spout's tip is higher
    body = image[30, 14:46]
    assert body[-6:].mean() > body[:6].mean() + 15  # the light comes from the right


def test_what_is_near_hides_what_is_far(draw):
    """From behind the spout is to the left; from in front of it, it stands before the body."""
    turned = draw(rotations.exp(np.pi * np.array([(0, 1, 0), (0, 0.5, 0), (0, -0.5, 0)])))[..., 0]
    columns = [np.nonzero(image.any(axis=0))[0] for image in turned]
    assert columns[0].min() <= 3
    assert abs(columns[1].mean() - 31.5) < 1.5 and len(columns[1]) < 40
    row = 30  # the dark side of the spout or handle beside the bright body, seen only in front
    steps = abs(np.diff(turned[1:, row, 24:40].astype(int), axis=1)).max(axis=1)
    assert (steps > 15).all()


def test_a_frame_does_not_depend_on_its_batch(draw):
    states = rotations.haar(np.random.default_rng(2), 2 * teapot_rendering.CHUNK + 3)
    images = draw(states)
    assert images.shape == (len(states), 64, 64, 1) and images.dtype == np.uint8
    for i in (0, teapot_rendering.CHUNK, len(states) - 1):
        np.testing.assert_array_equal(images[i], draw(states[i : i + 1])[0])
    assert draw(states[:0]).shape == (0, 64, 64, 1)


def test_near_states_have_near_pictures_and_far_ones_do_not(draw):
    states = rotations.haar(np.random.default_rng(3), 100)
    images, near, far = (
        draw(turn @ states).astype(int)
        for turn in rotations.exp(np.eye(3)[:1] * [[0], [0.01], [1]])
    )
    assert abs(near - images).mean() < 1.5
    assert abs(far - images).mean(axis=(1, 2, 3)).min() > 3


def test_rotations_lose_their_rounding():
    exact = rotations.haar(np.random.default_rng(4), 20).reshape(4, 5, 3, 3)
    found = as_rotations("states", exact.astype(np.float32))
    np.testing.assert_allclose(found, exact, atol=1e-6)
    np.testing.assert_allclose(
        found @ np.swapaxes(found, -1, -2), np.broadcast_to(np.eye(3), exact.shape), atol=1e-14
    )
    np.testing.assert_allclose(as_rotations("states", exact), exact, atol=1e-14)


@pytest.mark.parametrize(
    "states, words",
    [
        (np.eye(3), r"`states`.*shape \(n, 3, 3\).*\(3, 3\)"),
        (np.zeros((2, 3, 2)), r"shape \(n, 3, 3\).*\(2, 3, 2\)"),
        (np.full((1, 3, 3), "a"), "numbers"),
        (-np.eye(3)[None], "1 of 1 that are not"),
        (np.stack([np.eye(3), 1.1 * np.eye(3), np.full((3, 3), np.nan)]), "2 of 3 that are not"),
    ],
)
def test_errors_say_what_was_expected(draw, states, words):
    with pytest.raises(ValueError, match=words):
        draw(states)
