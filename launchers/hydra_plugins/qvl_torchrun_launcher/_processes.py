"""Processes of jobs: start them, find all that came of them, and leave none behind."""

from __future__ import annotations

import ctypes
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from hydra_plugins.qvl_torchrun_launcher._proc import all_pids, environment_of, facts_of

__all__ = [
    "PARENT",
    "TOKEN",
    "CleanUp",
    "Command",
    "JobProcess",
    "agent_argv",
    "ask_to_stop",
    "become_subreaper",
    "children_of",
    "clean_up",
    "die_with_parent",
    "kill_ranks",
    "new_sweep",
    "new_token",
    "processes_of",
    "ranks_of",
    "reap_orphans",
    "start",
    "stop",
    "worker_argv",
]

TOKEN = "LAUNCHER_JOB_TOKEN"
"""Environment variable by which every process of a job is known, however it was started."""

PARENT = "LAUNCHER_PARENT_PID"
"""Environment variable with the id of the process whose death a child must follow."""

_PACKAGE = "hydra_plugins.qvl_torchrun_launcher"
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_POLL_S = 0.05
_AGENT_ENDS_S = 2.0  # its ranks are dead: it looks every 0.1 s, then writes what it saw
_REAP_S = 5.0


@dataclass(frozen=True)
class Command:
    """How the process of a job is started.

    Attributes:
        argv: Program and arguments.
        env: Its whole environment.
        log: File to which it appends what it prints.
        token: Name of the job, from `new_token`.
        agent: Whether it is torchrun's agent, whose children are the ranks.
        descriptors: Open files that it inherits: locks of its devices, which it then holds as long as it runs, even if
            this process is killed.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str]
    log: Path
    token: str
    agent: bool = False
    descriptors: tuple[int, ...] = ()


class JobProcess(Protocol):
    """The process of a job that was started."""

    @property
    def pid(self) -> int:
        """Its id."""

    @property
    def token(self) -> str:
        """Token of the job."""

    @property
    def agent(self) -> bool:
        """Whether it is torchrun's agent."""

    def poll(self) -> int | None:
        """Return the exit code, negative for a signal, or None while it runs."""

    def send(self, number: int) -> None:
        """Send a signal; does nothing if it has ended."""


@dataclass(frozen=True, slots=True)
class CleanUp:
    """What a clean-up found.

    Attributes:
        killed: How many processes it killed.
        left: Those that do not die, such as one that waits for a broken disk; their devices are not free.
    """

    killed: int
    left: tuple[int, ...]


class _Process:
    """A process that this one has started."""

    def __init__(self, popen: subprocess.Popen[bytes], token: str, agent: bool) -> None:
        self._popen = popen
        self.pid = popen.pid
        self.token = token
        self.agent = agent

    def poll(self) -> int | None:
        return self._popen.poll()

    def send(self, number: int) -> None:
        self._popen.send_signal(number)


def new_sweep() -> str:
    """Return the 16 hexadecimal digits with which the tokens of all jobs of a sweep begin."""
    return secrets.token_hex(8)


def new_token(sweep: str) -> str:
    """Return the token of a job: 32 hexadecimal digits."""
    return sweep + secrets.token_hex(8)


def worker_argv(job_file: Path) -> tuple[str, ...]:
    """Return the command of a job of one process."""
    return (sys.executable, "-m", f"{_PACKAGE}._worker", str(job_file))


