"""The actions of groups on the inputs and outputs of tests/conformance_table.py."""

import itertools

import numpy as np

from sen_tf import groups
from sen_tf.groups import actions, circle, irreps, representations, rotations


def on_pixels(x, group, g):
    return actions.rotate_grid(x, group, g, axes=(1, 2))


def on_part_of(whole):
    """The action of the elements of a group that map pixels to pixels on its functions on pixels.

    They are a C_n or D_n themselves, in the same order.
    """

    def act(x, group, g):
        return actions.act_on_regular_image(x, whole, actions.grid_elements(whole)[g])

    return act


def unmoved(x, group, g):
    return x


def on_voxels(x, group, g):
    return actions.rotate_voxels(x, group, g, axes=(1, 2, 3))


def on_parts(representation):
    """The action on functions on voxels and on parts, before the channels."""

    def act(x, group, g):
        matrix = representations.get(representation, group).matrices[g]
        return np.einsum("ij,...jc->...ic", matrix, on_voxels(x, group, g))

    return act


def on_parts_alone(representation):
    """The action on functions on parts, before the channels."""

    def act(x, group, g):
        return representations.get(representation, group).matrices[g] @ x

    return act


def on_vectors(representation):
    """The action of a representation on the last axis."""

    def act(x, group, g):
        return x @ representations.get(representation, group).matrices[g].T

    return act


def on_objects(x, group, g):
    """`x` with its objects, on axis 1, permuted by an element of S3."""
    return x[:, np.argsort(PERMUTATIONS[g])]


def on_action_numbers(x, group, g):
    """Actions 4 * object + move with the move turned: up, right, down, left."""
    return x // 4 * 4 + (x - g) % 4


PERMUTATIONS = np.array(list(itertools.permutations(range(3))))
_INDEX = {tuple(permutation): index for index, permutation in enumerate(PERMUTATIONS)}
S3 = groups.FiniteGroup("S3", [[_INDEX[tuple(p[q])] for q in PERMUTATIONS] for p in PERMUTATIONS])


def cube_symmetries(mirrors):
    """The 24 rotations of a tilted cube, or with its mirrors 48 symmetries, and their matrices.

    The identity is the first.
    """
    signed = [
        np.diag(signs) @ np.eye(3)[list(permutation)]
        for permutation in itertools.permutations(range(3))
        for signs in itertools.product((1, -1), repeat=3)
    ]
    upright = np.stack([m for m in signed if mirrors or np.linalg.det(m) > 0])
    products = np.einsum("gij,hjk->ghik", upright, upright)
    table = (products[:, :, None] == upright).all((-2, -1)).argmax(-1)
    tilt = rotations.haar(np.random.default_rng(0), 1)[0]
    return groups.FiniteGroup(
        "cube and mirrors" if mirrors else "cube", table
    ), tilt @ upright @ tilt.T


CUBE, CUBE_ROTATIONS = cube_symmetries(mirrors=False)
MIRRORED_CUBE, CUBE_SYMMETRIES = cube_symmetries(mirrors=True)


def on_irreps(x, group, g):
    """The action of a rotation on the axis of irreducible representations."""
    degree = int(x.shape[-2] ** 0.5) - 1
    return irreps.representation(degree, CUBE_ROTATIONS[g]) @ x


def on_parities(x, group, g):
    """The action of rotations and reflections on even parts and odd ones."""
    degree = int((x.shape[-2] // 2) ** 0.5) - 1
    return irreps.parity_representation(degree, CUBE_SYMMETRIES[g]) @ x


def on_mirrored_positions(x, group, g):
    return x @ CUBE_SYMMETRIES[g].T


def on_irreps_of_voxels(x, group, g):
    """The action of an upright cube's rotation on voxels and on irreducible representations."""
    degree = int(x.shape[-2] ** 0.5) - 1
    matrix = irreps.representation(degree, actions.vector_matrix(group, g))
    return matrix @ on_voxels(x, group, g)


def on_parities_of_voxels(x, group, g):
    """The action of an upright cube's symmetry on voxels and on even parts and odd ones."""
    degree = int((x.shape[-2] // 2) ** 0.5) - 1
    matrix = irreps.parity_representation(degree, actions.vector_matrix(group, g))
    return matrix @ on_voxels(x, group, g)


def on_circle(name, pixels=True):
    """The action of C_n or D_n in SO2 or O2 on features of all frequencies, and on their pixels."""

    def act(x, group, g):
        whole, (_, n) = circle.get(name), groups.finite.family(group)
        turns, mirrored = groups.finite.normal_form(group, g)
        matrix = whole.matrix(whole.highest(x.shape[-2]), 2 * np.pi * turns / n, bool(mirrored))
        return matrix @ (actions.rotate_grid(x, group, g, axes=(1, 2)) if pixels else x)

    return act


def on_positions(x, group, g):
    return x @ CUBE_ROTATIONS[g].T


def on_matrices(x, group, g):
    """The rotation times matrices, column by column."""
    return CUBE_ROTATIONS[g] @ x


def on_cartesian(rank, matrices=CUBE_ROTATIONS):
    """The action of one of these matrices on scalars, vectors or matrices, before the channels."""

    def act(x, group, g):
        subscripts = ("...c->...c", "ai,...ic->...ac", "ai,bj,...ijc->...abc")[rank]
        return np.einsum(subscripts, *[matrices[g]] * rank, x)

    return act
