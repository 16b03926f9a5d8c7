"""What every rank of a job runs: it takes the job from its file, restores Hydra and calls the task.

python -m hydra_plugins.qvl_torchrun_launcher._worker JOB_FILE
"""

from __future__ import annotations

import faulthandler
import importlib
import json
import logging
import numbers
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from hydra.conf import HydraConf
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobRuntime, configure_log, setup_globals
from hydra.version import base_at_least, setbase
from hydra_plugins.qvl_torchrun_launcher._causes import PREEMPTED, note_end, note_start, write_error
from hydra_plugins.qvl_torchrun_launcher._environment import INSIDE_TORCHRUN
from hydra_plugins.qvl_torchrun_launcher._processes import die_with_parent
from hydra_plugins.qvl_torchrun_launcher._status import write_json
from omegaconf import DictConfig, OmegaConf

__all__ = ["main", "run_job_file"]

_INTERRUPTED = 130
_STDERR = 2

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """A job file.

    Attributes:
        task: "package.module:function".
        config: What the function gets.
        hydra: Configuration with the node `hydra`, of Hydra's own type.
    """

    task: str
    config: DictConfig
    hydra: DictConfig


class Outcome:
    """Turns the way in which the task ends into files and an exit code.

    Args:
        folder: Folder of the job.
        rank: Number of this rank.
    """

    def __init__(self, folder: Path, rank: int) -> None:
        self.folder = folder
        self.rank = rank
        self.code = 0
        self.value: object = None

    def __enter__(self) -> Outcome:
        note_start(self.folder, self.rank)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        match error:
            case None:
                self._end("completed")
            case SystemExit(code=None | 0):
                self._end("completed")
            case SystemExit(code=int(code)) if code == PREEMPTED:
                self.code = PREEMPTED
                self._end("preempted")
            case KeyboardInterrupt():
                self.code = _INTERRUPTED
            case _:
                write_error(self.folder, self.rank, error)
                sys.excepthook(type(error), error, trace)
                self.code = error.code if isinstance(error, SystemExit) and isinstance(error.code, int) else 1
        return True

    def _end(self, state: str) -> None:
        if self.rank == 0:
            write_json(self.folder / "result.json", {"state": state, "return_value": _jsonable(self.value)})
        note_end(self.folder, self.rank)


def main(argv: Sequence[str]) -> int:
    """Run a rank.

    Args:
        argv: Path of the job file.

    Returns:
        Exit code, see `run_job_file`.
    """
    return run_job_file(Path(argv[0]))


def run_job_file(path: Path, *, parent_death: signal.Signals | None = None) -> int:
    """Run a job in this process, as the rank that RANK names.

    Args:
        path: Job file with `task`, `job`, `hydra` and, if wanted, folders to import from as `path`.
        parent_death: Signal to get when the parent dies; None: SIGKILL for a rank of torchrun, SIGTERM otherwise.

    Returns:
        Exit code: 0 completed, 75 preempted, 130 interrupted, anything else failed. Rank 0 has written `result.json`
        beside the job file, or the rank that failed `error.json`.
    """
    die_with_parent(parent_death or (signal.SIGKILL if INSIDE_TORCHRUN in os.environ else signal.SIGTERM))
    faulthandler.enable(_STDERR, all_threads=True)
    rank = int(os.environ.get("RANK", "0"))
    with Outcome(path.resolve().parent, rank) as outcome:
        job = _load(path)
        _enter(job.hydra, rank)
        outcome.value = _find(job.task)(job.config)
    return outcome.code


def _load(path: Path) -> Job:
    content: Any = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
    for folder in reversed(content.get("path", ())):
        if folder not in sys.path:
            sys.path.insert(0, folder)
    setup_globals()
    config = OmegaConf.create(content["job"])
    node = OmegaConf.structured(HydraConf)
    OmegaConf.set_struct(node, False)
    hydra = OmegaConf.merge(config, {"hydra": OmegaConf.merge(node, content["hydra"])})
    OmegaConf.set_struct(config, True)
    assert isinstance(hydra, DictConfig)
    return Job(content["task"], config, hydra)


def _enter(config: DictConfig, rank: int) -> None:
    """Let this process look as if Hydra had composed the job here."""
    setbase(config.hydra.runtime.version_base)
    JobRuntime.instance().set("name", config.hydra.job.name)
    HydraConfig.instance().set_config(config)
    configure_log(config.hydra.job_logging if rank == 0 else None, config.hydra.verbose)
    chdir = config.hydra.job.chdir
    if chdir or (chdir is None and not base_at_least("1.2")):
        os.chdir(config.hydra.runtime.output_dir)


def _find(task: str) -> Callable[[DictConfig], object]:
    """Import a task; one that hydra.main wraps takes a configuration as well."""
    module, _, name = task.partition(":")
    found: Any = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    function: Callable[[DictConfig], object] = found
    return function


def _jsonable(value: object) -> object:
    try:
        return json.loads(json.dumps(value, default=_number))
    except (TypeError, ValueError):
        _log.warning("the task returned a %s, which cannot be kept; a sweeper gets None", type(value).__name__)
        return None


def _number(value: object) -> int | float:
    """Turn a number of numpy into one of Python."""
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        return float(value)
    raise TypeError(f"{value!r} is no number")


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
