"""What a sweep would run: where, when, and with which command."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hydra_plugins.qvl_torchrun_launcher._environment import INSIDE_TORCHRUN
from hydra_plugins.qvl_torchrun_launcher._jobs import Job
from hydra_plugins.qvl_torchrun_launcher._processes import PARENT, TOKEN, Command
from hydra_plugins.qvl_torchrun_launcher._slots import Slot
from hydra_plugins.qvl_torchrun_launcher._status import write_bytes

__all__ = ["Planned", "export_specs", "plan", "preview_lines", "shell_command"]

INTERNAL = (TOKEN, PARENT, INSIDE_TORCHRUN)


@dataclass(frozen=True)
class Planned:
    """A job in the order in which it would start.

    Attributes:
        job: What.
        slot: Where, if all jobs took equally long.
        wave: How many jobs have run there before.
        command: How.
    """

    job: Job
    slot: Slot
    wave: int
    command: Command


def plan(jobs: Sequence[Job], slots: Sequence[Slot]) -> Iterator[tuple[Job, Slot, int]]:
    """Yield (job, slot, wave) in the order of the start."""
    for index, job in enumerate(jobs):
        yield job, slots[index % len(slots)], index // len(slots)


def preview_lines(planned: Sequence[Planned], labels: Mapping[int, str]) -> list[str]:
    """Return the lines of a dry run.

    Args:
        planned: The jobs.
        labels: What is special about each, by its number.
    """
    lines = []
    for item in planned:
        devices = ",".join(item.slot.devices) or "none"
        lines.append(
            f"job {item.job.number}: wave {item.wave}, slot {item.slot.number}, processes {item.slot.processes}, "
            f"CUDA_VISIBLE_DEVICES={devices}  [{labels[item.job.number]}]"
        )
        lines.append(f"  {shell_command(item.command)}")
    return lines


def shell_command(command: Command) -> str:
    """Return a command that a shell runs as the launcher would, from the same folder and environment."""
    changed = {name: value for name, value in command.env.items() if os.environ.get(name) != value}
    removed = [name for name in os.environ if name not in command.env]
    words = [f"{name}={value}" for name, value in sorted(changed.items()) if name not in INTERNAL]
    unset = [word for name in sorted(removed) for word in ("-u", name)]
    prefix = ["env", *unset] if unset or words else []
    return shlex.join(["cd", str(Path.cwd())]) + " && " + shlex.join([*prefix, *words, *command.argv])


def export_specs(folder: Path, planned: Sequence[Planned]) -> Path:
    """Write the jobs as jobs.jsonl, one a line, for another scheduler to run; return the file.

    Only variables that the launcher adds or changes are in `env`: what else it holds may be secret.
    """
    lines = []
    for item in planned:
        changed = {name: value for name, value in item.command.env.items() if os.environ.get(name) != value}
        spec = {
            "job": item.job.number,
            "folder": str(item.job.folder),
            "fingerprint": item.job.fingerprint,
            "overrides": list(item.job.overrides),
            "processes": item.slot.processes,
            "devices": list(item.slot.devices),
            "argv": list(item.command.argv),
            "env": {name: value for name, value in sorted(changed.items()) if name not in INTERNAL},
            "cwd": str(Path.cwd()),
        }
        lines.append(json.dumps(spec) + "\n")
    folder.mkdir(parents=True, exist_ok=True)
    write_bytes(folder / "jobs.jsonl", "".join(lines).encode())
    return folder / "jobs.jsonl"
