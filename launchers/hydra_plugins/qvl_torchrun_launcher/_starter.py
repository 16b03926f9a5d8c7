"""Start jobs: as fresh processes, or forked from a server that has imported what they need."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from hydra_plugins.qvl_torchrun_launcher._fork_server import CannotFork, ForkServer
from hydra_plugins.qvl_torchrun_launcher._processes import Command, JobProcess, start

__all__ = ["Starter"]


class Starter:
    """Starts the jobs of a sweep.

    Args:
        preload: Modules that the fork server imports; jobs of one process are forked from it. None: no fork server.
        log: What the server prints.
        note: Told why jobs are not forked.
    """

    def __init__(self, preload: Sequence[str] | None, log: Path, *, note: Callable[[str], None]) -> None:
        self.preload = preload
        self.log = log
        self.note = note
        self._server: ForkServer | None = None

    def is_ready(self, command: Command) -> bool:
        """Return whether a job can start now; False while the fork server imports."""
        if self.preload is None or command.agent:
            return True
        if self._server is None:
            self._server = ForkServer(self.preload, command.env, self.log)
        try:
            return self._server.ready()
        except CannotFork as error:
            self._give_up(error)
            return True

    def start(self, command: Command, job_file: Path) -> JobProcess:
        """Start a job; one that cannot be forked gets a fresh process."""
        if self._server is None or self.preload is None or command.agent:
            return start(command)
        try:
            return self._server.start(command, job_file)
        except CannotFork as error:
            if self._server.is_down:
                self._give_up(error)
            return start(command)

    def close(self) -> None:
        """End the fork server."""
        if self._server is not None:
            self._server.close()

    def _give_up(self, error: CannotFork) -> None:
        self.note(f"{error}; jobs start as fresh processes")
        self.preload = None
