from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest
import torch
from hydra_plugins.qvl_torchrun_launcher._machine import Device
from hydra_plugins.qvl_torchrun_launcher._nvidia import ReaderFault

from qvl.machine import Needs, facts, find_faults, gather

FakeTool = Callable[..., None]

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="the machines of these tests are others")


def asked(tmp_path: Path, **environ: str) -> dict[str, str]:
    """Return an environment of its own, so that nothing is known of it already."""
    return {"PATH": f"{os.environ['PATH']}:{tmp_path}", **environ}


def test_a_machine_without_nvidia_smi_has_no_devices_and_torch_is_not_asked(tmp_path: Path) -> None:
    machine = gather(asked(tmp_path))
    assert (machine.devices, machine.driver, machine.tool_fault, machine.torch_sees) == ((), None, None, None)


def test_devices_and_driver_are_read_and_torch_is_asked_how_many_it_can_use(
    fake_tool: FakeTool, tmp_path: Path
) -> None:
    fake_tool(3, driver="570.124.06")
    machine = gather(asked(tmp_path))
    assert machine.driver == "570.124.06"
    assert machine.devices[2] == Device(
        "2", "GPU-a2", 2, "GPU-a2", "NVIDIA A100-SXM4-80GB", used_mib=4, total_mib=81920, capability=(8, 0)
    )
    assert machine.torch_sees == 0, "this machine has none"


@pytest.mark.parametrize("visible", ["", "-1", "0,0", "9"])
def test_torch_is_not_asked_where_no_device_is_to_be_used_or_a_name_is_wrong(
    visible: str, fake_tool: FakeTool, tmp_path: Path
) -> None:
    fake_tool(3)
    assert gather(asked(tmp_path, CUDA_VISIBLE_DEVICES=visible)).torch_sees is None
    assert gather(asked(tmp_path), devices=visible).torch_sees is None


def test_the_parts_of_a_device_that_is_cut_are_its_own(fake_tool: FakeTool, tmp_path: Path) -> None:
    fake_tool(2, cut=True)
    machine = gather(asked(tmp_path, CUDA_VISIBLE_DEVICES=""))
    assert [(device.gpu, device.uuid) for device in machine.devices] == [("GPU-a0", "MIG-b0"), ("GPU-a1", "MIG-b1")]
    assert [device.capability for device in machine.devices] == [(8, 0)] * 2


@pytest.mark.parametrize(
    ("script", "fault"),
    [
        ("echo 'No devices were found'; exit 6", None),
        ("echo 'Driver/library version mismatch' >&2; exit 18", "exit code 18: Driver/library version mismatch"),
    ],
)
def test_an_nvidia_smi_that_fails_is_told(script: str, fault: str | None, fake_tool: FakeTool, tmp_path: Path) -> None:
    fake_tool(script=script)
    machine = gather(asked(tmp_path))
    assert (machine.devices, machine.tool_fault) == ((), fault)


def test_an_nvml_that_fails_is_told_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(**_: object) -> NoReturn:
        raise ReaderFault("NVML", "Driver/library version mismatch")

    monkeypatch.setattr(facts, "read_machine", read)
    machine = gather(asked(tmp_path))
    assert (machine.reader, machine.tool_fault) == ("NVML", "Driver/library version mismatch")
    [finding] = [finding for finding in find_faults(machine, Needs()) if finding.is_error]
    assert finding.key == "NVML"
    assert finding.message.startswith("does not work: Driver/library version mismatch; ")


def test_the_version_and_the_cuda_of_torch_are_read_without_importing_it(tmp_path: Path) -> None:
    machine = gather(asked(tmp_path))
    assert machine.torch == torch.__version__
    cuda = None if machine.torch_cuda is None else "{}.{}".format(*machine.torch_cuda)
    assert cuda == torch.version.cuda
