"""What the sweeper gets back for a job."""

from __future__ import annotations

import os
from typing import Any

from hydra.core.utils import JobReturn, JobRuntime, JobStatus
from hydra_plugins.qvl_torchrun_launcher._errors import JobFailure
from hydra_plugins.qvl_torchrun_launcher._jobs import Job, task_config
from hydra_plugins.qvl_torchrun_launcher._status import State, Status
from omegaconf import OmegaConf

__all__ = ["PlainReturn", "QuietReturn", "failure_text", "make_return", "skipped_return"]

SHOWN_LINES = 20


class PlainReturn(JobReturn):
    """Return that raises the error of a failed job without a line of its own: the error says what it is about."""

    @property
    def return_value(self) -> object:
        """What the task returned.

        Raises:
            Exception: The job failed.
        """
        if self.status == JobStatus.FAILED:
            raise self._return_value
        return self._return_value

    @return_value.setter
    def return_value(self, value: Any) -> None:
        self._return_value = value


class QuietReturn(JobReturn):
    """Return of a failed job that does not end the sweep: its value is None instead of an error."""

    @property
    def return_value(self) -> None:
        """None."""
        return None

    @return_value.setter
    def return_value(self, value: object) -> None:
        self._return_value = value


def make_return(job: Job, status: Status, *, quiet: bool) -> JobReturn:
    """Return what a job came to, as Hydra wants it.

    Args:
        job: The job.
        status: Its last one.
        quiet: The value of a failed job is None, instead of raising a JobFailure when it is read.
    """
    completed = status.state == State.COMPLETED
    result = QuietReturn() if quiet and not completed else PlainReturn()
    _describe(result, job)
    result.status = JobStatus.COMPLETED if completed else JobStatus.FAILED
    result.return_value = status.return_value if completed else JobFailure(failure_text(job, status))
    return result


def skipped_return(job: Job) -> JobReturn:
    """Return an empty result for a job that was only shown."""
    result = JobReturn()
    _describe(result, job)
    result.status = JobStatus.COMPLETED
    result.return_value = None
    return result


def failure_text(job: Job, status: Status) -> str:
    """Say why a job did not complete, with the end of its log."""
    if status.cause is None or status.state == State.PENDING:
        return f"job {job.number}: {_words(status)}: it did not start"
    cause = str(status.cause) if status.processes > 1 else status.cause.exception
    lines = [f"    {line}" for line in status.cause.last_lines[-SHOWN_LINES:]]
    return "\n".join([f"job {job.number}: {_words(status)}: {cause}", *lines, f"    in {job.folder}"])


def _words(status: Status) -> str:
    return status.state.replace("_", " ")


def _describe(result: JobReturn, job: Job) -> None:
    result.overrides = list(job.overrides)
    result.cfg = task_config(job.config)
    result.hydra_cfg = OmegaConf.masked_copy(job.config, "hydra")
    result.working_dir = str(job.folder) if job.config.hydra.job.chdir else os.getcwd()
    result.task_name = JobRuntime.instance().get("name")
