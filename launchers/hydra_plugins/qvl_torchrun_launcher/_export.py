"""Specifications of the jobs of a sweep for other schedulers: a task of SkyPilot for each job, a list for Ray."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]
from hydra_plugins.qvl_torchrun_launcher._processes import agent_argv
from hydra_plugins.qvl_torchrun_launcher._status import write_bytes

__all__ = ["export_for_schedulers", "ray_job", "skypilot_task"]

ACCELERATOR = "A100-80GB"  # `sky launch --gpus` chooses another
PORT = 29500  # of the head node, which runs nothing else
OF_THIS_MACHINE = ("CUDA_DEVICE_ORDER", "CUDA_VISIBLE_DEVICES")
OF_NODES = ("nnodes", "node-rank", "rdzv-backend", "rdzv-endpoint", "local-addr", "log-dir")
MODULES = 3  # words of a command in front of torchrun's options, and behind them
SCRIPT = """\
place={folder}
if [ "$SKYPILOT_NODE_RANK" != 0 ]; then
  place="$place/nodes/$SKYPILOT_NODE_RANK"
  mkdir -p "$place"
  cp {job_file} "$place/job.yaml"
fi
exec {program} \\
  --nnodes="$SKYPILOT_NUM_NODES" --node-rank="$SKYPILOT_NODE_RANK" \\
  --rdzv-backend=static --rdzv-endpoint="$(echo "$SKYPILOT_NODE_IPS" | head -n 1):{port}" \\
  --log-dir="$place/ranks/logs" \\
  {options} \\
  {worker} "$place/job.yaml"
"""


def export_for_schedulers(jobs_file: Path) -> list[Path]:
    """Write `skypilot/job-<number>.yaml` for each job, and `ray_jobs.json`, beside a file of jobs.

    Args:
        jobs_file: jobs.jsonl, from `hydra.launcher.export`.

    Returns:
        The files.
    """
    specs = [json.loads(line) for line in jobs_file.read_text().splitlines()]
    written = [(jobs_file.parent / "ray_jobs.json", json.dumps([ray_job(spec) for spec in specs], indent=2) + "\n")]
    for spec in specs:
        path = jobs_file.parent / "skypilot" / f"job-{spec['job']}.yaml"
        written.append((path, yaml.dump(skypilot_task(spec), Dumper=_Dumper, sort_keys=False, width=1000)))
    for path, text in written:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, text.encode())
    return [path for path, _ in written]


def ray_job(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of `JobSubmissionClient.submit_job` for a job; all machines see this one's disk.

    Args:
        spec: A line of jobs.jsonl.
    """
    resource = "entrypoint_num_gpus" if spec["devices"] else "entrypoint_num_cpus"
    return {
        "submission_id": _name(spec),
        "entrypoint": shlex.join(["cd", spec["cwd"]]) + " && exec " + shlex.join(spec["argv"]),
        resource: spec["processes"],
        "runtime_env": {"env_vars": _environment(spec)},
        "metadata": {"folder": spec["folder"], "overrides": " ".join(spec["overrides"])},
    }


def skypilot_task(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return a task of SkyPilot for a job; `sky launch` may give it other devices and more nodes.

    Args:
        spec: A line of jobs.jsonl.
    """
    job_file, count = str(Path(spec["folder"]) / "job.yaml"), spec["processes"]
    task = {
        "name": _name(spec),
        "resources": {"accelerators": f"{ACCELERATOR}:{count}"} if spec["devices"] else {"cpus": f"{count}+"},
        "num_nodes": 1,
        "workdir": spec["cwd"],
        "file_mounts": {job_file: job_file},
        "envs": _environment(spec),
    }
    if (Path(spec["cwd"]) / "pyproject.toml").exists():
        task["setup"] = "pip install -e .\n"
    return {**task, "run": _script(spec)}


def _script(spec: Mapping[str, Any]) -> str:
    """Return what every node runs: torchrun, with as many nodes as SkyPilot has given."""
    job_file = Path(spec["folder"]) / "job.yaml"
    argv: Sequence[str] = spec["argv"]
    if not any(word.startswith("--nproc-per-node=") for word in argv):  # it would start without torchrun here
        argv = agent_argv(job_file, processes=spec["processes"], job_id=f"job{spec['job']}")
    options = [word for word in argv[MODULES:-MODULES] if word.lstrip("-").partition("=")[0] not in OF_NODES]
    return SCRIPT.format(
        folder=shlex.quote(spec["folder"]),
        job_file=shlex.quote(str(job_file)),
        program=shlex.join(["python", *argv[1:MODULES]]),
        port=PORT,
        options=shlex.join(options),
        worker=shlex.join(argv[-MODULES:-1]),
    )


def _environment(spec: Mapping[str, Any]) -> dict[str, str]:
    """Return the variables of a job, without the devices of this machine: a scheduler gives it others."""
    return {name: value for name, value in spec["env"].items() if name not in OF_THIS_MACHINE}


def _name(spec: Mapping[str, Any]) -> str:
    """Return a name that both schedulers take, different for every job of every sweep."""
    folder = Path(spec["folder"])
    name = re.sub(r"[^a-z0-9]+", "-", f"{folder.parent.name}-{folder.name}".lower())
    return f"job-{name.strip('-')}"


class _Dumper(yaml.SafeDumper):
    """Writes scripts as they are."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _represent_text)
