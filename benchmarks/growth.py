"""How costs grow: with objects, episodes, the batch, the group's order and the predictions ranked.

`draw` makes a figure of the rows, a panel each, both axes logarithmic.
"""

import dataclasses
import functools
from unittest import mock

import numpy as np
import tensorflow as tf
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, LogLocator

from benchmarks import evaluation, frames, generation, layers, step
from benchmarks.table import Measured, Row
from benchmarks.timing import time_in_turn
from sen_tf import groups
from sen_tf.envs import rendering
from sen_tf.models import transitions


def frames_by_objects(rounds, numbers=(1, 2, 5, 10, 20), count=2048):
    """The board of 25 cells with more or fewer objects than its five."""
    for objects in numbers:
        colours = np.resize(rendering.CUBE_COLOURS, (objects, 3))
        with mock.patch.multiple(rendering, OBJECTS=objects, CUBE_COLOURS=colours):
            boards = frames.random_boards(count, objects)
            ours, theirs = frames.measure(rounds, boards, boards[:10])
        what = "a frame of 3D Blocks"
        yield Row(what, "s", ours, frames.PEER, theirs, by="objects", at=objects)


def generation_by_episodes(rounds, numbers=(10, 100, 1000), drawn=4):
    for episodes in numbers:
        ours, theirs = generation.measure(rounds, episodes, drawn)["s"]
        what = f"3D Blocks, {generation.STEPS} steps, with twins"
        note = f"extrapolated from {drawn} transitions"
        yield Row(what, "s", ours, generation.PEER, theirs, by="episodes", at=episodes, note=note)


def step_by_batch(rounds, numbers=(32, 64, 128, 256)):
    hidden, filters, _ = step.size("cubes", "paper")
    for batch_size in numbers:
        for row in step.compare(rounds, "cubes", hidden, filters, batch_size):
            yield dataclasses.replace(row, by="transitions", at=batch_size)


def transition_by_objects(rounds, numbers=(5, 10, 20, 40), hidden=64, batch_size=64):
    """Forward and backward of the transition alone, which looks at every pair of objects."""
    for objects in numbers:
        rng = np.random.default_rng(0)
        states = tf.constant(rng.normal(size=(batch_size, objects, 4, 2)), "float32")
        actions = tf.constant(rng.integers(0, 4 * objects, batch_size), "int32")
        functions = {}
        for precision in step.PRECISIONS:
            model = transitions.object_transition(
                "C4", objects, hidden, moves=transitions.MOVES_CLOCKWISE, dtype=precision
            )
            functions[precision] = layers.forward_and_backward(
                functools.partial(_predict, model, actions), model.trainable_variables, states
            )
        for precision, times in time_in_turn(functions, rounds).items():
            what = f"transition of objects, {hidden} fields, forward and backward"
            yield Row(what, "s", Measured.of(times), variant=precision, by="objects", at=objects)


def _predict(model, actions, states):
    return model([states, actions], training=True)


def convolution_by_group(rounds, names=("C1", "C2", "C4", "D4"), fields=16, side=25, batch_size=16):
    cases = layers.sized_cases([(fields, side, batch_size)], "float32", names)
    for name, case in zip(names, cases, strict=True):
        ours, theirs = layers.measure(rounds, case, "float32")
        what = f"GroupConv2D, {fields} fields, forward and backward"
        order = groups.get(name).order
        yield Row(what, "s", ours, "Conv2D", theirs, by="elements of the group", at=order)


def ranking_by_samples(rounds, numbers=(1000, 3000, 10_000)):
    for samples in numbers:
        ours, theirs = (
            Measured.of([cost.seconds for cost in costs])
            for costs in evaluation.measure(rounds, samples)
        )
        yield Row("ranking", "s", ours, evaluation.PEER, theirs, by="predictions", at=samples)


def rows(rounds):
    for measured in (
        frames_by_objects,
        generation_by_episodes,
        step_by_batch,
        transition_by_objects,
        convolution_by_group,
        ranking_by_samples,
    ):
        yield from measured(rounds)


OURS = "sen_tf"
DASHES = ("--", "-.", ":")


def lines_of(rows):
    """The points of each line of a panel: medians by (who, precision), and by what grew so far.

    However a peer was tuned, its best times are one line.
    """
    lines = {}
    for row in rows:
        lines.setdefault((OURS, row.variant), {})[row.at] = row.ours.median
        if row.theirs:
            who, *tuned = row.peer.split(", ")
            precision = next((word for word in tuned if word in step.PRECISIONS), row.variant)
            lines.setdefault((who, precision), {})[row.at] = row.theirs.median
    return lines


def draw(rows, path):
    """Draws the rows that follow something as it grows, and writes the figure to `path`.

    Lines of peers are dashed, each peer in its way; a precision has a colour.
    """
    panels = {}
    for row in rows:
        if row.by:
            panels.setdefault((row.what, row.by), []).append(row)
    columns = min(3, len(panels))
    lines = -(-len(panels) // columns)
    figure = Figure(figsize=(4.2 * columns, 3.4 * lines), layout="constrained")
    for number, ((what, by), of_panel) in enumerate(panels.items(), start=1):
        axes = figure.add_subplot(lines, columns, number)
        _draw_lines(axes, lines_of(of_panel))
        axes.set_title(what, fontsize=9)
        axes.set_xlabel(by)
        at = sorted({row.at for row in of_panel})
        axes.set_xticks(at, [f"{each:,g}" for each in at])
        axes.minorticks_off()
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(EngFormatter("s"))
        axes.grid(alpha=0.3)
    FigureCanvasAgg(figure).print_png(path)


def _draw_lines(axes, lines):
    precisions = list(dict.fromkeys(precision for _, precision in lines))
    peers = [who for who in dict.fromkeys(who for who, _ in lines) if who != OURS]
    for (who, precision), points in lines.items():
        dash = "-" if who == OURS else DASHES[peers.index(who) % len(DASHES)]
        colour = f"C{precisions.index(precision)}" if who == OURS or precision else "0.5"
        label = ", ".join(filter(None, (who, precision)))
        axes.loglog(points.keys(), points.values(), f".{dash}", color=colour, label=label)
    long = len(lines) > 3
    if long:  # room for the legend above
        axes.set_ylim(top=5 * axes.get_ylim()[1])
    axes.legend(frameon=False, fontsize=7 if long else 8)
