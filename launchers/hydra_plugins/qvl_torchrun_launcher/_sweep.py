"""A sweep, from the overrides of its jobs to what the sweeper gets back."""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, configure_log, setup_globals
from hydra.types import HydraContext, TaskFunction
from hydra_plugins.qvl_torchrun_launcher._attempt import make_command
from hydra_plugins.qvl_torchrun_launcher._devices import find_devices
from hydra_plugins.qvl_torchrun_launcher._environment import available_cpus, threads_per_process
from hydra_plugins.qvl_torchrun_launcher._errors import JobFailure, LauncherError
from hydra_plugins.qvl_torchrun_launcher._export import export_for_schedulers
from hydra_plugins.qvl_torchrun_launcher._guard import Guard
from hydra_plugins.qvl_torchrun_launcher._in_process import run_here, runs_here
from hydra_plugins.qvl_torchrun_launcher._jobs import Job, Task, compose_jobs, find_task, initial_status
from hydra_plugins.qvl_torchrun_launcher._locks import DeviceLocks
from hydra_plugins.qvl_torchrun_launcher._machine import AS_NVIDIA_SMI, ORDER, Device
from hydra_plugins.qvl_torchrun_launcher._order import longest_first
from hydra_plugins.qvl_torchrun_launcher._preflight import (
    load_function,
    prepare_jobs,
    read_settings,
    refuse_nested,
)
from hydra_plugins.qvl_torchrun_launcher._preview import Planned, export_specs, plan, preview_lines
from hydra_plugins.qvl_torchrun_launcher._processes import Command, become_subreaper, clean_up, new_sweep
from hydra_plugins.qvl_torchrun_launcher._queue import Place, Queue
from hydra_plugins.qvl_torchrun_launcher._reporter import Reporter
from hydra_plugins.qvl_torchrun_launcher._returns import failure_text, skipped_return
from hydra_plugins.qvl_torchrun_launcher._sharing import Sharing, devices_for_use
from hydra_plugins.qvl_torchrun_launcher._signals import Interrupts
from hydra_plugins.qvl_torchrun_launcher._slots import Slot, sharing_text
from hydra_plugins.qvl_torchrun_launcher._starter import Starter
from hydra_plugins.qvl_torchrun_launcher._status import State, Status, SweepRecord
from hydra_plugins.qvl_torchrun_launcher._table import Screen
from omegaconf import DictConfig

__all__ = ["Sweep"]

BASIC_SWEEPER = "hydra._internal.core_plugins.basic_sweeper.BasicSweeper"
FORKS_PAY = 2  # jobs from which on the imports of a fork server are made up for


