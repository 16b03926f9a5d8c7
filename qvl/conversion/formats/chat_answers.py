"""Objects in the answer of an assistant: JSON, location tokens, box tokens."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from qvl.conversion.annotated import Annotation, Refused, ShapeKind, Unit
from qvl.conversion.formats.json_values import as_words, flat_numbers, flat_points, label_in, mapping

__all__ = ["Answer", "Scale", "read_answer", "read_json_answer"]

KINDS: dict[str, ShapeKind] = {
    "bbox_2d": "bbox_2d",
    "bbox": "bbox_2d",
    "box": "bbox_2d",
    "poly": "poly",
    "polygon": "poly",
    "line": "line",
    "polyline": "line",
    "point_2d": "point",
    "point": "point",
}
LABELS = ("label", "desc", "description", "category", "class", "name", "object", "text", "text_content")
BINS_PALIGEMMA = 1024
BINS_FLORENCE = 1000

_FENCE = re.compile(r"```(?:json)?\s*(.*?)```", re.DOTALL)
_OBJECT = re.compile(r"object_\d+")
_PALIGEMMA = re.compile(r"((?:<loc\d{4}>)+)((?:\s*<seg\d{3}>)*)([^<;]*)")
_FLORENCE = re.compile(r"([^<>]*)((?:<loc_\d+>)+)")
_BOX_TOKENS = re.compile(
    r"(?:<\|object_ref_start\|>|<ref>)(.*?)(?:<\|object_ref_end\|>|</ref>)((?:\s*(?:<\|box_start\|>|<box>).*?(?:<\|box_end\|>|</box>))+)",
    re.DOTALL,
)
_BOX = re.compile(r"(?:<\|box_start\|>|<box>)(.*?)(?:<\|box_end\|>|</box>)", re.DOTALL)
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


@dataclass(frozen=True, slots=True)
class Scale:
    """What the numbers of an answer are of.

    Attributes:
        unit: As of `Annotated`.
        width: By which x is divided.
        height: By which y is divided.
    """

    unit: Unit = "pixels"
    width: float = 1.0
    height: float = 1.0

    def apply(self, numbers: Sequence[float]) -> tuple[float, ...]:
        """Return x1, y1, x2, y2, ... in `unit`."""
        return tuple(value / (self.height if index % 2 else self.width) for index, value in enumerate(numbers))


@dataclass(frozen=True, slots=True)
class Answer:
    """What an answer says.

    Attributes:
        objects: In `unit`.
        refused: Entries that are no objects.
        unit: As of `Annotated`.
        repairs: A code for everything that was set right.
    """

    objects: tuple[Annotation, ...]
    refused: tuple[Refused, ...] = ()
    unit: Unit = "pixels"
    repairs: tuple[str, ...] = ()


def read_answer(text: str, *, scale: Scale, where: str) -> Answer | None:
    """Return the objects of an answer in any of the forms, None if it has none of them.

    Location tokens of PaliGemma (`<loc0102>` four times, y first, then the label) and of Florence-2 (the label, then
    `<loc_52>` four times) count 1024 and 1000 steps of the picture, whatever the scale; box tokens of Qwen and JSON are
    read by the scale.
    """
    if "<loc_" in text:
        return _florence(text, where)
    if "<loc" in text:
        return _paligemma(text, where)
    if "<|box_start|>" in text or "<box>" in text:
        return _box_tokens(text, scale, where)
    return read_json_answer(text, scale=scale, where=where)


def read_json_answer(text: str, *, scale: Scale, where: str) -> Answer | None:
    """Return the objects of an answer in JSON, None if there is none in the text.

    That is a list of objects, one object, or `{"object_1": {...}, ...}`, alone, in a fence or with words around it.
    """
    found = _json_in(text)
    if found is None:
        return None
    value, mended = found
    entries = _entries(value)
    if entries is None:
        return None
    objects: list[Annotation] = []
    refused: list[Refused] = []
    for index, entry in enumerate(entries):
        outcome = _object(mapping(entry), scale, f"{where}: object {index + 1}", entry)
        if isinstance(outcome, Annotation):
            objects.append(outcome)
        else:
            refused.append(outcome)
    return Answer(tuple(objects), tuple(refused), scale.unit, mended)


def _json_in(text: str) -> tuple[object, tuple[str, ...]] | None:
    """Return the JSON of a text, and what stood around it."""
    fenced = _FENCE.search(text)
    body = (fenced[1] if fenced else text).strip()
    start = min((at for at in map(body.find, "[{") if at >= 0), default=-1)
    if start < 0:
        return None
    try:
        value, end = json.JSONDecoder().raw_decode(body, start)
    except (ValueError, RecursionError):
        return None
    return value, ("words_around_json",) if start or body[end:].strip() else ()


def _entries(value: object) -> list[object] | None:
    match value:
        case list():
            return value
        case dict() if value and all(_OBJECT.fullmatch(key) for key in value):
            return list(value.values())
        case dict() if any(key in value for key in KINDS):
            return [value]
        case _:
            return None


def _object(entry: Mapping[str, object], scale: Scale, where: str, came: object) -> Annotation | Refused:
    keys = [key for key in KINDS if isinstance(entry.get(key), list)]
    if len(keys) != 1:
        return Refused(where, "no_shape", f"an object has one of {', '.join(KINDS)}, a list of numbers", came)
    values = entry[keys[0]]
    listed = values if isinstance(values, list) else []
    numbers = flat_points(listed) if listed and isinstance(listed[0], list) else flat_numbers(listed)
    if numbers is None:
        return Refused(where, "not_a_number", f"{keys[0]} is a list of numbers, or of points", came)
    found = label_in(entry, LABELS)
    if found is None:
        return Refused(where, "no_label", f"an object has a text in one of {', '.join(LABELS)}", came)
    key, label = found
    words = as_words(entry, without=(keys[0], key))
    return Annotation(label, KINDS[keys[0]], (scale.apply(numbers),), where, words)


def _box_tokens(text: str, scale: Scale, where: str) -> Answer:
    groups = [(match[1], box) for match in _BOX_TOKENS.finditer(text) for box in _BOX.findall(match[2])]
    numbers = [(label, tuple(map(float, _NUMBER.findall(box)))) for label, box in groups]
    lone = len(_BOX.findall(text)) - len(groups)
    return _boxes([(label, scale.apply(box)) for label, box in numbers], scale.unit, where, (), lone)


def _paligemma(text: str, where: str) -> Answer:
    boxes: list[tuple[str, tuple[float, ...]]] = []
    masks = 0
    for tokens, mask, label in _PALIGEMMA.findall(text):
        places = [int(digits) / BINS_PALIGEMMA for digits in _NUMBER.findall(tokens)]
        boxes.append((label, tuple(places[index ^ 1] for index in range(len(places) // 2 * 2))))  # y comes before x
        masks += bool(mask)
    return _boxes(boxes, "share", where, ("mask_tokens_ignored",) * masks, 0)


def _florence(text: str, where: str) -> Answer:
    boxes: list[tuple[str, tuple[float, ...]]] = []
    for label, tokens in _FLORENCE.findall(text):
        places = [(int(digits) + 0.5) / BINS_FLORENCE for digits in _NUMBER.findall(tokens)]  # a token is its middle
        each = [places[start : start + 4] for start in range(0, len(places), 4)]
        boxes += [(label, tuple(box)) for box in each]
    return _boxes(boxes, "share", where, (), 0)


def _boxes(
    boxes: Sequence[tuple[str, tuple[float, ...]]], unit: Unit, where: str, repairs: tuple[str, ...], lone: int
) -> Answer:
    objects: list[Annotation] = []
    refused = [Refused(where, "no_label", "a box without a label in front of it")] * lone
    for index, (label, numbers) in enumerate(boxes):
        place = f"{where}: object {index + 1}"
        if not label.strip():
            refused.append(Refused(place, "no_label", "the box has no label", list(numbers)))
        elif len(numbers) != 4:
            refused.append(Refused(place, "bad_length", f"a box has 4 numbers, got {len(numbers)}", list(numbers)))
        else:
            objects.append(Annotation(label.strip(), "bbox_2d", (numbers,), place))
    return Answer(tuple(objects), tuple(refused), unit, repairs)
