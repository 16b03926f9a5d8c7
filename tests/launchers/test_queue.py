"""Jobs on slots, with processes that are real but small."""

from __future__ import annotations

import itertools
import os
import random
import signal
import threading
import time
from pathlib import Path

import pytest
from hydra_plugins.qvl_torchrun_launcher._attempt import describe_exit
from hydra_plugins.qvl_torchrun_launcher._errors import LauncherError
from hydra_plugins.qvl_torchrun_launcher._locks import DeviceLocks
from hydra_plugins.qvl_torchrun_launcher._processes import processes_of
from hydra_plugins.qvl_torchrun_launcher._queue import Queue
from hydra_plugins.qvl_torchrun_launcher._signals import Interrupts
from hydra_plugins.qvl_torchrun_launcher._status import State, read_status
from shell_jobs import DONE, Story, make_queue
from sweeps import wait_for

SAVE = """trap 'echo "{\\"state\\": \\"preempted\\"}" > result.json; exit 75' TERM; touch waits; sleep 60 & wait"""
DEAF = "trap '' TERM; touch waits; while true; do sleep 0.1; done"


def states(queue: Queue) -> list[State]:
    return [status.state for status in queue.run().values()]


def test_every_slot_works_and_none_is_used_twice_at_a_time(tmp_path: Path) -> None:
    queue, story = make_queue(tmp_path, {number: f"sleep 0.1; {DONE}" for number in range(6)}, slots=3)
    assert states(queue) == [State.COMPLETED] * 6
    assert story.together == 3
    busy: set[str] = set()
    slots = {}
    for line in story.lines:
        word, job, *rest = line.split()
        if word == "start":
            assert rest[1] not in busy
            busy.add(rest[1])
            slots[job] = rest[1]
        else:
            busy.remove(slots[job])


@pytest.mark.parametrize(
    ("script", "state", "words"),
    [
        (DONE, State.COMPLETED, ""),
        (f"{DONE}; exit 3", State.FAILED, "exit code 3"),
        ("exit 0", State.FAILED, "without a result"),
        (f"{DONE}; kill -9 $$", State.FAILED, "killed by SIGKILL (kill -9, or the kernel because memory ran out)"),
        ("kill -SEGV $$", State.FAILED, "killed by SIGSEGV (a crash in native code)"),
        ("kill -TERM $$", State.FAILED, "killed by SIGTERM"),
        ("""echo '{"state": "preempted"}' > result.json; exit 75""", State.PREEMPTED, "saved its state"),
        ("echo '{' > result.json", State.FAILED, "without a result"),
        ("exec no-such-program", State.FAILED, "exit code 127"),
    ],
)
def test_only_a_result_and_exit_code_0_count_as_success(tmp_path: Path, script: str, state: State, words: str) -> None:
    queue, _ = make_queue(tmp_path, {0: script})
    assert states(queue) == [state]
    status = read_status(tmp_path / "0")
    assert status is not None and status.state == state
    assert words in (status.cause.exception if status.cause else "")
    assert status.return_value == (7 if state == State.COMPLETED else None)


def test_the_last_lines_of_the_log_are_kept(tmp_path: Path) -> None:
    queue, _ = make_queue(tmp_path, {0: "seq 100; echo 'oh no' >&2; exit 1"})
    (status,) = queue.run().values()
    assert status.cause is not None
    assert status.cause.last_lines == (*(str(number) for number in range(82, 101)), "oh no")


def test_a_failed_job_starts_again_as_often_as_allowed(tmp_path: Path) -> None:
    second = f"test $(wc -l < starts) -gt 1 && {DONE}"
    queue, story = make_queue(tmp_path, {0: second, 1: "exit 1"}, slots=1, max_restarts=2)
    assert states(queue) == [State.COMPLETED, State.FAILED]
    assert [line for line in story.lines if line.startswith("end")] == [
        "end 0 failed again",
        "end 0 completed",
        "end 1 failed again",
        "end 1 failed again",
        "end 1 failed",
    ]
    status = read_status(tmp_path / "1")
    assert status is not None and status.attempt == 3
    assert [entry["attempt"] for entry in status.history] == [1, 2]
    assert sorted(path.name for path in (tmp_path / "1").glob("launcher*.log")) == [
        "launcher.1.log",
        "launcher.2.log",
        "launcher.log",
    ]


