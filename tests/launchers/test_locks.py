"""Devices are locked against other launchers."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hydra_plugins.qvl_torchrun_launcher._errors import LauncherError
from hydra_plugins.qvl_torchrun_launcher._locks import DeviceLocks


def test_a_held_device_is_refused_with_the_name_of_its_holder(tmp_path: Path) -> None:
    locks = DeviceLocks(tmp_path / "locks")
    with locks.take(["0", "1"], timeout_s=0):
        assert locks.free(["0", "1", "2"]) == ("2",)
        with pytest.raises(LauncherError, match=rf"device 1 is held by pid {os.getpid()} of \w+ since 2\d\d\d-"):
            locks.take(["2", "1"], timeout_s=0)
        assert locks.free(["2"]) == ("2",), "all or none"
    assert locks.free(["0", "1", "2"]) == ("0", "1", "2")


def test_two_names_of_one_device_are_one_lock(tmp_path: Path) -> None:
    mine = DeviceLocks(tmp_path, names={"0": "GPU-a"})
    yours = DeviceLocks(tmp_path, names={"GPU-a": "GPU-a"})
    with mine.take(["0"], timeout_s=0):
        assert yours.free(["GPU-a", "GPU-b"]) == ("GPU-b",)


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
from hydra_plugins.qvl_torchrun_launcher._locks import DeviceLocks
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
