"""The programs of the documentation run: tutorials, smaller than they are, and its images."""

import pathlib
import re
import runpy

import pytest
from matplotlib import pyplot
from PIL import Image

DOCS = pathlib.Path(__file__).parents[1] / "docs"
SMALLER = {"SEEDS": (0,), "EPISODES": 100, "EPOCHS": 1, "TRIALS": 1, "TASKS": 2}
SMALLER |= {"ANGLES": "np.arange(0, 361, 45)", "TRAIN, TEST": "32, 16"}
"""Values here of the constants of these names at the top of a tutorial."""


LONG = ("reach_a_goal_image",)
"""What is left out of an ordinary run: its training is your_first_world_model's."""


def programs():
    for path in DOCS.glob("tutorials/*.py"):
        marks = pytest.mark.slow if path.stem in LONG else ()
        yield pytest.param(path, id=path.stem, marks=marks)


@pytest.mark.usefixtures("unexported")
@pytest.mark.parametrize("path", programs())
def test_tutorial_runs_and_draws_its_image(path, tmp_path, monkeypatch):
    program = path.read_text(encoding="utf-8")
    for name, value in SMALLER.items():
        program = re.sub(rf"^{name} = .*$", f"{name} = {value}", program, flags=re.MULTILINE)
    program = re.sub(r"(\beval_episodes\W+)\d+", r"\g<1>20", program)
    assert "\nEPOCHS = 1\n" in program
    monkeypatch.chdir(tmp_path)
    pyplot.switch_backend("agg")
    exec(compile(program, path, "exec"), {"__name__": path.stem})
    pyplot.close("all")
    with Image.open(tmp_path / "docs/images/tutorials" / f"{path.stem}.png") as drawn:
        assert drawn.format == "PNG" and min(drawn.size) > 200


def test_images_of_the_concepts_are_drawn(tmp_path):
    program = runpy.run_path(str(DOCS / "draw_concepts.py"))
    program["draw"](tmp_path)
    for name in program["DRAWN"]:
        with Image.open(tmp_path / name) as drawn, Image.open(DOCS / "images" / name) as kept:
            assert (drawn.size, drawn.format) == (kept.size, kept.format), name
            assert getattr(drawn, "n_frames", 1) == (8 if name.endswith("gif") else 1)
    kept = {f"concepts/{path.name}" for path in DOCS.glob("images/concepts/*")}
    assert kept == {name for name in program["DRAWN"] if name.startswith("concepts/")}
