"""Devices are found, shared out and locked."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hydra_plugins.qvl_torchrun_launcher._devices import (
    DeviceLocks,
    Slot,
    find_devices,
    list_devices,
    make_slots,
    physical_names,
)
from hydra_plugins.qvl_torchrun_launcher._errors import LauncherError

A, B = "GPU-aaaa0000-0000-0000-0000-00000000000a", "GPU-bbbb0000-0000-0000-0000-00000000000b"
LISTING = f"GPU 0: NVIDIA A100-SXM4-80GB (UUID: {A})\nGPU 1: NVIDIA A100-SXM4-80GB (UUID: {B})\n"
PARTS = f"""GPU 0: NVIDIA H100 (UUID: {A})
  MIG 3g.40gb     Device  0: (UUID: MIG-11111111-0000)
  MIG 3g.40gb     Device  1: (UUID: MIG-22222222-0000)
GPU 1: NVIDIA H100 (UUID: {B})
"""


@pytest.mark.parametrize(
    ("visible", "listing", "devices"),
    [
        (None, None, ()),  # no nvidia-smi
        (None, "No devices found.\n", ()),
        (None, LISTING, ("0", "1")),
        (None, PARTS, ("MIG-11111111-0000", "MIG-22222222-0000", "1")),
        ("", LISTING, ()),
        ("-1", LISTING, ()),
        ("1", LISTING, ("1",)),
        (" 3, 1 ", LISTING, ("3", "1")),  # the pool is taken as it is
        (f"{A},MIG-1/2/3", None, (A, "MIG-1/2/3")),
    ],
)
def test_the_pool_is_what_the_user_sees(visible: str | None, listing: str | None, devices: tuple[str, ...]) -> None:
    environ = {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}
    assert find_devices(environ, query=lambda: listing) == devices


@pytest.mark.parametrize(
    ("visible", "message"),
    [("0,0", "device 0 is named twice"), ("0,x", "'x' is no device"), ("0,,1", "'' is no device"), ("0,-1", "'-1'")],
)
def test_a_faulty_pool_is_refused(visible: str, message: str) -> None:
    with pytest.raises(LauncherError, match=message):
        find_devices({"CUDA_VISIBLE_DEVICES": visible}, query=lambda: LISTING)


@pytest.mark.parametrize(
    ("script", "devices"),
    [
        ("printf '%s' 'GPU 0: A (UUID: GPU-0a)'", ("0",)),
        ("echo 'No devices found.'; exit 6", ()),
        ("echo 'could not communicate with the driver' >&2; exit 9", "exit code 9: could not communicate"),
    ],
)
def test_nvidia_smi_is_asked(
    script: str, devices: tuple[str, ...] | str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    if isinstance(devices, str):
        with pytest.raises(LauncherError, match=devices):
            find_devices({})
    else:
        assert find_devices({}) == devices


def test_a_machine_without_nvidia_smi_has_no_devices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert list_devices() is None


def test_a_device_has_one_name_however_it_is_called() -> None:
    names = physical_names(["0", B, "GPU-bbbb", "7", "GPU-"], query=lambda: LISTING)
    assert names == {"0": A, B: B, "GPU-bbbb": B, "7": "7", "GPU-": "GPU-"}


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


def test_a_held_device_is_refused_with_the_name_of_its_holder(tmp_path: Path) -> None:
    locks = DeviceLocks(tmp_path / "locks")
    with locks.take(["0", "1"], timeout_s=0):
        assert locks.free(["0", "1", "2"]) == ("2",)
        with pytest.raises(LauncherError, match=rf"device 1 is held by pid {os.getpid()} of \w+ since 2\d\d\d-"):
            locks.take(["2", "1"], timeout_s=0)
        assert locks.free(["2"]) == ("2",), "all or none"
    assert locks.free(["0", "1", "2"]) == ("0", "1", "2")


def test_two_names_of_one_device_are_one_lock(tmp_path: Path) -> None:
    mine = DeviceLocks(tmp_path, names={"0": A})
    yours = DeviceLocks(tmp_path, names={A: A})
    with mine.take(["0"], timeout_s=0):
        assert yours.free([A, B]) == (B,)


def test_a_waiting_launcher_is_told_and_may_give_up(tmp_path: Path) -> None:
    locks = DeviceLocks(tmp_path)
    told: list[str] = []

    def give_up(text: str) -> None:
        told.append(text)
        if len(told) == 2:
            raise InterruptedError

    with locks.take(["0"], timeout_s=0):
        with pytest.raises(InterruptedError):
            locks.take(["0"], timeout_s=None, on_wait=give_up)
        with pytest.raises(LauncherError):
            locks.take(["0"], timeout_s=0.3)
    assert "held by pid" in told[0]


def holder(folder: Path, *, inherits: bool = False) -> subprocess.Popen[str]:
    """Start a process that holds device 0; with `inherits`, its child has the descriptor and lives on."""
    script = f"""
