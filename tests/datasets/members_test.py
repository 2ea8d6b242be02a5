"""Files from elsewhere: nothing outside of them is read, nothing larger than the memory."""

import pathlib

import h5py
import numpy as np
import pytest

from sen_tf.datasets import DatasetError, members, read_episodes


@pytest.fixture
def path(tmp_path):
    """A file in the published format, and beside it one with a secret."""
    with h5py.File(tmp_path / "elsewhere.h5", "w") as file:
        file["obs"] = np.ones((2, 3, 1, 4, 4), np.float32)
    (tmp_path / "raw").write_bytes(bytes(4 * 2 * 3 * 16))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["obs"] = np.zeros((2, 3, 1, 4, 4), np.float32)
        file["next_obs"] = file["obs"][:]
        file["action"] = np.zeros((2, 3))
    assert len(read_episodes(tmp_path / "a.h5")) == 2
    return tmp_path / "a.h5"


def spoil(path, change):
    with h5py.File(path, "a") as file:
        del file["obs"]
        change(file)


def expect(path, message):
    with pytest.raises(DatasetError, match=message) as caught:
        read_episodes(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("link", [h5py.ExternalLink("elsewhere.h5", "obs"), h5py.SoftLink("/x")])
def test_links_are_not_followed(path, link):
    spoil(path, lambda file: file.__setitem__("obs", link))
    expect(path, f"/obs is a link .{type(link).__name__}., which is not followed")


def test_a_group_in_another_file(path):
    """C-SWM's format has a group an episode."""
    with h5py.File(path, "w") as file:
        file["0"] = h5py.ExternalLink("elsewhere.h5", "/")
    expect(path, "/0 is a link")


def test_a_pattern_of_links_as_our_own_format(tmp_path, path):
    with h5py.File(path, "a") as file:
        file["observations"] = h5py.SoftLink("/obs")
        file.attrs.update({"format": "sen_tf", "format_version": 1, "env": "x", "settings": "{}"})
    expect(path, "/observations is a link")


def test_bytes_of_another_file(path):
    def change(file):
        external = [(str(path.with_name("raw")), 0, h5py.h5f.UNLIMITED)]
        file.create_dataset("obs", (2, 3, 1, 4, 4), np.float32, external=external)

    spoil(path, change)
    expect(path, "/obs lies in other files")


def test_views_of_another_file(path):
    layout = h5py.VirtualLayout((2, 3, 1, 4, 4), np.float32)
    layout[:] = h5py.VirtualSource(path.with_name("elsewhere.h5"), "obs", layout.shape)
    spoil(path, lambda file: file.create_virtual_dataset("obs", layout))
    expect(path, "/obs lies in other files")


@pytest.mark.parametrize("kind", [h5py.ref_dtype, h5py.regionref_dtype])
def test_references(path, kind):
    spoil(path, lambda file: file.create_dataset("obs", (2, 3, 1, 4, 4), kind))
    expect(path, "/obs holds references")


@pytest.mark.parametrize("kind", [h5py.string_dtype(), h5py.vlen_dtype(np.uint8), "S3", "c16"])
def test_what_is_no_number(path, kind):
    spoil(path, lambda file: file.create_dataset("obs", (2, 3, 1, 4, 4), kind))
    expect(path, "/obs is .* expected images")


def test_filters_that_are_plugins(path):
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_chunk((2, 3, 1, 4, 4))
    properties.set_filter(32004, h5py.h5z.FLAG_OPTIONAL)
    space = h5py.h5s.create_simple((2, 3, 1, 4, 4))

    def change(file):
        h5py.h5d.create(file.id, b"obs", h5py.h5t.NATIVE_FLOAT, space, properties)

    spoil(path, change)
    expect(path, "/obs needs the HDF5 filter 32004")


@pytest.mark.parametrize("filter_", ["gzip", "lzf"])
def test_filters_that_come_with_h5py(path, filter_):
    values = np.zeros((2, 3, 1, 4, 4), np.float32)
    spoil(path, lambda file: file.create_dataset("obs", data=values, compression=filter_))
    assert len(read_episodes(path)) == 2


@pytest.mark.parametrize(
    "shape, chunks, message",
    [
        ((10**9, 3, 1, 64, 64), (1, 1, 1, 64, 64), "what was asked for is of .* GiB"),
        ((2, 10**9, 1, 64, 64), (1, 1, 1, 64, 64), "an episode of /obs is of .* GiB"),
        ((1024, 1024, 1, 32, 32), (1024, 1024, 1, 31, 32), "a chunk of /obs is of 3.* GiB"),
    ],
)
def test_sizes_that_no_memory_holds(path, monkeypatch, shape, chunks, message):
    """Such a file is small, as nothing has been written to it."""
    monkeypatch.setattr(members, "available_memory", lambda: 2**31)

    def change(file):
        del file["next_obs"], file["action"]
        for name in ("obs", "next_obs"):
            file.create_dataset(name, shape, np.float32, chunks=chunks)
        file.create_dataset("action", shape[:2], np.int64, chunks=(1, 1))

    spoil(path, change)
    assert path.stat().st_size < 10**5
    expect(path, message)


def test_actions_that_no_memory_holds(path, monkeypatch):
    monkeypatch.setattr(members, "available_memory", lambda: 2**31)
    with h5py.File(path, "a") as file:
        del file["action"]
        file.create_dataset("action", (2, 3, 10**12), np.int64, chunks=(1, 1, 1))
    expect(path, "what was asked for is of .* GiB, and 2.0 GiB of memory are free")


def test_available_memory():
    total = 1024 * int(pathlib.Path("/proc/meminfo").read_text().split()[1])
    assert 2**20 < members.available_memory() <= total


@pytest.mark.parametrize(
    "membership, folder, limit, usage, cached",
    [
        (
            "4:memory:/outer/inner",
            "memory/outer",
            "memory.limit_in_bytes",
            "memory.usage_in_bytes",
            "total_inactive_file",
        ),
        ("0::/outer/inner", "outer", "memory.max", "memory.current", "inactive_file"),
        ("0::/of/the/host", "", "memory.max", "memory.current", "inactive_file"),
    ],
)
def test_control_groups_leave_less(tmp_path, monkeypatch, membership, folder, limit, usage, cached):
    """The limit may be that of a group around this one, or of a container that is all we see."""
    monkeypatch.setattr(members, "CONTROL_GROUPS", tmp_path)
    monkeypatch.setattr(members, "MEMBERSHIP", tmp_path / "membership")
    (tmp_path / "membership").write_text(f"9:cpu:/else\n{membership}\n")
    inner = tmp_path / folder / "inner"
    inner.mkdir(parents=True)
    for group, most in ((inner, "max"), (tmp_path / folder, 3000)):
        (group / limit).write_text(f"{most}\n")
        (group / usage).write_text("2500\n")
        (group / "memory.stat").write_text(f"active_file 7\n{cached} 200\n")
    assert members.available_memory() == 700
    (tmp_path / folder / usage).write_text("4000\n")
    assert members.available_memory() == 0
    (tmp_path / folder / limit).write_text("max\n")
    assert members.available_memory() > 2**20
