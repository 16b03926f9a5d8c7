"""Starts runs in processes of their own that have everything imported and composed: three seconds instead of twelve.

Reads one JSON object a line from standard input and answers each with one:
{"overrides": [...], "folder": "path", "world_size": 2, "environ": {...}} -> exit codes, signals below zero
What a run prints goes to `log.txt` in its folder. "front_end": true goes through the command line, as a user does.
"""

from __future__ import annotations

import functools
import json
import os
import socket
import sys
from pathlib import Path

os.environ |= {"LOG_LEVEL": "ERROR", "DS_ACCELERATOR": "cpu", "OMP_NUM_THREADS": "1"}

import hydra
import peft  # noqa: F401
import swift.pipelines
import swift.trainers
import torch.utils.tensorboard  # noqa: F401
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, open_dict
from swift.arguments import SftArguments  # noqa: F401
from swift.template import get_template  # noqa: F401

import qvl.training
from qvl.command import tidy
from qvl.schema import config_dir, register_schema
from qvl.train import cli, main

assert swift.pipelines.SwiftSft and swift.trainers.TrainerFactory and qvl.training.SwiftTrainer  # loads what is lazy


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@functools.cache
def composed(overrides: tuple[str, ...]) -> DictConfig:
    register_schema()
    with hydra.initialize_config_dir(str(config_dir()), version_base="1.3"):
        return hydra.compose("train", overrides=tidy(overrides), return_hydra_config=True)


def train(job: dict) -> None:
    """Do what `qvl.command` does, without composing three times."""
    if job.get("front_end"):
        sys.argv[1:] = [*job["overrides"], f"hydra.run.dir={job['folder']}"]
        cli()
        return
    cfg = composed(tuple(job["overrides"])).copy()
    with open_dict(cfg):
        cfg.hydra.runtime.output_dir = job["folder"]
        HydraConfig.instance().set_config(cfg)
        del cfg["hydra"]
    main(cfg)


def start(job: dict, rank: int, port: int) -> int:
    if pid := os.fork():
        return pid
    if job["world_size"] > 1:
        places = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": job["world_size"]}
        os.environ |= {name: str(value) for name, value in places.items()}
        os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    os.environ |= job["environ"]
    log = os.open(Path(job["folder"], "log.txt"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    train(job)
    raise SystemExit(0)


def serve() -> None:
    for line in sys.stdin:
        job, port = json.loads(line), free_port()
        Path(job["folder"]).mkdir(parents=True, exist_ok=True)
        composed(tuple(job["overrides"]))
        pids = [start(job, rank, port) for rank in range(job["world_size"])]
        codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
        sys.stdout.write(json.dumps(codes) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    serve()
