"""One start of a job: its command, its files, and what became of it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from hydra_plugins.qvl_torchrun_launcher._causes import PREEMPTED, clear_attempt, first_cause, last_lines, rank_log
from hydra_plugins.qvl_torchrun_launcher._environment import job_environment
from hydra_plugins.qvl_torchrun_launcher._job_file import hydra_config, job_text
from hydra_plugins.qvl_torchrun_launcher._jobs import Job, Task, task_config
from hydra_plugins.qvl_torchrun_launcher._locks import HeldDevices
from hydra_plugins.qvl_torchrun_launcher._processes import Command, JobProcess, agent_argv, worker_argv
from hydra_plugins.qvl_torchrun_launcher._slots import Slot
from hydra_plugins.qvl_torchrun_launcher._status import FailureCause, State, Status, now, read_json, write_bytes
from hydra_plugins.qvl_torchrun_launcher.config import TorchrunLauncherConf
from omegaconf import OmegaConf

__all__ = ["Attempt", "Stop", "begin", "finish", "make_command", "prepare", "write_job_file"]

LOG = "launcher.log"
JOB_FILE = "job.yaml"
PROGRESS = "progress.json"


@dataclass(frozen=True)
class Stop:
    """Why the launcher ends a job.

    Attributes:
        state: What the job counts as, unless it ends well or saves its state meanwhile.
        reason: In words.
        may_restart: Whether the job may start again.
    """

    state: State
    reason: str
    may_restart: bool = False


@dataclass
class Attempt:
    """A job that runs.

    Attributes:
        job: What runs.
        slot: Where.
        status: As written down when it began.
        process: Its process, or torchrun's agent.
        devices: Locks of its devices.
        begun: `time.monotonic` of the start.
        moved: The same of the latest change of its progress.json.
        first_death: The same of the moment when a dead rank was seen.
        stop: Why it is being ended.
        kill_at: `time.monotonic` after which it is killed.
    """

    job: Job
    slot: Slot
    status: Status
    process: JobProcess
    devices: HeldDevices
    begun: float
    moved: float
    progress_ns: int = 0
    first_death: float | None = None
    stop: Stop | None = None
    kill_at: float | None = None

    def look_at_progress(self) -> None:
        """Take note of a change of progress.json."""
        try:
            changed = (self.job.folder / PROGRESS).stat().st_mtime_ns
        except FileNotFoundError:
            return
        if changed != self.progress_ns:
            self.progress_ns, self.moved = changed, time.monotonic()


def prepare(job: Job, task: Task) -> None:
    """Make the folder of a job with the files that describe it.

    Raises:
        LauncherError: A value would not reach the ranks as it is.
    """
    write_job_file(job, task)
    if job.config.hydra.output_subdir is None:
        return
    records = {
        "config": task_config(job.config),
        "hydra": OmegaConf.masked_copy(job.config, "hydra"),
        "overrides": OmegaConf.create(list(job.overrides)),
    }
    folder = job.folder / str(job.config.hydra.output_subdir)
    folder.mkdir(parents=True, exist_ok=True)
    for name, node in records.items():
        content = OmegaConf.to_yaml(node).encode("utf-8", errors="backslashreplace")
        write_bytes(folder / f"{name}.yaml", content)


def write_job_file(job: Job, task: Task) -> None:
    """Write what the ranks of a job load, into its folder.

    Raises:
        LauncherError: A value would not reach the ranks as it is.
    """
    text = job_text(task.name, job.config, path=task.path)
    job.folder.mkdir(parents=True, exist_ok=True)
    write_bytes(job.folder / JOB_FILE, text.encode(), mode=0o600)


def make_command(
    job: Job, slot: Slot, *, settings: TorchrunLauncherConf, token: str, threads: int, attempt: int
) -> Command:
    """Return how a job is started on a slot.

    Raises:
        LauncherError: `hydra.launcher.env` or `hydra.job.env_set` sets what the launcher decides.
    """
    with hydra_config(job.config):
        own: Any = OmegaConf.to_container(job.config.hydra.job.env_set, resolve=True)
    extra = {**{name: str(value) for name, value in own.items()}, **settings.env}
    env = job_environment(os.environ, slot=slot, token=token, threads=threads, extra=extra, job_folder=job.folder)
    path = job.folder / JOB_FILE
    direct = slot.processes == 1 and settings.direct_if_one
    argv = worker_argv(path)
    if not direct:
        name = f"job{job.number}-attempt{attempt}"
        argv = agent_argv(path, processes=slot.processes, job_id=name, extra=settings.torchrun_args)
    return Command(argv=argv, env=env, log=job.folder / LOG, token=token, agent=not direct)


def begin(job: Job, slot: Slot, *, token: str | None, before: Status | None) -> Status:
    """Set aside what an earlier attempt left, and write down that a new one starts."""
    attempt = before.attempt + 1 if before else 1
    clear_attempt(job.folder)
    (job.folder / PROGRESS).unlink(missing_ok=True)
    if attempt > 1 and (job.folder / LOG).exists():
        (job.folder / LOG).replace(job.folder / f"launcher.{attempt - 1}.log")
    status = Status(
        job=job.number,
        fingerprint=job.fingerprint,
        state=State.RUNNING,
        overrides=job.overrides,
        devices=slot.devices,
        processes=slot.processes,
        attempt=attempt,
        token=token,
        started=now(),
        history=(*before.history, *_history(before)) if before else (),
    )
    status.write(job.folder)
    return status


def finish(attempt: Attempt, exit_code: int) -> Status:
    """Judge what became of an attempt, and write it down.

    A job is completed if its process ended with 0 and rank 0 has written so; nothing else counts as success.
    """
    folder = attempt.job.folder
    result = read_json(folder / "result.json")
    state, cause = State.FAILED, None
    if result.get("state") == "completed" and exit_code == 0:
        state = State.COMPLETED
    elif result.get("state") == "preempted" and _saved_in_peace(attempt):
        state, cause = State.PREEMPTED, FailureCause("it was asked to stop and has saved its state")
    elif attempt.stop is not None:
        state, cause = attempt.stop.state, FailureCause(attempt.stop.reason, None, _log_end(attempt, None))
    else:
        cause = _find_cause(attempt, exit_code)
    status = replace(
        attempt.status,
        state=state,
        ended=now(),
        seconds=round(time.monotonic() - attempt.begun, 3),
        exit_code=exit_code,
        cause=cause,
        return_value=result.get("return_value") if state == State.COMPLETED else None,
    )
    status.write(folder)
    return status


def describe_exit(exit_code: int) -> str:
    """Say in words how a process ended without saying why."""
    number = -exit_code if exit_code < 0 else exit_code - 128
    if exit_code == 0:
        return "it ended with exit code 0 but without a result: something left the process, such as os._exit"
    if exit_code > 0 and not (exit_code > 128 and number in set(signal.Signals)):
        return f"exit code {exit_code}"
    name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
    return f"killed by {name}{_MEANINGS.get(name, '')}"


_MEANINGS = {
    "SIGKILL": " (kill -9, or the kernel because memory ran out)",
    "SIGSEGV": " (a crash in native code)",
    "SIGBUS": " (a crash in native code, or /dev/shm is full)",
    "SIGABRT": " (native code gave up)",
    "SIGTERM": " (somebody asked it to end)",
}


def _saved_in_peace(attempt: Attempt) -> bool:
    """Return whether a job that saved its state was asked to; ranks also save when another one has failed."""
    if attempt.stop is not None:
        return attempt.stop.state == State.STOPPED
    first = first_cause(attempt.job.folder)
    return first is None or first.exit_code == PREEMPTED


def _find_cause(attempt: Attempt, exit_code: int) -> FailureCause:
    first = first_cause(attempt.job.folder)
    is_told = first is not None and (first.traceback != "" or first.exit_code is not None)
    if first is None or exit_code == 0 or (exit_code < 0 and not is_told):
        whose = "torchrun itself was " if attempt.process.agent and exit_code < 0 else ""
        return FailureCause(whose + describe_exit(exit_code), None, _log_end(attempt, None))
    words = first.exception
    if words.startswith("killed by ") and first.exit_code is not None:
        words = describe_exit(first.exit_code)
    return FailureCause(words, first.rank, _log_end(attempt, first.rank) or tuple(first.traceback.splitlines()[-20:]))


def _log_end(attempt: Attempt, rank: int | None) -> tuple[str, ...]:
    """Return the last lines that a rank has printed, else those of its process."""
    folder = attempt.job.folder
    path = rank_log(folder, rank or 0) if attempt.process.agent else folder / LOG
    if path is None or not path.exists():
        path = folder / LOG
    return tuple(last_lines(path)) if path.exists() else ()


def _history(before: Status) -> tuple[Mapping[str, object], ...]:
    if before.attempt == 0:
        return ()
    cause = str(before.cause) if before.cause else None
    return ({"attempt": before.attempt, "state": before.state, "cause": cause, "seconds": before.seconds},)
