"""What the user sees of a sweep: a live table in a terminal, plain lines elsewhere, one line a job at the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType

from hydra_plugins.qvl_torchrun_launcher._status import State
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

__all__ = ["Row", "Screen", "differing", "duration"]

REFRESH_S = 0.5  # of the live table
PROGRESS_S = 30.0  # between two lines about progress where there is no terminal
SHOWN_ENDS = 8  # jobs that have ended and stay in the live table

STYLES = {
    State.COMPLETED: "green",
    State.RUNNING: "cyan",
    State.PENDING: "dim",
    State.FAILED: "bold red",
    State.TIMED_OUT: "bold red",
    State.PREEMPTED: "yellow",
    State.STOPPED: "yellow",
}


@dataclass(frozen=True)
class Row:
    """What is shown of a job.

    Attributes:
        job: Number.
        label: Overrides in which it differs from the others.
        state: See `State`.
        slot: Number of its slot while it runs.
        devices: CUDA devices.
        seconds: How long it has run.
        progress: Content of its progress.json.
        remark: Why it did not complete, or where its result comes from.
    """

    job: int
    label: str
    state: State
    slot: int | None = None
    devices: Sequence[str] = ()
    seconds: float | None = None
    progress: Mapping[str, object] = field(default_factory=dict)
    remark: str = ""


class Screen:
    """Shows a sweep while it runs.

    Args:
        console: Of rich; default is standard output.
        clock: Seconds that only go up.
    """

    def __init__(self, console: Console | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.console = console or Console(highlight=False)
        self._clock = clock
        self._next = 0.0
        self._ended: list[Row] = []
        self._live: Live | None = None

    def __enter__(self) -> Screen:
        if self.console.is_terminal:
            self._live = Live(console=self.console, auto_refresh=False, transient=True, redirect_stdout=False)
            self._live.start()
        else:
            self._next = self._clock() + PROGRESS_S
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def note(self, text: str) -> None:
        """Print a line."""
        self.console.print(_printable(text), soft_wrap=True)

    def started(self, row: Row, *, attempt: int) -> None:
        """Tell that a job starts."""
        if self._live is None:
            place = f" on device {','.join(row.devices)}" if row.devices else ""
            again = f", attempt {attempt}" if attempt > 1 else ""
            self.note(f"job {row.job} starts{place}{again}: {row.label}")

    def ended(self, row: Row, *, again: bool) -> None:
        """Tell that a job has ended; with `again` it starts once more."""
        if not again:
            self._ended.append(row)
        if self._live is None:
            self.note(_line(row))

    def update(self, running: Callable[[], Sequence[Row]], *, waiting: int) -> None:
        """Show how far the jobs are, if the last time is long enough ago.

        Args:
            running: Returns a row for each job that runs; called only if they are shown.
            waiting: Number of jobs that wait.
        """
        if self._clock() < self._next:
            return
        self._next = self._clock() + (REFRESH_S if self._live else PROGRESS_S)
        if self._live is not None:
            self._live.update(live_table(running(), self._ended, waiting=waiting), refresh=True)
            return
        rows = running()
        done = sum(row.state == State.COMPLETED for row in self._ended)
        self.note(f"{len(rows)} run, {waiting} wait, {done} completed, {len(self._ended) - done} did not")
        for row in rows:
            self.note(f"  job {row.job} {duration(row.seconds)}{_progress_text(row.progress)}")

    def summary(self, rows: Sequence[Row]) -> None:
        """Print one line for each job of the sweep."""
        counts = {state: sum(row.state == state for row in rows) for state in State}
        head = ", ".join(f"{count} {_words(state)}" for state, count in counts.items() if count)
        if not self.console.is_terminal:
            self.note(f"sweep: {head}")
            for row in rows:
                self.note(f"  {_line(row)}")
            return
        table = Table(title=f"sweep: {head}", title_justify="left")
        for name in ("job", "overrides", "state", "time", ""):
            table.add_column(name, justify="right" if name in ("job", "time") else "left", overflow="fold")
        for row in rows:
            cells = (str(row.job), row.label, _words(row.state), duration(row.seconds), row.remark)
            table.add_row(*_cells(cells, row.state))
        self.console.print(table)


def live_table(running: Sequence[Row], ended: Sequence[Row], *, waiting: int) -> Table:
    """Return the table of jobs that run, with the last ones that have ended."""
    done = sum(row.state == State.COMPLETED for row in ended)
    caption = f"{len(running)} run, {waiting} wait, {done} completed, {len(ended) - done} did not"
    table = Table(caption=caption, caption_justify="left")
    for name in ("slot", "job", "overrides", "state", "step", "loss", "speed", "ETA", "GPU memory"):
        table.add_column(name, justify="left" if name in ("overrides", "state") else "right")
    for row in [*running, *ended[-SHOWN_ENDS:]]:
        slot = "" if row.slot is None else f"{row.slot}: {','.join(row.devices)}" if row.devices else str(row.slot)
        state = f"{_words(row.state)} {duration(row.seconds)}" + (f": {row.remark}" if row.remark else "")
        table.add_row(*_cells((slot, str(row.job), row.label, state, *_progress_cells(row.progress)), row.state))
    return table


def differing(overrides: Sequence[Sequence[str]]) -> list[str]:
    """Return, for each job, the overrides that not all jobs share."""
    shared = set(overrides[0]).intersection(*overrides[1:]) if len(overrides) > 1 else set()
    return [" ".join(text for text in texts if text not in shared) for texts in overrides]


def duration(seconds: object) -> str:
    """Return seconds in the form 1:02:03 or 2:03, "" for what is no number."""
    if not isinstance(seconds, int | float) or isinstance(seconds, bool) or not 0 <= seconds < 1e9:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _line(row: Row) -> str:
    time_taken = f" after {duration(row.seconds)}" if row.seconds is not None else ""
    remark = f": {row.remark}" if row.remark else ""
    return f"job {row.job} {_words(row.state)}{time_taken}{remark}  [{row.label}]"


def _words(state: State) -> str:
    return state.replace("_", " ")


def _progress_cells(progress: Mapping[str, object]) -> tuple[str, ...]:
    step, steps = _number(progress.get("step"), ""), _number(progress.get("max_steps"), "")
    return (
        f"{step}/{steps}" if step and steps else step,
        _number(progress.get("loss"), "", ".4g"),
        _number(progress.get("steps_per_second"), "/s", ".3g"),
        duration(progress.get("eta_seconds")),
        _number(progress.get("gpu_memory_gb"), " GB", ".1f"),
    )


def _progress_text(progress: Mapping[str, object]) -> str:
    names = ("step", "loss", "speed", "ETA", "GPU memory")
    cells = zip(names, _progress_cells(progress), strict=True)
    return "".join(f", {name} {cell}" for name, cell in cells if cell)


def _number(value: object, unit: str, form: str = "") -> str:
    """Return a number of a file that anybody may have written."""
    return f"{value:{form}}{unit}" if isinstance(value, int | float) and not isinstance(value, bool) else ""


def _cells(texts: Sequence[str], state: State) -> list[Text]:
    return [Text(_printable(text).plain, style=STYLES[state] if state != State.RUNNING else "") for text in texts]


def _printable(text: str) -> Text:
    """Return text without markup, colours or moves of the cursor that somebody has put into an override."""
    plain = "".join(
        char if char.isprintable() or char == "\n" else char.encode("unicode_escape").decode() for char in text
    )
    return Text(plain)
