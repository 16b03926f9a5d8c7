"""Points, words and labels out of JSON that other tools wrote."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence

from qvl.conversion.annotated import ShapeKind
from qvl.conversion.formats.fields import number

__all__ = ["LABEL_KEYS", "Outline", "as_text", "as_words", "flat_numbers", "flat_points", "label_in", "mapping"]

LABEL_KEYS = ("label", "category", "class", "class_name", "category_name", "name", "type", "object")
"""Keys that tools and people give to the category of an object, the most telling first."""

_MOST_BITS = 128
"""Of a number that is taken for a word, such as an id."""

Outline = tuple[ShapeKind, tuple[tuple[float, ...], ...], tuple[str, ...]]
"""A shape, its parts, and a code for everything that was set right."""


def mapping(value: object) -> Mapping[str, object]:
    """Return a JSON object as it is, an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def flat_numbers(values: Iterable[object]) -> tuple[float, ...] | None:
    """Return numbers as floats, None if one of the values is none."""
    found = [number(value) for value in values]
    return None if None in found else tuple(value for value in found if value is not None)


def flat_points(values: object) -> tuple[float, ...] | None:
    """Return [[x, y], ...] as x1, y1, x2, y2, ...; what follows x and y, such as a height, is left out.

    Returns:
        None if this is no such list, or an empty one.
    """
    if not isinstance(values, list) or not values or any(not isinstance(p, list) or len(p) < 2 for p in values):
        return None
    return flat_numbers(value for point in values for value in point[:2])


def as_text(value: object) -> str:
    """Return a value as the words of an attribute.

    `true` and `false` for flags, `a/b` for a list and for the flags of an object that are on, "" for null, for what is
    nested and for what is no finite number.
    """
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return value.strip()
        case int():
            return str(value) if value.bit_length() < _MOST_BITS else ""
        case float():
            return f"{value:.15g}" if math.isfinite(value) else ""
        case list():
            texts = (as_text(each) for each in value if not isinstance(each, list))  # lists may be nested deeply
            return "/".join(text for text in texts if text)
        case dict() if value and all(isinstance(flag, bool) for flag in value.values()):
            return "/".join(str(key) for key, flag in value.items() if flag)
        case _:
            return ""


def as_words(entries: Mapping[str, object], *, without: Collection[str] = ()) -> dict[str, str]:
    """Return the entries that can be attributes, in their order."""
    pairs = [(key, as_text(value)) for key, value in entries.items() if key not in without]
    return {key: text for key, text in pairs if text}


def label_in(entries: Mapping[str, object], keys: Sequence[str] = LABEL_KEYS) -> tuple[str, str] | None:
    """Return key and words of the first of `keys` that has any; a dot leads into an object."""
    for key in keys:
        value: object = entries
        for step in (key,) if key in entries else key.split("."):
            value = mapping(value).get(step)
        if text := as_text(value):
            return key, text
    return None
