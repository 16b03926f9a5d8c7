"""Values that an annotation row becomes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from qvl.geometry import Shape


@dataclass(frozen=True, slots=True, order=True)
class Source:
    """Where a row comes from; prints as `file:line`.

    Attributes:
        file: Path of the JSONL file as it was given.
        line: Line number, the first line is 1.
    """

    file: str
    line: int

    def __str__(self) -> str:
        """Return `file:line`."""
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class ObjectRecord:
    """One annotated object.

    Attributes:
        desc: One line of text, NFC, not blank.
        shape: Exactly one shape, in pixel edges of the picture.
    """

    desc: str
    shape: Shape


@dataclass(frozen=True, slots=True)
class Record:
    """One annotated picture.

    Attributes:
        images: Absolute paths; exactly one for a row with objects, none for a row of chat.
        objects: The objects in the order of the row.
        width: Width of the picture in pixels; x of every shape lies in [0, width].
        height: Height of the picture in pixels; y of every shape lies in [0, height].
        source: The row it was read from.
        summary: One line about the whole picture, if there is one.
        metadata: What else the row says; never shown to the model by the builders here.
        messages: Turns of a row of chat, each with `role` and `content`.
    """

    images: tuple[str, ...]
    objects: tuple[ObjectRecord, ...]
    width: int
    height: int
    source: Source
    summary: str | None = None
    metadata: Mapping[str, object] = field(default_factory=dict)
    messages: tuple[Mapping[str, str], ...] = ()
