"""Runs jobs on slots until all have ended: starts, limits, restarts, interrupts."""

from __future__ import annotations

import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from hydra_plugins.qvl_torchrun_launcher._attempt import JOB_FILE, Attempt, Stop, begin, finish, make_command
from hydra_plugins.qvl_torchrun_launcher._causes import dead_ranks
from hydra_plugins.qvl_torchrun_launcher._errors import LauncherError
from hydra_plugins.qvl_torchrun_launcher._jobs import Job, initial_status
from hydra_plugins.qvl_torchrun_launcher._locks import DeviceLocks, HeldDevices
from hydra_plugins.qvl_torchrun_launcher._processes import (
    ask_to_stop,
    clean_up,
    kill_ranks,
    new_token,
    reap_orphans,
    stop,
)
from hydra_plugins.qvl_torchrun_launcher._signals import Interrupts
from hydra_plugins.qvl_torchrun_launcher._slots import Slot
from hydra_plugins.qvl_torchrun_launcher._starter import Starter
from hydra_plugins.qvl_torchrun_launcher._status import State, Status
from hydra_plugins.qvl_torchrun_launcher.config import TorchrunLauncherConf

__all__ = ["Listener", "Place", "Queue"]

POLL_S = 0.05
RANKS_S = 0.5  # between two looks at the ranks
DEATH_S = 5.0  # that the other ranks get when one has died: torchrun alone would wait 30
AGENT_S = 10.0  # that torchrun gets to end when all its ranks are dead
INTERRUPTED = Stop(State.STOPPED, "the sweep was interrupted")
OTHER_FAILED = Stop(State.STOPPED, "another job failed and hydra.launcher.on_failure is stop")


class Listener(Protocol):
    """Is told what happens to jobs."""

    def started(self, job: Job, status: Status, slot: Slot) -> None:
        """A job starts, perhaps again."""

    def ended(self, job: Job, status: Status, *, again: bool) -> None:
        """A job has ended; with `again` it starts once more."""

    def update(self, running: Sequence[Attempt], *, waiting: int) -> None:
        """Nothing has happened; called many times a second."""

    def note(self, text: str) -> None:
        """Something that a user should read."""


@dataclass
class Place:
    """Where and how jobs run.

    Attributes:
        sweep: Digits with which the tokens of all jobs begin.
        slots: Groups of devices, for one job each.
        locks: Of the devices, against other launchers on this machine.
        threads: Of each process.
        starter: Starts processes.
    """

    sweep: str
    slots: Sequence[Slot]
    locks: DeviceLocks
    threads: int
    starter: Starter


