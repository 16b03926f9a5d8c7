"""What is known about a job and a sweep, in files that are always whole: status.json and sweep.json."""

from __future__ import annotations

import dataclasses
import json
import os
import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

__all__ = [
    "FailureCause",
    "State",
    "Status",
    "SweepRecord",
    "now",
    "read_json",
    "read_status",
    "write_bytes",
    "write_json",
]


class State(StrEnum):
    """State of a job; all but the first two are final."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    PREEMPTED = "preempted"
    STOPPED = "stopped"


@dataclass(frozen=True)
class FailureCause:
    """Why a job did not complete.

    Attributes:
        exception: Such as "ValueError: boom" or "killed by SIGSEGV".
        rank: Number of the process that failed first; None if it is not known.
        last_lines: End of its log.
    """

    exception: str
    rank: int | None = None
    last_lines: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.exception if self.rank is None else f"rank {self.rank}: {self.exception}"


@dataclass(frozen=True)
class Status:
    """Content of status.json in the folder of a job.

    Attributes:
        job: Number in the sweep.
        fingerprint: SHA-256 of the unresolved configuration and the task.
        state: See `State`.
        overrides: As the sweeper wrote them.
        devices: CUDA devices of the latest attempt.
        processes: Number of ranks.
        attempt: How often the job was started, earlier runs of the sweep included.
        token: In the environment of all its processes.
        started: Of the latest attempt, ISO 8601 in UTC.
        ended: The same.
        seconds: From start to end.
        exit_code: Of the latest attempt's process; negative: the signal that ended it.
        cause: Why it did not complete.
        return_value: Of the task, where JSON can hold it.
        history: State and cause of earlier attempts.
    """

    job: int
    fingerprint: str
    state: State = State.PENDING
    overrides: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    processes: int = 1
    attempt: int = 0
    token: str | None = None
    started: str | None = None
    ended: str | None = None
    seconds: float | None = None
    exit_code: int | None = None
    cause: FailureCause | None = None
    return_value: Any = None
    history: tuple[Mapping[str, object], ...] = field(default=())

    def write(self, folder: Path) -> None:
        """Write status.json in one step."""
        write_json(folder / "status.json", dataclasses.asdict(self))


def read_status(folder: Path) -> Status | None:
    """Return what status.json of a job's folder says; None if there is none, or it is not ours."""
    values = read_json(folder / "status.json")
    if not isinstance(values.get("job"), int) or not isinstance(values.get("fingerprint"), str):
        return None
    known = {field.name: values[field.name] for field in dataclasses.fields(Status) if field.name in values}
    try:
        for name in ("overrides", "devices", "history"):
            known[name] = tuple(known.get(name, ()))
        if cause := known.get("cause"):
            lines = tuple(cause.get("last_lines", ()))
            known["cause"] = FailureCause(cause["exception"], cause.get("rank"), lines)
        return Status(**{**known, "state": State(known.get("state", "pending"))})
    except (TypeError, ValueError, AttributeError, KeyError):
        return None


@dataclass
class SweepRecord:
    """Content of sweep.json in the folder of a sweep.

    Attributes:
        folder: Of the sweep.
        command: What was typed.
        started: ISO 8601 in UTC.
        jobs: Number, folder name and fingerprint of each job, in the order of the sweep.
    """

    folder: Path
    command: tuple[str, ...] = field(default_factory=lambda: tuple(sys.orig_argv))
    started: str = field(default_factory=lambda: now())
    jobs: list[Mapping[str, object]] = field(default_factory=list)

    def write(self, state: str) -> None:
        """Write sweep.json in one step.

        Args:
            state: "running", "completed", "failed" or "stopped".
        """
        ended = None if state == "running" else now()
        head = {"version": 1, "command": self.command, "started": self.started, "ended": ended, "state": state}
        write_json(self.folder / "sweep.json", {**head, "jobs": self.jobs})


def now() -> str:
    """Return the time of the day as ISO 8601 in UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file; empty if there is no such file, or it holds something else."""
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def write_json(path: Path, value: object) -> None:
    """Write a value as indented JSON in one step; a lone surrogate becomes its escape."""
    write_bytes(path, (json.dumps(value, ensure_ascii=True, indent=2, default=str) + "\n").encode())


def write_bytes(path: Path, content: bytes, *, mode: int = 0o666) -> None:
    """Write a file in one step: a reader sees the old content or the new one, also after a kill or a power cut.

    Args:
        path: The file.
        content: All of it.
        mode: Its permissions, less what the umask forbids.
    """
    temporary = path.with_name(f".{secrets.token_hex(6)}.tmp")
    try:
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def jsonable(value: object) -> object:
    """Return what a task returned if JSON can hold it, else None."""
    try:
        json.dumps(value)
    except (TypeError, ValueError, RecursionError):
        return None
    return value
