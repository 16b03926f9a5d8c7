"""One run folder: what the launcher, the training and TensorBoard wrote into it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path

from qvl.sweep.events import read_events
from qvl.sweep.job import Cause, Job, Progress, RunFiles
from qvl.sweep.reading import Reader, local_time
from qvl.sweep.settings import read_override

__all__ = ["ENDED_BADLY", "RUN_MARKS", "read_job"]

RUN_MARKS = ("status.json", "job.yaml", "metrics.json", "run_manifest.json")
"""A folder with one of these files is a run."""

ENDED_BADLY = ("failed", "timed_out", "stopped", "preempted")
"""States of jobs that end without a result."""

_SPEED = "train/train_steps_per_second"
_MOST_LOGS = 40


def read_job(name: str, folder: Path, reader: Reader, *, listed: bool) -> Job:
    """Read a run folder.

    Args:
        name: What the job is called.
        folder: The run folder; need not exist.
        reader: Notes what cannot be read.
        listed: Whether the run belongs to a sweep, so that one without a status has not started.
    """
    path = folder / "status.json"
    status = reader.json(path)
    facts = status or {}
    before, after, num_steps = _metrics(folder / "metrics.json", reader)
    result = facts.get("return_value")
    if isinstance(result, int | float) and not isinstance(result, bool):
        after.update(reader.numbers({"return_value": result}, path))
    state = reader.text(facts, "state", path) or _state(folder, has_metrics=bool(after), listed=listed)
    files = _files(folder)
    curves, span = read_events(files.events, reader, growing=state in ("running", "unfinished"))
    progress = _progress(folder / "progress.json", reader)
    seconds = reader.number(facts, "seconds", path)
    return Job(
        name=name,
        folder=folder,
        state=state,
        settings=_settings(folder, facts, reader),
        before=before,
        after=after,
        num_steps=num_steps,
        seconds=seconds if status else span,
        speed=_speed(progress, curves[_SPEED].points[-1].value if _SPEED in curves and curves[_SPEED].points else None),
        attempt=reader.whole(facts, "attempt", path) or 1,
        started=local_time(reader.text(facts, "started", path)),
        ended=local_time(reader.text(facts, "ended", path)),
        cause=_cause(folder, facts, reader) if state in ENDED_BADLY or facts.get("cause") else None,
        earlier=tuple(_earlier(facts, reader)),
        progress=progress,
        curves=curves,
        files=files,
    )


def _state(folder: Path, *, has_metrics: bool, listed: bool) -> str:
    """Return the state of a run without a readable status."""
    if (folder / "status.json").exists():
        return "unknown"
    if has_metrics:
        return "finished"
    return "pending" if listed else "unfinished"


def _speed(progress: Progress | None, over_all: float | None) -> float | None:
    if over_all is not None:
        return over_all
    return progress.steps_per_second if progress else None


def _settings(folder: Path, status: Mapping[str, object], reader: Reader) -> dict[str, str]:
    texts = reader.texts(status, "overrides", folder / "status.json")
    if not texts:
        path = folder / "run_manifest.json"
        texts = reader.texts(reader.json(path) or {}, "overrides", path)
    return dict(override for override in map(read_override, texts) if override)


def _metrics(path: Path, reader: Reader) -> tuple[dict[str, float], dict[str, float], int | None]:
    """Return the scores before and after training and the number of steps; a flat object is taken as after."""
    facts = reader.json(path) or {}
    before, after = facts.get("before"), facts.get("after")
    steps = reader.whole(facts, "global_step", path)
    if not isinstance(before, dict) and not isinstance(after, dict):
        flat = {key: value for key, value in facts.items() if key != "global_step"}
        return {}, reader.numbers(flat, path), steps
    scores = [reader.numbers(part, path) if isinstance(part, dict) else {} for part in (before, after)]
    return scores[0], scores[1], steps


def _progress(path: Path, reader: Reader) -> Progress | None:
    facts = reader.json(path)
    if facts is None:
        return None
    names = ("step", "max_steps", "loss", "steps_per_second", "eta_seconds", "gpu_memory_gb")
    numbers = {name: reader.number(facts, name, path) for name in names}
    written = datetime.fromtimestamp(path.stat().st_mtime).strftime("%Y-%m-%d %H:%M:%S") if path.exists() else ""
    return Progress(**numbers, written=written)


def _cause(folder: Path, status: Mapping[str, object], reader: Reader) -> Cause:
    """Put together why a job failed from its status, the error file of the rank and the end of its log."""
    told = status.get("cause")
    path = folder / "status.json"
    facts: Mapping[str, object] = told if isinstance(told, dict) else {}
    exit_code = reader.whole(status, "exit_code", path)
    unknown = "no cause was written down" + (f"; exit code {exit_code}" if exit_code is not None else "")
    exception, rank = reader.text(facts, "exception", path), reader.whole(facts, "rank", path)
    error = folder / "ranks" / "errors" / f"{rank}.json"
    message, callstack, error_rank = _error_file(error if error.is_file() else folder / "error.json", reader)
    if rank is not None and error_rank not in (None, rank):
        callstack = ""  # of a rank that failed because of this one
    return Cause(
        exception=exception or message or unknown,
        rank=error_rank if rank is None else rank,
        last_lines=reader.texts(facts, "last_lines", path) or reader.tail(folder / "launcher.log"),
        callstack=callstack,
    )


def _error_file(path: Path, reader: Reader) -> tuple[str, str, int | None]:
    """Return exception, call stack and rank of an error file in torch's form; "" and None for what it lacks."""
    message = (reader.json(path) or {}).get("message")
    if not isinstance(message, dict):
        return reader.clean(message) if isinstance(message, str) else "", "", None
    extra = message.get("extraInfo")
    facts: Mapping[str, object] = extra if isinstance(extra, dict) else {}
    return (
        reader.text(message, "message", path),
        reader.text(facts, "py_callstack", path),
        reader.whole(facts, "rank", path),
    )


