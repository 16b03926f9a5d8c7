"""Groups of devices for one job at a time, and how large they should be."""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass

from hydra_plugins.qvl_torchrun_launcher._errors import LauncherError

__all__ = ["Slot", "make_slots", "refuse_parts", "sharing_text", "sizes_by_time", "sweep_time"]


@dataclass(frozen=True)
class Slot:
    """Place for one job at a time.

    Attributes:
        number: Counts from 0.
        devices: CUDA's names of the devices, such as ("0", "1"); empty where the job runs on the CPU.
        processes: Ranks of a job here.
    """

    number: int
    devices: tuple[str, ...]
    processes: int


def sizes_by_time(devices: Sequence[str], guesses: Sequence[float], *, speedup: float) -> list[int]:
    """Return how many devices a job may get, first the number with which the whole sweep is expected to end first.

    All jobs get the same, so that they differ in nothing but their settings.

    Args:
        devices: The pool. Of MIG parts a job gets one.
        guesses: How long each job takes on one device, in any unit; equal for all where it is not known.
        speedup: How much faster a job gets when its devices double; the last percent does not count, so that of two
            sizes that are as good the smaller one comes first.
    """
    if not devices or _are_cut(devices):
        return [1]
    times = {
        size: sweep_time(guesses, devices=len(devices), size=size, speedup=speedup)
        for size in range(1, len(devices) + 1)
    }
    fastest = min(times.values())
    return sorted(times, key=lambda size: (round(times[size] / fastest, 2), size))


def sweep_time(guesses: Sequence[float], *, devices: int, size: int, speedup: float) -> float:
    """Return how long a sweep takes if each job starts on the devices that are free first, the longest job first.

    Args:
        guesses: As of `sizes_by_time`; so is the result.
        devices: How many there are.
        size: Devices of a job.
        speedup: As of `sizes_by_time`.
    """
    free = [0.0] * (devices // size)
    for guess in sorted(guesses, reverse=True):
        heapq.heapreplace(free, free[0] + guess)
    return max(free) / float(speedup ** math.log2(size))


def make_slots(devices: Sequence[str], *, size: int, cpu_processes: int, jobs: int) -> tuple[Slot, ...]:
    """Share devices out.

    Args:
        devices: The pool, in the order in which they are taken.
        size: Devices of a job, and so its ranks; without devices: its ranks.
        cpu_processes: How many ranks run at a time where there is no device.
        jobs: How many are to run; there are never more slots than that.

    Returns:
        At least one slot.

    Raises:
        LauncherError: A job wants more devices than there are, or several MIG parts.
        ValueError: A number is below 1.
    """
    for name, number in {"size": size, "cpu_processes": cpu_processes, "jobs": jobs}.items():
        if number < 1:
            raise ValueError(f"{name} must be at least 1, got {number}")
    if not devices:
        return tuple(Slot(number, (), size) for number in range(min(max(1, cpu_processes // size), jobs)))
    if size > len(devices):
        raise LauncherError(f"gpus_per_job={size}, but there are {len(devices)} devices: {','.join(devices)}")
    refuse_parts(devices, size)
    groups = [tuple(devices[first : first + size]) for first in range(0, len(devices) - size + 1, size)]
    return tuple(Slot(number, group, size) for number, group in enumerate(groups[:jobs]))


def refuse_parts(devices: Sequence[str], processes: int) -> None:
    """Refuse MIG parts for a job of several processes.

    Raises:
        LauncherError: CUDA shows a process one part only, so that all ranks would meet there.
    """
    if processes > 1 and _are_cut(devices):
        raise LauncherError(
            f"a job on MIG parts has one process, not {processes}: CUDA shows it one part only; "
            "take hydra.launcher.gpus_per_job=1"
        )


def sharing_text(devices: Sequence[str], slots: Sequence[Slot], *, jobs: int) -> str:
    """Return how many jobs share the devices, and which devices are idle.

    Args:
        devices: The pool.
        slots: Made of it.
        jobs: How many will run.
    """
    together = min(len(slots), jobs)
    used = {name for slot in slots[:together] for name in slot.devices}
    idle = [name for name in devices if name not in used]
    waves = math.ceil(jobs / together)
    last = (waves * together - jobs) * slots[0].processes
    share = f"{slots[0].processes} each, {together} at a time" + (f" in {waves} waves" if waves > 1 else "")
    parts = [
        f"{_counted(jobs, 'job')} on {_counted(len(devices), 'device')}: {share}",
        f"never used: {','.join(idle)}" if idle else "",
        f"{last} idle in the last wave" if last else "",
    ]
    return "; ".join(filter(None, parts))


def _counted(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def _are_cut(devices: Sequence[str]) -> bool:
    return any(name.startswith("MIG-") for name in devices)
