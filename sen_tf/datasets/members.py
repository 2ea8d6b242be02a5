"""The members of an HDF5 file that may be opened: groups and datasets that lie in it, plainly.

A file from elsewhere can name other files to be read in its stead, a filter that HDF5 would look
for among the libraries of the machine, or a size that no memory holds. None of it is followed.
"""

import math
import os

import h5py

# Those of HDF5 itself: deflate, shuffle, Fletcher32, szip, N-bit, scale-offset; and h5py's LZF.
FILTERS = {1, 2, 3, 4, 5, 6, 32000}
SMALL = 2**26  # bytes for which it is not worth asking how much memory is free


class DatasetError(ValueError):
    """A file of episodes is missing, broken or not the one asked for; says how to make it."""


class Problem(Exception):
    """A fault of the inside of a file."""


def member(group, name):
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


def check_memory(size, what):
    """Raises a `Problem` if `what`, of `size` bytes, is larger than the memory that is free."""
    if size <= SMALL:
        return
    available = available_memory()
    if size > available:
        raise Problem(
            f"{what} is of {size / 2**30:,.1f} GiB, and {available / 2**30:.1f} GiB of memory are "
            "free"
        )


def available_memory():
    """Bytes of memory that can be had without swapping; where that is unknown, all there is."""
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            sizes = dict(line.split(":") for line in lines)
        return 1024 * int(sizes["MemAvailable"].split()[0])
    except (OSError, KeyError):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
