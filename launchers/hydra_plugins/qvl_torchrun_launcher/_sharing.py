"""Which devices a sweep gets, and how its jobs share them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hydra_plugins.qvl_torchrun_launcher._devices import is_in_use, usage_text
from hydra_plugins.qvl_torchrun_launcher._environment import available_cpus
from hydra_plugins.qvl_torchrun_launcher._errors import LauncherError
from hydra_plugins.qvl_torchrun_launcher._jobs import Job
from hydra_plugins.qvl_torchrun_launcher._locks import DeviceLocks
from hydra_plugins.qvl_torchrun_launcher._machine import Device
from hydra_plugins.qvl_torchrun_launcher._order import guessed_work
from hydra_plugins.qvl_torchrun_launcher._preflight import Findings, check_jobs
from hydra_plugins.qvl_torchrun_launcher._slots import Slot, make_slots, sizes_by_time, sweep_time
from hydra_plugins.qvl_torchrun_launcher.config import TorchrunLauncherConf

__all__ = ["Sharing", "devices_for_use"]

CONTEXT_MIB = 100
"""What a process that computes holds at least; a server of MPS that waits for others holds less."""

SMALL = 0.05
"""Share of the time of a sweep that is not worth a word."""


def devices_for_use(
    devices: Sequence[Device], busy: str, *, locks: DeviceLocks, note: Callable[[str], None]
) -> Sequence[Device]:
    """Return the devices without those that somebody uses, if that is wanted.

    Devices that another launcher holds stay: the sweep waits for them.

    Args:
        devices: The pool.
        busy: `hydra.launcher.busy_devices`.
        locks: Of the devices.
        note: Told what is seen on the devices.

    Raises:
        LauncherError: Devices are in use and `busy` is "error", or all are and it is "skip".
    """
    used = [device.name for device in devices if is_in_use(device)]
    taken = set(locks.free(used)) if used else set()
    texts = {device.name: usage_text(device) for device in devices if device.name in taken}
    if texts and (busy == "error" or (busy == "skip" and len(texts) == len(devices))):
        which = "all devices are" if len(texts) == len(devices) else "devices are"
        advice = "hydra.launcher.busy_devices=warn uses them all the same" + (
            ", skip leaves them out" if len(texts) < len(devices) else ""
        )
        raise LauncherError("\n".join([f"the sweep does not start, {which} in use; {advice}:", *texts.values()]))
    for device in devices:
        if device.name in taken:
            way = "left out; warn uses it" if busy == "skip" else "used all the same; skip leaves it out"
            note(f"{texts[device.name]}: {way} (hydra.launcher.busy_devices)")
        elif device.name not in used and any(use.mib is None or use.mib >= CONTEXT_MIB for use in device.processes):
            note(f"{usage_text(device)}: little enough to use it all the same")
    return [device for device in devices if busy != "skip" or device.name not in taken]


class Sharing:
    """How the jobs of a sweep share devices.

    Args:
        devices: Names of those that may be used.
        jobs: All, also those that earlier runs completed: what is left runs as the others did.
        waiting: Those that will run.
        settings: Keys of the launcher.
        earlier: Devices of a job in earlier rounds of a search; its trials stay alike if that is possible.
    """

    def __init__(
        self,
        devices: Sequence[str],
        jobs: Sequence[Job],
        waiting: Sequence[Job],
        settings: TorchrunLauncherConf,
        *,
        earlier: int | None = None,
    ) -> None:
        self.devices = devices
        self.jobs = jobs
        self.waiting = waiting
        self.settings = settings
        guesses = list(guessed_work(jobs, settings.longest_first_by).values())
        self._guesses = guesses if min(guesses) > 0 else [1.0] * len(guesses)
        self._sizes = sizes_by_time(devices, self._guesses, speedup=settings.speedup)
        self._wanted = [settings.gpus_per_job] if settings.gpus_per_job else self._sizes
        if not settings.gpus_per_job and earlier in self._sizes:
            self._wanted = [earlier, *self._sizes]

    def slots(self, note: Callable[[str], None]) -> Sequence[Slot]:
        """Return slots of a size with which all jobs pass their check.

        Args:
            note: Told why it is not one with which the sweep would end clearly earlier.

        Raises:
            LauncherError: There is none, with the findings about the smallest one; or a job wants more devices than
                there are.
        """
        cpus = self.settings.cpu_processes or available_cpus()
        refused: Findings | None = None
        for size in self._wanted:
            slots = make_slots(self.devices, size=size, cpu_processes=cpus, jobs=len(self.jobs))
            if refused is not None and self._check(size, refused.jobs[:1]).lines:
                continue  # for a sweep of many jobs all checks take their time
            findings = self._check(size)
            if not findings.lines:
                if refused is not None and self._gain(size, self._wanted[0]) > SMALL:
                    note(f"{size} rather than {self._wanted[0]} processes a job: {refused.lines[0]}")
                return slots
            refused = refused or findings
        raise self._check(min(self._wanted)).error()

    def hint(self, slots: Sequence[Slot]) -> str:
        """Return which number of devices a job would end the sweep clearly earlier, empty if there is none."""
        if not self.devices:
            return ""
        for size in self._sizes:
            gain = self._gain(slots[0].processes, size)
            if gain < SMALL:
                return ""
            if not self._check(size).lines:
                return f"hydra.launcher.gpus_per_job={size} would take about {100 * gain:.0f} % less time"
        return ""

    def _gain(self, size: int, other: int) -> float:
        """Return the share of the time that another number of devices a job is expected to save."""
        times = [
            sweep_time(self._guesses, devices=len(self.devices), size=number, speedup=self.settings.speedup)
            for number in (size, other)
        ]
        return 1 - times[1] / times[0]

    def _check(self, size: int, jobs: Sequence[Job] | None = None) -> Findings:
        return check_jobs(self.waiting if jobs is None else jobs, self.settings.check, processes=size)
