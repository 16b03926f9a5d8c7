"""Checks of one coordinate list of a row."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TypeGuard

import numpy as np

from qvl.geometry import area, shape_from_flat
from qvl.records.finding import shorten

MAX_SIDE = 1_000_000
"""Largest width or height in pixels that is taken for a picture."""

TOLERANCE = 1e-6
"""How far in pixels a coordinate may lie outside the picture: what float arithmetic leaves behind."""

GEOMETRY_KEYS = ("bbox_2d", "poly", "line", "quad")
"""Keys that hold a coordinate list; `quad` is the old name of a polygon with four points."""

Issue = tuple[str, str, str]
"""(code, path inside the list such as `[3]` or empty, message)."""


def check_coordinates(key: str, value: object, *, width: int, height: int) -> Iterator[Issue]:
    """Yield what is wrong with one coordinate list.

    Args:
        key: One of `GEOMETRY_KEYS`.
        value: What the row holds under the key.
        width: Width of the picture in pixels.
        height: Height of the picture in pixels.
    """
    if not isinstance(value, list):
        yield "not_a_number", "", f"expected a flat list of numbers, got {shorten(value)}"
        return
    if value and all(isinstance(item, list) for item in value):
        yield "not_a_number", "", "expected a flat list x1, y1, x2, y2, ..., got a list of lists"
        return
    issues = [*_check_length(key, len(value))]
    for index, item in enumerate(value):
        issues += _check_number(f"[{index}]", item, axis="xy"[index % 2], side=(width, height)[index % 2])
    yield from issues or _check_extent(key, value)


def _check_length(key: str, count: int) -> Iterator[Issue]:
    match key:
        case "bbox_2d":
            wanted, fits = "4 numbers x1, y1, x2, y2", count == 4
        case "quad":
            wanted, fits = "8 numbers", count == 8
        case "poly":
            wanted, fits = "an even count of at least 6 numbers", count >= 6 and count % 2 == 0
        case _:
            wanted, fits = "an even count of at least 4 numbers", count >= 4 and count % 2 == 0
    if not fits:
        odd = key in ("poly", "line") and count % 2 == 1
        yield "odd_length" if odd else "bad_length", "", f"expected {wanted}, got {count}"


def _check_number(path: str, value: object, *, axis: str, side: int) -> Iterator[Issue]:
    if not is_number(value):
        yield "not_a_number", path, f"expected a number, got {shorten(value)}"
    elif isinstance(value, float) and not math.isfinite(value):
        yield "non_finite", path, f"expected a finite number, got {value}"
    elif not -TOLERANCE <= value <= side + TOLERANCE:  # integers of any length compare without a conversion
        yield "out_of_bounds", path, f"{axis} = {shorten(value)} lies outside [0, {side}]"


def is_number(value: object) -> TypeGuard[int | float]:
    """Tell whether a JSON value is a number; True and False are not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_side(value: object) -> TypeGuard[int]:
    """Tell whether a decoded JSON value is a width or height that a picture can have, in pixels."""
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MAX_SIDE


def _check_extent(key: str, values: Sequence[float]) -> Iterator[Issue]:
    """Yield what is wrong with a list of the right length whose numbers lie inside the picture."""
    match key:
        case "bbox_2d":
            x1, y1, x2, y2 = values
            if not (x1 < x2 and y1 < y2):
                yield "bbox_unordered", "", f"expected x1 < x2 and y1 < y2, got {', '.join(map(str, values))}"
        case "line":
            if all(x == values[0] for x in values[::2]) and all(y == values[1] for y in values[1::2]):
                yield "degenerate", "", "all points of the line are the same"
        case _:
            if abs(_signed_area(values)) < TOLERANCE and area(shape_from_flat("poly", values)) < TOLERANCE:
                yield "degenerate", "", "the polygon covers no area: it only goes to and fro on lines"


def _signed_area(values: Sequence[float]) -> float:
    """Return the area of a ring by its direction: cheap, and 0 too where parts of a ring that crosses itself cancel."""
    x, y = (np.array(values, dtype=np.float64).reshape(-1, 2) - values[:2]).T
    return float(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2
