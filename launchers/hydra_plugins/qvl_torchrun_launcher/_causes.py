"""What the ranks of a job leave on disk, and which of them failed first."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hydra_plugins.qvl_torchrun_launcher._proc import facts_of
from hydra_plugins.qvl_torchrun_launcher._status import read_json, write_json

__all__ = [
    "PREEMPTED",
    "Cause",
    "RankEnd",
    "clear_attempt",
    "dead_ranks",
    "first_cause",
    "last_lines",
    "note_end",
    "note_start",
    "rank_log",
    "write_error",
    "write_failures",
]

PREEMPTED = 75
"""Exit code of a task that was asked to stop and has saved its state."""

_REACTIONS = (-signal.SIGTERM, -signal.SIGABRT, PREEMPTED)
"""Exit codes of ranks that end because another one has failed."""

_TAIL_BYTES = 65536


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a job failed.

    Attributes:
        rank: The rank that failed first.
        exception: Such as "ValueError: boom" or "killed by SIGKILL".
        traceback: Python's, empty if there is none.
        exit_code: Of that rank, negative for a signal, None if nobody saw it.
    """

    rank: int
    exception: str
    traceback: str = ""
    exit_code: int | None = None


@dataclass(frozen=True, slots=True)
class RankEnd:
    """How a rank that failed was seen to end.

    Attributes:
        rank: Its number.
        exit_code: Negative for a signal.
        time: Seconds since 1970, cut to a whole one.
    """

    rank: int
    exit_code: int
    time: float


def clear_attempt(job_folder: Path) -> None:
    """Remove what an earlier start of the job has left, but for its logs."""
    for name in ("result.json", "error.json", "ranks/failures.json"):
        (job_folder / name).unlink(missing_ok=True)
    for name in ("pids", "errors"):
        shutil.rmtree(job_folder / "ranks" / name, ignore_errors=True)


def note_start(job_folder: Path, rank: int) -> None:
    """Write down that this process is a rank of the job."""
    facts = facts_of(os.getpid())
    path = _pid_file(job_folder, rank)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, {"pid": os.getpid(), "started": facts.started if facts else 0})


def note_end(job_folder: Path, rank: int) -> None:
    """Write down that the rank has ended well."""
    _pid_file(job_folder, rank).unlink(missing_ok=True)


def write_error(job_folder: Path, rank: int, error: BaseException) -> None:
    """Write down why a rank failed: for the launcher, and for torchrun in the form that it reads."""
    now = time.time_ns()
    details = {
        "rank": str(rank),
        "py_callstack": "".join(traceback.format_exception(error)),
        "timestamp": str(now // 10**9),
        "time_ns": now,
        "gone": [other for other in dead_ranks(job_folder) if other != rank],
    }
    record = {"message": {"message": f"{type(error).__name__}: {error}", "extraInfo": details}}
    folder = job_folder / "ranks" / "errors"
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / f"{rank}.json", record)
    _write_once(job_folder / "error.json", record)
    if for_torchrun := os.environ.get("TORCHELASTIC_ERROR_FILE"):
        write_json(Path(for_torchrun), record)


def write_failures(job_folder: Path, ends: Sequence[RankEnd]) -> None:
    """Write down how the agent saw its ranks end."""
    write_json(job_folder / "ranks" / "failures.json", {"ends": [asdict(end) for end in ends]})


def dead_ranks(job_folder: Path) -> list[int]:
    """Return the ranks that failed or disappeared; one that has ended well is not among them."""
    failed = {int(path.stem) for path in (job_folder / "ranks" / "errors").glob("*.json")}
    started = (job_folder / "ranks" / "pids").glob("*.json")
    return sorted(failed | {int(path.stem) for path in started if _is_gone(path)})


def first_cause(job_folder: Path) -> Cause | None:
    """Return why a job failed: what happened first, over all its ranks; None if they left no sign of a failure.

    torchrun's own choice compares whole seconds and so may name a rank that failed because of the first one. Here each
    rank that fails notes which ones had gone by then.
    """
    paths = (job_folder / "ranks" / "errors").glob("*.json")
    errors = [error for path in paths if (error := read_json(path))]
    seen = [RankEnd(**end) for end in read_json(job_folder / "ranks" / "failures.json").get("ends", ())]
    if errors:
        return _blame(
            min((error["message"] for error in errors), key=lambda message: _details(message)["time_ns"]), seen
        )
    if seen:
        return _describe(min(seen, key=lambda end: (end.exit_code in _REACTIONS, end.time)))
    dead = dead_ranks(job_folder)
    return _unseen(dead[0]) if dead else None


def rank_log(job_folder: Path, rank: int) -> Path | None:
    """Return the newest log of a rank under torchrun: of its errors, or of its output if that is empty."""
    folders = (job_folder / "ranks" / "logs").glob(f"*/attempt_*/{rank}")
    newest = max(folders, key=lambda path: path.stat().st_ctime_ns, default=None)
    if newest is None:
        return None
    logs = [newest / "stderr.log", newest / "stdout.log"]
    return next((path for path in logs if path.is_file() and path.stat().st_size > 0), None)


def last_lines(path: Path, count: int = 20) -> list[str]:
    """Return the last lines of a log; a line of a progress bar counts as its last state."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
        text = file.read().decode(errors="replace")
    lines = [line.rstrip("\r").rpartition("\r")[2] for line in text.rstrip().split("\n")]
    return lines[-count:] if text.strip() else []


def _blame(message: dict[str, Any], seen: Sequence[RankEnd]) -> Cause:
    """Return the cause behind the first error: a rank that had gone silently by then, else the one that tells it."""
    details = _details(message)
    ends = {end.rank: end for end in seen}
    for gone in details["gone"]:
        return _describe(ends[gone]) if gone in ends else _unseen(gone)
    rank = int(details["rank"])
    code = ends[rank].exit_code if rank in ends else None
    return Cause(rank, message["message"], details["py_callstack"], code)


def _details(message: dict[str, Any]) -> dict[str, Any]:
    details: dict[str, Any] = message["extraInfo"]
    return details


def _describe(end: RankEnd) -> Cause:
    code = end.exit_code
    text = f"killed by {_signal_name(-code)}" if code < 0 else f"exit code {code}"
    return Cause(end.rank, text, exit_code=code)


def _unseen(rank: int) -> Cause:
    return Cause(rank, "disappeared without a message")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _is_gone(path: Path) -> bool:
    noted = read_json(path)
    if not noted:
        return False  # it has ended well in this moment
    facts = facts_of(noted["pid"])
    return facts is None or facts.ending or facts.started != noted["started"]


def _pid_file(job_folder: Path, rank: int) -> Path:
    return job_folder / "ranks" / "pids" / f"{rank}.json"


def _write_once(path: Path, value: object) -> None:
    """Write a file unless it is there."""
    own = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    write_json(own, value)
    try:
        with suppress(FileExistsError):
            os.link(own, path)
    finally:
        own.unlink()
