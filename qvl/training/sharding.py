"""What DeepSpeed asks for: its communication on CPUs, weights of one type, and sizes of weights that are spread."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

__all__ = ["open_communication", "places", "spreads_weights", "whole_size", "zero_stage"]

_SHARED_MEMORY = "deepspeed_shm_comm"


def spreads_weights(deepspeed: Mapping[str, Any] | None) -> bool:
    """Return whether each process holds a part of the weights only.

    Args:
        deepspeed: Settings of DeepSpeed; None: it is off.
    """
    return zero_stage(deepspeed) == 3


def zero_stage(config: object) -> int:
    """Return the stage of ZeRO that `deepspeed.config` asks for; 0 without DeepSpeed."""
    if isinstance(config, Mapping):
        return int(config.get("zero_optimization", {}).get("stage", 0))
    return next((stage for stage in (1, 2, 3) if isinstance(config, str) and f"zero{stage}" in config), 0)


def open_communication(*, timeout_s: float) -> None:
    """Let the processes of DeepSpeed talk to each other before a model is loaded in parts.

    accelerate does so where there is a GPU. On CPUs, ZeRO-3 would take each process for the only one.

    Args:
        timeout_s: How long a process waits for the others.
    """
    import deepspeed
    import torch.distributed as dist

    deepspeed.ops.__compatible_ops__[_SHARED_MEMORY] = False  # training does not use it: minutes of a C++ compiler
    if not deepspeed.comm.is_initialized():
        backend = dist.get_backend() if dist.is_initialized() else "gloo"
        deepspeed.init_distributed(backend, timeout=timedelta(seconds=timeout_s), verbose=False)


def places(deepspeed: Mapping[str, Any] | None) -> dict[str, str]:
    """Return what torchrun would tell a process that is alone; DeepSpeed asks for MPI where nobody has.

    Args:
        deepspeed: Settings of DeepSpeed; None: it is off, and nothing has to be told.
    """
    if deepspeed is None or "RANK" in os.environ:
        return {}
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    numbers = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "LOCAL_WORLD_SIZE": "1"}
    return {**numbers, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}


def whole_size(parameter: nn.Parameter) -> int:
    """Return how many numbers a weight has; ZeRO-3 leaves an empty tensor of one that is spread."""
    return int(parameter.ds_numel if hasattr(parameter, "ds_numel") else parameter.numel())
