"""A machine with devices, as NVML and as nvidia-smi would tell it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from hydra_plugins.qvl_torchrun_launcher._machine import Machine
from hydra_plugins.qvl_torchrun_launcher._nvidia import ReaderFault, read_machine, read_nvml

A, B, C = (f"GPU-{letter * 8}-0000-0000-0000-00000000000{letter}" for letter in "abc")
PART_1, PART_2 = "MIG-11111111-0000", "MIG-22222222-0000"
MIB = 2**20


@dataclass
class Gpu:
    """A device; `fails` names the error that asking for it raises."""

    uuid: str
    model: str = "NVIDIA A100-SXM4-80GB"
    used: int = 4
    parts: Sequence[str] = ()
    is_cut: bool = False
    processes: Sequence[tuple[int, int | None]] = ()
    fails: str = ""


@dataclass
class FakeNvml:
    """What the launcher asks of pynvml; what is named in `unknown` is not supported."""

    gpus: Sequence[Gpu]
    unknown: Sequence[str] = ()
    open: int = 0
    NVML_DEVICE_MIG_ENABLE: int = 1
    nvmlMemory_v2: int = 2
    NVMLError: type[Exception] = field(default_factory=lambda: type("NVMLError", (Exception,), {}))

    def __post_init__(self) -> None:
        self.NVMLError_NoPermission = type("NVMLError_NoPermission", (self.NVMLError,), {})

    def nvmlInit(self) -> None:
        self._ask("init")
        self.open += 1

    def nvmlShutdown(self) -> None:
        self.open -= 1

    def nvmlSystemGetDriverVersion(self) -> str:
        return "580.65.06"

    def nvmlSystemGetCudaDriverVersion_v2(self) -> int:
        return 13000

    def nvmlDeviceGetCount(self) -> int:
        return len(self.gpus)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> Gpu:
        gpu = self.gpus[index]
        if gpu.fails == "NoPermission":
            raise self.NVMLError_NoPermission("Insufficient Permissions")
        if gpu.fails:
            raise self.NVMLError(gpu.fails)
        return gpu

    def nvmlDeviceGetUUID(self, gpu: Gpu) -> str:
        return gpu.uuid

    def nvmlDeviceGetName(self, gpu: Gpu) -> str:
        return gpu.model

    def nvmlDeviceGetCudaComputeCapability(self, gpu: Gpu) -> tuple[int, int]:
        self._ask("capability")
        return 8, 0

    def nvmlDeviceGetMemoryInfo(self, gpu: Gpu, version: int | None) -> Any:
        self._ask(f"memory {version}")
        return SimpleNamespace(used=gpu.used * MIB + (500 * MIB if version is None else 0), total=81559 * MIB)

    def nvmlDeviceGetComputeRunningProcesses(self, gpu: Gpu) -> list[Any]:
        self._ask("processes")
        return [
            SimpleNamespace(pid=pid, usedGpuMemory=None if mib is None else mib * MIB) for pid, mib in gpu.processes
        ]

    def nvmlDeviceGetMigMode(self, gpu: Gpu) -> list[int]:
        self._ask("mig")
        return [int(gpu.is_cut or bool(gpu.parts)), 0]

    def nvmlDeviceGetMaxMigDeviceCount(self, gpu: Gpu) -> int:
        return 7

    def nvmlDeviceGetMigDeviceHandleByIndex(self, gpu: Gpu, index: int) -> Gpu:
        if index >= len(gpu.parts):
            raise self.NVMLError("Not Found")
        return Gpu(gpu.parts[index], model=f"{gpu.model} MIG 3g.40gb", used=gpu.used)

    def _ask(self, what: str) -> None:
        if what in self.unknown:
            raise self.NVMLError("Not Supported")


def smi_of(gpus: Sequence[Gpu], *, is_old: bool = False) -> Callable[[Sequence[str]], str]:
    """Return a nvidia-smi that tells of devices; an old one does not know their compute capability."""

    def smi(words: Sequence[str]) -> str:
        if words[0] != "-L":
            capability = ""
            if words[0].endswith(",compute_cap"):
                if is_old:
                    raise ReaderFault("nvidia-smi", 'exit code 2: Field "compute_cap" is not a valid field to query.')
                capability = ", 8.0"
            return "".join(f"{gpu.uuid}, {gpu.used}, 81559, 580.65.06{capability}\n" for gpu in gpus)
        lines = []
        for number, gpu in enumerate(gpus):
            lines.append(f"GPU {number}: {gpu.model} (UUID: {gpu.uuid})")
            lines += [f"  MIG 3g.40gb     Device  {index}: (UUID: {part})" for index, part in enumerate(gpu.parts)]
        return "\n".join(lines) + "\n"

    return smi


def machine(*gpus: Gpu) -> Machine:
    """Return a machine as NVML would tell it."""
    return read_machine(nvml=lambda: read_nvml(load=lambda: FakeNvml(gpus)))


def a_hundred(count: int) -> Machine:
    """Return a machine with devices 0, 1, ... of which nobody uses one."""
    return machine(*(Gpu(f"GPU-{number:08d}") for number in range(count)))
