"""The file of answers: one line a unit, appended as soon as it is known, and gone on with after a kill."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from qvl.errors import ConfigError
from qvl.inference.units import Unit
from qvl.runtime.files import write_json

__all__ = ["AnswerFile", "job_path"]


def job_path(path: Path) -> Path:
    """Return the file beside the answers that tells what they are answers to: `answers.job.json`."""
    return path.with_suffix(".job.json")


class AnswerFile:
    """Lines in the order of the units; a context manager that holds the file for one process.

    Attributes:
        path: The file.
        done: Number of units whose record is in the file.
    """

    def __init__(self, path: Path, *, job: Mapping[str, Any], units: Sequence[Unit], overwrite: bool = False) -> None:
        """Open a new file, or one that the same job has begun: a line that was cut off by a kill is taken away.

        Args:
            path: The file; its folder exists.
            job: What decides the answers, as JSON; written beside the file.
            units: What is asked about.
            overwrite: Whether to begin anew whatever is there.

        Raises:
            ConfigError: Another job wrote the file, another process is writing it, it holds other records, or it
                cannot be written.
        """
        self.path = path
        self.done = 0
        try:
            self._file = path.open("a+b")
        except OSError as error:
            raise ConfigError(f"out: {path} cannot be written: {error.strerror}") from error
        try:
            self._begin(job, units, overwrite=overwrite)
        except (ConfigError, OSError):
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def append(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Write records behind those that are there, and force them to the disk."""
        lines = [_line(record) for record in records]
        if lines:
            self._file.write(b"".join(lines))
            self._file.flush()
            os.fsync(self._file.fileno())
            self.done += len(lines)

    def _begin(self, job: Mapping[str, Any], units: Sequence[Unit], *, overwrite: bool) -> None:
        _lock(self._file, self.path)
        begun = job_path(self.path)
        if overwrite:
            self._file.truncate(0)
        self._file.seek(0)
        if os.fstat(self._file.fileno()).st_size:
            _check_job(self.path, begun, job)
            self.done = _count(self._file, self.path, units)
        else:
            write_json(begun, job)


def _lock(file: BinaryIO, path: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise ConfigError(f"out: another process is writing {path}") from error


def _check_job(path: Path, begun: Path, job: Mapping[str, Any]) -> None:
    """Refuse to go on with answers to something else."""
    try:
        before = json.loads(begun.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"out: {path} is there already, and {begun.name} beside it does not tell what it holds; "
            f"choose another name, or add overwrite=true"
        ) from error
    old, new = _flat(before), _flat(job)
    if differing := [key for key in {**old, **new} if old.get(key) != new.get(key)]:
        lines = [f"{key} was {old.get(key)!r} and is {new.get(key)!r}" for key in differing]
        raise ConfigError(f"out: {path} holds answers to something else: {'; '.join(lines)}; choose another name")


def _flat(value: object, key: str = "") -> dict[str, object]:
    """Return the values of nested objects under dotted keys."""
    if not isinstance(value, Mapping):
        return {key: value}
    return {
        name: found
        for part, inner in value.items()
        for name, found in _flat(inner, f"{key}.{part}" if key else str(part)).items()
    }


def _count(file: BinaryIO, path: Path, units: Sequence[Unit]) -> int:
    """Return the number of whole records, which have to be those of the first units; what is behind them is cut off."""
    done, end = 0, 0
    for line in file:
        if not line.endswith(b"\n"):
            break
        source = _source(line)
        if done >= len(units) or source != units[done].source:
            wanted = repr(units[done].source) if done < len(units) else "the end of the file"
            raise ConfigError(f"out: {path}:{done + 1}: expected the record of {wanted}, got {source!r}")
        done, end = done + 1, end + len(line)
    file.truncate(end)
    return done


def _source(line: bytes) -> object:
    try:
        record = json.loads(line)
    except ValueError:
        return line[:40].decode("utf-8", errors="replace")
    return record.get("source") if isinstance(record, dict) else None


def _line(record: Mapping[str, Any]) -> bytes:
    text = json.dumps(record, ensure_ascii=False, allow_nan=False)
    return (text + "\n").encode("utf-8", errors="backslashreplace")
