"""A tiny application that submitit starts on a node, where it hands over to torchrun."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra_plugins.qvl_torchrun_launcher._jobs import Task
from hydra_plugins.qvl_torchrun_launcher._node import run_on_node, this_node


@dataclass
class Config:
    """What a job does: add, meet, fail or save."""

    action: str = "add"
    value: float = 1.0
    processes: int = 2


ConfigStore.instance().store(name="node_app", node=Config)


def work(cfg: Any) -> float:
    """Be a rank."""
    folder, rank = Path(HydraConfig.get().runtime.output_dir), int(os.environ["RANK"])
    return float(ACTIONS[cfg.action](folder, rank) * cfg.value)


def add(folder: Path, rank: int) -> float:
    """Return the sum of rank + 1 over all ranks."""
    import torch
    import torch.distributed as dist

    dist.init_process_group("gloo")
    total = torch.tensor([rank + 1.0])
    dist.all_reduce(total)
    dist.destroy_process_group()
    return float(total)


def meet(folder: Path, rank: int) -> float:
    """Return the number of ranks, once all have noted the same address of the first one."""
    address, count = f"{os.environ['MASTER_ADDR']}_{os.environ['MASTER_PORT']}", int(os.environ["WORLD_SIZE"])
    (folder / f"rank_{rank}_{address}").touch()
    for _ in range(600):
        if len(list(folder.glob(f"rank_*_{address}"))) == count:
            return float(count)
        time.sleep(0.05)
    raise TimeoutError("the other ranks have not come")


def fail(folder: Path, rank: int) -> float:
    """Fail on rank 1, while the others wait."""
    if rank == 1:
        raise ValueError("boom")
    time.sleep(60)
    return 0.0


def save(folder: Path, rank: int) -> float:
    """Wait for SIGTERM and save; add at the next start."""
    mark = folder / f"saved_{rank}"
    if mark.exists():
        return add(folder, rank)

    def leave(*_: object) -> None:
        mark.touch()
        sys.exit(75)

    signal.signal(signal.SIGTERM, leave)
    (folder / f"waits_{rank}").touch()
    time.sleep(60)
    return 0.0


ACTIONS = {"add": add, "meet": meet, "fail": fail, "save": save}


@hydra.main(version_base="1.3", config_path=None, config_name="node_app")
def main(cfg: Any) -> object:
    """Hand over to torchrun, as a verb does."""
    node = this_node(os.environ, processes=cfg.processes)
    assert node is not None
    return run_on_node(node, Task("node_app:work", (str(Path(__file__).parent),)), cfg, redact=without_values)


def without_values(overrides: Sequence[str]) -> list[str]:
    """Return the overrides as they may be written: `value` is a secret here."""
    return ["value=***" if text.startswith("value=") else text for text in overrides]


if __name__ == "__main__":
    main()
