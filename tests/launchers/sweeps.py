"""Runs the tiny application of the tests as a user would, and looks at what it leaves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

APP = Path(__file__).parent / "app" / "app.py"
LAUNCHER = "hydra.launcher"


@dataclass(frozen=True)
class Ended:
    """A sweep that has ended."""

    code: int
    out: str
    folder: Path

    def status(self, name: str) -> dict[str, Any]:
        return read(self.folder / name / "status.json")

    def states(self) -> dict[str, str]:
        return {path.parent.name: read(path)["state"] for path in sorted(self.folder.glob("*/status.json"))}

    def starts(self, name: str, rank: int = 0) -> list[dict[str, Any]]:
        """Return what each start of a job has seen."""
        path = self.folder / name / f"starts_{rank}.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def start(folder: Path, *overrides: str, **environ: str) -> subprocess.Popen[str]:
    """Start the application with its sweep folder in `folder/runs`."""
    (folder / "tmp").mkdir(parents=True, exist_ok=True)
    env = {"CUDA_VISIBLE_DEVICES": "", **os.environ, "TMPDIR": str(folder / "tmp"), "OMP_NUM_THREADS": "1", **environ}
    with (folder / "out.txt").open("w") as out:
        return subprocess.Popen(
            [sys.executable, str(APP), *overrides], cwd=folder, env=env, stdout=out, stderr=subprocess.STDOUT, text=True
        )


def end(process: subprocess.Popen[str], folder: Path, *, timeout_s: float = 60) -> Ended:
    """Wait for the end of an application."""
    try:
        code = process.wait(timeout_s)
    finally:
        process.kill()
    return Ended(code, (folder / "out.txt").read_text(), folder / "runs")


def run(folder: Path, *overrides: str, timeout_s: float = 60, **environ: str) -> Ended:
    """Run the application until it ends."""
    return end(start(folder, *overrides, **environ), folder, timeout_s=timeout_s)


def settings(**values: object) -> list[str]:
    """Return overrides of the launcher's keys."""
    return [f"{LAUNCHER}.{name}={value}" for name, value in values.items()]


def leftovers(folder: Path) -> list[int]:
    """Return the processes that a sweep in this folder has started and that still run."""
    mark = f"TMPDIR={folder}/tmp".encode()
    return [pid for pid in _pids() if mark in _environ(pid)]


def wait_for(is_so: Callable[[], object], *, timeout_s: float = 20) -> bool:
    """Wait until something is so; return whether it came to be."""
    finish = time.monotonic() + timeout_s
    while not is_so():
        if time.monotonic() > finish:
            return False
        time.sleep(0.02)
    return True


def read(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file."""
    value: dict[str, Any] = json.loads(path.read_text())
    return value


def _pids() -> Iterable[int]:
    return (int(name) for name in os.listdir("/proc") if name.isdigit())


def _environ(pid: int) -> bytes:
    try:
        if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
            return b""
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""
