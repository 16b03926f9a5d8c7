"""What became of one picture of a source."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from qvl.conversion.annotated import Refused

__all__ = ["Outcome", "Rejected", "Row"]

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Rejected:
    """Something that is not in the rows.

    Attributes:
        kind: row, object or archive_member.
        image: The picture as the source names it, "" without one.
        refused: Its place, and why.
    """

    kind: str
    image: str
    refused: Refused


@dataclass(slots=True)
class Outcome:
    """What became of one picture.

    Attributes:
        num_rows: Pictures of the source that this is about, 0 or 1.
        num_objects: Objects that the source has there.
        num_added: Further objects that came of splitting them.
        row: The row; None if it is refused.
        rejected: The row, or objects of it.
        lost: Why objects are not in a row, once each: the codes in `rejected`, or `row_refused`.
        dropped: Why objects were left out on request, once each.
        repairs: A code for everything that was set right in the row.
        labels: Category of the source of each object in the row.
        dropped_labels: Category of the source of each object that was left out on request.
        picture_hash: Hash of the picture, 0 if none was asked for.
    """

    num_rows: int = 1
    num_objects: int = 0
    num_added: int = 0
    row: Row | None = None
    rejected: list[Rejected] = field(default_factory=list)
    lost: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    repairs: Counter[str] = field(default_factory=Counter)
    labels: list[str] = field(default_factory=list)
    dropped_labels: list[str] = field(default_factory=list)
    picture_hash: int = 0

    def reject(self, kind: str, image: str, refused: Refused) -> None:
        """Note something that is not in the rows."""
        self.rejected.append(Rejected(refused.kind or kind, image, refused))
        if self.rejected[-1].kind == "object":
            self.lost[refused.code] += 1
