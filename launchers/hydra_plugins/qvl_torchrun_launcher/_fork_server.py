"""Starts jobs of one process by forking a server that has loaded their modules: under a second instead of many.

This half runs in the launcher; `_fork_child` is the server.
"""

from __future__ import annotations

import json
import math
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from hydra_plugins.qvl_torchrun_launcher._errors import LauncherError
from hydra_plugins.qvl_torchrun_launcher._proc import facts_of
from hydra_plugins.qvl_torchrun_launcher._processes import PARENT, TOKEN, Command

__all__ = ["PER_JOB", "CannotFork", "ForkServer", "ForkedJob"]

RUNNER = "hydra_plugins.qvl_torchrun_launcher._worker:run_job_file"
_SERVER = "hydra_plugins.qvl_torchrun_launcher._fork_child"
_TOKEN_LENGTH = 128
_END_S = 10.0  # a server that has not ended its jobs by then is killed

PER_JOB = frozenset(
    {
        PARENT,
        TOKEN,
        "CUDA_DEVICE_ORDER",  # this one and the next are read when CUDA starts, which is after the fork
        "CUDA_VISIBLE_DEVICES",
        "TORCHELASTIC_ERROR_FILE",
        "TORCHINDUCTOR_CACHE_DIR",  # this one and the next are read at each use
        "TRITON_CACHE_DIR",
    }
)
"""Environment variables in which jobs of one server may differ; imports may have read any other."""


class CannotFork(LauncherError):
    """The fork server cannot start this job; a fresh process can."""


