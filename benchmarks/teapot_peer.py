"""A teapot drawn in plain Python, a triangle and a pixel at a time: the peer of our renderer."""

import itertools

import numpy as np

from sen_tf.envs import teapot_rendering
from sen_tf.envs.teapot_mesh import teapot_mesh

MESH = teapot_mesh(teapot_rendering.SEGMENTS)


def draw_slowly(state):
    """The image (64, 64) of a state, a triangle and a pixel at a time."""
    levels, depths = np.zeros((64, 64)), np.full((64, 64), np.inf)
    vertices, normals = MESH.vertices @ state.T, MESH.normals @ state.T
    depth = 20 + vertices[:, 2]
    places = 31.5 * np.sqrt(20**2 - 1) * vertices[:, :2] / depth[:, None] + 31.5
    light = normals @ np.array([1, -1, -1]) / np.sqrt(3)
    for corners in MESH.triangles:
        a, b, c = places[corners]
        sides = np.stack([b - a, c - a], axis=1)
        twice_area = np.linalg.det(sides)
        if twice_area == 0:
            continue
        outside = twice_area < 0  # as y points downwards
        level = 70 + 130 * np.maximum(light[corners] if outside else -light[corners], 0)
        low = np.ceil(places[corners].min(axis=0)).astype(int)
        high = np.floor(places[corners].max(axis=0)).astype(int)
        inverse = np.linalg.inv(sides)
        for column, row in itertools.product(*map(range, low, high + 1)):
            v, w = inverse @ ((column, row) - a)
            weights = np.array([1 - v - w, v, w])
            if weights.min() < 0:
                continue
            here = 1 / (weights @ (1 / depth[corners]))
            if here < depths[row, column]:
                depths[row, column], levels[row, column] = here, weights @ level
    return np.floor(levels + 0.5).astype(np.uint8)
