"""Files of any make: whatever lies under the names of a format, it is read or named in an error."""

import contextlib

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sen_tf.datasets import DatasetError, read_episodes, verify_episodes

TYPES = ("u1", "i8", "u8", "f2", "f4", "f8", "c8", "S3", "?")
FITS = {
    "obs": np.zeros((2, 3, 1, 4, 4), np.float32),
    "next_obs": np.zeros((2, 3, 1, 4, 4), np.float32),
    "action": np.zeros((2, 3)),
    "observations": np.zeros((2, 4, 4, 4, 1), np.uint8),
    "actions": np.zeros((2, 3), np.int64),
}


@st.composite
def members(draw, fits):
    """What lies under a name: what should, an array of any type and shape, or something else."""
    kind = draw(st.sampled_from(["fits", "fits", "array", "group", "empty", "text", "nothing"]))
    shape = tuple(draw(st.lists(st.integers(0, 3), max_size=5)))
    others = {
        "fits": fits,
        "array": np.zeros(shape, draw(st.sampled_from(TYPES))),
        "empty": h5py.Empty("f4"),
        "text": "text",
    }
    return others.get(kind, kind)


def put(group, name, value):
    if isinstance(value, str) and value == "group":
        group.create_group(name)
    elif not (isinstance(value, str) and value == "nothing"):
        group[name] = value


FORMATS = {
    "published": ("obs", "action", "next_obs"),
    "c_swm": ("0/obs", "0/action", "0/next_obs", "1/obs", "1/action", "1/next_obs"),
    "own": ("observations", "actions", "twins/1/observations", "twins/1/actions"),
}
OWN_ATTRIBUTES = {"format": "sen_tf", "format_version": 1, "env": "cubes", "settings": "{}"}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("foreign") / "any.h5"


@given(
    format_=st.sampled_from(sorted(FORMATS)),
    data=st.data(),
    attribute=st.sampled_from(sorted(OWN_ATTRIBUTES)),
    instead=st.none() | st.integers() | st.text() | st.floats() | st.binary(min_size=1),
)
def test_any_file_is_read_or_named(path, format_, data, attribute, instead):
    with h5py.File(path, "w") as file:
        for name in FORMATS[format_]:
            *folder, last = name.split("/")
            fits = FITS[last][0] if format_ == "c_swm" else FITS[last]
            group = file.require_group("/".join(folder)) if folder else file
            put(group, last, data.draw(members(fits), name))
        if format_ == "own":
            file.attrs.update(OWN_ATTRIBUTES)
            with contextlib.suppress(TypeError, ValueError):  # HDF5 does not hold every text
                file.attrs[attribute] = OWN_ATTRIBUTES[attribute] if instead is None else instead
    try:
        read = read_episodes(path)
        verify_episodes(path)
    except DatasetError as error:
        assert str(path) in str(error)
    else:
        assert read.observations.dtype == np.uint8 and len(read) == len(read.observations) > 0
        assert np.isfinite(read.actions).all()


@given(st.binary(max_size=200), st.sampled_from([b"", b"\x89HDF\r\n\x1a\n"]))
def test_files_that_are_no_hdf5(path, content, signature):
    path.write_bytes(signature + content)
    with pytest.raises(DatasetError, match="cannot be read as a whole"):
        read_episodes(path)


@pytest.mark.parametrize("layout", ["published", "cswm"])
def test_channels_are_told_from_rows_wherever_they_stand(tmp_path, layout):
    frames = np.random.default_rng(0).integers(0, 256, (1, 5, 8, 9, 3), np.uint8)
    found = []
    for name, images in {"last": frames, "first": np.moveaxis(frames, -1, 2)}.items():
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            parts = {
                "obs": images[:, :-1],
                "action": np.zeros((1, 4), int),
                "next_obs": images[:, 1:],
            }
            group = file if layout == "published" else file.create_group("0")
            for key, value in parts.items():
                group[key] = value if layout == "published" else value[0]
        found.append(read_episodes(tmp_path / f"{name}.h5").observations)
    for observations in found:
        np.testing.assert_array_equal(observations, frames)
