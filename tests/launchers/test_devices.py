"""Devices are found, by whatever name, and who uses them."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fake_nvml import PART_1, PART_2, A, B, C, FakeNvml, Gpu, machine, smi_of
from hydra_plugins.qvl_torchrun_launcher._devices import find_devices, is_in_use, named_devices, usage_text
from hydra_plugins.qvl_torchrun_launcher._errors import LauncherError
from hydra_plugins.qvl_torchrun_launcher._machine import Device, Machine
from hydra_plugins.qvl_torchrun_launcher._nvidia import ask_nvidia_smi, load_nvml, read_machine, read_nvml

TWO = machine(Gpu(A), Gpu(B))
CUT = machine(Gpu(A, parts=(PART_1, PART_2)), Gpu(B), Gpu(C, parts=("MIG-33333333-0000",)))
NOTHING = Machine()


def names(visible: str | None, there: Machine, **environ: str) -> list[str]:
    pool = {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}
    return [device.name for device in find_devices({**pool, **environ}, read=lambda: there)]


@pytest.mark.parametrize(
    ("visible", "there", "found"),
    [
        (None, NOTHING, []),
        (None, Machine("NVML"), []),
        (None, TWO, ["0", "1"]),
        (None, CUT, [PART_1, PART_2, "1", "MIG-33333333-0000"]),
        (" 1, 0 ", TWO, ["1", "0"]),  # in the order of the user
        ("01", TWO, ["1"]),  # as CUDA reads numbers
        (f"{B},{A}", TWO, [B, A]),
        ("GPU-b", TWO, [B]),  # a beginning is enough for CUDA, but not for other tools
        ("GPU-b,0", TWO, [B, A]),  # CUDA would not read on behind the id
        (f"1,{PART_2}", CUT, [B, PART_2]),
        ("MIG-1", CUT, [PART_1]),
        ("2", CUT, ["MIG-33333333-0000"]),  # its only part
        ("3,1", NOTHING, ["3", "1"]),  # nobody can say what is there
        (f"{A},MIG-1/2/3", NOTHING, [A, "MIG-1/2/3"]),
    ],
)
def test_the_pool_is_what_the_user_names(visible: str | None, there: Machine, found: list[str]) -> None:
    assert names(visible, there) == found


@pytest.mark.parametrize("visible", ["", "-1", "NoDevFiles"])
def test_without_a_device_nobody_is_asked(visible: str) -> None:
    def read() -> Machine:
        raise AssertionError("asked")

    assert find_devices({"CUDA_VISIBLE_DEVICES": visible}, read=read) == ()
    assert find_devices({"CUDA_VISIBLE_DEVICES": "0"}, named="", read=read) == ()


@pytest.mark.parametrize(
    ("visible", "there", "message"),
    [
        ("0,x", TWO, "'x' is no device; expected numbers, GPU-<id> or MIG-<id>"),
        ("0,,1", TWO, "'' is no device"),
        ("0,-1", TWO, "'-1' is no device"),
        ("0,2", TWO, f"device 2 is not there; NVML lists 0 ({A}), 1 ({B})"),
        (C, TWO, f"device {C} is not there"),
        ("0", Machine("nvidia-smi"), "device 0 is not there; nvidia-smi lists no device"),
        ("MIG-9", CUT, f"NVML lists {PART_1}, {PART_2}, 1 ({B}), MIG-33333333-0000"),
        ("0,0", TWO, "device 0 is named twice"),
        ("0,00", NOTHING, "device 00 is named twice, also as 0"),
        (f"1,{B}", TWO, f"device {B} is named twice, also as 1"),
        (f"{A},GPU-a", TWO, f"device GPU-a is named twice, also as {A}"),
        ("GPU-", TWO, f"GPU- is the beginning of several ids: {A}, {B}"),
        ("0", CUT, f"device 0 is cut into MIG parts, name one of them: {PART_1}, {PART_2}"),
        (A, CUT, f"device {A} is cut into MIG parts"),
        (f"2,{C}", CUT, f"device {C} is named twice, also as 2"),
    ],
)
def test_a_faulty_pool_is_refused(visible: str, there: Machine, message: str) -> None:
    with pytest.raises(LauncherError, match=r"^CUDA_VISIBLE_DEVICES=") as caught:
        names(visible, there)
    assert message in str(caught.value)
    with pytest.raises(LauncherError, match=r"^hydra\.launcher\.devices="):
        find_devices({}, named=visible, read=lambda: there)


def test_numbers_that_cuda_counts_otherwise_are_refused_where_it_matters() -> None:
    mixed = machine(Gpu(A, model="NVIDIA T4"), Gpu(B))
    fastest = {"CUDA_DEVICE_ORDER": "FASTEST_FIRST"}
    with pytest.raises(LauncherError, match=r"the devices differ .*T4.*; set CUDA_DEVICE_ORDER=PCI_BUS_ID"):
        names("0", mixed, **fastest)
    assert names("0", TWO, **fastest) == ["0"]  # one is as fast as the other
    assert names(A, mixed, **fastest) == [A]
    assert names(None, mixed, **fastest) == ["0", "1"]
    assert find_devices(fastest, named="0", read=lambda: mixed)[0].uuid == A  # this counts as nvidia-smi does


def test_nvml_and_nvidia_smi_tell_the_same() -> None:
    gpus = [Gpu(A, parts=(PART_1, PART_2)), Gpu(B, used=7000), Gpu(C)]
    nvml = machine(*gpus)
    smi = read_machine(nvml=lambda: None, smi=smi_of(gpus))
    assert (nvml.reader, smi.reader, nvml.driver, nvml.cuda) == ("NVML", "nvidia-smi", smi.driver, "13.0")
    facts: list[Callable[[Device], object]] = [
        lambda device: (device.name, device.uuid, device.number, device.gpu, device.model, device.capability),
        lambda device: device.is_part or (device.used_mib, device.total_mib),  # nvidia-smi does not tell of parts
    ]
    for fact in facts:
        assert [fact(device) for device in nvml.devices] == [fact(device) for device in smi.devices]
    assert [device.number for device in nvml.devices] == [0, 0, 1, 2]
    assert {device.capability for device in nvml.devices} == {(8, 0)}


def test_what_does_not_know_the_compute_capability_tells_all_else() -> None:
    gpus = [Gpu(A, parts=(PART_1,)), Gpu(B, used=7000)]
    old = read_machine(nvml=lambda: None, smi=smi_of(gpus, is_old=True))
    assert [device.capability for device in old.devices] == [None, None]
    assert (old.driver, old.devices[1].used_mib) == ("580.65.06", 7000)
    nvml = read_machine(nvml=lambda: read_nvml(load=lambda: FakeNvml(gpus, unknown=["capability"])))
    assert nvml.devices[1].capability is None


def test_all_that_is_wrong_with_a_pool_is_told_and_the_rest_is_found() -> None:
    devices, faults = named_devices("1,x,7,GPU-b,0", TWO)
    assert [device.uuid for device in devices] == [B, A]
    assert [fault.split(" is ")[0] for fault in faults] == ["'x'", "device 7", "device GPU-b"]
    with pytest.raises(LauncherError, match=r"'x' is no device.*device 7 is not there") as caught:
        names("1,x,7", TWO)
    assert "\n" not in str(caught.value)


def test_devices_of_others_and_faulty_ones_leave_a_gap_in_the_numbers() -> None:
    hidden = machine(Gpu(A, fails="NoPermission"), Gpu(B))
    assert names(None, hidden) == [B]
    assert names("0", hidden) == [B]  # CUDA counts what it can open
    lost = machine(Gpu(A), Gpu(B, fails="GPU is lost"), Gpu(C))
    with pytest.raises(LauncherError, match=f"device 1 cannot be used: GPU is lost; .*CUDA_VISIBLE_DEVICES={A},{C}"):
        names(None, lost)
    with pytest.raises(LauncherError, match="device 1 cannot be used: GPU is lost"):
        names("1", lost)
    assert names("0,2", lost) == [A, C]
    with pytest.raises(LauncherError, match="MIG is on and it has no part"):
        names("0", machine(Gpu(A, is_cut=True)))


def test_memory_and_processes_are_told_as_far_as_they_are_known() -> None:
    mine = os.getpid()
    taken, idle, odd = machine(
        Gpu(A, used=61440, processes=[(mine, 60000), (2**22 + 1, None)]), Gpu(B, used=500), Gpu(C, used=2000)
    ).devices
    assert [is_in_use(device) for device in (taken, idle, odd)] == [True, False, True]
    text = usage_text(taken)
    assert text.startswith(f"device 0: 61440 of 81559 MiB taken, pid {mine}")
    assert f"pid {2**22 + 1}" in text
    assert usage_text(odd) == "device 2: 2000 of 81559 MiB taken, by processes that cannot be seen from here"

    def told(*unknown: str) -> Device:
        nvml = FakeNvml([Gpu(A, used=3000, processes=[(7, 1)])], unknown=unknown)
        return read_machine(nvml=lambda: read_nvml(load=lambda: nvml)).devices[0]

    assert told("memory 2").used_mib == 3500  # an old driver counts what it keeps for itself
    assert (told("memory 2", "memory None").used_mib, told("processes").processes) == (None, ())
    assert not is_in_use(told("memory 2", "memory None"))
    assert usage_text(told("memory 2", "memory None")).startswith("device 0: memory unknown, pid 7")


def test_nvml_that_does_not_work_is_told_and_is_left_as_it_was() -> None:
    nvml = FakeNvml([Gpu(A)])
    assert read_nvml(load=lambda: nvml) is not None
    assert nvml.open == 0
    with pytest.raises(LauncherError, match="NVML does not work: Not Supported; set CUDA_VISIBLE_DEVICES= to run on"):
        read_nvml(load=lambda: FakeNvml([], unknown=["init"]))

    class Hanging(FakeNvml):
        def nvmlInit(self) -> None:
            release.wait()

    release = threading.Event()
    with pytest.raises(LauncherError, match=r"no answer in 0\.05 s"):
        read_nvml(load=lambda: Hanging([]), timeout_s=0.05)
    release.set()


def test_the_names_asked_for_are_those_of_pynvml() -> None:
    import pynvml

    fake: Any = FakeNvml([])
    asked = [name for name in dir(fake) if name.lower().startswith("nvml")]
    assert len(asked) >= 14
    assert [name for name in asked if not hasattr(pynvml, name)] == []
    assert read_nvml(load=load_nvml) is None or load_nvml() is pynvml


@pytest.mark.parametrize(
    ("script", "devices"),
    [
        ("printf '%s' 'GPU 0: A (UUID: GPU-0a)'", ["0"]),
        ("echo 'No devices found.'; exit 6", []),
        ("echo 'could not communicate with the driver' >&2; exit 9", "exit code 9: could not communicate"),
    ],
)
def test_nvidia_smi_is_asked_where_there_is_no_nvml(
    script: str, devices: list[str] | str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)

    def read() -> Machine:
        return read_machine(nvml=lambda: None)

    if isinstance(devices, str):
        with pytest.raises(LauncherError, match=devices):
            find_devices({}, read=read)
    else:
        assert [device.name for device in find_devices({}, read=read)] == devices


def test_a_machine_without_both_has_no_devices_unless_their_files_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert ask_nvidia_smi(["-L"]) is None
    assert read_machine(nvml=lambda: None, files=tmp_path) == NOTHING
    for name in ("nvidia0", "nvidiactl"):
        (tmp_path / name).touch()
    there = read_machine(nvml=lambda: None, files=tmp_path)
    assert there.device_files == (str(tmp_path / "nvidia0"),)
    with pytest.raises(LauncherError, match=r"nvidia0, but neither NVML nor nvidia-smi.*name the devices"):
        names(None, there)
    assert names("0", there) == ["0"]
