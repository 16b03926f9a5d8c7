"""What of that which a run asks for its machine does not have."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from hydra_plugins.qvl_torchrun_launcher._machine import VISIBLE, Device, is_none

from qvl.machine.attention import FLASH, HALF, choose_attention
from qvl.machine.facts import Machine
from qvl.machine.storage import Checkpoints
from qvl.machine.weights import HubState

__all__ = ["SETS", "MachineFinding", "Needs", "Required", "find_faults"]

SETS: Final = {13: ("constraints.txt", 580), 12: ("constraints-cu12.txt", 525)}
"""By the CUDA that torch is built for: the tested set of packages with it, and the oldest driver that it works with.

The drivers are those of NVIDIA's table: within a major release of CUDA every build runs on every driver from the first
one on, https://docs.nvidia.com/deploy/cuda-compatibility/minor-version-compatibility.html
"""

_ON_CPU: Final = f"{VISIBLE}= runs on the CPU"
_GIB: Final = 2**30


class MachineFinding(NamedTuple):
    """One line about a key or a variable of the environment; a note where it is no error."""

    key: str
    message: str
    is_error: bool = True


@dataclass(frozen=True, slots=True)
class Required:
    """A package that a key asks for.

    Attributes:
        key: Of the configuration.
        package: Name of the distribution.
        advice: What to do where it is missing.
        needs_gpu: Whether what it brings runs on a GPU only.
    """

    key: str
    package: str
    advice: str
    needs_gpu: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What a run asks of its machine.

    Attributes:
        processes: Those that share the devices that are visible; None where a launcher gives each its own.
        each_has_one: Whether a process takes one of them by itself; otherwise it takes all that it sees.
        device: What `device_map` names; None for none.
        half_key: The key that asks for bfloat16; None where none does.
        half: Whether the model computes in bfloat16 as far as is known.
        attention_key: The key of the attention.
        attention: Its value; None for what transformers chooses.
        required: Packages.
        weights: What is known of the models of a hub, by key and name.
        disk: What checkpoints take; None: not known.
        memory_mib: What each device needs, by a plan of the run; None: there is no plan.
    """

    processes: int | None = None
    each_has_one: bool = False
    device: str | None = None
    half_key: str | None = None
    half: bool = False
    attention_key: str = "attn_impl"
    attention: str | None = None
    required: Sequence[Required] = ()
    weights: Mapping[tuple[str, str], HubState] = field(default_factory=dict)
    disk: Checkpoints | None = None
    memory_mib: int | None = None


def find_faults(machine: Machine, needs: Needs) -> list[MachineFinding]:
    """Return what a run cannot use, and what it does that its user may not expect.

    Args:
        machine: What there is.
        needs: What is asked for.
    """
    on_cpu = needs.device == "cpu" or is_none(machine.visible)
    devices = () if on_cpu else machine.named_devices()[0]
    if on_cpu:
        machine = replace(machine, torch_sees=None)
    findings = [
        *([] if on_cpu else _devices(machine, needs)),
        *_sharing(len(devices), needs),
        *_half(devices, needs),
        *_attention(machine, devices, needs),
        *_packages(machine, devices, needs),
        *_weights(needs),
        *_disk(needs),
        *_memory(devices, needs),
    ]
    return sorted(findings, key=lambda finding: not finding.is_error)


def _devices(machine: Machine, needs: Needs) -> Iterator[MachineFinding]:
    """Compare what the driver lists with what the user names and torch sees."""
    if machine.tool_fault is not None:
        yield MachineFinding(machine.reader, f"does not work: {machine.tool_fault}; {_ON_CPU}")
        return
    if not machine.devices:
        yield from _unlisted(machine, needs)
        return
    named, faults = machine.named_devices()
    key = machine.reader if machine.visible is None else f"{VISIBLE}={machine.visible}"
    yield from (MachineFinding(key, fault) for fault in faults)
    expected = 1 if any(device.is_part for device in named) else len(named)  # a process can use one part of a GPU
    if not faults and machine.torch_sees is not None and machine.torch_sees < expected:
        yield _unseen(machine, f"{len(named)} GPUs are to be used")


def _unlisted(machine: Machine, needs: Needs) -> Iterator[MachineFinding]:
    """Say what it means that nvidia-smi lists no device, or is not there."""
    if machine.has_device_files and machine.torch_sees == 0:
        yield _unseen(machine, "there are GPUs in /dev")
    elif machine.has_device_files and machine.visible is None and needs.processes is None:
        what = f"is not there or lists nothing, and torch sees {machine.torch_sees} GPUs"
        yield MachineFinding("nvidia-smi", f"{what}; name those that jobs may use: {VISIBLE}=0,1; {_ON_CPU}")
    elif not machine.has_device_files and machine.visible is not None:
        yield MachineFinding(f"{VISIBLE}={machine.visible}", f"there is no GPU on this machine; {_ON_CPU}")
    elif not machine.has_device_files:
        yield MachineFinding("machine", "there is no GPU, so the model runs on the CPU", is_error=False)


def _unseen(machine: Machine, there: str) -> MachineFinding:
    """Say why torch sees fewer devices than there are."""
    if machine.torch_cuda is None:
        advice = f"install the set that fits: make setup CONSTRAINTS={_fitting(machine.driver)}; {_ON_CPU}"
        return MachineFinding("torch", f"{there}, but torch {machine.torch} is built without CUDA; {advice}")
    built = f"torch {machine.torch} is built for CUDA {machine.torch_cuda[0]}.{machine.torch_cuda[1]}"
    _, oldest = SETS.get(machine.torch_cuda[0], ("", 0))
    if machine.driver is not None and _major(machine.driver) < oldest:
        advice = f"make setup CONSTRAINTS={_fitting(machine.driver)} installs one that works with it"
        if _major(machine.driver) < min(driver for _, driver in SETS.values()):
            advice = "the driver has to be renewed"
        needs = f"which needs a driver of {oldest} or newer, and this machine has {machine.driver}"
        return MachineFinding("torch", f"{there}, but {built}, {needs}; {advice}; {_ON_CPU}")
    says = f": {machine.torch_says}" if machine.torch_says else ""
    return MachineFinding("torch", f"{there}, but {built} and sees {machine.torch_sees}{says}; {_ON_CPU}")


