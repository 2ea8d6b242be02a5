import numpy as np
import pytest
from PIL import Image

from sen_tf import figures
from sen_tf.figures import rollouts, strips
from tests.frames_of_one_colour import IMAGES, STEPS, frames


@pytest.mark.parametrize("shape", IMAGES.values())
def test_rollouts_show_the_last_picture_and_mark_what_was_found(shape, tmp_path, count_pixels):
    images = np.zeros((4, 2, *shape), np.uint8)
    images[..., -3:] = np.arange(10, 90, 10).reshape(4, 2, 1, 1, 1)
    images[..., :-3] = 200  # the earlier of two stacked pictures
    states = np.arange(8.0).reshape(4, 2, 1)
    predicted = states[:, 1:].copy()
    predicted[0] = states[3, 1]
    path = figures.draw_rollouts(images, states, predicted, tmp_path / "rollouts.png")
    assert count_pixels(path, "tab:green") > 2 * count_pixels(path, "tab:red") > 100
    # Each once above; below, the first found the last of the fourth, the others their own.
    for grey, times in {10: 1, 20: 1, 30: 1, 40: 2, 50: 1, 60: 2, 70: 1, 80: 3}.items():
        shown = count_pixels(path, np.full(3, grey / 255))
        assert shown == pytest.approx(times * 90**2, rel=0.15), grey
    assert count_pixels(path, np.full(3, 200 / 255)) < 100


@pytest.mark.parametrize(
    ("shape", "scale"), [((50, 50, 3), 3), ((129, 129, 6), 1), ((64, 64, 1), 2)]
)
def test_animations_show_the_last_picture(shape, scale, tmp_path):
    true = frames(shape, episodes=2)
    path = figures.animate(true, 255 - true, tmp_path / "animation.gif")
    with Image.open(path) as animation:
        assert animation.n_frames == STEPS + 1
        for time in range(STEPS + 1):
            animation.seek(time)
            left, top = rollouts.MARGIN
            shown = np.asarray(animation.convert("RGB"))
            assert (shown[:top, :left] < 128).any()  # which time it is
            shown = shown[top:, left:]
            assert shown.shape == (scale * 2 * shape[0], scale * 2 * shape[1], 3)
            half, wide = scale * shape[0], scale * shape[1]
            for episode in range(2):
                colour = np.broadcast_to(true[episode, time, 0, 0, -3:], 3)
                column = wide * episode + wide // 2
                np.testing.assert_allclose(shown[half // 2, column], colour, atol=2)
                np.testing.assert_allclose(shown[half + half // 2, column], 255 - colour, atol=2)


def test_history_has_both_curves(tmp_path, count_pixels):
    history = [
        {"transitions": 100 * n, "loss": 1 / n, "skill": 1 - 1 / n, "val_loss": 2 / n}
        for n in (1, 2)
    ]
    path = figures.draw_history(history, tmp_path / "training.png")
    assert count_pixels(path, "tab:blue") > 100 and count_pixels(path, "tab:orange") > 50
    figures.draw_history([{**row, "val_loss": row["loss"]} for row in history], path)
    assert count_pixels(path, "tab:blue") > 100  # the skill's


@pytest.mark.parametrize("steps", [1, 5])
def test_the_legend_is_whole_whatever_the_width(steps, tmp_path, monkeypatch):
    saved = []
    monkeypatch.setattr(strips.Strips, "save", lambda self, *_: saved.append(self))
    frames = np.zeros((3, steps + 1, 8, 8, 3), np.uint8)
    states = np.zeros((3, steps + 1, 2))
    actions, unseen = [["up"] * steps] * 3, ["right", "down", "left"]
    figures.draw_rollouts(frames, states, states[:, 1:], tmp_path / "x.png", actions, unseen)
    (drawn,) = saved
    (legend,) = drawn.figure.legends
    texts = [text.get_window_extent().width for text in legend.get_texts()]
    widest = max(texts) / drawn.figure.dpi + 0.4  # with its mark
    assert legend._ncols == max(1, min(3, int(drawn.width / 2.4))) and widest <= 2.4