class Sweep:
    """The sweep of one command; the sweeper may launch it in several batches.

    Args:
        context: Of Hydra.
        task_function: What was given to `hydra.main`.
        config: Configuration of the sweep.
        settings: Keys below `hydra.launcher`.
    """

    def __init__(
        self, *, context: HydraContext, task_function: TaskFunction, config: DictConfig, settings: Mapping[str, Any]
    ) -> None:
        self.context = context
        self.task_function = task_function
        self.config = config
        self.settings = read_settings(settings)
        self.folder = Path(os.path.abspath(str(config.hydra.sweep.dir)))
        self.record = SweepRecord(self.folder, command=self._redacted(sys.orig_argv))
        self.has_failed = False
        self.locks = DeviceLocks()
        self.size: int | None = None  # devices of a job in the last batch

    def launch(self, batch: Sequence[Sequence[str]], first: int) -> Sequence[JobReturn]:
        """Run a batch of jobs, see `TorchrunLauncher.launch`."""
        setup_globals()
        configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)
        refuse_nested(os.environ)
        self.folder.mkdir(parents=True, exist_ok=True)
        _close_to_others(self.folder / "multirun.yaml")
        with _only_one(self.folder):
            task = Task(self.settings.task) if self.settings.task else find_task(self.task_function)
            jobs = self._compose(batch, first, task)
            waiting = longest_first(jobs, self.settings.longest_first_by)
            only_shows = self.settings.dry_run or self.settings.export is not None
            if not only_shows:
                _end_leftovers(waiting)  # before the memory of the devices is looked at
            reporter = self._reporter(jobs)
            devices = self._devices(reporter.note) if waiting else []
            sharing = Sharing(devices, jobs, waiting, self.settings, earlier=self.size)
            slots = sharing.slots(reporter.note)
            self.size = slots[0].processes if devices else self.size
            prepare_jobs(waiting, task, make=partial(self._command, slot=slots[0], threads=_threads(slots)))
            if devices and (only_shows or not self._runs_here(jobs, slots)):
                text, hint = sharing_text(devices, slots, jobs=len(waiting)), sharing.hint(slots) if only_shows else ""
                reporter.note(f"{text}; {hint}" if hint else text)
            if only_shows:
                return self._show(jobs, waiting, slots, reporter)
            return self._run(jobs, waiting, slots, reporter)

    def _compose(self, batch: Sequence[Sequence[str]], first: int, task: Task) -> list[Job]:
        used = [str(entry["folder"]) for entry in self.record.jobs]
        resume = self.settings.resume
        jobs = compose_jobs(self.context, self.config, batch, first=first, task=task.name, used=used, resume=resume)
        return [replace(job, overrides=self._redacted(job.overrides)) for job in jobs]

    def _redacted(self, words: Sequence[str]) -> tuple[str, ...]:
        """Return overrides or a command line as they may be written and shown."""
        if self.settings.redact is None:
            return tuple(words)
        redact: Any = load_function(self.settings.redact, "hydra.launcher.redact")
        return tuple(redact(list(words)))

    def _devices(self, note: Callable[[str], None]) -> list[str]:
        """Return the names of the devices that the jobs may use."""
        found: Sequence[Device] = find_devices(os.environ, named=self.settings.devices)
        self.locks = DeviceLocks(names={device.name: device.uuid for device in found})
        if self.settings.export is None:  # other machines have other users
            found = devices_for_use(found, self.settings.busy_devices, locks=self.locks, note=note)
        order = os.environ.get(ORDER, AS_NVIDIA_SMI)
        if found and order != AS_NVIDIA_SMI:
            note(f"{ORDER}={order} is not passed on: jobs count devices as nvidia-smi does ({AS_NVIDIA_SMI})")
        return [device.name for device in found]

    def _command(self, job: Job, *, slot: Slot, threads: int) -> Command:
        """Return the command of a job that is not started."""
        return make_command(job, slot, settings=self.settings, token="", threads=threads, attempt=1)

    def _reporter(self, jobs: Sequence[Job]) -> Reporter:
        return Reporter(
            jobs,
            Screen(),
            context=self.context,
            task_function=self.task_function,
            quiet=self.settings.on_failure == "continue",
        )

    def _show(
        self, jobs: Sequence[Job], waiting: Sequence[Job], slots: Sequence[Slot], reporter: Reporter
    ) -> Sequence[JobReturn]:
        """Tell what would run, and run nothing."""
        planned = [
            Planned(job, slot, wave, self._command(job, slot=slot, threads=_threads(slots)))
            for job, slot, wave in plan(waiting, slots)
        ]
        for line in preview_lines(planned, reporter.labels):
            reporter.note(line)
        if self.settings.export:
            jobs_file = export_specs(Path(self.settings.export), planned)
            for path in (jobs_file, *export_for_schedulers(jobs_file)):
                reporter.note(f"written: {path}")
        return [skipped_return(job) for job in jobs]

    def _run(
        self, jobs: Sequence[Job], waiting: Sequence[Job], slots: Sequence[Slot], reporter: Reporter
    ) -> Sequence[JobReturn]:
        for job in waiting:
            initial_status(job).write(job.folder)
        self.record.jobs += [
            {"job": job.number, "folder": job.folder.name, "fingerprint": job.fingerprint} for job in jobs
        ]
        self.record.write("running")
        if waiting and self._runs_here(jobs, slots):
            return [self._run_here(waiting[0], slots[0])]
        return self._run_apart(jobs, waiting, slots, reporter)

    def _runs_here(self, jobs: Sequence[Job], slots: Sequence[Slot]) -> bool:
        """Return whether the only job runs in this process."""
        return self._is_whole() and runs_here(len(jobs), slots[0], self.settings)

    def _is_whole(self) -> bool:
        """Return whether the sweeper has no further jobs; the trials of a search stay apart from each other."""
        sweeper = self.config.hydra.sweeper
        return sweeper._target_ == BASIC_SWEEPER and sweeper.max_batch_size is None

    def _run_here(self, job: Job, slot: Slot) -> JobReturn:
        end = "stopped"
        try:
            with self.locks.take(slot.devices, timeout_s=self.settings.lock_timeout_s):
                result, status = run_here(self.context, self.task_function, job, slot=slot, settings=self.settings)
            end = self._end([status])
        finally:
            self.record.write(end)
        return result

    def _run_apart(
        self, jobs: Sequence[Job], waiting: Sequence[Job], slots: Sequence[Slot], reporter: Reporter
    ) -> Sequence[JobReturn]:
        """Run jobs in processes of their own."""
        interrupts = Interrupts()
        place = Place(new_sweep(), slots, self.locks, _threads(slots), self._starter(waiting, slots, reporter))
        queue = Queue(waiting, place, settings=self.settings, interrupts=interrupts, listener=reporter)
        end = "stopped"
        become_subreaper()
        try:
            with interrupts, reporter.screen, Guard(place.sweep, grace_s=self.settings.grace_s):
                queue.run()
            if interrupts.first is None:
                end = self._end(queue.statuses.values())
        finally:
            self.record.write(end)
            reporter.summary(queue.statuses)
            reporter.note(f"sweep folder: {self.folder}")
        if interrupts.first is not None:
            raise SystemExit(interrupts.exit_code)
        returns = [reporter.result(job, queue.statuses.get(job.number)) for job in jobs]
        if self.settings.on_failure == "stop":
            _raise_first_failure(jobs, queue.statuses)
        return returns

    def _end(self, statuses: Iterable[Status]) -> str:
        """Return what the sweep came to so far."""
        self.has_failed |= any(status.state != State.COMPLETED for status in statuses)
        return "failed" if self.has_failed else "completed"

    def _starter(self, waiting: Sequence[Job], slots: Sequence[Slot], reporter: Reporter) -> Starter:
        """Return what starts processes: with a fork server where that pays."""
        settings = self.settings
        forkable = slots[0].processes == 1 and settings.direct_if_one
        pays = len(waiting) >= FORKS_PAY and bool(settings.preload)
        forks = forkable and (settings.fork_server == "on" or (settings.fork_server == "auto" and pays))
        return Starter(settings.preload if forks else None, self.folder / "fork_server.log", note=reporter.note)


@contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """Keep other launchers out of a sweep folder.

    Raises:
        LauncherError: One works there.
    """
    with (folder / ".lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LauncherError(f"another launcher works in {folder}; wait for it, or take another folder") from error
        yield


def _threads(slots: Sequence[Slot]) -> int:
    return threads_per_process(available_cpus(), len(slots) * slots[0].processes)


def _end_leftovers(jobs: Sequence[Job]) -> None:
    """End what still runs of jobs whose launcher was killed."""
    for job in jobs:
        if job.earlier is not None and job.earlier.state == State.RUNNING and job.earlier.token:
            clean_up(job.earlier.token)


def _raise_first_failure(jobs: Sequence[Job], statuses: Mapping[int, Status]) -> None:
    for job in jobs:
        status = statuses.get(job.number)
        if status is not None and status.state not in (State.COMPLETED, State.STOPPED, State.PENDING):
            raise JobFailure(failure_text(job, status))


def _close_to_others(path: Path) -> None:
    """Let nobody else read the configuration that Hydra's sweeper has written: it may hold secrets that were typed."""
    if path.is_file():
        path.chmod(0o600)
