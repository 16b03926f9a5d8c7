"""A JSONL file on disk: random access by row."""

from __future__ import annotations

import os
import weakref
from pathlib import Path

from qvl.errors import RecordError
from qvl.records.decode import decode_line
from qvl.records.finding import Finding
from qvl.records.record import Source
from qvl.runtime.files import sha256_of
from qvl.runtime.line_index import LineIndex, open_index


class JsonlFile:
    """Rows of a JSONL file by number, held as byte offsets: 8 bytes a row, whatever the rows weigh.

    Blank lines are skipped, CRLF and a UTF-8 byte order mark are tolerated. The object can be forked, pickled and
    read from any thread; one descriptor is held open in each process that reads. A file that changes after it was
    indexed is an error.

    Attributes:
        path: The file as it was given.
    """

    def __init__(self, path: str | os.PathLike[str], *, cache: Path | None = None) -> None:
        """Index the rows, or take the index from the cache.

        Args:
            path: The file.
            cache: Folder where the index is kept between runs, see `open_index`; None keeps nothing.

        Raises:
            RecordError: The file cannot be read.
        """
        self.path = os.fspath(path)
        self._cache = cache
        self._index = self._opened_index()
        self._descriptor: _Descriptor | None = None

    def __getstate__(self) -> tuple[str, Path | None, LineIndex | None, tuple[int, int]]:
        """Leave the descriptor behind, and the index too where another process finds it in the cache."""
        index = self._index if self._cache is None else None
        return self.path, self._cache, index, (self._index.size, self._index.mtime_ns)

    def __setstate__(self, state: tuple[str, Path | None, LineIndex | None, tuple[int, int]]) -> None:
        self.path, self._cache, index, stamp = state
        self._index = self._opened_index() if index is None else index
        self._descriptor = None
        if (self._index.size, self._index.mtime_ns) != stamp:
            raise self._changed()

    def __len__(self) -> int:
        """Return the number of rows, blank lines not counted."""
        return len(self._index)

    def line(self, index: int) -> int:
        """Return the number of the line that row `index` stands on; the first line of the file is 1."""
        return self._index.number(self._checked(index))

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
        """Return (value, findings) of row `index`: what `decode_line` says of it.

        Raises:
            RecordError: The file cannot be read or has changed since it was indexed.
            IndexError: There is no such row.
        """
        return decode_line(self.read(index), source=self.source(index))

    def read(self, index: int) -> bytes:
        """Return the bytes of row `index` as they stand in the file, without the line feed.

        Raises:
            RecordError: The file cannot be read or has changed since it was indexed.
            IndexError: There is no such row.
        """
        start, stop = self._index.starts[self._checked(index) :][:2].tolist()
        try:
            if not self._index.fits(os.stat(self.path)):
                raise self._changed()
            descriptor = self._descriptor or self._opened()
            data = os.pread(descriptor.number, stop - start, start)
        except OSError as error:
            raise RecordError(f"{self.source(index)}: cannot be read: {error.strerror}") from error
        return data.partition(b"\n")[0]

    def sha256(self) -> str:
        """Return the digest of the whole file, 64 hexadecimal digits."""
        return sha256_of(Path(self.path))

    def _checked(self, index: int) -> int:
        if not 0 <= index < len(self._index):
            raise IndexError(f"{self.path} has {len(self._index)} rows, there is no row {index}")
        return index

    def _opened_index(self) -> LineIndex:
        try:
            return open_index(self.path, cache=self._cache)
        except OSError as error:
            raise RecordError(f"{self.path}: cannot be read: {error.strerror}") from error

    def _opened(self) -> _Descriptor:
        """Open the file; of two threads that do so at once, the descriptor of one is closed again after its read."""
        descriptor = _Descriptor(self.path)
        if not self._index.fits(os.fstat(descriptor.number)):
            raise self._changed()
        self._descriptor = descriptor
        return descriptor

    def _changed(self) -> RecordError:
        return RecordError(f"{self.path}: the file has changed since it was opened; start again")


class _Descriptor:
    """A file open for reading at any place; closed when nobody holds it. A fork shares it without harm."""

    def __init__(self, path: str) -> None:
        self.number = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        weakref.finalize(self, os.close, self.number).atexit = False
