"""The benchmarks' arithmetic, and what runs them, at sizes of seconds."""

import functools
import importlib
import json
import operator

import pytest
from PIL import Image

from benchmarks import (
    angles,
    building,
    evaluation,
    frames,
    generation,
    growth,
    layers,
    networks,
    pipeline,
    planning,
    run,
    startup,
    step,
    streaming,
    table,
    timing,
)
from benchmarks.table import Measured, Row
from sen_tf import models


def row(ours, theirs=None, **arguments):
    theirs = None if theirs is None else Measured(theirs, 0.5)
    return Row("a step", "s", Measured(ours, 0.25), "a peer", theirs, **arguments)


def cells(of_row):
    """The cells of the row in a table, by the heads of their columns."""
    head, _, line = table.markdown([of_row]).splitlines()
    return dict(zip(*(map(str.strip, text[1:-1].split("|")) for text in (head, line)), strict=True))


def test_median_and_spread():
    assert Measured.of([3.0, 1.0, 2.0]) == Measured(2.0, 1.0)
    assert Measured.of([5.0]) == Measured(5.0, 0.0)
    assert Measured.of([0, 0]) == Measured(0, 0.0)


@pytest.mark.parametrize(
    "ours, theirs, targets, reached",
    [
        (1.0, 3.0, {"most_of_peer": 1 / 3}, True),
        (1.0, 2.9, {"most_of_peer": 1 / 3}, False),
        (1.1, 1.0, {"most_of_peer": 1.15}, True),
        (1.2, 1.0, {"most_of_peer": 1.15}, False),
        (0.9, 60.0, {"most": 1.0}, True),
        (1.1, 60.0, {"most": 1.0}, False),
        (1.1, None, {"most": 1.0}, False),
        (0.9, None, {"most": 1.0, "most_of_peer": 1 / 3}, True),
        (0.9, 1.0, {"most": 1.0, "most_of_peer": 1 / 3}, False),
        (0.9, None, {"most_of_peer": 1 / 3}, None),
        (0.9, 1.0, {}, None),
    ],
)
def test_targets(ours, theirs, targets, reached):
    assert row(ours, theirs, **targets).reached is reached


def test_cells():
    less = cells(row(0.002, 0.84, most_of_peer=1 / 300, variant="float32", note="a note"))
    assert less == {
        "what": "a step, float32",
        "ours": "2 ms (25%)",
        "peer": "a peer: 840 ms (50%); a note",
        "ratio": "420 times less",
        "target": "at least 300",
        "reached": "yes",
    }
    more = cells(row(1.2, 1.0, most_of_peer=1.15, most=1.0, by="objects", at=20))
    assert more["what"] == "a step, 20 objects"
    assert more["ratio"] == "1.20 times as much"
    assert more["target"] == "at most 1.15, at most 1 s"
    assert more["reached"] == "no"
    alone = cells(row(1.2e-5, note="not run"))
    assert (alone["ours"], alone["peer"]) == ("12 µs (25%)", "a peer; not run")
    assert alone["ratio"] == alone["target"] == alone["reached"] == ""


def test_rows_as_json():
    values = json.loads(json.dumps(table.as_json(row(1.0, 4.0, most_of_peer=1 / 3))))
    assert values["ours"] == {"median": 1.0, "spread": 0.25}
    assert values["theirs"] == {"median": 4.0, "spread": 0.5}
    assert (values["what"], values["ratio"], values["reached"]) == ("a step", 0.25, True)


def test_contenders_take_turns():
    calls = []
    contenders = {name: functools.partial(calls.append, name) for name in "ab"}
    assert timing.alternate(contenders, 2) == {"a": [None] * 2, "b": [None] * 2}
    assert "".join(calls) == "abab"
    times = timing.time_in_turn(contenders, 3)
    assert "".join(calls) == "abab" + "ab" * 4  # each was called once to warm up
    assert all(len(each) == 3 and min(each) > 0 for each in times.values())


def test_costs_in_a_process():
    """Of 64 MiB that are written, and kept."""
    cost = timing.once_apart(functools.partial, operator.mul, bytearray(b"x"), 2**26)
    assert cost.result == bytearray(b"x") * 2**26
    assert cost.seconds > 0 and 60 < cost.mib < 200


def test_errors_in_a_process():
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        timing.OwnProcess(importlib.import_module, "no_such_module")


def test_run_prints_a_table_and_writes_json(tmp_path, capsys):
    path = tmp_path / "rows.json"
    run.main(["--suite=frames", "--rounds=1", f"--output={path}"])
    printed = capsys.readouterr().out
    values = json.loads(path.read_text(encoding="utf-8"))
    each, *reacher = values["rows"]  # where MuJoCo draws
    assert f"| {each['what']} " in printed and f"; {each['note']} |" in printed
    assert values["machine"] in printed and values["versions"]["keras"]
    assert each["ratio"] == each["ours"]["median"] / each["theirs"]["median"]
    assert each["ratio"] < 1 / 30  # the target is 1 / 300; the machine may be busy
    assert all(0 < row["ours"]["median"] < 0.1 for row in reacher)
    assert printed.strip().endswith(f"of {1 + len(reacher)} targets reached")


