"""Settings of the launcher, `hydra/launcher=torchrun`."""

from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore

__all__ = ["TorchrunLauncherConf"]


@dataclass
class TorchrunLauncherConf:
    """Keys below `hydra.launcher`.

    Attributes:
        devices: Pool of CUDA devices, such as "0,1,4" or "GPU-<id>,MIG-<id>"; null: CUDA_VISIBLE_DEVICES, else all of
            nvidia-smi.
        busy_devices: What becomes of devices that somebody else uses: "skip" leaves them out, "warn" uses them, "error"
            refuses the sweep.
        gpus_per_job: Devices, and so processes, of every job; "auto": the number with which the sweep is expected to
            end first and all jobs pass `check`. Without devices: processes of a job, "auto": 1.
        speedup: How much faster a job gets when its devices double; "auto" reckons with it.
        cpu_processes: Processes at a time on a machine without devices; null: number of cores.
        max_restarts: How often a failed, preempted or hanging job starts again.
        timeout_min: Minutes after which a job is stopped; null: never.
        stall_min: Minutes without a change of the job's progress.json, its start included, after which it counts as
            hanging; null: never.
        grace_s: Seconds from the polite request to stop to the kill.
        preempt_grace_s: The same after SIGTERM or SIGHUP, when the jobs save their state.
        on_failure: "raise_at_end": all jobs run, the exit code is 1; "stop": at the first failure the others are
            stopped; "continue": a failed job returns None, further batches of the sweep run.
        resume: Jobs that were completed in the same sweep folder with an equal configuration do not run again.
        dry_run: Show what would run where, with commands to copy; the job files are written, nothing starts.
        export: Folder for the specification of all jobs as jobs.jsonl, skypilot/ and ray_jobs.json; nothing starts.
        in_process_if_one: A single job of one process runs in this process, so that a debugger works.
        direct_if_one: A job of one process starts without torchrun.
        fork_server: "auto", "on" or "off": fork jobs of one process from a server that has `preload` imported.
        preload: Modules that the fork server imports.
        check: "package.module:function", called with (cfg, hydra_cfg, number of processes) for every job before
            anything starts; it raises to refuse.
        task: "package.module:function" that every rank calls; null: the function given to hydra.main.
        redact: "package.module:function" that takes a list of overrides or words of a command and returns it without
            secrets, for what is written and shown.
        env: Environment variables of every job.
        torchrun_args: Further arguments of torchrun.
        longest_first_by: Dotted keys of numbers in the job's config whose product guesses how long it takes; a negative
            number does not count.
        lock_timeout_s: Seconds to wait for a device that another launcher holds; null: for ever.
        stagger_s: Seconds between two starts.
    """

    _target_: str = "hydra_plugins.qvl_torchrun_launcher.torchrun_launcher.TorchrunLauncher"
    _convert_: str = "all"
    devices: str | None = None
    busy_devices: str = "skip"
    gpus_per_job: Any = "auto"
    speedup: float = 1.8
    cpu_processes: int | None = None
    max_restarts: int = 0
    timeout_min: float | None = None
    stall_min: float | None = None
    grace_s: float = 5.0
    preempt_grace_s: float = 120.0
    on_failure: str = "raise_at_end"
    resume: bool = True
    dry_run: bool = False
    export: str | None = None
    in_process_if_one: bool = True
    direct_if_one: bool = True
    fork_server: str = "auto"
    preload: list[str] = field(default_factory=list)
    check: str | None = None
    task: str | None = None
    redact: str | None = None
    env: dict[str, str] = field(default_factory=dict)
    torchrun_args: list[str] = field(default_factory=list)
    longest_first_by: list[str] = field(default_factory=list)
    lock_timeout_s: float | None = None
    stagger_s: float = 0.0


ConfigStore.instance().store(
    group="hydra/launcher", name="torchrun_schema", node=TorchrunLauncherConf, provider="torchrun"
)
