"""The guide to `explain` prints what its program prints."""

import contextlib
import io
import pathlib
import re

import sen_tf

GUIDE = pathlib.Path(__file__).parents[2] / "docs" / "guides" / "symmetry.md"
NUMBER = r"(?<![\w.(])(?:\d+(?:\.\d+)?(?:e-\d+)?)(?![\w.,)])"


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)


def split(text):
    """The words between the numbers of a text, spaces apart, and the numbers."""
    words = [" ".join(part.split()) for part in re.split(NUMBER, text)]
    return words, [float(number) for number in re.findall(NUMBER, text)]


def test_the_table_of_the_guide_is_printed():
    programs, printed = blocks("python"), io.StringIO()
    names = {}
    with contextlib.redirect_stdout(printed):
        for program in programs:
            exec(compile(program, GUIDE.name, "exec"), names)
    (table,) = blocks("text")
    words, numbers = split(printed.getvalue())
    expected_words, expected = split(table)
    assert words == expected_words
    for number, other in zip(numbers, expected, strict=True):
        assert max(number, other) < 1e-5 or abs(number - other) < 0.02 * other
    assert names["report"].culprit.layer == "pool"
    layer = names["Squash"]()
    assert layer.output_field(names["fields"]["mine"]) == names["fields"]["mine"]
    assert isinstance(names["watch"], sen_tf.symmetry.EquivarianceError)


def test_the_sizes_that_the_guide_recommends_are_exact():
    program = blocks("python")[0].replace("33", "35")
    names = {}
    with contextlib.redirect_stdout(io.StringIO()):
        exec(compile(program, GUIDE.name, "exec"), names)
    assert names["report"].is_exact
