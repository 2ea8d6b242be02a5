"""Figures of latent spaces, with transitions marked; `draw_latents` chooses by what states are.

Each takes the latent states `(N, T + 1, ...)` of N episodes at times 0 to T, what the model
predicts for times 1 to T from the first of them, `(N, T, ...)`, and the path of the PNG file, which
it returns.
"""

import pathlib
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from sen_tf.groups import FiniteGroup, GroupLike, representations
from sen_tf.groups.rotations import SO3

TRUE, PREDICTED = "tab:green", "tab:orange"
FRAME = ("tab:red", "tab:green", "tab:blue")
"""Colours of the three columns of a rotation."""
PATHS = 4
"""Episodes of rotations that are drawn."""
MAGNIFICATION = 20
"""Factor by which a narrow irreducible part may be drawn larger than the widest one."""


def draw_latents(
    states: np.ndarray,
    predicted: np.ndarray,
    path: pathlib.Path,
    group: FiniteGroup | SO3,
    objects: int | None = None,
    positions: np.ndarray | None = None,
) -> pathlib.Path:
    """Draws latent states as what they are: of objects, rotations, or functions on a finite group.

    Args:
        states, predicted, path: See the module; the path is returned.
        group: The environment's group.
        objects: How many objects there are, counted by axis 2 of the states; None for a whole.
        positions: As in `draw_objects`; or None.
    """
    if objects is not None:
        return draw_objects(states, predicted, path, positions)
    if isinstance(group, FiniteGroup):
        return draw_irreducible_parts(states, predicted, path, group)
    return _draw_first_episodes(states, predicted, path)


def draw_objects(
    states: np.ndarray,
    predicted: np.ndarray,
    path: pathlib.Path,
    positions: np.ndarray | None = None,
) -> pathlib.Path:
    """Draws each object's latent states, projected on their two main axes; returns the path.

    The transition marked is the first of the episode that it moves most.

    Args:
        states: `(N, T + 1, objects, ...)`; for a grid world each object's states should form the
            grid.
        predicted: `(N, T, objects, ...)`.
        path: Where the figure goes.
        positions: Rows and columns of the objects in the images, `(N, T + 1, objects, 2)`, by which
            dots are coloured; or None.
    """
    objects = states.shape[2]
    marked = _widest_transition(states, predicted)
    height = 3.2 if positions is None else 3.6
    figure = Figure(figsize=(2.6 * max(objects, 1.5), height), layout="constrained")
    colours = None if positions is None else _colours(positions)
    for index, axes in enumerate(figure.subplots(1, objects, squeeze=False)[0]):
        points = states[:, :, index].reshape(states.shape[0] * states.shape[1], -1)
        centre = points.mean(axis=0)
        _, sizes, directions = np.linalg.svd(points - centre, full_matrices=False)
        cloud, transition = (
            _on_plane(each - centre, directions)
            for each in (points, marked[:, index].reshape(3, -1))
        )
        hue = None if colours is None else colours[:, :, index].reshape(-1, 3)
        _draw_plane(axes, cloud, transition, colours=hue)
        share = (sizes[:2] ** 2).sum() / max((sizes**2).sum(), 1e-12)
        name = f"object {index}: " if objects > 1 else ""
        axes.set_title(f"{name}{share:.0%} of variance", fontsize=10)
        axes.set_xlabel("first main axis of z", fontsize=8)
        axes.tick_params(labelsize=6)
    figure.axes[0].set_ylabel("second main axis of z", fontsize=8)
    if colours is not None:
        _explain_colours(figure.axes[-1])
    _explain_marks(figure)
    figure.savefig(path)
    return path


