"""What can be set right in a row without guessing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from qvl.records import is_number
from qvl.records.coordinates import GEOMETRY_KEYS, MAX_SIDE, check_coordinates

__all__ = ["MENDS", "Change", "may_need", "mend"]

MENDS = {
    "blanks_stripped": "blanks around a text are dropped",
    "box_reversed": "corners of a box come in the order left, top, right, bottom",
    "clamped": "numbers at most one pixel outside the picture are moved onto its edge",
    "list_flattened": "a list of points [[x, y], ...] becomes a flat list",
    "quad_renamed": "quad becomes poly",
    "ring_closed": "the last vertex of a polygon is dropped if it is the first one again",
    "size_filled": "a missing size is taken from the picture if every shape lies inside it",
    "text_on_one_line": "line breaks and tabs in a text become blanks",
}
"""What is mended."""

_REACH = 1.0  # pixels outside of the picture: what a convention of pixel centres or rounding leaves behind
_FAR = 1e9  # nothing beyond it is mended; NaN is beyond everything
_BREAKS = re.compile("[\t\n\v\f\r\x85\u2028\u2029]+")

PictureSize = Callable[[], tuple[int, int] | None]


class Change(NamedTuple):
    """One thing that was mended.

    Attributes:
        code: One of `MENDS`.
        field: Path inside the row, as it was.
        before: Value that was there; None if there was none.
        after: Value that is there now.
    """

    code: str
    field: str
    before: object
    after: object


def mend(row: Mapping[str, Any], *, picture_size: PictureSize) -> tuple[dict[str, Any], list[Change]]:
    """Return a row with everything mended that has one reading only, and what was changed.

    An object is mended as a whole or its shape is left alone: of a box of which one corner lies far outside nothing is
    moved. Mending again changes nothing.

    Args:
        row: A row; it is not changed.
        picture_size: Returns (width, height) of its picture, or None; it is asked only where the row has no size.
    """
    changes: list[Change] = []
    mended = dict(row)
    if not all(_is_side(row.get(key)) for key in ("width", "height")):
        _fill_size(mended, changes, picture_size)
    _mend_text(mended, "summary", "summary", changes)
    sides = [mended.get("width"), mended.get("height")]
    if isinstance(row.get("objects"), list):
        objects = enumerate(row["objects"])
        mended["objects"] = [_mend_object(item, f"objects[{number}]", sides, changes) for number, item in objects]
    return mended, changes


def may_need(row: Mapping[str, Any]) -> bool:
    """Tell quickly whether `mend` could change a row in which nothing was found."""
    objects = row.get("objects")
    return _has_blanks(row.get("summary")) or any(
        _has_blanks(item.get("desc")) or _is_closed(item.get("poly"))
        for item in (objects if isinstance(objects, list) else ())
        if isinstance(item, Mapping)
    )


def _has_blanks(text: object) -> bool:
    return isinstance(text, str) and text != text.strip()


def _is_closed(numbers: object) -> bool:
    return isinstance(numbers, list) and numbers[:2] == numbers[-2:]


def _is_side(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MAX_SIDE


def _fill_size(row: dict[str, Any], changes: list[Change], picture_size: PictureSize) -> None:
    """Take the size from the picture, unless the row says a part of another one or has shapes that do not fit."""
    size = picture_size()
    if size is None:
        return
    said = [row.get("width"), row.get("height")]
    if any(_is_side(side) and side != actual for side, actual in zip(said, size, strict=True)):
        return
    for item in row["objects"] if isinstance(row.get("objects"), list) else []:
        keys = [key for key in GEOMETRY_KEYS if isinstance(item, Mapping) and key in item]
        if any(issue for key in keys for issue in check_coordinates(key, item[key], width=size[0], height=size[1])):
            return
    for key, before, after in zip(("width", "height"), said, size, strict=True):
        if before != after or isinstance(before, bool):
            row[key] = after
            changes.append(Change("size_filled", key, before, after))


def _mend_object(item: object, field: str, sides: list[Any], changes: list[Change]) -> object:
    if not isinstance(item, Mapping):
        return item
    mended = dict(item)
    _mend_text(mended, "desc", f"{field}.desc", changes)
    keys = [key for key in GEOMETRY_KEYS if key in item]
    if len(keys) != 1 or not all(map(_is_side, sides)):
        return mended
    key = keys[0]
    name = "poly" if key == "quad" else key
    steps = list(_mend_shape(key, item[key], sides))
    numbers = steps[-1][1] if steps else item[key]
    if (steps or name != key) and not any(check_coordinates(key, numbers, width=sides[0], height=sides[1])):
        if name != key:
            changes.append(Change("quad_renamed", f"{field}.{key}", key, name))
        before = item[key]
        for code, after in steps:
            changes.append(Change(code, f"{field}.{key}", before, after))
            before = after
        mended = {name if other == key else other: numbers if other == key else mended[other] for other in mended}
    return mended


def _mend_shape(key: str, value: object, sides: list[Any]) -> Iterator[tuple[str, list[Any]]]:
    """Yield (code, numbers) of every step that changes the numbers."""
    if not isinstance(value, list) or not value:
        return
    numbers = value
    if all(isinstance(point, list) and len(point) == 2 for point in value):
        numbers = [number for point in value for number in point]
        yield "list_flattened", numbers
    fits = {"bbox_2d": len(numbers) == 4, "quad": len(numbers) == 8}.get(key, True)
    if not fits or not all(is_number(number) and abs(number) <= _FAR for number in numbers):
        return
    for code, step in _STEPS.items():
        after = step(key, numbers, sides)
        if after != numbers:
            numbers = after
            yield code, numbers


def _clamped(key: str, numbers: list[Any], sides: list[Any]) -> list[Any]:
    return [_onto_edge(number, sides[place % 2]) for place, number in enumerate(numbers)]


def _ordered(key: str, numbers: list[Any], sides: list[Any]) -> list[Any]:
    if key != "bbox_2d":
        return numbers
    x, y = sorted(numbers[::2]), sorted(numbers[1::2])
    return [x[0], y[0], x[1], y[1]]


def _opened(key: str, numbers: list[Any], sides: list[Any]) -> list[Any]:
    while key == "poly" and len(numbers) > 6 and numbers[:2] == numbers[-2:]:
        numbers = numbers[:-2]
    return numbers


_STEPS: Mapping[str, Callable[[str, list[Any], list[Any]], list[Any]]] = {
    "clamped": _clamped,
    "box_reversed": _ordered,
    "ring_closed": _opened,
}


def _onto_edge(number: float, side: int) -> float:
    if -_REACH <= number < 0:
        return 0
    return side if side < number <= side + _REACH else number


def _mend_text(owner: dict[str, Any], key: str, field: str, changes: list[Change]) -> None:
    text = owner.get(key)
    if not isinstance(text, str) or not text.strip():
        return
    stripped = text.strip()
    joined = _BREAKS.sub(" ", stripped)
    for code, before, after in (("blanks_stripped", text, stripped), ("text_on_one_line", stripped, joined)):
        if before != after:
            changes.append(Change(code, field, before, after))
    owner[key] = joined
