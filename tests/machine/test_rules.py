from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hydra_plugins.qvl_torchrun_launcher._machine import Device

from qvl.machine import SETS, Checkpoints, HubState, Machine, Needs, Required, find_faults


def gpu(number: int, uuid: str, model: str = "A100", mib: int = 81920, capability: tuple[int, int] = (8, 0)) -> Device:
    return Device(str(number), uuid, number, uuid, model, total_mib=mib, capability=capability)


def part(number: int, uuid: str) -> Device:
    return replace(gpu(number, f"GPU-a{number}"), name=uuid, uuid=uuid)


A100 = tuple(gpu(number, f"GPU-a{number}") for number in range(4))
V100 = (gpu(0, "GPU-v0", "V100", 16384, (7, 0)),)
GPUS = Machine(
    devices=A100,
    driver="580.65.06",
    torch="2.11.0",
    torch_cuda=(13, 0),
    torch_sees=4,
    has_device_files=True,
    packages={},
)
LAPTOP = Machine(torch="2.11.0", torch_cuda=(13, 0), packages={})
HALF = Needs(half_key="model.torch_dtype", half=True)


def keys(machine: Machine, needs: Needs, *, notes: bool = False) -> list[str]:
    return [finding.key for finding in find_faults(machine, needs) if finding.is_error != notes]


def text(machine: Machine, needs: Needs) -> str:
    return "\n".join(finding.message for finding in find_faults(machine, needs))


def test_a_machine_that_has_all_gives_no_finding() -> None:
    assert find_faults(GPUS, HALF) == []


def test_a_laptop_is_told_once_that_it_trains_on_the_cpu() -> None:
    assert keys(LAPTOP, HALF) == []
    assert keys(LAPTOP, HALF, notes=True) == ["machine"]


@pytest.mark.parametrize(
    ("driver", "cuda", "set_named"),
    [
        ("570.124.06", (13, 0), "constraints-cu12.txt"),
        ("525.60.13", (13, 0), "constraints-cu12.txt"),
        ("470.82.01", (12, 8), None),  # no set works
        ("470.82.01", (13, 0), None),
        ("580.65.06", None, "constraints.txt"),  # torch for the CPU
        ("550.54", None, "constraints-cu12.txt"),
    ],
)
def test_a_torch_that_the_driver_cannot_run_is_an_error_that_names_the_set(
    driver: str, cuda: tuple[int, int] | None, set_named: str | None
) -> None:
    machine = replace(GPUS, driver=driver, torch_cuda=cuda, torch_sees=0)
    assert keys(machine, HALF) == ["torch"]
    named = [
        word for word in ("constraints.txt", "constraints-cu12.txt") if f"CONSTRAINTS={word}" in text(machine, HALF)
    ]
    assert named == ([] if set_named is None else [set_named])


def test_what_torch_says_is_passed_on_where_the_driver_is_new_enough() -> None:
    machine = replace(GPUS, torch_sees=3, torch_says="system not yet initialized")
    assert keys(machine, HALF) == ["torch"]
    assert "system not yet initialized" in text(machine, HALF)


def test_torch_with_a_compatibility_package_may_use_an_old_driver() -> None:
    assert keys(replace(GPUS, driver="550.54"), HALF) == []


@pytest.mark.parametrize("visible", ["", "-1"])
def test_the_cpu_is_used_without_a_word_where_it_is_asked_for(visible: str) -> None:
    machine = replace(GPUS, visible=visible, torch_sees=None, torch_cuda=None, tool_fault="broken")
    assert find_faults(machine, HALF) == []
    assert find_faults(replace(machine, visible=None), replace(HALF, device="cpu", each_has_one=True)) == []


