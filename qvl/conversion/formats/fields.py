"""Single values of annotation files, read strictly."""

from __future__ import annotations

import math

__all__ = ["is_set", "number", "pixel_count", "split_name"]

SPLITS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}


def number(value: object) -> float | None:
    """Return a number or the text of one as a float, None for anything else; NaN and infinity are numbers here."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def pixel_count(value: object) -> int | None:
    """Return a width or a height in pixels, None for anything but a whole number from 1 on."""
    count = number(value)
    if count is None or not math.isfinite(count) or count < 1 or count != int(count):
        return None
    return int(count)


def is_set(value: str | None) -> bool:
    """Tell whether a flag is on: 1, true or yes."""
    return (value or "").strip().lower() in ("1", "true", "yes")


def split_name(value: str) -> str | None:
    """Return train, val or test for a name that tools give to such a split, None for any other."""
    return SPLITS.get(value.strip().lower())
