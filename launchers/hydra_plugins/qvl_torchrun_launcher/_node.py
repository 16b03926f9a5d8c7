"""A job that a scheduler has placed on whole nodes: on each of them torchrun starts one rank a device.

submitit calls the task once on every node. The task hands over to `run_on_node`, the ranks call the task again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra_plugins.qvl_torchrun_launcher._attempt import Attempt, Stop, begin, finish, make_command, write_job_file
from hydra_plugins.qvl_torchrun_launcher._causes import PREEMPTED, dead_ranks, first_cause
from hydra_plugins.qvl_torchrun_launcher._devices import find_devices
from hydra_plugins.qvl_torchrun_launcher._environment import available_cpus, threads_per_process
from hydra_plugins.qvl_torchrun_launcher._errors import JobFailure, LauncherError
from hydra_plugins.qvl_torchrun_launcher._jobs import Job, Task, fingerprint_of
from hydra_plugins.qvl_torchrun_launcher._locks import HeldDevices
from hydra_plugins.qvl_torchrun_launcher._node_signals import Requests
from hydra_plugins.qvl_torchrun_launcher._processes import (
    ask_to_stop,
    become_subreaper,
    clean_up,
    new_sweep,
    new_token,
    start,
    stop,
)
from hydra_plugins.qvl_torchrun_launcher._returns import failure_text
from hydra_plugins.qvl_torchrun_launcher._slots import Slot, refuse_parts
from hydra_plugins.qvl_torchrun_launcher._status import (
    State,
    Status,
    read_json,
    read_status,
    write_json,
)
from hydra_plugins.qvl_torchrun_launcher.config import TorchrunLauncherConf
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

__all__ = ["Node", "run_on_node", "this_node"]

POLL_S = 0.1
LOOK_S = 1.0  # between two looks at the ranks and at the other nodes
DEATH_S = 5.0  # that the other ranks get when one has died
FIRST_PORT, PORTS = 15000, 15000  # below those that the kernel gives away
RESULT = "result.json"
DEAF = 'trap "" USR1 USR2; exec "$@"'  # Slurm sends these to every process; torchrun would die of them


@dataclass(frozen=True)
class Node:
    """One of the machines of a job.

    Attributes:
        number: From 0, the head node.
        count: How many machines the job has.
        host: Name of this one.
        head: Name of the head node.
        job_id: Of the scheduler.
        start: Differs from start to start, also of a job that was put back into the queue.
        devices: CUDA devices of this machine.
        processes: Ranks on this machine, the same on all.
    """

    number: int
    count: int
    host: str
    head: str
    job_id: str
    start: str
    devices: tuple[str, ...]
    processes: int

    @property
    def torchrun_args(self) -> list[str]:
        """Arguments of torchrun that let it meet the other nodes: rank 0 is on the head node."""
        if self.count == 1:
            return []
        port = FIRST_PORT + int("".join(filter(str.isdecimal, self.job_id))) % PORTS
        settings = {
            "nnodes": self.count,
            "node-rank": self.number,
            "rdzv-backend": "static",
            "rdzv-endpoint": f"{self.head}:{port}",
            "rdzv-id": self.job_id,
            "local-addr": self.host,
        }
        return [f"--{name}={value}" for name, value in settings.items()]


def this_node(environ: Mapping[str, str], *, processes: int | None = None) -> Node | None:
    """Return where submitit has placed this process; None if there is nothing for torchrun to start.

    Args:
        environ: Environment of this process.
        processes: Ranks of each node; None: NPROC_PER_NODE, else one for each device.

    Raises:
        LauncherError: The scheduler has started several tasks on a node, or it has named no device.
    """
    if "SUBMITIT_EXECUTOR" not in environ or "RANK" in environ:
        return None
    import submitit

    place = submitit.JobEnvironment()
    if place.num_tasks != place.num_nodes:
        raise LauncherError(
            f"{place.num_tasks} tasks run on {place.num_nodes} nodes, but torchrun starts the processes of a node: "
            "hydra.launcher.tasks_per_node must be 1"
        )
    devices = tuple(device.name for device in find_devices(environ))
    processes = processes or int(environ.get("NPROC_PER_NODE") or len(devices) or 1)
    if place.num_nodes * processes == 1:
        return None
    refuse_parts(devices, processes)
    return Node(
        number=place.node,
        count=place.num_nodes,
        host=place.hostname,
        head=place.hostnames[0],
        job_id=place.job_id,
        start=f"{place.job_id}-{environ.get('SLURM_RESTART_COUNT', '0')}",
        devices=devices,
        processes=processes,
    )


def run_on_node(
    node: Node,
    task: Task,
    config: DictConfig,
    *,
    redact: Callable[[Sequence[str]], Sequence[str]] = tuple,
    save_s: float = 240.0,
) -> Any:
    """Run a job under torchrun on this node, as its part if there are several; main thread only.

    The folder of the job is `hydra.runtime.output_dir`, on a disk that all nodes share; nodes other than the head keep
    their files in `nodes/<number>` below it. SIGTERM, SIGUSR1 and SIGUSR2 let the ranks save; then the scheduler's own
    handler of the signal is called, which may put the job back into the queue. It starts again in its folder.

    Args:
        node: From `this_node`.
        task: What every rank calls.
        config: As the task gets it; Hydra's own node is that of `HydraConfig`.
        redact: Takes overrides and returns them as they may be written into the status.
        save_s: Seconds that the ranks get to save; less than the scheduler leaves before it kills.

    Returns:
        What the task returned on rank 0; None on other nodes.

    Raises:
        JobFailure: A rank failed, on this node or on another one; or the job was stopped.
    """
    job = _job(node, task, config)
    job = replace(job, overrides=tuple(redact(job.overrides)))
    write_job_file(job, task)
    become_subreaper()
    with Requests() as requests:
        attempt = _begin(node, job)
        try:
            exit_code = _wait(node, attempt, requests, save_s)
        except BaseException:
            stop([attempt.process], grace_s=0)
            raise
        clean_up(attempt.process.token)
        status = _finish(node, attempt, exit_code)
        if status.state == State.COMPLETED:
            return status.return_value
        if requests.first is not None or status.state == State.PREEMPTED:
            requests.hand_back()
            raise JobFailure(failure_text(job, status))
        raise JobFailure(_first_failure(node, job, failure_text(job, status)))


def _job(node: Node, task: Task, config: DictConfig) -> Job:
    whole = config.copy()
    with read_write(whole), open_dict(whole):
        whole.hydra = HydraConfig.get()
    folder = Path(whole.hydra.runtime.output_dir)
    if node.number > 0:
        folder = folder / "nodes" / str(node.number)
    return Job(
        number=OmegaConf.select(whole, "hydra.job.num") or 0,
        folder=folder,
        overrides=tuple(whole.hydra.overrides.task),
        fingerprint=fingerprint_of(whole, task.name),
        config=whole,
        earlier=read_status(folder),
    )


def _begin(node: Node, job: Job) -> Attempt:
    """Start torchrun."""
    slot, token = Slot(0, node.devices, node.processes), new_token(new_sweep())
    status = begin(job, slot, token=token, before=job.earlier)
    settings = TorchrunLauncherConf(direct_if_one=False, torchrun_args=node.torchrun_args)
    threads = threads_per_process(available_cpus(), node.processes)
    command = make_command(job, slot, settings=settings, token=token, threads=threads, attempt=status.attempt)
    moment = time.monotonic()
    process = start(replace(command, argv=("sh", "-c", DEAF, "sh", *command.argv)))
    return Attempt(job, slot, status, process, HeldDevices(()), begun=moment, moved=moment)


def _wait(node: Node, attempt: Attempt, requests: Requests, save_s: float) -> int:
    """Wait for the end of torchrun, and bring it about where it is time."""
    next_look = 0.0
    while (exit_code := attempt.process.poll()) is None:
        moment = time.monotonic()
        if requests.first is not None and attempt.stop is None:
            attempt.stop = Stop(State.STOPPED, f"{requests.first.name}: it was asked to stop")
            attempt.kill_at = moment + save_s
            ask_to_stop(attempt.process)
        if attempt.kill_at is not None and moment > attempt.kill_at:
            stop([attempt.process], grace_s=0)
        elif attempt.kill_at is None and moment > next_look:
            next_look = moment + LOOK_S
            _look(node, attempt)
        time.sleep(POLL_S)
    return exit_code


def _look(node: Node, attempt: Attempt) -> None:
    """Do not let ranks wait for others that have died, here or on another node."""
    failures = _failures(node, attempt.job)
    if failures:
        attempt.stop = Stop(State.FAILED, failures[0])
        attempt.kill_at = time.monotonic()
    elif dead_ranks(attempt.job.folder):
        attempt.kill_at = time.monotonic() + DEATH_S


def _finish(node: Node, attempt: Attempt, exit_code: int) -> Status:
    """Judge what became of this node's part, and write it down."""
    folder = attempt.job.folder
    if node.number > 0:  # rank 0, which writes the result, is elsewhere
        cause = first_cause(folder)
        if exit_code == 0:
            write_json(folder / RESULT, {"state": "completed", "return_value": None})
        elif cause is not None and cause.exit_code == PREEMPTED:
            write_json(folder / RESULT, {"state": "preempted", "return_value": None})
    return finish(attempt, exit_code)


def _first_failure(node: Node, job: Job, text: str) -> str:
    """Tell the other nodes how this one failed, and return how the first of all has."""
    if node.count == 1:
        return text
    details = read_json(job.folder / "error.json").get("message", {}).get("extraInfo", {})
    time_ns = details.get("time_ns") or time.time_ns()
    folder = _common_folder(node, job)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / f"failed-{node.start}-{node.number}.json", {"time_ns": time_ns, "text": text})
    time.sleep(LOOK_S)
    return _failures(node, job)[0]


def _failures(node: Node, job: Job) -> list[str]:
    """Return how nodes have failed in this start of the job, the earliest first."""
    found = [read_json(path) for path in _common_folder(node, job).glob(f"failed-{node.start}-*.json")]
    return [entry["text"] for entry in sorted(filter(None, found), key=lambda entry: entry["time_ns"])]


def _common_folder(node: Node, job: Job) -> Path:
    return job.folder.parent if node.number > 0 else job.folder / "nodes"
