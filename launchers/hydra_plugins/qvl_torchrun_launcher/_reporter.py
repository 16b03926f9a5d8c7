"""Tells the user and Hydra's callbacks what happens to the jobs."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from hydra.core.utils import JobReturn
from hydra.types import HydraContext, TaskFunction
from hydra_plugins.qvl_torchrun_launcher._attempt import PROGRESS, Attempt
from hydra_plugins.qvl_torchrun_launcher._job_file import hydra_config
from hydra_plugins.qvl_torchrun_launcher._jobs import Job, initial_status
from hydra_plugins.qvl_torchrun_launcher._returns import make_return
from hydra_plugins.qvl_torchrun_launcher._slots import Slot
from hydra_plugins.qvl_torchrun_launcher._status import State, Status, read_json
from hydra_plugins.qvl_torchrun_launcher._table import Row, Screen, differing

__all__ = ["Reporter"]


class Reporter:
    """Listens to the queue.

    Args:
        jobs: All jobs of the batch.
        screen: Shows them.
        context: Of Hydra, holds the callbacks.
        task_function: What was given to `hydra.main`.
        quiet: Whether a failed job returns None.
    """

    def __init__(
        self, jobs: Sequence[Job], screen: Screen, *, context: HydraContext, task_function: TaskFunction, quiet: bool
    ) -> None:
        self.jobs = jobs
        self.screen = screen
        self.labels = label(jobs)
        self.returns: dict[int, JobReturn] = {}
        self._context = context
        self._task_function = task_function
        self._quiet = quiet
        self._announced: set[int] = set()

    def started(self, job: Job, status: Status, slot: Slot) -> None:
        """A job starts; callbacks hear of its first start."""
        self.screen.started(self._row(job, status, slot), attempt=status.attempt)
        if job.number not in self._announced:
            self._announced.add(job.number)
            with hydra_config(job.config):
                self._context.callbacks.on_job_start(config=job.config, task_function=self._task_function)

    def ended(self, job: Job, status: Status, *, again: bool) -> None:
        """A job has ended; callbacks hear of its last end."""
        self.screen.ended(self._row(job, status), again=again)
        if again:
            return
        result = make_return(job, status, quiet=self._quiet)
        self.returns[job.number] = result
        with hydra_config(job.config):
            self._context.callbacks.on_job_end(config=job.config, job_return=result)

    def update(self, running: Sequence[Attempt], *, waiting: int) -> None:
        """Show how far the jobs are."""
        self.screen.update(lambda: [self._running_row(attempt) for attempt in running], waiting=waiting)

    def note(self, text: str) -> None:
        """Print a line."""
        self.screen.note(text)

    def summary(self, statuses: Mapping[int, Status]) -> None:
        """Print one line for each job; those that an earlier run completed are among them."""
        self.screen.summary([self._final_row(job, statuses.get(job.number)) for job in self.jobs])

    def result(self, job: Job, status: Status | None) -> JobReturn:
        """Return what the sweeper gets for a job, also for one that did not run."""
        return self.returns.get(job.number) or make_return(job, status or _known(job), quiet=self._quiet)

    def _final_row(self, job: Job, status: Status | None) -> Row:
        row = self._row(job, status or _known(job))
        return replace(row, remark="by an earlier run") if job.is_done and not status else row

    def _row(self, job: Job, status: Status, slot: Slot | None = None) -> Row:
        return Row(
            job=job.number,
            label=self.labels[job.number],
            state=status.state,
            slot=slot.number if slot else None,
            devices=status.devices,
            seconds=status.seconds if status.state not in (State.PENDING, State.RUNNING) else None,
            remark=_remark(status),
        )

    def _running_row(self, attempt: Attempt) -> Row:
        row = self._row(attempt.job, attempt.status, attempt.slot)
        progress = read_json(attempt.job.folder / PROGRESS)
        remark = attempt.stop.reason if attempt.stop else ""
        seconds = time.monotonic() - attempt.begun
        return replace(row, progress=progress, seconds=seconds, remark=remark)


def label(jobs: Sequence[Job]) -> dict[int, str]:
    """Return, by number, what is special about each job."""
    texts = differing([job.overrides for job in jobs])
    return {job.number: text for job, text in zip(jobs, texts, strict=True)}


def _known(job: Job) -> Status:
    """Return the status of a job that does not run in this batch."""
    return job.earlier if job.is_done and job.earlier is not None else initial_status(job)


def _remark(status: Status) -> str:
    if status.cause is None or status.state in (State.PENDING, State.RUNNING):
        return ""
    return (str(status.cause) if status.processes > 1 else status.cause.exception).split("\n")[0][:200]