def test_a_job_that_takes_too_long_is_stopped_for_good(tmp_path: Path) -> None:
    queue, _ = make_queue(tmp_path, {0: DEAF, 1: DONE}, timeout_min=0.01, grace_s=0.3, max_restarts=3)
    assert states(queue) == [State.TIMED_OUT, State.COMPLETED]
    assert len((tmp_path / "0" / "starts").read_text().splitlines()) == 1


def test_a_job_is_hanging_when_its_progress_stands_still_and_may_start_again(tmp_path: Path) -> None:
    works = f"for i in 1 2 3 4 5 6; do echo '{{}}' > progress.json; sleep 0.5; done; {DONE}"
    hangs = f"test $(wc -l < starts) -gt 1 && {DONE} || {{ echo '{{}}' > progress.json; sleep 60; }}"
    queue, story = make_queue(tmp_path, {0: works, 1: hangs}, stall_min=0.03, grace_s=0.3, max_restarts=1)
    assert states(queue) == [State.COMPLETED, State.COMPLETED]
    assert "end 1 timed_out again" in story.lines


def test_processes_that_a_job_leaves_are_ended(tmp_path: Path) -> None:
    queue, _ = make_queue(tmp_path, {0: f"setsid sleep 60 & setsid sh -c 'trap \"\" TERM; sleep 60' & {DONE}"})
    assert states(queue) == [State.COMPLETED]
    assert processes_of(queue.place.sweep) == []


def test_the_first_failure_stops_the_others_where_that_is_wanted(tmp_path: Path) -> None:
    queue, _ = make_queue(tmp_path, {0: SAVE, 1: "sleep 0.3; exit 1", 2: DONE}, on_failure="stop")
    assert states(queue) == [State.PREEMPTED, State.FAILED, State.PENDING]


@pytest.mark.parametrize(
    ("number", "script", "state"),
    [
        (signal.SIGINT, SAVE, State.PREEMPTED),
        (signal.SIGTERM, SAVE, State.PREEMPTED),
        (signal.SIGINT, DEAF, State.STOPPED),
        (signal.SIGTERM, DEAF, State.STOPPED),
    ],
)
def test_a_signal_ends_all_jobs(tmp_path: Path, number: signal.Signals, script: str, state: State) -> None:
    with Interrupts() as interrupts:
        queue, story = make_queue(
            tmp_path, {0: script, 1: script, 2: DONE}, interrupts=interrupts, grace_s=0.5, preempt_grace_s=1.0
        )
        _send_when(lambda: len(list(tmp_path.glob("*/waits"))) == 2, number)
        assert states(queue) == [state, state, State.PENDING]
    assert interrupts.exit_code == 128 + number
    assert any(line.startswith(number.name) for line in story.lines)
    assert processes_of(queue.place.sweep) == []


def test_a_signal_that_is_ignored_stays_ignored_as_under_nohup() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Interrupts() as interrupts:
            os.kill(os.getpid(), signal.SIGHUP)
        assert interrupts.first is None
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_second_interrupt_does_not_wait(tmp_path: Path) -> None:
    begun = time.monotonic()
    with Interrupts() as interrupts:
        queue, story = make_queue(tmp_path, {0: DEAF}, interrupts=interrupts, grace_s=60)
        _send_when(lambda: (tmp_path / "0" / "waits").exists(), signal.SIGTERM)
        _send_when(lambda: bool(_notes(story)), signal.SIGINT)
        assert states(queue) == [State.STOPPED]
    assert time.monotonic() - begun < 20


def test_a_job_holds_the_lock_of_its_device_itself_in_case_the_launcher_is_killed(tmp_path: Path) -> None:
    queue, _ = make_queue(tmp_path, {0: f"ls -l /proc/$$/fd > held; {DONE}"}, slots=1, devices=("0",))
    assert states(queue) == [State.COMPLETED]
    assert f"-> {tmp_path}/locks/" in (tmp_path / "0/held").read_text()


