"""Groups of devices for one job at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hydra_plugins.qvl_torchrun_launcher._errors import LauncherError

__all__ = ["Slot", "make_slots", "refuse_parts"]


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


def make_slots(devices: Sequence[str], *, cpu_processes: int, gpus_per_job: int | None, jobs: int) -> tuple[Slot, ...]:
    """Share devices out.

    Args:
        devices: The pool, in the order in which they are taken.
        cpu_processes: How many ranks run at a time where there is no device.
        gpus_per_job: Devices of a job, and so its ranks; None: as many as the number of jobs leaves each.
            Without devices: ranks of a job; None: 1.
        jobs: How many are to run; there are never more slots than that.

    Returns:
        At least one slot.

    Raises:
        LauncherError: A job wants more devices than there are.
        ValueError: A number is below 1.
    """
    for name, number in {"cpu_processes": cpu_processes, "gpus_per_job": gpus_per_job, "jobs": jobs}.items():
        if number is not None and number < 1:
            raise ValueError(f"{name} must be at least 1, got {number}")
    if not devices:
        size = gpus_per_job or 1
        return tuple(Slot(number, (), size) for number in range(min(max(1, cpu_processes // size), jobs)))
    is_cut = any(name.startswith("MIG-") for name in devices)
    size = gpus_per_job or (1 if is_cut else max(1, len(devices) // jobs))
    refuse_parts(devices, size)
    if size > len(devices):
        raise LauncherError(f"gpus_per_job={size}, but there are {len(devices)} devices: {','.join(devices)}")
    groups = [tuple(devices[first : first + size]) for first in range(0, len(devices) - size + 1, size)]
    return tuple(Slot(number, group, size) for number, group in enumerate(groups[:jobs]))


def refuse_parts(devices: Sequence[str], processes: int) -> None:
    """Refuse MIG parts for a job of several processes.

    Raises:
        LauncherError: CUDA shows a process the first of several parts only, so that its ranks would meet there.
    """
    if processes > 1 and any(name.startswith("MIG-") for name in devices):
        raise LauncherError(
            f"a job on MIG parts has one process, not {processes}: CUDA shows it one part only; gpus_per_job=1 gives "
            "each job one"
        )
