"""The jobs of a sweep: composed once, each with a folder of its own, and what earlier runs left in it."""

from __future__ import annotations

import hashlib
import inspect
import os
import sys
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hydra.types import HydraContext
from hydra_plugins.qvl_torchrun_launcher._errors import LauncherError
from hydra_plugins.qvl_torchrun_launcher._job_file import hydra_config
from hydra_plugins.qvl_torchrun_launcher._status import State, Status, read_status
from omegaconf import DictConfig, OmegaConf, open_dict, read_write
from omegaconf.errors import OmegaConfBaseException

__all__ = ["Job", "Task", "compose_jobs", "find_task", "fingerprint_of", "initial_status", "task_config"]

LONGEST_NAME = 255 - len("-12345678")  # bytes of a folder's name, with room for a fingerprint


@dataclass(frozen=True)
class Task:
    """What every rank calls.

    Attributes:
        name: "package.module:function".
        path: Folders that ranks need on their module path.
    """

    name: str
    path: tuple[str, ...] = ()


@dataclass(frozen=True)
class Job:
    """One configuration of a sweep.

    Attributes:
        number: In the sweep, from 0.
        folder: Absolute, directly in the sweep folder, of no other job.
        overrides: Of the task, as the sweeper wrote them.
        fingerprint: See `fingerprint_of`.
        config: Composed, with the node `hydra`; values not resolved.
        earlier: What an earlier run of the sweep left in the folder.
        is_done: Whether that run completed it and its result is taken.
    """

    number: int
    folder: Path
    overrides: tuple[str, ...]
    fingerprint: str
    config: DictConfig
    earlier: Status | None = None
    is_done: bool = False


def find_task(function: Callable[..., object], *, main: Any = None) -> Task:
    """Return the name under which a rank can import a task function.

    Args:
        function: What was given to `hydra.main`; a wrapper made with functools.wraps counts as what it wraps.
        main: Module `__main__`; default is that of this process.

    Raises:
        LauncherError: Another process cannot import it.
    """
    main = main or sys.modules["__main__"]
    module, name = function.__module__, function.__qualname__
    advice = "make it a function of a module, or set hydra.launcher.task=package.module:function"
    if "<" in name or "." in name:
        raise LauncherError(f"the task {module}:{name} cannot be imported by another process; {advice}")
    if module != "__main__":
        return Task(f"{module}:{name}")
    if main.__spec__ is not None:
        return Task(f"{main.__spec__.name}:{name}")
    path = Path(inspect.getfile(main)).resolve()
    if not path.stem.isidentifier() or path.suffix != ".py":
        raise LauncherError(f"the task {name} of {path} cannot be imported by another process; {advice}")
    return Task(f"{path.stem}:{name}", (str(path.parent),))


def task_config(config: DictConfig) -> DictConfig:
    """Return a copy of a composed configuration without the node `hydra`, as the task gets it."""
    copied: DictConfig = config.copy()
    with read_write(copied), open_dict(copied):
        copied.pop("hydra")
    return copied


def fingerprint_of(config: DictConfig, task: str) -> str:
    """Return 64 hexadecimal digits that are equal for equal jobs.

    The configuration counts as it is written, without Hydra's node: a `${now:...}` does not change from run to run.
    """
    text = OmegaConf.to_yaml(task_config(config), resolve=False, sort_keys=True)
    return hashlib.sha256(f"{task}\n{text}".encode("utf-8", errors="backslashreplace")).hexdigest()


def compose_jobs(
    context: HydraContext,
    master: DictConfig,
    batch: Sequence[Sequence[str]],
    *,
    first: int,
    task: str,
    used: Collection[str],
    resume: bool,
) -> list[Job]:
    """Compose a batch of jobs and give each a folder.

    A job whose fingerprint an earlier run knows gets the folder of that run, whatever its number is now; a folder that
    belongs to another configuration is left alone.

    Args:
        context: Of Hydra, holds the config loader.
        master: Configuration of the sweep.
        batch: Overrides of each job.
        first: Number of the first job.
        task: "package.module:function".
        used: Names of folders that earlier batches of this run use.
        resume: Whether jobs that an earlier run completed are done.

    Raises:
        LauncherError: A job's folder would lie elsewhere than directly in the sweep folder, or is that of another job.
    """
    sweep = Path(os.path.abspath(str(master.hydra.sweep.dir)))
    folders = Folders(sweep, used={name: "" for name in used})
    drafts = [_compose(context, master, overrides, first + index) for index, overrides in enumerate(batch)]
    names = [_folder_name(config, sweep) for config in drafts]
    _refuse_shared(names, first)
    pairs = zip(drafts, names, strict=True)
    return [_make_job(config, folders, name=name, task=task, resume=resume) for config, name in pairs]


