"""What the fork server saves with CUDA: `python tests/benchmarks/gpu/fork_server.py [--device cpu --size tiny]`.

A sweep of two jobs, one after the other on one device, of the built-in model: from the start of a job to the end of its
first optimiser step, for jobs that are forked from a server with torch and ms-swift imported and for fresh processes.
Forked jobs open CUDA themselves; that the server must not have done so is what this shows. The size is not used.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from real_shapes import finish, keep, parse

WAYS = {"forked": "on", "fresh": "off"}
FIRST = "train/loss"


def main() -> None:
    chosen = parse(__doc__, ways=",".join(WAYS), jobs=2)
    rows: list[dict[str, object]] = []
    missing: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        for way in chosen.ways.split(","):
            left = chosen.until - time.monotonic()
            if rows and left < rows[-1]["sweep_s"]:
                missing.append(f"{way}: no time was left")
                continue
            rows += sweep(Path(name, way), way, device=chosen.device, jobs=chosen.jobs)
            keep("fork_server", rows, chosen)
    finish("fork_server", rows, chosen, missing=missing)


def sweep(folder: Path, way: str, *, device: str, jobs: int) -> Iterator[dict[str, object]]:
    """Run jobs and yield the row of each.

    Raises:
        SystemExit: The sweep failed; what it said is shown.
    """
    folder.mkdir()
    begin = time.time()
    command = [sys.executable, "-m", "qvl.train", *words(folder, way, device=device, jobs=jobs)]
    done = subprocess.run(command, cwd=folder, env=os.environ, capture_output=True, text=True)
    if done.returncode:
        sys.stdout.write(done.stdout[-4000:] + done.stderr[-4000:])
        raise SystemExit(f"the sweep ended with {done.returncode}")
    whole = time.time() - begin
    for number in range(jobs):
        started, first = job_times(folder / "sweep" / str(number))
        row = {"way": way, "job": number, "first_step_s": first - started, "job_started_s": started - begin}
        yield {**row, "sweep_s": whole}


def words(folder: Path, way: str, *, device: str, jobs: int) -> list[str]:
    """Return the words of the sweep."""
    gpu = device == "cuda"
    return [
        "+recipe=stage2_lora",
        "+debug=fast",
        f"seed={','.join(str(number) for number in range(jobs))}",
        f"hydra.sweep.dir={folder / 'sweep'}",
        f"hydra.launcher.fork_server='{WAYS[way]}'",
        "hydra.launcher.in_process_if_one=false",
        f"hydra.launcher.devices='{'0' if gpu else ''}'",
        "hydra.launcher.gpus_per_job=1",
        "hydra.launcher.cpu_processes=1",
        *(["model.torch_dtype=bfloat16"] if gpu else []),
        "training.eval_strategy='no'",
        "training.save_strategy='no'",
        "evaluation.num_samples=0",
        "evaluation.before_training=false",
    ]


def job_times(job: Path) -> tuple[float, float]:
    """Return when a job was started and when its first optimiser step was logged, as seconds since 1970."""
    started = json.loads((job / "status.json").read_text())["started"]
    return datetime.fromisoformat(started).timestamp(), first_logged(job / "tensorboard")


def first_logged(folder: Path) -> float:
    """Return when the first loss was logged."""
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    for file in sorted(folder.glob("**/events.out.tfevents.*")):
        for event in EventFileLoader(str(file)).Load():
            if any(value.tag == FIRST for value in event.summary.value):
                return float(event.wall_time)
    raise ValueError(f"{folder}: no {FIRST} was logged")


if __name__ == "__main__":
    main()
