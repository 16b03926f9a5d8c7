"""Starts commands in processes that are forked from this one, which has imported what takes ten seconds.

Reads one JSON object a line from standard input and answers each with one, when the command has ended:
{"argv": ["qvl.train", "seed=1"], "cwd": "path", "log": "path", "environ": {...}, "ranks": 2} -> exit codes, signals
below zero. What the command prints goes to LOG.out and LOG.err. Verbs are imported by the process of a command only.
"""

from __future__ import annotations

import gc
import json
import os
import runpy
import socket
import sys

from qvl.training.preload import preload


def load() -> None:
    """Import what verbs and the commands of ms-swift import, but no verb."""
    preload()  # first: it decides what upstream logs
    import datasets  # noqa: F401
    import hydra.main
    import peft  # noqa: F401
    import swift.pipelines
    import swift.trainers
    from swift.arguments import SftArguments  # noqa: F401
    from swift.template import get_template  # noqa: F401

    assert swift.pipelines.SwiftSft and swift.pipelines.infer_main and swift.pipelines.export_main  # loads what is lazy
    assert swift.trainers.TrainerFactory and hydra.main
    gc.freeze()  # a collection in a fork would touch every page of what was imported


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def redirect(log: str) -> None:
    """Give this process files in place of its terminal; the ranks of a command share them."""
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, name in enumerate(("out", "err"), 1):
        os.dup2(os.open(f"{log}.{name}", os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)


def start(job: dict, rank: int, port: int) -> int:
    """Fork, and become what `python -m` makes of the words."""
    if pid := os.fork():
        return pid
    if job["ranks"] > 1:
        places = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": job["ranks"], "LOCAL_WORLD_SIZE": job["ranks"]}
        os.environ |= {name: str(value) for name, value in places.items()}
        os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    os.environ |= job["environ"]
    redirect(job["log"])
    os.chdir(job["cwd"])
    module, *sys.argv[1:] = job["argv"]
    sys.path[:1] = [job["cwd"], *job["environ"].get("PYTHONPATH", "").split(os.pathsep)]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
    raise SystemExit(0)


def serve() -> None:
    for line in sys.stdin:
        job, port = json.loads(line), free_port()
        pids = [start(job, rank, port) for rank in range(job["ranks"])]
        codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
        sys.stdout.write(json.dumps(codes) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    load()
    serve()
