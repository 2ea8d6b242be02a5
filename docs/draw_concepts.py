"""Draws the images of docs/concepts and docs/images/turning.gif; every number in them is computed.

python docs/draw_concepts.py
"""

import pathlib

import keras
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from sen_tf import groups, metrics
from sen_tf.groups import actions, representations
from sen_tf.layers import GroupConv2D, LiftingConv2D
from sen_tf.models.world_model import Skill

COLOURS = ("tab:blue", "tab:orange", "tab:green", "tab:red")
COLOURS += ("tab:purple", "tab:brown", "tab:pink", "tab:cyan")
SIZE = 33
SECONDS_PER_FRAME = 1.5


def letter():
    """An F, which no element of D4 but the identity leaves as it is: (33, 33) in [0, 1]."""
    image = np.zeros((SIZE, SIZE), np.float32)
    for rows, columns in (((5, 28), (9, 14)), ((5, 10), (9, 26)), ((14, 19), (9, 21))):
        image[slice(*rows), slice(*columns)] = 1
    return image


def feature(image, group):
    """The feature of an image (rows, columns): (rows, columns, |group|), of drawn weights."""
    keras.utils.set_random_seed(4)
    network = keras.Sequential(
        [
            keras.Input((SIZE, SIZE, 1)),
            LiftingConv2D(group, 4, 7, padding="same", activation="relu"),
            GroupConv2D(group, 1, 7, padding="same", activation="relu"),
        ]
    )
    return keras.ops.convert_to_numpy(network(image[None, :, :, None]))[0, ..., 0]


def word(group, g):
    """An element of C_n or D_n as a text, such as r²f."""
    k, j = groups.finite.normal_form(group, g)
    return (("", "r", "r²", "r³")[k] + "f" * j) or "1"


def show(axes, image, title, colour=None, **arguments):
    """Shows an image without ticks, in a frame of a colour."""
    axes.imshow(image, **{"cmap": "gray", **arguments})
    axes.set(xticks=[], yticks=[])
    axes.set_title(title, fontsize=10)
    if colour:
        axes.spines[:].set(color=colour, linewidth=4)


def draw_elements(path):
    """The eight elements of D4 on an image."""
    figure = Figure(figsize=(9, 4.8), layout="constrained")
    for g, axes in enumerate(figure.subplots(2, 4).flat):
        show(axes, actions.rotate_grid(letter(), "D4", g), f"{g}:  {word('D4', g)}")
    figure.suptitle("The elements of D4: turns by 90° (r), after the left-right mirror (f) below")
    figure.savefig(path, dpi=100)


def draw_irreps(path):
    """The matrices of the irreducible representations of C4 and D4."""
    figure = Figure(figsize=(11, 8), layout="constrained")
    parts = figure.subfigures(2, 1, height_ratios=(3.4, 5))
    for part, name in zip(parts, ("C4", "D4"), strict=True):
        irreps, group = representations.irreps(name), groups.get(name)
        grid = part.subplots(len(irreps), 8, squeeze=False)
        for (row, g), axes in np.ndenumerate(grid):
            if g >= group.order:
                axes.set_axis_off()
                continue
            matrix = irreps[row].matrices[g]
            title = word(name, g) if row == 0 else ""
            show(axes, matrix, title, cmap="RdBu", vmin=-1.6, vmax=1.6)
            for (i, j), number in np.ndenumerate(matrix):
                axes.text(j, i, f"{number:.0f}", ha="center", va="center", fontsize=9)
        for row, irrep in enumerate(irreps):
            grid[row, 0].set_ylabel(
                irrep.name, rotation=0, ha="right", va="center", fontsize=10, labelpad=8
            )
        part.suptitle(f"{name}: a row per irreducible representation, a column per element")
    figure.savefig(path, dpi=90)


def draw_fields(path):
    """A trivial, a vector and a regular field, before and after a quarter turn."""
    figure = Figure(figsize=(10, 8), layout="constrained")
    parts = figure.subfigures(3, 1, height_ratios=(3, 3, 2))
    image, turned = letter(), actions.rotate_grid(letter(), "C4", 1)
    titles = ("f", "r f")

    parts[0].suptitle("trivial: the pixels move, the numbers stay")
    for axes, shown, title in zip(parts[0].subplots(1, 2), (image, turned), titles, strict=True):
        show(axes, shown, title)

    parts[1].suptitle("standard: the pixels move, and the vectors turn with them")
    rows, columns = np.mgrid[0:7, 0:7]
    inside = image[2 + 5 * rows, 2 + 5 * columns] > 0
    vectors = np.stack([inside * 1.0, inside * 0.4], axis=-1)  # (x, y), to the right and up
    moved = actions.rotate_grid(vectors, "C4", 1, axes=(0, 1))
    moved = moved @ actions.vector_matrix("C4", 1).T
    for axes, field, title in zip(parts[1].subplots(1, 2), (vectors, moved), titles, strict=True):
        axes.quiver(columns, -rows, field[..., 0], field[..., 1], scale=9, width=0.012)
        axes.set(aspect="equal", xticks=[], yticks=[], xlim=(-0.9, 6.9), ylim=(-6.9, 0.9))
        axes.set_title(title, fontsize=10)

    parts[2].suptitle("regular: the pixels move, and the axis of the group cycles (colours)")
    maps = feature(image, "C4")
    after = actions.act_on_regular_image(maps[None, ..., None], "C4", 1)[0, ..., 0]
    halves = parts[2].subfigures(1, 2, wspace=0.04)
    grid = np.concatenate([half.subplots(1, 4) for half in halves])
    for h in range(4):
        show(grid[h], maps[..., h], f"f at {word('C4', h)}", COLOURS[h], cmap="magma")
        source = groups.get("C4").product[groups.get("C4").inverse[1], h]
        title = f"r f at {word('C4', h)}"
        show(grid[4 + h], after[..., h], title, COLOURS[source], cmap="magma")
    figure.savefig(path, dpi=90)


