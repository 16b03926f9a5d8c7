"""How close a sweep comes to the shortest time possible: `python tests/benchmarks/sweep_makespan.py [OUT.json]`.

No sweep can be shorter than its longest job, nor than its work divided by the slots. Simulated: random sweeps in the
order of the launcher, guesses of the durations up to 30 % off. Aim: at most 1.03 of the bound with ten jobs a slot.
Run: 40 jobs that sleep for known times on 4 slots. Aim: at most 1.05 of the bound.
Sizes: how long sweeps take on 8 devices when the launcher chooses the devices of a job, beside other ways of sharing.
Aim: at most 1.05 of devices divided by jobs where jobs gain from devices what the launcher reckons with.
"""

from __future__ import annotations

import heapq
import itertools
import json
import math
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import hydra
from omegaconf import OmegaConf

SWEEPS = 300
SIZES = ((40, 4), (40, 8), (100, 8), (24, 8))  # jobs, slots
ERROR = 0.3
SLOTS, JOBS, MEAN_S = 4, 40, 10.0
DEVICES, COUNTS, SPEEDUPS = 8, (3, 5, 6, 7, 9, 12, 17, 20, 40), (1.6, 1.8, 1.95)
OUT = Path("multirun_outputs/benchmarks/sweep_makespan.json")
FOLDERS = [str(Path(__file__).parent), str(Path(__file__).parents[2] / "launchers")]
LAUNCHER = [
    "hydra/launcher=torchrun",
    "hydra.launcher.task=sweep_makespan:sleep",
    f"hydra.launcher.cpu_processes={SLOTS}",
    "hydra.launcher.fork_server='on'",
    "hydra.launcher.longest_first_by=[job.guess]",
]


def sleep(cfg: Any) -> None:
    """Be a job."""
    time.sleep(cfg.job.seconds)


@hydra.main(version_base="1.3", config_path=None)
def app(cfg: Any) -> None:
    """Never called: `hydra.launcher.task` names the task."""


def durations(count: int, draw: random.Random) -> list[float]:
    """Return seconds of jobs, as of a sweep over sizes and numbers of epochs: mean 1, a few much longer than most."""
    found = [draw.lognormvariate(0, 0.5) for _ in range(count)]
    return [value * count / sum(found) for value in found]


def guesses(seconds: Sequence[float], draw: random.Random) -> list[float]:
    return [value * draw.uniform(1 - ERROR, 1 + ERROR) for value in seconds]


def bound(seconds: Sequence[float], slots: int) -> float:
    return max(max(seconds), sum(seconds) / slots)


def launcher_order(guessed: Sequence[float]) -> list[int]:
    """Return the numbers of the jobs in the order in which the launcher starts them."""
    from hydra_plugins.qvl_torchrun_launcher._jobs import Job
    from hydra_plugins.qvl_torchrun_launcher._order import longest_first

    jobs = [Job(index, Path(), (), "", OmegaConf.create({"guess": value})) for index, value in enumerate(guessed)]
    return [job.number for job in longest_first(jobs, ["guess"])]


def makespan(seconds: Sequence[float], order: Sequence[int], slots: int) -> float:
    """Return when the last job ends if each starts on the slot that is free first, as in the launcher's queue."""
    free = [0.0] * slots
    for index in order:
        heapq.heapreplace(free, free[0] + seconds[index])
    return max(free)


def simulate(jobs: int, slots: int) -> dict[str, list[float]]:
    """Return makespan / bound of random sweeps by way of ordering."""
    draw = random.Random(jobs * 1000 + slots)
    ratios: dict[str, list[float]] = {"order of the sweep": [], "longest first": [], "longest first, 30 % off": []}
    for _ in range(SWEEPS):
        seconds = durations(jobs, draw)
        orders = [range(jobs), launcher_order(seconds), launcher_order(guesses(seconds, draw))]
        for name, order in zip(ratios, orders, strict=True):
            ratios[name].append(makespan(seconds, order, slots) / bound(seconds, slots))
    return ratios


def widened(seconds: Sequence[float], speedup: float) -> float:
    """Return the time of a sweep with one device a job, of which the jobs left for the last wave share all devices."""
    rest = len(seconds) % DEVICES
    longest = sorted(seconds, reverse=True)
    first, last = longest[: len(seconds) - rest], longest[len(seconds) - rest :]
    size = DEVICES // rest if rest else 1
    whole = makespan(first, range(len(first)), DEVICES) if first else 0.0
    return whole + (max(last) / speedup ** math.log2(size) if last else 0.0)


