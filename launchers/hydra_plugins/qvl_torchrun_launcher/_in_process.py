"""A single job of one process, run here: breakpoints and profilers work as in any program."""

from __future__ import annotations

import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from hydra.core.utils import JobReturn, JobStatus, env_override, run_job
from hydra.types import HydraContext, TaskFunction
from hydra_plugins.qvl_torchrun_launcher._attempt import begin
from hydra_plugins.qvl_torchrun_launcher._causes import PREEMPTED
from hydra_plugins.qvl_torchrun_launcher._environment import device_environment
from hydra_plugins.qvl_torchrun_launcher._jobs import Job
from hydra_plugins.qvl_torchrun_launcher._returns import PlainReturn, QuietReturn
from hydra_plugins.qvl_torchrun_launcher._slots import Slot
from hydra_plugins.qvl_torchrun_launcher._status import FailureCause, State, Status, jsonable, now
from hydra_plugins.qvl_torchrun_launcher.config import TorchrunLauncherConf

__all__ = ["run_here", "runs_here"]

TRACEBACK_LINES = 20


def runs_here(jobs: int, slot: Slot, settings: TorchrunLauncherConf) -> bool:
    """Return whether a sweep runs in this process: one job of one process, without limits that need another one."""
    limited = settings.timeout_min is not None or settings.stall_min is not None or settings.max_restarts > 0
    return settings.in_process_if_one and jobs == 1 and slot.processes == 1 and not limited


def run_here(
    context: HydraContext, function: TaskFunction, job: Job, *, slot: Slot, settings: TorchrunLauncherConf
) -> tuple[JobReturn, Status]:
    """Run a job in this process.

    Args:
        context: Of Hydra.
        function: The task.
        job: The job.
        slot: Its device, if there is one.
        settings: Keys of the launcher.

    Returns:
        What the sweeper gets; a failed job holds the task's own error.

    Raises:
        BaseException: What is no Exception passes: Ctrl-C and SystemExit end the sweep.
    """
    status = begin(job, slot, token=None, before=job.earlier)
    begun = time.monotonic()
    environ = {**settings.env, **device_environment(slot.devices)}  # a job on the CPU is to see no device either
    with env_override(environ), _noting_the_end(job, status, begun):
        result = run_job(
            hydra_context=context,
            task_function=function,
            config=job.config,
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
        )
    status = _ended(status, begun, result._return_value if result.status == JobStatus.FAILED else None)
    if status.state == State.COMPLETED:
        status = replace(status, return_value=jsonable(result._return_value))
    status.write(job.folder)
    quiet = status.state != State.COMPLETED and settings.on_failure == "continue"
    return (QuietReturn if quiet else PlainReturn)(**vars(result)), status


@contextmanager
def _noting_the_end(job: Job, status: Status, begun: float) -> Iterator[None]:
    """Write down how the job ended if it takes this process with it."""
    try:
        yield
    except BaseException as error:
        _ended(status, begun, error).write(job.folder)
        raise


def _ended(status: Status, begun: float, error: BaseException | None) -> Status:
    seconds = round(time.monotonic() - begun, 3)
    state, cause = State.COMPLETED, None
    match error:
        case None | SystemExit(code=None | 0):
            pass
        case SystemExit(code=code) if code == PREEMPTED:
            state, cause = State.PREEMPTED, FailureCause("it was asked to stop and has saved its state")
        case KeyboardInterrupt():
            state, cause = State.STOPPED, FailureCause("the sweep was interrupted")
        case _:
            lines = "".join(traceback.format_exception(error)).splitlines()
            cause = FailureCause(f"{type(error).__name__}: {error}", 0, tuple(lines[-TRACEBACK_LINES:]))
            state = State.FAILED
    return replace(status, state=state, cause=cause, ended=now(), seconds=seconds)