def draw_irreducible_parts(
    states: np.ndarray, predicted: np.ndarray, path: pathlib.Path, group: GroupLike
) -> pathlib.Path:
    """Draws latent states that are functions on a group, part by irreducible part.

    A part of dimension 1 is a line, and one of dimension 2 a plane, where the states that the group
    makes of one lie on a circle; the percentages are shares of the variance. The transition marked
    is the first of the episode that it moves most. States of a plain network, whose group
    axis is one, are drawn as `draw_objects` draws one object.

    Args:
        states: `(N, T + 1, |G|, channels)`, or `(N, T + 1, 1, channels)`.
        predicted: `(N, T, |G|, channels)`, or `(N, T, 1, channels)`.
        path: Where the figure goes; it is returned.
        group: C_n or D_n, or its name.
    """
    if states.shape[2] == 1:
        return draw_objects(states, predicted, path)
    parts = representations.irreducible_parts(group)
    channels = states.shape[-1]
    points = states.reshape(-1, *states.shape[2:])
    clouds = [np.einsum("ig,ngc->cni", basis, points) for _, basis in parts]
    marked = _widest_transition(states, predicted)
    marks = [np.einsum("ig,ngc->cni", basis, marked) for _, basis in parts]
    total = max(points.var(axis=0).sum(), 1e-12)
    least = max(np.ptp(cloud, axis=1).max() for cloud in clouds) / (2 * MAGNIFICATION)

    widths = [0.8 if irrep.dimension == 1 else 1.9 for irrep, _ in parts]
    figure = Figure(figsize=(sum(widths) + 0.4, 1.9 * channels + 0.5), layout="constrained")
    grid = figure.subplots(channels, len(parts), squeeze=False, width_ratios=widths)
    for (channel, part), axes in np.ndenumerate(grid):
        irrep, cloud = parts[part][0], clouds[part][channel]
        draw = _draw_line if irrep.dimension == 1 else _draw_plane
        draw(axes, cloud, marks[part][channel], least)
        share = f"{cloud.var(axis=0).sum() / total:.0%}"
        axes.set_title(share if channel else f"{irrep}\n{share}", fontsize=8)
        axes.set(xticks=[], yticks=[])
    for channel, axes in enumerate(grid[:, 0]):
        axes.set_ylabel(f"channel {channel}", fontsize=8)
    _explain_marks(figure)
    figure.savefig(path)
    return path


def draw_frames_along_traversal(
    states: np.ndarray, predicted: np.ndarray, path: pathlib.Path, names: Sequence[str]
) -> pathlib.Path:
    """Draws how rotations move, as the frames of their three columns; returns the path.

    Arrows are the columns of the first state, seen nearly as by the teapot's camera: x to the
    right, y downwards, z into depth. Dots are where their tips come to be, and lines lead through
    where these are predicted to be.

    Args:
        states: `(n, V, 3, 3)` latent states of the V views along n traversals, or of the V times
            of n episodes.
        predicted: `(n, K, 3, 3)` predictions after 1 to K steps from the first of them.
        path: Where the figure goes.
        names: A title for each of the n, such as `"pitch"`.
    """
    figure = Figure(figsize=(3 * len(states), 3.4), layout="constrained")
    row = figure.subplots(
        1, len(states), squeeze=False, subplot_kw={"projection": "3d", "proj_type": "ortho"}
    )[0]
    for axes, name, true, steps in zip(row, names, states, predicted, strict=True):
        _draw_sphere(axes)
        lines = np.concatenate([true[:1], steps])
        for column, colour in enumerate(FRAME):
            tips, line = (_as_seen(each[:, :, column].T) for each in (true, lines))
            axes.quiver(0, 0, 0, *tips[:, 0], color=colour, arrow_length_ratio=0.1)
            axes.plot(*line, color=colour, linewidth=1)
            axes.scatter(*tips, color=colour, s=14, alpha=0.6, linewidths=0, depthshade=False)
        axes.set_title(name, fontsize=10, y=0.97)
    encoded = Line2D([], [], color="0.4", marker="o", linestyle="", label="encoded")
    _legend(figure, [encoded, Line2D([], [], color="0.4", label="predicted from the first one")])
    figure.savefig(path)
    return path


def _draw_first_episodes(states, predicted, path):
    names = [f"episode {number}" for number in range(len(states[:PATHS]))]
    return draw_frames_along_traversal(states[:PATHS], predicted[:PATHS], path, names)


def _widest_transition(states, predicted):
    """State, next state and predicted next state `(3, ...)` of the first step that moves most."""
    moves = np.square(states[:, 1] - states[:, 0]).reshape(len(states), -1).sum(axis=1)
    episode = moves.argmax()
    return np.stack([states[episode, 0], states[episode, 1], predicted[episode, 0]])


def _on_plane(points, directions):
    """Points `(n, d)` seen along two directions, `(n, 2)`; numbers, d = 1, lie on a line."""
    seen = points @ directions[:2].T
    return np.pad(seen, [(0, 0), (0, 2 - seen.shape[1])])


