"""Jobs that a scheduler has placed: torchrun on every node, saving before the machine is taken back."""

from __future__ import annotations

import inspect
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import hydra
import pytest
from hydra_plugins.qvl_torchrun_launcher._errors import LauncherError
from hydra_plugins.qvl_torchrun_launcher._node import run_on_node, this_node
from sweeps import leftovers, read, wait_for

from qvl.command import compose
from qvl.schema import config_dir, register_schema

DEFAULT_SAVE_S = inspect.signature(run_on_node).parameters["save_s"].default
APP = Path(__file__).parent / "node_app.py"
SLURM = {
    "SUBMITIT_EXECUTOR": "slurm",
    "SLURM_JOB_ID": "4711",
    "SLURM_JOB_NODELIST": "gpu[07,12]",
    "SLURM_JOB_NUM_NODES": "2",
    "SLURM_NTASKS": "2",
    "SLURM_NODEID": "1",
    "SLURM_PROCID": "1",
    "SLURM_LOCALID": "0",
    "CUDA_VISIBLE_DEVICES": "0,1,2,3",
}


def start(folder: Path, *overrides: str, **environ: str) -> subprocess.Popen[str]:
    """Start the application in a folder; its processes are known by their TMPDIR."""
    (folder / "tmp").mkdir(exist_ok=True)
    env = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1", "TMPDIR": f"{folder}/tmp", **environ}
    env.pop("RANK", None)
    argv = [sys.executable, str(APP), *overrides]
    return subprocess.Popen(argv, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def sweep(folder: Path, *overrides: str) -> subprocess.Popen[str]:
    """Start a sweep with submitit's executor for one machine."""
    return start(folder, "-m", "hydra/launcher=submitit_local", "hydra.sweep.dir=runs", *overrides)


def processes_of_jobs(folder: Path) -> list[int]:
    """Return what Slurm would send its signals to: the task and all that it has started."""
    environ = {pid: Path(f"/proc/{pid}/environ").read_bytes() for pid in leftovers(folder)}
    return [pid for pid, content in environ.items() if b"SUBMITIT_LOCAL_JOB_ID=" in content]


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Return a patch of an environment without any scheduler."""
    for name in list(os.environ):
        if name.startswith(("SLURM_", "SUBMITIT_", "RANK", "NPROC")):
            monkeypatch.delenv(name)
    return monkeypatch


def fake(patch: pytest.MonkeyPatch, environ: Mapping[str, str]) -> None:
    for name, value in environ.items():
        patch.setenv(name, value)


def test_a_node_of_two_meets_the_other_at_the_head_node(environment: pytest.MonkeyPatch) -> None:
    fake(environment, SLURM)
    node = this_node(os.environ)
    assert node is not None
    assert (node.number, node.count, node.processes) == (1, 2, 4)
    assert node.torchrun_args[:5] == [
        "--nnodes=2",
        "--node-rank=1",
        "--rdzv-backend=static",
        "--rdzv-endpoint=gpu07:19711",
        "--rdzv-id=4711",
    ]


def test_all_nodes_of_a_job_agree_and_other_jobs_meet_elsewhere(environment: pytest.MonkeyPatch) -> None:
    seen = {}
    for job, number in (("4711", "0"), ("4711", "1"), ("4712", "0")):
        fake(environment, {**SLURM, "SLURM_JOB_ID": job, "SLURM_NODEID": number, "SLURM_PROCID": number})
        node = this_node(os.environ)
        assert node is not None
        seen[job, number] = node.torchrun_args[3]
    assert seen["4711", "0"] == seen["4711", "1"] != seen["4712", "0"]


@pytest.mark.parametrize(
    ("changes", "processes"),
    [
        ({"SUBMITIT_EXECUTOR": ""}, None),
        ({"RANK": "0"}, None),
        ({"CUDA_VISIBLE_DEVICES": "3"}, None),
        ({"CUDA_VISIBLE_DEVICES": ""}, None),
        ({"CUDA_VISIBLE_DEVICES": "", "NPROC_PER_NODE": "2"}, 2),
        ({"CUDA_VISIBLE_DEVICES": "2,3"}, 2),
    ],
)
def test_torchrun_is_needed_for_more_than_one_process(
    environment: pytest.MonkeyPatch, changes: dict[str, str], processes: int | None
) -> None:
    one = {"SLURM_JOB_NODELIST": "gpu07", "SLURM_JOB_NUM_NODES": "1", "SLURM_NTASKS": "1", "SLURM_NODEID": "0"}
    fake(environment, {**SLURM, **one, **changes})
    if not changes.get("SUBMITIT_EXECUTOR", "slurm"):
        environment.delenv("SUBMITIT_EXECUTOR")
    node = this_node(os.environ)
    assert (node and node.processes) == processes
    assert node is None or node.torchrun_args == []


def test_mig_parts_are_no_place_for_several_ranks(environment: pytest.MonkeyPatch) -> None:
    fake(environment, {**SLURM, "CUDA_VISIBLE_DEVICES": "MIG-1,MIG-2"})
    with pytest.raises(LauncherError, match="a job on MIG parts has one process, not 2"):
        this_node(os.environ)


def test_several_tasks_on_a_node_are_refused(environment: pytest.MonkeyPatch) -> None:
    fake(environment, {**SLURM, "SLURM_NTASKS": "16"})
    with pytest.raises(LauncherError, match="tasks_per_node must be 1"):
        this_node(os.environ)


@pytest.mark.slow
def test_a_job_that_is_preempted_saves_and_goes_on(tmp_path: Path) -> None:
    process = sweep(tmp_path, "action=save", "value=3")
    job = tmp_path / "runs/0"
    assert wait_for(lambda: all((job / f"waits_{rank}").exists() for rank in range(2)), timeout_s=60)
    pids = processes_of_jobs(tmp_path)
    assert len(pids) >= 4  # the task, torchrun and the ranks
    for pid in pids:
        os.kill(pid, signal.SIGUSR2)
    out, _ = process.communicate(timeout=90)
    assert process.returncode == 0, out
    status = read(job / "status.json")
    assert (status["state"], status["attempt"], status["return_value"]) == ("completed", 2, 9)
    assert status["processes"] == 2
    assert [entry["state"] for entry in status["history"]] == ["preempted"]
    assert all((job / f"saved_{rank}").exists() for rank in range(2))
    assert leftovers(tmp_path) == []


def two_nodes(folder: Path, *overrides: str) -> list[tuple[int, str]]:
    """Run a job of two nodes, both on this machine; return exit code and output of each."""
    nodes = []
    for number in "01":
        place = {"SLURM_NODEID": number, "SLURM_PROCID": number, "SLURM_JOB_NODELIST": "localhost"}
        environ = {**SLURM, **place, "SLURM_JOB_ID": str(os.getpid()), "CUDA_VISIBLE_DEVICES": ""}
        nodes.append(start(folder, "hydra.run.dir=run", "processes=1", *overrides, **environ))
    return [(node.returncode, out) for node in nodes for out in [node.communicate(timeout=90)[0]]]


@pytest.mark.slow
def test_the_ranks_of_two_nodes_meet(tmp_path: Path) -> None:
    ends = two_nodes(tmp_path, "action=meet", "value=2")
    assert [code for code, _ in ends] == [0, 0], ends
    status = read(tmp_path / "run/status.json")
    assert (status["return_value"], status["overrides"]) == (4, ["processes=1", "action=meet", "value=***"])
    assert read(tmp_path / "run/nodes/1/status.json")["state"] == "completed"


@pytest.mark.slow
def test_a_failure_on_one_node_ends_the_others_which_tell_it(tmp_path: Path) -> None:
    ends = two_nodes(tmp_path, "action=fail")
    assert [code for code, _ in ends] == [1, 1]
    assert all("failed: ValueError: boom" in out or "rank 1: ValueError: boom" in out for _, out in ends), ends
    assert read(tmp_path / "run/status.json")["state"] == "failed"
    assert leftovers(tmp_path) == []


def test_the_preset_for_slurm_composes() -> None:
    register_schema()
    words = ["hydra/launcher=slurm", "hydra.launcher.partition=gpu"]
    assert compose([*words, "recipe=stage2_lora"]).run_name == "stage2_lora"
    with hydra.initialize_config_dir(str(config_dir()), version_base="1.3"):
        launcher = hydra.compose("train", words, return_hydra_config=True).hydra.launcher
    assert launcher._target_.endswith(".SlurmLauncher")
    assert (launcher.tasks_per_node, launcher.partition) == (1, "gpu")
    assert "export CUDA_DEVICE_ORDER=PCI_BUS_ID" in launcher.setup
    assert launcher.max_num_timeout > 0, "submitit gives up at the first end of the time"
    assert launcher.signal_delay_s > DEFAULT_SAVE_S, "Slurm would kill before the ranks have saved"