def test_layers():
    rows = list(layers.rows(1, sizes=((2, 5, 1),), side=9, batch=1))
    costs = [each for each in rows if each.variant]
    assert {each.variant for each in costs} == {"float32", "mixed_bfloat16"}
    assert {each.what for each in costs} == {
        each.what.removeprefix("building ") for each in rows if each.what.startswith("building")
    }
    assert all(each.reached is not None for each in rows)


@pytest.mark.parametrize("case", [angles.CASES[0], angles.CASES[-1]])
def test_errors_off_the_grid_are_small_and_like_those_of_e2cnn(case):
    (found,) = angles.rows(1, cases=[case])
    assert 0 < found.ours.median < 20
    assert found.theirs is None or found.theirs.median < 20


@pytest.mark.parametrize(
    "precision, dtype", [("float32", "float32"), ("mixed_bfloat16", "bfloat16")]
)
def test_the_rate_of_products_is_measured_in_the_dtype_of_the_layers(precision, dtype):
    assert step.matrix_of(precision).dtype == dtype


@pytest.mark.slow
def test_whole_networks():
    arguments = {"input_shape": (16, 16, 3), "classes": 2, "filters": 8, "depth": 1}
    rows = list(networks.rows(1, {"U-Net": (models.unet, arguments, 1, 1.25)}))
    assert [each.variant for each in rows] == ["float32", "mixed_bfloat16"]
    assert all(each.ratio > 0.1 for each in rows)


def test_growth_is_drawn(tmp_path):
    points = [row(at / 10, at**2, by="objects", at=at, variant="float32") for at in (5, 10, 20)]
    points += [row(at / 10, by="episodes", at=at) for at in (10, 100)]
    growth.draw([*points, row(1.0, 2.0)], tmp_path / "growth.png")
    with Image.open(tmp_path / "growth.png") as picture:
        assert picture.width > picture.height  # two panels


def test_a_peer_is_a_line_at_each_precision_however_it_was_tuned():
    def of(peer, variant, at):
        return Row(
            "a step", "s", Measured(1.0, 0.1), peer, Measured(at, 0.1), variant=variant, at=at
        )

    lines = growth.lines_of(
        [
            of("best, mixed_bfloat16, channels last", "mixed_bfloat16", 32),
            of("best, mixed_bfloat16, channels last, autocast", "mixed_bfloat16", 64),
            of("as published, float32", "mixed_bfloat16", 32),
            of("its products alone", "float32", 32),
            of("its products alone", "mixed_bfloat16", 64),
        ]
    )
    assert lines["best", "mixed_bfloat16"] == {32: 32, 64: 64}
    assert lines["as published", "float32"] == {32: 32}
    assert lines["its products alone", "float32"] == {32: 32}
    assert lines["its products alone", "mixed_bfloat16"] == {64: 64}
    assert lines["sen_tf", "mixed_bfloat16"] == {32: 1.0, 64: 1.0}


def test_boards_have_other_numbers_of_objects():
    few, many = growth.frames_by_objects(1, numbers=(1, 20), count=2)
    assert (few.at, many.at) == (1, 20)
    assert frames.random_boards(3).shape == (3, 5, 2)


# Suites at small sizes, and how many rows each has then.
SMALL = {
    "generation": (3, functools.partial(generation.rows, episodes=2, drawn=1)),
    "evaluation": (2, functools.partial(evaluation.rows, samples=200)),
    "building": (2, functools.partial(building.rows, names=("cubes", "shapes"))),
    "startup": (2, startup.rows),
    "pipeline": (2, functools.partial(pipeline.rows, episodes=2, steps=2)),
    "streaming": (4, functools.partial(streaming.rows, episodes=20, steps=2, limited=20)),
    "planning": (2, functools.partial(planning.rows, states=40, tasks=2)),
    "step": (6, lambda rounds: step.compare(rounds, "shapes", 8, 4, 8)),
    "by episodes": (2, functools.partial(growth.generation_by_episodes, numbers=(1, 2), drawn=1)),
    "by objects": (4, functools.partial(growth.transition_by_objects, numbers=(2, 3), hidden=2)),
    "by group": (4, functools.partial(growth.convolution_by_group, fields=2, side=5, batch_size=1)),
    "by samples": (1, functools.partial(growth.ranking_by_samples, numbers=(50,))),
}


ORDINARY = ("by objects", "by group")
"""Those of seconds, which ordinary runs have too."""


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if name in ORDINARY else pytest.mark.slow) for name in SMALL],
)
def test_suites(name):
    count, measure = SMALL[name]
    rows = list(measure(1))
    assert len(rows) == count
    assert all(each.ours.median > 0 for each in rows)