import subprocess, sys, time
from pathlib import Path
from hydra_plugins.qvl_torchrun_launcher._devices import DeviceLocks
held = DeviceLocks(Path({str(folder)!r})).take(["0"], timeout_s=0)
if {inherits}:
    subprocess.Popen(["sleep", "2"], pass_fds=held.descriptors, stdout=subprocess.DEVNULL)
print("held", flush=True)
time.sleep(60)
"""
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def test_the_death_of_the_holder_frees_its_devices(tmp_path: Path) -> None:
    process = holder(tmp_path)
    locks = DeviceLocks(tmp_path)
    with pytest.raises(LauncherError, match=f"held by pid {process.pid} of"):
        locks.take(["0"], timeout_s=0)
    end(process)
    locks.take(["0"], timeout_s=5).release()


def test_a_device_stays_locked_while_a_heir_of_the_holder_clears_up(tmp_path: Path) -> None:
    process = holder(tmp_path, inherits=True)
    end(process)
    locks = DeviceLocks(tmp_path)
    with pytest.raises(LauncherError, match=f"held by what pid {process.pid} of .* has left"):
        locks.take(["0"], timeout_s=0)
    before = time.monotonic()
    locks.take(["0"], timeout_s=10).release()
    assert time.monotonic() - before < 5


def test_the_lock_files_are_open_to_all_users_and_follow_no_link(tmp_path: Path) -> None:
    folder = tmp_path / "locks"
    old = os.umask(0o077)
    try:
        DeviceLocks(folder).take(["0"], timeout_s=0).release()
    finally:
        os.umask(old)
    assert folder.stat().st_mode & 0o7777 == 0o1777
    assert (folder / "0.lock").stat().st_mode & 0o777 == 0o666
    (folder / "1.lock").symlink_to(tmp_path / "precious")
    with pytest.raises(LauncherError, match=r"1\.lock: device 1 cannot be locked"):
        DeviceLocks(folder).take(["1"], timeout_s=0)
    assert not (tmp_path / "precious").exists()


@pytest.mark.skipif(os.getuid() != 0, reason="needs root, to be two users")
def test_another_user_can_lock_and_is_told(tmp_path: Path) -> None:
    folder = Path(f"/tmp/test-locks-{os.getpid()}")
    try:
        DeviceLocks(folder).take(["0"], timeout_s=0).release()
        child = os.fork()
        if child == 0:
            os.setuid(65534)
            os._exit(len(DeviceLocks(folder).take(["0"], timeout_s=0).descriptors))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
    finally:
        for path in folder.glob("*"):
            path.unlink()
        folder.rmdir()


def test_the_holder_cannot_smuggle_text_into_a_terminal(tmp_path: Path) -> None:
    locks = DeviceLocks(tmp_path)
    with locks.take(["0"], timeout_s=0):
        (tmp_path / "0.lock").write_text("pid 1 of \x1b[31mroot\x1b[0m since 2026-01-01 00:00:00\n")
        with pytest.raises(LauncherError, match=r"device 0 is held by another process$"):
            locks.take(["0"], timeout_s=0)
