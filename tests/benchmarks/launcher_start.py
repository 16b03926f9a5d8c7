"""What a fork server saves: `OMP_NUM_THREADS=1 python tests/benchmarks/launcher_start.py [OUT.json]`.

Wall time from the request for a job of one process to its task, and to the first line after the task's imports (torch,
transformers, ms-swift, ours), for a fresh process and for one forked from a server that has imported them. Aim: forked
jobs are there in under 1 s. The imports of the server itself, once a sweep, are told apart.
"""

from __future__ import annotations

import json
import os
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROUNDS = 7
OUT = Path("multirun_outputs/benchmarks/launcher_start.json")


def task(cfg: Any) -> None:
    """Be a job: note when it was entered and when its modules were there."""
    times = {"task": time.monotonic()}
    load()
    times["imports"] = time.monotonic()
    Path(cfg.times).write_text(json.dumps(times))


def load() -> None:
    """Import what a training run imports."""
    from qvl.training.preload import preload

    preload()


def main() -> None:
    from hydra_plugins.qvl_torchrun_launcher._fork_server import ForkServer
    from hydra_plugins.qvl_torchrun_launcher._processes import start
    from side_by_side import save, table

    env = {"LOG_LEVEL": "ERROR", **os.environ}  # ms-swift reads it at import
    seconds: dict[str, list[float]] = {
        f"{way}, {end}": [] for way in ("fresh", "forked") for end in ("task", "imports")
    }
    with tempfile.TemporaryDirectory() as name:
        server = ForkServer(["qvl.training.preload:preload"], env, Path(name, "server.log"))
        ways = {"fresh": lambda command, file: start(command), "forked": server.start}
        begin = time.monotonic()
        while not server.ready():
            time.sleep(0.01)
        facts = {"rounds": ROUNDS, "server_s": time.monotonic() - begin}
        order, draw = list(ways), random.Random(0)
        for number in range(-1, ROUNDS):
            draw.shuffle(order)
            for way in order:
                times = _measure(ways[way], Path(name, f"{way}_{number}"), env)
                for end in times if number >= 0 else ():
                    seconds[f"{way}, {end}"].append(times[end])
        server.close()
    save(Path(sys.argv[1]) if len(sys.argv) > 1 else OUT, seconds, facts)
    sys.stdout.write(table(seconds, to=["fresh, imports"]))
    sys.stdout.write(f"the server's imports: {facts['server_s']:.1f} s, once\n")


def _measure(begin_job: Any, folder: Path, env: dict[str, str]) -> dict[str, float]:
    """Run a job and return the seconds from the request to its task and to the end of its imports."""
    import hydra
    from hydra_plugins.qvl_torchrun_launcher._job_file import job_text
    from hydra_plugins.qvl_torchrun_launcher._processes import Command, new_sweep, new_token, worker_argv

    folder.mkdir()
    overrides = [f"+times={folder / 'times.json'}", "hydra.job.name=start", f"hydra.runtime.output_dir={folder}"]
    with hydra.initialize(version_base="1.3", config_path=None):
        config = hydra.compose(overrides=overrides, return_hydra_config=True)
    file = folder / "job.yaml"
    file.write_text(job_text(f"{Path(__file__).stem}:task", config, path=[str(Path(__file__).parent)]))
    command = Command(worker_argv(file), env, folder / "launcher.log", new_token(new_sweep()))
    begin = time.monotonic()
    job = begin_job(command, file)
    while job.poll() is None:
        time.sleep(0.01)
    if job.poll() != 0:
        raise RuntimeError(f"the job failed:\n{command.log.read_text()}")
    return {name: moment - begin for name, moment in json.loads((folder / "times.json").read_text()).items()}


if __name__ == "__main__":
    main()
