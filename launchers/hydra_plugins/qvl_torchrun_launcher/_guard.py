"""A small process that outlives a killed launcher and ends the jobs that it left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence

from hydra_plugins.qvl_torchrun_launcher._processes import PARENT, TOKEN, clean_up, die_with_parent, processes_of

__all__ = ["Guard", "main"]

_CLOSE = signal.SIGUSR1
_PARENT_DIED = signal.SIGUSR2
_POLL_S = 0.1
_CLEAN_UP_S = 60.0


class Guard:
    """Ends the jobs of a sweep if this process dies without doing so.

    Args:
        sweep: Digits with which the tokens of the sweep begin.
        grace_s: Seconds that the jobs get to end by themselves.
        descriptors: Open files that stay open as long as the jobs are not cleared up: the locks of the devices.
    """

    def __init__(self, sweep: str, *, grace_s: float = 5.0, descriptors: Sequence[int] = ()) -> None:
        self._sweep = sweep
        self._grace_s = grace_s
        self._descriptors = tuple(descriptors)
        self._popen: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Guard:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """Its id, None before the start and after the end."""
        return None if self._popen is None else self._popen.pid

    def start(self) -> None:
        """Start it.

        Raises:
            RuntimeError: This is not the main thread, with which the guard would take this process for dead.
        """
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("the guard is started by the main thread: it watches the thread that started it")
        env = {name: value for name, value in os.environ.items() if name != TOKEN} | {PARENT: str(os.getpid())}
        self._popen = subprocess.Popen(
            [sys.executable, "-m", __name__, self._sweep, str(self._grace_s)],
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=self._descriptors,
        )

    def close(self) -> None:
        """End it: the jobs have ended."""
        if self._popen is None:
            return
        self._popen.send_signal(_CLOSE)
        self._popen.wait()
        self._popen = None


def main(argv: Sequence[str]) -> int:
    """Wait for the end of the parent, then for that of its jobs, and kill what is left of them.

    Args:
        argv: Digits of the sweep, seconds of grace.

    Returns:
        Exit code: 1 if a process does not die.
    """
    sweep, grace_s = argv[0], float(argv[1])
    signal.pthread_sigmask(signal.SIG_BLOCK, {_CLOSE, _PARENT_DIED, signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
    if _parent_lives() and signal.sigwait({_CLOSE, _PARENT_DIED}) == _CLOSE:
        return 0
    end = time.monotonic() + grace_s
    while processes_of(sweep) and time.monotonic() < end:
        time.sleep(_POLL_S)
    return bool(clean_up(sweep, timeout_s=_CLEAN_UP_S).left)


def _parent_lives() -> bool:
    try:
        die_with_parent(_PARENT_DIED)
    except SystemExit:
        return False
    return True


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