@pytest.mark.parametrize(
    ("visible", "count", "faults"),
    [
        (None, 4, 0),
        ("2,0", 2, 0),
        ("GPU-a3, 1", 2, 0),
        ("0,0", 1, 1),
        ("0,GPU-a0", 1, 1),  # the same one twice
        ("0,4", 1, 1),
        ("0,,1", 2, 1),
        ("GPU-", 0, 1),  # could be any
        ("GPU-a", 0, 1),
        ("MIG-b0", 0, 1),
        ("x", 0, 1),
    ],
)
def test_names_of_devices_are_looked_up(visible: str | None, count: int, faults: int) -> None:
    seen = replace(GPUS, visible=visible, torch_sees=count)
    named, found = seen.named_devices()
    assert (len(named), len(found)) == (count, faults)
    assert keys(seen, Needs()) == [f"CUDA_VISIBLE_DEVICES={visible}"] * faults


def test_a_part_of_a_device_is_named_by_its_id() -> None:
    first, second = part(0, "MIG-b0"), part(0, "MIG-b1")
    cut = replace(GPUS, devices=(first, second))
    assert replace(cut, visible="MIG-b1").named_devices() == ((second,), [])
    assert replace(cut, visible="MIG-b1,MIG-b0").named_devices() == ((second, first), [])


def test_a_process_sees_one_part_of_the_gpus_that_are_cut() -> None:
    cut = tuple(part(number, f"MIG-b{number}") for number in range(4))
    assert keys(replace(GPUS, devices=cut, torch_sees=1), Needs()) == []
    assert keys(replace(GPUS, devices=cut, torch_sees=0), Needs()) == ["torch"]


def test_a_device_that_cannot_be_used_is_told_by_what_lists_it() -> None:
    lost = (A100[0], replace(A100[1], fault="GPU is lost"))
    machine = replace(GPUS, reader="NVML", devices=lost, torch_sees=1)
    assert keys(machine, Needs()) == ["NVML"]
    assert "GPU is lost" in text(machine, Needs())
    assert keys(replace(machine, visible="0"), Needs()) == []


def test_a_device_that_is_named_where_there_is_none_is_an_error() -> None:
    assert keys(replace(LAPTOP, visible="0"), Needs()) == ["CUDA_VISIBLE_DEVICES=0"]


def test_gpus_that_nvidia_smi_does_not_list_are_no_silent_run_on_the_cpu() -> None:
    hidden = replace(GPUS, devices=(), driver=None)
    assert keys(replace(hidden, torch_sees=0), Needs(processes=1)) == ["torch"]
    assert keys(hidden, Needs()) == ["nvidia-smi"], "a launcher would find no device"
    assert keys(hidden, Needs(processes=1)) == []
    assert keys(replace(hidden, tool_fault="exit code 9"), Needs()) == ["nvidia-smi"]


@pytest.mark.parametrize(
    ("processes", "each_has_one", "error", "note"),
    [
        (None, False, [], []),  # a launcher shares them out
        (4, False, [], []),
        (5, False, ["WORLD_SIZE"], []),
        (3, False, ["WORLD_SIZE"], []),
        (1, False, [], ["machine"]),
        (1, True, [], []),
        (3, True, [], []),
        (5, True, ["WORLD_SIZE"], []),
    ],
)
def test_processes_and_devices_have_to_fit(
    processes: int | None, each_has_one: bool, error: list[str], note: list[str]
) -> None:
    needs = Needs(processes=processes, each_has_one=each_has_one)
    assert keys(GPUS, needs) == error
    assert keys(GPUS, needs, notes=True) == note


def test_a_device_that_an_engine_names_has_to_be_visible() -> None:
    assert keys(replace(GPUS, visible="2,3", torch_sees=2), Needs(device="cuda:2", each_has_one=True)) == ["device_map"]
    assert keys(replace(GPUS, visible="2,3", torch_sees=2), Needs(device="cuda:1", each_has_one=True)) == []


def test_bfloat16_needs_a_device_that_has_it() -> None:
    old = replace(GPUS, devices=V100, torch_sees=1)
    assert keys(old, HALF) == ["model.torch_dtype"]
    assert keys(old, Needs()) == []
    assert keys(replace(old, devices=(*V100, *A100[1:]), visible="1", torch_sees=1), HALF) == [], "it is not used"


