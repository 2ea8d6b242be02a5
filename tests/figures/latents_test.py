"""Looks at pixels: that the pictures have their parts, and what is marked in which colour."""

import numpy as np
import pytest
from PIL import Image

from sen_tf import figures
from sen_tf.envs import ENVS
from sen_tf.figures.latents import FRAME, PREDICTED, TRUE
from sen_tf.groups import actions, rotations


def size(path):
    with Image.open(path) as picture:
        return picture.size


def board(rng, episodes=20, times=3, objects=5):
    """States of objects on a grid; in episode 7 object 2 moves one cell, in others nothing does."""
    cells = rng.integers(0, 5, (episodes, 1, objects, 2)).repeat(times, axis=1).astype(float)
    cells[7, 1:, 2, 0] = 4 - cells[7, 0, 2, 0]
    cells[7, :, 2] += [[0, 0], [1, 0], [1, 0]]
    return cells


def orbit(rng, channels=2, steps=(0, 1, 2)):
    """Functions on D4, and what the group makes of them: (8, 3, 8, channels)."""
    f = rng.normal(size=(8, channels))
    turned = np.stack([actions.act_on_regular(f, "D4", g, axis=0) for g in range(8)])
    return np.stack([np.roll(turned, step, axis=0) for step in steps], axis=1)


def turning(rng, traversals, views):
    """Rotations (traversals, views, 3, 3) once around x, y, and z."""
    angles = np.arange(views)[None, :, None] * np.eye(3)[:traversals, None] * 2 * np.pi / views
    return rotations.exp(angles) @ rotations.haar(rng, traversals)[:, None]


STATES = {
    "cubes": board,
    "reacher": orbit,
    "rush_hour": board,
    "shapes": board,
    "teapot": lambda rng: turning(rng, 3, 2),
}


def draw(env, states, predicted, path):
    return figures.draw_latents(states, predicted, path, ENVS[env].group, ENVS[env].objects)


@pytest.mark.parametrize("env", ENVS)
def test_pictures_show_states_and_mark_steps(env, tmp_path, count_pixels):
    states = STATES[env](np.random.default_rng(0))
    path = tmp_path / "latents.png"
    assert draw(env, states, states[:, 1:] + 0.1, path) == path
    marks = FRAME if env == "teapot" else (TRUE, PREDICTED)
    for colour in marks:
        assert count_pixels(path, colour) > 20
    width, height = size(path)
    assert count_pixels(path, "white") > 0.5 * width * height
    # Without the steps there is less of each colour: the marks are in the drawing, not its legend.
    draw(env, states[:, :1].repeat(2, 1), states[:, :1], tmp_path / "still.png")
    for colour in marks:
        assert count_pixels(tmp_path / "still.png", colour) < count_pixels(path, colour)


def test_what_is_predicted_rightly_covers_what_was(tmp_path, count_pixels):
    """The arrow of the prediction lies on that of the step, and is narrower."""
    states = board(np.random.default_rng(0))
    right, wrong = tmp_path / "right.png", tmp_path / "wrong.png"
    figures.draw_objects(states, states[:, 1:], right)
    figures.draw_objects(states, states[:, 1:] + np.array([0, 1]), wrong)
    assert 20 < count_pixels(right, TRUE) < count_pixels(wrong, TRUE)


def test_one_panel_an_object(tmp_path):
    rng = np.random.default_rng(0)
    for objects in (2, 5):
        states = rng.normal(size=(10, 2, objects, 4, 2))
        figures.draw_objects(states, states[:, 1:], tmp_path / f"{objects}.png")
    assert size(tmp_path / "5.png") == (1300, 320) and size(tmp_path / "2.png") == (520, 320)


def test_plain_states_are_drawn_on_their_main_axes(tmp_path):
    states = np.random.default_rng(0).normal(size=(10, 2, 1, 4))
    plain, single = tmp_path / "plain.png", tmp_path / "single.png"
    figures.draw_irreducible_parts(states, states[:, 1:], plain, "D4")
    figures.draw_objects(states, states[:, 1:], single)
    assert plain.read_bytes() == single.read_bytes()


def test_one_row_a_channel_and_one_column_a_part(tmp_path):
    rng = np.random.default_rng(0)
    for group, order, channels in (("D4", 8, 4), ("D4", 8, 1), ("C4", 4, 1)):
        states = rng.normal(size=(10, 2, order, channels))
        path = tmp_path / f"{group}-{channels}.png"
        figures.draw_irreducible_parts(states, states[:, 1:], path, group)
    assert size(tmp_path / "D4-4.png") == (740, 810) and size(tmp_path / "D4-1.png") == (740, 240)
    assert size(tmp_path / "C4-1.png") == (390, 240)


def test_states_of_one_number_lie_on_a_line(tmp_path, count_pixels):
    numbers = np.random.default_rng(0).normal(size=(30, 3, 1, 1))
    figures.draw_objects(numbers, numbers[:, 1:], tmp_path / "line.png")
    level = figures.draw_objects(numbers, numbers[:, :1].repeat(2, 1), tmp_path / "still.png")
    assert count_pixels(tmp_path / "line.png", TRUE) > 20
    assert count_pixels(level, PREDICTED) < count_pixels(tmp_path / "line.png", PREDICTED)


def test_states_that_have_collapsed_can_be_drawn(tmp_path, count_pixels):
    for env, states in (("cubes", np.ones((4, 2, 5, 2))), ("reacher", np.ones((4, 2, 8, 4)))):
        draw(env, states, states[:, 1:], tmp_path / f"{env}.png")
        assert count_pixels(tmp_path / f"{env}.png", "white") > 1000


def test_a_panel_for_each_traversal(tmp_path, count_pixels):
    rng = np.random.default_rng(0)
    views = turning(rng, 3, 30)
    path, nothing = tmp_path / "traversal.png", tmp_path / "nothing.png"
    names = ("pitch", "yaw", "roll")
    figures.draw_frames_along_traversal(views, views[:, 1:], path, names)
    assert size(path) == (900, 340)
    # Lines of predictions: predicted to stay, there are none.
    still = views[:, :1].repeat(29, axis=1)
    figures.draw_frames_along_traversal(views, still, nothing, names)
    for colour in FRAME:
        assert count_pixels(path, colour) > count_pixels(nothing, colour) + 100
    with pytest.raises(ValueError):
        figures.draw_frames_along_traversal(views, views[:, 1:], path, names[:2])
