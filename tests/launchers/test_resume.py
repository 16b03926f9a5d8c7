"""The same command again: what is done stays done, the rest goes on; nothing is lost or told wrong."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from pathlib import Path

import pytest
from sweeps import end, leftovers, read, run, settings, start, wait_for

FOUR = settings(cpu_processes=4)


@pytest.mark.slow
def test_a_changed_sweep_keeps_what_it_shares_with_the_old_one(tmp_path: Path) -> None:
    run(tmp_path, "x=1")
    done = run(tmp_path, "x=3,1")
    assert done.code == 0
    jobs = read(done.folder / "sweep.json")["jobs"]
    new = jobs[0]["folder"]
    assert [entry["folder"] for entry in jobs] == [new, "0"]
    assert new.startswith("0-")
    assert [done.status(name)["return_value"] for name in (new, "0")] == [6, 2]
    assert [len(done.starts(name)) for name in (new, "0")] == [1, 1]


@pytest.mark.slow
def test_a_killed_launcher_leaves_no_process_and_its_sweep_goes_on(tmp_path: Path) -> None:
    sweep = ["x=1,2,3,4,5", "+actions={3:preempt,4:ignore_sigterm}", *settings(cpu_processes=2, grace_s=1)]
    process = start(tmp_path, *sweep)
    assert wait_for(lambda: len(list((tmp_path / "runs").glob("*/waits"))) == 2)
    process.kill()
    killed = end(process, tmp_path)
    assert killed.code == -signal.SIGKILL
    assert wait_for(lambda: not leftovers(tmp_path), timeout_s=10)
    states = {"0": "completed", "1": "completed", "2": "running", "3": "running", "4": "pending"}
    assert killed.states() == states
    (killed.folder / "mended").touch()
    done = run(tmp_path, *sweep)
    assert done.code == 0
    assert done.states() == dict.fromkeys("01234", "completed")
    assert [len(done.starts(name)) for name in "01234"] == [1, 1, 2, 2, 1]
    assert [done.status(name)["attempt"] for name in "01234"] == [1, 1, 2, 2, 1]


def test_a_job_whose_launcher_was_killed_is_ended_before_it_starts_again(tmp_path: Path) -> None:
    process = start(tmp_path, "x=1,2", "action=ignore_sigterm", *settings(grace_s=30))
    assert wait_for(lambda: len(list((tmp_path / "runs").glob("*/waits"))) == 2)
    process.kill()
    process.wait()
    (tmp_path / "runs" / "mended").touch()
    done = run(tmp_path, "x=1,2", "action=ignore_sigterm")
    assert done.states() == {"0": "completed", "1": "completed"}
    assert wait_for(lambda: not leftovers(tmp_path))


@pytest.mark.slow
def test_eight_jobs_in_chaos_and_what_is_left_of_them(tmp_path: Path) -> None:
    kinds = ["none"] * 2 + ["fail", "kill_self_once", "leave_once", "orphan"] + ["wait"] * 2
    random.Random(3).shuffle(kinds)
    numbers = ",".join(str(number) for number in range(8))
    actions = ",".join(f"{number}:{kind}" for number, kind in enumerate(kinds))
    sweep = [f"x={numbers}", f"+actions={{{actions}}}", *FOUR]
    process = start(tmp_path, *sweep)
    killer = threading.Thread(target=_kill_waiting, args=(tmp_path / "runs", 2), daemon=True)
    killer.start()
    done = end(process, tmp_path, timeout_s=90)
    ends_well = {"none", "orphan"}
    assert done.code == 1
    assert done.states() == {
        str(number): "completed" if kind in ends_well else "failed" for number, kind in enumerate(kinds)
    }
    assert leftovers(tmp_path) == []
    (done.folder / "mended").touch()
    again = run(tmp_path, *sweep, timeout_s=90)
    assert again.code == 0
    assert again.out.count("by an earlier run") == kinds.count("none") + kinds.count("orphan")
    assert [len(again.starts(str(number))) for number in range(8)] == [1 if kind in ends_well else 2 for kind in kinds]
    assert [again.status(str(number))["return_value"] for number in range(8)] == [2 * number for number in range(8)]
    assert leftovers(tmp_path) == []


def _kill_waiting(folder: Path, count: int) -> None:
    """Kill so many jobs that wait for it."""
    killed: set[Path] = set()
    finish = time.monotonic() + 60
    while len(killed) < count and time.monotonic() < finish:
        for mark in set(folder.glob("*/waits")) - killed:
            killed.add(mark)
            os.kill(int(mark.read_text()), signal.SIGKILL)
        time.sleep(0.02)
