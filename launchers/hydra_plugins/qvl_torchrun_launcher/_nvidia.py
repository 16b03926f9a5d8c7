"""Reads the devices of this machine through NVML, or the tool on top of it, nvidia-smi; CUDA is not started."""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hydra_plugins.qvl_torchrun_launcher._errors import LauncherError
from hydra_plugins.qvl_torchrun_launcher._machine import CPU_ADVICE, Device, Machine, Usage

__all__ = ["ReaderFault", "ask_nvidia_smi", "device_files", "load_nvml", "read_machine", "read_nvml"]

LIBRARY = "libnvidia-ml.so.1"
TIMEOUT_S = 60.0  # a driver that hangs does not answer
MIB = 2**20

_LISTED_GPU = re.compile(r"GPU (\d+): (.*) \(UUID: (GPU-[0-9A-Za-z-]+)\)")
_LISTED_PART = re.compile(r"\s+(MIG .*\S)\s+Device +\d+: \(UUID: (MIG-[0-9A-Za-z/-]+)\)")
_FIELDS = "uuid,memory.used,memory.total,driver_version"
_FORMAT = "--format=csv,noheader,nounits"


class ReaderFault(LauncherError):
    """What would tell about the devices does not work.

    Attributes:
        reader: "NVML" or "nvidia-smi".
        fault: In its own words.
    """

    def __init__(self, reader: str, fault: str) -> None:
        super().__init__(f"{reader} does not work: {fault}; {CPU_ADVICE}")
        self.reader = reader
        self.fault = fault


def load_nvml() -> Any:
    """Return the module pynvml, None where the driver's library is not installed."""
    try:
        ctypes.CDLL(LIBRARY)
    except OSError:
        return None
    import pynvml

    return pynvml


def read_nvml(*, load: Callable[[], Any] = load_nvml, timeout_s: float = TIMEOUT_S) -> Machine | None:
    """Return what NVML tells, None where it is not installed.

    Args:
        load: Returns pynvml or what has its functions, None where there is no NVML.
        timeout_s: Seconds that it gets.

    Raises:
        ReaderFault: It fails or hangs.
    """
    nvml = load()
    if nvml is None:
        return None
    answers: list[Machine | Exception] = []

    def ask() -> None:
        try:
            answers.append(_read(nvml))
        except nvml.NVMLError as error:
            answers.append(error)

    asking = threading.Thread(target=ask, daemon=True)  # a call into the driver cannot be interrupted, only left
    asking.start()
    asking.join(timeout_s)
    answer = answers[0] if answers else f"no answer in {timeout_s:g} s"
    if isinstance(answer, Machine):
        return answer
    raise ReaderFault("NVML", str(answer))


def ask_nvidia_smi(words: Sequence[str], *, path: str | None = None) -> str | None:
    """Return what nvidia-smi prints, None where there is no such tool.

    Args:
        words: Its arguments.
        path: Where it is looked for, in the place of PATH.

    Raises:
        ReaderFault: It fails or hangs.
    """
    command = ["nvidia-smi", *words]
    env = None if path is None else {**os.environ, "PATH": path}
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False, env=env)
    except FileNotFoundError:
        return None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ReaderFault("nvidia-smi", str(error)) from error
    if done.returncode != 0 and "No devices" not in done.stdout:
        said = " ".join((done.stdout + done.stderr).split())
        raise ReaderFault("nvidia-smi", f"exit code {done.returncode}: {said}")
    return done.stdout


def read_machine(
    *,
    nvml: Callable[[], Machine | None] = read_nvml,
    smi: Callable[[Sequence[str]], str | None] = ask_nvidia_smi,
    files: Path = Path("/dev"),
) -> Machine:
    """Look at the devices of this machine, through NVML, else through nvidia-smi.

    Args:
        nvml: Reads through NVML, None where it is not installed.
        smi: Runs nvidia-smi.
        files: Folder of the device files.

    Raises:
        ReaderFault: The driver does not answer.
    """
    machine = nvml() or _read_nvidia_smi(smi) or Machine()
    return machine if machine.devices else replace(machine, device_files=device_files(files))


def device_files(folder: Path = Path("/dev")) -> tuple[str, ...]:
    """Return the files of devices, such as /dev/nvidia0; they are there without a tool that tells about them."""
    return tuple(sorted(str(path) for path in folder.glob("nvidia[0-9]*")))


def _read(nvml: Any) -> Machine:
    nvml.nvmlInit()
    try:
        version = nvml.nvmlSystemGetCudaDriverVersion_v2()
        driver = nvml.nvmlSystemGetDriverVersion()
        devices = _devices(nvml)
    finally:
        nvml.nvmlShutdown()
    return Machine("NVML", devices, driver=driver, cuda=f"{version // 1000}.{version % 1000 // 10}")


def _devices(nvml: Any) -> tuple[Device, ...]:
    found: list[Device] = []
    number, is_numbered = 0, True
    for index in range(nvml.nvmlDeviceGetCount()):
        try:
            handle = nvml.nvmlDeviceGetHandleByIndex(index)
            whole = _device(nvml, handle, Device(str(number), "", number=number))
        except nvml.NVMLError_NoPermission:  # a scheduler has given it to somebody else, and CUDA does not count it
            is_numbered = False
            continue
        except nvml.NVMLError as error:
            is_numbered = False
            found.append(Device(str(number), str(number), number=number, fault=str(error)))
        else:
            found += _parts(nvml, handle, whole) if _is_cut(nvml, handle) else [whole]
        number += 1
    if is_numbered:
        return tuple(found)
    # behind a gap nvidia-smi and CUDA may count differently
    return tuple(device if device.fault else replace(device, name=device.uuid) for device in found)


def _device(nvml: Any, handle: Any, blank: Device) -> Device:
    """Return what NVML tells about a device or a part; what it does not know stays open."""
    uuid = nvml.nvmlDeviceGetUUID(handle)
    used, total = _memory(nvml, handle)
    return replace(
        blank,
        uuid=uuid,
        gpu=blank.gpu or uuid,
        model=nvml.nvmlDeviceGetName(handle),
        used_mib=used,
        total_mib=total,
        capability=blank.capability or _capability(nvml, handle),
        processes=tuple(_processes(nvml, handle)),
    )


def _capability(nvml: Any, handle: Any) -> tuple[int, int] | None:
    try:
        major, minor = nvml.nvmlDeviceGetCudaComputeCapability(handle)
    except nvml.NVMLError:  # not supported; nothing but advice needs it
        return None
    return int(major), int(minor)


def _is_cut(nvml: Any, handle: Any) -> bool:
    try:
        current, _ = nvml.nvmlDeviceGetMigMode(handle)
    except nvml.NVMLError:  # most devices do not know what that is
        return False
    return bool(current == nvml.NVML_DEVICE_MIG_ENABLE)


def _parts(nvml: Any, handle: Any, whole: Device) -> list[Device]:
    found = []
    for index in range(nvml.nvmlDeviceGetMaxMigDeviceCount(handle)):
        try:
            part = nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, index)
            device = _device(nvml, part, whole)
        except nvml.NVMLError:  # as many numbers as it could have parts; most are not taken, or not this user's
            continue
        found.append(replace(device, name=device.uuid))
    return found or [replace(whole, fault="MIG is on and it has no part that can be used")]


def _memory(nvml: Any, handle: Any) -> tuple[int | None, int | None]:
    """Return the MiB that are taken, without what the driver keeps for itself as nvidia-smi counts, and all MiB."""
    for version in (nvml.nvmlMemory_v2, None):
        try:
            memory = nvml.nvmlDeviceGetMemoryInfo(handle, version)
        except nvml.NVMLError:  # an old driver, or a device that shares the memory of the processor
            continue
        return memory.used // MIB, memory.total // MIB
    return None, None


def _processes(nvml: Any, handle: Any) -> Iterator[Usage]:
    try:
        running = nvml.nvmlDeviceGetComputeRunningProcesses(handle)
    except nvml.NVMLError:  # a device that is cut tells only the administrator
        return
    for process in running:
        used = process.usedGpuMemory
        yield Usage(process.pid, None if used is None else used // MIB)


def _read_nvidia_smi(smi: Callable[[Sequence[str]], str | None]) -> Machine | None:
    listing = smi(["-L"])
    if listing is None:
        return None
    devices: list[Device] = []
    for line in listing.splitlines():
        if gpu := _LISTED_GPU.match(line):
            devices.append(Device(gpu[1], gpu[3], number=int(gpu[1]), gpu=gpu[3], model=gpu[2]))
        elif (part := _LISTED_PART.match(line)) and devices:
            whole = devices[-1]
            if not whole.is_part:
                devices.pop()  # a device that is cut into parts cannot be used as a whole
            devices.append(
                replace(whole, name=part[2], uuid=part[2], model=f"{whole.model.split(' MIG ')[0]} {part[1]}")
            )
    rows = _rows(smi) if devices else {}
    known = []
    for device in devices:
        _, used, total, _, capability = rows.get(device.gpu, [""] * 5)
        known.append(replace(device, capability=_version(capability)))
        if not device.is_part:
            known[-1] = replace(known[-1], used_mib=_count(used), total_mib=_count(total))
    drivers = [row[3] for row in rows.values()]
    return Machine("nvidia-smi", tuple(known), driver=drivers[0] if drivers else "")


def _rows(smi: Callable[[Sequence[str]], str | None]) -> dict[str, list[str]]:
    """Return UUID, memory that is taken, all memory, driver and compute capability of devices, by UUID."""
    try:
        facts = smi([f"--query-gpu={_FIELDS},compute_cap", _FORMAT])
    except ReaderFault:  # tools of drivers before 510 do not know the field, and refuse all of the question
        facts = smi([f"--query-gpu={_FIELDS}", _FORMAT])
    rows = ([value.strip() for value in line.split(",")] for line in (facts or "").splitlines())
    return {row[0]: [*row, ""][:5] for row in rows if len(row) in (4, 5)}


def _count(text: str) -> int | None:
    return int(text) if text.isdecimal() else None


def _version(text: str) -> tuple[int, int] | None:
    found = re.fullmatch(r"(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else None
