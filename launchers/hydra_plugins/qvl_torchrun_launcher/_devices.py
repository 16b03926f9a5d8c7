"""Devices of this machine: find them, share them out among jobs, and lock them against other launchers."""

from __future__ import annotations

import fcntl
import getpass
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hydra_plugins.qvl_torchrun_launcher._errors import LauncherError
from hydra_plugins.qvl_torchrun_launcher._proc import facts_of

__all__ = ["DeviceLocks", "HeldDevices", "Slot", "find_devices", "list_devices", "make_slots", "physical_names"]

VISIBLE = "CUDA_VISIBLE_DEVICES"

_QUERY_TIMEOUT_S = 60
_POLL_S = 0.2
_DEVICE = re.compile(r"\d+|(GPU|MIG)-[0-9A-Za-z/-]+")
_LISTED_GPU = re.compile(r"GPU (\d+): .*\(UUID: (GPU-[0-9a-f-]+)\)")
_LISTED_PART = re.compile(r"\s+MIG .*\(UUID: (MIG-[0-9A-Za-z/-]+)\)")
_HOLDER = re.compile(r"pid (\d+) of [\w.@\\-]+ since [\d: -]+")


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


def list_devices() -> str | None:
    """Return what `nvidia-smi -L` prints, None where there is no such tool.

    Raises:
        LauncherError: It fails or hangs.
    """
    advice = f"set {VISIBLE}= to run on the CPU"
    try:
        done = subprocess.run(
            ["nvidia-smi", "-L"], capture_output=True, text=True, timeout=_QUERY_TIMEOUT_S, check=False
        )
    except FileNotFoundError:
        return None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LauncherError(f"nvidia-smi does not work: {error}; {advice}") from error
    if done.returncode != 0 and "No devices" not in done.stdout:
        said = " ".join((done.stdout + done.stderr).split())
        raise LauncherError(f"nvidia-smi does not work, exit code {done.returncode}: {said}; {advice}")
    return done.stdout


def find_devices(environ: Mapping[str, str], *, query: Callable[[], str | None] = list_devices) -> tuple[str, ...]:
    """Return the devices that jobs may use, as CUDA names them.

    Args:
        environ: Its CUDA_VISIBLE_DEVICES is the pool if set; "" and "-1" stand for no device.
        query: Returns the output of `nvidia-smi -L`, None without such a tool. A device cut into MIG parts gives these.

    Raises:
        LauncherError: A device in the pool is none or is named twice, or nvidia-smi fails.
    """
    pool = environ.get(VISIBLE)
    if pool is None:
        return _parse_listing(query() or "")[0]
    names = [name.strip() for name in pool.split(",")]
    if names in ([""], ["-1"], ["NoDevFiles"]):
        return ()
    for name in names:
        if _DEVICE.fullmatch(name) is None:
            raise LauncherError(f"{VISIBLE}={pool}: {name!r} is no device; expected numbers, GPU-<id> or MIG-<id>")
        if names.count(name) > 1:
            raise LauncherError(f"{VISIBLE}={pool}: device {name} is named twice")
    return tuple(names)


