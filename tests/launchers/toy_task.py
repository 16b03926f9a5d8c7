"""Tasks that do in a moment what trainings do in hours: finish, fail, hang, save, disappear."""

from __future__ import annotations

import fcntl
import logging
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import hydra
import toy_processes
from hydra.core.hydra_config import HydraConfig

log = logging.getLogger(__name__)


def rank() -> int:
    return int(os.environ.get("RANK", "0"))


def folder() -> Path:
    return Path(HydraConfig.get().runtime.output_dir)


def double(cfg: Any) -> Any:
    """Return twice `cfg.value`."""
    log.info("doubling %s", cfg.value)
    return 2 * cfg.value


@hydra.main(version_base="1.3", config_path=None)
def double_in_hydra(cfg: Any) -> Any:
    return double(cfg)


def tell(cfg: Any) -> dict[str, object]:
    """Return where this process finds itself."""
    names = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "MASTER_PORT")
    job = HydraConfig.get().job
    return {
        "cwd": os.getcwd(),
        "environment": {name: os.environ[name] for name in names if name in os.environ},
        "job": {"name": job.name, "num": job.num, "id": job.id},
        "output_dir": str(folder()),
        "overrides": list(HydraConfig.get().overrides.task),
    }


def fail(cfg: Any) -> None:
    """Raise on rank `cfg.rank`; the others sleep for `cfg.seconds`, deaf to SIGTERM if `cfg.stubborn`."""
    if cfg.get("stubborn"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if rank() == cfg.get("rank", 0):
        raise ValueError(cfg.get("message", "boom"))
    time.sleep(cfg.get("seconds", 60))


def fall(cfg: Any) -> None:
    """Let rank `cfg.rank` kill itself; the others fail when its files are closed, as those of a collective do."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # else torchrun might be quicker
    connection = (folder() / "connection").open("a")
    ready = folder() / "ready"
    if rank() == cfg.rank:
        fcntl.flock(connection, fcntl.LOCK_EX)
        ready.touch()
        while not list(folder().glob("waiting-*")):
            time.sleep(0.01)
        time.sleep(0.2)
        os.kill(os.getpid(), signal.SIGKILL)
    while not ready.exists():
        time.sleep(0.01)
    (folder() / f"waiting-{rank()}").touch()
    fcntl.flock(connection, fcntl.LOCK_EX)
    raise ConnectionError("connection closed by peer")


def leave(cfg: Any) -> None:
    """Exit with `cfg.code`."""
    sys.exit(cfg.code)


def sleep(cfg: Any) -> None:
    """Sleep for `cfg.seconds`, deaf to SIGTERM if `cfg.stubborn`."""
    if cfg.get("stubborn"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    (folder() / f"ready-{rank()}").touch()
    time.sleep(cfg.seconds)


def save(cfg: Any) -> None:
    """Work for a minute; at SIGTERM take `cfg.seconds` to save, then exit as preempted."""
    asked: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: asked.append(number))
    (folder() / f"ready-{rank()}").touch()
    for _ in range(1200):
        if asked:
            time.sleep(cfg.seconds)
            (folder() / f"saved-{rank()}").write_text(str(len(asked)))
            sys.exit(75)
        time.sleep(0.05)


def train(cfg: Any) -> None:
    """Go on for ever with a DataLoader worker; both are deaf to SIGTERM if `cfg.stubborn`."""
    toy_processes.train(folder(), rank(), stubborn=cfg.stubborn)


def all_reduce(cfg: Any) -> float:
    """Sum `cfg.value` times (rank + 1) over all ranks."""
    import torch
    import torch.distributed as dist

    dist.init_process_group("gloo")
    total = torch.tensor([float(cfg.value) * (rank() + 1)])
    dist.all_reduce(total)
    log.info("rank %d has %s", rank(), total.item())
    dist.destroy_process_group()
    return float(total)
