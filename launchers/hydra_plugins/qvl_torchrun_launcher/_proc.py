"""What the kernel tells about processes, read from /proc."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

__all__ = ["ProcessFacts", "all_pids", "environment_of", "facts_of"]

_PF_EXITING = 0x4


@dataclass(frozen=True, slots=True)
class ProcessFacts:
    """A process as it was when it was looked at.

    Attributes:
        state: One letter; Z is a process that has ended and waits for its parent.
        parent: Its parent's id.
        started: Clock ticks from the start of the machine; tells it from a later process with the same id.
        flags: Of the kernel.
    """

    state: str
    parent: int
    started: int
    flags: int

    @property
    def ended(self) -> bool:
        """Whether it runs no more."""
        return self.state in "ZX"

    @property
    def ending(self) -> bool:
        """Whether it has ended or is about to: its connections are closed a while before the kernel is done with it."""
        return self.ended or bool(self.flags & _PF_EXITING)


def all_pids() -> list[int]:
    """Return the ids of all processes."""
    return [int(name) for name in os.listdir("/proc") if name.isdecimal()]


def facts_of(pid: int) -> ProcessFacts | None:
    """Return what is known of a process, None if there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()  # the name before it may hold anything
    return ProcessFacts(state=fields[0], parent=int(fields[1]), started=int(fields[19]), flags=int(fields[6]))


def environment_of(pid: int) -> list[bytes]:
    """Return the `NAME=value` strings with which a process was started; none of an ended or a stranger's process."""
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []
