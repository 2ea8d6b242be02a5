"""Checksums of episodes: one per block, and one over those and all that describes them.

SHA-256 (FIPS 180-4), which modern processors have instructions for; it also holds against changes
that are made on purpose, as long as the file's last checksum is known from elsewhere.
"""

import hashlib
import json
from collections.abc import Iterable

import h5py
import numpy as np

from sen_tf.datasets.members import Problem, member

CHECKSUM = "checksum"  # attribute of the file
CHECKSUMS = "checksums"  # dataset of each part of it
BLOCK = "block"  # attribute of that: how many episodes a checksum is of
DIGEST_BYTES = hashlib.sha256().digest_size


class BlockChecksums:
    """Checksums of blocks of episodes, which may arrive in portions of another size.

    A checksum is of the bytes of each episode's observations, then actions, episode by episode.

    Args:
        block: episodes in a block; the last one may hold fewer.
    """

    def __init__(self, block: int) -> None:
        self.block = block
        self._digests: list[bytes] = []
        self._hash, self._count = hashlib.sha256(), 0

    def add(self, observations: np.ndarray, actions: np.ndarray) -> None:
        """Takes the next episodes: observations (b, ...) and actions (b, ...)."""
        for frames, moves in zip(observations, actions, strict=True):
            self._hash.update(np.ravel(frames))
            self._hash.update(np.ravel(moves))
            self._count += 1
            if self._count == self.block:
                self._finish()

    def _finish(self):
        self._digests.append(self._hash.digest())
        self._hash, self._count = hashlib.sha256(), 0

    def values(self) -> np.ndarray:
        """The checksums of all episodes so far, (blocks, 32) uint8."""
        if self._count:
            self._finish()
        return np.frombuffer(b"".join(self._digests), np.uint8).reshape(-1, DIGEST_BYTES)


def attributes(holder: h5py.Group) -> dict:
    """The attributes of a file or a group as plain values of Python."""
    return {name: _plain(value) for name, value in holder.attrs.items()}


def _plain(value):
    value = value.tolist() if isinstance(value, np.ndarray | np.generic) else value
    return value.decode() if isinstance(value, bytes) else value


def seal(file: h5py.File, parts: Iterable[h5py.Group]) -> str:
    """The checksum of a file's attributes, of the layout of its parts, and of their checksums.

    Args:
        file: the HDF5 file; its attribute `checksum` is left out.
        parts: its groups that hold `observations`, `actions` and `checksums`.
    """
    about = attributes(file)
    about.pop(CHECKSUM, None)
    digest = hashlib.sha256(_encoded(about))
    for part in parts:
        datasets = [part[name] for name in ("observations", "actions", CHECKSUMS)]
        layout = [[dataset.shape, dataset.dtype.str] for dataset in datasets]
        block = attributes(datasets[-1])
        # Those of the file itself are in already.
        element = attributes(part) if part.name != "/" else {}
        digest.update(_encoded([part.name, element, layout, block]))
        digest.update(np.ravel(datasets[-1][:]))
    return digest.hexdigest()


def _encoded(value):
    return json.dumps(value, sort_keys=True).encode()


def checksums(part: h5py.Group, episodes: int) -> tuple[int, np.ndarray]:
    """Reads (episodes in a block, checksums) of a part of a file.

    Raises:
        Problem: there are none, or not as many as blocks.
    """
    stored = member(part, CHECKSUMS)
    if stored is None:
        raise Problem(f"{part.name} lacks {CHECKSUMS}")
    block = attributes(stored).get(BLOCK)
    if not (isinstance(block, int) and block > 0):
        raise Problem(f"the attribute {BLOCK} of {stored.name} is {block}, expected 1 or more")
    expected = (-(-episodes // block), DIGEST_BYTES)
    if stored.shape != expected or stored.dtype != np.uint8:
        raise Problem(
            f"{stored.name} is {stored.dtype} of shape {stored.shape}, expected uint8 {expected}"
        )
    return block, stored[:]
