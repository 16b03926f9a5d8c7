"""Whoever is killed, no process of a job is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import pytest
from hydra_plugins.qvl_torchrun_launcher._causes import first_cause
from hydra_plugins.qvl_torchrun_launcher._guard import Guard
from hydra_plugins.qvl_torchrun_launcher._locks import DeviceLocks
from hydra_plugins.qvl_torchrun_launcher._proc import facts_of
from hydra_plugins.qvl_torchrun_launcher._processes import (
    PARENT,
    TOKEN,
    Command,
    agent_argv,
    clean_up,
    die_with_parent,
    kill_ranks,
    new_sweep,
    new_token,
    processes_of,
    start,
    stop,
)

TOY = Path(__file__).with_name("toy_processes.py")
PROCESSES_OF_A_JOB = 5  # an agent, two ranks, two workers
LIMIT_S = 10.0


@dataclass(frozen=True)
class Row:
    """Who gets which signal, and whether ranks and workers are deaf to SIGTERM."""

    victim: str
    number: signal.Signals
    stubborn: bool
    guarded: bool = True

    def __str__(self) -> str:
        return f"{self.victim}-{self.number.name}{'-stubborn' * self.stubborn}{'-unguarded' * (not self.guarded)}"


@dataclass
class Result:
    """How long it took until nothing was left, and what was left in the end."""

    seconds: float = -1.0
    left: int = -1


ROWS = [
    *(Row("launcher", *rest) for rest in product((signal.SIGINT, signal.SIGTERM, signal.SIGKILL), (False, True))),
    *(Row(*rest) for rest in product(("agent", "rank", "worker"), (signal.SIGKILL,), (False, True))),
    *(Row(*rest, False) for rest in product(("agent", "rank", "worker"), (signal.SIGINT, signal.SIGTERM))),
]
UNGUARDED = Row("launcher", signal.SIGKILL, stubborn=True, guarded=False)


def until(condition: Callable[[], object], timeout_s: float = LIMIT_S, *, tick_s: float = 0.02) -> bool:
    end = time.monotonic() + timeout_s
    while not condition() and time.monotonic() < end:
        time.sleep(tick_s)
    return bool(condition())


class Sweep:
    """A toy launcher with its job."""

    def __init__(self, folder: Path, row: Row) -> None:
        folder.mkdir(exist_ok=True)
        self.row = row
        self.folder = folder
        self.sweep = new_sweep()
        options = ["stubborn"] * row.stubborn + ["unguarded"] * (not row.guarded)
        self.process = subprocess.Popen([sys.executable, str(TOY), "launcher", str(folder), self.sweep, *options])
        self.guard = 0
        self.struck = 0.0
        self.result = Result()

    def strike(self) -> None:
        """Wait until all run, then kill the one."""
        assert until(lambda: len(list(self.folder.glob("worker-*"))) == 2, 30)
        assert len(processes_of(self.sweep)) == PROCESSES_OF_A_JOB
        agent, self.guard = (int(text) for text in (self.folder / "pids").read_text().split())
        worker = int((self.folder / "worker-1").read_text())
        rank = facts_of(worker)
        assert rank is not None
        victims = {"launcher": self.process.pid, "agent": agent, "rank": rank.parent, "worker": worker}
        self.struck = time.monotonic()
        os.kill(victims[self.row.victim], self.row.number)

    def look(self) -> bool:
        """Note when all have gone; return whether they have."""
        left = processes_of(self.sweep)
        gone = not left and self.process.poll() is not None and facts_of(self.guard) is None
        if self.result.seconds < 0 and gone:
            self.result.seconds = time.monotonic() - self.struck
        self.result.left = len(left)
        return gone


def play(sweeps: Sequence[Sweep]) -> dict[Row, Result]:
    """Strike all at the same time and see what is left."""
    try:
        for sweep in sweeps:
            sweep.strike()
        until(lambda: all([sweep.look() or not sweep.row.guarded for sweep in sweeps]), tick_s=0.2)
        return {sweep.row: sweep.result for sweep in sweeps}
    finally:
        for sweep in sweeps:
            sweep.process.kill()
            sweep.process.wait()
            clean_up(sweep.sweep)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[Row, Result]:
    """Play all rows."""
    folder = tmp_path_factory.mktemp("matrix")
    return play([Sweep(folder / str(row), row) for row in [*ROWS, UNGUARDED]])


@pytest.mark.slow
@pytest.mark.parametrize("row", ROWS, ids=str)
def test_a_kill_leaves_no_process(results: dict[Row, Result], row: Row) -> None:
    assert results[row].left == 0
    assert 0 <= results[row].seconds < LIMIT_S


@pytest.mark.slow
def test_without_the_guard_a_killed_launcher_leaves_processes(results: dict[Row, Result]) -> None:
    assert results[UNGUARDED].left > 0


@pytest.mark.slow
def test_with_the_true_torchrun_neither(make_job: Callable[..., Path]) -> None:
    rows = [Row(victim, signal.SIGKILL, stubborn=True) for victim in ("launcher", "agent")]
    jobs = [make_job("toy_task:train", folder=str(row), stubborn=True) for row in rows]
    results = play([Sweep(job.parent, row) for job, row in zip(jobs, rows, strict=True)])
    assert all(result.left == 0 and 0 <= result.seconds < LIMIT_S for result in results.values()), results


def command(folder: Path, script: str, **environment: str) -> Command:
    env = {**os.environ, **environment}
    return Command((sys.executable, "-c", script), env, folder / "log", new_token(new_sweep()))


def test_output_is_appended_to_the_log(tmp_path: Path) -> None:
    for word in ("first", "second"):
        process = start(command(tmp_path / "new", f"print({word!r}); raise SystemExit(3)"))
        assert until(lambda process=process: process.poll() is not None)
        assert process.poll() == 3
    assert (tmp_path / "new" / "log").read_text() == "first\nsecond\n"


def test_a_job_has_a_session_of_its_own_and_knows_token_and_parent(tmp_path: Path) -> None:
    script = f"import os, sys; print(os.getsid(0) == os.getpid(), os.environ[{PARENT!r}], sys.stdin.read() == '')"
    process = start(command(tmp_path, script))
    assert until(lambda: process.poll() is not None)
    assert (tmp_path / "log").read_text() == f"True {os.getpid()} True\n"


def test_a_job_holds_its_devices_even_if_the_launcher_is_killed(tmp_path: Path) -> None:
    locks = DeviceLocks(tmp_path / "locks")
    held = locks.take(["0"], timeout_s=0)
    job = start(replace(command(tmp_path, DEAF), descriptors=held.descriptors))
    os.close(held.descriptors[0])  # as the kernel does for a killed launcher
    assert locks.free(["0"]) == ()
    stop([job], grace_s=0)
    assert locks.free(["0"]) == ("0",)


def test_only_the_main_thread_starts_jobs(tmp_path: Path) -> None:
    refused: list[str] = []

    def attempt() -> None:
        for begin in (lambda: start(command(tmp_path, "pass")), Guard(new_sweep()).start):
            with pytest.raises(RuntimeError, match="by the main thread") as error:
                begin()
            refused.append(str(error.value))

    thread = threading.Thread(target=attempt)
    thread.start()
    thread.join()
    assert len(refused) == 2


def test_a_child_that_comes_too_late_ends_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    child = os.fork()
    if child == 0:
        os.environ[PARENT] = "1"
        try:
            die_with_parent(signal.SIGKILL)
        except SystemExit:
            os._exit(7)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_a_polite_stop_lets_the_job_save(tmp_path: Path) -> None:
    script = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (time.sleep(0.5), print("saved", flush=True), sys.exit(75)))
print("ready", flush=True)
time.sleep(60)
"""
    process = start(command(tmp_path, script))
    log = tmp_path / "log"
    assert until(lambda: log.read_text() == "ready\n")
    stop([process], grace_s=10)
    assert process.poll() == 75
    assert log.read_text() == "ready\nsaved\n"


DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(60)"


@pytest.mark.parametrize(
    ("grace_s", "hurried", "least", "most"),
    [(0.0, False, 0.0, 2.0), (1.0, False, 1.0, 3.0), (60.0, True, 0.0, 2.0)],
)
def test_deaf_jobs_are_killed_together_when_the_time_is_up(
    tmp_path: Path, grace_s: float, hurried: bool, least: float, most: float
) -> None:
    jobs = [start(command(tmp_path / str(number), DEAF)) for number in range(3)]
    assert until(lambda: all((tmp_path / str(number) / "log").read_text() for number in range(3)))
    before = time.monotonic()
    stop(jobs, grace_s=grace_s, hurry=lambda: hurried)
    assert least <= time.monotonic() - before < most
    assert [job.poll() for job in jobs] == [-signal.SIGKILL] * 3


def test_clean_up_kills_what_a_finished_job_has_left_and_no_stranger(tmp_path: Path) -> None:
    script = "import subprocess; subprocess.Popen(['sleep', '60'], start_new_session=True)"
    mine, other = command(tmp_path, script), command(tmp_path / "other", DEAF)
    stranger = start(other)
    job = start(mine)
    assert until(lambda: job.poll() is not None)
    assert len(processes_of(mine.token)) == 1
    found = clean_up(mine.token)
    assert (found.killed, found.left) == (1, ())
    assert processes_of(mine.token) == []
    assert clean_up(mine.token).killed == 0
    assert stranger.poll() is None
    stop([stranger], grace_s=0)


