"""A tiny application for tests of the launcher: what a job does is in its configuration."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

REPORTED = ("RANK", "WORLD_SIZE", "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "EXTRA", "APP_SECRET")


@hydra.main(version_base="1.3", config_path="conf", config_name="config")
def main(cfg: Any) -> object:
    """Do what the configuration says and return the double of x."""
    folder = Path(HydraConfig.get().runtime.output_dir)
    rank = int(os.environ.get("RANK", "0"))
    seen = {"pid": os.getpid(), "time": time.time(), **{name: os.environ.get(name) for name in REPORTED}}
    with (folder / f"starts_{rank}.jsonl").open("a") as file:
        file.write(json.dumps({**seen, "text": cfg.text, "secret": cfg.secret, "stamp": cfg.stamp}) + "\n")
    action = cfg.actions.get(cfg.x, cfg.action)
    if action != "fail_now":
        time.sleep(cfg.seconds)
    ACTIONS[action](folder, rank)
    return 2 * cfg.x


def is_mended(folder: Path) -> bool:
    """Return whether the fault of the jobs is said to be mended."""
    return (folder.parent / "mended").exists()


def fail(folder: Path, rank: int) -> None:
    """Fail until it is mended."""
    if not is_mended(folder):
        raise ValueError(f"boom on rank {rank}")


def fail_once(folder: Path, rank: int) -> None:
    """Fail at the first start."""
    if len((folder / f"starts_{rank}.jsonl").read_text().splitlines()) == 1:
        raise ValueError("boom once")


def hang(folder: Path, rank: int) -> None:
    """Make some progress, then none."""
    (folder / "progress.json").write_text(json.dumps({"step": 3, "max_steps": 10, "loss": 0.25}))
    time.sleep(600)


def wait(folder: Path, rank: int) -> None:
    """Wait until it is mended; say by whom."""
    note = folder / ".waits"
    note.write_text(str(os.getpid()))
    note.rename(folder / "waits")
    while not is_mended(folder):
        time.sleep(0.02)


def ignore_sigterm(folder: Path, rank: int) -> None:
    """Wait and do not listen."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    wait(folder, rank)


def preempt(folder: Path, rank: int) -> None:
    """Wait for SIGTERM, save and say so."""

    def save(*_: object) -> None:
        (folder / f"saved_{rank}").touch()
        sys.exit(75)

    signal.signal(signal.SIGTERM, save)
    wait(folder, rank)


def kill_self(folder: Path, rank: int) -> None:
    """Die as the kernel lets a process die when memory runs out."""
    os.kill(os.getpid(), signal.SIGKILL)


def kill_self_once(folder: Path, rank: int) -> None:
    """Die until it is mended."""
    if not is_mended(folder):
        kill_self(folder, rank)


def leave(folder: Path, rank: int) -> None:
    """Leave without a word."""
    os._exit(0)


def leave_once(folder: Path, rank: int) -> None:
    """Leave until it is mended."""
    if not is_mended(folder):
        leave(folder, rank)


def orphan(folder: Path, rank: int) -> None:
    """Leave a process behind, in a session of its own."""
    if os.fork() == 0:
        os.setsid()
        time.sleep(600)


def gloo(folder: Path, rank: int) -> None:
    """Add the ranks up."""
    import torch
    import torch.distributed as dist

    dist.init_process_group("gloo")
    total = torch.tensor([rank + 1])
    dist.all_reduce(total)
    (folder / f"total_{rank}").write_text(str(int(total)))
    dist.destroy_process_group()


def gloo_rank_1_fails(folder: Path, rank: int) -> None:
    """Let rank 1 fail and the others wait for it."""
    import torch
    import torch.distributed as dist

    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    dist.init_process_group("gloo")
    if rank == 1:
        raise ValueError("boom on rank 1")
    time.sleep(600)
    dist.all_reduce(torch.tensor([1]))


def check(cfg: Any, hydra_cfg: Any, processes: int) -> None:
    """Refuse x above 1."""
    lines = [f"x is {cfg.x}", f"with {processes} process", f"in {hydra_cfg.sweep.dir}"]
    if cfg.x > 1:
        raise ValueError("\n".join(lines[: 4 - cfg.x]))


class Heard(Callback):
    """Notes which jobs it hears of."""

    def on_job_start(self, config: DictConfig, **kwargs: Any) -> None:
        self._note("start", config)

    def on_job_end(self, config: DictConfig, **kwargs: Any) -> None:
        self._note("end", config)

    def _note(self, what: str, config: DictConfig) -> None:
        with (Path(config.hydra.sweep.dir) / "heard").open("a") as file:
            file.write(f"{what}{config.hydra.job.num}\n")


ACTIONS = {
    "none": lambda folder, rank: None,
    "fail": fail,
    "fail_now": fail,
    "fail_once": fail_once,
    "hang": hang,
    "wait": wait,
    "ignore_sigterm": ignore_sigterm,
    "preempt": preempt,
    "kill_self": kill_self,
    "kill_self_once": kill_self_once,
    "leave": leave,
    "leave_once": leave_once,
    "orphan": orphan,
    "gloo": gloo,
    "gloo_rank_1_fails": gloo_rank_1_fails,
}

if __name__ == "__main__":
    main()
