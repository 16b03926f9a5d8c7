"""Jobs of the queue that are shell scripts: real processes that start in milliseconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from hydra.conf import HydraConf
from hydra_plugins.qvl_torchrun_launcher._attempt import Attempt
from hydra_plugins.qvl_torchrun_launcher._jobs import Job
from hydra_plugins.qvl_torchrun_launcher._locks import DeviceLocks
from hydra_plugins.qvl_torchrun_launcher._processes import Command, JobProcess, new_sweep, start
from hydra_plugins.qvl_torchrun_launcher._queue import Place, Queue
from hydra_plugins.qvl_torchrun_launcher._signals import Interrupts
from hydra_plugins.qvl_torchrun_launcher._slots import Slot
from hydra_plugins.qvl_torchrun_launcher._starter import Starter
from hydra_plugins.qvl_torchrun_launcher._status import Status
from hydra_plugins.qvl_torchrun_launcher.config import TorchrunLauncherConf
from omegaconf import OmegaConf

DONE = """echo '{"state": "completed", "return_value": 7}' > result.json"""


class ShellStarter(Starter):
    """Runs the script of a job in its folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__(None, folder / "fork_server.log", note=str)

    def start(self, command: Command, job_file: Path) -> JobProcess:
        script = (job_file.parent / "script").read_text()
        argv = ("sh", "-c", f"cd {job_file.parent} || exit\ndate +%s.%N >> starts\n{script}")
        return start(replace(command, argv=argv, agent=False))


@dataclass
class Story:
    """A listener that remembers."""

    lines: list[str] = field(default_factory=list)
    together: int = 0

    def started(self, job: Job, status: Status, slot: Slot) -> None:
        self.lines.append(f"start {job.number} on {slot.number}")

    def ended(self, job: Job, status: Status, *, again: bool) -> None:
        self.lines.append(f"end {job.number} {status.state}{' again' if again else ''}")

    def update(self, running: Sequence[Attempt], *, waiting: int) -> None:
        self.together = max(self.together, len(running))

    def note(self, text: str) -> None:
        self.lines.append(text)


def shell_job(folder: Path, number: int, script: str) -> Job:
    """Make a job that runs a script; `$n` in it is the number of earlier starts."""
    place = folder / str(number)
    place.mkdir(parents=True, exist_ok=True)
    (place / "script").write_text(script)
    config = OmegaConf.create({"hydra": OmegaConf.structured(HydraConf)})
    return Job(number, place, (f"x={number}",), f"print{number}", config)


def make_queue(
    folder: Path,
    scripts: Mapping[int, str],
    *,
    slots: int = 2,
    devices: Sequence[str] = (),
    interrupts: Interrupts | None = None,
    **settings: object,
) -> tuple[Queue, Story]:
    """Make a queue of shell jobs with its listener."""
    groups = [Slot(index, (devices[index],) if devices else (), 1) for index in range(slots)]
    place = Place(new_sweep(), groups, DeviceLocks(folder / "locks"), 1, ShellStarter(folder))
    story = Story()
    queue = Queue(
        [shell_job(folder, number, script) for number, script in scripts.items()],
        place,
        settings=TorchrunLauncherConf(**settings),  # type: ignore[arg-type]
        interrupts=interrupts or Interrupts(),
        listener=story,
    )
    return queue, story