def draw_commuting(path):
    """Turn then layer equals layer then turn: three rows of images."""
    image = letter()
    turned = actions.rotate_grid(image, "C4", 1)
    before, after = feature(image, "C4"), feature(turned, "C4")
    acted = actions.act_on_regular_image(before[None, ..., None], "C4", 1)[0, ..., 0]
    difference = np.abs(acted - after).max() / np.abs(after).max()
    cycled = [COLOURS[(h - 1) % 4] for h in range(4)]
    figure = Figure(figsize=(10, 7), layout="constrained")
    grid = figure.subplots(3, 5)
    rows = (
        ("the layers", "image", image, before, COLOURS[:4]),
        ("turn,\nthen layers", "turned image", turned, after, cycled),
        ("layers,\nthen turn", None, None, acted, cycled),
    )
    for axes, (name, title, shown, maps, colours) in zip(grid, rows, strict=True):
        if title:
            show(axes[0], shown, title)
        else:
            show(axes[0], np.ones((2, 2)), "", vmin=0, vmax=1)
            axes[0].spines[:].set_visible(False)
            text = (
                f"largest difference\nfrom the row above:\n{difference:.0e}\nof the largest number"
            )
            axes[0].text(0.5, 0.5, text, ha="center", va="center", fontsize=10)
        axes[0].set_ylabel(name, fontsize=11)
        for h in range(4):
            show(axes[1 + h], maps[..., h], f"feature at {word('C4', h)}", colours[h], cmap="magma")
    figure.suptitle("A map (one colour) is turned, and moves to the next element of C4: r⁻¹h to h")
    figure.savefig(path, dpi=95)


def draw_turning(path):
    """An image and its feature on D4 under all eight elements, as a GIF."""
    group = groups.get("D4")
    brightest = feature(letter(), "D4").max()
    frames = []
    for g in group.elements:
        image = actions.rotate_grid(letter(), "D4", g)
        maps = feature(image, "D4")
        figure = Figure(figsize=(9, 4.4), layout="constrained")
        left, right = figure.subfigures(1, 2, width_ratios=(1, 2.1))
        show(left.subplots(), image, f"g = {word('D4', g)}")
        left.suptitle("image, moved by g")
        grid = right.subplots(2, 4)
        for h, axes in enumerate(grid.flat):
            source = group.product[group.inverse[g], h]  # (g f)[h] = f[g^-1 h]
            show(
                axes,
                maps[..., h],
                f"at {word('D4', h)}",
                COLOURS[source],
                cmap="magma",
                vmax=brightest,
            )
        grid[0, 0].set_ylabel("turns")
        grid[1, 0].set_ylabel("mirrored")
        right.suptitle("its feature: a map per element of D4, a colour per map")
        frames.append(as_image(figure))
    first, *others = frames
    milliseconds = int(1000 * SECONDS_PER_FRAME)
    first.save(path, save_all=True, append_images=others, duration=milliseconds, loop=0)


