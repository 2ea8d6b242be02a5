"""The programs of the documentation run: tutorials, smaller than they are, and its images."""

import pathlib
import re
import runpy

import pytest
from matplotlib import pyplot
from PIL import Image

DOCS = pathlib.Path(__file__).parents[1] / "docs"
SMALLER = {
    "layer_in_your_classifier": {"SEEDS": (0,), "EPOCHS": 1},
    "serve_an_encoder": {"EPISODES": 5, "EPOCHS": 1},
}


@pytest.mark.parametrize("path", DOCS.glob("tutorials/*.py"), ids=lambda path: path.stem)
def test_tutorial_runs_and_draws_its_image(path, tmp_path, monkeypatch):
    program = path.read_text(encoding="utf-8")
    for name, value in SMALLER[path.stem].items():
        program, count = re.subn(rf"^{name} = .*$", f"{name} = {value}", program, flags=re.M)
        assert count == 1, name
    monkeypatch.chdir(tmp_path)
    pyplot.switch_backend("agg")
    exec(compile(program, path, "exec"), {"__name__": path.stem})
    pyplot.close("all")
    name = f"images/tutorials/{path.stem}.png"
    with Image.open(tmp_path / "docs" / name) as drawn, Image.open(DOCS / name) as kept:
        assert drawn.size == kept.size


def test_images_of_the_concepts_are_drawn(tmp_path):
    program = runpy.run_path(str(DOCS / "draw_concepts.py"))
    program["draw"](tmp_path)
    for name in program["DRAWN"]:
        with Image.open(tmp_path / name) as drawn, Image.open(DOCS / "images" / name) as kept:
            assert (drawn.size, drawn.format) == (kept.size, kept.format), name
            assert getattr(drawn, "n_frames", 1) == (8 if name.endswith("gif") else 1)
    kept = {f"concepts/{path.name}" for path in DOCS.glob("images/concepts/*")}
    assert kept == {name for name in program["DRAWN"] if name.startswith("concepts/")}