@pytest.mark.parametrize(
    ("changes", "half", "taken"),
    [
        ({"packages": {"flash-attn": "2.8.3"}}, True, "flash_attention_2"),
        ({}, True, "sdpa"),
        ({"packages": {"flash-attn": "2.8.3"}}, False, "sdpa"),
        ({"packages": {"flash-attn": "2.8.3"}, "visible": "", "torch_sees": None}, True, "sdpa"),
        ({"packages": {"flash-attn": "2.8.3"}, "devices": V100, "torch_sees": 1}, True, "sdpa"),
    ],
)
def test_auto_takes_flash_attention_where_it_can_be_used_and_says_so(
    changes: dict[str, Any], half: bool, taken: str
) -> None:
    found = find_faults(replace(GPUS, **changes), Needs(attention_key="model.attn_impl", attention="auto", half=half))
    assert [finding.is_error for finding in found] == [False]
    assert f"takes {taken}:" in found[0].message


@pytest.mark.parametrize(
    ("machine", "errors"),
    [
        (GPUS, 1),
        (replace(GPUS, packages={"flash-attn": "2.8.3"}), 0),
        (replace(LAPTOP, packages={"flash-attn": "2.8.3"}), 1),
        (replace(GPUS, packages={"flash-attn": "2.8.3"}, visible=""), 1),
        (replace(GPUS, packages={"flash-attn": "2.8.3"}, devices=V100, torch_sees=1), 1),
    ],
)
def test_flash_attention_that_is_asked_for_has_to_be_there(machine: Machine, errors: int) -> None:
    assert len(keys(machine, Needs(attention="flash_attention_2"))) == errors


def test_a_package_that_is_asked_for_has_to_be_installed() -> None:
    needs = Needs(required=[Required("deepspeed.config", "deepspeed", "install it")])
    assert keys(GPUS, needs) == ["deepspeed.config"]
    assert keys(replace(GPUS, packages={"deepspeed": "0.19.8"}), needs) == []


def test_kernels_of_a_gpu_are_refused_without_one() -> None:
    needs = Needs(required=[Required("training.use_liger_kernel", "liger-kernel", "install it", needs_gpu=True)])
    there = {"liger-kernel": "0.6"}
    assert keys(replace(GPUS, packages=there), needs) == []
    assert "training.use_liger_kernel" in keys(replace(GPUS, packages=there, visible=""), needs)


@pytest.mark.parametrize("state", HubState)
def test_weights_have_to_be_in_the_cache_or_within_reach(state: HubState) -> None:
    expected = [] if state in (HubState.CACHED, HubState.REACHABLE) else ["model.path"]
    assert keys(GPUS, Needs(weights={("model.path", "Qwen/Qwen3-VL-4B-Instruct"): state})) == expected


def test_checkpoints_have_to_fit_onto_the_disk_and_the_run_into_the_memory() -> None:
    for room, errors, notes in ((9, 1, 0), (19, 1, 0), (20, 0, 1), (29, 0, 1), (30, 0, 0)):
        needs = Needs(disk=Checkpoints(size=10, fewest=2, most=3, room=room, folder="/runs"))
        assert (len(keys(GPUS, needs)), len(keys(GPUS, needs, notes=True))) == (errors, notes)
    assert keys(GPUS, Needs(memory_mib=90_000)) == ["training.per_device_train_batch_size"]
    assert keys(GPUS, Needs(memory_mib=80_000)) == []


def test_errors_come_first() -> None:
    found = find_faults(replace(GPUS, torch_sees=0), Needs(attention="auto", disk=Checkpoints(2, 1, 1, 1, "/runs")))
    assert [finding.is_error for finding in found] == [True, True, False]


def test_the_newest_set_wants_the_newest_driver() -> None:
    drivers = [driver for _, (_, driver) in sorted(SETS.items())]
    assert drivers == sorted(drivers)