def _earlier(status: Mapping[str, object], reader: Reader) -> Iterator[str]:
    """Yield how each earlier attempt ended."""
    history = status.get("history")
    for entry in history if isinstance(history, list) else []:
        if not isinstance(entry, dict):
            continue
        cause = entry.get("cause")
        exception = cause.get("exception") if isinstance(cause, dict) else cause
        told = f": {exception}" if isinstance(exception, str) else ""
        yield reader.clean(f"attempt {entry.get('attempt', '?')}: {entry.get('state', '?')}{told}")


def _files(folder: Path) -> RunFiles:
    events: list[Path] = []
    logs: list[Path] = []
    for path in _walk(folder):
        if "events.out.tfevents." in path.name:
            events.append(path)
        elif (path.suffix == ".log" or path.name == "error.json") and len(logs) < _MOST_LOGS:
            logs.append(path)
    galleries = sorted(path for path in folder.glob("*.html") if path.name != "report.html")
    predictions = sorted(
        path for path in folder.glob("predictions_*.jsonl") if path.with_suffix(".html") not in galleries
    )
    return RunFiles(
        galleries=tuple(galleries),
        predictions=tuple(predictions),
        logs=tuple(logs),
        events=tuple(sorted(events, key=lambda path: path.name)),
    )


def _walk(folder: Path, depth: int = 6) -> Iterator[Path]:
    """Yield the files below a run folder that are not empty, checkpoints and hidden folders left out, sorted."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:  # gone, or not for this user; the files that matter are noted when they are read
        return
    for entry in entries:
        try:
            if entry.is_dir(follow_symlinks=False):
                if depth and not entry.name.startswith((".", "checkpoint-")):
                    yield from _walk(Path(entry.path), depth - 1)
            elif entry.is_file() and entry.stat().st_size:
                yield Path(entry.path)
        except OSError:  # removed while we look
            continue
