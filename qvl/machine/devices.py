"""What CUDA_VISIBLE_DEVICES names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

__all__ = ["VISIBLE", "Device", "is_none", "named_devices"]

VISIBLE: Final = "CUDA_VISIBLE_DEVICES"


@dataclass(frozen=True, slots=True)
class Device:
    """A GPU as nvidia-smi has it.

    Attributes:
        number: Its index in the order of the bus.
        id: `GPU-...`.
        name: Of the product.
        memory_mib: MiB in all; None where it does not tell.
        capability: Compute capability, such as (8, 0); None where it does not tell.
        parts: Ids of the MIG parts that it is cut into.
    """

    number: int
    id: str
    name: str = ""
    memory_mib: int | None = None
    capability: tuple[int, int] | None = None
    parts: tuple[str, ...] = ()


def is_none(visible: str | None) -> bool:
    """Return whether CUDA_VISIBLE_DEVICES asks for no device, and so for the CPU."""
    return visible is not None and visible.strip() in ("", "-1", "NoDevFiles")


def named_devices(visible: str | None, devices: Sequence[Device]) -> tuple[list[Device], list[str]]:
    """Return the devices that a run may use, in its order, and what is wrong with their names.

    CUDA itself stops reading at the first name that it does not know, and gives no device at all where one is named
    twice; a number and an id may mean the same one.

    Args:
        visible: CUDA_VISIBLE_DEVICES; None for all devices.
        devices: Those of the machine; where there are none nothing is known, and no name is wrong.
    """
    if visible is None:
        return list(devices), []
    if is_none(visible) or not devices:
        return [], []
    found: dict[str, tuple[str, Device]] = {}  # by the one name of each device or part
    faults = []
    for name in (word.strip() for word in visible.split(",")):
        meant = [*_meant(name, devices)]
        if len(meant) != 1:
            there = f"0 to {devices[-1].number}" if len(devices) > 1 else f"{devices[0].number} alone"
            what = f"could be any of {len(meant)}" if meant else "is not there"
            faults.append(f"{name!r} {what}; this machine has the devices {there} ({', '.join(_ids(devices))})")
            continue
        unique, device = meant[0]
        if unique in found:
            faults.append(f"{name!r} is the device that {found[unique][0]!r} has named already")
            continue
        found[unique] = (name, device)
    return [device for _, device in found.values()], faults


def _meant(name: str, devices: Sequence[Device]) -> Iterator[tuple[str, Device]]:
    """Yield the unique name and the device of everything that a name could stand for; ids may be cut short."""
    for device in devices:
        if name == str(device.number) or (name.startswith("GPU-") and device.id.startswith(name)):
            yield device.id, device
        if name.startswith("MIG-"):
            yield from ((part, device) for part in device.parts if part.startswith(name) or name.startswith(part))


def _ids(devices: Sequence[Device]) -> list[str]:
    return [name for device in devices for name in (device.parts or (device.id,))]
