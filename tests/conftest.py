"""One thread per process, long tests first, GPU tests only where there is a GPU, fast commands, other machines."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when torch is imported; more threads slow a small model down


LONG = {"training": 0, "launchers": 1}
"""Folders whose files take longest, in their order; all others come later."""

ROOT = Path(__file__).parents[1]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let two processes begin with what takes longest, so that they end together."""
    items.sort(key=lambda item: LONG.get(item.path.parent.name, len(LONG)))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test marked `gpu` where torch sees no device; torch is imported for such a test only."""
    if item.get_closest_marker("gpu") is None:
        return
    import torch

    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")


@dataclass(frozen=True)
class Ended:
    """A command that has ended: the exit code of each process, a signal below zero, and what they printed."""

    codes: list[int]
    stdout: str
    stderr: str

    @property
    def returncode(self) -> int:
        return self.codes[0]

    @property
    def output(self) -> str:
        return self.stdout + self.stderr


class ForkedCommands:
    """Runs `python -m MODULE WORDS` in processes forked from one that has torch and ms-swift imported."""

    def __init__(self, server: subprocess.Popen[str], logs: Path) -> None:
        self._server = server
        self._logs = logs
        self._count = 0

    def __call__(self, *argv: str, cwd: Path, ranks: int = 1, timeout_s: float = 600, **environ: str) -> Ended:
        self._count += 1
        log = self._logs / str(self._count)
        job = {"argv": argv, "cwd": str(cwd), "log": str(log), "environ": environ, "ranks": ranks}
        self._server.stdin.write(json.dumps(job) + "\n")
        self._server.stdin.flush()
        if not select.select([self._server.stdout], [], [], timeout_s)[0]:
            os.killpg(self._server.pid, signal.SIGKILL)
        codes = json.loads(self._server.stdout.readline())
        return Ended(codes, *(Path(f"{log}.{name}").read_text() for name in ("out", "err")))


@pytest.fixture(scope="session")
def forked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkedCommands]:
    argv = [sys.executable, str(Path(__file__).with_name("forked_commands.py"))]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "launchers")]), "COLUMNS": "100"}
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, stdin=pipe, stdout=pipe, text=True, env=env, start_new_session=True) as server:
        yield ForkedCommands(server, tmp_path_factory.mktemp("forked"))
        server.stdin.close()


@pytest.fixture
def fake_tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Put an nvidia-smi on the path that knows so many A100 with a driver; `script` stands for all of it."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    def make(count: int = 0, *, driver: str = "580.65.06", script: str | None = None, cut: bool = False) -> None:
        part = "  MIG 1g.10gb     Device  0: (UUID: MIG-b{0})\n" if cut else ""
        query = [f"GPU-a{i}, 4, 81920, {driver}, 8.0\n" for i in range(count)]
        whole = [f"GPU {i}: NVIDIA A100-SXM4-80GB (UUID: GPU-a{i})\n{part.format(i)}" for i in range(count)]
        cases = f"case $1 in\n--query-gpu*) cat <<X\n{''.join(query)}X\n;;\n-L) cat <<X\n{''.join(whole)}X\n;;\nesac"
        folder = tmp_path / "tools"
        folder.mkdir(exist_ok=True)
        tool = folder / "nvidia-smi"
        tool.write_text(f"#!/bin/sh\n{cases if script is None else script}\n")
        tool.chmod(0o755)
        monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)

    return make
