"""torchrun for the launcher: it dies with the launcher, leaves stopping to it, and writes down how each rank ended."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from hydra_plugins.qvl_torchrun_launcher._causes import RankEnd, write_failures
from hydra_plugins.qvl_torchrun_launcher._processes import PARENT, TOKEN, children_of, die_with_parent

__all__ = ["main"]

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def main(argv: Sequence[str]) -> int:
    """Run torchrun's agent.

    Args:
        argv: Arguments of torchrun; the last one is the job file.

    Returns:
        Exit code: 1 if a rank failed.
    """
    die_with_parent(signal.SIGTERM)
    options = _leave_stopping_to_the_launcher() if PARENT in os.environ else []
    os.environ[PARENT] = str(os.getpid())  # the ranks follow the agent
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import parse_args, run

    try:
        run(parse_args([*options, *argv]))
    except ChildFailedError as error:
        ends = [RankEnd(rank, end.exitcode, float(end.timestamp)) for rank, end in error.failures.items()]
        write_failures(Path(argv[-1]).parent, ends)
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _leave_stopping_to_the_launcher() -> list[str]:
    """Pass signals on to the ranks and nothing else, as long as the launcher lives.

    torchrun would kill the ranks 30 s later, in the midst of saving.

    Returns:
        Arguments of torchrun.
    """
    launcher = os.getppid()

    def pass_on(number: int, _: FrameType | None) -> None:
        if os.getppid() != launcher:
            from torch.distributed.elastic.multiprocessing.api import SignalException

            raise SignalException("the launcher has ended", sigval=signal.Signals(number))
        for pid in children_of(os.getpid(), os.environ[TOKEN]):
            os.kill(pid, number)

    for number in _SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, pass_on)
    return ["--signals-to-handle=SIGQUIT"]


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    os._exit(code)  # the next job waits for the end, and to take torch apart lasts a second
