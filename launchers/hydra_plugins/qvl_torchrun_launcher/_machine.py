"""What is known about the devices of a machine."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["AS_NVIDIA_SMI", "CPU_ADVICE", "ORDER", "VISIBLE", "Device", "Machine", "Usage", "is_none"]

VISIBLE = "CUDA_VISIBLE_DEVICES"
ORDER = "CUDA_DEVICE_ORDER"
AS_NVIDIA_SMI = "PCI_BUS_ID"
"""Value of CUDA_DEVICE_ORDER with which CUDA counts as nvidia-smi does; CUDA's own default is FASTEST_FIRST."""

CPU_ADVICE = f"set {VISIBLE}= to run on the CPU"


def is_none(pool: str | None) -> bool:
    """Return whether a value of CUDA_VISIBLE_DEVICES asks for no device, and so for the CPU."""
    return pool is not None and pool.strip() in ("", "-1", "NoDevFiles")


@dataclass(frozen=True, slots=True)
class Usage:
    """A process that computes on a device.

    Attributes:
        pid: As the machine counts; a container may count otherwise.
        mib: Memory that it holds there; None: unknown.
    """

    pid: int
    mib: int | None


@dataclass(frozen=True, slots=True)
class Device:
    """A device, or one MIG part of it.

    Attributes:
        name: As CUDA_VISIBLE_DEVICES takes it: the number of nvidia-smi, or an id.
        uuid: "GPU-<id>" or "MIG-<id>"; the name itself where nothing could be asked.
        number: Of nvidia-smi; parts have that of their device.
        gpu: UUID of the whole device.
        model: Such as "NVIDIA A100-SXM4-80GB".
        used_mib: Memory that is taken, whoever has it; None: unknown.
        total_mib: Memory that there is; None: unknown.
        capability: Compute capability, such as (8, 0); None: unknown.
        processes: What computes there; those of other containers may be missing.
        fault: Why it cannot be used; empty if it can.
    """

    name: str
    uuid: str
    number: int | None = None
    gpu: str = ""
    model: str = ""
    used_mib: int | None = None
    total_mib: int | None = None
    capability: tuple[int, int] | None = None
    processes: tuple[Usage, ...] = ()
    fault: str = ""

    @property
    def is_part(self) -> bool:
        """Whether it is a MIG part; CUDA lets a process use one of these only."""
        return self.uuid.startswith("MIG-")


@dataclass(frozen=True, slots=True)
class Machine:
    """What could be learned about the devices of a machine.

    Attributes:
        reader: "NVML" or "nvidia-smi"; empty: there is neither, and nothing is known.
        devices: In the order of nvidia-smi; a device that is cut into MIG parts is there as these.
        driver: Version of the driver, such as "580.65.06"; empty: unknown.
        cuda: Newest CUDA that the driver runs, such as "13.0"; empty: unknown.
        device_files: Files of devices, where nothing tells about any of them.
    """

    reader: str = ""
    devices: tuple[Device, ...] = ()
    driver: str = ""
    cuda: str = ""
    device_files: tuple[str, ...] = ()