def agent_argv(job_file: Path, *, processes: int, job_id: str, extra: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the command of a job of several processes.

    Args:
        job_file: The job; its folder takes the logs of the ranks, below `ranks/logs`.
        processes: Number of ranks, all on this machine.
        job_id: Begins the name of the folder with the logs.
        extra: Further arguments of torchrun; they win over those given here.
    """
    settings = {
        "nnodes": "1",
        "nproc-per-node": str(processes),
        "rdzv-backend": "c10d",
        "rdzv-endpoint": "localhost:0",  # a free port, so that jobs side by side do not meet
        "rdzv-id": job_id,
        "local-addr": "localhost",
        "max-restarts": "0",  # restarts are the launcher's
        "log-dir": str(job_file.parent / "ranks" / "logs"),
        "redirects": "3",
    }
    options = [f"--{name}={value}" for name, value in settings.items()]
    return (sys.executable, "-m", f"{_PACKAGE}._agent", *options, *extra, *worker_argv(job_file)[1:])


def start(command: Command) -> JobProcess:
    """Start the process of a job in a session of its own, so that no key of the terminal reaches it.

    Raises:
        RuntimeError: This is not the main thread: the child would die with the thread.
        OSError: The log cannot be written or the program cannot be started.
    """
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("jobs are started by the main thread: a child ends with the thread that started it")
    env = {**command.env, TOKEN: command.token, PARENT: str(os.getpid())}
    command.log.parent.mkdir(parents=True, exist_ok=True)
    with command.log.open("ab") as log:
        popen = subprocess.Popen(
            command.argv,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=command.descriptors,
        )
    return _Process(popen, command.token, command.agent)


def die_with_parent(number: int) -> None:
    """Let the kernel send this process a signal when its parent dies.

    Raises:
        SystemExit: The parent that LAUNCHER_PARENT_PID names has died before.
        OSError: The kernel does not know how.
    """
    _prctl(_PR_SET_PDEATHSIG, number)
    parent = os.environ.get(PARENT)
    if parent is not None and os.getppid() != int(parent):
        raise SystemExit(f"process {parent}, for which this one was started, has ended")


def become_subreaper() -> None:
    """Let processes whose parent dies become children of this one.

    Raises:
        OSError: The kernel does not know how.
    """
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def processes_of(token: str) -> list[int]:
    """Return the ids of the running processes of a job, or of all jobs of a sweep.

    Args:
        token: Token of the job, or the digits with which the tokens of the sweep begin.
    """
    return [pid for pid in all_pids() if _carries(pid, token)]


def ranks_of(process: JobProcess) -> list[int]:
    """Return the ids of the ranks of a job that were started by now."""
    return children_of(process.pid, process.token) if process.agent else [process.pid]


def children_of(parent: int, token: str) -> list[int]:
    """Return the ids of the running processes of a job that a process of it has started."""
    found = [(pid, facts_of(pid)) for pid in processes_of(token)]
    return [pid for pid, facts in found if facts is not None and facts.parent == parent]


def ask_to_stop(process: JobProcess) -> None:
    """Send SIGTERM to the ranks of a job: they may save first. An agent of torchrun that has none yet is killed."""
    ranks = ranks_of(process)
    if not ranks:
        process.send(signal.SIGKILL)
    for pid in ranks:
        _kill(pid, process.token, signal.SIGTERM)


def kill_ranks(process: JobProcess) -> None:
    """Kill all of a job but the agent of torchrun, which then sees what happened and ends by itself."""
    for pid in processes_of(process.token):
        if not (process.agent and pid == process.pid):
            _kill(pid, process.token, signal.SIGKILL)


def stop(processes: Sequence[JobProcess], *, grace_s: float, hurry: Callable[[], bool] = lambda: False) -> None:
    """End jobs, all at the same time, and everything that they started.

    Args:
        processes: The jobs; one that has ended is only cleared up after.
        grace_s: Seconds from the polite request to the kill; 0 does not ask.
        hurry: Looked at while waiting; kills at once when it becomes true.
    """
    if grace_s > 0:
        for process in _running(processes):
            ask_to_stop(process)
        _wait(processes, grace_s, hurry)
    for process in _running(processes):
        kill_ranks(process)
    _wait(processes, _AGENT_ENDS_S, lambda: False)
    for process in processes:
        clean_up(process.token)
    _wait(processes, _REAP_S, lambda: False)


def clean_up(token: str, *, timeout_s: float = 5.0) -> CleanUp:
    """Kill every process of a job or of a sweep but this one, also those that they start meanwhile.

    Args:
        token: As of `processes_of`.
        timeout_s: Seconds to wait for them to disappear.
    """
    killed: set[int] = set()
    end = time.monotonic() + timeout_s
    while True:
        found = [pid for pid in processes_of(token) if pid != os.getpid()]
        if not found or time.monotonic() > end:
            return CleanUp(len(killed - set(found)), tuple(found))
        for pid in found:
            _kill(pid, token, signal.SIGKILL)
        killed.update(found)
        time.sleep(_POLL_S)


def reap_orphans(known: Collection[int]) -> int:
    """Take note of the end of processes that became children of this one when their parent died.

    Args:
        known: Ids of all processes that this one has started itself; their ends are left to those who wait for them.

    Returns:
        How many there were.
    """
    reaped = 0
    for pid in all_pids():
        facts = facts_of(pid)
        if facts is None or not facts.ended or facts.parent != os.getpid() or pid in known:
            continue
        try:
            reaped += os.waitpid(pid, os.WNOHANG)[0] == pid
        except ChildProcessError:
            continue
    return reaped


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"prctl({option}): {os.strerror(number)}")


def _carries(pid: int, token: str) -> bool:
    return any(text.startswith(f"{TOKEN}={token}".encode()) for text in environment_of(pid))


def _kill(pid: int, token: str, number: int) -> None:
    """Send a signal to a process of the job, not to a stranger who got its id meanwhile."""
    if not _carries(pid, token):
        return
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _running(processes: Sequence[JobProcess]) -> list[JobProcess]:
    return [process for process in processes if process.poll() is None]


def _wait(processes: Sequence[JobProcess], timeout_s: float, hurry: Callable[[], bool]) -> None:
    end = time.monotonic() + timeout_s
    while _running(processes) and time.monotonic() < end and not hurry():
        time.sleep(_POLL_S)
