"""A JSONL file on disk: random access by row."""

from __future__ import annotations

import hashlib
import os

import numpy as np
import numpy.typing as npt

from qvl.errors import RecordError
from qvl.records.decode import decode_line
from qvl.records.finding import Finding
from qvl.records.record import Source

_BOM = b"\xef\xbb\xbf"
_BLANKS = np.frombuffer(b" \t\r\x0b\x0c", dtype=np.uint8)

Offsets = npt.NDArray[np.int64]


class JsonlFile:
    """Rows of a JSONL file by number, held as byte offsets: 24 bytes a row, whatever the rows weigh.

    Blank lines are skipped, CRLF and a UTF-8 byte order mark are tolerated. The file is opened for each read, so the
    object can be pickled, forked and read from any thread; a file that changes after it was indexed is an error.

    Attributes:
        path: The file as it was given.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Index the rows.

        Raises:
            RecordError: The file cannot be read.
        """
        self.path = os.fspath(path)
        try:
            self._stamp = _stamp(os.stat(self.path))
            self._starts, self._stops, self._lines = index_rows(self.path)
        except OSError as error:
            raise RecordError(f"{self.path}: cannot be read: {error.strerror}") from error

    def __len__(self) -> int:
        """Return the number of rows, blank lines not counted."""
        return len(self._starts)

    def line(self, index: int) -> int:
        """Return the number of the line that row `index` stands on; the first line of the file is 1."""
        return int(self._lines[index])

    def source(self, index: int) -> Source:
        """Return file and line of row `index`."""
        return Source(self.path, self.line(index))

    def row(self, index: int) -> object:
        """Return the decoded JSON value of row `index`.

        Raises:
            RecordError: The line is not strict JSON in UTF-8 (NaN, Infinity and duplicate keys are refused), or the
                file has changed since it was indexed.
            IndexError: There is no such row.
        """
        value, findings = self.decode(index)
        if findings:
            raise RecordError("\n".join(map(str, findings)))
        return value

    def decode(self, index: int) -> tuple[object, list[Finding]]:
        """Return (value, findings) of row `index`: what `decode_line` says of it."""
        start, stop = int(self._starts[index]), int(self._stops[index])
        try:
            with open(self.path, "rb") as file:
                changed = _stamp(os.fstat(file.fileno())) != self._stamp
                file.seek(start)
                data = file.read(stop - start)
        except OSError as error:
            raise RecordError(f"{self.source(index)}: cannot be read: {error.strerror}") from error
        if changed:
            raise RecordError(f"{self.path}: the file has changed since it was opened; start again")
        return decode_line(data, source=self.source(index))

    def sha256(self) -> str:
        """Return the digest of the whole file, 64 hexadecimal digits."""
        with open(self.path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def _stamp(status: os.stat_result) -> tuple[int, int]:
    return status.st_size, status.st_mtime_ns


def index_rows(path: str, *, chunk_bytes: int = 1 << 24) -> tuple[Offsets, Offsets, Offsets]:
    """Find the rows of a JSONL file.

    Args:
        path: The file.
        chunk_bytes: How much is searched at once.

    Returns:
        First byte, byte after the last and line number of every row that is not blank; each (N,) int64.

    Raises:
        OSError: The file cannot be read.
    """
    if os.path.getsize(path) == 0:
        return (np.empty(0, np.int64),) * 3
    data = np.memmap(path, dtype=np.uint8, mode="r")
    pieces = [np.flatnonzero(data[at : at + chunk_bytes] == ord("\n")) + at for at in range(0, len(data), chunk_bytes)]
    stops = np.concatenate([*pieces, [len(data)]]).astype(np.int64)
    starts = np.concatenate([[0], stops[:-1] + 1]).astype(np.int64)
    if data[:3].tobytes() == _BOM:
        starts[0] = len(_BOM)
    filled = starts < stops
    suspects = np.flatnonzero(filled)[np.isin(data[starts[filled]], _BLANKS)]
    for number in suspects.tolist():
        filled[number] = bool(data[starts[number] : stops[number]].tobytes().strip())
    return starts[filled], stops[filled], np.flatnonzero(filled) + 1