def _colours(positions):
    """Colours `(..., 3)` of rows and columns `(..., 2)`: red to the right, blue downwards."""
    low, high = (function(positions, (0, 1)) for function in (np.min, np.max))
    row, column = np.moveaxis((positions - low) / np.maximum(high - low, 1e-9), -1, 0)
    return _colour_of(row, column)


def _colour_of(row, column):
    """The colour of a place, whose row and column are from 0 to 1."""
    return np.stack([0.15 + 0.8 * column, 0.6 - 0.4 * np.abs(row - column), 0.15 + 0.8 * row], -1)


def _explain_colours(beside):
    """A small image of all places, in the colours of the dots, to the right of a plot."""
    axes = beside.inset_axes((1.06, 0.7, 0.28, 0.28))
    axes.imshow(_colour_of(*np.mgrid[0:1:16j, 0:1:16j]))
    axes.set(xticks=[], yticks=[])
    axes.set_xlabel("true position", fontsize=6, labelpad=1)


def _draw_plane(axes, cloud, transition, least=0.0, colours=None):
    """A cloud `(N, 2)`, and arrows from the first of three points `(3, 2)` to the two others."""
    size, alpha = (2, 0.2) if colours is None else (4, 0.6)
    axes.scatter(*cloud.T, s=size, alpha=alpha, linewidths=0, c=colours)
    _draw_arrows(axes, transition)
    x, y = _limits(np.concatenate([cloud, transition]), least)
    axes.set(xlim=x, ylim=y, aspect="equal")


def _draw_line(axes, cloud, transition, least):
    """The same of numbers `(N, 1)` and `(3, 1)`, on a vertical line with the arrows beside it."""
    axes.scatter(np.zeros(len(cloud)), cloud, marker="_", s=60, alpha=0.2, linewidths=0.5)
    _draw_arrows(axes, np.insert(transition, 0, 0.5, axis=1))
    (y,) = _limits(np.concatenate([cloud, transition]), least)
    axes.set(xlim=(-0.5, 1), ylim=y)


def _draw_arrows(axes, transition):
    start, *ends = transition
    # The wider one below, so that both are seen where they agree.
    for end, colour, width in zip(ends, (TRUE, PREDICTED), (0.05, 0.02), strict=True):
        axes.quiver(
            *start,
            *(end - start),
            color=colour,
            units="inches",
            width=width,
            headwidth=2.5,
            headlength=3,
            headaxislength=3,
            angles="xy",
            scale_units="xy",
            scale=1,
            zorder=3,
        )


def _limits(points, least):
    """Limits `(d, 2)` around points `(n, d)`, equally far apart and at least twice `least`."""
    low, high = points.min(axis=0), points.max(axis=0)
    reach = 1.1 * max((high - low).max() / 2, least, 1e-6)
    return (low + high)[:, None] / 2 + reach * np.array([-1, 1])


def _explain_marks(figure):
    handles = [
        Line2D([], [], color=colour, linewidth=width, label=label)
        for colour, width, label in (
            (TRUE, 4, "a step, as it was"),
            (PREDICTED, 1.5, "as it was predicted"),
        )
    ]
    _legend(figure, handles)


def _legend(figure, handles):
    figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False, fontsize=8)


def _draw_sphere(axes):
    """The unit sphere, as three circles, and the names of the three axes through it."""
    angle = np.linspace(0, 2 * np.pi, 73)
    circle = np.stack([np.cos(angle), np.sin(angle), 0 * angle])
    for number, name in enumerate("xyz"):
        axes.plot(*np.roll(circle, number, axis=0), color="0.8", linewidth=0.8)
        axes.text(*_as_seen(1.2 * np.eye(3)[number]), name, ha="center", va="center", fontsize=8)
    axes.set(xlim=(-1, 1), ylim=(-1, 1), zlim=(-1, 1))
    axes.set_box_aspect((1, 1, 1), zoom=1.3)
    axes.view_init(elev=20, azim=-70)
    axes.set_axis_off()


def _as_seen(points):
    """From x to the right, y downwards, z into depth, to Matplotlib's right, depth, upwards."""
    x, y, z = points
    return np.stack([x, z, -y])
