"""What the launcher costs: `OMP_NUM_THREADS=1 python tests/benchmarks/launcher_overhead.py [OUT.json]`.

CPU and wall time of a further job of a sweep against the same task without launcher and Hydra: under bare torchrun with
two gloo ranks, and in a bare process. A further job is a quarter of what five jobs take more than one; the start of the
launcher itself is told apart. Aim: less than 0.5 s CPU a job.
"""

from __future__ import annotations

import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROUNDS = 4
FEW, MANY = 1, 5
OUT = Path("multirun_outputs/benchmarks/launcher_overhead.json")
FOLDERS = [str(Path(__file__).parent), str(Path(__file__).parents[2] / "launchers")]
SWEEPS = {
    "two ranks": ["hydra.launcher.gpus_per_job=2", "hydra.launcher.cpu_processes=2"],
    "fresh process": ["hydra.launcher.cpu_processes=1", "hydra.launcher.fork_server='off'"],
    "forked process": ["hydra.launcher.cpu_processes=1", "hydra.launcher.fork_server='on'"],
}
TASKS = {"two ranks": "gloo", "fresh process": "nothing", "forked process": "nothing"}
BARE = {"two ranks": "torchrun", "fresh process": "python", "forked process": "python"}

Usage = dict[str, list[float]]


def gloo(cfg: Any) -> None:
    """Add the ranks up."""
    import torch
    import torch.distributed as dist

    dist.init_process_group("gloo")
    dist.all_reduce(torch.tensor([1.0]))
    dist.destroy_process_group()


def nothing(cfg: Any) -> None:
    """Be the cheapest job there is."""


def run_app() -> None:
    """Run the sweep that the command line describes; `hydra.launcher.task` names the task."""
    import hydra

    hydra.main(version_base="1.3", config_path=None)(nothing)()


def measure(argv: Sequence[str]) -> tuple[float, float]:
    """Run a command; return its CPU seconds, with those of all processes that it started, and its wall seconds."""
    path = os.pathsep.join([*FOLDERS, os.environ.get("PYTHONPATH", "")])
    env = {**os.environ, "PYTHONPATH": path, "CUDA_VISIBLE_DEVICES": "", "HYDRA_FULL_ERROR": "1"}
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as out:
        begin = time.monotonic()
        process = subprocess.Popen([sys.executable, *argv], cwd=folder, env=env, stdout=out, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            out.seek(0)
            raise RuntimeError(out.read().decode())
    return usage.ru_utime + usage.ru_stime, wall


def sweep(kind: str, jobs: int) -> list[str]:
    """Return the command of a sweep."""
    task = f"hydra.launcher.task=launcher_overhead:{TASKS[kind]}"
    launcher = ["-m", "hydra/launcher=torchrun", "hydra.launcher.in_process_if_one=false", task, *SWEEPS[kind]]
    return [__file__, "sweep", *launcher, f"+number=range({jobs})"]


def further_jobs(usage: Mapping[str, Sequence[float]]) -> Usage:
    """Return seconds of one task by case: bare, as a further job of a sweep, and the launcher's own start."""
    cases: Usage = {"bare torchrun": list(usage["torchrun"]), "bare process": list(usage["python"])}
    for kind in SWEEPS:
        pairs = list(zip(usage[f"{kind} {FEW}"], usage[f"{kind} {MANY}"], strict=True))
        cases[f"job, {kind}"] = [(many - few) / (MANY - FEW) for few, many in pairs]
        cases[f"start of a sweep, {kind}"] = [few - (many - few) / (MANY - FEW) for few, many in pairs]
    return cases


def main() -> None:
    from side_by_side import save, table

    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    commands = {"torchrun": [*torchrun, __file__, "task", "gloo"], "python": [__file__, "task", "nothing"]}
    commands |= {f"{kind} {jobs}": sweep(kind, jobs) for kind in SWEEPS for jobs in (FEW, MANY)}
    order, draw = list(commands), random.Random(0)
    cpu: Usage = {name: [] for name in commands}
    wall: Usage = {name: [] for name in commands}
    for number in range(ROUNDS):
        draw.shuffle(order)
        for name in order:
            spent = measure(commands[name])
            cpu[name].append(spent[0])
            wall[name].append(spent[1])
            sys.stderr.write(f"round {number}: {name}: {spent[0]:.2f} s CPU, {spent[1]:.2f} s\n")
    cases = {"CPU": further_jobs(cpu), "wall": further_jobs(wall)}
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else OUT
    save(out, cases["CPU"], {"rounds": ROUNDS, "wall_seconds": cases["wall"], "raw_cpu": cpu, "raw_wall": wall})
    for name, seconds in cases.items():
        sys.stdout.write(f"{name} time\n\n{table(seconds, to=['bare torchrun', 'bare process'])}\n")
        for kind, bare in BARE.items():
            base = seconds[{"torchrun": "bare torchrun", "python": "bare process"}[bare]]
            more = [job - alone for job, alone in zip(seconds[f"job, {kind}"], base, strict=True)]
            sys.stdout.write(f"{kind}: {statistics.median(more):+.2f} s {name} a job beyond bare {bare}\n")


if __name__ == "__main__":
    mode, rest = (sys.argv[1:2] or [""])[0], sys.argv[2:]
    if mode == "task":
        {"gloo": gloo, "nothing": nothing}[rest[0]](None)
    elif mode == "sweep":
        sys.argv[1:] = rest
        run_app()
    else:
        main()
