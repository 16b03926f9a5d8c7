"""Jobs for other schedulers: what is written can be read, and its command runs."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra_plugins.qvl_torchrun_launcher._export import ray_job, skypilot_task
from sweeps import read, run, settings

NODE = {"SKYPILOT_NODE_RANK": "0", "SKYPILOT_NUM_NODES": "1", "SKYPILOT_NODE_IPS": "127.0.0.1\n"}
SPEC: dict[str, Any] = {
    "job": 3,
    "folder": "/runs/My sweep/3",
    "overrides": ["a=1", "b='x y'"],
    "processes": 4,
    "devices": ["4", "5", "6", "7"],
    "argv": ["/venv/bin/python", "-m", "agent", "--nproc-per-node=4", "--rdzv-id=j", "-m", "worker", "/x/job.yaml"],
    "env": {"CUDA_VISIBLE_DEVICES": "4,5,6,7", "OMP_NUM_THREADS": "2"},
    "cwd": "/home/me",
}


def shell(script: str, folder: Path, environ: dict[str, str]) -> None:
    """Run a script as a scheduler would, with no more of this environment than it needs."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    env = {"PATH": path, "HOME": str(folder), "PYTHONPATH": os.environ["PYTHONPATH"], **environ}
    done = subprocess.run(["bash", "-c", script], cwd=folder, env=env, capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_what_is_written_can_be_read_and_run(tmp_path: Path) -> None:
    options = settings(export="specs", gpus_per_job=2, cpu_processes=2)
    done = run(tmp_path, "x=1,2", "action=gloo", *options)
    assert done.code == 0, done.out
    files = [tmp_path / "specs" / name for name in ("ray_jobs.json", "skypilot/job-0.yaml", "skypilot/job-1.yaml")]
    assert all(f"written: {path.relative_to(tmp_path)}" in done.out for path in files)
    assert done.states() == {}

    task = yaml.safe_load(files[1].read_text())
    shell(task["run"], tmp_path, {**task["envs"], **NODE})
    assert read(tmp_path / "runs/0/result.json") == {"state": "completed", "return_value": 2}
    assert [(tmp_path / f"runs/0/total_{rank}").read_text() for rank in range(2)] == ["3", "3"]

    specs = [json.loads(line) for line in (tmp_path / "specs/jobs.jsonl").read_text().splitlines()]
    jobs = json.loads(files[0].read_text())
    assert [job["entrypoint"].partition("exec ")[2] for job in jobs] == [shlex.join(spec["argv"]) for spec in specs]
    assert [job["entrypoint_num_cpus"] for job in jobs] == [2, 2]


def test_a_task_of_skypilot_asks_for_devices_and_leaves_their_choice_open() -> None:
    task = skypilot_task(SPEC)
    assert task["resources"] == {"accelerators": "A100-80GB:4"}
    assert task["envs"] == {"OMP_NUM_THREADS": "2"}
    assert task["file_mounts"] == {"/runs/My sweep/3/job.yaml": "/runs/My sweep/3/job.yaml"}
    assert task["name"] == "job-my-sweep-3"
    assert skypilot_task({**SPEC, "devices": []})["resources"] == {"cpus": "4+"}


@pytest.mark.parametrize("rank", ["0", "2"])
def test_every_node_starts_its_part(tmp_path: Path, rank: str) -> None:
    (tmp_path / "job folder").mkdir()
    (tmp_path / "job folder/job.yaml").write_text("task: a:b")
    (tmp_path / "python").write_text('#!/bin/sh\nprintf "%s\\n" "$@" > words\n')
    (tmp_path / "python").chmod(0o755)
    task = skypilot_task({**SPEC, "folder": f"{tmp_path}/job folder"})
    place = {"SKYPILOT_NODE_RANK": rank, "SKYPILOT_NUM_NODES": "3", "SKYPILOT_NODE_IPS": "10.0.0.7\n10.0.0.8\n10.0.0.9"}
    env = {**os.environ, **place, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    subprocess.run(["bash", "-c", task["run"]], cwd=tmp_path, env=env, check=True)
    words = (tmp_path / "words").read_text().splitlines()
    own = tmp_path / "job folder" / ("" if rank == "0" else f"nodes/{rank}")
    assert words[:2] == ["-m", "agent"]
    assert {"--nnodes=3", f"--node-rank={rank}", "--rdzv-endpoint=10.0.0.7:29500"} < set(words)
    assert "--nproc-per-node=4" in words
    assert words[-3:] == ["-m", "worker", f"{own}/job.yaml"]
    assert (own / "job.yaml").read_text() == "task: a:b"


def test_a_job_of_ray_gets_its_devices_from_ray() -> None:
    job = ray_job(SPEC)
    assert job["entrypoint_num_gpus"] == 4
    assert job["entrypoint"].startswith("cd /home/me && exec /venv/bin/python -m agent")
    assert job["runtime_env"] == {"env_vars": {"OMP_NUM_THREADS": "2"}}
    assert job["metadata"]["overrides"] == "a=1 b='x y'"
    assert "entrypoint_num_cpus" in ray_job({**SPEC, "devices": []})


def test_a_job_that_needs_no_torchrun_here_gets_it_elsewhere() -> None:
    argv = ["/venv/bin/python", "-m", "worker", "/x/job.yaml"]
    script = skypilot_task({**SPEC, "argv": argv, "processes": 1})["run"]
    assert "--nproc-per-node=1" in script
    assert "_agent" in script
    assert "_worker" in script
