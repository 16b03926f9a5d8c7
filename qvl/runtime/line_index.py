"""Where the lines of a large text file begin: found in one pass, kept on disk, mapped into memory."""

from __future__ import annotations

import hashlib
import io
import logging
import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from qvl.runtime.files import write_bytes

__all__ = ["LineIndex", "index_lines", "open_index"]

Offsets = npt.NDArray[np.int64]

_log = logging.getLogger(__name__)
_BOM = b"\xef\xbb\xbf"
_NEWLINE = ord("\n")
_BLANK = np.isin(np.arange(256), np.frombuffer(b" \t\r\n\x0b\x0c", dtype=np.uint8))
_BLOCK_BYTES = 1 << 18  # fits the cache of a core
_FORMAT = 0x1D_0001  # first number of a kept index; changes when its layout does
_HEAD = 6  # format, size, mtime_ns, number of lines, whether line numbers follow, checksum of all other numbers


@dataclass(frozen=True, eq=False)
class LineIndex:
    """The lines of a file that are not blank.

    Attributes:
        size: Bytes of the file when it was indexed.
        mtime_ns: Its time of change then.
        starts: (N + 1,) int64: first byte of each line, and the size of the file. What lies between two of them is
            the line, its line end and the blank lines behind it.
        numbers: (N,) int64 line numbers, the first line of the file is 1; None if no line is blank: then 1 to N.
    """

    size: int
    mtime_ns: int
    starts: Offsets
    numbers: Offsets | None

    def __len__(self) -> int:
        """Return the number of lines that are not blank."""
        return len(self.starts) - 1

    def number(self, index: int) -> int:
        """Return the line number of line `index`."""
        return index + 1 if self.numbers is None else int(self.numbers[index])

    def fits(self, status: os.stat_result) -> bool:
        """Tell whether a file is still as it was when it was indexed, as far as size and time show."""
        return (status.st_size, status.st_mtime_ns) == (self.size, self.mtime_ns)


def open_index(path: str, *, cache: Path | None) -> LineIndex:
    """Return the index of a file, from the cache if it lies there.

    A kept index is used for a file of the same real path, size and time of change only, and only if its checksum is
    right; in any other case the file is read again. Processes may do this at once: each writes the same file whole.
    A cache that cannot be written is told of in the log and done without.

    Args:
        path: The file.
        cache: Folder of kept indices, made if it is missing; None keeps nothing.

    Returns:
        The index; with a cache its arrays are mapped from the disk, so that processes share them.

    Raises:
        OSError: The file cannot be read.
    """
    if cache is None:
        return index_lines(path)
    status = os.stat(path)
    kept = cache / _cache_name(path, status)
    if (index := _load(kept, status)) is not None:
        return index
    index = index_lines(path)
    try:
        cache.mkdir(parents=True, exist_ok=True)
        write_bytes(kept, _packed(index), sync=False)
    except OSError as error:
        _log.warning("%s: the index of %s is not kept: %s", cache, path, error.strerror)
        return index
    mapped = _load(kept, status)
    return index if mapped is None else mapped


def index_lines(path: str, *, block_bytes: int = _BLOCK_BYTES) -> LineIndex:
    r"""Find the lines of a file that are not blank; only `\n` ends a line, a UTF-8 byte order mark is skipped.

    Args:
        path: The file.
        block_bytes: How much is read at once.

    Raises:
        OSError: The file cannot be read.
    """
    with open(path, "rb", buffering=0) as file:
        status = os.fstat(file.fileno())
        found = [*_line_starts(file, status.st_size, block_bytes)]
        starts = np.concatenate([np.empty(0, np.int64), *(starts for starts, _ in found), [status.st_size]])
        firsts = np.concatenate([np.empty(0, np.uint8), *(firsts for _, firsts in found)])
        filled = ~_BLANK[firsts]
        for line in np.flatnonzero(~filled & (firsts != _NEWLINE)).tolist():
            start, stop = starts[line : line + 2].tolist()
            filled[line] = bool(os.pread(file.fileno(), stop - start, start).strip())
    if filled.all():
        return LineIndex(status.st_size, status.st_mtime_ns, starts, None)
    kept = np.append(starts[:-1][filled], starts[-1])
    return LineIndex(status.st_size, status.st_mtime_ns, kept, np.flatnonzero(filled) + 1)


def _line_starts(file: io.FileIO, size: int, block_bytes: int) -> Iterator[tuple[Offsets, npt.NDArray[np.uint8]]]:
    """Yield (first byte of each line, what that byte is), block by block."""
    memory = bytearray(block_bytes)
    buffer, view = np.frombuffer(memory, dtype=np.uint8), memoryview(memory)
    offset = len(_BOM) if os.pread(file.fileno(), len(_BOM), 0) == _BOM else 0
    file.seek(offset)
    fresh = True  # the block begins a line
    while count := file.readinto(view[: min(block_bytes, size - offset)]):
        block = buffer[:count]
        starts = np.flatnonzero(block == _NEWLINE) + 1
        if fresh:
            starts = np.concatenate([[0], starts])
        fresh = bool(block[-1] == _NEWLINE)
        if fresh:
            starts = starts[:-1]
        yield starts + offset, block[starts]
        offset += count


def _cache_name(path: str, status: os.stat_result) -> str:
    identity = f"{os.path.realpath(path)}\0{status.st_size}\0{status.st_mtime_ns}"
    return f"{hashlib.sha256(os.fsencode(identity)).hexdigest()[:32]}.index"


def _packed(index: LineIndex) -> bytes:
    numbers = np.empty(0, np.int64) if index.numbers is None else index.numbers
    body = np.concatenate([index.starts, numbers])
    head = np.array([_FORMAT, index.size, index.mtime_ns, len(index), index.numbers is not None, 0], dtype=np.int64)
    head[-1] = _checksum(head, body)
    return np.concatenate([head, body]).tobytes()


def _load(kept: Path, status: os.stat_result) -> LineIndex | None:
    """Map a kept index; None if there is none, or it is damaged or of another file."""
    try:
        values = np.memmap(kept, dtype=np.int64, mode="r")
    except (OSError, ValueError):  # ValueError: empty, or no whole number of numbers
        return None
    if len(values) <= _HEAD:
        return None
    head, body = values[:_HEAD], values[_HEAD:]
    _, size, mtime_ns, count, numbered, checksum = head.tolist()
    expected = (_FORMAT, status.st_size, status.st_mtime_ns, count + 1 + count * numbered, _checksum(head, body))
    if (int(head[0]), size, mtime_ns, len(body), checksum) != expected:
        return None
    return LineIndex(size, mtime_ns, body[: count + 1], body[count + 1 :] if numbered else None)


def _checksum(head: Offsets, body: Offsets) -> int:
    return zlib.crc32(body.data, zlib.crc32(head[:-1].tobytes()))
