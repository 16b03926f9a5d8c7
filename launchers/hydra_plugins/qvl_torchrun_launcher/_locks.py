"""Locks of devices that all launchers of this machine respect."""

from __future__ import annotations

import fcntl
import getpass
import os
import re
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from hydra_plugins.qvl_torchrun_launcher._errors import LauncherError
from hydra_plugins.qvl_torchrun_launcher._proc import facts_of

__all__ = ["DeviceLocks", "HeldDevices"]

_POLL_S = 0.2
_HOLDER = re.compile(r"pid (\d+) of [\w.@\\-]+ since [\d: -]+")


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
        names: UUIDs of devices, so that two names of one device are one lock; a device that is missing has its own.
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
