"""Objects to the text of an answer; `parse.py` is the way back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

from qvl.conversation.answer import NUMBER_LIMIT, TextObject
from qvl.geometry import GRIDS, Polygon, canonical, opened, to_grid
from qvl.records import ObjectRecord, Record, order_objects

OBJECT_WORD = "object"
"""Word in front of an object's number."""

_GRID = 1000


def _check_image_label(image_label: str) -> None:
    """Make sure that the word in front of a picture's number can be told from that of an object.

    Raises:
        ValueError: The word is blank or `object`.
    """
    if not image_label.strip() or image_label == OBJECT_WORD:
        raise ValueError(f"image_label must be a word other than {OBJECT_WORD!r}, got {image_label!r}")


def render_answer(images: Sequence[Sequence[TextObject]], *, image_label: str) -> str:
    """Write the objects of one user turn as one line of JSON.

    One picture: `{"object_1": {"desc": "...", "bbox_2d": [1, 2, 3, 4]}, ...}`; several:
    `{"<image_label>_1": {"object_1": ...}, "<image_label>_2": {}}`. Numbers start at 1, non-ASCII text is kept.

    Args:
        images: The objects of each picture, in writing order.
        image_label: Word in front of a picture's number.

    Raises:
        ValueError: There is no picture, or `image_label` is not usable.
    """
    _check_image_label(image_label)
    if not images:
        raise ValueError("an answer needs at least one picture, got none")
    groups = [
        {
            f"{OBJECT_WORD}_{number}": {"desc": item.desc, item.key: list(item.numbers)}
            for number, item in enumerate(objects, 1)
        }
        for objects in images
    ]
    answer = groups[0] if len(groups) == 1 else {f"{image_label}_{slot}": group for slot, group in enumerate(groups, 1)}
    return json.dumps(answer, ensure_ascii=False, allow_nan=False)


def text_objects(record: Record, *, emit_norm: str = "norm1000", order: str = "tlbr") -> tuple[TextObject, ...]:
    """Return a record's objects as they are written: canonical, then ordered, then on the grid.

    Args:
        record: Shapes in pixels.
        emit_norm: `norm1000` or `norm100`: integers on the grid; `none`: pixels, whole numbers as integers.
        order: A policy of `qvl.records.order_objects`.

    Raises:
        ValueError: `emit_norm` or `order` is unknown.
    """
    items = written_objects(record, order=order)
    return as_text(items, width=record.width, height=record.height, emit_norm=emit_norm)


def written_objects(record: Record, *, order: str) -> tuple[ObjectRecord, ...]:
    """Return the objects of a record in canonical form and writing order, still in pixels."""
    items = [ObjectRecord(item.desc, canonical(item.shape)) for item in record.objects]
    return order_objects(items, order)


def count_objects(record: Record) -> tuple[ObjectRecord, ...]:
    """Return the objects with the vertices that are written, in any order: enough to know how long they are."""
    return tuple(
        replace(item, shape=opened(item.shape)) if isinstance(item.shape, Polygon) else item for item in record.objects
    )


def as_text(items: Sequence[ObjectRecord], *, width: int, height: int, emit_norm: str) -> tuple[TextObject, ...]:
    """Return the objects of a picture of `width` x `height` pixels with the numbers that are written.

    Raises:
        ValueError: `emit_norm` is unknown.
    """
    check_emit_norm(emit_norm)
    grid = GRIDS[emit_norm]
    flat = [item.shape.flat() for item in items]
    pixels = [number for numbers in flat for number in numbers]
    units = iter(_plain(pixels) if grid is None else to_grid(pixels, width=width, height=height, grid=grid))
    return tuple(
        TextObject(item.desc, item.shape.key, tuple(islice(units, len(numbers))))
        for item, numbers in zip(items, flat, strict=True)
    )


def check_emit_norm(emit_norm: str) -> None:
    """Make sure that a grid exists.

    Raises:
        ValueError: `emit_norm` is unknown.
    """
    if emit_norm not in GRIDS:
        raise ValueError(f"emit_norm must be one of {', '.join(GRIDS)}, got {emit_norm!r}")


def _plain(pixels: Sequence[float]) -> tuple[int | float, ...]:
    return tuple(int(value) if value.is_integer() else value for value in pixels)


def norm1000(item: TextObject, *, width: int, height: int, emit_norm: str) -> TextObject:
    """Return an object with its numbers on the 0..1000 grid, not rounded.

    Args:
        item: Numbers in the units of the text.
        width: Of the picture, in pixels.
        height: Of the picture, in pixels.
        emit_norm: Units of the text, a key of `qvl.geometry.GRIDS`.
    """
    if GRIDS[emit_norm] == _GRID:
        return item
    grid = GRIDS[emit_norm]
    across, down = (width, height) if grid is None else (grid, grid)
    scaled = (number / (down if index % 2 else across) * _GRID for index, number in enumerate(item.numbers))
    return replace(item, numbers=tuple(min(max(number, -NUMBER_LIMIT), NUMBER_LIMIT) for number in scaled))
