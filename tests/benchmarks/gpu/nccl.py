"""What two processes cost each other: `python tests/benchmarks/gpu/nccl.py [--device cpu --size tiny]`.

Stage 2, a batch of 2 on each of two GPUs: a step with the gradients averaged against the same step of one process, and
the average of that many numbers alone. With one GPU it says so. On a CPU gloo takes the place of NCCL.
"""

from __future__ import annotations

import json
import os
import socket
import tempfile
from dataclasses import replace
from pathlib import Path

from real_shapes import build_model, finish, make_batch, mode, parse, time_steps, train_step, tune

TURNS = 2
PROCESSES = 2


def main() -> None:
    import torch

    chosen = parse(__doc__)
    size = chosen.sizes[-1]
    gpus = torch.cuda.device_count()
    if chosen.device == "cuda" and gpus < PROCESSES:
        finish("nccl", [], chosen, missing=[f"all of it: it needs {PROCESSES} GPUs, here are {gpus}"])
        return
    with socket.socket() as probe, tempfile.TemporaryDirectory() as folder:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        out = Path(folder, "row.json")
        torch.multiprocessing.spawn(work, args=(size, chosen.device, port, str(out)), nprocs=PROCESSES)
        row = json.loads(out.read_text())
    finish("nccl", [row], chosen, missing=[])


def work(rank: int, size: str, device: str, port: int, out: str) -> None:
    """Measure in one of the processes."""
    import torch
    import torch.distributed as dist
    from torch.nn.parallel import DistributedDataParallel

    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    gpu = device == "cuda"
    if gpu:
        torch.cuda.set_device(rank)
    dist.init_process_group("nccl" if gpu else "gloo", rank=rank, world_size=PROCESSES)
    warm_up, count = (3, 10) if gpu else (1, 2)
    tuned, batch = tune(build_model(size, device), 2), make_batch(size, TURNS, device)
    with mode(tuned, checkpointing=False, cut=True):
        alone = time_steps(lambda: train_step(tuned, size, batch), device, warm_up=warm_up, count=count)
        wrapped = replace(tuned, model=DistributedDataParallel(tuned.model, device_ids=[rank] if gpu else None))
        together = time_steps(lambda: train_step(wrapped, size, batch), device, warm_up=warm_up, count=count)
    numbers = torch.rand(tuned.trained, device=device)
    average = time_steps(lambda: dist.all_reduce(numbers), device, warm_up=warm_up, count=count)
    if rank == 0:
        row = {"size": size, "turns": TURNS, "alone_ms": alone, "together_ms": together, "all_reduce_ms": average}
        row |= {"numbers": tuned.trained, "efficiency": alone / together}
        Path(out).write_text(json.dumps(row))
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
