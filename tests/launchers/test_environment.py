"""A job sees its devices and nothing of another run."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra_plugins.qvl_torchrun_launcher._environment import available_cpus, job_environment, threads_per_process
from hydra_plugins.qvl_torchrun_launcher._errors import LauncherError
from hydra_plugins.qvl_torchrun_launcher._slots import Slot

FOLDER = Path("/sweep/0")
ON_GPUS = Slot(0, ("2", "3"), 2)


def environment(base: dict[str, str], *, slot: Slot = ON_GPUS, extra: dict[str, str] | None = None) -> dict[str, str]:
    return job_environment(base, slot=slot, token="abc", threads=4, extra=extra or {}, job_folder=FOLDER)


def test_a_job_sees_its_devices_only() -> None:
    base = {"CUDA_VISIBLE_DEVICES": "0,1,2,3", "CUDA_DEVICE_ORDER": "FASTEST_FIRST", "HOME": "/home/anna"}
    made = environment(base)
    assert made["CUDA_VISIBLE_DEVICES"] == "2,3"
    assert made["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"
    assert made["HOME"] == "/home/anna"
    assert made["LAUNCHER_JOB_TOKEN"] == "abc"


def test_a_job_without_devices_sees_none() -> None:
    assert environment({}, slot=Slot(0, (), 1))["CUDA_VISIBLE_DEVICES"] == ""


@pytest.mark.parametrize(
    "name",
    [
        *("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_RANK", "ROLE_RANK", "ROLE_WORLD_SIZE"),
        *("MASTER_ADDR", "MASTER_PORT", "NPROC_PER_NODE", "NNODES", "NODE_RANK", "LAUNCHER_PARENT_PID"),
        *("PET_NPROC_PER_NODE", "PET_RDZV_ID", "TORCHELASTIC_RUN_ID", "TORCHELASTIC_ERROR_FILE"),
    ],
)
def test_what_another_run_left_is_taken_away_and_cannot_be_set(name: str) -> None:
    assert name not in environment({name: "7"})
    with pytest.raises(LauncherError, match=f"environment variable {name} cannot be set"):
        environment({}, extra={name: "7"})


@pytest.mark.parametrize("name", ["CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "LAUNCHER_JOB_TOKEN"])
def test_what_the_launcher_decides_cannot_be_set(name: str) -> None:
    with pytest.raises(LauncherError, match=name):
        environment({}, extra={name: "0"})


@pytest.mark.parametrize("name", ["GROUP_ID", "PETS", "RANKING", "HF_TOKEN", "TORCH_NCCL_TRACE_BUFFER_SIZE", "一"])
def test_names_that_look_alike_stay(name: str) -> None:
    assert environment({name: "7"})[name] == "7"
    assert environment({}, extra={name: "7"})[name] == "7"


def test_what_the_user_has_set_wins_over_defaults() -> None:
    mine = {"OMP_NUM_THREADS": "9", "TRITON_CACHE_DIR": "/c"}
    assert environment({}).items() >= {
        ("OMP_NUM_THREADS", "4"),
        ("PYTHONUNBUFFERED", "1"),
        ("TRITON_CACHE_DIR", "/sweep/0/.cache/triton"),
        ("TORCHINDUCTOR_CACHE_DIR", "/sweep/0/.cache/inductor"),
    }
    assert environment(mine).items() >= mine.items()
    assert environment(mine, extra={"OMP_NUM_THREADS": "3"})["OMP_NUM_THREADS"] == "3"


def test_processors_are_shared_among_processes() -> None:
    assert [threads_per_process(8, processes) for processes in (1, 3, 8, 16)] == [8, 2, 1, 1]
    assert available_cpus() >= 1
