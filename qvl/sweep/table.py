"""The table of jobs, the same on the page, in Markdown and on the console."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain

from qvl.metrics import label_of
from qvl.sweep.analysis import Analysis
from qvl.sweep.job import Job
from qvl.sweep.settings import as_number, short_names
from qvl.sweep.words import tell_duration, tell_number, tell_speed

__all__ = ["Cell", "Column", "Row", "captions", "make_table"]

BEST_MARK = "★"


@dataclass(frozen=True, slots=True)
class Column:
    """Head of a column.

    Attributes:
        name: As it is shown.
        full_name: Of a swept key with all its parts, of a score its name in `metrics.json`.
        kind: job, setting, state, metric, before or cost.
    """

    name: str
    kind: str
    full_name: str = ""

    @property
    def is_number(self) -> bool:
        """Whether its cells stand to the right."""
        return self.kind in ("metric", "before", "cost")


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell.

    Attributes:
        text: As it is shown.
        order: What the table is sorted by; None is always last.
    """

    text: str
    order: float | str | None


@dataclass(frozen=True, slots=True)
class Row:
    """A job, its place in the sweep, and its cells."""

    number: int
    job: Job
    cells: tuple[Cell, ...]
    is_best: bool


Teller = Callable[[float | None], str]


def make_table(analysis: Analysis) -> tuple[tuple[Column, ...], tuple[Row, ...]]:
    """Return the head and one row for each job, in the order of the sweep.

    The deciding metric is the first one, and so are its scores before training.
    """
    columns = [Column("job", "job")]
    columns += [Column(name, "setting", key) for key, name in short_names(analysis.keys).items()]
    columns += [Column("state", "state")]
    columns += [Column(label_of(name), "metric", name) for name in analysis.metrics]
    columns += [Column(f"{label_of(name)} before", "before", name) for name in analysis.before]
    columns += [Column("time", "cost"), Column("speed", "cost")]
    return tuple(columns), tuple(_row(number, job, analysis) for number, job in enumerate(analysis.sweep.jobs))


def captions(analysis: Analysis, *, hint: str = "") -> Iterator[str]:
    """Yield the lines that stand under the table, as plain text.

    Args:
        analysis: What to tell.
        hint: Stands behind the line about the star.
    """
    if analysis.best is not None:
        direction = "highest" if analysis.higher_is_better else "lowest"
        yield f"{BEST_MARK} {direction} {analysis.metric}.{hint}"
    if analysis.same_before:
        scores = ", ".join(f"{label_of(name)} {tell_number(value)}" for name, value in analysis.same_before.items())
        yield f"Before training, the same for all: {scores}."
    for key, folder in analysis.folders.items():
        yield f"{key}: paths in {folder}"


def _row(number: int, job: Job, analysis: Analysis) -> Row:
    is_best = job.name == analysis.best
    cells = chain(
        [Cell(f"{job.name} {BEST_MARK}" if is_best else job.name, number)],
        (_setting(job.settings.get(key)) for key in analysis.keys),
        [_state(job)],
        (_number(job.after.get(name), tell_number) for name in analysis.metrics),
        (_number(job.before.get(name), tell_number) for name in analysis.before),
        [_number(job.seconds, tell_duration), _number(job.speed, tell_speed)],
    )
    return Row(number, job, tuple(cells), is_best)


def _setting(value: str | None) -> Cell:
    if value is None:
        return Cell("-", None)
    number = as_number(value)
    return Cell(value, value if number is None else number)


def _state(job: Job) -> Cell:
    remarks = []
    if job.state == "running" and job.progress and job.progress.share is not None:
        remarks.append(f"{job.progress.share:.0%}")
    if job.attempt > 1:
        remarks.append(f"attempt {job.attempt}")
    return Cell(f"{job.state} ({', '.join(remarks)})" if remarks else job.state, job.state)


def _number(value: float | None, tell: Teller) -> Cell:
    return Cell(tell(value), value)
