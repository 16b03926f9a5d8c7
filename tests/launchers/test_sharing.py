"""Which devices a sweep gets, and how many each of its jobs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from composing import compose
from fake_nvml import A, B, C, Gpu, machine
from hydra_plugins.qvl_torchrun_launcher._errors import LauncherError
from hydra_plugins.qvl_torchrun_launcher._jobs import Job
from hydra_plugins.qvl_torchrun_launcher._locks import DeviceLocks
from hydra_plugins.qvl_torchrun_launcher._sharing import Sharing, devices_for_use
from hydra_plugins.qvl_torchrun_launcher._slots import Slot
from hydra_plugins.qvl_torchrun_launcher.config import TorchrunLauncherConf
from omegaconf import DictConfig

EIGHT = [str(number) for number in range(8)]
COLLEAGUE = 2**22 + 7  # beyond the numbers that processes get
SHARED = machine(
    Gpu(A, used=61440, processes=[(COLLEAGUE, 61000)]),
    Gpu(B),
    Gpu(C, used=480, processes=[(COLLEAGUE, 470)]),
    Gpu("GPU-d", used=40, processes=[(COLLEAGUE, 30)]),  # what a server of MPS needs
)


def used(busy: str, locks: DeviceLocks, *, there: Any = SHARED) -> tuple[list[str], list[str]]:
    """Return the names of the devices that a sweep uses, and what is told."""
    notes: list[str] = []
    devices = devices_for_use(there.devices, busy, locks=locks, note=notes.append)
    return [device.name for device in devices], notes


@pytest.mark.parametrize(
    ("busy", "names", "way"),
    [("skip", ["1", "2", "3"], "left out"), ("warn", ["0", "1", "2", "3"], "used all the same")],
)
def test_a_device_that_a_colleague_uses_is_told(busy: str, names: list[str], way: str, tmp_path: Path) -> None:
    found, notes = used(busy, DeviceLocks(tmp_path))
    assert found == names
    assert notes[0].startswith(f"device 0: 61440 of 81559 MiB taken, pid {COLLEAGUE} 61000 MiB: {way}; ")
    assert notes[1].startswith(f"device 2: 480 of 81559 MiB taken, pid {COLLEAGUE} 470 MiB: little enough")
    assert len(notes) == 2


def test_a_sweep_can_be_refused_for_devices_in_use(tmp_path: Path) -> None:
    with pytest.raises(LauncherError, match=r"devices are in use; .*warn uses .*skip leaves.*\ndevice 0: 61440 of"):
        used("error", DeviceLocks(tmp_path))
    taken = machine(Gpu(A, used=70000))
    with pytest.raises(LauncherError, match=r"all devices are in use; .*busy_devices=warn uses them all the same:\n"):
        used("skip", DeviceLocks(tmp_path), there=taken)
    assert used("warn", DeviceLocks(tmp_path), there=taken)[0] == ["0"]


def test_devices_of_another_launcher_are_waited_for_not_left_out(tmp_path: Path) -> None:
    names = {device.name: device.uuid for device in SHARED.devices}
    with DeviceLocks(tmp_path, names={A: A}).take([A], timeout_s=0):
        found, notes = used("skip", DeviceLocks(tmp_path, names=names))
    assert found == ["0", "1", "2", "3"]
    assert [note for note in notes if note.startswith("device 0")] == []


def few(cfg: DictConfig, hydra_cfg: DictConfig, processes: int) -> None:
    """Refuse numbers of processes that do not divide an effective batch of 4, and all of x=0."""
    if 4 % processes:
        raise ValueError(f"a batch of 4 does not fit {processes} processes")
    if cfg.x == 0:
        raise ValueError("x is 0")


def share(folder: Path, count: int, *, first: int = 1, devices: list[str] | None = None, **settings: Any) -> Any:
    """Return what the jobs x=first, ... get, what is told, and the hint of a dry run."""
    jobs: list[Job] = compose(folder, [[f"x={first + number}"] for number in range(count)])
    notes: list[str] = []
    sharing = Sharing(EIGHT if devices is None else devices, jobs, jobs, TorchrunLauncherConf(**settings))
    slots = sharing.slots(notes.append)
    return slots, notes, sharing.hint(slots)


AUTO = {"gpus_per_job": None}  # as the settings are when they have been read


def test_five_jobs_use_all_of_eight_devices(tmp_path: Path) -> None:
    slots, notes, hint = share(tmp_path, 5, **AUTO)
    assert (slots, notes, hint) == ((Slot(0, tuple(EIGHT), 8),), [], "")
    slots, notes, hint = share(tmp_path, 5, gpus_per_job=1)
    assert len(slots) == 5 and notes == []
    assert hint == "hydra.launcher.gpus_per_job=8 would take about 14 % less time"


def test_only_sizes_that_all_jobs_can_have_are_taken(tmp_path: Path) -> None:
    slots, notes, hint = share(tmp_path, 5, check="test_sharing:few", **AUTO)
    assert [slot.devices for slot in slots] == [("0", "1", "2", "3"), ("4", "5", "6", "7")]
    assert notes == ["4 rather than 8 processes a job: jobs 0, 1, 2, 3, 4: a batch of 4 does not fit 8 processes"]
    assert hint == ""
    hint = share(tmp_path, 5, check="test_sharing:few", gpus_per_job=1)[2]
    assert hint == "hydra.launcher.gpus_per_job=4 would take about 7 % less time"
    with pytest.raises(LauncherError) as caught:
        share(tmp_path, 3, first=0, check="test_sharing:few", **AUTO)
    assert str(caught.value).splitlines()[1:] == ["job 0: x is 0"]  # not what 8 processes would add to it
    with pytest.raises(LauncherError, match="a batch of 4 does not fit 3 processes"):
        share(tmp_path, 3, check="test_sharing:few", gpus_per_job=3)


def test_what_is_left_of_a_sweep_gets_what_its_other_jobs_had(tmp_path: Path) -> None:
    jobs = compose(tmp_path, [[f"x={number}"] for number in range(8)])
    sharing = Sharing(EIGHT, jobs, jobs[:1], TorchrunLauncherConf(**AUTO))
    assert {slot.processes for slot in sharing.slots(str)} == {1}


def test_rounds_of_a_search_are_alike(tmp_path: Path) -> None:
    jobs = compose(tmp_path, [["x=1"]])
    for earlier, size in ((None, 8), (2, 2), (9, 8)):  # devices may have been lost in between
        sharing = Sharing(EIGHT, jobs, jobs, TorchrunLauncherConf(**AUTO), earlier=earlier)
        assert sharing.slots(str)[0].processes == size
    odd = TorchrunLauncherConf(check="test_sharing:few", **AUTO)
    assert Sharing(EIGHT, jobs, jobs, odd, earlier=3).slots(str)[0].processes == 4


def test_long_jobs_are_reckoned_with(tmp_path: Path) -> None:
    jobs = compose(tmp_path, [["x=1"], ["x=1"], ["x=1"], ["x=40"]])
    settings = TorchrunLauncherConf(gpus_per_job=None, longest_first_by=["x"])
    assert {slot.processes for slot in Sharing(EIGHT, jobs, jobs, settings).slots(str)} == {8}
    jobs[3].config.x = 0  # nothing is known of how long it takes
    assert {slot.processes for slot in Sharing(EIGHT, jobs, jobs, settings).slots(str)} == {2}


def test_without_devices_a_job_has_one_process(tmp_path: Path) -> None:
    slots, _, hint = share(tmp_path, 2, devices=[], cpu_processes=8, **AUTO)
    assert (slots, hint) == ((Slot(0, (), 1), Slot(1, (), 1)), "")