class Queue:
    """Jobs that wait, run and have ended.

    Args:
        jobs: In the order in which they start.
        place: Where and how.
        settings: Keys of the launcher.
        interrupts: Signals that came.
        listener: Is told what happens.
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        place: Place,
        *,
        settings: TorchrunLauncherConf,
        interrupts: Interrupts,
        listener: Listener,
    ) -> None:
        self.place = place
        self.settings = settings
        self.interrupts = interrupts
        self.listener = listener
        self.waiting = list(jobs)
        self.running: list[Attempt] = []
        self.statuses = {job.number: initial_status(job) for job in jobs}
        self.is_ending = False
        self._idle = list(place.slots)
        self._kept: list[HeldDevices] = []  # devices that a process which cannot be killed may still use
        self._restarts = {job.number: 0 for job in jobs}
        self._next_start = 0.0
        self._next_look = 0.0
        self._blocked_since: float | None = None

    def run(self) -> dict[int, Status]:
        """Run all jobs and return the last status of each by its number.

        Raises:
            LauncherError: Devices could not be had in `lock_timeout_s`, or no slot is left.
        """
        try:
            while self.waiting or self.running:
                self._react_to_signals()
                self._collect()
                self._enforce_limits()
                self._fill_slots()
                self.listener.update(self.running, waiting=len(self.waiting))
                time.sleep(POLL_S)
        except BaseException:
            self._abandon()
            raise
        finally:
            self.place.starter.close()
            for devices in self._kept:
                devices.release()
        return self.statuses

    def end(self, why: Stop, *, grace_s: float) -> None:
        """Start no more jobs and ask those that run to stop."""
        self.is_ending = True
        self.waiting.clear()
        for attempt in self.running:
            self._ask(attempt, why, grace_s)

    def _react_to_signals(self) -> None:
        if self.interrupts.first is None:
            return
        if not self.is_ending:
            seconds = self.settings.preempt_grace_s if self.interrupts.saves else self.settings.grace_s
            verb = "may save" if self.interrupts.saves else "may end"
            name = self.interrupts.first.name
            self.listener.note(f"{name}: jobs that run {verb} for {seconds:g} s; Ctrl-C kills them now")
            self.end(INTERRUPTED, grace_s=seconds)
        if self.interrupts.hurry:
            for attempt in self.running:
                attempt.kill_at = time.monotonic()

    def _collect(self) -> None:
        """Take note of jobs that have ended."""
        for attempt in list(self.running):
            exit_code = attempt.process.poll()
            if exit_code is not None:
                self.running.remove(attempt)
                self._free(attempt)
                self._judge(attempt, finish(attempt, exit_code))

    def _free(self, attempt: Attempt) -> None:
        """Kill what a job has left and give its slot back."""
        left = clean_up(attempt.process.token).left
        if left:
            pids = ", ".join(str(pid) for pid in left)
            self.listener.note(
                f"job {attempt.job.number}: process {pids} does not die; slot {attempt.slot.number} is not used again"
            )
            self._kept.append(attempt.devices)
        else:
            attempt.devices.release()
            self._idle.append(attempt.slot)
            self._idle.sort(key=lambda slot: slot.number)
        reap_orphans([other.process.pid for other in self.running])

    def _lose(self, attempt: Attempt) -> None:
        """Go on without a job that not even a kill has ended."""
        self.running.remove(attempt)
        self._free(attempt)
        self._judge(attempt, finish(attempt, -signal.SIGKILL))

    def _judge(self, attempt: Attempt, status: Status) -> None:
        """Decide what the end of a job means for it and for the others."""
        job = attempt.job
        self.statuses[job.number] = status
        again = self._starts_again(attempt, status)
        if again:
            self._restarts[job.number] += 1
            self.waiting.insert(0, replace(job, earlier=status))
        self.listener.ended(job, status, again=again)
        if status.state not in (State.COMPLETED, State.STOPPED) and not again and self.settings.on_failure == "stop":
            self.end(OTHER_FAILED, grace_s=self.settings.grace_s)

    def _starts_again(self, attempt: Attempt, status: Status) -> bool:
        if self.is_ending or self._restarts[attempt.job.number] >= self.settings.max_restarts:
            return False
        return status.state in (State.FAILED, State.PREEMPTED) or (
            status.state == State.TIMED_OUT and attempt.stop is not None and attempt.stop.may_restart
        )

    def _enforce_limits(self) -> None:
        """End what takes too long, and what has lost a rank."""
        moment = time.monotonic()
        late = [attempt for attempt in self.running if attempt.kill_at is not None and moment >= attempt.kill_at]
        if late:
            stop([attempt.process for attempt in late], grace_s=0)
            for attempt in late:
                if attempt.process.poll() is None:
                    self._lose(attempt)
        if moment < self._next_look:
            return
        self._next_look = moment + RANKS_S
        for attempt in self.running:
            attempt.look_at_progress()
            why = self._overdue(attempt, moment) if attempt.stop is None else None
            if why is not None:
                self._ask(attempt, why, self.settings.grace_s)
            if attempt.process.agent and attempt.stop is None:
                self._watch_ranks(attempt, moment)

    def _overdue(self, attempt: Attempt, moment: float) -> Stop | None:
        limit, stall = self.settings.timeout_min, self.settings.stall_min
        if limit is not None and moment - attempt.begun > limit * 60:
            return Stop(State.TIMED_OUT, f"stopped after {limit:g} min (hydra.launcher.timeout_min)")
        if stall is not None and moment - attempt.moved > stall * 60:
            reason = f"hanging: no progress for {stall:g} min (hydra.launcher.stall_min)"
            return Stop(State.TIMED_OUT, reason, may_restart=True)
        return None

    def _watch_ranks(self, attempt: Attempt, moment: float) -> None:
        """Do not let the ranks of a job wait for one that has died."""
        if attempt.first_death is None:
            attempt.first_death = moment if dead_ranks(attempt.job.folder) else None
        elif moment - attempt.first_death > DEATH_S + AGENT_S:
            attempt.kill_at = moment
        elif moment - attempt.first_death > DEATH_S:
            kill_ranks(attempt.process)

    def _ask(self, attempt: Attempt, why: Stop, grace_s: float) -> None:
        """Ask a job to stop; it is killed if it does not."""
        if attempt.stop is None:
            attempt.stop = why
            ask_to_stop(attempt.process)
        kill_at = time.monotonic() + grace_s
        attempt.kill_at = kill_at if attempt.kill_at is None else min(attempt.kill_at, kill_at)

    def _fill_slots(self) -> None:
        """Start as many jobs as there are free slots."""
        if not self.waiting:
            return
        if not self._idle and not self.running:
            raise LauncherError("no slot is left: on each of them is a process that cannot be killed")
        for slot in list(self._idle):
            if not self.waiting or time.monotonic() < self._next_start:
                return
            if not self._start(self.waiting[0], slot):
                continue
            self._blocked_since = None
            self._next_start = time.monotonic() + self.settings.stagger_s
        self._check_blocked()

    def _start(self, job: Job, slot: Slot) -> bool:
        """Start a job on a slot if its devices are free."""
        before = job.earlier
        command = make_command(
            job,
            slot,
            settings=self.settings,
            token=new_token(self.place.sweep),
            threads=self.place.threads,
            attempt=before.attempt + 1 if before else 1,
        )
        if not self.place.starter.is_ready(command):
            return False
        devices = self._take(slot)
        if devices is None:
            return False
        command = replace(command, descriptors=devices.descriptors)
        self.waiting.remove(job)
        self._idle.remove(slot)
        status = begin(job, slot, token=command.token, before=before)
        self.statuses[job.number] = status
        moment = time.monotonic()
        process = self.place.starter.start(command, job.folder / JOB_FILE)
        self.running.append(Attempt(job, slot, status, process, devices, begun=moment, moved=moment))
        self.listener.started(job, status, slot)
        return True

    def _take(self, slot: Slot) -> HeldDevices | None:
        """Lock the devices of a slot, if no other launcher uses one of them."""
        if set(self.place.locks.free(slot.devices)) != set(slot.devices):
            return None
        try:
            return self.place.locks.take(slot.devices, timeout_s=0)
        except LauncherError:  # another launcher was quicker
            return None

    def _check_blocked(self) -> None:
        """Give up when other launchers hold all devices for too long."""
        if not self.waiting or self.running or not self._idle:
            self._blocked_since = None
            return
        moment = time.monotonic()
        if self._blocked_since is None:
            self._blocked_since = moment
            return
        limit = self.settings.lock_timeout_s
        if limit is not None and moment - self._blocked_since > limit:
            with self.place.locks.take(self._idle[0].devices, timeout_s=0):  # raises, and tells who holds them
                self._blocked_since = None

    def _abandon(self) -> None:
        """Leave nothing behind when the launcher itself fails."""
        stop([attempt.process for attempt in self.running], grace_s=0)
        for attempt in self.running:
            attempt.stop = INTERRUPTED
            finish(attempt, attempt.process.poll() or -signal.SIGKILL)
            attempt.devices.release()
