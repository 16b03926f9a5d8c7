"""Files about jobs and sweeps are whole at any moment and read as they were written."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hydra_plugins.qvl_torchrun_launcher._status import (
    FailureCause,
    State,
    Status,
    SweepRecord,
    jsonable,
    read_json,
    read_status,
    write_bytes,
    write_json,
)

FULL = Status(
    job=3,
    fingerprint="ab",
    state=State.FAILED,
    overrides=("a=1", "b='\u2028\udc80'"),
    devices=("0", "GPU-1"),
    processes=2,
    attempt=2,
    token="t",
    started="2026-01-01T00:00:00.000+00:00",
    ended="2026-01-01T00:00:01.000+00:00",
    seconds=1.0,
    exit_code=-9,
    cause=FailureCause("ValueError: boom", 1, ("a", "b")),
    history=({"attempt": 1, "state": "failed", "cause": "x", "seconds": 1.0},),
)


@pytest.mark.parametrize(
    "status", [FULL, Status(0, "ab"), Status(1, "cd", state=State.COMPLETED, return_value=[1.5, None])]
)
def test_a_status_reads_as_it_was_written(tmp_path: Path, status: Status) -> None:
    status.write(tmp_path)
    assert read_status(tmp_path) == status


def test_a_status_of_a_later_version_is_read_too(tmp_path: Path) -> None:
    FULL.write(tmp_path)
    values = read_json(tmp_path / "status.json")
    write_json(tmp_path / "status.json", {**values, "new": 1})
    assert read_status(tmp_path) == FULL


def test_a_sweep_tells_its_command_its_jobs_and_its_end(tmp_path: Path) -> None:
    record = SweepRecord(tmp_path, jobs=[{"job": 0, "folder": "0", "fingerprint": "ab"}])
    record.write("running")
    assert read_json(tmp_path / "sweep.json")["ended"] is None
    record.write("failed")
    content = read_json(tmp_path / "sweep.json")
    assert (content["version"], content["state"], content["jobs"][0]["folder"]) == (1, "failed", "0")
    assert content["command"] == sys.orig_argv
    assert content["ended"] >= content["started"]


@pytest.mark.parametrize("text", ["", "[1]", "null", "{", '{"a": }', "\ufeff{}", "[" * 10000])
def test_what_is_no_object_reads_as_empty(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    assert read_json(tmp_path / "x.json") == {}
    assert read_json(tmp_path / "missing.json") == {}


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    write_bytes(tmp_path / "a", b"old", mode=0o600)
    (tmp_path / "b").mkdir()
    with pytest.raises(OSError, match="b"):
        write_bytes(tmp_path / "b", b"new")
    assert sorted(os.listdir(tmp_path)) == ["a", "b"]
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o600


def test_a_kill_at_any_moment_leaves_a_whole_file(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from hydra_plugins.qvl_torchrun_launcher._status import Status\n"
        "n = 0\nwhile True:\n    n += 1; Status(n, 'x' * 20000).write(Path(sys.argv[1]))"
    )
    for number in range(5):
        process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)])
        while not (tmp_path / "status.json").exists():
            time.sleep(0.01)
        time.sleep(0.03 + 0.011 * number)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert len(json.loads((tmp_path / "status.json").read_text())["fingerprint"]) == 20000


@pytest.mark.parametrize(("value", "kept"), [(1.5, 1.5), ({"a": [1]}, {"a": [1]}), ({1, 2}, None), (object(), None)])
def test_only_what_json_can_hold_is_kept_of_a_return_value(value: object, kept: object) -> None:
    assert jsonable(value) == kept
