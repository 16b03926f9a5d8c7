"""Lets the test modules of this folder import `verbs`, and runs a command in this process."""

from __future__ import annotations

import importlib
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

HERE = str(Path(__file__).parent)

Here = Callable[..., subprocess.CompletedProcess[str]]


def pytest_configure() -> None:
    sys.path[:0] = [folder for folder in [HERE] if folder not in sys.path]


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Here]:
    """Runs `python -m qvl.<verb> argv` in a folder, without a process of its own; the log is as before in the end."""
    loggers = [logging.getLogger(), logging.getLogger("qvl")]
    before = [(logger.handlers[:], logger.level) for logger in loggers]
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)

    def run(verb: str, *argv: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        monkeypatch.chdir(cwd)
        monkeypatch.setattr(sys, "argv", [f"qvl.{verb}", *argv])
        capsys.readouterr()
        code = 0
        try:
            importlib.import_module(f"qvl.{verb}").cli()
        except SystemExit as stop:
            code = int(str(stop.code))
        return subprocess.CompletedProcess(sys.argv, code, *capsys.readouterr())

    yield run
    for logger, (handlers, level) in zip(loggers, before, strict=True):
        logger.handlers[:] = handlers
        logger.setLevel(level)
