"""What is shown of a sweep, with and without a terminal."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hydra_plugins.qvl_torchrun_launcher._preview import plan
from hydra_plugins.qvl_torchrun_launcher._slots import Slot
from hydra_plugins.qvl_torchrun_launcher._status import State
from hydra_plugins.qvl_torchrun_launcher._table import Row, Screen, differing, duration, live_table
from rich.console import Console

PROGRESS = {
    "step": 12,
    "max_steps": 100,
    "loss": 0.51234,
    "steps_per_second": 1.25,
    "eta_seconds": 73,
    "gpu_memory_gb": 12.34,
}
RUNNING = Row(4, "lr=0.1", State.RUNNING, slot=1, devices=("2", "3"), seconds=65.0, progress=PROGRESS)
FAILED = Row(5, "lr=0.2", State.FAILED, seconds=3.0, remark="rank 1: ValueError: boom")
DONE = Row(6, "lr=0.3", State.COMPLETED, seconds=3700.0)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def screen(*, terminal: bool) -> tuple[Screen, io.StringIO, Clock]:
    out, clock = io.StringIO(), Clock()
    console = Console(file=out, force_terminal=terminal, width=150, highlight=False, color_system=None)
    return Screen(console, clock=clock), out, clock


def test_without_a_terminal_jobs_begin_and_end_with_a_line() -> None:
    shown, out, _ = screen(terminal=False)
    with shown:
        shown.started(RUNNING, attempt=1)
        shown.started(RUNNING, attempt=2)
        shown.ended(FAILED, again=False)
    assert out.getvalue().splitlines() == [
        "job 4 starts on device 2,3: lr=0.1",
        "job 4 starts on device 2,3, attempt 2: lr=0.1",
        "job 5 failed after 0:03: rank 1: ValueError: boom  [lr=0.2]",
    ]


def test_without_a_terminal_progress_is_told_every_half_minute() -> None:
    shown, out, clock = screen(terminal=False)
    with shown:
        shown.ended(FAILED, again=False)
        for second in range(70):
            clock.now = second
            shown.update(lambda: [RUNNING], waiting=3)
    lines = out.getvalue().splitlines()[1:]
    assert lines == 2 * [
        "1 run, 3 wait, 0 completed, 1 did not",
        "  job 4 1:05, step 12/100, loss 0.5123, speed 1.25/s, ETA 1:13, GPU memory 12.3 GB",
    ]


def test_a_terminal_shows_a_live_table() -> None:
    shown, out, clock = screen(terminal=True)
    with shown:
        shown.ended(FAILED, again=False)
        clock.now = 1.0
        shown.update(lambda: [RUNNING], waiting=3)
    for text in ("slot", "1: 2,3", "lr=0.1", "running 1:05", "12/100", "0.5123", "1.25/s", "1:13", "12.3 GB", "3 wait"):
        assert text in out.getvalue()
    assert "failed 0:03: rank 1: ValueError: boom" in out.getvalue()


@pytest.mark.parametrize("terminal", [True, False])
def test_every_job_has_one_line_at_the_end(terminal: bool) -> None:
    shown, out, _ = screen(terminal=terminal)
    shown.summary([RUNNING, FAILED, DONE])
    lines = out.getvalue().splitlines()
    for row, state in ((FAILED, "failed"), (DONE, "completed")):
        assert sum(row.label in line and state in line for line in lines) == 1
    assert any("1 running, 1 completed, 1 failed" in line for line in lines)
    assert any("1:01:40" in line for line in lines)


@pytest.mark.parametrize("terminal", [True, False])
def test_nothing_in_an_override_moves_the_cursor_or_is_markup(terminal: bool) -> None:
    shown, out, _ = screen(terminal=terminal)
    row = Row(1, "t=[red]a[/red]\x1b[2J\a\udc80 [/]", State.FAILED, remark="[bold]x\x1b]0;t\a")
    shown.ended(row, again=False)
    shown.summary([row])
    text = out.getvalue()
    assert "[red]a[/red]\\x1b[2J\\x07\\udc80 [/]" in text
    assert "[bold]x\\x1b]0;t\\x07" in text
    assert "\x1b[2J" not in text and "\a" not in text


@pytest.mark.parametrize(
    "progress", [{}, {"step": "x", "loss": None, "eta_seconds": -1}, {"loss": float("nan"), "step": True}]
)
def test_strange_progress_does_not_stop_the_table(progress: dict[str, object]) -> None:
    table = live_table([Row(0, "", State.RUNNING, progress=progress)], [], waiting=0)
    assert table.row_count == 1


def test_a_live_table_stays_short() -> None:
    assert live_table([RUNNING], [DONE] * 500, waiting=0).row_count < 12


def test_only_what_differs_is_shown() -> None:
    assert differing([["a=1", "b=2"], ["a=1", "b=3"]]) == ["b=2", "b=3"]
    assert differing([["a=1", "b=2"]]) == ["a=1 b=2"]
    assert differing([["a=1"], ["a=1"]]) == ["", ""]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00"), (59.6, "1:00"), (3661, "1:01:01"), (None, ""), ("x", ""), (float("nan"), ""), (True, "")],
)
def test_durations_are_told_in_minutes(seconds: object, text: str) -> None:
    assert duration(seconds) == text


def test_a_plan_fills_the_slots_wave_by_wave(tmp_path: Path) -> None:
    slots = [Slot(0, ("0",), 1), Slot(1, ("1",), 1)]
    found = [(job, slot.number, wave) for job, slot, wave in plan(["a", "b", "c"], slots)]  # type: ignore[list-item]
    assert found == [("a", 0, 0), ("b", 1, 0), ("c", 0, 1)]
