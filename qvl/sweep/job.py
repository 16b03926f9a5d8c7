"""What is known about a sweep and each of its jobs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

__all__ = ["Cause", "Curve", "Job", "Point", "Progress", "RunFiles", "Sweep", "Trouble"]


class Point(NamedTuple):
    """One logged number."""

    step: int
    value: float


@dataclass(frozen=True, slots=True)
class Curve:
    """A number over the steps of a training.

    Attributes:
        points: By rising step, each step once; values are finite.
        num_lost: Logged values that are not finite (a loss that became NaN) and have no point.
    """

    points: tuple[Point, ...]
    num_lost: int = 0


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a job failed.

    Attributes:
        exception: Such as `ValueError: boom`.
        rank: The process that failed first, None if it is not known.
        last_lines: The end of what the job wrote.
        callstack: Where the exception was raised, "" if it is not known.
    """

    exception: str
    rank: int | None = None
    last_lines: tuple[str, ...] = ()
    callstack: str = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a training stands; None is what the job did not tell.

    Attributes:
        step: Steps that are done.
        max_steps: Steps that there will be.
        loss: The newest one.
        steps_per_second: Speed.
        eta_seconds: Time that is left.
        gpu_memory_gb: Most memory that was in use on a GPU, in GB.
        written: Local time at which the job wrote this down, "" if it is not known.
    """

    step: float | None = None
    max_steps: float | None = None
    loss: float | None = None
    steps_per_second: float | None = None
    eta_seconds: float | None = None
    gpu_memory_gb: float | None = None
    written: str = ""

    @property
    def share(self) -> float | None:
        """Share of the steps that is done, 0 to 1; None if one of the two numbers is not known."""
        if self.step is None or not self.max_steps or self.max_steps < 0:
            return None
        return min(max(self.step / self.max_steps, 0.0), 1.0)


@dataclass(frozen=True, slots=True)
class RunFiles:
    """Files of a run folder that a reader may want to open.

    Attributes:
        galleries: Pages that `qvl.visualize` made.
        predictions: Predictions that have no page yet.
        logs: What the job wrote to its terminal, and its error files.
        events: TensorBoard event files, oldest first.
    """

    galleries: tuple[Path, ...] = ()
    predictions: tuple[Path, ...] = ()
    logs: tuple[Path, ...] = ()
    events: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Job:
    """One run of a sweep.

    Attributes:
        name: Its number, or the name of its folder.
        folder: The run folder; of a job that has not started it need not exist.
        state: As the launcher wrote it; `finished` and `unfinished` for a run that was started by hand.
        settings: Keys and values that were given for this job.
        before: Scores before training.
        after: Scores after training.
        num_steps: Steps that were trained.
        seconds: Time from start to end.
        speed: Steps per second.
        attempt: 1, and more after restarts.
        started: Local time, "" if it is not known.
        ended: Local time, "" if it is not known.
        cause: Why it failed.
        earlier: How earlier attempts ended, one text each.
        progress: Where it stands, or stood last.
        curves: Logged numbers by name, such as train/loss.
        files: What can be opened.
    """

    name: str
    folder: Path
    state: str
    settings: Mapping[str, str] = field(default_factory=dict)
    before: Mapping[str, float] = field(default_factory=dict)
    after: Mapping[str, float] = field(default_factory=dict)
    num_steps: int | None = None
    seconds: float | None = None
    speed: float | None = None
    attempt: int = 1
    started: str = ""
    ended: str = ""
    cause: Cause | None = None
    earlier: tuple[str, ...] = ()
    progress: Progress | None = None
    curves: Mapping[str, Curve] = field(default_factory=dict)
    files: RunFiles = RunFiles()


@dataclass(frozen=True, slots=True)
class Trouble:
    """A file that could not be used.

    Attributes:
        path: The file.
        message: What is wrong with it.
    """

    path: Path
    message: str


@dataclass(frozen=True, slots=True)
class Sweep:
    """A folder of jobs.

    Attributes:
        folder: The sweep folder.
        state: As the launcher wrote it, "" for runs that were started by hand.
        command: The command line, empty if it is not known.
        started: Local time, "" if it is not known.
        ended: Local time, "" if it is not known.
        jobs: In the order of their numbers or names.
        troubles: Files that could not be used.
    """

    folder: Path
    state: str
    command: tuple[str, ...]
    started: str
    ended: str
    jobs: tuple[Job, ...]
    troubles: tuple[Trouble, ...]