def physical_names(devices: Sequence[str], *, query: Callable[[], str | None] = list_devices) -> dict[str, str]:
    """Return one name for each device, the same for all who use it, however they call it.

    Args:
        devices: Numbers or ids, also beginnings of ids.
        query: As of `find_devices`.
    """
    _, ids = _parse_listing(query() or "")
    names = {}
    for device in devices:
        longer = [full for full in set(ids.values()) if full.startswith(device)]
        names[device] = ids.get(device, longer[0] if len(longer) == 1 else device)
    return names


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
    size = gpus_per_job or max(1, len(devices) // jobs)
    if size > len(devices):
        raise LauncherError(f"gpus_per_job={size}, but there are {len(devices)} devices: {','.join(devices)}")
    groups = [tuple(devices[first : first + size]) for first in range(0, len(devices) - size + 1, size)]
    return tuple(Slot(number, group, size) for number, group in enumerate(groups[:jobs]))


class HeldDevices:
    """Devices that are locked until `release`, or until the last process dies that has the descriptors.

    Attributes:
        descriptors: Open lock files.
    """

    def __init__(self, descriptors: Sequence[int]) -> None:
        self.descriptors = tuple(descriptors)

    def __enter__(self) -> HeldDevices:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def release(self) -> None:
        """Unlock them, also for processes that have inherited the descriptors."""
        for descriptor in self.descriptors:
            fcntl.flock(descriptor, fcntl.LOCK_UN)
            os.close(descriptor)
        self.descriptors = ()


class DeviceLocks:
    """Locks of devices that all launchers of this machine respect, whoever started them.

    Args:
        folder: Where the lock files lie; None: a folder shared by all users.
        names: Names of devices in the files' names, from `physical_names`; a device that is missing has its own.
    """

    def __init__(self, folder: Path | None = None, *, names: Mapping[str, str] | None = None) -> None:
        self._folder = folder or Path(tempfile.gettempdir()) / "torchrun-launcher-locks"
        self._names = dict(names or {})

    def free(self, devices: Sequence[str]) -> tuple[str, ...]:
        """Return the devices that nobody holds at this moment.

        Raises:
            LauncherError: As of `take`.
        """
        found = []
        for device in devices:
            descriptor = self._open(device)
            if _lock(descriptor):
                found.append(device)
            os.close(descriptor)
        return tuple(found)

    def take(
        self, devices: Sequence[str], *, timeout_s: float | None, on_wait: Callable[[str], None] | None = None
    ) -> HeldDevices:
        """Lock devices, all or none.

        Args:
            devices: As CUDA names them.
            timeout_s: Seconds to wait for those that others hold; 0 does not wait, None waits for ever.
            on_wait: Told at each try who holds a device; what it raises ends the waiting.

        Raises:
            LauncherError: A device is still held, the text tells by whom; or the lock files cannot be used.
        """
        end = None if timeout_s is None else time.monotonic() + timeout_s
        held: list[int] = []
        try:
            for device in sorted(
                devices, key=self._file_of
            ):  # one order for all, so that two never wait for each other
                descriptor = self._open(device)
                held.append(descriptor)
                self._wait_for(device, descriptor, end, on_wait)
        except BaseException:
            HeldDevices(held).release()
            raise
        return HeldDevices(held)

    def _wait_for(self, device: str, descriptor: int, end: float | None, on_wait: Callable[[str], None] | None) -> None:
        while not _lock(descriptor):
            text = f"device {device} is held by {_read_holder(descriptor)}"
            if end is not None and time.monotonic() >= end:
                raise LauncherError(text)
            if on_wait is not None:
                on_wait(text)
            time.sleep(_POLL_S)
        _write_holder(descriptor)

    def _file_of(self, device: str) -> Path:
        return self._folder / f"{self._names.get(device, device).replace('/', '_')}.lock"

    def _open(self, device: str) -> int:
        path = self._file_of(device)
        try:
            self._make_folder()
            return _open_shared(path)
        except OSError as error:
            raise LauncherError(f"{path}: device {device} cannot be locked: {error.strerror}") from error

    def _make_folder(self) -> None:
        try:
            self._folder.mkdir(parents=True)
        except FileExistsError:
            return
        self._folder.chmod(0o1777)


def _parse_listing(text: str) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return the usable devices that `nvidia-smi -L` lists, and the id of each number and of each id."""
    usable: list[str] = []
    ids: dict[str, str] = {}
    for line in text.splitlines():
        if gpu := _LISTED_GPU.match(line):
            usable.append(gpu[1])
            ids |= {gpu[1]: gpu[2], gpu[2]: gpu[2]}
        elif part := _LISTED_PART.match(line):
            if usable and usable[-1] in ids and not usable[-1].startswith("MIG"):
                usable.pop()  # a device that is cut into parts cannot be used as a whole
            usable.append(part[1])
            ids[part[1]] = part[1]
    return tuple(usable), ids


def _open_shared(path: Path) -> int:
    """Open a file that all users may lock; it is made if there is none."""
    flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
    while True:
        try:
            return os.open(path, flags)  # without O_CREAT, which the kernel refuses for another user's file in /tmp
        except FileNotFoundError:
            pass
        try:
            descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o666)
        except FileExistsError:
            continue
        os.fchmod(descriptor, 0o666)  # whatever the umask
        return descriptor


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _write_holder(descriptor: int) -> None:
    text = f"pid {os.getpid()} of {_user()} since {time.strftime('%Y-%m-%d %H:%M:%S')}\n"
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, text.encode(), 0)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run under a number without a name
        return str(os.getuid())


def _read_holder(descriptor: int) -> str:
    text = os.pread(descriptor, 200, 0).decode(errors="replace").strip()
    found = _HOLDER.fullmatch(text)
    if found is None:
        return "another process"
    return text if facts_of(int(found[1])) else f"what {text} has left, which is being ended"
