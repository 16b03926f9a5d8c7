"""The fork server: a process that imports modules once and forks a child for each job.

    python -m hydra_plugins.qvl_torchrun_launcher._fork_child FD GRACE_S RUNNER MODULE...

FD is a stream socket with a JSON object a line. In: argv, env, log, token, job_file; or close. Out: ready or failed
once, then started or refused for each request in order, and ended for each job. `close` kills the jobs; where the
socket closes without it the launcher has died, and the jobs get SIGTERM and GRACE_S seconds first.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from hydra_plugins.qvl_torchrun_launcher._processes import TOKEN, die_with_parent

__all__ = ["main"]

_TOKEN = f"{TOKEN}=".encode()
_SAFE_THREADS = frozenset({"jemalloc_bg_thd"})  # pyarrow's allocator stops and restarts its thread around a fork
_CUDA_NOT_INITIALIZED = 3


def main(argv: Sequence[str]) -> int:
    """Serve until the launcher is gone; in a child, run its job and return its exit code."""
    descriptor, grace_s, runner, *modules = argv
    channel = socket.socket(fileno=int(descriptor))
    channel.set_inheritable(False)
    die_with_parent(signal.SIGKILL)  # a closed socket goes unseen during the imports
    before = dict(os.environ)
    with _Reported(channel):
        run = _load(runner)
        for name in modules:
            _load(name)() if ":" in name else importlib.import_module(name)
        server = _Server(channel, float(grace_s))
    changes = {name: os.environ.get(name) for name in before.keys() | os.environ.keys()}
    changes = {name: value for name, value in changes.items() if value != before.get(name)}
    die_with_parent(0)
    request = server.serve()
    if request is None:
        os._exit(0)  # all jobs have ended; taking the libraries down in order would take seconds
    _replace_environment(request["env"], before, changes)
    die_with_parent(signal.SIGKILL)
    _reseed()
    sys.argv = [str(sys.modules[run.__module__].__file__), request["job_file"]]
    sys.orig_argv = list(request["argv"])
    return int(run(Path(request["job_file"]), parent_death=signal.SIGKILL))


def _load(name: str) -> Callable[..., Any]:
    """Return a function by its "module:function"."""
    module, _, function = name.partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), function)
    return found


class _Reported:
    """Tells the launcher why the server could not start."""

    def __init__(self, channel: socket.socket) -> None:
        self.channel = channel

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if kind is not None:
            _send(self.channel, {"failed": f"{kind.__name__}: {error}"})


class _Server:
    """Answers requests and reports ended jobs, one after the other, in one thread and without signal handlers."""

    def __init__(self, channel: socket.socket, grace_s: float) -> None:
        self.channel = channel
        self.grace_s = grace_s
        self.token = _TokenInMemory()
        self.pids: dict[int, int] = {}  # by the descriptor that becomes readable when the process ends
        self.poll = select.poll()
        self.poll.register(channel, select.POLLIN)
        self._settle()

    def serve(self) -> dict[str, Any] | None:
        """Return the request in the child that has to run it, None in the server once the launcher is gone."""
        _send(self.channel, {"ready": True})
        received, requests = b"", deque[dict[str, Any]]()
        while True:
            for descriptor, _ in self.poll.poll():
                if descriptor != self.channel.fileno():
                    self._reap(descriptor)
                    continue
                data = self._receive()
                if not data:
                    self._end(signal.SIGTERM)
                    return None
                *lines, received = (received + data).split(b"\n")
                requests.extend(json.loads(line) for line in lines)
            while requests:
                request = requests.popleft()
                if "close" in request:
                    self._end(signal.SIGKILL)
                    return None
                if self._fork(request):
                    return request

    def _settle(self) -> None:
        """Bring memory and threads into the state in which all children find them."""
        gc.collect()
        gc.freeze()  # the children's collector leaves shared pages alone
        pid = os.fork()  # makes libraries that know about forks, such as OpenBLAS, end their idle threads
        if pid == 0:
            os._exit(0)
        os.close(os.pidfd_open(pid))  # fails here, not at the first job, where the kernel has none
        os.waitpid(pid, 0)

    def _fork(self, request: Mapping[str, Any]) -> bool:
        """Start a job, unless that is unsafe; return whether this is the child."""
        reason = _unsafe()
        if reason is not None:
            _send(self.channel, {"refused": reason})
            return False
        sys.stdout.flush()
        sys.stderr.flush()
        try:
            with self.token.shown(request["token"]):
                pid = os.fork()
        except OSError as error:
            _send(self.channel, {"refused": f"no process can be made: {error}"})
            return False
        if pid == 0:
            self._leave(Path(request["log"]))
            return True
        descriptor = os.pidfd_open(pid)
        self.pids[descriptor] = pid
        self.poll.register(descriptor, select.POLLIN)
        _send(self.channel, {"started": pid, "token": request["token"]})
        return False

    def _leave(self, log: Path) -> None:
        """Take this child out of the server's session and give it its own output."""
        os.setsid()
        self.channel.close()
        for descriptor in self.pids:
            os.close(descriptor)
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.close(output)

    def _reap(self, descriptor: int) -> None:
        """Report the end of a job and kill what it left in its process group, such as workers that load data."""
        pid = self.pids.pop(descriptor)
        self.poll.unregister(descriptor)
        os.close(descriptor)
        with suppress(ProcessLookupError):  # it was killed before it had a group
            os.killpg(pid, signal.SIGKILL)  # the number is the job's until the next line
        _, status = os.waitpid(pid, 0)
        _send(self.channel, {"ended": pid, "code": os.waitstatus_to_exitcode(status)})

    def _end(self, number: signal.Signals) -> None:
        """Send the jobs a signal, kill those that are still there after the grace, and wait for them."""
        self.poll.unregister(self.channel)
        for pid in self.pids.values():
            os.kill(pid, number)
        end = time.monotonic() + self.grace_s
        while self.pids and time.monotonic() < end:
            for descriptor, _ in self.poll.poll(100):
                self._reap(descriptor)
        for descriptor in list(self.pids):
            self._reap(descriptor)

    def _receive(self) -> bytes:
        try:
            return self.channel.recv(65536)
        except ConnectionResetError:
            return b""