def test_devices_that_another_launcher_holds_are_waited_for(tmp_path: Path) -> None:
    locks = DeviceLocks(tmp_path / "locks")
    held = locks.take(("1",), timeout_s=0)
    queue, story = make_queue(tmp_path, {0: DONE, 1: DONE}, devices=("0", "1"))
    assert states(queue) == [State.COMPLETED] * 2
    assert [line for line in story.lines if line.startswith("start")] == ["start 0 on 0", "start 1 on 0"]
    queue, _ = make_queue(tmp_path, {0: DONE}, slots=1, devices=("1",), lock_timeout_s=0.3)
    with pytest.raises(LauncherError, match=f"device 1 is held by pid {os.getpid()}"):
        queue.run()
    held.release()


def test_starts_are_staggered(tmp_path: Path) -> None:
    queue, _ = make_queue(tmp_path, {number: DONE for number in range(3)}, slots=3, stagger_s=0.3)
    queue.run()
    times = sorted(float((tmp_path / str(number) / "starts").read_text()) for number in range(3))
    assert all(after - before > 0.25 for before, after in itertools.pairwise(times))


def test_an_error_of_the_launcher_leaves_nothing_behind(tmp_path: Path) -> None:
    queue, story = make_queue(tmp_path, {0: DEAF, 1: DEAF})

    def fail(running: object, *, waiting: int) -> None:
        if len(list(tmp_path.glob("*/waits"))) == 2:
            raise OSError("the terminal is gone")

    story.update = fail  # type: ignore[method-assign]
    with pytest.raises(OSError, match="terminal"):
        queue.run()
    assert processes_of(queue.place.sweep) == []
    status = read_status(tmp_path / "0")
    assert status is not None and status.state == State.STOPPED


def test_forty_jobs_in_chaos_are_all_accounted_for(tmp_path: Path) -> None:
    rng = random.Random(20)
    kinds = {
        State.COMPLETED: [f"sleep 0.05; {DONE}", f"setsid sleep 60 & {DONE}"],
        State.FAILED: ["exit 1", "kill -9 $$", "exit 0", f"{DONE}; exit 2", "touch victim; sleep 60"],
        State.TIMED_OUT: [DEAF],
    }
    expected = [rng.choices([*kinds], weights=[5, 5, 1])[0] for _ in range(40)]
    scripts = {number: rng.choice(kinds[state]) for number, state in enumerate(expected)}
    queue, _ = make_queue(tmp_path, scripts, slots=6, timeout_min=0.03, grace_s=0.2)
    killer = threading.Thread(target=_kill_victims, args=(tmp_path, queue), daemon=True)
    killer.start()
    found = states(queue)
    killed = {path.parent.name for path in tmp_path.glob("*/killed")}
    victims = {str(number) for number, script in scripts.items() if "victim" in script}
    assert killed == victims and len(victims) >= 2
    assert found == expected
    written = [read_status(tmp_path / str(number)) for number in range(40)]
    assert [status.state for status in written if status] == expected
    assert processes_of(queue.place.sweep) == []


@pytest.mark.parametrize(
    ("code", "words"),
    [(1, "exit code 1"), (137, "killed by SIGKILL (kill"), (-6, "SIGABRT"), (-40, "signal 40"), (200, "exit code 200")],
)
def test_exit_codes_are_told_in_words(code: int, words: str) -> None:
    assert words in describe_exit(code)


def _send_when(is_so: object, number: signal.Signals) -> None:
    def send() -> None:
        if wait_for(is_so):  # type: ignore[arg-type]
            os.kill(os.getpid(), number)

    threading.Thread(target=send, daemon=True).start()


def _notes(story: Story) -> list[str]:
    return [line for line in story.lines if line.startswith("SIG")]


def _kill_victims(folder: Path, queue: Queue) -> None:
    while queue.waiting or queue.running:
        for mark in folder.glob("*/victim"):
            status = read_status(mark.parent)
            if status is not None and status.state == State.RUNNING and not (mark.parent / "killed").exists():
                (mark.parent / "killed").touch()
                for pid in processes_of(status.token or "none"):
                    os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)
