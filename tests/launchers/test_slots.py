"""Devices are shared out among jobs."""

from __future__ import annotations

import pytest
from hydra_plugins.qvl_torchrun_launcher._errors import LauncherError
from hydra_plugins.qvl_torchrun_launcher._slots import Slot, make_slots


@pytest.mark.parametrize(
    ("num_devices", "per_job", "jobs", "groups"),
    [
        (8, 1, 20, ["0", "1", "2", "3", "4", "5", "6", "7"]),
        (8, 4, 20, ["0123", "4567"]),
        (8, 3, 20, ["012", "345"]),  # two stay idle
        (8, None, 2, ["0123", "4567"]),
        (8, None, 3, ["01", "23", "45"]),  # no slot that nobody needs
        (8, None, 20, ["0", "1", "2", "3", "4", "5", "6", "7"]),
        (8, None, 1, ["01234567"]),
        (8, 1, 1, ["0"]),
        (1, 1, 1, ["0"]),
    ],
)
def test_devices_are_shared_out(num_devices: int, per_job: int | None, jobs: int, groups: list[str]) -> None:
    pool = [str(number) for number in range(num_devices)]
    slots = make_slots(pool, cpu_processes=2, gpus_per_job=per_job, jobs=jobs)
    assert slots == tuple(Slot(number, tuple(group), len(group)) for number, group in enumerate(groups))


@pytest.mark.parametrize(
    ("processes", "per_job", "jobs", "slots", "ranks"),
    [(2, None, 5, 2, 1), (8, 2, 5, 4, 2), (1, 2, 5, 1, 2), (8, None, 3, 3, 1)],
)
def test_without_devices_processes_are_shared_out(
    processes: int, per_job: int | None, jobs: int, slots: int, ranks: int
) -> None:
    made = make_slots([], cpu_processes=processes, gpus_per_job=per_job, jobs=jobs)
    assert made == tuple(Slot(number, (), ranks) for number in range(slots))


def test_a_job_cannot_have_more_devices_than_there_are() -> None:
    with pytest.raises(LauncherError, match="gpus_per_job=4, but there are 2 devices: 0,5"):
        make_slots(["0", "5"], cpu_processes=1, gpus_per_job=4, jobs=1)
    with pytest.raises(ValueError, match="gpus_per_job must be at least 1, got 0"):
        make_slots(["0"], cpu_processes=1, gpus_per_job=0, jobs=1)
