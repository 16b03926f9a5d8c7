"""Devices are shared out among jobs."""

from __future__ import annotations

import pytest
from hydra_plugins.qvl_torchrun_launcher._errors import LauncherError
from hydra_plugins.qvl_torchrun_launcher._slots import Slot, make_slots, sharing_text, sizes_by_time, sweep_time

EIGHT = [str(number) for number in range(8)]


@pytest.mark.parametrize(
    ("size", "jobs", "groups"),
    [
        (1, 20, ["0", "1", "2", "3", "4", "5", "6", "7"]),
        (4, 20, ["0123", "4567"]),
        (3, 20, ["012", "345"]),  # two stay idle
        (2, 3, ["01", "23", "45"]),  # no slot that nobody needs
        (8, 1, ["01234567"]),
        (1, 1, ["0"]),
    ],
)
def test_devices_are_shared_out(size: int, jobs: int, groups: list[str]) -> None:
    slots = make_slots(EIGHT, cpu_processes=2, size=size, jobs=jobs)
    assert slots == tuple(Slot(number, tuple(group), len(group)) for number, group in enumerate(groups))


@pytest.mark.parametrize(
    ("devices", "jobs", "size"),
    [
        (8, 1, 8),
        (8, 2, 4),
        (8, 3, 8),  # 2 each would leave two devices idle
        (8, 4, 2),
        (8, 5, 8),  # 1 each would leave three idle, 2 each a wave with one job
        (8, 6, 4),
        (8, 7, 1),  # one stays idle: nothing is quicker
        (8, 8, 1),
        (8, 9, 4),  # not seven idle devices in a second wave
        (8, 12, 2),
        (8, 20, 2),
        (8, 100, 1),
        (6, 4, 3),
        (1, 5, 1),
    ],
)
def test_the_size_is_that_with_which_the_sweep_ends_first(devices: int, jobs: int, size: int) -> None:
    assert sizes_by_time(EIGHT[:devices], [1.0] * jobs, speedup=1.8)[0] == size


def test_sizes_follow_what_is_known_of_jobs_and_devices() -> None:
    def best(guesses: list[float], speedup: float, devices: list[str] = EIGHT) -> int:
        return sizes_by_time(devices, guesses, speedup=speedup)[0]

    assert best([1.0] * 5, 1.0) == 1  # more devices do not help
    assert best([1.0] * 16, 2.0) == 1  # all sizes are as good, then the smallest
    assert best([1.0] * 7 + [10.0], 1.8) == 8  # one long job, which would run alone on its device
    assert sizes_by_time(["0", "MIG-1"], [1.0], speedup=2.0) == [1]
    assert sizes_by_time([], [1.0], speedup=2.0) == [1]
    assert sorted(sizes_by_time(EIGHT, [1.0], speedup=1.8)) == [1, 2, 3, 4, 5, 6, 7, 8]


def test_the_time_of_a_sweep_is_that_of_its_slots() -> None:
    assert sweep_time([3.0, 1.0, 1.0, 1.0], devices=2, size=1, speedup=1.8) == 3.0
    assert sweep_time([3.0, 1.0, 1.0, 1.0], devices=2, size=2, speedup=1.5) == 4.0


@pytest.mark.parametrize(
    ("size", "jobs", "text"),
    [
        (8, 5, "5 jobs on 8 devices: 8 each, 1 at a time in 5 waves"),
        (1, 5, "5 jobs on 8 devices: 1 each, 5 at a time; never used: 5,6,7"),
        (1, 9, "9 jobs on 8 devices: 1 each, 8 at a time in 2 waves; 7 idle in the last wave"),
        (3, 3, "3 jobs on 8 devices: 3 each, 2 at a time in 2 waves; never used: 6,7; 3 idle in the last wave"),
        (4, 1, "1 job on 8 devices: 4 each, 1 at a time; never used: 4,5,6,7"),
    ],
)
def test_idle_devices_are_told(size: int, jobs: int, text: str) -> None:
    slots = make_slots(EIGHT, size=size, cpu_processes=1, jobs=jobs)
    assert sharing_text(EIGHT, slots, jobs=jobs) == text


@pytest.mark.parametrize(
    ("processes", "size", "jobs", "slots", "ranks"),
    [(2, 1, 5, 2, 1), (8, 2, 5, 4, 2), (1, 2, 5, 1, 2), (8, 1, 3, 3, 1)],
)
def test_without_devices_processes_are_shared_out(processes: int, size: int, jobs: int, slots: int, ranks: int) -> None:
    made = make_slots([], cpu_processes=processes, size=size, jobs=jobs)
    assert made == tuple(Slot(number, (), ranks) for number in range(slots))


def test_a_job_cannot_have_more_devices_than_there_are() -> None:
    with pytest.raises(LauncherError, match="gpus_per_job=4, but there are 2 devices: 0,5"):
        make_slots(["0", "5"], cpu_processes=1, size=4, jobs=1)
    with pytest.raises(ValueError, match="size must be at least 1, got 0"):
        make_slots(["0"], cpu_processes=1, size=0, jobs=1)


def test_a_job_gets_one_mig_part() -> None:
    assert [slot.devices for slot in make_slots(["MIG-1", "0"], size=1, cpu_processes=1, jobs=2)] == [
        ("MIG-1",),
        ("0",),
    ]
    with pytest.raises(LauncherError, match="a job on MIG parts has one process, not 2"):
        make_slots(["MIG-1", "MIG-2"], size=2, cpu_processes=1, jobs=1)
