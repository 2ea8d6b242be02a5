import numpy as np
import pytest

from sen_tf.envs import teapot_mesh

QUARTER_TURN = np.array([(0, -1, 0), (1, 0, 0), (0, 0, 1)])
MIRROR = np.diag([1, -1, 1])
PARTS = {  # patches of the file, in its order
    "rim": slice(0, 4),
    "body": slice(4, 12),
    "handle": slice(12, 16),
    "spout": slice(16, 20),
    "lid": slice(20, 28),
    "bottom": slice(28, 32),
}


@pytest.fixture(scope="module")
def patches():
    return teapot_mesh.read_patches()


@pytest.fixture(scope="module", params=[1, 6])
def mesh(request):
    return teapot_mesh.teapot_mesh(request.param)


def points(patches):
    return {tuple(point) for point in np.round(patches.reshape(-1, 3), 6).tolist()}


def faces(mesh):
    """Cross products (T, 3) of the sides of triangles: outwards, twice the area long."""
    a, b, c = np.moveaxis(mesh.vertices[mesh.triangles], 1, 0)
    return np.cross(b - a, c - a)


def test_numbers_are_those_of_the_published_teapot(patches):
    lines = [line.split() for line in teapot_mesh.DATA.read_text().splitlines()]
    indices = np.array([line for line in lines if len(line) == 16 and line[0] != "#"], int)
    assert len(indices) == len(patches) == 32
    assert len([line for line in lines if len(line) == 3]) == 306
    assert set(range(1, 307)) - set(indices.ravel().tolist()) == {205, 206, 216, 223}
    assert len(points(patches)) == 290  # some points are there twice
    np.testing.assert_array_equal(patches.min(axis=(0, 1, 2)), [-3, -2, 0])
    np.testing.assert_array_equal(patches.max(axis=(0, 1, 2)), [3.525, 2, 3.15])
    np.testing.assert_array_equal(patches[PARTS["spout"]].max(axis=(0, 1, 2))[0], 3.525)
    np.testing.assert_array_equal(patches[PARTS["handle"]].min(axis=(0, 1, 2))[0], -3)


@pytest.mark.parametrize("part", PARTS)
def test_parts_have_their_symmetries(patches, part):
    part_points = patches[PARTS[part]]
    assert points(part_points @ MIRROR.T) == points(part_points)
    round_about = points(part_points @ QUARTER_TURN.T) == points(part_points)
    assert round_about == (part not in ("handle", "spout"))


def test_patches_meet(patches):
    """Every side of a patch belongs to two, but the open ends: two of handle, spout, lid, rim."""
    sides = [patches[:, 0], patches[:, -1], patches[:, :, 0], patches[:, :, -1]]
    curves = np.round(np.concatenate(sides), 6).tolist()
    keys = [min(tuple(map(tuple, curve)), tuple(map(tuple, curve[::-1]))) for curve in curves]
    lines = [key for key in keys if len(set(key)) > 1]  # not the poles of lid and bottom
    alone = [key for key in lines if lines.count(key) == 1]
    assert max(map(lines.count, lines)) == 2
    heights = sorted({point[2] for key in alone for point in key})
    assert len(alone) == 16
    assert heights[0] == 0.6 and heights[-1] == 2.4


def test_mesh_is_upright_and_fills_the_unit_ball(mesh):
    lengths = np.linalg.norm(mesh.vertices, axis=1)
    assert lengths.max() == pytest.approx(1, abs=1e-12)
    low, high = mesh.vertices.min(axis=0), mesh.vertices.max(axis=0)
    np.testing.assert_allclose(low, -high, atol=1e-12)
    # The lid's knob is highest, y pointing downwards, and the spout reaches farthest right.
    top, right = mesh.vertices[mesh.vertices[:, 1].argmin()], mesh.vertices[lengths.argmax()]
    assert abs(top[2]) < 1e-9 and -0.1 < top[0] < 0
    assert right[0] > 0.9 and right[1] < -0.2


def test_normals_point_outwards(mesh):
    np.testing.assert_allclose(np.linalg.norm(mesh.normals, axis=1), 1, atol=1e-12)
    assert (np.linalg.norm(faces(mesh), axis=1) > 0).all()
    corner = mesh.vertices[mesh.triangles[:, 0]]
    volume = np.einsum("ti,ti->", corner, faces(mesh)) / 6
    assert volume > 0.3


def test_normals_are_those_of_the_surface():
    mesh = teapot_mesh.teapot_mesh(24)
    flat = faces(mesh) / np.linalg.norm(faces(mesh), axis=1, keepdims=True)
    cosines = np.einsum("tci,ti->tc", mesh.normals[mesh.triangles], flat)
    assert np.quantile(cosines, 0.01) > 0.97 and cosines.min() > 0
    assert (mesh.normals[:, 1] > 1 - 1e-3).any() and (mesh.normals[:, 1] < -1 + 1e-3).any()


def test_the_body_is_nearly_a_surface_of_revolution():
    """Its control points approximate circles: the radius at one height varies by 0.4 %."""
    sides = np.linspace(0, 1, 33)
    ring = teapot_mesh._surface(teapot_mesh.read_patches()[4:8], sides, 0, 0)[:, -1, :, :2]
    radii = np.linalg.norm(ring, axis=-1)
    assert radii.max() / radii.min() < 1.005
