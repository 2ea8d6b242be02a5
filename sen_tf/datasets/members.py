"""The members of an HDF5 file that may be opened: groups and datasets that lie in it, plainly.

A file from elsewhere can name other files to be read in its stead, a filter that HDF5 would look
for among the libraries of the machine, or a size that no memory holds. None of it is followed.
"""

import math
import os
import pathlib

import h5py

# Those of HDF5 itself: deflate, shuffle, Fletcher32, szip, N-bit, scale-offset; and h5py's LZF.
FILTERS = {1, 2, 3, 4, 5, 6, 32000}
SMALL = 2**26  # bytes for which it is not worth asking how much memory is free
MEMBERSHIP = pathlib.Path("/proc/self/cgroup")
CONTROL_GROUPS = pathlib.Path("/sys/fs/cgroup")


class DatasetError(ValueError):
    """A file of episodes is missing, broken or not the one asked for; says how to make it."""


class Problem(Exception):
    """A fault of the inside of a file."""


def member(group: h5py.Group, name: str) -> h5py.Group | h5py.Dataset | None:
    """The group or dataset `name` of a group of an HDF5 file; None if there is none.

    Raises:
        Problem: it is a link, not an object of this group; or a dataset that is stored in other
            files, is a view of others, holds references, needs a filter that does not come with
            h5py, or has chunks larger than the memory.
    """
    link = group.get(name, getlink=True)
    if link is None:
        return None
    where = f"{group.name.rstrip('/')}/{name}"
    if not isinstance(link, h5py.HardLink):
        raise Problem(f"{where} is a link ({type(link).__name__}), which is not followed")
    found = group[name]
    if isinstance(found, h5py.Dataset):
        _check_storage(found, where)
    return found


def _check_storage(dataset, where):
    properties = dataset.id.get_create_plist()
    filters = {properties.get_filter(number)[0] for number in range(properties.get_nfilters())}
    if dataset.is_virtual or dataset.external:
        raise Problem(f"{where} lies in other files, which are not read")
    if h5py.check_ref_dtype(dataset.dtype):
        raise Problem(f"{where} holds references to objects, which are not followed")
    if filters - FILTERS:
        came = ", ".join(map(str, sorted(filters - FILTERS)))
        raise Problem(f"{where} needs the HDF5 filter {came}, expected gzip or another of h5py's")
    check_memory(math.prod(dataset.chunks or ()) * dataset.dtype.itemsize, f"a chunk of {where}")


def check_memory(size: int, what: str) -> None:
    """Raises a `Problem` if `what`, of `size` bytes, is larger than the memory that is free."""
    if size <= SMALL:
        return
    available = available_memory()
    if size > available:
        raise Problem(
            f"{what} is of {size / 2**30:,.1f} GiB, and {available / 2**30:.1f} GiB of memory are "
            "free"
        )


def available_memory() -> int:
    """Bytes of memory that can be had without swapping; where that is unknown, all there is.

    It is what the machine has, or what a control group of this process leaves, such as that of a
    container.
    """
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            sizes = dict(line.split(":") for line in lines)
        free = 1024 * int(sizes["MemAvailable"].split()[0])
    except (OSError, KeyError):
        free = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min([free, *_left_by_control_groups()])


def _left_by_control_groups():
    """Bytes that each control group with a limit leaves, of version 1 or 2, parents included."""
    try:
        lines = MEMBERSHIP.read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "memory":
            root = CONTROL_GROUPS / "memory"
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        elif controllers == "":
            root, names = CONTROL_GROUPS, ("memory.max", "memory.current", "inactive_file")
        else:
            continue
        # In a container the path may be that of the host, and the root be the container's own.
        group = root / path.strip("/")
        for folder in (group, *group.parents):
            if folder.is_relative_to(root):
                yield from _left_by(folder, *names)


def _left_by(folder, limit, usage, reclaimable):
    """Bytes that one control group leaves; nothing where it has no limit."""
    try:
        most = int((folder / limit).read_text(encoding="ascii"))
        used = int((folder / usage).read_text(encoding="ascii"))
        lines = (folder / "memory.stat").read_text(encoding="ascii").splitlines()
        cached = int(dict(line.split() for line in lines)[reclaimable])
    except (OSError, KeyError, ValueError):  # there is none, or it is "max"
        return
    yield max(0, most - used + cached)
