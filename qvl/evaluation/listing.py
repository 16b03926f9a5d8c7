"""Many findings as one message."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

__all__ = ["listed"]

_MOST: Final = 20


def listed(problems: Sequence[str]) -> str:
    """Return a line for each of the first 20 problems; the last one says how many more there are."""
    shown, more = list(problems[:_MOST]), len(problems) - _MOST
    if more > 0:
        shown[-1] = f"{shown[-1]}; and {more} more"
    return "\n".join(shown)
