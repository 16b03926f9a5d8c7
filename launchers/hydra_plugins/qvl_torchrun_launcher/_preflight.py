"""Everything that can be refused before a device is taken."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from types import TracebackType
from typing import Any

from hydra_plugins.qvl_torchrun_launcher._attempt import prepare
from hydra_plugins.qvl_torchrun_launcher._environment import INSIDE_TORCHRUN
from hydra_plugins.qvl_torchrun_launcher._errors import LauncherError
from hydra_plugins.qvl_torchrun_launcher._job_file import hydra_config
from hydra_plugins.qvl_torchrun_launcher._jobs import Job, Task, task_config
from hydra_plugins.qvl_torchrun_launcher._processes import TOKEN
from hydra_plugins.qvl_torchrun_launcher.config import TorchrunLauncherConf

__all__ = ["Findings", "check_jobs", "load_function", "prepare_jobs", "read_settings", "refuse_nested"]

CHOICES = {
    "busy_devices": ("skip", "warn", "error"),
    "fork_server": ("auto", "on", "off"),
    "on_failure": ("raise_at_end", "stop", "continue"),
}
SMALLEST = {
    **{"gpus_per_job": 1, "cpu_processes": 1, "max_restarts": 0, "timeout_min": 0, "stall_min": 0, "grace_s": 0},
    **{"preempt_grace_s": 0, "lock_timeout_s": 0, "stagger_s": 0, "speedup": 1},
}
YAML_WORDS = {"True": "on", "False": "off"}  # what YAML makes of on and off


def read_settings(values: Mapping[str, Any]) -> TorchrunLauncherConf:
    """Return the keys below `hydra.launcher` as an object.

    Raises:
        LauncherError: A key does not exist, or its value is out of range.
    """
    names = {field.name for field in fields(TorchrunLauncherConf)}
    unknown = sorted(set(values) - names)
    if unknown:
        raise LauncherError(f"hydra.launcher: there is no key {', '.join(unknown)}")
    settings = TorchrunLauncherConf(**values)
    if settings.gpus_per_job == "auto":
        settings.gpus_per_job = None
    elif settings.gpus_per_job is not None and type(settings.gpus_per_job) is not int:
        raise LauncherError(f"hydra.launcher.gpus_per_job is {settings.gpus_per_job!r}, expected a number or auto")
    settings.fork_server = YAML_WORDS.get(settings.fork_server, settings.fork_server)
    for name, choices in CHOICES.items():
        if vars(settings)[name] not in choices:
            raise LauncherError(f"hydra.launcher.{name} is {vars(settings)[name]!r}, expected {', '.join(choices)}")
    for name, smallest in SMALLEST.items():
        value = vars(settings)[name]
        if value is not None and not value >= smallest:
            raise LauncherError(f"hydra.launcher.{name} is {value}, expected {smallest} or more")
    return settings


def refuse_nested(environ: Mapping[str, str]) -> None:
    """Refuse to start a sweep where one runs already.

    Raises:
        LauncherError: This process is a rank of torchrun, or a job of this launcher.
    """
    if TOKEN in environ:
        raise LauncherError("this is a job of a sweep, and a job cannot start a sweep of its own")
    if INSIDE_TORCHRUN in environ or {"RANK", "WORLD_SIZE"} <= environ.keys():
        raise LauncherError(
            "torchrun has started this process and every rank would start the sweep; start it without torchrun, "
            "hydra.launcher.gpus_per_job says how many processes a job has; or add hydra.mode=RUN for a single run"
        )


class Findings:
    """Collects what is wrong with jobs: what is raised inside `of` is noted, not handed on."""

    def __init__(self) -> None:
        self._found: dict[str, list[Job]] = {}  # by what is wrong with them
        self._job: Job | None = None

    def of(self, job: Job) -> Findings:
        """Note what is raised below as a fault of this job."""
        self._job = job
        return self

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if not isinstance(error, Exception) or self._job is None:
            return False
        text = str(error) or type(error).__name__
        for line in filter(str.strip, text.splitlines()):
            self._found.setdefault(line, []).append(self._job)
        return True

    def refuse(self) -> None:
        """Raise if something was found.

        Raises:
            LauncherError: All findings, one a line.
        """
        if self._found:
            raise self.error()

    @property
    def lines(self) -> list[str]:
        """All findings, one a line, each with the jobs that have it."""
        return [
            f"job{'s' * (len(jobs) > 1)} {', '.join(str(job.number) for job in jobs)}: {line}"
            for line, jobs in self._found.items()
        ]

    @property
    def jobs(self) -> list[Job]:
        """The jobs that have any, by number."""
        found = {job.number: job for jobs in self._found.values() for job in jobs}
        return [found[number] for number in sorted(found)]

    def error(self) -> LauncherError:
        """Return what tells all findings."""
        title = f"the sweep does not start, {len(self._found)} finding{'s' * (len(self._found) > 1)}:"
        return LauncherError("\n".join([title, *self.lines]))


def check_jobs(jobs: Sequence[Job], check: str | None, *, processes: int) -> Findings:
    """Let the application tell what is wrong with jobs.

    Args:
        jobs: All that will run.
        check: "package.module:function", called with (cfg, hydra_cfg, processes): the configuration as the task gets
            it, the node `hydra`, and the number of processes; it raises anything to refuse.
        processes: Of each job.

    Returns:
        All about all jobs.

    Raises:
        LauncherError: There is no such function.
    """
    findings = Findings()
    if check is None:
        return findings
    function = load_function(check, "hydra.launcher.check")
    for job in jobs:
        with hydra_config(job.config), findings.of(job):
            function(task_config(job.config), job.config.hydra, processes)
    return findings


def prepare_jobs(jobs: Sequence[Job], task: Task, *, make: Callable[[Job], object]) -> None:
    """Make the folders and files of jobs.

    Args:
        jobs: All that will run.
        task: What they run.
        make: Makes the command of a job; tried here so that it does not fail in the middle of the sweep.

    Raises:
        LauncherError: Values that would not reach the ranks as they are, and commands that cannot be made.
    """
    findings = Findings()
    for job in jobs:
        with findings.of(job):
            make(job)
            prepare(job, task)
    findings.refuse()


def load_function(name: str, key: str) -> Callable[..., object]:
    """Import "package.module:function".

    Raises:
        LauncherError: There is no such function.
    """
    module, colon, path = name.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for part in path.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError, ValueError) as error:
        raise LauncherError(f"{key}={name}: {error}") from error
    if not colon or not callable(found):
        raise LauncherError(f"{key}={name} is no package.module:function")
    function: Callable[..., object] = found
    return function
