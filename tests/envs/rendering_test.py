import numpy as np
import pytest

from sen_tf.envs import rendering
from sen_tf.envs.block_pushing import Shapes
from sen_tf.envs.rendering import CubesRenderer, ShapesRenderer, render_cubes_matplotlib

SPRITE_OBJECT = {
    "circle": ("paper", 0),
    "triangle": ("paper", 1),
    "square": ("paper", 2),
    "diamond": ("symmetric", 1),
}


def random_states(n, seed=0):
    cells = np.argsort(np.random.default_rng(seed).random((n, 25)), axis=1)[:, :5]
    return np.stack(np.divmod(cells, 5), axis=-1)


@pytest.fixture(scope="module")
def cubes():
    return CubesRenderer()


def difference(images, others):
    return abs(images.astype(int) - others)


def test_shapes_equal_the_published_ones(vectors):
    vectors = vectors("vi_shapes_render")
    expected = np.moveaxis(vectors["images"], 1, -1)
    images = ShapesRenderer()(vectors["positions"])
    np.testing.assert_array_equal(images, np.rint(255 * expected))
    np.testing.assert_array_equal(rendering.SHAPE_COLOURS, np.rint(255 * vectors["colors"]))


@pytest.mark.parametrize("corner", [0, 20, 40])
@pytest.mark.parametrize("shape", SPRITE_OBJECT)
def test_sprites_equal_the_published_ones(vectors, shape, corner):
    mask = vectors("vi_shapes_primitives")[f"{shape}_{corner}_{corner}"] > 0
    sprites, drawn = SPRITE_OBJECT[shape]
    # The others stand on one cell where they do not touch this sprite.
    state = np.full((1, 5, 2), 0 if corner else 3)
    state[0, drawn] = corner // 10
    image = ShapesRenderer(sprites)(state)[0]
    expected = np.where(mask[..., None], rendering.SHAPE_COLOURS[drawn], 0)
    where = np.zeros((50, 50), bool)
    where[corner : corner + 11, corner : corner + 11] = True
    np.testing.assert_array_equal(image[where], expected[where])
    assert not expected[~where].any()


@pytest.mark.parametrize("g", range(4))
def test_symmetric_sprites_turn_with_their_state(g):
    """Exact on 51 x 51 pixels, of which the frame lacks the last row and column."""
    states, draw = random_states(100), ShapesRenderer("symmetric")
    whole = np.pad(draw(states), ((0, 0), (0, 1), (0, 1), (0, 0)))
    turned = draw(Shapes().transform(states, g))
    inside = (slice(None), slice(1, 50), slice(1, 50))
    np.testing.assert_array_equal(turned[inside], np.rot90(whole, g, (1, 2))[inside])


@pytest.mark.parametrize("which", ["", "rot_"])
def test_cubes_are_close_to_the_published_ones(cubes, vectors, which):
    vectors = vectors("vi_cubes_render")
    off = difference(cubes(vectors[which + "positions"]), vectors[which + "images_u8"])
    assert off.max() <= 20
    assert off.mean() <= 0.25


def test_matplotlib_path_equals_the_published_pictures(vectors):
    vectors = vectors("vi_cubes_render")
    off = difference(render_cubes_matplotlib(vectors["positions"]), vectors["images_u8"])
    assert off.max() <= 2  # 0 with the matplotlib of the vectors


def test_cubes_are_close_to_matplotlib_where_they_hide_each_other(cubes):
    crowded = np.array([(0, 0), (0, 1), (1, 0), (1, 1), (2, 1)])
    states = np.concatenate([crowded + (r, c) for r in range(3) for c in range(4)]).reshape(
        -1, 5, 2
    )
    states = np.concatenate([states, states[:, ::-1], random_states(30)])
    off = difference(cubes(states), render_cubes_matplotlib(states))
    assert off.max() <= 20
    assert off.mean() <= 0.25


@pytest.mark.parametrize("make", [ShapesRenderer, CubesRenderer])
def test_a_frame_does_not_depend_on_its_batch(make):
    draw, states = make(), random_states(2 * rendering.CHUNK + 3)
    images = draw(states)
    assert images.shape == (len(states), 50, 50, 3) and images.dtype == np.uint8
    for i in (0, rendering.CHUNK, len(states) - 1):
        np.testing.assert_array_equal(images[i], draw(states[i : i + 1].astype(np.int8))[0])
    assert draw(states[:0]).shape == (0, 50, 50, 3)