def as_image(figure):
    """A figure as an image of few colours, for a GIF."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    image = Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3])
    return image.quantize(128, dither=Image.Dither.NONE)


def draw_errors(path):
    """Latent states and those of turned observations, with EE and DIE of three maps."""
    rng = np.random.default_rng(0)
    z = rng.normal(size=(6, 2)) + (2.5, 0.5)
    quarter = actions.vector_matrix("C4", 1)
    maps = {
        "commutes: S(g o) = g S(o)": z @ quarter.T,
        "turns by another angle": z @ actions.vector_matrix("C8", 3).T,
        "unrelated": rng.normal(size=(6, 2)) * 1.5 + (0, 1),
    }
    figure = Figure(figsize=(11, 4.4), layout="constrained")
    for axes, (name, gz) in zip(figure.subplots(1, 3, sharey=True), maps.items(), strict=True):
        ee = metrics.equivariance_error(z @ quarter.T, gz)
        shifted = np.roll(np.arange(6), 1)  # pairs of states: each one and the one before it
        die = metrics.distance_invariance_error(z, z[shifted], gz, gz[shifted])
        loop = [*range(6), 0]
        axes.plot(*z[loop].T, "o-", color="tab:blue", label="S(o)")
        axes.plot(*(z @ quarter.T)[loop].T, "o", color="black", mfc="none", ms=11, label="g S(o)")
        axes.plot(*gz[loop].T, "s-", color="tab:orange", label="S(g o)")
        axes.axhline(0, color="gray", lw=0.6)
        axes.axvline(0, color="gray", lw=0.6)
        axes.set(aspect="equal", xlim=(-5, 5), ylim=(-3.5, 5), xlabel="first coordinate")
        axes.set_title(f"{name}\nEE = {ee:.2f}   DIE = {die:.2f}", fontsize=11)
    figure.axes[0].set_ylabel("second coordinate")
    figure.axes[0].legend(loc="lower left", fontsize=9)
    figure.suptitle("Six states of observations o, and of the observations turned by 90°")
    figure.savefig(path, dpi=95)


def draw_skill(path):
    """Skill of four predictions of one movement, from z to z'."""
    z, z_next = np.array([0.0, 0.0]), np.array([2.0, 0.0])
    predictions = {
        "nothing moves": z,
        "half the way": (z + z_next) / 2,
        "perfect": z_next,
        "the wrong way": np.array([0.0, 1.5]),
    }
    figure = Figure(figsize=(10, 3.2), layout="constrained")
    for axes, (name, p) in zip(
        figure.subplots(1, 4, sharey=True), predictions.items(), strict=True
    ):
        metric = Skill()
        metric.update_state(*(np.float32(x[None]) for x in (z, p, z_next)))
        axes.plot(*z, "o", color="tab:blue", ms=9, label="z")
        axes.plot(*z_next, "o", color="black", ms=13, mfc="none", label="z'")
        axes.plot(*p, "x", color="tab:red", ms=10, mew=2.5, label="z + T(z, a)")
        axes.plot(*zip(p, z_next, strict=True), ":", color="tab:red")
        axes.set(aspect="equal", xlim=(-0.6, 2.7), ylim=(-0.7, 2), xticks=[], yticks=[])
        axes.set_title(f"{name}\nskill {float(metric.result()):.2f}", fontsize=11)
    figure.axes[0].legend(loc="upper right", fontsize=9)
    figure.suptitle("A state z, the next one z', and a prediction of it")
    figure.savefig(path, dpi=95)


def draw_ties(path):
    """States that are spread out, in pairs, and collapsed, with both readings of a tie."""
    circle = 2 * np.pi * np.arange(8) / 8
    spread = np.stack([np.cos(circle), np.sin(circle)], axis=1)
    pairs = spread[np.arange(8) // 2 * 2]
    states = {"spread out": spread, "in pairs": pairs, "collapsed": 0 * spread}
    rng = np.random.default_rng(0)
    figure = Figure(figsize=(10, 4.4), layout="constrained")
    figure.get_layout_engine().set(h_pad=0.12)  # the titles have three lines
    for axes, (name, true) in zip(figure.subplots(1, 3), states.items(), strict=True):
        noise = rng.normal(scale=0.08, size=true.shape)
        # Equal states have equal predictions, as a function of them makes.
        predicted = true + noise[np.unique(true.round(6), axis=0, return_inverse=True)[1].ravel()]
        ranks = metrics.rank_against(true, predicted)
        against, favour = (100 * metrics.hits_at(r, 1) for r in ranks)
        axes.plot(*true.T, "o", ms=14, mfc="none", color="black", label="true states")
        axes.plot(*predicted.T, "x", ms=8, mew=2, color="tab:red", label="predictions")
        for point in np.unique(predicted.round(9), axis=0):
            count = np.count_nonzero((predicted.round(9) == point).all(axis=1))
            axes.annotate(f"×{count}", point, xytext=(10, 8), textcoords="offset points")
        axes.set(aspect="equal", xlim=(-1.6, 1.6), ylim=(-1.8, 1.5), xticks=[], yticks=[])
        axes.set_title(
            f"{name}\nHits@1, ties against: {against:.0f} %\nHits@1, ties for: {favour:.0f} %",
            fontsize=11,
        )
    figure.axes[0].legend(loc="lower center", ncols=2, fontsize=9)
    figure.savefig(path, dpi=95)


DRAWN = {
    "concepts/elements.png": draw_elements,
    "concepts/irreps.png": draw_irreps,
    "concepts/fields.png": draw_fields,
    "concepts/commuting.png": draw_commuting,
    "concepts/errors.png": draw_errors,
    "concepts/skill.png": draw_skill,
    "concepts/ties.png": draw_ties,
    "turning.gif": draw_turning,
}
"""The functions that draw, by the file below docs/images that each makes."""


def draw(folder):
    """Draws everything below a folder."""
    for name, function in DRAWN.items():
        path = pathlib.Path(folder) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        function(path)


if __name__ == "__main__":
    draw(pathlib.Path(__file__).parent / "images")
