"""Stand-ins without torch for the processes of a sweep: launcher, torchrun's agent, rank, DataLoader worker.

python toy_processes.py launcher|agent|rank FOLDER SWEEP [stubborn] [unguarded]
With a job.yaml in the folder, the launcher starts the true agent and the true worker.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from pathlib import Path

from hydra_plugins.qvl_torchrun_launcher._causes import dead_ranks, note_start, write_error
from hydra_plugins.qvl_torchrun_launcher._guard import Guard
from hydra_plugins.qvl_torchrun_launcher._processes import (
    PARENT,
    Command,
    agent_argv,
    become_subreaper,
    clean_up,
    die_with_parent,
    kill_ranks,
    new_token,
    start,
    stop,
)

TICK_S = 0.05
GRACE_S = 1.0
NUM_RANKS = 2
AGENT_WAITS_S = 30.0  # as torch 2.11 does


def launcher(folder: Path, sweep: str, options: Sequence[str]) -> int:
    """Run one job; at SIGINT or SIGTERM stop it."""
    asked: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: asked.append(number))
    become_subreaper()
    argv: tuple[str, ...] = (sys.executable, __file__, "agent", str(folder), sweep, *options)
    if (folder / "job.yaml").exists():
        argv = agent_argv(folder / "job.yaml", processes=NUM_RANKS, job_id="job0")
    command = Command(argv, os.environ, folder / "launcher.log", new_token(sweep), agent=True)
    with nullcontext() if "unguarded" in options else Guard(sweep, grace_s=GRACE_S) as guard:
        process = start(command)
        (folder / "pids").write_text(f"{process.pid} {guard.pid if guard else 0}")
        dead_since: float | None = None
        while process.poll() is None and not asked:
            if dead_since is None and dead_ranks(folder):
                dead_since = time.monotonic()
            if dead_since is not None and time.monotonic() > dead_since + GRACE_S:
                kill_ranks(process)
            time.sleep(TICK_S)
        stop([process], grace_s=GRACE_S, hurry=lambda: len(asked) > 1)
        clean_up(command.token)
    return 128 + asked[0] if asked else abs(process.poll() or 0)


def agent(folder: Path, sweep: str, options: Sequence[str]) -> int:
    """Watch ranks as `_agent` does."""
    die_with_parent(signal.SIGTERM)
    parent = os.getppid()
    os.environ[PARENT] = str(os.getpid())
    ranks: list[subprocess.Popen[bytes]] = []

    def pass_on(number: int, _: object) -> None:
        if os.getppid() != parent:
            raise KeyboardInterrupt
        for rank in ranks:
            rank.send_signal(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, pass_on)
    for number in range(NUM_RANKS):
        argv = [sys.executable, __file__, "rank", str(folder), sweep, *options]
        ranks.append(subprocess.Popen(argv, env={**os.environ, "RANK": str(number)}, start_new_session=True))
    with suppress(KeyboardInterrupt):
        while not any(rank.poll() for rank in ranks):
            time.sleep(TICK_S)
    for rank in ranks:
        rank.terminate()
    end = time.monotonic() + AGENT_WAITS_S
    while any(rank.poll() is None for rank in ranks) and time.monotonic() < end:
        time.sleep(TICK_S)
    for rank in ranks:
        rank.kill()
    return 1


def rank(folder: Path, sweep: str, options: Sequence[str]) -> int:
    """Train as a worker of the launcher would."""
    die_with_parent(signal.SIGKILL)
    number = int(os.environ["RANK"])
    note_start(folder, number)
    try:
        train(folder, number, stubborn="stubborn" in options)
    except RuntimeError as error:
        write_error(folder, number, error)
    return 1


def train(folder: Path, number: int, *, stubborn: bool) -> None:
    """Go on for ever, as long as the DataLoader worker lives."""
    if stubborn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = os.fork()
    while child == 0:
        time.sleep(1)  # a worker that nobody told to end, and that looks after nobody
    (folder / f"worker-{number}").write_text(str(child))
    while os.waitpid(child, os.WNOHANG)[0] == 0:
        time.sleep(TICK_S)
    raise RuntimeError("DataLoader worker exited unexpectedly")


if __name__ == "__main__":
    roles = {"launcher": launcher, "agent": agent, "rank": rank}
    sys.exit(roles[sys.argv[1]](Path(sys.argv[2]), sys.argv[3], sys.argv[4:]))
