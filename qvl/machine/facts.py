"""What a machine has, asked of its driver, of the packages that are installed, and of torch in a process of its own."""

from __future__ import annotations

import functools
import importlib.util
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Final

from hydra_plugins.qvl_torchrun_launcher._devices import named_devices
from hydra_plugins.qvl_torchrun_launcher._machine import VISIBLE, Device, is_none
from hydra_plugins.qvl_torchrun_launcher._machine import Machine as Hardware
from hydra_plugins.qvl_torchrun_launcher._nvidia import ReaderFault, ask_nvidia_smi, device_files, read_machine

__all__ = ["Machine", "gather"]

OPTIONAL: Final = ("deepspeed", "flash-attn", "liger-kernel", "vllm")
"""Distributions that a run may ask for and that `make setup` does not install."""

_TORCH_TIMEOUT_S: Final = 180  # a first import from a network disk
_TORCH: Final = """
import json, sys, warnings
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    import torch
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
words = [str(warning.message) for warning in said if "CUDA" in str(warning.message)]
sys.stdout.write(json.dumps([count, words[-1] if words else ""]))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What a run finds.

    Attributes:
        reader: What tells about its devices: "NVML" or "nvidia-smi".
        devices: All GPUs of the machine, whether or not the run may use them; one that is cut is there as its parts.
        driver: Version of the driver, such as 570.124.06; None without one.
        tool_fault: Why the reader does not work; None if it does, or is not there.
        has_device_files: Whether there are files of GPUs, /dev/nvidia0 and so on, that the reader does not list.
        visible: CUDA_VISIBLE_DEVICES as the run will have it; None for all devices.
        torch: Version of torch.
        torch_cuda: CUDA that torch is built for; None for a build without CUDA.
        torch_sees: How many devices torch can use; None: it was not asked, because there are none to be used.
        torch_says: Its own words about that.
        packages: Those of OPTIONAL that are installed, and their versions.
    """

    reader: str = "nvidia-smi"
    devices: tuple[Device, ...] = ()
    driver: str | None = None
    tool_fault: str | None = None
    has_device_files: bool = False
    visible: str | None = None
    torch: str = ""
    torch_cuda: tuple[int, int] | None = None
    torch_sees: int | None = None
    torch_says: str = ""
    packages: Mapping[str, str]

    def named_devices(self) -> tuple[tuple[Device, ...], list[str]]:
        """Return the devices that a run may use, in its order, and what is wrong with their names.

        Where there are no devices nothing is known, and no name is wrong.
        """
        if is_none(self.visible) or not self.devices:
            return (), []
        return named_devices(self.visible, Hardware(self.reader, self.devices))


def gather(environ: Mapping[str, str] = os.environ, *, devices: str | None = None) -> Machine:
    """Return what this machine has; asked once, however many jobs want to know.

    Torch is asked where there are devices to be used and in a process of its own, so that CUDA is not touched in this
    one. Only that tells a driver that it cannot use from one that it can: compatibility packages, broken services and
    missing device files are in no version number.

    Args:
        environ: Environment of the run.
        devices: In the place of its CUDA_VISIBLE_DEVICES: the pool of a launcher.
    """
    pool = environ.get(VISIBLE) if devices is None else devices
    return _gather(environ.get("PATH", ""), pool)


@functools.cache
def _gather(path: str, visible: str | None) -> Machine:
    fault = None
    try:
        found = read_machine(smi=functools.partial(ask_nvidia_smi, path=path))
    except ReaderFault as error:
        found, fault = Hardware(error.reader, device_files=device_files()), error.fault
    version, cuda = _torch_build()
    machine = Machine(
        reader=found.reader or "nvidia-smi",
        devices=found.devices,
        driver=found.driver or None,
        tool_fault=fault,
        has_device_files=bool(found.device_files),
        visible=visible,
        torch=version,
        torch_cuda=cuda,
        packages=_packages(),
    )
    if is_none(visible) or not (found.devices or found.device_files) or machine.named_devices()[1]:
        return machine
    sees, says = _ask_torch(visible)
    return replace(machine, torch_sees=sees, torch_says=says)


def _version(text: str) -> tuple[int, int] | None:
    found = re.match(r"(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else None


def _torch_build() -> tuple[str, tuple[int, int] | None]:
    """Return the version of torch and its CUDA, as its own version file has them, without importing it."""
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        return "", None
    text = Path(spec.origin).with_name("version.py").read_text(encoding="utf-8")
    values = dict(re.findall(r"^(\w+)(?:: [^=]+)? = '([^']*)'", text, re.MULTILINE))
    return values.get("__version__", ""), _version(values.get("cuda", ""))


def _packages() -> dict[str, str]:
    versions = {}
    for name in OPTIONAL:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def _ask_torch(visible: str | None) -> tuple[int, str]:
    """Return how many devices torch can use, and what it says about that."""
    env = {**os.environ, "CUDA_DEVICE_ORDER": "PCI_BUS_ID", "PYTORCH_NVML_BASED_CUDA_CHECK": "0"}
    if visible is not None:
        env[VISIBLE] = visible
    argv = [sys.executable, "-P", "-c", _TORCH]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=_TORCH_TIMEOUT_S, check=False, env=env)
    except subprocess.TimeoutExpired:
        return 0, f"it did not answer in {_TORCH_TIMEOUT_S} seconds"
    if done.returncode != 0:
        return 0, (done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1]
    count, says = json.loads(done.stdout.splitlines()[-1])
    return int(count), str(says)