class ForkServer:
    """Forks jobs from one process that has imported their modules and never used CUDA.

    All calls come from the main thread of the launcher. Nothing runs before the first `ready` or `start`.

    Args:
        modules: Dotted names of what jobs import, such as "torch"; "module:function" is also called, without arguments.
        environ: Environment of its jobs; it is the same for all of them but for `PER_JOB`.
        log: File for what the server itself prints, such as warnings at import.
        grace_s: Seconds from SIGTERM to SIGKILL for jobs whose launcher died without `close`.
        runner: "module:function" that runs a job: gets the path of a job file and, as `parent_death`, the signal to
            receive when the server dies; returns the exit code.
        timeout_s: Longest time in seconds for the imports, and for the answer to a request.
    """

    def __init__(
        self,
        modules: Sequence[str],
        environ: Mapping[str, str],
        log: Path,
        *,
        grace_s: float = 5.0,
        runner: str = RUNNER,
        timeout_s: float = 600.0,
    ) -> None:
        self.modules = tuple(modules)
        self.environ = dict(environ)
        self.log = log
        self.grace_s = grace_s
        self.runner = runner
        self.timeout_s = timeout_s
        self.is_down = False
        self._cause = ""
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None
        self._received = b""
        self._is_ready = False
        self._deadline = math.inf
        self._replies: deque[ForkedJob | str] = deque()  # a string says why there is none
        self._jobs: dict[int, ForkedJob] = {}

    def ready(self) -> bool:
        """Start the server if it does not run yet; return whether its imports are done, without waiting.

        Raises:
            CannotFork: The server ended, for example because a module cannot be imported, or takes too long.
        """
        self._launch()
        self.receive(timeout_s=0.0)
        self._check()
        return self._is_ready

    def start(self, command: Command, job_file: Path) -> ForkedJob:
        """Fork a job; the first call waits for the imports.

        Args:
            command: `env`, `log` and `token` are used; `argv` is what the job sees as its command line.
            job_file: Passed to the runner.

        Raises:
            CannotFork: The environment differs from the server's in more than `PER_JOB`, the server ended, or it has
                threads or a use of CUDA that do not survive a fork.
        """
        self._check_request(command)
        self._launch()
        self._wait(until=lambda: self._is_ready)
        assert self._process is not None  # it is ready
        command.log.parent.mkdir(parents=True, exist_ok=True)
        request = {
            "argv": list(command.argv),
            "env": {**command.env, TOKEN: command.token, PARENT: str(self._process.pid)},
            "log": str(command.log),
            "token": command.token,
            "job_file": str(job_file),
        }
        self._deadline = time.monotonic() + self.timeout_s
        self._send(request)
        self._wait(until=lambda: bool(self._replies))
        reply = self._replies.popleft()
        if isinstance(reply, str):
            raise CannotFork(f"fork server: {reply}")
        return reply

    def close(self) -> None:
        """Kill the jobs that still run and end the server; returns when they are gone."""
        end = time.monotonic() + _END_S
        if self._process is not None and not self._is_ready:
            self._process.kill()  # has no jobs yet, and reads nothing before its imports are done
        elif self._channel is not None:
            self._send({"close": True})
        while self._channel is not None and time.monotonic() < end:
            self.receive(timeout_s=max(0.0, end - time.monotonic()))
        if self._channel is not None and self._process is not None:
            self._process.kill()
            self._lose()
        self.is_down = True
        if self._process is not None:
            self._process.wait()

    def receive(self, *, timeout_s: float) -> None:
        """Read what the server has reported.

        Args:
            timeout_s: Longest time to wait in seconds where nothing is there.
        """
        wait_s = None if math.isinf(timeout_s) else timeout_s
        while self._channel is not None and select.select([self._channel], [], [], wait_s)[0]:
            try:
                data = self._channel.recv(65536)
            except ConnectionResetError:
                data = b""
            if not data:
                self._lose()
                return
            *lines, self._received = (self._received + data).split(b"\n")
            for line in lines:
                self._note(json.loads(line))
            wait_s = 0.0

    def _launch(self) -> None:
        if self._process is not None or self.is_down:
            return
        self._deadline = time.monotonic() + self.timeout_s
        environ = {**self.environ, TOKEN: "-" * _TOKEN_LENGTH, PARENT: str(os.getpid())}
        environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "1"  # looks for devices without starting CUDA in this process
        self._channel, theirs = socket.socketpair()
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with theirs, self.log.open("ab") as log:
            descriptor, grace = str(theirs.fileno()), str(self.grace_s)
            self._process = subprocess.Popen(
                [sys.executable, "-m", _SERVER, descriptor, grace, self.runner, *self.modules],
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )

    def _check_request(self, command: Command) -> None:
        if not (command.token.isascii() and command.token.isprintable() and 0 < len(command.token) <= _TOKEN_LENGTH):
            raise CannotFork(f"fork server: the token must be 1 to {_TOKEN_LENGTH} ASCII characters")
        names = sorted(
            name
            for name in (self.environ.keys() | command.env.keys()) - PER_JOB
            if self.environ.get(name) != command.env.get(name)
        )
        if names:
            raise CannotFork(f"fork server: it was started with other values of {', '.join(names)}")

    def _send(self, request: Mapping[str, Any]) -> None:
        assert self._channel is not None  # the server is not down
        with suppress(BrokenPipeError, ConnectionResetError):  # the next read finds out
            self._channel.sendall(json.dumps(request).encode() + b"\n")

    def _wait(self, *, until: Callable[[], bool]) -> None:
        """Read reports until something is so."""
        self.receive(timeout_s=0.0)
        self._check()
        while not until():
            self.receive(timeout_s=max(0.0, self._deadline - time.monotonic()))
            self._check()

    def _check(self) -> None:
        """Refuse to go on without a server, or with one that does not answer."""
        if not self.is_down and time.monotonic() >= self._deadline:
            self.close()
            raise CannotFork(f"fork server: no answer in {self.timeout_s:g} s, see {self.log}")
        if not self.is_down:
            return
        code = None if self._process is None else self._process.poll()
        raise CannotFork(f"fork server: {self._cause or f'it ended with code {code}'}, see {self.log}")

    def _note(self, message: dict[str, Any]) -> None:
        if "ended" in message:
            self._jobs.pop(message["ended"]).code = message["code"]
            return
        self._deadline = math.inf  # it has answered
        if "ready" in message:
            self._is_ready = True
        elif "failed" in message:
            self._cause = message["failed"]
        elif "refused" in message:
            self._replies.append(message["refused"])
        else:
            job = ForkedJob(self, message["started"], message["token"])
            self._jobs[job.pid] = job
            self._replies.append(job)

    def _lose(self) -> None:
        """Take note that the server has ended; its jobs end with it."""
        assert self._process is not None and self._channel is not None
        self.is_down = True
        self._channel.close()
        self._channel = None
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(1.0)  # it has closed its end already
        self._kill_jobs()

    def _kill_jobs(self) -> None:
        for pid in self._jobs:
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)  # the job has died with the server, its own children have not


class ForkedJob:
    """A job that the fork server started; used like a process of `_processes`.

    Attributes:
        pid: Process id; the job leads a session and a process group of this number.
        token: Token of the job.
        agent: False: it is no agent of torchrun.
        code: Exit code as `subprocess` counts, None while it runs.
    """

    def __init__(self, server: ForkServer, pid: int, token: str) -> None:
        self.pid = pid
        self.token = token
        self.agent = False
        self.code: int | None = None
        self._server = server

    def poll(self) -> int | None:
        """Return the exit code, negative for a signal, or None while the job runs; never waits."""
        if self.code is None:
            self._server.receive(timeout_s=0.0)
        if self.code is None and self._server.is_down:
            self.code = _code_of_orphan(self.pid)
        return self.code

    def send(self, number: int) -> None:
        """Send a signal to the job if it still runs."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)


def _code_of_orphan(pid: int) -> int | None:
    """Return the exit code of a job whose server is gone, None while it is still dying."""
    with suppress(ChildProcessError):  # it is a child of the launcher only if that adopts orphans
        ended, status = os.waitpid(pid, os.WNOHANG)
        return os.waitstatus_to_exitcode(status) if ended else None
    facts = facts_of(pid)
    return -signal.SIGKILL if facts is None or facts.ended else None