def initial_status(job: Job) -> Status:
    """Return the status of a job that has not started in this run."""
    earlier = job.earlier or Status(job.number, job.fingerprint)
    return replace(earlier, job=job.number, state=State.PENDING, overrides=job.overrides)


@dataclass
class Folders:
    """Folders of a sweep: who owns which.

    Attributes:
        sweep: Folder of the sweep.
        used: Fingerprint by name of those that this run has taken.
        earlier: Status by name of those that earlier runs left.
    """

    sweep: Path
    used: dict[str, str] = field(default_factory=dict)
    earlier: dict[str, Status] = field(default_factory=dict)

    def __post_init__(self) -> None:
        paths = sorted(self.sweep.glob("*/status.json"))
        found = {path.parent.name: read_status(path.parent) for path in paths}
        self.earlier = {name: status for name, status in found.items() if status is not None}

    def take(self, name: str, fingerprint: str) -> tuple[str, Status | None]:
        """Return the folder for a job and what an earlier run of the same job left in it."""
        same = [
            key for key, status in self.earlier.items() if status.fingerprint == fingerprint and key not in self.used
        ]
        if same:
            best = min(same, key=lambda key: (self.earlier[key].state != State.COMPLETED, key != name))
            self.used[best] = fingerprint
            return best, self.earlier[best]
        free = name
        tries = 0
        while free in self.used or free in self.earlier:
            free = f"{name}-{fingerprint[: 8 + tries]}"
            tries += 1
        self.used[free] = fingerprint
        return free, None


def _compose(context: HydraContext, master: DictConfig, overrides: Sequence[str], number: int) -> DictConfig:
    config: DictConfig = context.config_loader.load_sweep_config(master, list(overrides))
    with open_dict(config):
        config.hydra.job.id = str(number)
        config.hydra.job.num = number
    return config


def _folder_name(config: DictConfig, sweep: Path) -> str:
    """Return the name that `hydra.sweep.subdir` gives a job's folder."""
    number = config.hydra.job.num
    try:
        with hydra_config(config):
            name = str(config.hydra.sweep.subdir)
    except OmegaConfBaseException as error:
        raise LauncherError(f"job {number}: hydra.sweep.subdir: {error}") from error
    problem = _name_problem(name, sweep)
    if problem:
        raise LauncherError(
            f"job {number}: hydra.sweep.subdir gives {name[:80]!r}, which {problem}; "
            f"a job's folder lies directly in the sweep folder: take hydra.sweep.subdir='${{hydra.job.num}}'"
        )
    return name


def _name_problem(name: str, sweep: Path) -> str | None:
    if "/" in name or name in ("", ".", ".."):
        return "leads out of the sweep folder"
    if not name.isprintable() or "${" in name:
        return "is no name for a folder"
    if len(name.encode("utf-8", errors="surrogateescape")) > LONGEST_NAME:
        return f"is longer than {LONGEST_NAME} bytes"
    if name.startswith(".") or name in ("sweep.json", "multirun.yaml"):
        return "is kept for other files"
    return "is a link to another place" if (sweep / name).is_symlink() else None


def _refuse_shared(names: Sequence[str], first: int) -> None:
    owners: dict[str, list[str]] = {}
    for index, name in enumerate(names):
        owners.setdefault(name, []).append(str(first + index))
    shared = [f"jobs {', '.join(numbers)} share {name!r}" for name, numbers in owners.items() if len(numbers) > 1]
    if shared:
        raise LauncherError(f"every job needs a folder of its own, but {'; '.join(shared)}: see hydra.sweep.subdir")


def _make_job(config: DictConfig, folders: Folders, *, name: str, task: str, resume: bool) -> Job:
    fingerprint = fingerprint_of(config, task)
    taken, earlier = folders.take(name, fingerprint)
    folder = folders.sweep / taken
    with read_write(config.hydra), open_dict(config.hydra):
        config.hydra.sweep.subdir = taken
        config.hydra.runtime.output_dir = str(folder)
    overrides: Any = OmegaConf.to_container(config.hydra.overrides.task, resolve=False)
    return Job(
        number=config.hydra.job.num,
        folder=folder,
        overrides=tuple(overrides),
        fingerprint=fingerprint,
        config=config,
        earlier=earlier,
        is_done=resume and earlier is not None and earlier.state == State.COMPLETED,
    )
