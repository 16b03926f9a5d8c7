"""What is wrong with a row."""

from __future__ import annotations

from dataclasses import dataclass

from qvl.records.record import Source


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with one field of one row; prints as one line.

    Attributes:
        code: Short stable name, to count and to filter by.
        where: The row.
        field: Path inside the row, such as `objects[2].poly[5]`; empty for the row as a whole.
        message: What came and what is allowed.
        fatal: Whether the row cannot be used.
    """

    code: str
    where: Source
    field: str
    message: str
    fatal: bool = True

    def __str__(self) -> str:
        """Return `file:line: field: message [code]`."""
        place = f"{self.where}: {self.field}" if self.field else f"{self.where}"
        return f"{place}: {self.message} [{self.code}]"


def shorten(value: object, *, limit: int = 60) -> str:
    """Return `repr(value)` for a message, on one line, printable everywhere and at most `limit` characters long.

    Only the part that is shown is formatted, so a huge or deeply nested value costs nothing.
    """
    match value:
        case str():
            text = ascii(value[:limit]) if not value.isprintable() else repr(value[:limit])
            size = len(value)
        case bool() | None | float():
            return repr(value)
        case int():
            return repr(value) if value.bit_length() < 128 else f"an integer of {value.bit_length()} bits"
        case _:
            return type(value).__name__
    return text if size <= limit else f"{text}... ({size} characters)"
