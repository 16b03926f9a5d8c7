"""The devices that jobs may use, by name, and whether somebody else uses them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from hydra_plugins.qvl_torchrun_launcher._errors import LauncherError
from hydra_plugins.qvl_torchrun_launcher._machine import (
    AS_NVIDIA_SMI,
    CPU_ADVICE,
    ORDER,
    VISIBLE,
    Device,
    Machine,
    is_none,
)
from hydra_plugins.qvl_torchrun_launcher._nvidia import read_machine

__all__ = ["IN_USE_MIB", "find_devices", "is_in_use", "named_devices", "usage_text"]

IN_USE_MIB = 1024
"""Memory from which on a device counts as in use: more than an idle process has, less than any training."""

_NUMBER = re.compile(r"\d+")
_ID = re.compile(r"(GPU|MIG)-[0-9A-Za-z/-]*")
_OUTERMOST = "pid:[4026531836]"  # namespace in which process numbers are those that the driver tells


def find_devices(
    environ: Mapping[str, str], *, named: str | None = None, read: Callable[[], Machine] = read_machine
) -> tuple[Device, ...]:
    """Return the devices that may be used, in the order in which they were named.

    Names are checked against what is there, and ids that were cut short are made whole. Where nothing can be asked,
    such as on a login node, they are taken as they are.

    Args:
        environ: Its CUDA_VISIBLE_DEVICES is the pool if set; "" and "-1" stand for no device.
        named: `hydra.launcher.devices`; wins over the environment, and counts as nvidia-smi does.
        read: Looks at the machine; not called where no device is wanted.

    Raises:
        LauncherError: A name stands for no device, for several, or for one that is named already or cannot be used; or
            the devices cannot be asked.
    """
    key, pool = ("hydra.launcher.devices", named) if named is not None else (VISIBLE, environ.get(VISIBLE))
    if is_none(pool):
        return ()
    machine = read()
    if pool is not None and named is None:
        _refuse_other_order(_names(pool), machine, environ.get(ORDER, AS_NVIDIA_SMI))
    devices, faults = named_devices(pool, machine)
    if faults:
        raise LauncherError(("" if pool is None else f"{key}={pool}: ") + "; ".join(faults))
    return devices


def named_devices(pool: str | None, machine: Machine) -> tuple[tuple[Device, ...], list[str]]:
    """Return the devices that a pool stands for, in its order, and what is wrong with it, a line each.

    CUDA itself stops reading at the first name that it does not know, and gives no device at all where one is named
    twice; a number and an id may mean the same one.

    Args:
        pool: Names with commas between them; None for all devices.
        machine: What is there; where nothing is known, names are taken as they are.
    """
    if pool is None:
        return _all_of(machine)
    devices: dict[str, Device] = {}
    faults: list[str] = []
    for name in _names(pool):
        try:
            found = _named(name, machine)
        except LauncherError as error:
            faults.append(str(error))
            continue
        twice = [earlier for earlier, device in devices.items() if device.uuid == found.uuid]
        if twice:
            faults.append(f"device {name} is named twice" + ("" if twice == [name] else f", also as {twice[0]}"))
            continue
        devices[name] = found
    return _of_one_kind(list(devices.values())), faults


def is_in_use(device: Device) -> bool:
    """Return whether somebody uses a device: a GiB of its memory is taken, or more."""
    return device.used_mib is not None and device.used_mib >= IN_USE_MIB


def usage_text(device: Device) -> str:
    """Return who uses a device, such as "device 0: 61440 of 81559 MiB taken, pid 4321 (anna, python) 61000 MiB"."""
    memory = "memory unknown" if device.used_mib is None else f"{device.used_mib} of {device.total_mib} MiB taken"
    users = [f"pid {use.pid}{_who(use.pid)}" + (f" {use.mib} MiB" if use.mib else "") for use in device.processes]
    return f"device {device.name}: " + ", ".join([memory, *(users or ["by processes that cannot be seen from here"])])


def _who(pid: int) -> str:
    """Return the user and the program of a process, if its number means the same here as for the driver."""
    place = Path(f"/proc/{pid}")
    try:
        if os.readlink("/proc/self/ns/pid") != _OUTERMOST:
            return ""
        program = ascii((place / "comm").read_text(errors="replace").strip())[1:-1]  # it may hold anything
        return f" ({place.owner()}, {program})"
    except (OSError, KeyError):
        return ""


def _names(pool: str) -> list[str]:
    return [name.strip() for name in pool.split(",")]


def _all_of(machine: Machine) -> tuple[tuple[Device, ...], list[str]]:
    if not machine.reader and machine.device_files:
        return (), [
            f"there is {machine.device_files[0]}, but neither NVML nor nvidia-smi, which would tell about it (in a "
            f"container: NVIDIA_DRIVER_CAPABILITIES=compute,utility); name the devices, {VISIBLE}=0, or {CPU_ADVICE}"
        ]
    usable = tuple(device for device in machine.devices if not device.fault)
    faulty = [device for device in machine.devices if device.fault]
    if faulty:
        rest = ",".join(device.name for device in usable)
        faults = "; ".join(f"device {device.name} cannot be used: {device.fault}" for device in faulty)
        return usable, [f"{faults}; leave it out: {VISIBLE}={rest}"]
    return usable, []


def _named(name: str, machine: Machine) -> Device:
    """Return the device that a name stands for."""
    if _NUMBER.fullmatch(name):
        found = [device for device in machine.devices if device.number == int(name)]
    elif _ID.fullmatch(name):
        found = [device for device in machine.devices if name in (device.gpu, device.uuid)] or [
            device for device in machine.devices if (device.gpu if name[0] == "G" else device.uuid).startswith(name)
        ]
    else:
        raise LauncherError(f"{name!r} is no device; expected numbers, GPU-<id> or MIG-<id>")
    if not machine.reader:
        plain = str(int(name)) if name.isdecimal() else name
        return Device(plain, plain)
    if not found:
        there = ", ".join(_label(device) for device in machine.devices) or "no device"
        raise LauncherError(f"device {name} is not there; {machine.reader} lists {there}")
    if len(found) > 1:
        names = ", ".join(device.name for device in found)
        is_cut = len({device.gpu for device in found}) == 1
        raise LauncherError(
            f"device {name} is cut into MIG parts, name one of them: {names}"
            if is_cut
            else f"{name} is the beginning of several ids: {', '.join(device.uuid for device in found)}"
        )
    if found[0].fault:
        raise LauncherError(f"device {name} cannot be used: {found[0].fault}")
    return found[0] if _NUMBER.fullmatch(name) else replace(found[0], name=found[0].uuid)


def _label(device: Device) -> str:
    return device.uuid if device.name == device.uuid else f"{device.name} ({device.uuid})"


def _refuse_other_order(names: Sequence[str], machine: Machine, order: str) -> None:
    """Refuse numbers that mean other devices than those of nvidia-smi."""
    models = sorted({device.model for device in machine.devices})
    if order != AS_NVIDIA_SMI and len(models) > 1 and any(_NUMBER.fullmatch(name) for name in names):
        raise LauncherError(
            f"{VISIBLE}={','.join(names)} with {ORDER}={order} does not count as nvidia-smi does, and the devices "
            f"differ ({', '.join(models)}); set {ORDER}={AS_NVIDIA_SMI}, or name them as GPU-<id>"
        )


def _of_one_kind(devices: Sequence[Device]) -> tuple[Device, ...]:
    """Name all by their ids if some are: CUDA does not read on where numbers and ids are mixed."""
    if all(_NUMBER.fullmatch(device.name) for device in devices):
        return tuple(devices)
    return tuple(replace(device, name=device.uuid) for device in devices)
