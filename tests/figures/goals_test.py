import numpy as np
import pytest
from PIL import Image

from sen_tf import figures


def frames_and_goals(tasks):
    """Frames of brightness 20 * time, goals of 200."""
    frames = [np.full((tasks, 50, 50, 3), 20 * time, np.uint8) for time in range(9)]
    return frames, np.full((tasks, 50, 50, 3), 200, np.uint8)


def test_ends_say_whether_the_goal_was_reached(tmp_path, count_pixels):
    frames, goals = frames_and_goals(3)
    path = figures.draw_goals(frames, goals, np.array([True, True, False]), tmp_path / "plan.png")
    green, red = (count_pixels(path, colour) for colour in ("tab:green", "tab:red"))
    assert green == pytest.approx(2 * red, rel=0.1) and red > 100
    last, goal, passed = (count_pixels(path, np.full(3, g / 255)) for g in (160, 200, 40))
    assert last == pytest.approx(goal, rel=0.1) and passed < 100  # time 2 is not drawn


def test_the_animation_shows_each_task_above_its_goal(tmp_path):
    frames, goals = frames_and_goals(8)
    path = figures.animate_goals(frames, goals, tmp_path / "plan.gif")
    with Image.open(path) as animation:
        assert animation.n_frames >= len(frames)
        animation.seek(5)
        shown = np.asarray(animation.convert("RGB"))
    half = len(shown) // 2
    assert (shown[:half] == 100).all() and (shown[half:] == 200).all()
