"""A value that was decoded from an answer to an object, if it is one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Final

from qvl.conversation.answer import Fault, TextObject
from qvl.geometry import KEYS
from qvl.records import has_lone_surrogate, is_number, shorten

_SYNONYMS: Final = {"quad": "poly"}
"""Geometries under another name."""

_NO_SHAPES: Final = ("point_2d", "point", "points", "polygon", "bbox", "box_2d", "mask")
"""Geometries of other models. `bbox` and `box_2d` mean different things to different models: nothing is guessed."""

OBJECT_KEYS: Final = ("desc", "label", *KEYS, *_SYNONYMS, *_NO_SHAPES)
"""Keys by which a JSON object is taken for one of a picture, not for a group of them."""


class Repeated(dict[str, object]):
    """A JSON object in which a key stood more than once; as a mapping it has the last value of each."""

    def __init__(self, pairs: list[tuple[str, object]]) -> None:
        """Keep `pairs`, the equal ones too."""
        super().__init__(pairs)
        self.pairs = pairs


def from_pairs(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Return the JSON object with these members."""
    members = dict(pairs)
    return members if len(members) == len(pairs) else Repeated(pairs)


def pairs_of(value: dict[str, object]) -> Iterable[tuple[str, object]]:
    """Return the members in the order of the text, the repeated ones too."""
    return value.pairs if isinstance(value, Repeated) else value.items()


def to_integer(digits: str) -> int | float:
    """Read digits; `int` refuses thousands of them, `float` does not (and numbers that long are refused later)."""
    return int(digits) if len(digits) <= 18 else float(digits)


DECODER: Final = json.JSONDecoder(object_pairs_hook=from_pairs, parse_int=to_integer)
"""JSON as the standard library reads it: with NaN, which no coordinate may be."""


def is_bare_object(value: object) -> bool:
    """Tell whether a value looks like one object, not like a group of them."""
    return isinstance(value, dict) and any(key in value for key in OBJECT_KEYS)


def is_whole_object(value: object) -> bool:
    """Tell whether a value has a description and a geometry, so that no key is needed to know what it is."""
    return isinstance(value, dict) and "desc" in value and any(key in value for key in KEYS)


def read_object(where: str, value: object, *, is_native: bool) -> tuple[TextObject | None, list[Fault]]:
    """Return the object that a decoded value stands for, if any, and what is wrong with it.

    Args:
        where: Place in the answer, for the faults.
        value: What the decoder returned.
        is_native: `label` stands where `desc` is expected otherwise, as in the lists that Qwen writes by itself.
    """
    if not isinstance(value, dict):
        return None, [Fault("not_an_object", where, f"expected desc and one geometry, got {shorten(value)}")]
    faults = []
    if isinstance(value, Repeated):
        faults.append(Fault("duplicate_key", where, "a key stands here more than once; the last is read"))
    desc_key = "label" if "label" in value and "desc" not in value else "desc"
    if desc_key == "label" and not is_native:
        faults.append(Fault("other_key", where, "'label' is read as desc"))
    desc = value.get(desc_key)
    if not isinstance(desc, str) or has_lone_surrogate(desc):
        return None, [*faults, *_extra(where, value, desc_key), Fault("bad_desc", where, f"no text: {shorten(desc)}")]
    faults += _extra(where, value, desc_key)
    keys = [key for key in (*KEYS, *_SYNONYMS) if key in value]
    if len(keys) != 1:
        return None, [*faults, _wrong_geometry(where, value, keys)]
    return _with_geometry(where, desc, keys[0], value[keys[0]], faults)


def _extra(where: str, value: Mapping[str, object], desc_key: str) -> list[Fault]:
    """Return the fault of keys that belong to no object."""
    known = {desc_key, *KEYS, *_SYNONYMS, *_NO_SHAPES}
    extra = next((key for key in value if key not in known), None)
    if extra is None:
        return []
    return [Fault("unknown_key", where, f"expected desc and one geometry only, got {shorten(extra)} too")]


def _wrong_geometry(where: str, value: Mapping[str, object], keys: list[str]) -> Fault:
    other = [key for key in _NO_SHAPES if key in value]
    if other and not keys:
        return Fault("unknown_geometry", where, f"expected one of {', '.join(KEYS)}, got {other[0]}")
    came = ", ".join(keys) or "none"
    return Fault("geometry_count", where, f"expected one of {', '.join(KEYS)}, got {came}")


def _with_geometry(
    where: str, desc: str, name: str, value: object, faults: list[Fault]
) -> tuple[TextObject | None, list[Fault]]:
    key = _SYNONYMS.get(name, name)
    if key != name:
        faults.append(Fault("other_key", where, f"{name!r} is read as {key}"))
    flat = _flat(value)
    if flat is not value:
        faults.append(Fault("nested_numbers", where, f"{name}: a list of pairs [x, y] is read as a flat list"))
    numbers = _read_numbers(flat)
    if numbers is None:
        return None, [*faults, Fault("bad_numbers", where, f"{name}: expected a flat list of numbers")]
    try:
        return TextObject(desc, key, numbers), faults
    except ValueError as error:
        return None, [*faults, Fault("bad_numbers", where, str(error))]


def _flat(value: object) -> object:
    """Return pairs [[x, y], ...] as one list; anything else as it is."""
    if isinstance(value, list) and value and all(isinstance(pair, list) and len(pair) == 2 for pair in value):
        return [number for pair in value for number in pair]
    return value


def _read_numbers(value: object) -> tuple[int | float, ...] | None:
    if not isinstance(value, list):
        return None
    numbers = tuple(number for number in value if is_number(number))
    return numbers if len(numbers) == len(value) else None