def test_a_token_of_a_sweep_finds_its_jobs_and_no_others(tmp_path: Path) -> None:
    sweep = new_sweep()
    jobs = [start(Command(("sleep", "60"), dict(os.environ), tmp_path / "log", new_token(sweep))) for _ in range(2)]
    other = start(command(tmp_path, DEAF))
    assert sorted(processes_of(sweep)) == sorted(job.pid for job in jobs)
    assert processes_of(jobs[0].token) == [jobs[0].pid]
    stop([*jobs, other], grace_s=0)


def test_a_signal_to_a_job_that_has_ended_does_nothing(tmp_path: Path) -> None:
    job = start(command(tmp_path, "pass"))
    assert until(lambda: job.poll() is not None)
    job.send(signal.SIGTERM)
    stop([job], grace_s=5)
    assert job.poll() == 0


def test_adopted_processes_are_reaped_and_own_ones_are_not(tmp_path: Path) -> None:
    script = """
import os, time
from hydra_plugins.qvl_torchrun_launcher._processes import become_subreaper, reap_orphans
become_subreaper()
middle = os.fork()
if middle == 0:
    if os.fork() == 0:
        os._exit(0)
    os._exit(5)
time.sleep(0.3)
print(reap_orphans({middle}), os.waitstatus_to_exitcode(os.waitpid(middle, 0)[1]))
"""
    job = start(command(tmp_path, script))
    assert until(lambda: job.poll() is not None)
    assert (tmp_path / "log").read_text() == "1 5\n"


def test_a_closed_guard_is_gone_and_a_strange_signal_does_not_end_it() -> None:
    with Guard(new_sweep()) as guard:
        pid = guard.pid
        assert pid is not None
        time.sleep(0.3)
        os.kill(pid, signal.SIGTERM)
        time.sleep(0.1)
        facts = facts_of(pid)
        assert facts is not None
        assert not facts.ended
        assert TOKEN.encode() not in Path(f"/proc/{pid}/environ").read_bytes()
    assert guard.pid is None
    assert facts_of(pid) is None


@pytest.mark.slow
def test_a_hanging_rank_does_not_outlive_a_failed_one_by_the_seconds_torchrun_waits(
    make_job: Callable[..., Path],
) -> None:
    job_file = make_job("toy_task:fail", rank=1, stubborn=True)
    argv = agent_argv(job_file, processes=2, job_id="job0")
    job = start(Command(argv, dict(os.environ), job_file.parent / "launcher.log", new_token(new_sweep()), agent=True))
    assert until(lambda: (job_file.parent / "error.json").exists(), 60)
    time.sleep(2.5)
    assert job.poll() is None, "the deaf rank keeps torchrun waiting"
    before = time.monotonic()
    kill_ranks(job)
    assert until(lambda: job.poll() is not None, 5)
    assert time.monotonic() - before < 4
    assert job.poll() == 1
    assert processes_of(job.token) == []
    cause = first_cause(job_file.parent)
    assert cause is not None
    assert (cause.rank, cause.exception, cause.exit_code) == (1, "ValueError: boom", 1)
