"""What is allowed where a finding stands, by its code, and what came there."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["ALLOWED", "SHOWN", "value_at"]

ALLOWED: Mapping[str, str] = MappingProxyType(
    {
        "bad_json": "one JSON object on one line",
        "bad_length": "4 numbers for a box; an even count of at least 6 for a polygon, of at least 4 for a line",
        "bad_message": "a role among system, user, assistant, and a content that is not blank",
        "bad_metadata": "a JSON object, or none",
        "bad_path": "a path that a file can have",
        "bad_size": "a whole number of pixels from 1 on",
        "bad_summary": "one line of text that is not blank, or none",
        "bad_turns": "user and assistant in turn, after an optional system",
        "bad_utf8": "UTF-8",
        "bbox_unordered": "x1 < x2 and y1 < y2",
        "chat_images": "no pictures in rows of chat",
        "checksum_mismatch": "the content that SHA256SUMS names",
        "closing_vertex": "a polygon whose last vertex is another than its first: it is closed by itself",
        "degenerate": "a polygon with an area, a line with a length",
        "desc_whitespace": "one line without tabs and control characters",
        "duplicate_key": "each key once",
        "empty_desc": "a description that is not blank",
        "file_unreadable": "a file that can be read",
        "geometry_count": "exactly one of bbox_2d, poly, line",
        "image_not_str": "a path of a file",
        "image_outside_roots": "a picture below the folder of the JSONL file, or below one of data.allowed_roots",
        "image_repeated": "every picture in one row",
        "image_shared": "every picture in one file",
        "image_unreadable": "a whole picture of the formats JPEG, PNG, WEBP, BMP, GIF, TIFF",
        "image_url": "a path of a file, no address",
        "lone_surrogate": "text that can be written as UTF-8",
        "many_images": "one picture a row",
        "missing_images": "a list with one path",
        "missing_messages": "a list of turns",
        "missing_summary": "one line of text",
        "no_objects": "at least one object",
        "non_finite": "a finite number",
        "not_a_number": "a flat list of numbers x1, y1, x2, y2, ...",
        "not_an_object": "a JSON object",
        "odd_length": "an x and a y for every point",
        "out_of_bounds": "x from 0 to width, y from 0 to height",
        "outer_blanks": "text without blanks around it",
        "over_length": "at most global_max_length tokens",
        "picture_too_thin": "a longer side of at most 200 times the shorter one",
        "quad_legacy": "poly",
        "size_mismatch": "the size of the picture, upright",
        "special_token": "text without control tokens and template tags",
        "twin_objects": "every object once",
    }
)
"""What is allowed, in short words."""

SHOWN = 200
"""Most characters of a value that stand in a report."""

_STEP = re.compile(r"\.?([^.\[\]]+)|\[(\d+)\]")


def value_at(row: object, field: str) -> str | None:
    """Return the value that a finding is about, as JSON and shortened.

    Args:
        row: The decoded row.
        field: Path inside the row, such as `objects[2].poly[5]`.

    Returns:
        None where the row has nothing at that place; surrogates are escaped.
    """
    place = 0
    value = row
    while place < len(field):
        step = _STEP.match(field, place)
        if step is None:
            return None
        key, number = step.groups()
        if key is not None and isinstance(value, Mapping) and key in value:
            value = value[key]
        elif number is not None and isinstance(value, list) and int(number) < len(value):
            value = value[int(number)]
        else:
            return None
        place = step.end()
    return _shown(value) if field else None


def _shown(value: object) -> str:
    cut = value[:SHOWN] if isinstance(value, str | list) else value
    plain = type(value).__name__ if isinstance(value, Mapping) else json.dumps(cut, ensure_ascii=False)
    text = plain.encode("utf-8", errors="backslashreplace").decode()
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