def _fitting(driver: str | None) -> str:
    """Return the newest set that works with a driver, the oldest one where none does."""
    number = 0 if driver is None else _major(driver)
    fitting = [name for _, (name, oldest) in sorted(SETS.items(), reverse=True) if number >= oldest]
    return fitting[0] if fitting else SETS[min(SETS)][0]


def _major(driver: str) -> int:
    found = re.match(r"\d+", driver)
    return int(found[0]) if found else 0


def _sharing(count: int, needs: Needs) -> Iterator[MachineFinding]:
    """Look at processes that somebody else has started, and at devices that are named one by one."""
    if needs.device is not None and (number := re.fullmatch(r"cuda:(\d+)", needs.device)) and int(number[1]) >= count:
        yield MachineFinding("device_map", f"{needs.device} is not there; {count} devices are visible, from cuda:0 on")
    if needs.processes is None or count == 0:
        return
    if needs.processes > count:
        advice = f"start {count} processes, or let {VISIBLE} name more"
        yield MachineFinding(
            "WORLD_SIZE", f"{needs.processes} processes want a GPU each, {count} are visible; {advice}"
        )
    elif not needs.each_has_one and count % needs.processes:
        what = f"{count} GPUs cannot be shared by {needs.processes} processes; let {VISIBLE} name {needs.processes}"
        yield MachineFinding("WORLD_SIZE", what)
    elif not needs.each_has_one and count > needs.processes:
        spread = f"{count} GPUs are visible to {needs.processes} process{'es' * (needs.processes > 1)}"
        advice = f"each spreads its model over {count // needs.processes}; {VISIBLE}=0 takes one"
        yield MachineFinding("machine", f"{spread}, and {advice}", is_error=False)


def _half(devices: Sequence[Device], needs: Needs) -> Iterator[MachineFinding]:
    if needs.half_key is None:
        return
    for device in devices:
        if device.capability is not None and device.capability < HALF:
            has = f"GPU {device.name}, {device.model}, has {device.capability[0]}.{device.capability[1]}"
            yield MachineFinding(needs.half_key, f"bfloat16 needs compute capability 8.0, {has}; take float32")
            return


def _attention(machine: Machine, devices: Sequence[Device], needs: Needs) -> Iterator[MachineFinding]:
    known = [device.capability for device in devices if device.capability is not None]
    capability = min(known, default=HALF) if devices or machine.torch_sees else None
    fault = None if "flash-attn" in machine.packages else "flash-attn is not installed"
    advice = f"{needs.attention_key}=auto takes it only where it can be used"
    if needs.attention == FLASH:
        if fault is not None:
            yield MachineFinding(needs.attention_key, f"{FLASH}: the package {fault}; {advice}")
        elif capability is None:
            yield MachineFinding(needs.attention_key, f"{FLASH} needs a GPU; {advice}")
        elif capability < HALF:
            what = f"needs compute capability 8.0, a GPU has {capability[0]}.{capability[1]}"
            yield MachineFinding(needs.attention_key, f"{FLASH} {what}; {advice}")
    elif needs.attention == "auto":
        taken, why = choose_attention("auto", half=needs.half, capability=capability, fault=fault)
        yield MachineFinding(needs.attention_key, f"auto takes {taken}: {why}", is_error=False)


def _packages(machine: Machine, devices: Sequence[Device], needs: Needs) -> Iterator[MachineFinding]:
    for item in needs.required:
        if item.needs_gpu and not (devices or machine.torch_sees):
            yield MachineFinding(item.key, f"{item.package} runs on a GPU only; {item.advice.rpartition(', or ')[2]}")
        elif item.package not in machine.packages:
            yield MachineFinding(item.key, f"the package {item.package} is not installed; {item.advice}")


def _weights(needs: Needs) -> Iterator[MachineFinding]:
    for (key, name), state in needs.weights.items():
        if state not in (HubState.CACHED, HubState.REACHABLE):
            advice = "give the folder of its weights"
            yield MachineFinding(
                key, f"{name} is no folder, so it is a model of the Hugging Face hub: {state.value}; {advice}"
            )


def _disk(needs: Needs) -> Iterator[MachineFinding]:
    disk = needs.disk
    if disk is None or disk.size * disk.most <= disk.room:
        return
    is_error = disk.size * disk.fewest > disk.room
    count = disk.fewest if is_error else disk.most
    what = f"{count} of this run's checkpoints take {disk.size * count / _GIB:.2f} GiB or more"
    what = f"{what}, and {disk.folder} has room for {disk.room / _GIB:.2f}; keep fewer, or give another paths.runs"
    yield MachineFinding("training.save_total_limit", what, is_error=is_error)


def _memory(devices: Sequence[Device], needs: Needs) -> Iterator[MachineFinding]:
    sizes = {device.name: device.total_mib for device in devices if device.total_mib is not None}
    if needs.memory_mib is None or not sizes:
        return
    name = min(sizes, key=lambda item: sizes[item])
    if sizes[name] < needs.memory_mib:
        what = f"the run needs {needs.memory_mib / 1024:.1f} GiB on each GPU, GPU {name} has {sizes[name] / 1024:.1f}"
        yield MachineFinding("training.per_device_train_batch_size", f"{what}; debug=plan shows what takes it")
