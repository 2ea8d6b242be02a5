import matplotlib
import numpy as np
import platformdirs
import pytest

from sen_tf.envs import cube_patches, rendering


@pytest.fixture(scope="module")
def table():
    return cube_patches.make_cubes_table()


@pytest.fixture
def cache(tmp_path, monkeypatch, table):
    """An empty cache directory and the count of tables made."""
    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda name: str(tmp_path / name))
    made = []
    monkeypatch.setattr(cube_patches, "make_cubes_table", lambda: made.append(1) or table)
    cube_patches.cubes_table.cache_clear()
    yield made
    cube_patches.cubes_table.cache_clear()


def fetch():
    cube_patches.cubes_table.cache_clear()
    return cube_patches.cubes_table()


def assert_equal(table, other):
    for plane, its in zip(table, other, strict=True):
        np.testing.assert_array_equal(plane, its)


def test_table_covers_every_pattern(table):
    hiding = (table.covers > 0).sum(axis=1)
    assert hiding.max() == 6
    assert (1 << hiding).sum() == 765
    assert not np.diag(table.covers).any()
    patches = cube_patches.coloured_patches(table, rendering.CUBE_COLOURS)
    assert len(patches) == 5 * 765


def test_table_is_cached_and_read_again(cache, table):
    assert_equal(fetch(), table)
    assert_equal(fetch(), table)
    assert len(cache) == 1
    path = cube_patches.cubes_table_path()
    assert matplotlib.__version__ in path.name
    assert [path] == list(path.parent.iterdir())  # no temporary file is left


def damage_cut(content):
    return content[: len(content) // 2]


def damage_flip(content):
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@pytest.mark.parametrize("damage", [damage_cut, damage_flip, lambda content: b"", lambda _: b"PK"])
def test_damaged_cache_is_made_again(cache, table, damage):
    fetch()
    path = cube_patches.cubes_table_path()
    path.write_bytes(damage(path.read_bytes()))
    assert_equal(fetch(), table)
    assert_equal(fetch(), table)
    assert len(cache) == 2


@pytest.mark.parametrize(
    "change",
    [
        lambda planes: planes.pop("dark"),
        lambda planes: planes.update(dark=planes["dark"][:-1]),
        lambda planes: planes.update(floor=planes["floor"].astype(np.float32)),
    ],
)
def test_foreign_cache_is_made_again(cache, table, change):
    fetch()
    planes = table._asdict()
    change(planes)
    np.savez(cube_patches.cubes_table_path(), **planes)
    assert_equal(fetch(), table)
    assert len(cache) == 2


def test_unwritable_cache_directory_is_fine(cache, table, tmp_path):
    (tmp_path / "sen_tf").write_text("a file where the directory should be")
    assert_equal(fetch(), table)
    assert_equal(cube_patches.cubes_table(), table)
    assert len(cache) == 1


def test_the_users_style_is_left_out_and_left_alone(table):
    with matplotlib.rc_context({"patch.linewidth": 7.0, "axes3d.automargin": True}):
        assert_equal(cube_patches.make_cubes_table(), table)
        assert matplotlib.rcParams["patch.linewidth"] == 7.0
