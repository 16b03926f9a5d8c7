"""The environment of a job: its devices, and nothing of another run's ranks."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from hydra_plugins.qvl_torchrun_launcher._errors import LauncherError
from hydra_plugins.qvl_torchrun_launcher._machine import AS_NVIDIA_SMI, ORDER, VISIBLE
from hydra_plugins.qvl_torchrun_launcher._processes import PARENT, TOKEN
from hydra_plugins.qvl_torchrun_launcher._slots import Slot

__all__ = ["INSIDE_TORCHRUN", "available_cpus", "device_environment", "job_environment", "threads_per_process"]

INSIDE_TORCHRUN = "TORCHELASTIC_RUN_ID"
"""Environment variable that every rank of torchrun has."""

_RANK_VARIABLES = {
    *("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE"),
    *("GROUP_RANK", "GROUP_WORLD_SIZE", "ROLE_RANK", "ROLE_NAME", "ROLE_WORLD_SIZE"),
    *("MASTER_ADDR", "MASTER_PORT"),
    *("NPROC_PER_NODE", "NNODES", "NODE_RANK"),  # ms-swift starts torchrun of its own when it sees them
    *(TOKEN, PARENT),
}
_RANK_PREFIXES = ("PET_", "TORCHELASTIC_")  # torchrun reads each of its options from PET_<NAME>
_DECIDED = {*_RANK_VARIABLES, ORDER, VISIBLE}


def job_environment(
    base: Mapping[str, str],
    *,
    slot: Slot,
    token: str,
    threads: int,
    extra: Mapping[str, str],
    job_folder: Path,
) -> dict[str, str]:
    """Return the environment of a job.

    Args:
        base: Environment of the launcher; what is set there wins over the defaults given here.
        slot: Where the job runs.
        token: Name by which its processes are found.
        threads: OMP_NUM_THREADS, unless `base` has it.
        extra: Further variables; they win over all but those that the launcher decides.
        job_folder: Takes the caches of compilers, which two jobs must not share.

    Raises:
        LauncherError: `extra` sets what the launcher decides: devices, ranks and ports.
    """
    for name in extra:
        if _is_decided(name):
            raise LauncherError(f"the environment variable {name} cannot be set for a job: the launcher decides it")
    inherited = {name: value for name, value in base.items() if not _is_of_ranks(name)}
    defaults = {
        "OMP_NUM_THREADS": str(threads),
        "PYTHONUNBUFFERED": "1",  # the last lines before a kill reach the log
        "TORCHINDUCTOR_CACHE_DIR": str(job_folder / ".cache" / "inductor"),
        "TRITON_CACHE_DIR": str(job_folder / ".cache" / "triton"),
    }
    return {**defaults, **inherited, **extra, **device_environment(slot.devices), TOKEN: token}


def device_environment(devices: Sequence[str]) -> dict[str, str]:
    """Return the variables that let CUDA see these devices only, with numbers as nvidia-smi has them."""
    return {ORDER: AS_NVIDIA_SMI, VISIBLE: ",".join(devices)}


def available_cpus() -> int:
    """Return how many processors this process may use; a container's share counts where the kernel shows it."""
    allowed = len(os.sched_getaffinity(0))
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
    except (OSError, ValueError):
        return allowed
    return allowed if quota == "max" else max(1, min(allowed, int(quota) // int(period)))


def threads_per_process(cpus: int, processes: int) -> int:
    """Return how many threads each of some processes may use, at least 1."""
    return max(1, cpus // max(1, processes))


def _is_of_ranks(name: str) -> bool:
    return name in _RANK_VARIABLES or name.startswith(_RANK_PREFIXES)


def _is_decided(name: str) -> bool:
    return name in _DECIDED or name.startswith(_RANK_PREFIXES)