class _TokenInMemory:
    """The token in the memory that the kernel shows as this process's environment.

    Changes of `os.environ` do not reach that memory; a child inherits what it held at the fork, and so do the child's
    own children. A process can thus be found by the token of its job as if it had been started with it.
    """

    def __init__(self) -> None:
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        start, end = int(fields[47]), int(fields[48])  # env_start and env_end, see proc(5)
        block = ctypes.string_at(start, end - start) if start else b""
        position = (b"\0" + block).find(b"\0" + _TOKEN)
        if position < 0:
            raise RuntimeError("this process was started without a token, or the kernel does not show its environment")
        self.address = start + position + len(_TOKEN)
        self.own = block[position + len(_TOKEN) :].partition(b"\0")[0]

    def shown(self, token: str) -> _Shown:
        """Return a context in which the environment shows another token; in a fork it stays."""
        data = token.encode("ascii")
        return _Shown(self, data if len(data) == len(self.own) else (data + b"\0").ljust(len(self.own)))

    def write(self, data: bytes) -> None:
        """Overwrite the token with as many bytes."""
        ctypes.memmove(self.address, data, len(self.own))


class _Shown:
    def __init__(self, token: _TokenInMemory, data: bytes) -> None:
        self.token, self.data, self.pid = token, data, os.getpid()

    def __enter__(self) -> None:
        self.token.write(self.data)

    def __exit__(self, *_: object) -> None:
        if os.getpid() == self.pid:
            self.token.write(self.token.own)


def _send(channel: socket.socket, message: Mapping[str, object]) -> None:
    with suppress(BrokenPipeError, ConnectionResetError):  # the next read finds out
        channel.sendall(json.dumps(message).encode() + b"\n")


def _unsafe() -> str | None:
    """Return why a fork of this process would not work, None where it would."""
    others = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
    if others:
        return f"an import has left threads running: {', '.join(others)}"
    for task in Path("/proc/self/task").iterdir():
        name = (task / "comm").read_text().strip()
        if int(task.name) != os.getpid() and name not in _SAFE_THREADS:
            return f"an import has left a native thread running: {name}"
    torch: Any = sys.modules.get("torch")
    if (torch is not None and torch.cuda.is_initialized()) or _driver_in_use():
        return "an import has started CUDA, which does not survive a fork"
    return None


def _driver_in_use() -> bool:
    """Whether somebody in this process, not only torch, has started the CUDA driver."""
    try:
        driver = ctypes.CDLL("libcuda.so.1", mode=os.RTLD_NOLOAD)
    except OSError:
        return False
    return int(driver.cuDeviceGetCount(ctypes.byref(ctypes.c_int()))) != _CUDA_NOT_INITIALIZED


def _replace_environment(
    environ: Mapping[str, str], before: Mapping[str, str], changes: Mapping[str, str | None]
) -> None:
    """Take over a job's environment, with what the imports would have changed in it.

    Args:
        environ: Of the job.
        before: The server's, before the imports.
        changes: What the imports made of it, None for a variable that they took away.
    """
    os.environ.clear()
    os.environ.update(environ)
    for name, value in changes.items():
        if environ.get(name) != before.get(name):
            continue  # imports set what they do not find
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _reseed() -> None:
    """Draw new seeds where a fresh process would have its own; Python's `random` does so by itself at a fork."""
    modules: Mapping[str, Any] = sys.modules
    if "numpy.random" in modules:
        modules["numpy.random"].seed()
    if "torch" in modules:
        modules["torch"].default_generator.seed()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
