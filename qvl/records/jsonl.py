"""A JSONL file on disk: random access by row, and the check of all its rows."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from qvl.errors import RecordError
from qvl.records.decode import decode_line
from qvl.records.finding import Finding, shorten
from qvl.records.record import Source
from qvl.records.validation import image_path, validate_row

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


def check_rows(jsonl: JsonlFile, *, root: str, allowed_roots: Sequence[str]) -> list[Finding]:
    """Check every row of a file and return all findings, in file order.

    To the codes of `decode_line` and `validate_row` it adds no_rows, image_outside_roots and image_missing. Pictures
    are not opened.

    Args:
        jsonl: The file.
        root: Folder that relative image paths start from.
        allowed_roots: Folders that images may lie in, links resolved; `root` is always one of them.
    """
    roots = tuple(os.path.realpath(folder) for folder in (root, *allowed_roots))
    if not len(jsonl):
        return [Finding("no_rows", Source(jsonl.path, 1), "", "the file has no rows")]
    return [finding for index in range(len(jsonl)) for finding in _check_row(jsonl, index, root, roots)]


def _check_row(jsonl: JsonlFile, index: int, root: str, roots: Sequence[str]) -> Iterator[Finding]:
    source = jsonl.source(index)
    row, unread = jsonl.decode(index)
    yield from unread
    if any(finding.code in ("bad_json", "bad_utf8") for finding in unread):
        return
    known = {(finding.code, finding.field) for finding in unread}
    found = validate_row(row, source=source)
    yield from (finding for finding in found if (finding.code, finding.field) not in known)
    images = row.get("images") if isinstance(row, dict) else None
    rejected = {finding.field for finding in found}
    for number, image in enumerate(images if isinstance(images, list) else ()):
        field = f"images[{number}]"
        if field not in rejected:
            yield from (Finding(code, source, field, text) for code, text in _check_file(image, root, roots))


def _check_file(image: str, root: str, roots: Sequence[str]) -> Iterator[tuple[str, str]]:
    path = image_path(image, root=root)
    real = os.path.realpath(path)
    if not any(real.startswith(folder.rstrip(os.sep) + os.sep) for folder in roots):
        allowed = ", ".join(roots)
        yield "image_outside_roots", f"{shorten(image)} leads to {real}, outside the allowed folders {allowed}"
    elif not os.path.isfile(real):
        yield "image_missing", f"{shorten(image)}: no such file {path}"


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