def sizes(count: int, speedup: float) -> dict[str, float]:
    """Return the mean time of random sweeps by way of sharing 8 devices, in units of devices divided by jobs."""
    from hydra_plugins.qvl_torchrun_launcher._slots import sizes_by_time, sweep_time
    from hydra_plugins.qvl_torchrun_launcher.config import TorchrunLauncherConf

    draw = random.Random(count)
    names, believed = [str(number) for number in range(DEVICES)], TorchrunLauncherConf().speedup
    divided = max(1, DEVICES // count)
    chosen = sizes_by_time(names, [1.0] * count, speedup=believed)[0]  # durations are not known
    found: dict[str, list[float]] = {"one each": [], "last wave widened": [], "auto": []}
    for _ in range(SWEEPS):
        seconds = durations(count, draw)
        base, one, auto = (
            sweep_time(seconds, devices=DEVICES, size=size, speedup=speedup) for size in (divided, 1, chosen)
        )
        for name, value in zip(found, (one, widened(seconds, speedup), auto), strict=True):
            found[name].append(value / base)
    return {"size": chosen, **{name: statistics.fmean(values) for name, values in found.items()}}


def run_sweep() -> dict[str, float]:
    """Run jobs that sleep; return seconds, their bound, and what starting took."""
    draw = random.Random(7)
    seconds = [MEAN_S * value for value in durations(JOBS, draw)]
    guessed = guesses(seconds, draw)
    values = (f"{{seconds: {value}, guess: {guess}}}" for value, guess in zip(seconds, guessed, strict=True))
    words = [*LAUNCHER, f"+job={','.join(values)}"]
    path = os.pathsep.join([*FOLDERS, os.environ.get("PYTHONPATH", "")])
    env = {**os.environ, "PYTHONPATH": path, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as folder:
        begin = time.monotonic()
        command = [sys.executable, __file__, "sweep", "-m", f"hydra.sweep.dir={folder}/runs", *words]
        subprocess.run(command, cwd=folder, env=env, check=True, stdout=subprocess.DEVNULL)
        wall = time.monotonic() - begin
        statuses = [json.loads(path.read_text()) for path in Path(folder).glob("runs/*/status.json")]
    if [status["state"] for status in statuses] != ["completed"] * JOBS:
        raise RuntimeError("a job has failed")
    times = [[datetime.fromisoformat(status[end]).timestamp() for status in statuses] for end in ("started", "ended")]
    spent = sum(status["seconds"] for status in statuses)
    return {
        "bound": bound(seconds, SLOTS),
        "first start to last end": max(times[1]) - min(times[0]),
        "whole command": wall,
        "share of starting": (spent - sum(seconds)) / spent,
        "seconds to start a job": (spent - sum(seconds)) / JOBS,
    }


def main() -> None:
    from side_by_side import save

    rows = ["| jobs, slots | order | median | mean | 99 of 100 | largest |", "|---|---|---:|---:|---:|---:|"]
    facts: dict[str, Any] = {"sweeps": SWEEPS, "error": ERROR}
    ratios = {}
    for jobs, slots in SIZES:
        for name, values in simulate(jobs, slots).items():
            ratios[f"{jobs} on {slots}, {name}"] = values
            high = statistics.quantiles(values, n=100)[-1]
            numbers = [statistics.median(values), statistics.fmean(values), high, max(values)]
            rows.append(f"| {jobs} on {slots} | {name} | {' | '.join(f'{number:.3f}' for number in numbers)} |")
    sys.stdout.write("\n".join([f"simulated: makespan to lower bound, {SWEEPS} sweeps each\n", *rows]) + "\n\n")
    rows = ["| jobs | speedup | devices a job | auto | one each | last wave widened |", f"|{'---:|' * 6}"]
    facts["sizes"] = {f"{count} x{speedup}": sizes(count, speedup) for count in COUNTS for speedup in SPEEDUPS}
    for (count, speedup), row in zip(itertools.product(COUNTS, SPEEDUPS), facts["sizes"].values(), strict=True):
        numbers = " | ".join(f"{row[name]:.2f}" for name in ("auto", "one each", "last wave widened"))
        rows.append(f"| {count} | {speedup} | {row['size']} | {numbers} |")
    sys.stdout.write("\n".join([f"time on {DEVICES} devices to that of devices divided by jobs\n", *rows]) + "\n\n")
    facts["run"] = found = run_sweep()
    save(Path(sys.argv[1]) if len(sys.argv) > 1 else OUT, ratios, facts)
    rows = [f"| {name} | {found[name]:.1f} | {found[name] / found['bound']:.3f} |" for name in list(found)[:3]]
    sys.stdout.write("\n".join([f"run: {JOBS} jobs on {SLOTS} slots\n", "| | s | x bound |", "|---|---:|---:|", *rows]))
    share, each = found["share of starting"], found["seconds to start a job"]
    sys.stdout.write(f"\n\nstarting: {each:.2f} s a job, {100 * share:.1f} % of the jobs' time\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["sweep"]:
        del sys.argv[1]
        app()
    else:
        main()
