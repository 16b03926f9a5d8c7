"""The folder of a sweep, finished or half-finished, and of runs that were started by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePath

from rich.console import Console
from rich.progress import track

from qvl.errors import RecordError
from qvl.sweep.configs import complete_settings
from qvl.sweep.job import Job, Sweep
from qvl.sweep.reading import Reader, local_time
from qvl.sweep.run_folder import RUN_MARKS, read_job

__all__ = ["read_sweep"]

SWEEP_NAME = "sweep.json"
MOST_NAMES = 8


def read_sweep(folder: Path) -> Sweep:
    """Read everything that is known about a sweep; what cannot be read is in its `troubles`.

    Args:
        folder: A sweep folder, a folder of runs, or a single run folder.

    Raises:
        RecordError: There is no such folder, or no run in it.
    """
    if not folder.is_dir():
        raise RecordError(f"{folder}: {'is a file, not a folder' if folder.exists() else 'there is no such folder'}")
    reader = Reader()
    facts = reader.json(folder / SWEEP_NAME) or {}
    places = _listed(folder, facts, reader) | {place.name: place for place in _found(folder)}
    if not places and (folder / SWEEP_NAME).is_file():
        reader.note(folder / SWEEP_NAME, "names no job, and there is no run beside it")
    elif not places and not _is_run(folder):
        raise RecordError(_no_sweep(folder))
    elif not places:
        places = {folder.resolve().name: folder}
    path = folder / SWEEP_NAME
    console = Console(stderr=True)
    names = track(
        sorted(places, key=_natural), "reading", console=console, transient=True, disable=not console.is_terminal
    )
    jobs = [read_job(name, places[name], reader, listed=bool(facts)) for name in names]
    return Sweep(
        folder=folder,
        state=reader.text(facts, "state", path),
        command=reader.texts(facts, "command", path),
        started=local_time(reader.text(facts, "started", path)) or min((job.started for job in jobs), default=""),
        ended=local_time(reader.text(facts, "ended", path)),
        jobs=tuple(_with_settings(jobs, reader)),
        troubles=tuple(replace(trouble, path=_below(folder, trouble.path)) for trouble in reader.troubles),
    )


def _with_settings(jobs: list[Job], reader: Reader) -> list[Job]:
    settings = complete_settings([(job.folder, job.settings) for job in jobs], reader)
    return [replace(job, settings=found) for job, found in zip(jobs, settings, strict=True)]


def _listed(folder: Path, facts: Mapping[str, object], reader: Reader) -> dict[str, Path]:
    """Return the job folders that sweep.json names, whether they exist or not."""
    entries = facts.get("jobs", [])
    places = {}
    for entry in entries if isinstance(entries, list) else [entries]:
        name = entry.get("folder") if isinstance(entry, dict) else None
        if isinstance(name, str) and _is_plain(name):
            places[name] = folder / name
        else:
            reader.note(folder / SWEEP_NAME, "jobs: expected a list of objects with the name of a folder in the sweep")
    return places


def _is_plain(name: str) -> bool:
    """Tell whether a name stays in the folder in which it is looked up."""
    return PurePath(name).name == name and name not in ("", "..") and "\0" not in name


def _found(folder: Path) -> list[Path]:
    """Return the folders below `folder` that are runs."""
    return [place for place in _entries(folder) if not place.name.startswith(".") and _is_run(place)]


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:  # not for this user
        return []


def _no_sweep(folder: Path) -> str:
    below = sorted(place.name for place in _entries(folder) if place.is_dir() and _found(place))
    hint = f"; these folders below it are: {', '.join(below[:MOST_NAMES])}" if below else ""
    marks = ", ".join(RUN_MARKS)
    return f"{folder}: is no sweep: there is no {SWEEP_NAME} in it, and no folder with one of {marks}{hint}"


def _is_run(folder: Path) -> bool:
    try:
        return any((folder / mark).is_file() for mark in RUN_MARKS)
    except OSError:  # a folder that may not be entered
        return False


def _below(folder: Path, path: Path) -> Path:
    return path.relative_to(folder) if path.is_relative_to(folder) else path


def _natural(name: str) -> tuple[bool, int, str]:
    """Sort numbers by size and before names."""
    is_number = name.isascii() and name.isdigit() and len(name) < 19
    return not is_number, int(name) if is_number else 0, name
