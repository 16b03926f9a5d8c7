"""The ledger of dropped rows: every row that is not trained on stands here with its reason."""

from __future__ import annotations

import fcntl
import json
import os
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from qvl.errors import RecordError

__all__ = ["Ledger", "LedgerEntry", "read_ledger"]


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """Rows that were left out for one reason: one row, or several from a line on.

    Attributes:
        file: The JSONL file of the row.
        line: Its line, from 1.
        reason: A short code, the same for the same cause: `counts` adds up by it.
        rows: Number of rows from that line on, blank lines not counted.
    """

    file: str
    line: int
    reason: str
    rows: int = 1

    def __post_init__(self) -> None:
        """Refuse an entry that leads nowhere."""
        if not self.file or self.line < 1 or not self.reason or self.rows < 1:
            raise ValueError(f"a ledger entry needs a file, a line from 1, a reason and rows, got {self}")


class Ledger:
    """Append-only file of dropped rows, one JSON object per line, held by one process.

    An existing file is continued; a last line that a kill cut off is removed, the lines before it stay. Worker
    processes hand what they drop to the owner.
    """

    def __init__(self, path: Path) -> None:
        """Open or make the ledger.

        Args:
            path: The file; its folder is made if it is missing.

        Raises:
            RecordError: Another ledger holds the file, or a line of it is no entry.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._owner = os.getpid()
        self._file = path.open("ab", buffering=0)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._file.close()
            raise RecordError(f"{path}: another process or ledger is writing this file") from error
        try:
            entries, self._size = _read(path)
        except RecordError:
            self._file.close()
            raise
        self._file.truncate(self._size)
        self._entries = set(entries)

    def record(self, file: str, line: int, reason: str, *, rows: int = 1) -> bool:
        """Write down dropped rows; the same entry again changes nothing.

        Returns:
            Whether the entry is new.

        Raises:
            ValueError: File or reason is empty, or the line below 1.
            RuntimeError: Called in a process that is not the owner.
            OSError: The disk is full or gone; the entries so far stay.
        """
        if os.getpid() != self._owner:
            raise RuntimeError(f"{self.path} belongs to process {self._owner}, process {os.getpid()} must not write it")
        entry = LedgerEntry(file, line, reason, rows)
        if entry in self._entries:
            return False
        self._append((json.dumps(asdict(entry)) + "\n").encode())
        self._entries.add(entry)
        return True

    def counts(self) -> dict[str, int]:
        """Return the number of rows per reason, most frequent first."""
        counter: Counter[str] = Counter()
        for entry in self._entries:
            counter[entry.reason] += entry.rows
        return dict(sorted(counter.items(), key=lambda item: (-item[1], item[0])))

    def __len__(self) -> int:
        """Return the number of entries."""
        return len(self._entries)

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def __enter__(self) -> Self:
        """Return the ledger itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """Let go of the file."""
        self.close()

    def _append(self, content: bytes) -> None:
        """Write one line by one call of the system, so that a kill cannot mix it with another; undo half a line."""
        try:
            written = self._file.write(content)
            if written != len(content):
                raise OSError(f"{self.path}: {written} of {len(content)} bytes written, is the disk full?")
        except OSError:
            self._file.truncate(self._size)
            raise
        self._size += len(content)


def read_ledger(path: Path) -> tuple[LedgerEntry, ...]:
    """Read the entries of a ledger, also while a run writes it; duplicates and a cut-off last line are left out.

    Raises:
        RecordError: The file is missing, or a line is no entry.
    """
    return _read(path)[0]


def _read(path: Path) -> tuple[tuple[LedgerEntry, ...], int]:
    """Return the distinct entries in file order, and the number of bytes up to the end of the last whole line."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RecordError(f"{path}: cannot read the ledger: {error.strerror}") from error
    whole = content[: content.rfind(b"\n") + 1]
    lines = enumerate(whole.splitlines(), start=1)
    return tuple(dict.fromkeys(_entry(path, number, text) for number, text in lines)), len(whole)


def _entry(path: Path, number: int, text: bytes) -> LedgerEntry:
    try:
        match json.loads(text):
            case {"file": str(file), "line": int(line), "reason": str(reason), "rows": int(rows)}:
                return LedgerEntry(file, line, reason, rows)
            case other:
                raise ValueError(f"expected file, line, reason and rows, got {other!r}")
    except ValueError as error:
        raise RecordError(f"{path}:{number}: not an entry of a ledger: {error}") from error
