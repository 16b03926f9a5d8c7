"""Pictures that were decoded before and found whole, known again by their files and by their content."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import PIL

from qvl.runtime import images, jpeg
from qvl.runtime.files import sha256_of
from qvl.runtime.images import check_image
from qvl.runtime.kept import one_at_a_time, read_kept, write_kept

__all__ = ["Whole", "WholePictures"]

_ENTRY: Final = np.dtype([("high", "<u8"), ("low", "<u8"), ("width", "<u4"), ("height", "<u4"), ("used", "<u4")])
_MOST: Final = 4_000_000
"""Entries that are kept, 112 MB; a picture has two. Those that were not used for the longest time go first."""

_SETTLED_S: Final = 3.0
"""Files that changed later than so many seconds ago are not remembered: times of some disks are coarse to 2 s."""

_KEEP_EVERY: Final = 40_000
"""Entries after which they are written down."""

Entries = npt.NDArray[np.void]


class Whole(NamedTuple):
    """A picture that was found whole.

    Attributes:
        key: 16 bytes: what its file was like, or what it holds.
        size: (width, height) in pixels, upright.
    """

    key: bytes
    size: tuple[int, int]


class WholePictures:
    """Spares a run to decode pictures that an earlier run has decoded.

    A file is taken for the one of before when path, size, time of change of its content (mtime), time of change of
    its entry (ctime) and inode are the same. Unlike mtime, ctime cannot be set: content that is replaced by as many
    bytes with its old mtime put back (`cp -p`, `rsync -t`) is seen. Reading everything for its digest instead would
    take most of the time on a network disk: 60 GB for 100,000 pictures. A file that is not known by these is read and
    known by its SHA-256, so pictures that were moved, copied or touched are not decoded again either.

    What this cannot see is a change inside one tick of the disk's clock after the picture was read; such files are too
    young to be remembered. Only whole pictures are: a fault may be one of the disk, and is looked at anew in each run.
    """

    def __init__(self, folder: Path, *, settled_s: float = _SETTLED_S) -> None:
        """Read what is known.

        Args:
            folder: Where it is kept.
            settled_s: Least age in seconds of a file that is remembered.
        """
        self._path = folder / "whole_pictures"
        self._settled_s = settled_s
        self._seen: list[Whole] = []
        self._set(self._read())

    def check(self, path: str) -> tuple[int, int]:
        """Return (width, height) of a picture; it is decoded unless it is known, and then known to this process.

        Args:
            path: The picture.

        Raises:
            RecordError: As `check_image`.
        """
        try:
            before = os.stat(path)
            by_file = _key(b"file", os.path.abspath(path), _state(before))
            if (size := self._size(by_file)) is not None:
                self._seen.append(Whole(by_file, size))
                return size
            by_content = _key(b"content", sha256_of(Path(path)))
        except OSError:  # the one that opens pictures says what is wrong
            return check_image(path)
        size = self._size(by_content) or check_image(path)
        if _state(os.stat(path)) == _state(before) and time.time() - before.st_ctime >= self._settled_s:
            self._seen += [Whole(by_file, size), Whole(by_content, size)]
        return size

    def taken(self) -> list[Whole]:
        """Return what was seen since this was last asked, for `remember` in the process that started this one."""
        seen, self._seen = self._seen, []
        return seen

    def remember(self, seen: Iterable[Whole]) -> None:
        """Take down what a process has seen; many are written down at once, for a kill that may come."""
        self._seen += seen
        if len(self._seen) > _KEEP_EVERY:
            self.keep()

    def keep(self) -> None:
        """Write down what was seen, beside what other runs have written down in the meantime."""
        added = _entries(self.taken(), used=int(time.time()))
        if np.isin(added["high"], self._keys).all():
            return
        with one_at_a_time(self._path, doing="writing down which pictures are whole"):
            both = np.concatenate([added, self._read()])  # of two with one key the first is the younger
            _, firsts = np.unique(both["high"], return_index=True)
            merged = both[firsts]
            if len(merged) > _MOST:
                merged = merged[np.sort(np.argsort(merged["used"], kind="stable")[-_MOST:])]
            write_kept(self._path, merged.tobytes())
        self._set(merged)

    def _set(self, known: Entries) -> None:
        self._known = known
        self._keys = np.ascontiguousarray(known["high"])  # of a column of the table each search would make a copy

    def _read(self) -> Entries:
        content = read_kept(self._path)
        if content is None or len(content) % _ENTRY.itemsize:
            return np.empty(0, dtype=_ENTRY)
        return np.frombuffer(content, dtype=_ENTRY)

    def _size(self, key: bytes) -> tuple[int, int] | None:
        high, low = np.frombuffer(key, dtype="<u8").tolist()
        place = int(np.searchsorted(self._keys, np.uint64(high)))
        if place == len(self._known):
            return None
        entry = self._known[place]
        if (int(entry["high"]), int(entry["low"])) != (high, low):
            return None
        return int(entry["width"]), int(entry["height"])


def _state(status: os.stat_result) -> str:
    return f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns} {status.st_ino}"


def _key(kind: bytes, *parts: str) -> bytes:
    digest = hashlib.blake2b(kind, digest_size=16)
    for part in (_rules(), *parts):
        digest.update(b"\0" + os.fsencode(part))
    return digest.digest()


@cache
def _rules() -> str:
    """What decides whether a picture is whole: the code that looks, and Pillow."""
    sources = [Path(module.__file__ or "").read_bytes() for module in (images, jpeg)]
    return hashlib.sha256(b"\0".join([*sources, PIL.__version__.encode()])).hexdigest()


def _entries(seen: Sequence[Whole], *, used: int) -> Entries:
    entries = np.empty(len(seen), dtype=_ENTRY)
    keys = np.frombuffer(b"".join(entry.key for entry in seen), dtype="<u8").reshape(-1, 2)
    entries["high"], entries["low"] = keys.T
    entries["width"], entries["height"] = np.array([entry.size for entry in seen], dtype="<u4").reshape(-1, 2).T
    entries["used"] = used
    return entries
